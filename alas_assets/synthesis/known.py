"""What the student knew before it was taught (P4): facts whose held-out wordings it answers right are not trained on.

Tables in, tables out; asking and grading are `evaluation.answers`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from alas_assets.synthesis.quotes import FoldedText
from alas_assets.synthesis.standing import latest_texts, no_longer_stated

KNOWN = "known to the student"
LEAST_WORDINGS = 2
"""Held-out wordings that must be answered right, all of them: one right answer may be luck, or an answer of every kind of question."""


def known_facts(answers: pl.DataFrame, least: int = LEAST_WORDINGS) -> dict[str, str]:
    """Return the facts that a student answered right in every wording it was asked, each with what was found in words.

    Args:
        answers: One system's graded answers to held-out phrasings (`ANSWER_SCHEMA`). A judgement that failed is no right answer,
            and the same question asked twice counts once.
        least: Wordings that a fact must have been asked in.
    """
    asked = answers.group_by("fact_id", "system", "question").agg((pl.col("label") == "correct").all().alias("right"))
    facts = asked.group_by("fact_id", "system").agg(pl.len().alias("wordings"), pl.col("right").all()).sort("fact_id", "system")
    return {
        row["fact_id"]: f"{row['system']} answers {row['wordings']} of {row['wordings']} held-out wordings right"
        for row in facts.filter(pl.col("right") & (pl.col("wordings") >= least)).iter_rows(named=True)
    }


def mark_known(pairs: pl.DataFrame, known: dict[str, str]) -> pl.DataFrame:
    """Return the pairs with the known facts' rows rejected, the reason saying how that was found out; nothing is removed.

    All their rows: a fact that is not taught is no probe either. It would be one that the candidate can only lose, chosen because
    the base student gets it right; forgetting is what the guard sets measure, on questions that no page of the domain is near.

    Args:
        pairs: Curated pairs (`QA_SCHEMA`).
        known: What `known_facts` found.
    """
    if not known:
        return pairs
    words = pl.col("fact_id").replace_strict(list(known), list(known.values()), default=None, return_dtype=pl.String)
    marked = pl.col("accepted") & pl.col("fact_id").is_in(list(known))
    return pairs.with_columns(
        pl.when(marked).then(pl.lit(f"{KNOWN}: ") + words).otherwise(pl.col("reason")).alias("reason"),
        (pl.col("accepted") & ~marked).alias("accepted"),
    )


def found_known(tables: Sequence[pl.DataFrame], readings: Sequence[pl.DataFrame], read_text: Callable[[str], str]) -> frozenset[str]:
    """Return the facts that iterations set aside as known and that their page has stated ever since (O2).

    No later iteration takes them for new because it asks about them again. A fact that a page stopped stating and states once more
    is not among them: what stood there in between may have been taught in its place.

    Args:
        tables: Pair tables of earlier iterations (`QA_SCHEMA`), oldest first.
        readings: Their tables of fetches (`FETCH_SCHEMA`), one for each.
        read_text: Returns a stored text by its hash.
    """
    known = [table.filter(pl.col("reason").str.starts_with(f"{KNOWN}: ")).with_columns(accepted=True) for table in tables]
    stated = [set(table["fact_id"]) for table in known]
    folded: dict[str, FoldedText] = {}
    for later, reading in enumerate(readings):
        before = [i for i in range(min(later, len(known))) if stated[i]]
        if not before:
            continue
        texts = latest_texts([reading])
        # only texts of one reading are kept folded: all pages of all iterations would fill the memory
        folded = {sha: folded[sha] for sha in folded.keys() & set(texts.values())}
        for i in before:
            stated[i] -= no_longer_stated([known[i]], texts, read_text, folded)
    return frozenset().union(*stated)
