"""What an endpoint can do for a model: which interface it has, and whether it really holds an answer to a JSON schema.

Asked once per endpoint and model, kept in the ledger, shown to people. How a probe is sent is `session`'s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from alas_assets.domains.config import TeacherSettings
from alas_assets.provenance.ids import content_hash
from alas_assets.teachers.endpoint.calls import ModelCall
from alas_assets.teachers.endpoint.faults import Fault
from alas_assets.teachers.endpoint.ledger import CallRow, finish_in, now
from alas_assets.teachers.endpoint.wire import FORM_SETTINGS, Answers, Api, Form, Held, Question

Send = Callable[[Question, Api], Awaitable["CallRow | Fault"]]

_VERSION = "probe@1"
_WORD = "kestrel-4107"
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"probe": {"type": "string", "enum": [_WORD]}},
    "required": ["probe"],
    "additionalProperties": False,
}
_PROBE_TOKENS = 512
_BEGUN = {True: re.compile(r'\s*\{\s*"probe"\s*:'), False: re.compile(r'\s*\{\s*"')}
"""How an answer begins that is held to the schema, or to any JSON."""
_FORM_STATUSES = (400, 415, 422)
"""What a server answers to a form that it does not know, without naming it; that it answers without the form is then asked, too."""
_ANSWERS: dict[Answers, Form] = {"schema": "schema", "json": "json", "xml": "text", "lines": "text"}


@dataclass(frozen=True)
class Abilities:
    """What one model at one endpoint can do, and what is used of it.

    Attributes:
        api: The interface in use.
        answers: The form of answers in use; the prompt's last line names it.
        schema: What becomes of a JSON schema.
        json_mode: What becomes of a request for any JSON.
    """

    api: Api
    answers: Answers
    schema: Held = "not asked"
    json_mode: Held = "not asked"

    @property
    def shown(self) -> str:
        """One line for people, such as "chat, schema enforced"."""
        if self.schema == "not asked":
            return f"{self.api}, answers as {self.answers} (set in the domain file)"
        mode = f", JSON mode {self.json_mode}" if self.json_mode != "not asked" else ""
        used = "" if self.answers == "schema" else f"; answers as {self.answers}"
        return f"{self.api}, schema {self.schema}{mode}{used}"

    @property
    def is_clear(self) -> bool:
        """Whether every probe showed something, so that it need not be asked again."""
        return "unclear" not in (self.schema, self.json_mode)

    def form_for(self, call: ModelCall) -> Form:
        """Return what the server is asked to hold a call's answer to: nothing where the prompt asks for another form (S3)."""
        form = _ANSWERS[self.answers]
        asked = call.answer_schema is not None or (form == "json" and call.json_answer)
        return form if asked else "text"

    def as_dict(self) -> dict[str, str]:
        """Return it for the ledger."""
        return asdict(self)


class ProbeError(RuntimeError):
    """A probe got no answer.

    Attributes:
        fault: Why.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def is_settled(settings: TeacherSettings) -> bool:
    """Whether the domain file says both, so that nothing needs probing."""
    return settings.api != "auto" and settings.answers != "auto"


def settled(settings: TeacherSettings, found: dict[str, Any] | None) -> Abilities | None:
    """Return what is known without a probe: from the domain file, else from the ledger; None where a probe is needed."""
    api = settings.api if settings.api != "auto" else None
    answers = settings.answers if settings.answers != "auto" else None
    if api and answers:
        return Abilities(api, answers)
    if not found or (api and found["api"] != api) or (not answers and found["schema"] == "not asked"):
        return None
    return Abilities(api or found["api"], answers or _best(found["schema"]), found["schema"], found["json_mode"])


def _best(schema: Held) -> Answers:
    return "schema" if schema == "enforced" else "xml"


async def probe(settings: TeacherSettings, model: str, endpoint: str, send: Send) -> Abilities:
    """Ask the endpoint what it can do; at most four calls, and one more for each form whose answer did not come to its end.

    Args:
        settings: What the domain file says; that part is not probed.
        model: The model.
        endpoint: Its identity.
        send: Sends one probe to the end of its retries.

    Raises:
        ProbeError: No answer came.
    """
    wants_schema = settings.answers == "auto"
    first: Form = "schema" if wants_schema else "text"
    apis: tuple[Api, ...] = ("chat", "responses") if settings.api == "auto" else (settings.api,)
    for place, api in enumerate(apis):
        first_asked = _question(model, endpoint, api, first)
        found = await send(first_asked, api)
        missing = isinstance(found, Fault) and found.kind == "address"
        if missing and place + 1 < len(apis):
            continue
        if not wants_schema:
            if isinstance(found, Fault):
                raise ProbeError(found)
            return Abilities(api, settings.answers)  # pyright: ignore[reportArgumentType] - not "auto", which wants a schema
        schema = await _seen(send, first_asked, api, found, settings.max_tokens)
        json_mode: Held = "not asked"
        if schema != "enforced":
            second = _question(model, endpoint, api, "json")
            json_mode = await _seen(send, second, api, await send(second, api), settings.max_tokens)
        if schema == json_mode == "refused":  # perhaps it is not the form that is refused
            plain = await send(_question(model, endpoint, api, "text"), api)
            if isinstance(plain, Fault):
                raise ProbeError(plain)
        return Abilities(api, _best(schema), schema, json_mode)
    raise AssertionError("an interface is always tried")


async def _seen(send: Send, question: Question, api: Api, found: CallRow | Fault, most_tokens: int) -> Held:
    """Return what a probe shows, asked once more with as many tokens as a call has where it shows nothing."""
    held = _held(found)
    if held == "unclear" and most_tokens > question.max_tokens:
        # not by the same key in every run: an old answer that showed nothing would stand for good
        more = replace(question, max_tokens=most_tokens, key=content_hash([question.key, most_tokens, now()]))
        held = _held(await send(more, api))
    return held


def _question(model: str, endpoint: str, api: Api, form: Form) -> Question:
    asks = {
        "schema": "Write one short friendly sentence about birds, as plain text without any braces or quotation marks.",
        "json": "Write one short friendly sentence about birds, as plain text. It must not be JSON.",
        "text": "Write one short friendly sentence about birds.",
    }
    return Question(
        key=content_hash([_VERSION, endpoint, model, api, form]),
        purpose="probe",
        model=model,
        item=f"{api}, {form}",
        system="",
        user=asks[form],
        prompt=_VERSION,
        schema=_SCHEMA if form == "schema" else None,
        form=form,
        max_tokens=_PROBE_TOKENS,
        temperature=0.0,
    )


def _held(found: CallRow | Fault) -> Held:
    """Return what became of a form: only an answer that has it, against what the prompt asked for, shows that it is enforced.

    An answer that was cut off or withheld, such as where thinking took all tokens, shows that by how it begins, and else nothing.

    Raises:
        ProbeError: There is neither an answer nor a refusal of the form.
    """
    if isinstance(found, Fault):
        # a server that is busy, broken or down says nothing about a form, and what is found here is kept for good
        if found.setting in FORM_SETTINGS or (found.kind == "refused" and found.status in _FORM_STATUSES):
            return "refused"
        raise ProbeError(found)
    by_schema = '"form":"schema"' in found.request
    try:
        said = json.loads(found.text)
    except (ValueError, RecursionError):
        said = None
    if said == {"probe": _WORD} if by_schema else isinstance(said, dict):
        return "enforced"
    if finish_in(found) == "stop":
        return "ignored"
    return "enforced" if _BEGUN[by_schema].match(found.text) else "unclear"
