"""Asking a system every probe, keeping each answer under its content key, grading them into one table (E2, E5, E7, O4).

How a student generates is `students`; the judges are the teacher's, asked by `evaluation.verdicts`; here all of it is recorded.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from alas_assets.evaluation.grading import grade
from alas_assets.evaluation.panel import decide
from alas_assets.evaluation.tokens import token_f1
from alas_assets.evaluation.verdicts import VerdictStore, judge_all, remedy
from alas_assets.provenance.ids import answer_id, sha256_hex
from alas_assets.records import ANSWER_SCHEMA, RULES
from alas_assets.teachers.protocol import Grade, GradeRequest, Teacher

if TYPE_CHECKING:
    from alas_assets.students.answering import Answered, AskItem

ASK_BATCH = 512
"""Questions asked at once: what a kill can cost, against what the student saves by batching questions of like length."""

RAW_SCHEMA = pl.Schema(
    {
        "answer_id": pl.String,
        "probe_id": pl.String,
        "system": pl.String,
        "question": pl.String,
        "text": pl.String,
        "error": pl.String,
        "base_hash": pl.String,
        "adapter_hash": pl.String,
        "context_hash": pl.String,
        "context_chunks": pl.List(pl.String),
        "iteration": pl.Int32,
    }
)
"""Answers before grading, in the order of the probes; `error` says why a generation failed, "" where it did not."""

_COLUMNS = (*RAW_SCHEMA.names(), "created_at")
_DAMAGED = "move the file away to start an empty one, every question is then asked again"


class AnswerError(RuntimeError):
    """Answers cannot be asked, matched or read; the message says which probe or file."""


class AnswerStore:
    """Every generated answer by its content key, in one SQLite file that several processes may use at once (O4).

    The key is the answer's id without the system's name, so that a model is asked once whatever it is called.

    Args:
        path: The file; made on first use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = sqlite3.connect(self.path, timeout=60)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS answers (answer_id TEXT PRIMARY KEY, probe_id TEXT NOT NULL, system TEXT NOT NULL, "
                "question TEXT NOT NULL, text TEXT NOT NULL, error TEXT NOT NULL, base_hash TEXT NOT NULL, adapter_hash TEXT NOT NULL, "
                "context_hash TEXT NOT NULL, context_chunks TEXT NOT NULL, iteration INTEGER NOT NULL, created_at TEXT NOT NULL)"
            )
        except sqlite3.Error as error:
            raise AnswerError(f"{self.path}: the answer store cannot be opened ({error}); {remedy(error, _DAMAGED)}") from error
        return connection

    def get(self, answer_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return the stored answers of these ids by id; ids that were never answered are left out.

        Raises:
            AnswerError: The file cannot be read (damaged, locked for a minute).
        """
        wanted = sorted(set(answer_ids))
        found: dict[str, dict[str, Any]] = {}
        with closing(self._open()) as connection:
            for start in range(0, len(wanted), 500):
                part = wanted[start : start + 500]
                marks = ",".join("?" * len(part))
                query = f"SELECT {', '.join(_COLUMNS)} FROM answers WHERE answer_id IN ({marks})"  # noqa: S608 - only "?" is inserted
                try:
                    for values in connection.execute(query, part):
                        row = dict(zip(_COLUMNS, values, strict=True))
                        row["context_chunks"] = json.loads(row["context_chunks"])
                        found[row["answer_id"]] = row
                except (sqlite3.Error, ValueError) as error:
                    raise AnswerError(f"{self.path}: the answers cannot be read ({error}); {remedy(error, _DAMAGED)}") from error
        return found

    def put(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Store answers at once or not at all; a good answer is never replaced, a failed one is (E7), and so is one to other words.

        Args:
            rows: Mappings with the columns of `RAW_SCHEMA`.

        Raises:
            AnswerError: The file cannot be written (damaged, disk full, locked for a minute).
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        values = [
            tuple(now if c == "created_at" else json.dumps(row[c]) if c == "context_chunks" else row[c] for c in _COLUMNS) for row in rows
        ]
        updates = ", ".join(f"{c}=excluded.{c}" for c in _COLUMNS if c != "answer_id")
        statement = (
            f"INSERT INTO answers ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608 - fixed names
            f"ON CONFLICT(answer_id) DO UPDATE SET {updates} WHERE answers.error != '' OR answers.question != excluded.question"
        )
        with closing(self._open()) as connection:
            try:
                with connection:
                    connection.executemany(statement, values)
            except sqlite3.Error as error:
                raise AnswerError(f"{self.path}: {len(values)} answers could not be stored ({error}); {remedy(error, _DAMAGED)}") from error


def ask_all(
    probes: pl.DataFrame,
    system: str,
    ask: Callable[[list[AskItem]], Sequence[Answered]],
    store: AnswerStore,
    *,
    base_hash: str,
    adapter_hash: str = "",
    contexts: Mapping[str, tuple[str, Sequence[str]]] | None = None,
    decoding: Mapping[str, Any],
) -> pl.DataFrame:
    """Return a system's answer to every probe, asking only for what is not stored (O4).

    Batches are stored as they come, so a kill costs at most one. Answers whose generation failed, now or in an earlier
    run, are asked once more; what fails again stays as a row with its reason (E7).

    Args:
        probes: Questions (`PROBE_SCHEMA`); the answers come in their order.
        system: base, rag, sft, dpo, previous or current; part of every answer's id.
        ask: Generates the answers to a batch, one each, in order.
        store: Where answers are looked up and kept.
        base_hash: Content hash of the student.
        adapter_hash: Hash of the adapter; "" for none.
        contexts: For retrieval: the passages shown with each probe and their chunk ids, by probe id; an empty text is none.
        decoding: The generation settings, part of every answer's id.

    Returns:
        A table of `RAW_SCHEMA`; `iteration` is the probe's.

    Raises:
        AnswerError: Retrieval has no context for a probe, or `ask` returned another number of answers than asked.
    """
    rows = [
        _row(probe, system=system, base_hash=base_hash, adapter_hash=adapter_hash, contexts=contexts, decoding=decoding)
        for probe in probes.iter_rows(named=True)
    ]
    shown = {row["generation_id"]: contexts[row["probe_id"]][0] for row in rows} if contexts is not None else {}
    known = store.get(row["generation_id"] for row in rows)
    for _ in range(2):
        pending = {row["generation_id"]: row for row in rows if _open_question(row, known.get(row["generation_id"]))}
        for batch in _batches(list(pending.values()), ASK_BATCH):
            answered = _ask(batch, shown, ask)
            store.put(answered)
            known.update({row["answer_id"]: row for row in answered})
    done = [row | {name: known[row["generation_id"]][name] for name in ("text", "error")} for row in rows]
    return pl.DataFrame([{name: row[name] for name in RAW_SCHEMA.names()} for row in done], schema=RAW_SCHEMA)


def _row(
    probe: Mapping[str, Any],
    *,
    system: str,
    base_hash: str,
    adapter_hash: str,
    contexts: Mapping[str, tuple[str, Sequence[str]]] | None,
    decoding: Mapping[str, Any],
) -> dict[str, Any]:
    context_hash, chunks = "", []
    if contexts is not None:
        if probe["probe_id"] not in contexts:
            raise AnswerError(f"probe {probe['probe_id']} has no context to be asked with ({system})")
        text, chunk_ids = contexts[probe["probe_id"]]
        context_hash, chunks = sha256_hex(text) if text else "", list(chunk_ids)
    what = (base_hash, adapter_hash or None, context_hash or None, dict(decoding))
    return {
        "answer_id": answer_id(probe["probe_id"], system, *what),
        # One model under two names (yesterday's candidate is today's `previous`) is asked once.
        "generation_id": answer_id(probe["probe_id"], "", *what),
        "probe_id": probe["probe_id"],
        "system": system,
        "question": probe["question"],
        "base_hash": base_hash,
        "adapter_hash": adapter_hash,
        "context_hash": context_hash,
        "context_chunks": chunks,
        "iteration": -1 if probe["iteration"] is None else probe["iteration"],
    }


def _open_question(row: Mapping[str, Any], known: Mapping[str, Any] | None) -> bool:
    """Tell whether a question is still to be asked: never answered, failed, or reworded under the same id."""
    return known is None or bool(known["error"]) or known["question"] != row["question"]


def _ask(batch: list[dict[str, Any]], shown: Mapping[str, str], ask: Callable[[list[AskItem]], Sequence[Answered]]) -> list[dict[str, Any]]:
    from alas_assets.students.answering import AskItem

    answered = ask([AskItem(question=row["question"], context=shown.get(row["generation_id"]) or None) for row in batch])
    if len(answered) != len(batch):
        raise AnswerError(f"{len(answered)} answers came back for {len(batch)} questions; none of them is kept")
    return [
        row | {"answer_id": row["generation_id"], "system": "", "text": said.text, "error": said.error}
        for row, said in zip(batch, answered, strict=True)
    ]


def _batches(rows: list[Any], size: int) -> Iterable[list[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def grade_answers(
    probes: pl.DataFrame, raw: pl.DataFrame, teacher: Teacher, *, by_rule: Collection[str] = (), verdicts: VerdictStore | None = None
) -> pl.DataFrame:
    """Grade answers into `ANSWER_SCHEMA`, in the order of `raw`: by every judge of the teacher, and beside them by rule (E2, E3).

    A generation or a judgement that failed is a row labelled "failed" with its reason, and stays in every denominator (E7). Judges are
    not asked about an answer without a word, which is wrong whoever judges, nor about a probe without a gold answer.

    Args:
        probes: The probes that were asked (`PROBE_SCHEMA`).
        raw: What was answered (`RAW_SCHEMA`); several systems' answers may stand together, each is judged without its system's name.
        teacher: Whose judges grade.
        by_rule: Splits that are graded by rule alone.
        verdicts: Where verdicts are looked up and kept.

    Raises:
        AnswerError: An answer belongs to no probe, or a probe id occurs twice.
        EndpointError: No further call makes sense.
        BudgetSpentError: The cap is reached.
    """
    by_id = {probe["probe_id"]: probe for probe in probes.iter_rows(named=True)}
    if len(by_id) != probes.height:
        raise AnswerError("two probes share an id; each question can be asked once")
    answers = list(raw.iter_rows(named=True))
    lost = [row["answer_id"] for row in answers if row["probe_id"] not in by_id]
    if lost:
        raise AnswerError(f"{len(lost)} answers belong to none of these probes, the first is {lost[0]}")
    requests = [_request(by_id[row["probe_id"]], row["text"]) for row in answers]
    rules = [grade(request) for request in requests]
    asked = [
        i
        for i, row in enumerate(answers)
        if not row["error"] and row["text"].split() and rules[i].label != "failed" and by_id[row["probe_id"]]["split"] not in by_rule
    ]
    judged = dict(zip(asked, judge_all(teacher, [requests[i] for i in asked], verdicts), strict=True))
    rows = []
    for i, row in enumerate(answers):
        said = {} if row["error"] else judged.get(i, {RULES: rules[i]})
        rows.append(_graded_row(by_id[row["probe_id"]], row, said, rules[i], requests[i]))
    return pl.DataFrame(rows, schema=ANSWER_SCHEMA)


def unsettled(answers: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that a later run may get right: the generation failed, or a judge did (E7). The deterministic grade fails for good.

    Args:
        answers: Graded answers (`ANSWER_SCHEMA`).
    """
    said = pl.element().struct
    failed = pl.col("verdicts").list.eval((said.field("label") == "failed") & (said.field("judge") != RULES)).list.any()
    return answers.filter(failed | ((pl.col("label") == "failed") & (pl.col("verdicts").list.len() == 0)))


def _request(probe: Mapping[str, Any], text: str) -> GradeRequest:
    return GradeRequest(
        question=probe["question"],
        gold=probe["answer"],
        aliases=probe["aliases"] or [],
        answer_kind=probe["answer_kind"] or "phrase",
        rivals=probe["rivals"] or [],
        answer=text,
    )


def _graded_row(
    probe: Mapping[str, Any], row: Mapping[str, Any], said: Mapping[str, Grade], rule: Grade, request: GradeRequest
) -> dict[str, Any]:
    decided = decide(said) if said else Grade(label="failed", explanation=f"no answer was generated: {row['error']}")
    return {
        **{name: row[name] for name in ("answer_id", "probe_id", "system", "base_hash", "adapter_hash", "context_hash", "context_chunks")},
        **{name: probe[name] for name in ("split", "fact_id", "topic_id", "topic", "category", "difficulty", "question")},
        "gold": probe["answer"],
        "answer": row["text"],
        "label": decided.label,
        "error_type": "" if decided.label == "correct" else decided.error_type,
        "explanation": decided.explanation,
        "token_f1": max(token_f1(row["text"], gold) for gold in (request.gold, *request.aliases)),
        "judge": ", ".join(said),
        "iteration": row["iteration"],
        "rule_label": rule.label if said else "failed",
        "rule_explanation": rule.explanation if said else decided.explanation,
        "verdicts": [{"judge": judge, **grade.model_dump()} for judge, grade in said.items()],
    }
