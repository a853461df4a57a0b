"""A scripted endpoint: answers every call from a function; and answers as a model writes them, in each form."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from alas_assets.domains.config import TeacherSettings
from alas_assets.teachers.endpoint.calls import ModelCall, ModelReply
from alas_assets.teachers.llm.prompts import Form
from alas_assets.teachers.llm.reading.shapes import Shape
from alas_assets.teachers.llm.teacher import LanguageModelTeacher

FRAME_CHARS = 10_000
"""Characters that a call may have beyond `page_chars`: instructions, the topic, and for grading one item that is larger alone."""
FORMS: tuple[Form, ...] = ("json", "xml", "lines")
_FENCE = re.compile(r"^\[(\w+) (\d+) \| ([0-9a-f]{8})(?: \| ([^\n]*))?\]\n(.*?)\n\[end \2 \| \3\]$", re.MULTILINE | re.DOTALL)


class ScriptedAsker:
    """Answers from a function; keeps every batch of calls."""

    def __init__(self, answer: Callable[[ModelCall], str | ModelReply]) -> None:
        self.answer = answer
        self.batches: list[list[ModelCall]] = []

    @property
    def calls(self) -> list[ModelCall]:
        return [call for batch in self.batches for call in batch]

    def ask(self, calls: Sequence[ModelCall], on_reply: Callable[[int, ModelReply], None] | None = None) -> list[ModelReply]:
        self.batches.append(list(calls))
        replies = []
        for i, call in enumerate(calls):
            said = self.answer(call)
            replies.append(said if isinstance(said, ModelReply) else ModelReply(key=f"k{i}", text=said, finish="stop"))
            if on_reply:
                on_reply(i, replies[-1])
        return replies


def blocks(call: ModelCall) -> list[tuple[str, int, str, str]]:
    """Return a call's data blocks as a stranger reads them: kind, number, title, text."""
    return [(kind, int(number), title or "", text) for kind, number, _, title, text in _FENCE.findall(call.user)]


def texts(call: ModelCall, kind: str) -> dict[int, str]:
    """Return the texts of one kind of block by number."""
    return {number: text for k, number, _, text in blocks(call) if k == kind}


def render(items: Sequence[Mapping[str, Any]], form: Form, shape: Shape[Any]) -> str:
    """Write items as a good model does."""
    if form in ("json", "schema"):
        return json.dumps({shape.many: list(items)}, ensure_ascii=False)
    if form == "lines":
        return "\n---\n".join("\n".join(f"{k}: {_line(v)}" for k, v in item.items()) for item in items) or "none"
    return f"<{shape.many}>{''.join(_xml(item, shape) for item in items)}</{shape.many}>"


def _line(value: Any) -> str:
    return " | ".join(map(str, value)) if isinstance(value, list) else str(value)


def _xml(item: Mapping[str, Any], shape: Shape[Any]) -> str:
    parts = []
    for name, value in item.items():
        tag = "number" if name == shape.one else name
        if isinstance(value, list):
            member = shape.lists[name]
            parts.append(f"<{tag}>{''.join(f'<{member}>{escape(str(v))}</{member}>' for v in value)}</{tag}>")
        else:
            parts.append(f"<{tag}>{escape(str(value))}</{tag}>")
    return f"<{shape.one}>{''.join(parts)}</{shape.one}>"


def form_of(call: ModelCall) -> Form:
    """Return the form that a call asks for, from its last line."""
    return call.user.rsplit("Answer as: ", 1)[1]  # type: ignore[return-value]


def teacher(asker: ScriptedAsker, form: Form = "json", hooks: Any = None, min_topics: int = 10, **settings: Any) -> LanguageModelTeacher:
    """Return a teacher on a scripted endpoint."""
    made = TeacherSettings(kind="openai", **{"model": "m-1", **settings})
    return LanguageModelTeacher(
        asker, made, form_of=lambda _: form, description="The release notes of the tool Quill.", min_topics=min_topics, hooks=hooks
    )


def unanswered(finish: str = "none", failure: str = "", text: str = "") -> ModelReply:
    return ModelReply(key="k", text=text, finish=finish, failure=failure)  # type: ignore[arg-type]
