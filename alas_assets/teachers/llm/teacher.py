"""The teacher that is a language model behind an `Asker`; the way in to this package (P1, S1, E2, V1).

What is asked for each purpose is `planning`, `writing` and `judging`; how calls travel and are paid for is `teachers.endpoint`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from alas_assets.domains.config import TeacherSettings
from alas_assets.provenance.ids import content_hash
from alas_assets.records import Category, PageOutline, Topic, TopicScore
from alas_assets.teachers.endpoint.calls import Asker
from alas_assets.teachers.llm import judging, planning, writing
from alas_assets.teachers.llm.asking import Hooks
from alas_assets.teachers.llm.making import Making
from alas_assets.teachers.llm.prompts import Form, prompt
from alas_assets.teachers.protocol import Assignment, Grade, GradeRequest, Written


class LanguageModelTeacher:
    """Plans, writes, grades and revises with models that answer calls (P1, S1, S3, E2, V1).

    Equal inputs make equal calls, in one batch for each round of asking. `EndpointError` and `BudgetSpentError` of the asker pass
    through every method.
    """

    name = "openai"

    def __init__(
        self,
        asker: Asker,
        settings: TeacherSettings,
        *,
        form_of: Callable[[str], Form],
        description: str = "",
        context: str = "",
        min_topics: int = 10,
        mix: Mapping[Category, float] = writing.MIX,
        hooks: Hooks | None = None,
    ) -> None:
        """Set who answers and how it is asked.

        Args:
            asker: Answers calls.
            settings: The models, sizes and attempts.
            form_of: How a model writes its answers; asked when the model is first needed, since finding out may cost a call.
            description: The domain in its owner's words, shown when pairs are written; planning is handed it.
            context: Words that place a question, such as "In Python 3.15".
            min_topics: Topics asked for when planning.
            mix: Shares of the categories asked for (S6).
            hooks: Who is told of what could not be used.
        """
        self._asker = asker
        self._form_of = form_of
        self._again = settings.format_attempts
        self._replay = settings.replay
        self._min_topics = min_topics
        self._mix = dict(mix)
        self._hooks = hooks or Hooks()
        self._making = Making(
            model=settings.model,
            planner=settings.planner or settings.model,
            description=description,
            context=context,
            max_tokens=settings.max_tokens,
            page_chars=settings.page_chars,
            temperature=settings.temperature,
        )
        self.judges: tuple[str, ...] = settings.judges or (settings.model,)
        """The models that grade."""
        self.version = writer_version(settings.model)
        """The writing model and a hash of it and of the prompts that it writes from: who wrote a pair (S10, R4)."""

    def plan(self, description: str, seed_topics: Sequence[str], outlines: Sequence[PageOutline]) -> list[Topic]:
        """Propose topics; pages of which no topic can be made become a topic each (P1).

        Every model that the domain names is made sure of first, so that one that is not there stops the iteration before it costs.
        """
        for model in dict.fromkeys((self._making.model, self._making.planner, *self.judges)):
            self._form_of(model)
        return planning.plan(
            self._asker,
            self._described(description),
            seed_topics,
            outlines,
            min_topics=self._min_topics,
            form=self._form_of(self._making.planner),
            again=self._again,
            hooks=self._hooks,
        )

    def write(self, assignments: Sequence[Assignment], max_pairs: int, phrasings: int) -> list[Written]:
        """Write cited facts on every assignment, one result each, in order (S1-S4); all calls of a round go out in one batch."""
        return writing.write(
            self._asker,
            self._making,
            assignments,
            max_pairs,
            phrasings,
            mix=self._mix,
            form=self._form_of(self._making.model),
            again=self._again,
            hooks=self._hooks,
        )

    def grade_as(self, judge: str, requests: Sequence[GradeRequest]) -> list[Grade]:
        """Grade answers with one of `judges`, one grade for each request, in order (E2).

        Raises:
            ValueError: The domain names no such judge.
        """
        if judge not in self.judges:
            raise ValueError(f"teacher.judges: {judge!r} is not among {', '.join(self.judges)}")
        return judging.grade(self._asker, self._making, judge, requests, form=self._form_of(judge), hooks=self._hooks, replay=self._replay)

    def revise(self, weak: Sequence[Topic], mastered: Sequence[Topic], scores: Sequence[TopicScore]) -> list[Topic]:
        """Propose remediation for weak topics and advanced subtopics of mastered ones (V1)."""
        return planning.revise(
            self._asker,
            self._making,
            weak,
            mastered,
            scores,
            form=self._form_of(self._making.planner),
            again=self._again,
            hooks=self._hooks,
        )

    def _described(self, description: str) -> Making:
        return replace(self._making, description=description)


def writer_version(model: str) -> str:
    """Return the version of a teacher that writes with a model: its name, and a hash of it and of the prompts it writes from."""
    return f"{model} {content_hash([model, prompt('write').digest, prompt('paraphrase').digest])[:12]}"
