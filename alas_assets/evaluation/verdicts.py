"""Asking every judge about every answer once, and keeping each verdict under its content key (E2, E7, O4).

What the verdicts of several judges come to is `evaluation.panel`. The ledger keeps calls, each about many answers; here a verdict is kept
by the one answer that it is about, so that the same answer of another system or step costs nothing, and only what failed is asked again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from alas_assets.provenance.ids import short_id
from alas_assets.records import RULES
from alas_assets.teachers.endpoint.calls import BudgetSpentError, EndpointError
from alas_assets.teachers.protocol import Grade, GradeRequest, Teacher

_T = TypeVar("_T")
GRADE_BATCH = 1024
"""Answers handed to a judge at a time: enough that it can keep many calls under way, and what a kill can cost."""
_DAMAGED = "move the file away, the ledger still has every paid call"


class VerdictError(RuntimeError):
    """The kept verdicts cannot be read or written; the message names the file."""


def remedy(error: Exception, damaged: str) -> str:
    """Return what to do about a file that SQLite could not use: only a damaged one is given up, not one that is locked or has no room.

    Args:
        error: What SQLite, or reading what it gave, raised.
        damaged: What to do where the file itself is at fault.
    """
    return "see to that and run again" if isinstance(error, sqlite3.OperationalError) else damaged


class VerdictStore:
    """Verdicts by judge and answer, in one SQLite file that several processes may use at once. Failed ones are not kept.

    Args:
        path: The file; made on first use.
        under: What a verdict depends on beyond judge and answer: endpoint, temperature, form of the answers.
    """

    def __init__(self, path: Path, under: str = "") -> None:
        self.path = path
        self.under = under

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = sqlite3.connect(self.path, timeout=60)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE IF NOT EXISTS verdicts (verdict_id TEXT PRIMARY KEY, grade TEXT NOT NULL)")
        except sqlite3.Error as error:
            raise VerdictError(f"{self.path}: the verdicts cannot be opened ({error}); {remedy(error, _DAMAGED)}") from error
        return connection

    def key(self, teacher: Teacher, judge: str, request: GradeRequest) -> str:
        """Return the id of one judge's verdict on one answer: of what a judge is shown, not of rivals, which the rules alone look at."""
        shown = json.dumps([request.question, request.gold, request.aliases, request.answer])
        return short_id("verdict", teacher.name, judge, self.under, shown)

    def get(self, keys: Iterable[str]) -> dict[str, Grade]:
        """Return the kept verdicts among these, by key."""
        wanted = sorted(set(keys))
        found: dict[str, Grade] = {}
        with closing(self._open()) as connection:
            for part in _batches(wanted, 500):
                marks = ",".join("?" * len(part))
                query = f"SELECT verdict_id, grade FROM verdicts WHERE verdict_id IN ({marks})"  # noqa: S608 - only "?" is inserted
                try:
                    found.update((key, Grade.model_validate_json(grade)) for key, grade in connection.execute(query, part))
                except (sqlite3.Error, ValueError) as error:
                    raise VerdictError(f"{self.path}: the verdicts cannot be read ({error}); {remedy(error, _DAMAGED)}") from error
        return found

    def put(self, verdicts: Mapping[str, Grade]) -> None:
        """Keep verdicts that did not fail, at once or not at all.

        Raises:
            VerdictError: The file cannot be written.
        """
        rows = [(key, grade.model_dump_json()) for key, grade in verdicts.items() if grade.label != "failed"]
        with closing(self._open()) as connection:
            try:
                with connection:
                    connection.executemany("INSERT OR IGNORE INTO verdicts VALUES (?, ?)", rows)
            except sqlite3.Error as error:
                raise VerdictError(f"{self.path}: {len(rows)} verdicts could not be kept ({error}); {remedy(error, _DAMAGED)}") from error


def judge_all(teacher: Teacher, requests: Sequence[GradeRequest], store: VerdictStore | None = None) -> list[dict[str, Grade]]:
    """Let every judge grade every answer; equal requests are asked about once, in the order in which they first occur.

    Args:
        teacher: Whose judges are asked.
        requests: What is to be graded.
        store: Where verdicts of models are looked up and kept; the deterministic grade costs nothing and is always made anew.

    Returns:
        For each request what each judge said, by its name, in the order of the judges.

    Raises:
        EndpointError: No further call makes sense; verdicts that came before are kept.
        BudgetSpentError: The cap is reached; verdicts that came before are kept.
    """
    texts = [request.model_dump_json() for request in requests]
    distinct: dict[str, GradeRequest] = {}
    for text, request in zip(texts, requests, strict=True):
        distinct.setdefault(text, request)
    said: dict[str, dict[str, Grade]] = {}
    for judge in teacher.judges:
        grades = _judge(teacher, judge, list(distinct.values()), None if judge == RULES else store)
        said[judge] = dict(zip(distinct, grades, strict=True))
    return [{judge: said[judge][text] for judge in teacher.judges} for text in texts]


def _judge(teacher: Teacher, judge: str, requests: list[GradeRequest], store: VerdictStore | None) -> list[Grade]:
    if store is None:
        return [grade for batch in _batches(requests, GRADE_BATCH) for grade in _ask(teacher, judge, batch)]
    keys = [store.key(teacher, judge, request) for request in requests]
    known = store.get(keys)
    for batch in _batches(
        list(zip(keys, requests, strict=True)), GRADE_BATCH
    ):  # cut alike in every run, so that paid calls are found again
        pending = {key: request for key, request in batch if key not in known}
        said = dict(zip(pending, _ask(teacher, judge, list(pending.values())), strict=True)) if pending else {}
        store.put(said)
        known.update(said)
    return [known[key] for key in keys]


def _ask(teacher: Teacher, judge: str, requests: list[GradeRequest]) -> list[Grade]:
    """Ask about a batch; one that fails, or comes back with another number of grades, is halved until the answer at fault is alone.

    Which grade belongs to which answer cannot be told where their number is wrong, so none of them counts.
    """
    try:
        grades = list(teacher.grade_as(judge, requests))
        if len(grades) == len(requests):
            return grades
        reason = f"{len(grades)} grades for {len(requests)} answers"
    except (EndpointError, BudgetSpentError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a teacher raises is a failed judgement, not a lost table (E7)
        reason = f"{type(error).__name__}: {error}"
    if len(requests) == 1:
        return [Grade(label="failed", explanation=f"could not be judged: {reason}"[:500])]
    half = len(requests) // 2
    return _ask(teacher, judge, requests[:half]) + _ask(teacher, judge, requests[half:])


def _batches(items: list[_T], size: int) -> Iterator[list[_T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
