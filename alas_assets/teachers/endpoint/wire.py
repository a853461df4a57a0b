"""What goes over the wire and comes back, in both interfaces (chat and responses): bodies out, answers in. No network here."""

from __future__ import annotations

import json
import math
import os
import unicodedata
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from alas_assets.domains.config import TeacherSettings
from alas_assets.provenance.ids import content_hash
from alas_assets.provenance.redaction import redact
from alas_assets.teachers.endpoint.calls import ModelCall

DEFAULT_URL = "https://api.openai.com/v1"

Api = Literal["chat", "responses"]
Form = Literal["schema", "json", "text"]
"""What the server is asked to hold the answer to: a JSON schema, any JSON, or nothing."""
Finish = Literal["stop", "length", "filtered", "none"]
Answers = Literal["schema", "json", "xml", "lines"]
"""How an answer is written; the prompt's last line says it."""
Held = Literal["enforced", "ignored", "refused", "not asked", "unclear"]
"""enforced: an answer that the prompt asked to be otherwise came in that form. ignored: it was accepted, and the answer was free.
unclear: no answer came to its end, so that nothing was seen, and nothing is kept."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
NO_ADDRESS = "an address that is no http(s) URL"
_TEMPLATE_TOKENS = 256
"""Tokens that a chat template may put around the messages; the templates we know take fewer than 100."""
_LONGEST_NOTE = 200
"""Characters of what a server says about an answer, such as its id."""
MESSAGE_READ = 4000
"""Characters of a server's words that are read; they are shortened to what is shown once they are redacted, never inside a key."""


@dataclass(frozen=True)
class Question:
    """One call as it is sent and stored; unlike a `ModelCall` it may also be a probe of the endpoint.

    Attributes:
        key: Content key in the ledger.
        purpose: What it is for; `probe` where the endpoint itself is what is asked about.
        form: What the server is asked to hold the answer to.
    """

    key: str
    purpose: str
    model: str
    item: str
    system: str
    user: str
    prompt: str
    schema: dict[str, Any] | None
    form: Form
    max_tokens: int
    temperature: float
    attempt: int = 0


FORM_SETTINGS = ("response_format", "text.format")
"""What the form of an answer is asked for with, by interface."""


@dataclass(frozen=True)
class Dialect:
    """How one model wants its settings; learnt from its refusals."""

    limit_name: str = "max_tokens"
    takes_temperature: bool = True
    takes_form: bool = True

    def without(self, setting: str) -> Dialect:
        """Return how to ask a model that refuses a setting; the same where there is no other way."""
        if setting == "max_tokens":
            return replace(self, limit_name="max_completion_tokens")
        if setting in FORM_SETTINGS:  # the prompt's last line asks for the form, too
            return replace(self, takes_form=False)
        return replace(self, takes_temperature=False) if setting == "temperature" else self


@dataclass(frozen=True)
class Answer:
    """One answer as it came, not yet redacted.

    Attributes:
        text: What the model said.
        finish: Why it stopped.
        refusal: Its refusal in words, empty where it did not refuse.
        prompt_tokens: Tokens sent, None where the server did not say.
        completion_tokens: Tokens received, None where the server did not say.
        meta: What else tells how the answer came about: the response's id, the model's name as the server states it.
    """

    text: str
    finish: Finish
    refusal: str
    prompt_tokens: int | None
    completion_tokens: int | None
    meta: dict[str, Any]


class MalformedError(ValueError):
    """A response with status 200 is no answer; `empty` where it is well-formed and holds none."""

    def __init__(self, message: str, empty: bool = False) -> None:
        super().__init__(message)
        self.empty = empty


def endpoint_url(settings: TeacherSettings) -> str:
    """Return the endpoint's base: the domain file's, else `OPENAI_BASE_URL`, else OpenAI's own."""
    return settings.url or os.environ.get("OPENAI_BASE_URL", "").strip().rstrip("/") or DEFAULT_URL


def identity(url: str) -> str:
    """Return an endpoint's identity: equal for equal addresses, without credentials or query, and safe to print and store.

    What is no http(s) URL is not repeated: nobody knows what stands where in it.
    """
    try:
        parts = urlsplit(url)
        port, host = parts.port, (parts.hostname or "").lower()
    except ValueError:
        return NO_ADDRESS
    if parts.scheme not in _DEFAULT_PORTS or not host:
        return NO_ADDRESS
    shown = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    found = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{shown}{redact(parts.path.rstrip('/'))}"
    return "".join(character if character.isprintable() else "?" for character in found)


def call_key(call: ModelCall, endpoint: str) -> str:
    """Return a call's content key (O4).

    The endpoint is part of it because a model's name means something only there: `default` or `model.gguf` is another model on another
    server. Which interface carries the call is not: it is the same model asked the same, and paying twice for that would be wrong.
    """
    return content_hash([endpoint, call.model_dump(mode="json", exclude={"item", "json_answer"})])


def prompt_bound(question: Question) -> int:
    """Return tokens that the prompt cannot exceed: one a byte, as no tokenizer makes more, and what a chat template adds.

    The bytes are those of the NFKC form where it is longer, because some tokenizers normalise before they count.
    """
    schema = json.dumps(question.schema) if question.schema and question.form == "schema" else ""
    return sum(_bytes(text) for text in (question.system, question.user, schema)) + _TEMPLATE_TOKENS


def answer_bound(text: str) -> int:
    """Return tokens that an answer cannot exceed."""
    return _bytes(text) + 1


def _bytes(text: str) -> int:
    if text.isascii():
        return len(text)
    return max(len(form.encode("utf-8", "surrogatepass")) for form in (text, unicodedata.normalize("NFKC", text)))


def path(api: Api) -> str:
    """Return the interface's path under the base URL."""
    return "/chat/completions" if api == "chat" else "/responses"


def body(question: Question, api: Api, dialect: Dialect) -> dict[str, Any]:
    """Return the request's JSON."""
    return _chat(question, dialect) if api == "chat" else _responses(question, dialect)


def _chat(question: Question, dialect: Dialect) -> dict[str, Any]:
    messages = [{"role": "system", "content": question.system}] if question.system else []
    sent: dict[str, Any] = {
        "model": question.model,
        "messages": [*messages, {"role": "user", "content": question.user}],
        dialect.limit_name: question.max_tokens,
    }
    if dialect.takes_temperature:
        sent["temperature"] = question.temperature
    form = question.form if dialect.takes_form else "text"
    if form == "schema":
        sent["response_format"] = {"type": "json_schema", "json_schema": _named(question.schema or {})}
    elif form == "json":
        sent["response_format"] = {"type": "json_object"}
    return sent


def _responses(question: Question, dialect: Dialect) -> dict[str, Any]:
    sent: dict[str, Any] = {
        "model": question.model,
        "input": question.user,
        "max_output_tokens": question.max_tokens,
        "store": False,  # the provider is to keep nothing
    }
    if question.system:
        sent["instructions"] = question.system
    if dialect.takes_temperature:
        sent["temperature"] = question.temperature
    form = question.form if dialect.takes_form else "text"
    if form == "schema":
        sent["text"] = {"format": {"type": "json_schema", **_named(question.schema or {})}}
    elif form == "json":
        sent["text"] = {"format": {"type": "json_object"}}
    return sent


def _named(schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": "answer", "schema": schema, "strict": _is_strict(schema)}


def _is_strict(schema: Any) -> bool:
    """Whether every object of a schema is closed and all its fields are required, as servers want it of a strict one."""
    if isinstance(schema, list):
        return all(_is_strict(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" and (
        schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(schema.get("properties", {}))
    ):
        return False
    return all(_is_strict(value) for value in schema.values())


# ------------------------------------------------------------------------------------------------ answers


def read_answer(content: bytes, api: Api) -> Answer:
    """Read a response's body.

    Raises:
        MalformedError: It is no JSON, cut off, of another shape, or holds no answer.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        shown = content[:60].decode("utf-8", "replace").strip()
        what = "a page of HTML" if shown.lower().startswith(("<!doctype", "<html")) else "JSON that is cut off or broken"
        raise MalformedError(f"answered 200 with {what if shown else 'nothing'}") from None
    if not isinstance(found, dict):
        raise MalformedError("answered 200 with JSON that is no object")
    if found.get("error"):
        raise MalformedError(f"answered 200 with an error: {_words(found['error'])}")
    return _read_chat(found) if api == "chat" else _read_responses(found)


_FINISHES: dict[Finish, tuple[str, ...]] = {
    "stop": ("stop", "eos", "eos_token", "stop_sequence", "end_turn"),
    "length": ("length", "max_tokens", "model_length"),
    "filtered": ("content_filter",),
}
_FINISH_OF: dict[str, Finish] = {word: finish for finish, words in _FINISHES.items() for word in words}


def finish_of(word: Any) -> Finish:
    """Return what a server's word for why an answer ended means; servers that are nearly compatible keep the words of their own."""
    return _FINISH_OF.get(word.casefold(), "none") if isinstance(word, str) else "none"


def _read_chat(found: dict[str, Any]) -> Answer:
    choices = found.get("choices")
    if not isinstance(choices, list):
        raise MalformedError("answered 200 without choices: is teacher.url the base of an OpenAI-compatible endpoint?")
    first = choices[0] if choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(message, dict):
        raise MalformedError("answered 200 with no choice in it", empty=True)
    usage = found.get("usage")
    return Answer(
        text=_text(message.get("content")),
        finish=finish_of(first.get("finish_reason")),
        refusal=_text(message.get("refusal")),
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        meta=_meta(found) | {"finish_reason": _short(first.get("finish_reason"))},
    )


def _read_responses(found: dict[str, Any]) -> Answer:
    output = found.get("output")
    if not isinstance(output, list):
        raise MalformedError("answered 200 without output: is teacher.url the base of an OpenAI-compatible endpoint?")
    status = found.get("status", "completed")
    parts = [
        part
        for item in output
        if isinstance(item, dict) and item.get("type") == "message" and isinstance(item.get("content"), list)
        for part in item["content"]
        if isinstance(part, dict)
    ]
    if not parts and status == "completed":
        raise MalformedError("answered 200 with no message in it", empty=True)
    details = found.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    usage = found.get("usage")
    if status == "completed":
        finish: Finish = "stop"
    elif status == "incomplete":
        finish = "filtered" if reason == "content_filter" else "length"
    else:
        finish = "none"
    return Answer(
        text="".join(_text(part.get("text")) for part in parts if part.get("type") == "output_text"),
        finish=finish,
        refusal="".join(_text(part.get("refusal")) for part in parts if part.get("type") == "refusal"),
        prompt_tokens=_count(usage, "input_tokens"),
        completion_tokens=_count(usage, "output_tokens"),
        meta=_meta(found) | {"status": _short(status), "reason": _short(reason)},
    )


def _text(value: Any) -> str:
    if isinstance(value, list):  # some servers send the content in parts
        return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))
    # half a surrogate pair is valid JSON and no text: no file and no table takes it
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40 else None


def _meta(found: dict[str, Any]) -> dict[str, Any]:
    return {name: _short(found[name]) for name in ("id", "model", "system_fingerprint", "created") if name in found}


def _short(value: Any) -> Any:
    """Return a value as it is, or how long it is: cut in two, a key in it could not be found and removed."""
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = str(value)  # NaN and Infinity stand in no JSON that others read
    return text if len(text) <= _LONGEST_NOTE else f"[{len(text)} characters]"


def _words(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return str(message)[:MESSAGE_READ]
