"""What people decided in a domain and what became of it, gathered for `alas review list` and `alas status`.

Read from the store as it is; how a decision's fate is told is `review.overview`'s.
"""

from functools import partial

import polars as pl

from alas_assets.audit.reading import ReadOnce
from alas_assets.audit.trace import ANSWER_TABLES
from alas_assets.defs.earlier import corrections_of, stored_text
from alas_assets.defs.lineage import cannot_go_on, closed_because, last_opened, made_cells, revised, taught_before
from alas_assets.defs.resources import Alas
from alas_assets.defs.retraining import waiting
from alas_assets.provenance.store import Cell
from alas_assets.records import WRONG_SCHEMA, as_pairs
from alas_assets.review.earlier import standing
from alas_assets.review.journal import Journal
from alas_assets.review.overview import Made, OnRecord, answers_on_record, pairs_on_record
from alas_assets.review.pairs import decisions_of, every_decision
from alas_assets.synthesis.standing import latest_texts, no_longer_stated
from alas_assets.wording import counted


def decisions_on_record(alas: Alas, domain: str) -> list[OnRecord]:
    """Return every decision of people in a domain, pairs before answers, each oldest first.

    Raises:
        ReviewError: What they decided is damaged.
        StoreError: A table that they decided on is damaged or gone.
    """
    root, journal = alas.store.root, Journal(alas.store.root, domain)
    found: list[OnRecord] = []
    if decisions := every_decision(root, domain):
        found += pairs_on_record(domain, decisions, _made(alas, domain))
    if journal.imports("answers") or journal.imports("reports"):
        once, newest = ReadOnce.over(alas.store), last_opened(alas, domain)
        answers = pl.concat([once.rows_of(domain, asset) for asset in ANSWER_TABLES])
        made = [(cell, pointer) for cell in made_cells(alas, domain) if (pointer := once.pointer(cell, "wrong_answers"))]
        lists = [once.read_table(pointer).with_columns(cell=pl.lit(str(cell))) for cell, pointer in made]
        listed = pl.concat([pl.DataFrame(schema={**WRONG_SCHEMA, "cell": pl.String}), *lists], how="diagonal_relaxed")
        found += answers_on_record(root, domain, answers, listed, newest.iteration if newest else "")
    return found


def _made(alas: Alas, domain: str) -> Made:
    """Read the pairs of a domain's iterations as the next `alas run` finds them."""
    upcoming, store = _upcoming(alas, domain), alas.store
    made = [(cell, pointer) for cell in made_cells(alas, domain) if (pointer := store.pointer(cell, "qa_pairs"))]
    tables = {cell.iteration: as_pairs(store.read_table(pointer)) for cell, pointer in made}
    before = taught_before(alas, upcoming)
    earlier = [tables[cell.iteration] for cell in before if cell.iteration in tables]
    readings = [store.read_table(pointer) for cell in (*before, upcoming) if (pointer := store.pointer(cell, "documents"))]
    retired = no_longer_stated(earlier, latest_texts(readings), partial(stored_text, alas))
    return Made(
        tables=tables,
        counting=[cell.iteration for cell in (*before, upcoming)],
        upcoming=upcoming.iteration,
        retired=retired,
        corrections=corrections_of(alas, upcoming, standing(earlier), decisions_of(store.root, domain), retired).reviewed,
        ended_by_takedown=frozenset(cell.iteration for cell, _ in made if cannot_go_on(closed_because(alas, cell) or "")),
    )


def _upcoming(alas: Alas, domain: str) -> Cell:
    """Return the iteration that `alas run` makes next: the newest anew, or one that it opens since the newest cannot take anything up."""

    newest = last_opened(alas, domain)
    if newest is None:
        return Cell.of(domain, 0)
    follows = closed_because(alas, newest) is not None or (revised(alas, newest) and bool(waiting(alas, domain)))
    return Cell.of(domain, newest.number + 1) if follows else newest


def waiting_note(alas: Alas, domain: str) -> str:
    """Say how many decisions wait in a domain and what takes them up; "" where none does.

    Args:
        alas: The resource.
        domain: The domain's key.

    Raises:
        ReviewError: What people decided is damaged.
        StoreError: A table that they decided on is damaged or gone.
    """
    waits = [one for one in decisions_on_record(alas, domain) if one.state == "waits"]
    if not waits:
        return ""
    commands = " or ".join(f"`{command}`" for command in dict.fromkeys(one.command for one in waits))
    wait, takes = ("waits", "it") if len(waits) == 1 else ("wait", "them")
    return (
        f"{domain}: {counted(len(waits), 'decision')} of people {wait}: {commands} takes {takes} up, "
        f"`alas review list {domain}` shows {takes}"
    )
