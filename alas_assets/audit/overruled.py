"""What people rejected or corrected of what was taught, in which iteration, and what is taught in its place (A2, S13).

Tables only. Which of a person's decisions an iteration takes up is `review.earlier`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from pydantic import Field

from alas_assets.provenance import ids
from alas_assets.records import Record
from alas_assets.review.earlier import set_aside_by_word, standing
from alas_assets.review.pairs import EDITED, REPLACED


class Overruled(Record):
    """A person's word that set pairs of one fact aside."""

    cell: str = Field(description="the iteration that took the word up")
    pairs: int = Field(description="how many of the fact's pairs it set aside")
    word: str = Field(description="what was decided, who, when and why")
    instead: list[str] = Field(description="question, answer and fact of each fact that is taught in their place")
    refused: str = Field(default="", description="why curation does not teach what the person put in their place")


@dataclass
class AfterPeople:
    """What is left of facts after all that people said.

    Attributes:
        standing: How many accepted pairs of a fact still hold, by `fact_id`; facts of which none does are not there.
        overruled: What people set aside of a fact and nothing taught again since, oldest first, by `fact_id`.
    """

    standing: Counter[str] = field(default_factory=Counter)
    overruled: dict[str, list[Overruled]] = field(default_factory=dict)


def after_people(pairs: pl.DataFrame) -> AfterPeople:
    """Return what people's decisions left of facts.

    Args:
        pairs: All pairs on these facts' pages (`QA_SCHEMA` and a `cell`), each domain's oldest iteration first: what a person put in a
            fact's place cites the same page.
    """
    left = AfterPeople()
    for domain in pairs.with_columns(domain=pl.col("cell").str.split("|").list.first()).partition_by("domain", maintain_order=True):
        tables = domain.drop("domain").partition_by("cell", maintain_order=True)
        holds = pl.concat([table.filter("accepted") for table in standing(tables)])
        left.standing.update(holds["fact_id"].to_list())
        found: dict[str, list[Overruled]] = {}
        for table in reversed(tables):  # so that what became of a correction is known before what it corrected is looked at
            for fact, words in _overruled_in(table, holds, found).items():
                found.setdefault(fact, [])[:0] = words
        for fact, words in found.items():
            left.overruled.setdefault(fact, []).extend(words)
    return left


def _overruled_in(table: pl.DataFrame, holds: pl.DataFrame, later: Mapping[str, Sequence[Overruled]]) -> dict[str, list[Overruled]]:
    """Return what one iteration set aside by word of people, by `fact_id`; pairs that hold all the same are left out."""
    standing_pairs = set(holds["qa_id"])
    # A pair that is drafted again beside the one set aside leaves that one another id, so both are looked for.
    lost = [{row["qa_id"], ids.qa_id(row["fact_id"], row["question"])} for row in set_aside_by_word(table).iter_rows(named=True)]
    aside = set_aside_by_word(table).filter(pl.Series([standing_pairs.isdisjoint(names) for names in lost], dtype=pl.Boolean))
    words: dict[str, list[Overruled]] = {}
    for rows in aside.partition_by("fact_id", "review", maintain_order=True):
        first = rows.row(0, named=True)
        edited = _put_in_place(table, rows)
        taught = edited.filter("accepted").unique("fact_id", maintain_order=True)
        words.setdefault(first["fact_id"], []).append(
            Overruled(
                cell=first["cell"],
                pairs=rows.height,
                word=first["review"],
                instead=[text for row in taught.iter_rows(named=True) for text in _taught_now(row, holds, later)],
                refused="" if taught.height else "; ".join(edited["reason"].unique(maintain_order=True)),
            )
        )
    return words


def _put_in_place(table: pl.DataFrame, aside: pl.DataFrame) -> pl.DataFrame:
    """Return the edited pairs that replace those set aside: of the same fact, or of another on the page that is asked in the same words."""
    if not aside["reason"].str.starts_with(REPLACED).all():
        return table.clear()
    by_word = set_aside_by_word(table)["qa_id"].to_list()
    edited = table.filter(
        pl.col("review").str.starts_with(EDITED) & (pl.col("page_id") == aside["page_id"][0]) & ~pl.col("qa_id").is_in(by_word)
    )
    asked_alike = edited.filter(pl.col("question").is_in(aside["question"].to_list()))["fact_id"]
    return edited.filter(pl.col("fact_id").is_in([*asked_alike, aside["fact_id"][0]]))


def _taught_now(row: Mapping[str, Any], holds: pl.DataFrame, later: Mapping[str, Sequence[Overruled]]) -> list[str]:
    """Return what was put in a fact's place in words if it stands, else what stands in that one's place by now."""
    if row["fact_id"] in holds["fact_id"]:
        return [f"{row['question']} -> {row['answer']} (fact {row['fact_id']})"]
    return [text for word in later.get(row["fact_id"], []) for text in word.instead]
