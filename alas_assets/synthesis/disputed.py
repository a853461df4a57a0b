"""What pair tables say for and against: earlier claims, which facts were taught once and lose a dispute, whether they stand again (R7).

What contradicts what is `synthesis.contradiction`'s, who wins `synthesis.consensus`'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import polars as pl

from alas_assets.records import as_pairs
from alas_assets.synthesis.claims import Claim, Finding, place_of

DISPUTED = "disputed: "
"""How the reason starts why a fact is not taught that other pages contradict."""


def says(table: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs of a table that are evidence of what their page says: accepted, or refused because pages disagree.

    One whose other side a takedown removed is disputed no more.
    """
    return table.filter(pl.col("accepted") | _is_disputed()) if "disputed_with" in table.columns else table.filter("accepted")


def earlier_claims(tables: Sequence[pl.DataFrame], retired: Set[str] = frozenset()) -> list[Claim]:
    """Return what earlier pair tables say, oldest first, without what its page states no more.

    That is their accepted facts, and those that a dispute kept out: what two pages disagree on is settled by neither being left out.
    """
    found: dict[str, Claim] = {}
    for table in tables:
        for (fact_id,), rows in says(table).group_by("fact_id", maintain_order=True):
            row = rows.row(0, named=True)
            if fact_id in retired:
                continue
            questions = tuple(rows["question"])
            found[str(fact_id)] = Claim(
                fact_id=str(fact_id),
                page=row["page_id"],
                quote=row["quote"],
                answer=row["answer"],
                aliases=tuple(row["aliases"] or ()),
                kind=row["answer_kind"],
                questions=questions,
                place=place_of(row["quote"], questions, row["topic"] or ""),
            )
    return list(found.values())


def lost_since(tables: Sequence[pl.DataFrame], retired: Set[str] = frozenset()) -> frozenset[str]:
    """Return the facts that were accepted once and that a dispute set aside since (R7).

    A fact stands again where a later iteration accepts it, or where nothing that spoke against it is left: its page states it no
    more, a person rejected it, or it was taken down.

    Args:
        tables: Pair tables of a domain's iterations (`QA_SCHEMA`), oldest first.
        retired: Facts that their page states no more.
    """
    taught: set[str] = set()
    said: set[str] = set()
    against: dict[str, set[str]] = {}
    for table in map(says, map(as_pairs, tables)):
        disputed = table.filter(_is_disputed()).select("fact_id", "disputed_with").iter_rows()
        against |= {fact: set(others) for fact, others in disputed if fact in taught}
        accepted = set(table.filter("accepted")["fact_id"])
        against = {fact: others for fact, others in against.items() if fact not in accepted}
        taught |= accepted
        said.update(table["fact_id"])
    return frozenset(fact for fact, others in against.items() if others & said - retired)


def _is_disputed() -> pl.Expr:
    disagrees = pl.col("disputed_with").list.len().fill_null(0) > 0
    return ~pl.col("accepted") & pl.col("reason").fill_null("").str.starts_with(DISPUTED) & disagrees


def lost_rows(
    lost: Mapping[str, Finding], earlier_qa: Sequence[pl.DataFrame], retired: Set[str], iteration: int
) -> Iterator[dict[str, Any]]:
    """Yield the pairs of earlier facts that lose a dispute from now on, refused with that reason: `lost_since` reads it from them."""
    if not lost:
        return
    before = lost_since(earlier_qa, retired)
    latest: dict[str, pl.DataFrame] = {}
    for table in earlier_qa:
        for (fact_id,), rows in table.filter("accepted").group_by("fact_id", maintain_order=True):
            latest[str(fact_id)] = rows
    for fact_id in sorted((lost.keys() & latest.keys()) - before):
        finding = lost[fact_id]
        said = {"accepted": False, "reason": finding.reason, "disputed_with": list(finding.disputed_with), "support": finding.support}
        yield from ({**row, **said, "iteration": iteration, "review": ""} for row in latest[fact_id].iter_rows(named=True))
