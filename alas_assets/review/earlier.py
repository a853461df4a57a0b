"""A person's word on pairs that earlier iterations taught: which hold no more, and which corrected facts are taught anew (S13, A1).

Tables and drafts only. What becomes of a fresh draft is `review.pairs`'; where earlier tables lie, `defs.qa`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

import polars as pl

from alas_assets.records import QA_SCHEMA, DraftFact
from alas_assets.review.pairs import REJECTED, REPLACED, Decision, Reviewed, drafts_again, under_review, word_of
from alas_assets.synthesis.passages import Passages


def standing(tables: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Return pair tables in which what a person rejected or corrected later is accepted no more, with that reason and name.

    A pair that was accepted again after that stands.

    Args:
        tables: Pair tables of a domain's iterations (`QA_SCHEMA`), oldest first.
    """
    words: dict[str, tuple[str, str]] = {}
    adjusted: list[pl.DataFrame] = []
    for table in reversed(tables):
        adjusted.append(_without(table, words))
        for qa_id in table.filter("accepted")["qa_id"]:
            words.pop(qa_id, None)
        words |= {qa_id: (reason, review) for qa_id, reason, review in _said(table).iter_rows()}
    return adjusted[::-1]


def overruled(tables: Sequence[pl.DataFrame]) -> frozenset[str]:
    """Return the pairs (`qa_id`) that were accepted once and, by a later word of a person, are no more."""
    return frozenset(_accepted(tables) - _accepted(standing(tables)))


def still_taught(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the pairs that hold after all that people said, each as its newest iteration has it (`QA_SCHEMA`)."""
    rows = [table.filter("accepted") for table in reversed(standing(tables))]
    return pl.concat([QA_SCHEMA.to_frame(), *rows]).unique("qa_id", keep="first", maintain_order=True)


def works_on_earlier(decision: Decision) -> bool:
    """Tell whether a decision can change a pair that an earlier iteration taught: rejecting it, or giving its fact another answer."""
    return decision.decision in ("reject", "reject fact") or decision.new_answer != ""


def on_earlier(decisions: Iterable[Decision], taught: pl.DataFrame, tables: Sequence[pl.DataFrame]) -> list[Decision]:
    """Return the decisions that earlier iterations' pairs still wait for; each is carried out once.

    Args:
        decisions: What people decided (`decisions_of`).
        taught: The pairs that earlier iterations taught and that hold so far (`still_taught`).
        tables: Those iterations' pairs (`QA_SCHEMA`), which say what was carried out.
    """
    there = set(taught["qa_id"])
    done = {(qa_id, review) for table in tables for qa_id, _, review in _said(table).iter_rows()}
    return [
        decision
        for decision in decisions
        if works_on_earlier(decision) and decision.qa_id in there and (decision.qa_id, word_of(decision)) not in done
    ]


def corrected(taught: pl.DataFrame, chunks: pl.DataFrame, waiting: Sequence[Decision], decisions: Sequence[Decision]) -> Reviewed:
    """Apply decisions to earlier pairs: what was rejected or corrected is set aside, facts with another answer are drafted anew.

    What else such a fact was asked by stays as it was taught and is no draft, unless too little of it is left to teach and to ask by.

    Args:
        taught: The pairs that hold so far (`still_taught`).
        chunks: The passages that they cite (`CHUNK_SCHEMA`).
        waiting: The decisions that `on_earlier` returned.
        decisions: All that people decided; what was said of a corrected fact since holds too.
    """
    passages, before = Passages.of(chunks), set(taught["fact_id"])
    applied = [decision for decision in decisions if decision in waiting or decision.fact_id not in before]
    reviewed = under_review(drafts_again(taught, waiting), chunks, applied)
    last = {decision.fact_id: decision for decision in waiting}
    drafts, unchanged = [], dict[str, DraftFact]()
    for draft in reviewed.drafts:
        fact_id = passages.fact_id(draft)
        if fact_id not in last:
            drafts.append(draft)
        elif {"train", "probe"} <= {phrasing.role for phrasing in draft.phrasings}:
            unchanged[fact_id] = draft
        else:
            reviewed.set_aside.append(draft)
            reviewed.refusals.append((f"{REJECTED}: too few wordings are left", word_of(last[fact_id])))
    return _without_unchanged(reviewed, drafts, unchanged, passages)


def _without_unchanged(reviewed: Reviewed, drafts: list[DraftFact], unchanged: Mapping[str, DraftFact], passages: Passages) -> Reviewed:
    """Return what was reviewed with these drafts; wordings that were set aside on the way and stand in the end stay as they were taught."""
    aside: list[DraftFact] = []
    refusals: list[tuple[str, str]] = []
    for draft, refusal in zip(reviewed.set_aside, reviewed.refusals, strict=True):
        kept = unchanged.get(passages.fact_id(draft))
        texts = {phrasing.text for phrasing in kept.phrasings} if kept else set[str]()
        left = [phrasing for phrasing in draft.phrasings if phrasing.text not in texts]
        if left:
            aside.append(draft.model_copy(update={"phrasings": left}))
            refusals.append(refusal)
    return Reviewed(drafts, aside, reviewed.approvals, refusals)


def _accepted(tables: Iterable[pl.DataFrame]) -> Set[str]:
    return {qa_id for table in tables for qa_id in table.filter("accepted")["qa_id"]}


def set_aside_by_word(table: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs of a table that a person rejected or replaced, as that table has them (`QA_SCHEMA`)."""
    by_word = pl.col("reason").str.starts_with(REJECTED) | pl.col("reason").str.starts_with(REPLACED)
    return table.filter(~pl.col("accepted") & (pl.col("review") != "") & by_word)


def _said(table: pl.DataFrame) -> pl.DataFrame:
    """Return what a person rejected or replaced in a table: qa_id, reason, review."""
    return set_aside_by_word(table).select("qa_id", "reason", "review")


def _without(table: pl.DataFrame, words: dict[str, tuple[str, str]]) -> pl.DataFrame:
    if not words:
        return table
    hit = pl.col("accepted") & pl.col("qa_id").is_in(list(words))

    def word(place: int) -> pl.Expr:
        return pl.col("qa_id").replace_strict({qa_id: said[place] for qa_id, said in words.items()}, default=None, return_dtype=pl.String)

    return table.with_columns(
        reason=pl.when(hit).then(word(0)).otherwise(pl.col("reason")),
        review=pl.when(hit).then(word(1)).otherwise(pl.col("review")),
        accepted=pl.col("accepted") & ~hit,
    )
