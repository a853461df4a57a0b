"""Which decisions on pairs an iteration took up, read from what its pairs say of people's words (S13).

Tables and words only. How a decision is carried out is `review.pairs`'; what becomes of those that none took up is `review.overview`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alas_assets.provenance import ids
from alas_assets.provenance.redaction import redact
from alas_assets.review.pairs import EDITED, REJECTED, REPLACED, Decision, approval_of, word_of
from alas_assets.review.wording import words_of
from alas_assets.synthesis.wording import clean


def carried_out(decisions: Sequence[Decision], said: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]]) -> list[Decision]:
    """Return the decisions that an iteration took up: a pair of it says so.

    Args:
        decisions: What people decided (`decisions_of`).
        said: The iteration's pairs that have a `review` (`QA_SCHEMA`).
        known: These, and the pairs of the iterations before it: an edit may lead to a fact that one of them taught.
    """
    there = [one for one in decisions if _made_of(one, known)]
    by_id = {one.qa_id: {row["qa_id"] for row in said if _says(row, one) and is_pair_of(one, row)} for one in there}
    # Where another decision changed the fact first, the pair was set aside for that one, and its wording under the new fact for this one.
    replaced = [row for row in said if row["reason"].startswith(REPLACED)]
    claimed = {qa_id for qa_ids in by_id.values() for qa_id in qa_ids}
    elsewhere = {(row["review"], ids.fold(row["question"] or "")) for row in said if row["qa_id"] not in claimed}
    return [
        one
        for one in there
        if by_id[one.qa_id]
        or (
            one.decision != "approve"
            and (word_of(one), ids.fold(clean(one.question))) in elsewhere
            and any(is_pair_of(one, row) for row in replaced)
        )
    ]


def _made_of(decision: Decision, known: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether what an edit makes of a pair is there: one who edits a fact twice on a day sets it aside in the same words twice."""
    wanted = {"question": decision.new_question, "answer": decision.new_answer}
    kept = {name: as_kept(value) for name, value in wanted.items() if value}
    return all(any(value == row[name] for row in known) for name, value in kept.items())


def as_kept(text: str) -> str:
    """Return a person's words as curation keeps them."""
    return redact(ids.fold(clean(text)))


def is_pair_of(decision: Decision, row: Mapping[str, Any]) -> bool:
    """Tell whether a row is the pair that was decided on, under another id too: one set aside has it where the pair was drafted again."""
    return decision.qa_id in (row["qa_id"], ids.qa_id(row["fact_id"], row["question"] or ""))


def _says(row: Mapping[str, Any], decision: Decision) -> bool:
    if decision.decision == "approve":
        return row["review"] == approval_of(decision)
    only_aliases = decision.decision == "edit" and not (decision.new_answer or decision.new_question)
    if not only_aliases:
        return row["review"] == word_of(decision)
    return _edited_by(decision, row) and {*row["aliases"]} == {as_kept(alias) for alias in decision.new_aliases or []}


def _edited_by(decision: Decision, row: Mapping[str, Any]) -> bool:
    """Tell whether a pair stands as this person edited it that day; what it was before is said behind that, and may be cut short."""
    return row["review"].startswith(words_of(redact(f"{EDITED}{decision.who}:"))) and not row["reason"].startswith((REJECTED, REPLACED))


def why_refused(decision: Decision, rows: Iterable[Mapping[str, Any]]) -> str:
    """Return why curation does not teach what a decision made of a pair; "" where it does, or where that is no edit.

    Args:
        decision: A decision that an iteration took up.
        rows: The iteration's pairs that have a `review` (`QA_SCHEMA`).
    """
    name, value = ("answer", decision.new_answer) if decision.new_answer else ("question", decision.new_question or decision.question)
    made = [row for row in rows if decision.decision == "edit" and _edited_by(decision, row) and row[name] == as_kept(value)]
    return "" if not made or any(row["accepted"] for row in made) else made[0]["reason"]
