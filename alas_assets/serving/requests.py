"""Reading what a client asks: foreign bytes become a request that a server can carry out, or a refusal in words (G5).

Pure functions. Sending it on is `serving.door`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from alas_assets.students.answering import Decoding
from alas_assets.students.chat import neutralise

MAX_BYTES = 1_000_000
"""Longest body that is read; a prompt that fills a student's window is far shorter."""
MAX_TOKENS = 4_096
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
"""What clients call a role, and what chat templates do."""
_IGNORED = ("user", "metadata", "store", "service_tier", "stream_options", "parallel_tool_calls", "safety_identifier", "prompt_cache_key")
"""What clients send along and no answer depends on."""
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "modalities": (["text"],),
    "logit_bias": ({},),
    "repetition_penalty": (1,),
    "min_p": (0,),
    "reasoning_effort": ("none",),
}
"""What is understood only where it asks for nothing."""


class Refused(Exception):
    """A request that is not carried out.

    Args:
        status: The HTTP status.
        words: What is wrong and what would be right.
        kind: OpenAI's error type.
        retry_after: Seconds after which it may be worth asking again; 0 for never.
    """

    def __init__(self, status: int, words: str, kind: str = "invalid_request_error", retry_after: int = 0) -> None:
        super().__init__(words)
        self.status, self.words, self.kind, self.retry_after = status, words, kind, retry_after


@dataclass(frozen=True)
class ChatRequest:
    """A request as it was read.

    Attributes:
        messages: Role and content of each message.
        temperature: 0 is greedy, as in evaluation.
        max_tokens: Tokens after which an answer is cut.
        stream: Whether it comes piece by piece.
        more: top_p, seed and stop, where they were given.
    """

    messages: list[dict[str, str]]
    temperature: float
    max_tokens: int
    stream: bool
    more: dict[str, Any]

    def without_markers(self, markers: re.Pattern[str]) -> ChatRequest:
        """Return it as it is carried out: no text of a client's holds a control marker of the student that answers (`markers_of`)."""
        return replace(self, messages=[one | {"content": neutralise(one["content"], markers)} for one in self.messages])


def read_request(raw: bytes, name: str, defaults: Decoding) -> ChatRequest:
    """Read the body of a chat completion.

    Args:
        raw: The body.
        name: The one model's name.
        defaults: How evaluation decoded, for what the client leaves open.

    Raises:
        Refused: It cannot be carried out; 404 for another model, else 400 or 413.
    """
    if len(raw) > MAX_BYTES:
        raise Refused(413, f"the body is longer than {MAX_BYTES} bytes")
    try:
        body: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is no JSON: {str(error)[:200]}") from error
    if not isinstance(body, dict):
        raise Refused(400, "the body must be a JSON object with model and messages")
    given = {str(key): value for key, value in body.items() if value is not None}
    if given.get("model") != name:
        model = given.get("model")
        if not isinstance(model, str):
            raise Refused(400, f'model is missing; the one that is here is "{name}"')
        raise Refused(404, f'there is no model {json.dumps(model[:100])} here; the one that is here is "{name}"', "not_found_error")
    request = ChatRequest(
        messages=_messages(given.get("messages")),
        temperature=_number(given, "temperature", 0.0, 0.0, 2.0),
        max_tokens=_whole(given, "max_completion_tokens", _whole(given, "max_tokens", defaults.max_new_tokens, MAX_TOKENS), MAX_TOKENS),
        stream=_flag(given, "stream"),
        more=_more(given),
    )
    known = {"model", "messages", "temperature", "max_tokens", "max_completion_tokens", "stream", "top_p", "seed", "stop", *_IGNORED}
    for key in sorted(given.keys() - known):
        if key not in _NEUTRAL:
            raise Refused(400, f"{json.dumps(key[:60])} is not understood here; leave it out")
        if not any(_equal(given[key], value) for value in _NEUTRAL[key]):
            raise Refused(400, f"{key} is not supported here; leave it out")
    return request


def _equal(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _messages(given: Any) -> list[dict[str, str]]:
    if not isinstance(given, list) or not given:
        raise Refused(400, "messages must be a list with at least one message")
    if len(given) > 1_000:
        raise Refused(400, "messages has more than 1000 messages")
    read = []
    for number, one in enumerate(given):
        role = one.get("role") if isinstance(one, dict) else None
        if not isinstance(role, str) or role not in _ROLES:
            raise Refused(400, f"message {number}: role must be one of {', '.join(_ROLES)}")
        read.append({"role": _ROLES[role], "content": _clean(_content(one.get("content"), number)).strip()})
    if read[-1]["role"] == "assistant":
        raise Refused(400, "the last message must be the user's")
    if not read[-1]["content"]:
        raise Refused(400, "the last message is empty")
    return read


def _content(given: Any, number: int) -> str:
    if isinstance(given, str):
        return given
    parts = given if isinstance(given, list) else None
    if parts is None or not all(isinstance(p, dict) and p.get("type") == "text" and isinstance(p.get("text"), str) for p in parts):
        raise Refused(400, f"message {number}: content must be text, or a list of text parts")
    return "".join(part["text"] for part in parts)


def _clean(text: str) -> str:
    """Replace lone surrogates, which JSON can carry and no server can be sent."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _more(given: dict[str, Any]) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if "top_p" in given:
        more["top_p"] = _number(given, "top_p", 1.0, 1e-6, 1.0)
    if "seed" in given:
        more["seed"] = _whole(given, "seed", 0, 2**63 - 1, least=0)
    if "stop" in given:
        stops = [given["stop"]] if isinstance(given["stop"], str) else given["stop"]
        if not isinstance(stops, list) or len(stops) > 4 or not all(isinstance(one, str) and 0 < len(one) <= 200 for one in stops):
            raise Refused(400, "stop must be a text, or a list of at most 4, each of 1 to 200 characters")
        if stops:
            more["stop"] = [_clean(one) for one in stops]
    return more


def _number(given: dict[str, Any], key: str, default: float, low: float, high: float) -> float:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Refused(400, f"{key} must be a number from {low:g} to {high:g}")
    return float(value)


def _whole(given: dict[str, Any], key: str, default: int, most: int, least: int = 1) -> int:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refused(400, f"{key} must be a whole number from {least} to {most}")
    return value


def _flag(given: dict[str, Any], key: str) -> bool:
    value = given.get(key, False)
    if not isinstance(value, bool):
        raise Refused(400, f"{key} must be true or false")
    return value
