"""What a teacher must be able to do; the loop knows no more of it than this.

Requests and answers are records from `alas_assets.records`. Curation, quote checks and statistics are ours
(`synthesis`, `evaluation`) and are never left to a teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import polars as pl
from pydantic import Field

from alas_assets.records import DraftFact, PageOutline, Record, RejectedDraft, Topic, TopicScore

NOT_STUDIED = "not studied"
"""How the reason of a rejected draft begins whose passage the teacher did not see or gave no answer on: it is asked about it again."""


class Written(Record):
    """What a teacher made of one topic."""

    facts: list[DraftFact]
    rejected: list[RejectedDraft] = Field(default_factory=list)


@dataclass(frozen=True)
class Assignment:
    """One topic to write on.

    Attributes:
        topic: The topic; its `heading` restricts it to one section of its pages.
        passages: The passages of its pages (`CHUNK_SCHEMA`).
    """

    topic: Topic
    passages: pl.DataFrame


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
    """Plans, writes, grades, revises (P1, S1, E2, V1).

    Attributes:
        name: Its kind.
        version: Changes whenever its rules or prompts do: what it wrote or judged before is not asked for again under the same.
        judges: Who can grade, each on its own; all of them grade every answer. The deterministic grade is called `RULES`.
    """

    name: str
    version: str
    judges: tuple[str, ...]

    def plan(self, description: str, seed_topics: Sequence[str], outlines: Sequence[PageOutline]) -> list[Topic]:
        """Propose topics for a domain; order, merging and budget are the planner's work."""
        ...

    def write(self, assignments: Sequence[Assignment], max_pairs: int, phrasings: int) -> list[Written]:
        """Write cited facts on every assignment, one result each, in order.

        Args:
            assignments: Topics with their passages; a teacher may work on many at a time.
            max_pairs: At most this many facts per topic; of an advanced one more, where the teacher does not know which were taught:
                curation keeps to the budget.
            phrasings: Training phrasings per fact; one `mine` and at least two `probe` phrasings come on top.
        """
        ...

    def grade_as(self, judge: str, requests: Sequence[GradeRequest]) -> list[Grade]:
        """Let one of the judges grade answers: one grade for each request, in order.

        An answer that cannot be judged has the label "failed" and the reason as its explanation; it costs no other its grade.
        """
        ...

    def revise(self, weak: Sequence[Topic], mastered: Sequence[Topic], scores: Sequence[TopicScore]) -> list[Topic]:
        """Propose remediation for weak topics and advanced subtopics of mastered ones (V1)."""
        ...
