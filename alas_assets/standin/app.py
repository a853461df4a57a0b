"""The stand-in's HTTP side: `/v1/models`, `/v1/chat/completions` and `/v1/responses` in OpenAI's wire formats.

What is answered is `standin.answers`, in which form `standin.forms`. Requests are hostile input: every one is answered, or refused with
a status of 400 to 499 and a message.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alas_assets.provenance.ids import sha256_hex
from alas_assets.standin.answers import STRICT, answer
from alas_assets.standin.forms import SchemaError, emptiest, fitted, written
from alas_assets.standin.matching import Library
from alas_assets.standin.reading import UnreadablePromptError, read_prompt

MODELS = ("stand-in", f"stand-in-{STRICT}")
"""The names it answers to; the second grades more strictly."""

Ability = Literal["auto", "schema", "json", "xml", "lines"]
"""The most that the server does about an answer's form: enforce a JSON schema (auto and schema), any JSON, or nothing."""

NO_MODEL = "This is a stand-in and not a model. It answers a teacher's prompts from recorded pairs, and nothing else."
MOST_BYTES = 16 << 20
_DEEPEST = 100
_CHARS_PER_TOKEN = 4
_CREATED = 1_700_000_000  # a fixed time, so that equal requests get equal answers


class _Refused(Exception):
    """A request that is answered with an error; the message is what the client reads."""

    def __init__(self, message: str, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True)
class _Asked:
    """What both interfaces ask for."""

    model: str
    system: str
    user: str
    wanted: Mapping[str, Any]  # the wanted answer format: type, and a schema where it has one
    most_tokens: int | None
    key: str = ""  # of the request, part of the answer's id


@dataclass(frozen=True)
class _Said:
    text: str
    cut: bool
    prompt_tokens: int
    tokens: int


def create_app(library: Library, latency: float = 0.0, ability: Ability = "auto") -> Starlette:
    """Return the app.

    Args:
        library: What it answers from.
        latency: Seconds that each answer takes at least.
        ability: The most that it does about an answer's form; asked for more it answers 400, as a server without that does.
    """

    def endpoint(read: Callable[[Mapping[str, Any]], _Asked], shape: Callable[[_Asked, _Said], dict[str, Any]]) -> Any:
        async def handle(request: Request) -> Response:
            await asyncio.sleep(latency)
            try:
                raw = await _body(request)
                asked = replace(read(_parsed(raw)), key=sha256_hex(raw)[:24])
                return JSONResponse(shape(asked, _say(library, asked, ability)))
            except _Refused as refused:
                error = {"message": str(refused), "type": "invalid_request_error", "param": None, "code": refused.code}
                return JSONResponse({"error": error}, refused.status)

        return handle

    return Starlette(
        routes=[
            Route("/v1/models", _models),
            Route("/v1/chat/completions", endpoint(_read_chat, _chat), methods=["POST"]),
            Route("/v1/responses", endpoint(_read_responses, _response), methods=["POST"]),
        ]
    )


async def _models(_: Request) -> Response:
    data = [{"id": name, "object": "model", "created": _CREATED, "owned_by": "alas-assets stand-in, not a model"} for name in MODELS]
    return JSONResponse({"object": "list", "data": data})


def _say(library: Library, asked: _Asked, ability: Ability) -> _Said:
    kind = asked.wanted.get("type", "text")
    if kind == "json_schema" and ability not in ("auto", "schema"):
        raise _Refused("this server does not take a JSON schema as response format")
    if kind == "json_object" and ability in ("xml", "lines"):
        raise _Refused("this server does not take a response format")
    if kind not in ("text", "json_object", "json_schema"):
        raise _Refused(f"response format {str(kind)[:80]!r} is not known; text, json_object and json_schema are")
    try:
        text = _text(library, asked, str(kind))
    except UnreadablePromptError as error:
        raise _Refused(f"this is a stand-in and not a model, it reads only a teacher's prompts: {error}") from error
    except SchemaError as error:
        raise _Refused(f"response format: {error}") from error
    tokens = _tokens(text)
    cut = asked.most_tokens is not None and tokens > asked.most_tokens
    if cut and asked.most_tokens is not None:
        text, tokens = text[: asked.most_tokens * _CHARS_PER_TOKEN], asked.most_tokens
    return _Said(text, cut, _tokens(asked.system + asked.user), tokens)


def _text(library: Library, asked: _Asked, kind: str) -> str:
    if not asked.system.strip():  # no task at all: whoever asks wants to know what the server can do
        if kind == "text":
            return NO_MODEL
        return json.dumps(emptiest(asked.wanted.get("schema")) if kind == "json_schema" else {}, ensure_ascii=False)
    prompt = read_prompt(asked.system, asked.user)
    found = answer(library, prompt, asked.model, asked.most_tokens and asked.most_tokens * _CHARS_PER_TOKEN)
    if kind == "json_schema":
        found = fitted(found, asked.wanted.get("schema"))
    return written(found, prompt.form if kind == "text" else "json")


def _tokens(text: str) -> int:
    return -(-len(text) // _CHARS_PER_TOKEN)


# ---------------------------------------------------------------------------------------------- requests


async def _body(request: Request) -> bytes:
    raw = bytearray()
    try:
        async for piece in request.stream():
            raw += piece
            if len(raw) > MOST_BYTES:
                raise _Refused(f"the request has more than {MOST_BYTES} bytes", 413)
    except ClientDisconnect as error:
        raise _Refused("the request ended before its end") from error
    return bytes(raw)


def _parsed(raw: bytes) -> Mapping[str, Any]:
    try:
        body = _clean(json.loads(raw.decode("utf-8")), 0)
    except (ValueError, RecursionError) as error:
        raise _Refused("the request is no JSON in UTF-8, or nested too deep") from error
    if not isinstance(body, dict):
        raise _Refused("the request must be a JSON object")
    return body


def _clean(value: Any, depth: int) -> Any:
    """Return a JSON value without lone surrogates, which have no UTF-8 form.

    Raises:
        ValueError: It is nested deeper than any request of use.
    """
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_clean(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_clean(key, depth + 1): _clean(item, depth + 1) for key, item in value.items()}
    return value


def _read_chat(body: Mapping[str, Any]) -> _Asked:
    system, user = _messages(body, "messages")
    wanted = body.get("response_format") or {}
    if isinstance(wanted, dict) and isinstance(wanted.get("json_schema"), dict):
        wanted = {"type": wanted.get("type"), "schema": wanted["json_schema"].get("schema")}
    most = body.get("max_completion_tokens")
    return _asked(body, system, user, wanted, most if most is not None else body.get("max_tokens"))


def _read_responses(body: Mapping[str, Any]) -> _Asked:
    given = body.get("input")
    system, user = ("", given) if isinstance(given, str) else _messages(body, "input")
    instructions = body.get("instructions")
    system = "\n".join(part for part in (instructions if isinstance(instructions, str) else "", system) if part)
    text = body.get("text")
    return _asked(body, system, user, text.get("format") or {} if isinstance(text, dict) else {}, body.get("max_output_tokens"))


def _asked(body: Mapping[str, Any], system: str, user: str, wanted: Any, most_tokens: Any) -> _Asked:
    model = body.get("model")
    if not isinstance(model, str) or model not in MODELS:
        raise _Refused(f"model {str(model)[:80]!r} does not exist; {', '.join(MODELS)} do", 404, "model_not_found")
    if body.get("stream"):
        raise _Refused("stream: the stand-in answers in one piece only")
    if body.get("n") not in (None, 1):
        raise _Refused("n: the stand-in gives one answer")
    if not isinstance(wanted, dict):
        raise _Refused("the response format must be an object")
    if most_tokens is not None and (not isinstance(most_tokens, int) or isinstance(most_tokens, bool) or most_tokens < 1):
        raise _Refused("the most tokens of an answer must be a whole number above 0")
    return _Asked(model, system, user, wanted, most_tokens)


def _messages(body: Mapping[str, Any], key: str) -> tuple[str, str]:
    """Return the system and the user text of a list of messages; others (assistant) are no part of a teacher's prompt."""
    messages = body.get(key)
    if not isinstance(messages, list) or not messages:
        raise _Refused(f"{key} must be a list of messages")
    texts: dict[str, list[str]] = {"system": [], "user": []}
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in ("system", "developer", "user"):
            raise _Refused(f"{key}: each must be an object with role system, developer or user")
        texts["user" if message["role"] == "user" else "system"].append(_content(message.get("content"), key))
    return "\n".join(texts["system"]), "\n".join(texts["user"])


def _content(content: Any, key: str) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [None]
    texts = [part.get("text") if isinstance(part, dict) and part.get("type") in ("text", "input_text") else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise _Refused(f"{key}: content must be text")
    return "\n".join(str(text) for text in texts)


# ---------------------------------------------------------------------------------------------- answers


def _chat(asked: _Asked, said: _Said) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{asked.key}",
        "object": "chat.completion",
        "created": _CREATED,
        "model": asked.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": said.text, "refusal": None},
                "logprobs": None,
                "finish_reason": "length" if said.cut else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": said.prompt_tokens,
            "completion_tokens": said.tokens,
            "total_tokens": said.prompt_tokens + said.tokens,
        },
    }


def _response(asked: _Asked, said: _Said) -> dict[str, Any]:
    status = "incomplete" if said.cut else "completed"
    content = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
    return {
        "id": f"resp_{asked.key}",
        "object": "response",
        "created_at": _CREATED,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if said.cut else None,
        "instructions": asked.system,
        "max_output_tokens": asked.most_tokens,
        "metadata": {},
        "model": asked.model,
        "output": [{"type": "message", "id": f"msg_{asked.key}", "status": status, "role": "assistant", "content": [content]}],
        "parallel_tool_calls": True,
        "temperature": 0.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": said.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": said.tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": said.prompt_tokens + said.tokens,
        },
    }
