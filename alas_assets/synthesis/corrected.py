"""Pairs of an iteration in which people corrected what earlier ones taught: the corrected facts, what is new, and what loses (S10, R7).

What makes a pair is `curate`; which facts were corrected is `review`'s to say.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import partial

import polars as pl

from alas_assets.domains.config import Consensus
from alas_assets.provenance.ids import short_id
from alas_assets.synthesis.consensus import Rules
from alas_assets.synthesis.curate import Embed, Limits
from alas_assets.synthesis.disputed import says
from alas_assets.synthesis.questions import GuardQuestion
from alas_assets.teachers.protocol import DraftFact, RejectedDraft


@dataclass(frozen=True)
class Before:
    """What earlier iterations leave to a new one.

    Attributes:
        tables: Their pairs that stand (`QA_SCHEMA`), oldest first.
        taught: Facts that are still taught.
        known: Facts that were found known to the student.
        retired: Facts that their page states no more.
    """

    tables: Sequence[pl.DataFrame]
    taught: Set[str]
    known: Set[str]
    retired: Set[str]


def curate_with_corrections(
    curated: partial[pl.DataFrame],
    corrected: Sequence[DraftFact],
    drafts: Sequence[DraftFact],
    rejected: Sequence[RejectedDraft],
    *,
    before: Before,
    guards: Sequence[GuardQuestion],
    consensus: Consensus,
    primary_hosts: tuple[str, ...] | None,
    facts_per_topic: int,
    embed: Embed,
) -> pl.DataFrame:
    """Return the pairs of corrected facts and of new ones, accepted and rejected, each id once (`QA_SCHEMA`).

    Args:
        curated: `curate` with passages, topics, tokenizer, teacher and iteration.
        corrected: Facts that people corrected, as they are to be taught from now on.
        drafts: What the teacher wrote in this iteration.
        rejected: What it could not use itself.
        before: What earlier iterations leave.
        guards: All guard and neighbour questions.
        consensus: The domain file's `[consensus]`.
        primary_hosts: Hosts whose word is enough; None: every host.
        facts_per_topic: New facts a topic at most.
        embed: Vectors of length 1 for texts.
    """
    common = {"guards": guards, "earlier_fact_ids": before.taught, "retired_facts": before.retired}
    # A corrected fact was weighed and counted when it was taught first: no other page has to state it again, no cap crowds it out.
    room = max(1, len(corrected))
    alone = consensus.model_copy(update={"min_support": 1, "min_support_primary": 1, "max_share": 1.0, "max_per_url": room})
    mended = curated(
        corrected, [], limits=Limits(facts_per_topic=room), earlier_qa=before.tables, rules=Rules(alone, primary_hosts), **common
    )
    fresh = curated(
        drafts,
        rejected,
        known_fact_ids=before.known,
        taken_fact_ids=set(mended.filter("accepted")["fact_id"]),
        limits=Limits(facts_per_topic=facts_per_topic),
        earlier_qa=[*before.tables, mended],
        rules=Rules(consensus, primary_hosts),
        embed=embed,
        **common,
    )
    # What a corrected fact loses to is read here: its pairs stand among the fresh ones then, with that reason.
    lost = says(fresh).filter(~pl.col("accepted"))["fact_id"].unique().to_list()
    mended = mended.filter(~(pl.col("accepted") & pl.col("fact_id").is_in(lost)))
    return pl.concat([mended, _apart_from(mended, fresh)])


def _apart_from(first: pl.DataFrame, then: pl.DataFrame) -> pl.DataFrame:
    """Return pairs of which none has the id of one that stands before them: a teacher may draft a corrected fact too."""
    again = pl.col("qa_id").is_in(first["qa_id"].to_list())
    other = pl.col("qa_id").map_elements(lambda qa_id: short_id("repeat", qa_id), return_dtype=pl.String)
    return then.with_columns(qa_id=pl.when(again).then(other).otherwise(pl.col("qa_id")))
