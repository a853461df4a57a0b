"""From a model's answer to checked items, in two passes: structure, then meaning (S3).

Whatever a model wrote ends as items, as rejected items with reason and raw text, or as `UnreadableError`; nothing else is raised.
What an item becomes is each purpose's own module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from alas_assets.teachers.endpoint.calls import ModelReply
from alas_assets.teachers.llm.prompts import Form
from alas_assets.teachers.llm.reading import json_form, lines_form, xml_form
from alas_assets.teachers.llm.reading.shapes import Found, Rejected, Shape, T, check, raw
from alas_assets.teachers.llm.reading.thinking import ThinkingError, without_thinking

READING_VERSION = 2
"""Raised where the same answers are read as other items."""
MAX_ANSWER_CHARS = 200_000
"""No request asks for a tenth of it; what is longer is not read."""
_WORD_CHARS = 40

_FINDERS: dict[str, Callable[[str, Shape[Any]], Found]] = {
    "schema": json_form.find,
    "json": json_form.find,
    "xml": xml_form.find,
    "lines": lines_form.find,
}


class UnreadableError(ValueError):
    """Nothing of an answer can be read.

    Attributes:
        reason: Why, in words.
        text: The raw text, cut.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.text = raw(text)


@dataclass(frozen=True)
class Reading(Generic[T]):
    """What an answer held: the items that are whole and mean something, and those that are not, each in its order."""

    items: list[T]
    rejected: list[Rejected]


def read_reply(reply: ModelReply, form: Form, shape: Shape[T]) -> Reading[T]:
    """Read a model's reply; one that did not end by itself is never read.

    Raises:
        UnreadableError: There is no answer, it was cut off, or nothing in it can be read.
    """
    if reply.failure:
        raise UnreadableError(f"no answer: {reply.failure}", reply.text)
    if reply.finish == "length":
        raise UnreadableError("answer cut off: it reached max_tokens", reply.text)
    if reply.finish == "filtered":
        raise UnreadableError("answer withheld: the server's filter stopped it", reply.text)
    if reply.finish != "stop":
        said = f"; its word is {reply.finish_word[:_WORD_CHARS]!r}" if reply.finish_word else ""
        raise UnreadableError(f"answer cut off: the server does not say that it ended{said}", reply.text)
    return read(reply.text, form, shape)


def read(text: str, form: Form, shape: Shape[T]) -> Reading[T]:
    """Read an answer that ended by itself.

    Args:
        text: What the model wrote; hostile input. What it thought before its answer is not read.
        form: The form that was asked for; but for a judge, JSON and XML are also tried where there is nothing in it.
        shape: What the answer should hold.

    Raises:
        UnreadableError: Nothing in it can be read.
    """
    if len(text) > MAX_ANSWER_CHARS:
        raise UnreadableError(f"answer too long: {len(text)} characters", text)
    try:
        text = without_thinking(text, shape)
    except ThinkingError as error:
        raise UnreadableError(str(error), text) from None
    forms = [form] if shape.steady else [form, *(other for other in ("json", "xml") if _FINDERS[other] is not _FINDERS[form])]
    best = Found()
    for each in forms:
        found = _FINDERS[each](text, shape)
        if found.items or found.listed:
            best = found
            break
        best = best if best.rejected else found
    checked = [check(loose, shape) for loose in best.items]
    rejected = [*best.rejected, *(item for item in checked if isinstance(item, Rejected))]
    items = [item for item in checked if not isinstance(item, Rejected)]
    if not items and not rejected and not best.listed:
        kind = "JSON" if form in ("schema", "json") else "XML" if form == "xml" else "lines"
        raise UnreadableError(
            f"unreadable answer: it holds no {shape.many} as {kind}" if text.strip() else "unreadable answer: empty", text
        )
    return Reading(items, rejected)


__all__ = ["MAX_ANSWER_CHARS", "READING_VERSION", "Reading", "Rejected", "UnreadableError", "read", "read_reply"]
