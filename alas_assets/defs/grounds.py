"""What an answer to a question in free words rests on, and which taught fact the question is about: both by meaning alone (A1).

Asking the model is `defs.serving`; what kind of wrong an answer is, is `audit.verdict`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from alas_assets.audit.trace import learned_by
from alas_assets.audit.verdict import says
from alas_assets.defs.resources import Alas
from alas_assets.evaluation.grading import grade
from alas_assets.records import Record
from alas_assets.synthesis.wording import mentions
from alas_assets.teachers.protocol import Grade, GradeRequest

NEAREST_FACTS = 3
SAME_SUBJECT = 0.55
"""Cosine between an asked question and a trained one from which on a fact counts as near. It does not tell whether the question is about
the fact: on dense notes nearly every question about one lies as near to another."""


class Support(Record):
    """A pair that an answer rests on."""

    question: str
    answer: str
    quote: str
    url: str
    fact_id: str
    similarity: float = Field(default=0.0, description="cosine with the question that was asked")


Row = dict[str, Any]


@dataclass(frozen=True)
class Grounds:
    """Taught facts that have to do with a question in free words, or with what was answered; each the row of its nearest pair.

    Attributes:
        question: What was asked.
        said: What was answered.
        near: Facts near the question: the current adapter's first, the nearest of them first, those whose answer it names itself last.
        named: Ids of those last ones.
        giving: The nearest of all taught facts that give the answer; None where none does.
        similar: All facts that are near, whether this model was taught them or not, nearest first.
    """

    question: str
    said: str
    near: list[Row]
    named: set[str]
    giving: Row | None
    similar: list[Row]

    @property
    def support(self) -> list[Support]:
        """What to show under the answer: the fact that gives it if it is near, else the nearest."""
        shown = [self.giving] if self.giving in self.near and self.giving else self.near
        return [support_of(row) for row in shown]

    @property
    def note(self) -> str:
        """What is to be said beside them."""
        giving = self.giving
        if giving is None:
            if not self.near:
                return "nothing that was taught is about this; the answer is the model's own"
            return "no taught fact gives this answer; these are the nearest that were taught"
        if giving not in self.near:
            rest = "these are the nearest to the question" if self.near else "nothing that was taught is near the question"
            return f"it is the answer to another taught fact, {giving['question']!r}; {rest}"
        first = self.near[0]
        if giving is not first:
            return (
                f"it is the answer to {giving['question']!r} (similarity {giving['similarity']:.2f}); a taught fact that is nearer says "
                f"otherwise: {first['question']} -> {first['answer']} ({first['similarity']:.2f})"
            )
        return f"whether the question is about this fact is judged by similarity alone ({giving['similarity']:.2f})"

    def about(self, should_be: str) -> Row | None:
        """Return the fact that the question is taken to be about: the nearest, of those that say what is right where that is known.

        It is never chosen by what the model said: the answer to a neighbouring fact would be right by choice.
        """
        if should_be:
            for row in self.similar:
                if row["fact_id"] not in self.named and says(self.question, should_be, row["answer"]):
                    return row
        return self.near[0] if self.near else None

    def label(self, row: Row) -> Grade:
        """Return how the answer is graded against a fact, by rule."""
        return _graded(row, self.question, self.said)


def support_of(row: Row) -> Support:
    """Return a pair as it is shown."""
    return Support(**{name: row[name] for name in Support.model_fields if name in row})


def grounds_of(alas: Alas, domain_key: str, pairs: pl.DataFrame, question: str, current: str | None, said: str) -> Grounds:
    """Look for the taught facts that a question may be about, and for the one that gives the answer.

    Args:
        alas: The resource.
        domain_key: The domain.
        pairs: Its accepted training pairs (`QA_SCHEMA`).
        question: What was asked, in free words.
        current: The adapter that answered; None for the base student.
        said: What it said.
    """
    vectors = np.asarray(alas.embed(alas.domain(domain_key), [question, *pairs["question"].to_list()]))
    ranked = pairs.with_columns(pl.Series("similarity", vectors[1:] @ vectors[0], dtype=pl.Float64)).sort("similarity", descending=True)
    facts = ranked.unique("fact_id", keep="first", maintain_order=True).to_dicts()
    similar = [row for row in facts if row["similarity"] >= SAME_SUBJECT]
    first = similar[: NEAREST_FACTS * 2]
    named = {row["fact_id"] for row in similar if mentions(question, row["answer"])}
    first.sort(key=lambda row: row["fact_id"] in named)
    adapters = {row["fact_id"]: _adapters(alas, domain_key, row) for row in first}
    taught = [row for row in first if current in adapters[row["fact_id"]]]
    before = [row for row in first if row not in taught and adapters[row["fact_id"]]]
    giving = _giving(facts, question, said)
    return Grounds(
        question=question,
        said=said,
        near=(taught + before)[:NEAREST_FACTS],
        named=named,
        giving=next((row for row in giving if _adapters(alas, domain_key, row)), None),
        similar=similar,
    )


def _adapters(alas: Alas, domain_key: str, row: Row) -> set[str]:
    return {by.adapter_hash for by in learned_by(alas.store, domain_key, row["fact_id"])}


def _giving(facts: list[Row], question: str, said: str) -> Iterator[Row]:
    """Yield the facts that give what was said, nearest first; repeating what the question names gives nothing."""
    for row in facts:
        if not mentions(question, row["answer"]) and _graded(row, row["question"], said).label == "correct":
            yield row


def _graded(row: Row, question: str, said: str) -> Grade:
    return grade(GradeRequest(question=question, gold=row["answer"], aliases=row["aliases"], answer_kind=row["answer_kind"], answer=said))
