"""Asking the teacher, topic by topic, for cited drafts (S1). What becomes of them is `synthesis.curate`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

import polars as pl

from alas_assets.records import DraftFact, RejectedDraft, Topic
from alas_assets.teachers.protocol import NOT_STUDIED, Assignment, Teacher, Written

UNCHANGED = "its passages were studied before and did not change"
NO_PASSAGE = "no passage of its pages"
"""How the reason of a rejected draft begins whose topic had nothing to be written from: its pages were not read, or lack its section."""


def studied(tables: Iterable[pl.DataFrame], author: str) -> set[str]:
    """Return the passages that a teacher was shown and answered on, with a fact or without, by chunk id (R4).

    Args:
        tables: Pair tables of earlier iterations (`QA_SCHEMA`).
        author: The teacher and its version, as their column `teacher` has it.
    """
    own = [table.filter((pl.col("teacher") == author) & ~pl.col("reason").str.starts_with(NOT_STUDIED)) for table in tables]
    return {chunk for table in own for chunk in table["chunk_id"].unique() if chunk}


def unstudied(table: pl.DataFrame) -> set[str]:
    """Return the topics of which an iteration studied nothing: no passage was read, or the teacher gave no answer on any (R4, S10).

    Args:
        table: The iteration's pair table (`QA_SCHEMA`); topics that it has no row of are not among those returned.
    """
    reason = pl.col("reason").str
    lost = ~pl.col("accepted") & (reason.starts_with(NOT_STUDIED) | reason.starts_with(NO_PASSAGE))
    return set(table.group_by("topic_id").agg(lost.all().alias("lost")).filter("lost")["topic_id"])


def half_studied(table: pl.DataFrame, tables: Iterable[pl.DataFrame]) -> set[str]:
    """Return the topics of which an iteration left a passage unseen or without an answer that no iteration studied (R4).

    Args:
        table: The iteration's pair table (`QA_SCHEMA`).
        tables: Those of all iterations, where the passage may have been studied. A row that names no passage stands for one by itself.
    """
    missed = ~pl.col("accepted") & pl.col("reason").str.starts_with(NOT_STUDIED)
    seen = {chunk for one in tables for chunk in one.filter(~missed)["chunk_id"].unique() if chunk}
    return set(table.filter(missed & ~pl.col("chunk_id").fill_null("").is_in(seen))["topic_id"])


def never_studied(tables: Iterable[pl.DataFrame]) -> set[str]:
    """Return the topics of which no iteration that planned them studied anything (`unstudied`)."""
    lost: set[str] = set()
    had: set[str] = set()
    for table in tables:
        missed = unstudied(table)
        lost |= missed
        had |= set(table["topic_id"]) - missed
    return lost - had


def write_drafts(
    teacher: Teacher, topics: Sequence[Topic], chunks: pl.DataFrame, *, max_pairs: int, phrasings: int, known: Set[str] = frozenset()
) -> tuple[list[DraftFact], list[RejectedDraft]]:
    """Let the teacher write on every topic from the passages of its pages.

    Args:
        teacher: Who writes.
        topics: In the order of the syllabus.
        chunks: All passages of the cell (`CHUNK_SCHEMA`).
        max_pairs: Facts per topic at most.
        phrasings: Training phrasings per fact.
        known: Chunk ids of passages that this teacher studied in earlier iterations (`studied`); it is asked about them again only for
            remediation and advanced topics (R4).

    Returns:
        Drafts and what the teacher could not use, in the order of the topics. A topic whose pages gave no passage, or none that is
        new, is a rejected draft with that reason.
    """
    plans: list[Assignment | RejectedDraft] = []
    sections = {(url, topic.heading) for topic in topics if topic.heading for url in topic.urls}
    for topic in topics:
        passages = chunks.filter(pl.col("url").is_in(topic.urls)).sort("url", "ordinal")
        if passages.is_empty():
            plans.append(_nothing(topic, f"{NO_PASSAGE} was read"))
            continue
        if topic.heading is None:
            passages = _outside(passages, sections)
        if topic.origin in ("new", "changed"):
            passages = passages.filter(~pl.col("chunk_id").is_in(list(known)))
            if passages.is_empty():
                plans.append(_nothing(topic, UNCHANGED))
                continue
        plans.append(Assignment(topic, passages))
    assignments = [plan for plan in plans if isinstance(plan, Assignment)]
    results = teacher.write(assignments, max_pairs, phrasings) if assignments else []
    answered = iter([result for _, result in zip(assignments, results, strict=True)])
    written = [Written(facts=[], rejected=[plan]) if isinstance(plan, RejectedDraft) else next(answered) for plan in plans]
    return [fact for one in written for fact in one.facts], [draft for one in written for draft in one.rejected]


def _nothing(topic: Topic, reason: str) -> RejectedDraft:
    return RejectedDraft(topic_id=topic.topic_id, chunk_id="", text=topic.name, reason=reason)


def _outside(passages: pl.DataFrame, sections: Set[tuple[str, str]]) -> pl.DataFrame:
    """Return the passages that no section topic of the plan covers: a whole-page topic is left with the rest of its page."""
    own = [not any((row["url"], heading) in sections for heading in row["heading_path"]) for row in passages.iter_rows(named=True)]
    return passages.filter(pl.Series(own, dtype=pl.Boolean))
