"""What a teacher must be able to do; the loop knows no more of it than this.

Requests and answers are records from `alas_assets.records`. Curation, quote checks and statistics are ours
(`synthesis`, `evaluation`) and are never left to a teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import polars as pl
from pydantic import Field

from alas_assets.records import DraftFact, PageOutline, Record, RejectedDraft, Topic, TopicScore


class Written(Record):
    """What a teacher made of one topic."""

    facts: list[DraftFact]
    rejected: list[RejectedDraft] = Field(default_factory=list)


class Grade(Record):
    """One graded answer (E2)."""

    label: Literal["correct", "partial", "incorrect", "failed"]
    error_type: Literal["", "omission", "wrong version", "misinterpretation", "off topic", "other"] = ""
    explanation: str = ""


class GradeRequest(Record):
    """One answer to grade; the system that gave it is not named (E2)."""

    question: str
    gold: str
    aliases: list[str] = Field(default_factory=list)
    answer_kind: str = "phrase"
    rivals: list[str] = Field(default_factory=list)
    answer: str


class Teacher(Protocol):
    """Plans, writes, grades, revises (P1, S1, E2, V1)."""

    name: str
    version: str

    def plan(self, description: str, seed_topics: Sequence[str], outlines: Sequence[PageOutline]) -> list[Topic]:
        """Propose topics for a domain; order, merging and budget are the planner's work."""
        ...

    def write(self, topic: Topic, chunks: pl.DataFrame, max_pairs: int, phrasings: int) -> Written:
        """Write cited facts for one topic from its passages (`CHUNK_SCHEMA`).

        Args:
            topic: The topic; `heading` restricts it to one section of its pages.
            chunks: The passages of the topic's pages.
            max_pairs: At most this many facts.
            phrasings: Training phrasings per fact; one `mine` and at least two `probe` phrasings come on top.
        """
        ...

    def grade(self, requests: Sequence[GradeRequest]) -> list[Grade]:
        """Grade answers, one grade for each request, in order."""
        ...

    def revise(self, weak: Sequence[Topic], mastered: Sequence[Topic], scores: Sequence[TopicScore]) -> list[Topic]:
        """Propose remediation for weak topics and advanced subtopics of mastered ones (V1)."""
        ...
