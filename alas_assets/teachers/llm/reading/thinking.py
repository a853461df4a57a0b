"""Leaves out what a reasoning model thinks before its answer, where the server does not keep the two apart (S3).

What the rest of the text holds is for the finders of each form.
"""

from __future__ import annotations

import re
from typing import Any

from alas_assets.teachers.llm.reading.shapes import Shape

_OPEN, _CLOSE = "<think>", "</think>"


class ThinkingError(ValueError):
    """Where the thinking ends cannot be told; the message says why."""


def without_thinking(text: str, shape: Shape[Any]) -> str:
    """Return what follows the thinking, or the whole text where there is none.

    Some chat templates put the opening tag into the prompt, so the closing one alone ends the thinking. The first counts: one that a page
    planted then takes no true answer away. A judge's text with another after it is not read, since either may be planted. A text that
    begins as an answer does has not been thinking: the tag stands in one of its fields, on a page about such models.

    Raises:
        ThinkingError: The thinking never ends, or a judge's may end at two places.
    """
    if _beginning(shape).match(text):
        return text
    _, closed, after = text.partition(_CLOSE)
    if shape.steady and _CLOSE in after:
        raise ThinkingError(f"unreadable answer: {_CLOSE} stands there twice, so where the thinking ends cannot be told")
    if not closed and text.lstrip().startswith(_OPEN):
        raise ThinkingError(f"answer cut off: it ends while the model is still thinking, in {_OPEN}")
    return after if closed else text


def _beginning(shape: Shape[Any]) -> re.Pattern[str]:
    """Return what an answer begins with in JSON, in XML, or in lines."""
    return re.compile(
        rf"\s*(?:```[\w-]*\s*)?(?:\{{|\[\s*[{{\"\]]|<(?:\?xml|!DOCTYPE|{shape.many}|{shape.one})\b|(?:[-*]\s+)?\**{shape.fields[0]}\**\s*:)",
        re.IGNORECASE,
    )
