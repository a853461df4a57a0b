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
from alas_assets.defs.lineage import last_opened
from alas_assets.defs.qa import earlier_tables, guards_of, neighbours_of
from alas_assets.defs.resources import Alas
from alas_assets.defs.revision import graded_answers, human_agreement, scored_cells
from alas_assets.provenance.ids import short_id
from alas_assets.provenance.store import Cell
from alas_assets.records import Curriculum, Seed, as_pairs
from alas_assets.retrieval.study import with_found_pages
from alas_assets.review import answers as answer_sheets
from alas_assets.review import pairs as pair_sheets
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


def export_pairs(alas: Alas, domain: str, file: Path | None, *, share: float, seed: int | None, rejected: bool) -> Exported:
    """Write pairs of the newest iteration for a person to approve, edit or reject; a share takes whole facts.

    Raises:
        ReviewError: There are no pairs yet.
        SheetError: The file exists or cannot be written.
    """
    cell, pairs = _newest_pairs(alas, domain)
    offered = pair_sheets.reviewable(pairs, rejected)
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


def _newest_pairs(alas: Alas, domain: str) -> tuple[Cell, pl.DataFrame]:
    cell = last_opened(alas, domain)
    pointer = alas.store.pointer(cell, "qa_pairs") if cell else None
    if cell is None or pointer is None:
        raise ReviewError(f"the newest iteration of {domain} has no pairs yet; run `alas run {domain} --dry-run` first")
    return cell, as_pairs(alas.store.read_table(pointer))


def _import_pairs(alas: Alas, domain: str, file: Path, by: str, lines: list[Line]) -> Imported:
    cell, pairs = _newest_pairs(alas, domain)
    decisions, places, blank = pair_sheets.read_decisions(lines, pairs, file)
    if not decisions:
        raise SheetError(f"{file}: column decision is empty in every row; write {', '.join(pair_sheets.DECISIONS)}")
    problems = Problems(file)
    for i, reason in _refused(alas, cell, pairs, decisions).items():
        problems.add(places[i], "question" if decisions[i].new_question else "answer", f"the edited pair is refused: {reason}")
    problems.refuse()
    rows = [decision.model_dump(exclude={"by", "at"}) for decision in decisions]
    digest, new = Journal(alas.store.root, domain).add("pairs", rows, by=by, at=_now())
    counted = ", ".join(f"{n} {word}" for word in pair_sheets.DECISIONS if (n := sum(d.decision == word for d in decisions)))
    follows = f"{counted}; the pairs of {cell} and what was trained on them are made again by: alas run {domain}"
    return Imported("pairs", len(decisions), blank, digest, new, (follows,))


def _refused(alas: Alas, cell: Cell, pairs: pl.DataFrame, decisions: list[pair_sheets.Decision]) -> dict[int, str]:
    """Curate the edited facts by themselves; caps and other sources' word are settled when all pairs are made again."""
    if not any(decision.decision == "edit" for decision in decisions):
        return {}
    domain, chunks = alas.domain(cell.domain), chunks_of(alas, cell)
    pointers = {asset: alas.store.pointer(cell, asset) for asset in ("curriculum", "documents", "curriculum_seed")}
    missing = [asset for asset, pointer in pointers.items() if pointer is None]
    if missing:
        raise ReviewError(f"{missing[0]} of {cell} is not there; run `alas run {cell.domain} --dry-run` first")
    found = {asset: pointer for asset, pointer in pointers.items() if pointer is not None}
    seed = alas.store.read_record(Seed, found["curriculum_seed"])
    topics = alas.store.read_record(Curriculum, found["curriculum"]).topics
    reviewed = pair_sheets.under_review(pair_sheets.drafts_again(pairs, decisions), chunks, decisions)
    curated = curate(
        reviewed.drafts,
        [],
        chunks,
        with_found_pages(topics, alas.store.read_table(found["documents"])),
        [*guards_of(alas, domain), *neighbours_of(alas, domain)],
        count_tokens=TokenCounter(alas.student(domain).folder).count,
        teacher="",
        iteration=cell.number,
        limits=Limits(facts_per_topic=max(1, len(reviewed.drafts))),
        earlier_qa=earlier_tables(alas, seed.inherited.qa_hashes, "qa_pairs"),
    )
    return pair_sheets.refused_edits(reviewed, curated, decisions, chunks)
