"""From a judged answer back to its source: a join over ids in the stored tables, never a guess (spec A1).

Reading only. The command line and the reports render the records; which Dagster run made a step is in each pointer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl
from pydantic import Field

from alas_assets.audit.reading import ReadOnce
from alas_assets.audit.shown import ShownPassage, passages_shown
from alas_assets.evaluation.agreement import item_key
from alas_assets.evaluation.exam import ExamQuestion, covered_by, is_page
from alas_assets.provenance.blocked.order import deleted_run, orders
from alas_assets.provenance.ids import CELL_NAME, fold, pair_of_unknown
from alas_assets.provenance.store import CHANGED, ArtifactStore, Cell, StoreError, hash_once
from alas_assets.records import ASKED, QA_SCHEMA, UNKNOWN, AdapterRef, GateDecision, Record, as_answers
from alas_assets.release.registry import Entry, Registry
from alas_assets.review.said import Said, asked_answers, people_said

ANSWER_TABLES = ("baseline_scores", "judge_scores", "dpo_judge_scores", "exam_scores")
ABOUT_FACTS = ("probe", "earlier", "mine", ASKED)
"""Splits whose answers are about a fact that a page states."""
EXAM = ("exam", "exam_paraphrase")
"""Splits of questions that come from outside: the fact, if one was taught, is found by page and words (E8)."""
READ = ("curriculum_seed", "curriculum", "documents", "qa_pairs")
"""The steps that lead from a page to a pair."""
JUDGED_IN = {"sft": "judge_scores", "dpo": "dpo_judge_scores"}
"""Where the answers of trained candidates stand; those of other systems are in `baseline_scores`."""

REFERENCES = ("base", "rag", "previous")
"""Systems that candidates are compared with: no decision of their iteration was about them."""


ROWS_GONE = "its training rows are gone from the store"
"""Why nobody can say what an adapter learned."""


class TraceError(LookupError):
    """There is nothing under this id; the message says where ids are shown."""


class PairTrace(Record):
    """One accepted or rejected pair of the fact that an answer is about."""

    qa_id: str
    role: str
    question: str
    answer: str
    accepted: bool
    reason: str
    review: str = Field(default="", description="what a person decided on it, who and when (S13)")


class NewerReading(Record):
    """The page as it was last read, where that is another text than the one the fact was read from."""

    cell: str
    retrieved_at: str
    text_sha256: str
    body_sha256: str
    states_it: bool = Field(description="the quote still stands in it")
    answers: list[str] = Field(default_factory=list, description="what accepted pairs read from it answer to the same question")


class Dispute(Record):
    """A fact of another page that answers the same question differently (R7)."""

    fact_id: str
    answer: str
    quote: str
    url: str


class SourceTrace(Record):
    """Where a fact stands: the quote, the stored page it was read from, and the URL."""

    url: str
    quote: str
    chunk_id: str
    text_sha256: str
    body_sha256: str
    quote_start: int
    quote_end: int
    quote_stands: bool = Field(description="the stored text has exactly this quote at these offsets")
    retrieved_at: str
    http_status: int | None = None
    page_title: str = ""
    since: NewerReading | None = None


class LearnedBy(Record):
    """An adapter whose training rows hold the fact, and the run that trained it."""

    adapter_hash: str
    kind: str
    cell: str
    rows: int
    rows_hash: str
    run_id: str
    retired: str = Field(default="", description="the takedown that retired it")
    run_deleted: str = Field(default="", description="the takedown that deleted the run")


class UnknownRows(Record):
    """An adapter of which nobody can say whether it learned the fact, since its training rows are gone."""

    adapter_hash: str
    kind: str
    cell: str

    @property
    def in_words(self) -> str:
        """Which adapter it is, and why that is not known."""
        return f"{self.kind} adapter {self.adapter_hash[:16]} of {self.cell}: nobody can say, as {ROWS_GONE}"


class RunTrace(Record):
    """The run that made one step between page and answer: the first that gave it the content it has."""

    step: str
    cell: str
    run_id: str
    made_at: str
    data_version: str
    run_deleted: str = Field(default="", description="the takedown that deleted it")


class Trace(Record):
    """Everything between one answer and its source."""

    answer_id: str
    cell: str
    system: str
    split: str
    question: str
    answer: str
    gold: str
    label: str
    error_type: str
    explanation: str
    rule_label: str = Field(default="", description="the deterministic grade, whoever judged (E3)")
    verdicts: list[dict[str, str]] = Field(default_factory=list, description="what each judge said")
    adapter_hash: str
    is_current: bool = Field(description="the model that answered is the one that answers users now")
    in_place: str = Field(
        default="", description="which model that is, and whether the newest gate left it in place; where it was asked now"
    )
    shown: list[ShownPassage] = Field(default_factory=list, description="the passages that stood beside the question")
    probe_id: str
    fact_id: str
    matched_fact: str = Field(
        default="", description="the fact that an exam's question was matched to by page and words; no id leads there"
    )
    topic: str
    pairs: list[PairTrace]
    source: SourceTrace | None = Field(
        description="None where no page was read for the question: guards, exam questions without a match; and where none has its quote"
    )
    disputes: list[Dispute] = Field(default_factory=list)
    said: Said | None = Field(default=None, description="a person's word on the answer")
    learned_by: list[LearnedBy]
    rows_gone: list[UnknownRows] = Field(default_factory=list, description="adapters that may have learned it: their rows are gone")
    runs: list[RunTrace]
    note: str = ""

    @property
    def found_without_an_id(self) -> bool:
        """Whether the fact was looked for by words or by meaning, so that the question may be about another one."""
        return bool(self.pairs) and (self.split == ASKED or bool(self.matched_fact))

    @property
    def grade_in_words(self) -> str:
        """The grade, with what kind of error, and with what it was held against where no probe says that."""
        error = f": {self.error_type}" if self.error_type else ""
        return f"{self.label}{error}{', against a fact found by meaning' if self.pairs and self.split == ASKED else ''}"


class InPlace(Record):
    """The model that answers users of a domain now."""

    adapter_hash: str = Field(description='"" for the base student')
    as_judged: bool = Field(description="the newest gate left it in place, so that its iteration's `current` is this one")
    in_words: str = Field(description="which it is, of which iteration, and why it is another one than the gate left where it is")


def model_in_place(store: ArtifactStore, domain: str) -> InPlace:
    """Return which model answers users of a domain now, and who rolled back where a person did.

    Raises:
        RegistryError: The domain's name or its registry cannot be used.
        StoreError: The newest gate's decision, or the record of an adapter, is gone or damaged.
    """
    now = Registry(store.root / "registry").current(domain) or ""
    words = f"{_named(store, domain, now)} answers now"
    for cell in (one for one in cells_of(store) if one.domain == domain):
        if pointer := store.pointer(cell, "promotion"):
            judged = store.read_record(GateDecision, pointer).current_after or ""
            if judged != now:
                return InPlace(adapter_hash=now, as_judged=False, in_words=f"{words}; {_since_the_gate(store, cell, judged)}")
            own = any(where == cell for where, _ in _trained_in(store, cell, now))
            return InPlace(adapter_hash=now, as_judged=True, in_words=words if own else f"{words}, as the gate of {cell} left it")
    return InPlace(adapter_hash=now, as_judged=True, in_words=words)


def _since_the_gate(store: ArtifactStore, cell: Cell, judged: str) -> str:
    """Say why what a gate left in place answers no more: a takedown, people, or something that only the registry's file tells."""
    registry, named = Registry(store.root / "registry"), _named(store, cell.domain, judged)
    if judged and (stone := store.tombstone(judged)):
        return f"takedown {stone.takedown} retired {named}"
    undone: list[Entry] = []
    for entry in (registry.rollback_of(cell.domain, judged), registry.standing_rollback(cell.domain)):
        if entry and not entry.run_id and entry not in undone:  # a rollback that a run made is the gate's own
            undone.append(entry)
    if not undone:
        return f"the gate of {cell} left {named} in place, which is current no more"
    return ", and ".join(
        f"{entry.by or 'somebody'} rolled back {_named(store, cell.domain, entry.previous or '')} on {entry.at}"
        f"{f' ({entry.reason})' if entry.reason else ''}"
        for entry in undone
    )


def _named(store: ArtifactStore, domain: str, adapter_hash: str) -> str:
    """Return a model's name for people: its adapter and the iteration that trained it."""
    if not adapter_hash:
        return "the base student"
    newest = next((cell for cell in cells_of(store) if cell.domain == domain), None)
    steps = _trained_in(store, newest, adapter_hash) if newest else []
    if not steps:
        return f"adapter {adapter_hash[:16]}, which no iteration in this store trained,"
    cell, step = steps[-1]
    return f"{step.removesuffix('_adapter')} adapter {adapter_hash[:16]} of {cell}"


def cells_of(store: ArtifactStore) -> Iterator[Cell]:
    """Yield every cell that the store knows, newest iteration first within a domain; what desktops and people leave among them is none."""
    root = store.root / "cells"
    for domain in sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []:
        yield from reversed(store.cells(domain)) if CELL_NAME.match(domain) else ()


def find_answer(store: ArtifactStore, answer_id: str) -> tuple[Cell, dict[str, Any]]:
    """Return the cell and row of a graded answer, or of one to a question in free words that somebody reported.

    A unique beginning of the id is enough.

    Raises:
        TraceError: No answer, or more than one, has this id.
        ReviewError: What people reported is damaged.
    """
    hits: dict[str, tuple[Cell, dict[str, Any]]] = {}
    answer_id = answer_id.removeprefix("a-")  # as a review sheet names it
    for cell in cells_of(store) if answer_id else ():
        for asset in ANSWER_TABLES:
            pointer, begins = store.pointer(cell, asset), pl.col("answer_id").str.starts_with(answer_id)
            if pointer is None or store.read_table(pointer, columns=["answer_id"]).filter(begins).is_empty():
                continue
            for row in as_answers(store.read_table(pointer).filter(begins)).to_dicts():
                if row["answer_id"] == answer_id:  # no other begins with a whole id
                    return cell, row
                hits.setdefault(row["answer_id"], (cell, row))
    for domain in sorted({cell.domain for cell in cells_of(store)}):
        reported = [row for row in asked_answers(store.root, domain) if row["answer_id"].startswith(answer_id)]
        hits |= {row["answer_id"]: (Cell.of(domain, row["iteration"]), row) for row in reported}
    if not answer_id or not hits:
        raise TraceError(_removed(store, answer_id) or f"no answer {answer_id!r} in {store.root}; `alas wrong DOMAIN` and the UI list ids")
    if len(hits) > 1:
        raise TraceError(f"{answer_id!r} fits {len(hits)} answers; give more of the id, such as {min(hits)}")
    return next(iter(hits.values()))


def _removed(store: ArtifactStore, answer_id: str) -> str:
    """Return which takedown removed an answer; "" where none did."""
    if len(answer_id) < 8:
        return ""
    order = next((one for one in orders(store.root) if any(gone.startswith(answer_id) for gone in one.answers)), None)
    return f"answer {answer_id} was removed with its source, {order.refusal}" if order else ""


def _pairs(store: ArtifactStore, domain: str, wanted: pl.Expr) -> pl.DataFrame:
    """Return the domain's pairs that meet a condition, the newest iteration's first, each once.

    A pair that was accepted once counts as accepted, since it was taught: a later iteration rejects it for being known, or by word of a
    person, which it then shows.
    """
    rows = ReadOnce.over(store).rows_of(domain, "qa_pairs").filter(wanted)
    found = rows.sort("cell", descending=True, maintain_order=True).select(QA_SCHEMA.names())
    said = found.filter(pl.col("review") != "").unique("qa_id", keep="first").select("qa_id", said="review")
    once = found.sort("accepted", descending=True, maintain_order=True).unique("qa_id", keep="first", maintain_order=True)
    told = once.join(said, on="qa_id", how="left", maintain_order="left")
    return told.with_columns(review=pl.coalesce("said", "review")).select(QA_SCHEMA.names())


def stored_text(store: ArtifactStore, sha: str, url: str) -> str:
    """Return a stored text.

    Raises:
        StoreError: It is gone or was changed; the message names it and the page.
    """
    path = store.texts / sha
    if not path.is_file():
        raise StoreError(f"{path}: the stored text of {url} is gone; materialise documents of that cell again")
    if hash_once(path) != sha:
        raise StoreError(f"{path}: the stored text of {url} {CHANGED}; materialise documents of that cell again")
    return path.read_text(encoding="utf-8")


def _readings(store: ArtifactStore, domain: str, page: str) -> list[tuple[Cell, dict[str, Any]]]:
    """Return the readings of a page that gave a text, the newest first."""
    own = (pl.col("page_id") == page) & pl.col("ok") & pl.col("text_sha256").is_not_null()
    rows = ReadOnce.over(store).rows_of(domain, "documents").filter(own).to_dicts()
    found = [(Cell(*row["cell"].split("|")), row) for row in rows]
    return sorted(found, key=lambda reading: (reading[1]["retrieved_at"], reading[0].iteration), reverse=True)


def _since(store: ArtifactStore, domain: str, pair: dict[str, Any], readings: list[tuple[Cell, dict[str, Any]]]) -> NewerReading | None:
    """Return the page's newest reading, if its text is no longer the one that the pair was written from."""
    if not readings or readings[0][1]["text_sha256"] == pair["text_sha256"]:
        return None
    cell, row = readings[0]
    own = (pl.col("text_sha256") == row["text_sha256"]) & (pl.col("page_id") == pair["page_id"]) & pl.col("accepted")
    asked = fold(pair["question"]).casefold()
    now = [one["answer"] for one in _pairs(store, domain, own).to_dicts() if fold(one["question"]).casefold() == asked]
    return NewerReading(
        cell=str(cell),
        retrieved_at=row["retrieved_at"].isoformat(),
        text_sha256=row["text_sha256"],
        body_sha256=row["body_sha256"],
        states_it=fold(pair["quote"]) in fold(stored_text(store, row["text_sha256"], row["final_url"])),
        answers=list(dict.fromkeys(now)),
    )


def _source(store: ArtifactStore, domain: str, row: dict[str, Any]) -> SourceTrace:
    text = stored_text(store, row["text_sha256"], row["url"])
    start, end = row["quote_start"], row["quote_end"]
    readings = _readings(store, domain, row["page_id"])
    status, title = next(((r["status"], r["title"] or "") for _, r in readings if r["text_sha256"] == row["text_sha256"]), (None, ""))
    return SourceTrace(
        url=row["url"],
        quote=row["quote"],
        chunk_id=row["chunk_id"],
        text_sha256=row["text_sha256"],
        body_sha256=row["body_sha256"],
        quote_start=start,
        quote_end=end,
        quote_stands=fold(text[start:end]) == fold(row["quote"]),
        retrieved_at=row["retrieved_at"].isoformat() if row["retrieved_at"] else "",
        http_status=status,
        page_title=title,
        since=_since(store, domain, row, readings),
    )


def cells_until(store: ArtifactStore, cell: Cell) -> list[Cell]:
    """Return the iterations of a domain up to one, oldest first."""
    return sorted((one for one in cells_of(store) if one.domain == cell.domain and one.iteration <= cell.iteration), key=str)


def matched_in(store: ArtifactStore, cell: Cell, answers: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the facts that exam questions of an iteration ask for by their page and words, as `facts_of_exam` does."""
    return facts_of_exam(answers, ReadOnce.over(store).rows_of(cell.domain, "qa_pairs").filter(pl.col("cell") <= str(cell)))


def facts_of_exam(answers: Sequence[Mapping[str, Any]], pairs: pl.DataFrame) -> dict[str, str]:
    """Return the facts that an exam's questions ask for by their page and words, by `probe_id`; none where no accepted pair does (E8).

    Args:
        answers: Answers of one iteration to exam questions (rows of `ANSWER_SCHEMA`).
        pairs: The pairs of that iteration and of those before it in its domain (`QA_SCHEMA`).
    """
    of_page: dict[str, list[ExamQuestion]] = {}
    for probe, answer in {answer["probe_id"]: answer for answer in answers}.items():  # several systems answer the same question
        asked = ExamQuestion(id=probe, question=answer["question"], answer=answer["gold"], page=answer["topic"] or "")
        of_page.setdefault(asked.page, []).append(asked)
    found: dict[str, str] = {}
    for page, questions in of_page.items():
        urls = [url for url in pairs["url"].unique().to_list() if url and is_page(page, url)]
        found |= covered_by(questions, pairs.filter(pl.col("url").is_in(urls)))  # its pages alone: there may be thousands
    return found


def _disputes(store: ArtifactStore, domain: str, facts: list[dict[str, Any]]) -> list[Dispute]:
    """Return what other pages say against the fact, by its own rows or by theirs."""
    own = {row["fact_id"] for row in facts}
    against = {fact for row in facts for fact in row["disputed_with"]}
    theirs = pl.col("fact_id").is_in(sorted(against)) | pl.col("disputed_with").list.eval(pl.element().is_in(sorted(own))).list.any()
    rows = _pairs(store, domain, theirs).unique("fact_id", keep="first", maintain_order=True)
    return [Dispute(**{name: row[name] for name in Dispute.model_fields}) for row in rows.to_dicts() if row["fact_id"] not in own]


def learned_by(store: ArtifactStore, domain: str, fact_id: str) -> list[LearnedBy]:
    """Return the adapters whose exact training rows are known to hold the fact, oldest first."""
    once, taken_down, found = ReadOnce.over(store), orders(store.root), list[LearnedBy]()
    for row in once.trained_rows(domain).filter(pl.col("fact_id") == fact_id).iter_rows(named=True):
        cell = Cell(*row["cell"].split("|"))
        pointer = once.pointer(cell, row["asset"])
        assert pointer is not None  # its rows were just read
        ref, first = once.read_record(AdapterRef, pointer), once.first_made(pointer)
        found.append(
            LearnedBy(
                adapter_hash=ref.adapter_hash,
                kind=ref.kind,
                cell=str(cell),
                rows=row["rows"],
                rows_hash=ref.rows_hash,
                run_id=first.run_id,
                run_deleted=deleted_run(taken_down, cell, first.made_at),
                retired=stone.takedown if (stone := once.tombstone(ref.adapter_hash)) else "",
            )
        )
    return found


def _rows_gone(store: ReadOnce, domain: str) -> list[UnknownRows]:
    return [UnknownRows(adapter_hash=ref.adapter_hash, kind=ref.kind, cell=str(cell)) for cell, ref in store.rows_gone(domain)]


def _runs(store: ArtifactStore, cell: Cell, answer: dict[str, Any], pair: dict[str, Any] | None) -> list[RunTrace]:
    """Return the runs that wrote the pair, made the adapter that answered, and asked and judged, each in its own iteration.

    No run asked what somebody asked in free words.
    """
    written_in = _written_in(store, cell, pair["qa_id"]) if pair else cell
    judged = "exam_scores" if answer["split"] in EXAM else JUDGED_IN.get(answer["system"], "baseline_scores")
    steps = [(written_in, step) for step in READ]
    trained = _trained_in(store, cell, answer["adapter_hash"])
    steps += trained if answer["split"] == ASKED else [(cell, "probes"), *trained, (cell, judged)]
    steps += [(cell, "promotion")] if answer["system"] not in REFERENCES else []
    pointers = [(where, store.first_made(pointer)) for where, step in steps if (pointer := store.pointer(where, step))]
    taken_down = orders(store.root)
    return [
        RunTrace(
            step=p.asset,
            cell=str(where),
            run_id=p.run_id,
            made_at=p.made_at,
            data_version=p.hash,
            run_deleted=deleted_run(taken_down, where, p.made_at),
        )
        for where, p in pointers
    ]


def _trained_in(store: ArtifactStore, cell: Cell, adapter_hash: str) -> list[tuple[Cell, str]]:
    """Return the steps that made an adapter, in the newest iteration up to this one that trained it; none for the base student."""
    for where in reversed(cells_until(store, cell)) if adapter_hash else ():
        for steps in (("sft_adapter",), ("sft_adapter", "preference_pairs", "dpo_adapter")):
            pointer = store.pointer(where, steps[-1])
            ref = store.read_record(AdapterRef, pointer) if pointer else None
            if ref and ref.trained and ref.adapter_hash == adapter_hash:
                return [(where, step) for step in steps]
    return []


def _written_in(store: ArtifactStore, cell: Cell, qa_id: str) -> Cell:
    """Return the newest iteration, up to this one, in which a pair was accepted; this one where none was."""
    rows = ReadOnce.over(store).rows_of(cell.domain, "qa_pairs")
    accepted = rows.filter((pl.col("qa_id") == qa_id) & pl.col("accepted") & (pl.col("cell") <= str(cell)))["cell"].to_list()
    return Cell(*max(accepted).split("|")) if accepted else cell


def trace_answer(store: ArtifactStore, answer_id: str) -> Trace:
    """Walk from one judged answer to its source (A1).

    Args:
        store: The artifact store.
        answer_id: An id from `judge_scores`, `exam_scores` or the scoreboard, or a unique beginning of it.

    Raises:
        TraceError: There is no such answer.
        StoreError: A table or stored page on the way is damaged or gone.
    """
    return trace_row(store, *find_answer(store, answer_id))


def trace_row(
    store: ArtifactStore,
    cell: Cell,
    answer: dict[str, Any],
    said: Mapping[str, Said] | None = None,
    matched: Mapping[str, str] | None = None,
) -> Trace:
    """Walk from a graded answer at hand (a row of `ANSWER_SCHEMA`) to its source; else as `trace_answer` (A1).

    Args:
        store: The artifact store.
        cell: The answer's iteration.
        answer: The row; one to a question in free words has a `note` that says how its fact was found.
        said: What people said in the domain (`people_said`), for who follows many answers; None reads it.
        matched: The facts that the iteration's exam asks for (`matched_in`), for who follows many of its answers; None looks.
    """
    said, store = people_said(store.root, cell.domain) if said is None else said, ReadOnce.over(store)
    fact = answer["fact_id"]
    examined = answer["split"] in EXAM
    asks_for = (matched_in(store, cell, [answer]) if matched is None else matched).get(answer["probe_id"], "") if examined else ""
    about = fact if answer["split"] in ABOUT_FACTS else asks_for
    rows = _pairs(store, cell.domain, pl.col("fact_id") == about).to_dicts() if about else []
    read = next((row for row in rows if row["quote_start"] is not None), None)  # a rejected pair's quote may stand on no page
    note = ""
    if answer["split"] == UNKNOWN:
        note = (
            f"a question that nobody can answer: a name in it is invented, it was made from pair {pair_of_unknown(fact)}, and the right "
            "answer is not to know; no fact was taught for it"
        )
    elif answer["split"] == ASKED:
        note = answer["note"]
    elif asks_for:
        note = f"fact {asks_for} was matched to the exam's question by its page and words, not by an id"
    elif not rows:
        note = f"a question of the split {answer['split']}: it was written outside the loop, and no page was read for it"
    return Trace(
        answer_id=answer["answer_id"],
        cell=str(cell),
        system=answer["system"],
        split=answer["split"],
        question=answer["question"],
        answer=answer["answer"],
        gold=answer["gold"],
        label=answer["label"],
        error_type=answer["error_type"],
        explanation=answer["explanation"],
        rule_label=answer["rule_label"],
        verdicts=answer["verdicts"],
        adapter_hash=answer["adapter_hash"],
        is_current=answer["system"] != "rag" and answer["adapter_hash"] == (Registry(store.root / "registry").current(cell.domain) or ""),
        shown=passages_shown(store, cells_until(store, cell), answer["context_chunks"] or []),
        probe_id=answer["probe_id"],
        fact_id=fact,
        matched_fact=asks_for,
        topic=answer["topic"] or "",
        pairs=[PairTrace(**{name: row[name] for name in PairTrace.model_fields}) for row in rows],
        source=_source(store, cell.domain, read) if read else None,
        disputes=_disputes(store, cell.domain, rows) if rows else [],
        said=said.get(item_key(answer["question"], answer["gold"], answer["answer"])),
        learned_by=learned_by(store, cell.domain, about) if rows else [],
        rows_gone=_rows_gone(store, cell.domain) if rows else [],
        runs=_runs(store, cell, answer, rows[0] if rows else None),
        note=note,
    )
