"""All wrong answers of an iteration's models, each with its verdict and its way back to the page (A1).

Reads stored tables only. What one answer's verdict rests on is `audit.verdict`; the asset is in `defs.auditing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from alas_assets.audit.reading import ReadOnce
from alas_assets.audit.trace import (
    ABOUT_FACTS,
    ANSWER_TABLES,
    EXAM,
    SourceTrace,
    Trace,
    TraceError,
    cells_of,
    matched_in,
    stored_text,
    trace_row,
)
from alas_assets.audit.verdict import VERDICTS, Verdict, verdict_of
from alas_assets.evaluation.agreement import item_key
from alas_assets.provenance.blocked.order import deleted_run, orders
from alas_assets.provenance.store import ArtifactStore, Cell
from alas_assets.records import ANSWER_SCHEMA, ASKED, WRONG_SCHEMA, AdapterRef, GateDecision, as_answers, as_pairs
from alas_assets.review.said import Said, asked_answers, people_said
from alas_assets.synthesis.standing import latest_texts, no_longer_stated

SPLITS = ("probe", "earlier", "mine", "asked", "exam", "exam_paraphrase", "guard", "neighbour", "unknown")
"""In what order wrong answers are shown: first those about facts that a page states."""
ADAPTERS = ("sft_adapter", "dpo_adapter")
TRAINED_ANSWERS = ("judge_scores", "dpo_judge_scores", "exam_scores")
"""Tables with answers of trained models. What base and retrieval say is no wrong that anything taught; `wrong_of` lists it."""


def wrong_answers(store: ArtifactStore, cell: Cell) -> pl.DataFrame:
    """Return the wrong answers of a judged iteration (`WRONG_SCHEMA`): the current model's first, and what was written wrong before
    what was not learned, lost or never taught.

    An answer is wrong by its grade, by a person's word, because its page as read since no longer says so, or because another page
    says otherwise; answers of earlier iterations are there too where what this one read overtook them, and those to questions in free
    words that somebody reported.

    Raises:
        StoreError: A table or stored page on the way is damaged or gone.
        ReviewError: What people said of answers is damaged.
    """
    once = ReadOnce(store)
    said, overtaken = people_said(store.root, cell.domain), _overtaken_facts(once, cell)
    return _judged(once, cell, _suspects(once, cell, said, overtaken), said, overtaken)


def wrong_of(store: ArtifactStore, cell: Cell, system: str) -> pl.DataFrame:
    """Return what one system of a judged iteration, such as base or rag, says wrong: rows, order and grounds as in `wrong_answers`.

    Raises:
        TraceError: The iteration asked no such system; the message names those that it asked.
        StoreError: A table or stored page on the way is damaged or gone.
        ReviewError: What people said of answers is damaged.
    """
    once = ReadOnce(store)
    asked = systems_of(once, cell)
    if system not in asked:
        raise TraceError(
            f"{cell} did not ask {system!r}, only {', '.join(asked) or 'nobody yet'}: previous answers where an adapter was current "
            "before the iteration, sft and dpo where it trained one"
        )
    said, overtaken = people_said(store.root, cell.domain), _overtaken_facts(once, cell)
    answers = _once_each(_answers_of(once, cell, system, asked[system]))
    return _judged(once, cell, _doubtful(cell, answers, said, overtaken), said, overtaken)


def systems_of(store: ArtifactStore, cell: Cell) -> dict[str, str]:
    """Return the systems that an iteration put its probes to, each with its adapter's hash; "" for the base student."""
    tables = [store.read_table(pointer) for asset in ANSWER_TABLES if asset != "exam_scores" and (pointer := store.pointer(cell, asset))]
    return {
        system: adapter
        for table in tables
        for system, adapter in table.select("system", "adapter_hash").unique(maintain_order=True).iter_rows()
    }


def about_taught_facts(wrong: pl.DataFrame) -> pl.DataFrame:
    """Return what the current model says wrong about facts that a page taught, whether a probe asked or an exam that was matched to one."""
    return with_a_source(wrong.filter("is_current"))


def with_a_source(wrong: pl.DataFrame) -> pl.DataFrame:
    """Return the wrong answers about facts that a page taught, whoever gave them."""
    return wrong.filter(pl.col("url") != "")


def _judged(
    store: ReadOnce, cell: Cell, suspects: Iterable[_Suspect], said: Mapping[str, Said], overtaken: Mapping[str, str]
) -> pl.DataFrame:
    """Return those of the suspects that are wrong, each with its verdict (`WRONG_SCHEMA`)."""
    trained_in, suspects = _training_runs(store, cell.domain), list(suspects)
    asked_for = matched_in(store, cell, [one.answer for one in suspects if one.answer["split"] in EXAM])  # of this iteration alone
    rows = []
    for suspect in suspects:
        trace = trace_row(store, suspect.cell, suspect.answer, said, asked_for)
        verdict = verdict_of(store, trace)
        if verdict.kind != "right":
            found = {"counted_by": _counted_by(trace, overtaken), "run_id": trained_in.get(trace.adapter_hash, "")}
            rows.append(_row(suspect, verdict, trace.source) | found)
    order = [~pl.col("is_current"), _rank("verdict", VERDICTS), _rank("split", SPLITS), *map(pl.col, ("topic", "answer_id"))]
    return pl.DataFrame(rows, schema=WRONG_SCHEMA).sort(order)


def _rank(column: str, order: Sequence[str]) -> pl.Expr:
    return pl.col(column).replace_strict({value: i for i, value in enumerate(order)}, default=len(order), return_dtype=pl.Int32)


_Answered = tuple[dict[str, Any], bool]
"""A graded answer, and whether the model that gave it is current after its iteration."""


@dataclass(frozen=True)
class _Suspect:
    """An answer that may be wrong, and whether the model that gave it is current after its iteration."""

    cell: Cell
    answer: dict[str, Any]
    is_current: bool


def _suspects(store: ReadOnce, cell: Cell, said: Mapping[str, Said], overtaken: Mapping[str, str]) -> Iterator[_Suspect]:
    answers = _once_each(_answers(store, cell))
    seen = {(answer["probe_id"], answer["adapter_hash"]) for answer, _ in answers}
    yield from _doubtful(cell, answers, said, overtaken)
    for answer in asked_answers(store.root, cell.domain):
        if answer["iteration"] <= cell.number and answer["adapter_hash"]:
            yield _Suspect(Cell.of(cell.domain, answer["iteration"]), answer, answer["adapter_hash"] == _current_after(store, cell))
    asked: set[str] = set()
    for earlier, answer in _overtaken_answers(store, cell, overtaken):
        fresh = answer["probe_id"] not in asked and (answer["probe_id"], answer["adapter_hash"]) not in seen
        if fresh and answer["adapter_hash"] == _current_after(store, earlier):
            asked.add(answer["probe_id"])
            yield _Suspect(earlier, answer, is_current=True)


def _overtaken_answers(store: ReadOnce, cell: Cell, overtaken: Mapping[str, str]) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """Yield what trained models of earlier iterations answered right about facts that this one read speaks against, the newest first."""
    about = pl.col("split").is_in(ABOUT_FACTS) & pl.col("fact_id").is_in(list(overtaken)) & (pl.col("label") == "correct")
    earlier = about & (pl.col("cell") < str(cell)) & (pl.col("adapter_hash") != "")
    tables = [store.rows_of(cell.domain, asset).filter(earlier) for asset in TRAINED_ANSWERS]
    for answer in pl.concat(tables).sort("cell", descending=True, maintain_order=True).iter_rows(named=True):
        yield Cell(*answer["cell"].split("|")), answer


def _once_each(answers: Iterable[_Answered]) -> list[_Answered]:
    """Return what each model said to each question once: where a step trained nothing, its system is the one before it."""
    found: dict[tuple[str, str], _Answered] = {}
    for answer, current in answers:
        found.setdefault((answer["probe_id"], answer["adapter_hash"]), (answer, current))
    return list(found.values())


def _doubtful(cell: Cell, answers: Iterable[_Answered], said: Mapping[str, Said], overtaken: Mapping[str, str]) -> Iterator[_Suspect]:
    """Yield the answers that were graded wrong, that a person spoke of, or that what was read since speaks against."""
    for answer, current in answers:
        by_person = item_key(answer["question"], answer["gold"], answer["answer"]) in said
        if answer["label"] != "correct" or by_person or _about(answer) in overtaken:
            yield _Suspect(cell, answer, current)


def _answers_of(store: ReadOnce, cell: Cell, system: str, adapter: str) -> Iterator[_Answered]:
    """Yield what one system answered in an iteration, the exam included, which asked it under the name of the current model."""
    tables = [as_answers(store.read_table(pointer)) for asset in ANSWER_TABLES if (pointer := store.pointer(cell, asset))]
    same = pl.col("system") == system
    if system != "rag":  # it shares the base student's empty hash, and no exam showed it passages
        same |= (pl.col("system") == "current") & (pl.col("adapter_hash") == adapter)
    current = system != "rag" and adapter == (_current_after(store, cell) or "")
    for answer in pl.concat([ANSWER_SCHEMA.to_frame(), *tables]).filter(same).iter_rows(named=True):
        yield answer, current


def _answers(store: ReadOnce, cell: Cell) -> Iterator[_Answered]:
    current = _current_after(store, cell)
    for asset in TRAINED_ANSWERS:
        pointer = store.pointer(cell, asset)
        table = as_answers(store.read_table(pointer)).filter(pl.col("adapter_hash") != "") if pointer else None
        for answer in table.iter_rows(named=True) if table is not None else ():
            yield answer, answer["adapter_hash"] == current


def _current_after(store: ReadOnce, cell: Cell) -> str | None:
    pointer = store.pointer(cell, "promotion")
    return store.read_record(GateDecision, pointer).current_after if pointer else None


def _training_runs(store: ReadOnce, domain: str) -> dict[str, str]:
    """Return the run that trained each adapter of a domain; none that a takedown deleted."""
    made = [
        (cell, store.first_made(pointer))
        for cell in cells_of(store)
        if cell.domain == domain
        for asset in ADAPTERS
        if (pointer := store.pointer(cell, asset))
    ]
    taken_down = orders(store.root)
    kept = [pointer for cell, pointer in made if not deleted_run(taken_down, cell, pointer.made_at)]
    refs = [(store.read_record(AdapterRef, pointer), pointer.run_id) for pointer in kept]
    return {ref.adapter_hash: run for ref, run in refs if ref.trained}


def _about(answer: Mapping[str, Any]) -> str:
    """Return the fact that an answer is about; "" where it is about none."""
    return answer["fact_id"] if answer["split"] in ABOUT_FACTS else ""


def _overtaken_facts(store: ReadOnce, cell: Cell) -> dict[str, str]:
    """Return the facts taught so far that what this iteration read speaks against, and how."""
    until = sorted((one for one in cells_of(store) if one.domain == cell.domain and one.iteration <= cell.iteration), key=str)
    pairs = [as_pairs(store.read_table(pointer)) for one in until if (pointer := store.pointer(one, "qa_pairs"))]
    fetches = [store.read_table(pointer) for one in until if (pointer := store.pointer(one, "documents"))]
    latest = latest_texts(fetches)
    pages = {sha: page for page, sha in latest.items()}
    changed = no_longer_stated(pairs, latest, lambda sha: stored_text(store, sha, pages[sha]))
    found = dict.fromkeys(changed, "a newer reading")
    newest = store.pointer(cell, "qa_pairs")
    if newest is not None:
        disputed = as_pairs(store.read_table(newest)).filter(pl.col("disputed_with").list.len() > 0)
        against = {fact for facts in disputed["disputed_with"].to_list() for fact in facts}
        found |= dict.fromkeys([*disputed.filter("accepted")["fact_id"], *against], "another source") | found
    found.pop("", None)
    return found


def _row(suspect: _Suspect, verdict: Verdict, source: SourceTrace | None) -> dict[str, Any]:
    """Return a row of `WRONG_SCHEMA` without what the rest of the iteration is needed for."""
    return {
        **{name: suspect.answer[name] for name in ("answer_id", "iteration", "system", "split", "topic", "question", "answer", "label")},
        **{name: suspect.answer[name] for name in ("error_type", "probe_id", "fact_id", "adapter_hash")},
        "is_current": suspect.is_current,
        "truth": verdict.truth,
        "verdict": verdict.kind,
        "because": verdict.because,
        "evidence": verdict.evidence,
        "url": source.url if source else "",
        "quote": source.quote if source else "",
        "quote_start": source.quote_start if source else None,
        "quote_end": source.quote_end if source else None,
        "text_sha256": source.text_sha256 if source else "",
        "body_sha256": source.body_sha256 if source else "",
    }


def _counted_by(trace: Trace, overtaken: Mapping[str, str]) -> list[str]:
    grounds = []
    if trace.label == "failed":
        grounds.append("no grade")
    elif trace.label != "correct" and trace.split != ASKED:
        by = "exam" if trace.split in EXAM else "probe" if trace.split in ABOUT_FACTS else "question file"
        grounds.append(by)
    if trace.said:
        grounds.append("a person")
    if trace.split in ABOUT_FACTS and trace.fact_id in overtaken:
        grounds.append(overtaken[trace.fact_id])
    return grounds
