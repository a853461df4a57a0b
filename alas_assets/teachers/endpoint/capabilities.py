"""What an endpoint can do for a model: which interface it has, and whether it really holds an answer to a JSON schema.

Asked once per endpoint and model, kept in the ledger, shown to people. How a probe is sent is `session`'s.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from alas_assets.domains.config import TeacherSettings
from alas_assets.provenance.ids import content_hash
from alas_assets.teachers.endpoint.calls import ModelCall
from alas_assets.teachers.endpoint.faults import Fault
from alas_assets.teachers.endpoint.ledger import CallRow
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
    """Ask the endpoint what it can do; at most four calls.

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
        found = await send(_question(model, endpoint, api, first), api)
        missing = isinstance(found, Fault) and found.kind == "address"
        if missing and place + 1 < len(apis):
            continue
        if not wants_schema:
            if isinstance(found, Fault):
                raise ProbeError(found)
            return Abilities(api, settings.answers)  # pyright: ignore[reportArgumentType] - not "auto", which wants a schema
        schema = _held(found)
        json_mode: Held = "not asked"
        if schema != "enforced":
            json_mode = _held(await send(_question(model, endpoint, api, "json"), api))
        if schema == json_mode == "refused":  # perhaps it is not the form that is refused
            plain = await send(_question(model, endpoint, api, "text"), api)
            if isinstance(plain, Fault):
                raise ProbeError(plain)
        return Abilities(api, _best(schema), schema, json_mode)
    raise AssertionError("an interface is always tried")


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

    Raises:
        ProbeError: There is neither an answer nor a refusal of the form.
    """
    if isinstance(found, Fault):
        # a server that is busy, broken or down says nothing about a form, and what is found here is kept for good
        if found.setting in FORM_SETTINGS or (found.kind == "refused" and found.status in _FORM_STATUSES):
            return "refused"
        raise ProbeError(found)
    try:
        said = json.loads(found.text)
    except (ValueError, RecursionError):
        return "ignored"
    by_schema = '"form":"schema"' in found.request
    return "enforced" if (said == {"probe": _WORD} if by_schema else isinstance(said, dict)) else "ignored"
