"""What all calls of one teacher have in common: the models, the domain's words, sizes, and how a prompt becomes a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alas_assets.teachers.endpoint.calls import ModelCall, Purpose
from alas_assets.teachers.llm.fences import Block, line
from alas_assets.teachers.llm.prompts import Form, prompt
from alas_assets.teachers.llm.reading.shapes import Shape

DESCRIPTION_CHARS = 1_500


@dataclass(frozen=True)
class Making:
    """How calls are made.

    Attributes:
        model: The model that writes and paraphrases.
        planner: The model that plans and revises.
        description: The domain in its owner's words.
        context: Words that place a question, such as "In Python 3.15"; may be empty.
        max_tokens: Tokens that an answer may have.
        page_chars: Characters of data that one call shows at most.
        temperature: The sampling temperature.
    """

    model: str
    planner: str
    description: str = ""
    context: str = ""
    max_tokens: int = 4096
    page_chars: int = 12_000
    temperature: float = 0.0

    @property
    def about(self) -> str:
        """The domain's description as prompts show it."""
        return line(self.description, DESCRIPTION_CHARS) or "not given"

    def call(
        self,
        purpose: Purpose,
        shape: Shape[Any],
        form: Form,
        values: Mapping[str, str | int],
        blocks: Sequence[Block],
        *,
        item: str,
        attempt: int,
        model: str = "",
    ) -> ModelCall:
        """Return the call that a prompt makes of values and data; equal arguments give equal calls.

        Args:
            purpose: What it is for; also the prompt's name.
            shape: What the answer should hold.
            form: How it should be written.
            values: For the prompt's placeholders.
            blocks: The data.
            item: What it is about, for people.
            attempt: Which asking this is.
            model: Who is asked; empty: the purpose's model.
        """
        words = prompt(purpose)
        return ModelCall(
            purpose=purpose,
            model=model or (self.planner if purpose in ("plan", "revise") else self.model),
            item=line(item, 120),
            system=words.sections["system"],
            user=words.user(form, values, blocks),
            prompt=words.label,
            answer_schema=shape.schema() if form == "schema" else None,
            json_answer=form == "json",
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            attempt=attempt,
        )


def shares(total: int, weights: Sequence[float]) -> list[int]:
    """Split a whole number by weights, by the largest remainder; ties go to the first."""
    scale = sum(weights)
    if scale <= 0:
        return [0] * len(weights)
    exact = [total * weight / scale for weight in weights]
    parts = [int(value) for value in exact]
    order = sorted(range(len(weights)), key=lambda i: (parts[i] - exact[i], i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts
