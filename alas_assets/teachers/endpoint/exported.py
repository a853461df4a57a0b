"""The lines of a ledger's export, read as the hostile input that a file from elsewhere is: strictly typed, and redacted (O7).

What is written to the file, and where its lines go, is `ledger`'s.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from alas_assets.provenance.redaction import redact
from alas_assets.teachers.endpoint.wire import Answers, Api, Finish, Held

_MOST = (1 << 53) - 1  # a whole number that JSON and SQLite both hold exactly


def _whole(text: str) -> str:
    text.encode()  # half a surrogate pair can stand in JSON, and in no file
    return text


def _json_object(text: str) -> str:
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("JSON that is nested too deep") from None
    except ValueError:
        raise ValueError("not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - pydantic reports a ValueError
    return _whole(json.dumps(_without_private_parts(found), ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def _without_private_parts(value: Any) -> Any:
    if isinstance(value, dict):
        return {redact(name): _without_private_parts(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_private_parts(part) for part in value]
    return redact(value) if isinstance(value, str) else value


Plain = Annotated[str, AfterValidator(_whole)]
Name = Annotated[Plain, Field(min_length=1, max_length=1000)]
Text = Annotated[Plain, AfterValidator(redact)]
ObjectText = Annotated[str, AfterValidator(_json_object)]
Count = Annotated[int, Field(ge=0, le=_MOST)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class CallLine(_Strict):
    """An answered call; the fields are those of `ledger.CallRow`."""

    kind: Literal["call"]
    key: Name
    endpoint: Name
    model: Name
    purpose: Name
    item: Text
    prompt: Plain
    attempt: Count
    request: ObjectText
    text: Text
    finish: Finish
    meta: ObjectText
    prompt_tokens: Count
    completion_tokens: Count
    estimated: bool | Literal[0, 1]
    money: Amount | None
    currency: Name
    latency: Amount
    at: Name
    domain: Plain
    iteration: Annotated[int, Field(ge=-1, le=_MOST)]


class Failure(_Strict):
    """How a call ended that was not answered; the fields are those of `ledger.AttemptRow`."""

    key: Name
    model: Name
    purpose: Name
    item: Text
    kind: Name
    scope: Literal["transient", "call"]
    message: Annotated[Text, Field(min_length=1)]
    status: Annotated[int, Field(ge=100, le=999)] | None
    latency: Amount


class FailureLine(_Strict):
    """A call that was never answered."""

    kind: Literal["failure"]
    fault: Failure


class Found(_Strict):
    """What an endpoint can do for a model; the fields are those of `capabilities.Abilities`."""

    api: Api
    answers: Answers
    schema_: Held = Field(alias="schema", serialization_alias="schema")
    json_mode: Held


class AbilitiesLine(_Strict):
    """What was found out about a model."""

    kind: Literal["abilities"]
    endpoint: Name
    model: Name
    found: Found


FAILURE_COLUMNS = tuple(Failure.model_fields)

_LINE: TypeAdapter[CallLine | FailureLine | AbilitiesLine] = TypeAdapter(
    Annotated[CallLine | FailureLine | AbilitiesLine, Field(discriminator="kind")]
)


class LineError(ValueError):
    """A line is none of a ledger's export; the message says why, without what stands in it."""


def _words(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"].startswith("union_tag"):
        return "kind must be call, failure or abilities"
    if first["type"] == "extra_forbidden":
        return f"a {first['loc'][0]} has a field that is none of its own; it may be of a newer alas_assets"
    where = ".".join(str(part) for part in first["loc"][1:])
    return f"{where}: {first['msg']}" if where else first["msg"]


def read_line(line: str) -> CallLine | FailureLine | AbilitiesLine:
    """Read one line; its texts come redacted.

    Raises:
        LineError: It is not JSON, or a field is missing, unknown or of the wrong type.
    """
    try:
        return _LINE.validate_python(json.loads(line))
    except ValidationError as error:
        raise LineError(_words(error)) from None
    except RecursionError:
        raise LineError("JSON that is nested too deep") from None
    except ValueError as error:
        raise LineError(f"not JSON ({error})") from None
