"""Sheets for people: what of a domain is put to them, and what becomes of what they decide (E6, S13). The work is in `review`.

Reading answers and pairs, and the check of edits; nothing here trains, judges or changes a cell: `alas run` does that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

import polars as pl

from alas_assets.defs.documents import chunks_of
from alas_assets.defs.earlier import cited_by, corrections_of, retired_facts
from alas_assets.defs.lineage import last_opened, taught_before
from alas_assets.defs.qa import guards_of, neighbours_of
from alas_assets.defs.resources import Alas
from alas_assets.defs.revision import graded_answers, human_agreement, scored_cells
from alas_assets.provenance.ids import short_id
from alas_assets.provenance.store import Cell, Pointer
from alas_assets.records import QA_SCHEMA, Curriculum, Seed, as_pairs
from alas_assets.retrieval.study import with_found_pages
from alas_assets.review import answers as answer_sheets
from alas_assets.review import pairs as pair_sheets
from alas_assets.review.earlier import standing, still_taught, works_on_earlier
from alas_assets.review.journal import Journal, ReviewError
from alas_assets.review.sheet import Line, Problems, SheetError, columns_of, read_sheet, write_sheet
from alas_assets.students.tokens import TokenCounter
from alas_assets.synthesis.curate import Limits, curate


@dataclass(frozen=True)
class Exported:
    """What went into a sheet.

    Attributes:
        file: The sheet.
        rows: Its rows.
        of: How many there were to choose from: different graded answers, or pairs.
        cell: Where they are from.
    """

    file: Path
    rows: int
    of: int
    cell: Cell


@dataclass(frozen=True)
class Imported:
    """What was read back.

    Attributes:
        what: Answers or pairs.
        decided: How many rows a person decided on.
        blank: How many rows were left open.
        hash: Content hash of the import.
        new: Whether it was not the last import already.
        lines: What follows from it, in sentences.
    """

    what: str
    decided: int
    blank: int
    hash: str
    new: bool
    lines: tuple[str, ...] = ()


def export_answers(alas: Alas, domain: str, file: Path | None, *, share: float, seed: int | None, show_judge: bool) -> Exported:
    """Write a sample of the newest judged iteration's answers for a person to grade.

    Raises:
        ReviewError: There is nothing to grade yet.
        SheetError: The file exists or cannot be written.
    """
    cells = scored_cells(alas, domain)
    if not cells:
        raise ReviewError(f"no iteration of {domain} has been judged yet; run `alas run {domain}` first")
    table = graded_answers(alas, cells[-1])
    sample = answer_sheets.draw(table, share, alas.domain(domain).seed if seed is None else seed)
    path = file or Path(f"{domain}-{cells[-1].iteration}-answers.csv")
    columns = (*answer_sheets.COLUMNS, *(answer_sheets.JUDGE_COLUMNS if show_judge else ()))
    write_sheet(path, columns, answer_sheets.sheet_rows(sample, show_judge))
    return Exported(path, sample.height, answer_sheets.draw(table, 1.0, 0).height, cells[-1])


def export_pairs(
    alas: Alas, domain: str, file: Path | None, *, share: float, seed: int | None, rejected: bool, iteration: int | None = None
) -> Exported:
    """Write pairs of an iteration for a person to approve, edit or reject; a share takes whole facts.

    Args:
        alas: The resource.
        domain: The domain's key.
        file: The sheet; None: named after domain and iteration, here.
        share: How many facts, as a fraction.
        seed: Draws them; None: the domain's.
        rejected: Rejected pairs too; of the newest iteration only, since no earlier one is made again.
        iteration: Whose; None: the newest's. Of an earlier one, the pairs that are still taught.

    Raises:
        ReviewError: There are no pairs yet, or none to decide on.
        SheetError: The file exists or cannot be written.
    """
    pairs = _decidable(alas, domain)
    cell = pairs.newest if iteration is None else Cell.of(domain, iteration)
    own = pairs.of(cell)
    offered = pair_sheets.reviewable(own, rejected and cell == pairs.newest)
    if offered.is_empty():
        raise ReviewError(
            f"iteration {cell.iteration} of {domain} has no pair that is taught; `alas scoreboard {domain}` lists its iterations"
        )
    drawn = alas.domain(domain).seed if seed is None else seed
    facts = sorted(offered["fact_id"].unique(), key=lambda fact: short_id("review", str(drawn), fact))
    chosen = offered.filter(pl.col("fact_id").is_in(facts[: ceil(share * len(facts))]))
    path = file or Path(f"{domain}-{cell.iteration}-pairs.csv")
    write_sheet(path, pair_sheets.COLUMNS, pair_sheets.sheet_rows(chosen))
    return Exported(path, chosen.height, offered.height, cell)


def import_sheet(alas: Alas, domain: str, file: Path, by: str) -> Imported:
    """Read a sheet back, all of it or nothing; which kind it is its columns say.

    Raises:
        ReviewError: What it refers to is not there.
        SheetError: Something in it cannot be used; the message names every row and column.
    """
    kinds = {"label": (answer_sheets.COLUMNS, _import_answers), "decision": (pair_sheets.COLUMNS, _import_pairs)}
    present = [column for column in kinds if column in columns_of(file)]
    if len(present) != 1:
        raise SheetError(f"{file}: row 1: is no sheet of `alas review export`: it needs a column label (answers) or decision (pairs)")
    columns, read = kinds[present[0]]
    required = [name for name in columns if name not in ("comment", "error_type", "should_be", "role", "topic", "url", "status", "review")]
    return read(alas, domain, file, by, read_sheet(file, required))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _import_answers(alas: Alas, domain: str, file: Path, by: str, lines: list[Line]) -> Imported:
    def find(answer_ids: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        wanted = list(answer_ids)
        found = {}
        for cell in scored_cells(alas, domain):
            rows = graded_answers(alas, cell).filter(pl.col("answer_id").is_in(wanted))
            found.update((row["answer_id"], row) for row in rows.iter_rows(named=True))
        return found

    rows, blank = answer_sheets.read_labels(lines, find, file)
    if not rows:
        raise SheetError(f"{file}: column label is empty in every row; write correct, partial or incorrect")
    digest, new = Journal(alas.store.root, domain).add("answers", rows, by=by, at=_now())
    return Imported("answers", len(rows), blank, digest, new, tuple(human_agreement(alas, domain)))


@dataclass(frozen=True)
class _Decidable:
    """The pairs that a person can decide on.

    Attributes:
        newest: The newest iteration, whose decisions are carried out by making it again.
        own: All its pairs (`QA_SCHEMA`).
        earlier: What iterations before it taught and nobody has rejected or corrected since.
        tables: Those iterations, each with its pairs as they stand now, oldest first.
    """

    newest: Cell
    own: pl.DataFrame
    earlier: pl.DataFrame
    tables: list[tuple[Cell, pl.DataFrame]]

    def taught_before(self) -> frozenset[str]:
        """Return the pairs (`qa_id`) that earlier iterations taught and the newest does not."""
        return frozenset(self.earlier["qa_id"]) - frozenset(self.own.filter("accepted")["qa_id"])

    def of(self, cell: Cell) -> pl.DataFrame:
        """Return the pairs of one iteration that can be decided on."""
        if cell == self.newest:
            return self.own
        return next((table.filter("accepted") for one, table in self.tables if one == cell), QA_SCHEMA.to_frame())

    @property
    def all(self) -> pl.DataFrame:
        """All of them; a pair of the newest iteration as that one has it, unless it is rejected there for being taught already."""
        return pl.concat([self.own, self.earlier]).sort("accepted", descending=True, maintain_order=True).unique("qa_id", keep="first")


def _decidable(alas: Alas, domain: str) -> _Decidable:
    newest = last_opened(alas, domain)
    pointer = alas.store.pointer(newest, "qa_pairs") if newest else None
    if newest is None or pointer is None:
        raise ReviewError(f"the newest iteration of {domain} has no pairs yet; run `alas run {domain} --dry-run` first")
    own = as_pairs(alas.store.read_table(pointer))
    seed, documents = alas.store.read_record(Seed, _made(alas, newest, "curriculum_seed")), _made(alas, newest, "documents")
    retired = retired_facts(alas, seed, alas.store.read_table(documents))
    cells = [cell for cell in taught_before(alas, newest) if alas.store.pointer(cell, "qa_pairs")]
    tables = [as_pairs(alas.store.read_table(_made(alas, cell, "qa_pairs"))) for cell in cells]
    stand = [table.filter(~pl.col("fact_id").is_in(list(retired))) for table in standing([*tables, own])[:-1]]
    return _Decidable(newest, own, still_taught(stand), list(zip(cells, stand, strict=True)))


def _made(alas: Alas, cell: Cell, asset: str) -> Pointer:
    pointer = alas.store.pointer(cell, asset)
    if pointer is None:
        raise ReviewError(f"{asset} of {cell} is not there; run `alas run {cell.domain} --dry-run` first")
    return pointer


def _import_pairs(alas: Alas, domain: str, file: Path, by: str, lines: list[Line]) -> Imported:
    pairs = _decidable(alas, domain)
    decisions, places, blank = pair_sheets.read_decisions(lines, pairs.all, file)
    if not decisions:
        raise SheetError(f"{file}: column decision is empty in every row; write {', '.join(pair_sheets.DECISIONS)}")
    problems, before = Problems(file), pairs.taught_before()
    for place, decision in zip(places, decisions, strict=True):
        if decision.qa_id in before and decision.decision == "edit" and not works_on_earlier(decision):
            problems.add(
                place,
                "decision",
                "is edit, but the answer is as it was: of a pair that an earlier iteration taught only the answer can be edited; "
                "a wrong question can be rejected",
            )
    problems.refuse()
    for i, reason in _refused(alas, pairs, decisions).items():
        problems.add(places[i], "question" if decisions[i].new_question else "answer", f"the edited pair is refused: {reason}")
    problems.refuse()
    rows = [decision.model_dump(exclude={"by", "at"}) for decision in decisions]
    digest, new = Journal(alas.store.root, domain).add("pairs", rows, by=by, at=_now())
    counted = ", ".join(f"{n} {word}" for word in pair_sheets.DECISIONS if (n := sum(d.decision == word for d in decisions)))
    follows = f"{counted}; the pairs of {pairs.newest} and what was trained on them are made again by: alas run {domain}"
    old = [decision for decision in decisions if decision.qa_id in before]
    changing = sum(works_on_earlier(decision) for decision in old)
    told = [follows]
    if changing:
        told.append(
            f"{changing} on pairs of earlier iterations: that same run rehearses and asks them no more, and teaches corrected facts anew"
        )
    if changing < len(old):
        told.append(f"{len(old) - changing} approve pairs of earlier iterations, which stay as they are")
    return Imported("pairs", len(decisions), blank, digest, new, tuple(told))


def _refused(alas: Alas, pairs: _Decidable, decisions: list[pair_sheets.Decision]) -> dict[int, str]:
    """Curate the edited facts by themselves; caps and other sources' word are settled when all pairs are made again."""
    if not any(decision.decision == "edit" for decision in decisions):
        return {}
    cell = pairs.newest
    domain, chunks = alas.domain(cell.domain), chunks_of(alas, cell)
    topics = alas.store.read_record(Curriculum, _made(alas, cell, "curriculum")).topics
    before = pairs.taught_before()
    here, there = ([one for one in decisions if (one.qa_id in before) == of_before] for of_before in (False, True))
    earlier, corrected = [table for _, table in pairs.tables], [decision.fact_id for decision in there]
    corrections = corrections_of(alas, cell, earlier, there, ())
    cited = cited_by(alas, cell, pairs.own.filter(pl.col("fact_id").is_in([decision.fact_id for decision in here])))
    everything = pl.concat([chunks, cited.chunks, corrections.chunks]).unique("chunk_id", keep="first", maintain_order=True)
    own = pair_sheets.under_review(pair_sheets.drafts_again(pairs.own, here), everything, here)
    reviewed = own.and_also(corrections.reviewed)
    found = with_found_pages(topics, alas.store.read_table(_made(alas, cell, "documents")))
    curated = curate(
        reviewed.drafts,
        [],
        everything,
        list({topic.topic_id: topic for topic in (*cited.topics, *corrections.topics, *found)}.values()),
        [*guards_of(alas, domain), *neighbours_of(alas, domain)],
        count_tokens=TokenCounter(alas.student(domain).folder).count,
        teacher="",
        iteration=cell.number,
        limits=Limits(facts_per_topic=max(1, len(reviewed.drafts))),
        earlier_qa=[table.with_columns(pl.col("accepted") & ~pl.col("fact_id").is_in(corrected)) for table in earlier],
    )
    return pair_sheets.refused_edits(reviewed, curated, decisions, everything)
