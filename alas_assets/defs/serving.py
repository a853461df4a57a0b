"""Questions put to a domain's student outside the loop: `alas ask`, `alas exam` and the demo's example.

Read-only towards the loop: nothing here changes a cell or the registry.
"""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from pydantic import Field

from alas_assets.audit.shown import ShownPassage, passages_shown
from alas_assets.audit.trace import Trace, cells_until, find_answer, trace_row
from alas_assets.defs.documents import cell_tags, chunk_store
from alas_assets.defs.grounds import NEAREST_FACTS, SAME_SUBJECT, Support, grounds_of, support_of
from alas_assets.defs.judging import DECODING
from alas_assets.defs.resources import Alas
from alas_assets.defs.retraining import not_retrained
from alas_assets.defs.revision import scored_cells
from alas_assets.evaluation.answers import AnswerStore, ask_all, grade_answers
from alas_assets.evaluation.exam import ExamQuestion, covered_by, exam_probes, read_exam
from alas_assets.evaluation.grading import grade
from alas_assets.evaluation.scoreboard import current_answers, score_rows
from alas_assets.evaluation.values import kind_of
from alas_assets.provenance.blocked.marks import Finder
from alas_assets.provenance.blocked.order import orders, read_marks
from alas_assets.provenance.ids import answer_id as make_answer_id
from alas_assets.provenance.ids import sha256_hex, short_id
from alas_assets.provenance.store import Cell, StoreError
from alas_assets.records import ANSWER_SCHEMA, ASKED, PROBE_SCHEMA, RULES, AdapterRef, GateDecision, Record, as_pairs
from alas_assets.retrieval.open_book import contexts_again, find_contexts
from alas_assets.review.earlier import standing
from alas_assets.teachers.protocol import GradeRequest
from alas_assets.wording import counted

NO_ADAPTER = "no adapter is current: this is the base student"


class Reply(Record):
    """One system's answer and what it rests on."""

    system: str
    answer: str
    sources: list[Support]
    note: str = ""
    shown: list[ShownPassage] = Field(default_factory=list, description="the passages that stood beside the question")


def newest_scored(alas: Alas, domain: str) -> Cell:
    """Return the domain's newest judged cell.

    Raises:
        StoreError: None was judged yet; the message names the command.
    """
    cells = scored_cells(alas, domain)
    if not cells:
        raise StoreError(f"no iteration of {domain} has been judged yet; run `alas run {domain}` first")
    return cells[-1]


def taught_tables(alas: Alas, domain: str) -> list[pl.DataFrame]:
    """Return the pairs of every judged iteration of a domain (`QA_SCHEMA`), oldest first.

    Raises:
        StoreError: There are none yet; the message names the command.
    """
    pointers = [alas.store.pointer(cell, "qa_pairs") for cell in scored_cells(alas, domain)]
    tables = [as_pairs(alas.store.read_table(pointer)) for pointer in pointers if pointer]
    if not tables:
        raise StoreError(f"{domain} has no pairs yet; run `alas run {domain}` first")
    return tables


def accepted_pairs(alas: Alas, domain: str) -> pl.DataFrame:
    """Return the accepted training pairs of every iteration of a domain, one row a phrasing, but for those that a person rejected since."""
    return pl.concat(standing(taught_tables(alas, domain))).filter(pl.col("accepted") & (pl.col("role") == "train"))


def _one_question(question: str) -> pl.DataFrame:
    return pl.DataFrame([{**dict.fromkeys(PROBE_SCHEMA.names()), "probe_id": "asked", "question": question}], schema=PROBE_SCHEMA)


def served_adapter(alas: Alas, domain_key: str) -> Path | None:
    """Return the adapter that answers users of a domain; None for the base student.

    Raises:
        StoreError: The domain answers nothing between a takedown and the end of its retraining (`after_takedown = "refuse"`), or the
            adapter was retired, or is gone or damaged.
    """
    waiting = not_retrained(alas, domain_key)
    if waiting and alas.domain(domain_key).after_takedown == "refuse":
        raise StoreError(
            f'{domain_key} answers nothing for now (after_takedown = "refuse"): takedown {waiting[0].id} of {waiting[0].at[:10]} is not '
            f"followed by a retraining yet; `alas run {domain_key}` does it"
        )
    current = alas.registry.current(domain_key)
    return alas.store.adapter(current) if current else None


def ask_student(alas: Alas, domain_key: str, question: str, systems: list[str]) -> list[Reply]:
    """Ask the student one question and say what each answer rests on.

    Args:
        alas: The resource.
        domain_key: The domain.
        question: In free words.
        systems: Any of base, rag, current.

    Raises:
        StoreError: The domain has not been through an iteration, or its adapter is gone or damaged.
    """
    replies = []
    for system in systems:
        said = _say(alas, domain_key, question, system)
        sources, note = _support(alas, domain_key, question, system, said)
        shown = passages_shown(alas.store, cells_until(alas.store, newest_scored(alas, domain_key)), said.chunks)
        replies.append(Reply(system=system, answer=said.text or f"(failed: {said.error})", sources=sources, note=note, shown=shown))
    return replies


class _Said(NamedTuple):
    """What a system said to a question, or why it said nothing, and who that was: a promotion may come while it is asked."""

    text: str
    error: str
    adapter: str | None
    chunks: list[str]


def _say(alas: Alas, domain_key: str, question: str, system: str) -> _Said:
    from alas_assets.students.client import AskItem

    domain, cell = alas.domain(domain_key), newest_scored(alas, domain_key)
    folder = served_adapter(alas, domain_key) if system == "current" else None
    text, chunks = None, []
    if system == "rag":
        found = find_contexts(
            _one_question(question), chunk_store(alas, domain_key), cell_tags(alas, cell), embed=lambda texts: alas.embed(domain, texts)
        )
        text, chunks = found.get("asked", (None, []))
    said = alas.worker.answer(alas.student(domain), [AskItem(question=question, context=text)], folder, DECODING)[0]
    return _Said(said.text, said.error, folder.name if folder else None, chunks)


def _support(alas: Alas, domain_key: str, question: str, system: str, said: _Said) -> tuple[list[Support], str]:
    if system == "base":
        return [], "the base student: nothing of this domain was taught to it"
    if system == "current" and said.adapter is None:
        return [], NO_ADAPTER
    pairs = accepted_pairs(alas, domain_key)
    if system == "rag":
        shown = pairs.filter(pl.col("chunk_id").is_in(said.chunks)).unique("fact_id", maintain_order=True)
        below = "; the facts below were taught from what it was shown" if shown.height else ""
        many = f"it was shown {counted(len(said.chunks), 'passage')}{below}"
        return _rows(shown), many if said.chunks else "it was shown no passage: none fits the question"
    grounds = grounds_of(alas, domain_key, pairs, question, said.adapter, said.text)
    return grounds.support, grounds.note


def _rows(frame: pl.DataFrame) -> list[Support]:
    return [support_of(row) for row in frame.head(NEAREST_FACTS).to_dicts()]


class Again(Record):
    """A past answer beside what the same model says to the same question now."""

    answer_id: str
    cell: str
    system: str
    question: str
    said: str
    says: str
    same: bool
    adapter_hash: str
    context: str = Field(description="the passages that were shown with it, as they were stored; empty for a closed book")


def ask_again(alas: Alas, answer_id: str) -> Again:
    """Ask a past question again: the same student, adapter, decoding and passages as then, all checked by their hashes (A1, O7).

    Raises:
        TraceError: There is no such answer.
        StoreError: Student, adapter, passages or decoding are no longer those of its time; the message says which.
    """
    cell, row = find_answer(alas.store, answer_id)
    domain = alas.domain(cell.domain)
    student = alas.student(domain)
    if student.base_hash != row["base_hash"]:
        now, then = student.base_hash[:16], row["base_hash"][:16]
        raise StoreError(
            f"answer {row['answer_id']} is of student {then}, and {domain.student.model} is {now} now; set [student] back to ask"
        )
    folder = alas.store.adapter(row["adapter_hash"]) if row["adapter_hash"] else None
    context = contexts_again(row["context_chunks"], chunk_store(alas, cell.domain), cell_tags(alas, cell)) if row["context_hash"] else ""
    if row["context_hash"] and sha256_hex(context) != row["context_hash"]:
        raise StoreError(
            f"the passages of {cell} read differently from what answer {row['answer_id']} was shown; its documents were made again"
        )
    what = (row["base_hash"], row["adapter_hash"] or None, row["context_hash"] or None, DECODING.model_dump(mode="json"))
    if make_answer_id(row["probe_id"], row["system"], *what) != row["answer_id"]:
        raise StoreError(
            f"answer {row['answer_id']} was decoded with other settings than {DECODING}; it cannot be asked again by this version"
        )
    from alas_assets.students.client import AskItem

    (now,) = alas.worker.answer(student, [AskItem(question=row["question"], context=context or None)], folder, DECODING)
    says = now.text or f"(failed: {now.error})"
    return Again(
        **{name: row[name] for name in ("answer_id", "system", "question", "adapter_hash")},
        cell=str(cell),
        said=row["answer"],
        says=says,
        same=says == row["answer"],
        context=context,
    )


class NearProbe(Record):
    """A stored answer of the current model to a question of like meaning; its id can be traced."""

    answer_id: str
    question: str
    answer: str
    label: str
    similarity: float = Field(description="cosine of the two questions")


def trace_question(alas: Alas, domain_key: str, question: str, should_be: str) -> tuple[Trace, list[NearProbe]]:
    """Ask the current model a question in free words and walk from what it says to the source (A1).

    The answer is kept nowhere, so the trace has no id: `alas report-wrong --question` keeps it.

    Raises:
        StoreError: The domain has not been through an iteration, or something on the way is gone.
    """
    cell, row = asked_answer(alas, domain_key, question, should_be)
    trace = trace_row(alas.store, cell, row)
    return trace.model_copy(update={"answer_id": ""}), _near_probes(alas, domain_key, cell, question)


def asked_answer(alas: Alas, domain_key: str, question: str, should_be: str = "") -> tuple[Cell, dict[str, Any]]:
    """Ask the current model a question in free words; return the answer as a graded one, with a note on how its fact was found.

    No id leads from free words to a fact: it is the nearest in meaning, of those that say what is right where that is known.

    Args:
        alas: The resource.
        domain_key: The domain.
        question: In free words.
        should_be: What is right, where somebody knows it; the answer is held against it where no fact is found.

    Returns:
        The iteration that trained the model, and a row with the columns of `ANSWER_SCHEMA`.

    Raises:
        StoreError: The domain has not been through an iteration, or its adapter is gone or damaged.
    """
    said, error, adapter, _ = _say(alas, domain_key, question, "current")
    current = adapter or ""
    cell = _trained_in(alas, domain_key, current) or newest_scored(alas, domain_key)
    # a base student's answer rests on nothing taught, and the fact asked for is looked for all the same
    grounds = grounds_of(alas, domain_key, accepted_pairs(alas, domain_key), question, current or None, said)
    fact = grounds.about(should_be)
    gold = fact["answer"] if fact else should_be
    if fact:
        graded = grounds.label(fact)
    else:
        graded = grade(GradeRequest(question=question, gold=gold or question, answer=said, answer_kind=kind_of(gold) if gold else "phrase"))
    beside = grounds.note if current and graded.label != "correct" else "" if current else NO_ADAPTER
    found = f"the fact was found by meaning (similarity {fact['similarity']:.2f}), not by an id" if fact else "no fact was found"
    probe, base_hash = short_id(ASKED, question), alas.student(alas.domain(domain_key)).base_hash
    return cell, {
        **dict.fromkeys(ANSWER_SCHEMA.names(), ""),
        "answer_id": make_answer_id(probe, "current", base_hash, current or None, None, DECODING.model_dump(mode="json")),
        "probe_id": probe,
        "base_hash": base_hash,
        "iteration": cell.number,
        "token_f1": None,
        "judge": RULES,
        "context_chunks": [],
        "system": "current",
        "split": ASKED,
        "question": question,
        "answer": said or f"(failed: {error})",
        "gold": gold,
        "label": graded.label if gold else "incorrect",
        "error_type": graded.error_type if gold else "",
        "explanation": graded.explanation if gold else "",
        "rule_label": graded.label if gold else "incorrect",
        "rule_explanation": graded.explanation if gold else "",
        "verdicts": [],
        "adapter_hash": current,
        "fact_id": fact["fact_id"] if fact else "",
        "note": "; ".join(part for part in ("asked in free words", found, beside) if part),
    }


def _trained_in(alas: Alas, domain_key: str, adapter: str) -> Cell | None:
    """Return the judged iteration that trained an adapter; None for the base student."""
    for cell in reversed(scored_cells(alas, domain_key)):
        pointers = [pointer for asset in ("sft_adapter", "dpo_adapter") if (pointer := alas.store.pointer(cell, asset))]
        if any((ref := alas.store.read_record(AdapterRef, pointer)).trained and ref.adapter_hash == adapter for pointer in pointers):
            return cell
    return None


def _near_probes(alas: Alas, domain_key: str, cell: Cell, question: str) -> list[NearProbe]:
    answers = _current_answers(alas, cell).filter(pl.col("split").is_in(["probe", "earlier"]))
    vectors = np.asarray(alas.embed(alas.domain(domain_key), [question, *answers["question"].to_list()]))
    near = answers.with_columns(pl.Series("similarity", vectors[1:] @ vectors[0], dtype=pl.Float64))
    best = near.filter(pl.col("similarity") >= SAME_SUBJECT).sort("similarity", "answer_id", descending=[True, False]).head(NEAREST_FACTS)
    return [NearProbe(**{name: row[name] for name in NearProbe.model_fields}) for row in best.to_dicts()]


def _current_answers(alas: Alas, cell: Cell) -> pl.DataFrame:
    """Return what the model that is current after a judged iteration answered in it."""
    pointers = {name: alas.store.pointer(cell, name) for name in ("promotion", "baseline_scores", "judge_scores", "dpo_judge_scores")}
    missing = [name for name, pointer in pointers.items() if pointer is None]
    if missing:
        raise StoreError(f"{missing[0]} of {cell} is not there; materialise it first")
    found = {name: pointer for name, pointer in pointers.items() if pointer is not None}
    decision = alas.store.read_record(GateDecision, found.pop("promotion"))
    return current_answers(
        decision, *(alas.store.read_table(found[name]) for name in ("baseline_scores", "judge_scores", "dpo_judge_scores"))
    )


def sit_exam(alas: Alas, domain_key: str, file: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Ask base and current the questions of an exam file.

    Questions about what was taken down are asked, too, and that is how unlearning is measured; but neither they nor the answers are kept,
    and they are graded by rule alone, so that the store does not learn them again (A3).

    Returns:
        Scoreboard rows over all questions, and over those whose fact has an accepted pair; the systems are `base` and
        `current`, the splits `exam` and `exam_paraphrase`.

    Raises:
        ExamError: The file is wrong; the message names line and key.
        StoreError: The domain has not been through an iteration.
        EndpointError: A model judges and cannot be asked.
        BudgetSpentError: A model judges, and the newest iteration, which pays, has spent its cap.
    """
    questions = read_exam(file)
    cell = newest_scored(alas, domain_key)
    words = [text for one in questions for text in (one.question, one.paraphrase, one.answer)]
    if any(map(forgotten(alas).touches, words)):
        with tempfile.TemporaryDirectory() as folder:
            return _sat(alas, domain_key, cell, questions, AnswerStore(Path(folder) / "answers.sqlite"), kept=False)
    return _sat(alas, domain_key, cell, questions, alas.answers, kept=True)


def forgotten(alas: Alas) -> Finder:
    """Return what recognises the content of every takedown of the store."""
    root = alas.store.root
    return Finder(*(read_marks(root, order.id) for order in orders(root)))


def _sat(
    alas: Alas, domain_key: str, cell: Cell, questions: list[ExamQuestion], store: AnswerStore, *, kept: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    domain = alas.domain(domain_key)
    student, asked = alas.student(domain), exam_probes(questions)
    current = alas.registry.current(domain_key)
    raw = []
    for system, adapter in (("base", None), ("current", current)):
        folder = alas.store.adapter(adapter) if adapter else None

        def ask(items: Any, folder: Path | None = folder) -> Any:
            return alas.worker.answer(student, items, folder, DECODING)

        said = ask_all(
            asked,
            system,
            ask,
            store,
            base_hash=student.base_hash,
            adapter_hash=adapter or "",
            contexts=None,
            decoding=DECODING.model_dump(mode="json"),
        )
        raw.append(said)
    by_rule = () if kept else asked["split"].unique().to_list()
    verdicts = alas.verdicts(domain) if kept else None
    answers = grade_answers(asked, pl.concat(raw), alas.teacher(domain, cell), by_rule=by_rule, verdicts=verdicts)
    covered = sorted(covered_by(questions, accepted_pairs(alas, domain_key)))
    taught = answers.filter(pl.col("fact_id").is_in(covered))
    return score_rows(domain_key, cell.number, answers), score_rows(domain_key, cell.number, taught)


def example_answer(alas: Alas, domain_key: str) -> dict[str, Any] | None:
    """Return one wrong answer of the current model on a fact, or a right one if none is wrong, or None without answers."""
    answers = _current_answers(alas, newest_scored(alas, domain_key))
    facts = answers.filter(pl.col("split").is_in(["probe", "earlier"]))
    wrong = facts.filter(pl.col("label") != "correct")
    chosen = wrong if wrong.height else facts
    return chosen.sort("answer_id").row(0, named=True) if chosen.height else None
