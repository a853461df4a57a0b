"""What an answer holds, purpose by purpose, and the second pass: from loose fields to an item whose meaning was checked (S3).

Taking an answer's text apart is `json_form`, `xml_form` and `lines_form`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, TypeGuard, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from alas_assets.provenance.ids import fold
from alas_assets.records import Category, Difficulty
from alas_assets.synthesis.wording import clean

RAW_CHARS = 4_000
"""Characters of a rejected item that are kept; the whole answer is in the ledger."""

_NUMBER = re.compile(r"[A-Za-z#\[( ]{0,12}([0-9]{1,6})[\]). ]{0,2}")


def _text(value: Any) -> Any:
    if value is None:
        return ""
    return fold(clean(value)) if isinstance(value, str) else value


def _clipped(chars: int) -> Any:
    return BeforeValidator(lambda value: text[:chars] if isinstance(text := _text(value), str) else text)


def _number(value: Any) -> Any:
    found = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(found[1]) if found else value


def _list(value: Any) -> Any:
    if value is None:
        return []
    members = [value] if isinstance(value, str) else value
    return [member for member in (_text(m) for m in members) if member != ""] if isinstance(members, list) else members


def _numbers(value: Any) -> Any:
    members = _list(value)
    return [_number(member) for member in members] if isinstance(members, list) else members


def _word(value: Any) -> Any:
    return text.casefold().strip(" .*`\"'") if isinstance(text := _text(value), str) else text


def _capital(value: Any) -> Any:
    return text.capitalize() if isinstance(text := _word(value), str) else text


Number = Annotated[int, BeforeValidator(_number), Field(ge=0)]
Prose = Annotated[str, BeforeValidator(_text)]
Name = Annotated[str, BeforeValidator(_text), Field(max_length=160, pattern=r"\w[^\n]*\w")]
Member = Annotated[str, Field(min_length=1, max_length=400)]
Texts = Annotated[list[Member], BeforeValidator(_list), Field(max_length=60)]


class Item(BaseModel):
    """Base of what an answer holds; keys that nobody asked for are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class PlannedTopic(Item):
    """A topic as a planner proposes it (P1)."""

    name: Name
    summary: Annotated[str, _clipped(600)] = ""
    prerequisites: Texts = []
    objectives: Texts = []
    difficulty: Annotated[Difficulty, BeforeValidator(_capital)]
    pages: Annotated[list[Number], BeforeValidator(_numbers), Field(min_length=1, max_length=1000)]


class WrittenPair(Item):
    """A pair as a writer gives it (S1)."""

    passage: Number
    question: Annotated[Prose, Field(min_length=5, max_length=400)]
    answer: Annotated[str, _clipped(1000)] = ""
    short_answer: Annotated[Prose, Field(min_length=1, max_length=160)]
    aliases: Texts = []
    category: Annotated[Category, BeforeValidator(_word)]
    difficulty: Annotated[Difficulty, BeforeValidator(_capital)]
    rationale: Annotated[str, _clipped(600)] = ""
    quote: Annotated[Prose, Field(min_length=1, max_length=1200)]
    phrasings: Texts = []


class MoreWordings(Item):
    """Further ways to ask one question (S4)."""

    item: Number
    phrasings: Annotated[Texts, Field(min_length=1)]


class Verdict(Item):
    """A judge's grade of one answer (E2)."""

    item: Number
    label: Annotated[Literal["correct", "partial", "incorrect"], BeforeValidator(_word)]
    error_type: Annotated[str, _clipped(60)] = ""
    explanation: Annotated[str, _clipped(500)] = ""


class NextTopic(Item):
    """A topic that a reviser proposes after an exam (V1)."""

    topic: Number
    kind: Annotated[Literal["remediation", "advanced"], BeforeValidator(_word)]
    name: Name
    summary: Annotated[str, _clipped(600)] = ""
    objectives: Texts = []


T = TypeVar("T", bound=Item)

_MEMBERS = {"prerequisites": "prerequisite", "objectives": "objective", "pages": "page", "aliases": "alias", "phrasings": "phrasing"}


@dataclass(frozen=True)
class Shape(Generic[T]):
    """How one purpose's answer is built.

    Attributes:
        many: The list's name; also the XML tag around all items.
        one: The XML tag around one item.
        model: What an item is.
        steady: Whether only what is well-formed counts. So it is for a judge, whose answer may repeat text aimed at it.
    """

    many: str
    one: str
    model: type[T]
    steady: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of an item's fields, in the order they are asked for."""
        return tuple(self.model.model_fields)

    @property
    def lists(self) -> dict[str, str]:
        """Fields that are lists, each with the XML tag of a member."""
        return {name: tag for name, tag in _MEMBERS.items() if name in self.model.model_fields}

    @property
    def numbered(self) -> str:
        """The field that says what an item is about; "" where there is none. In XML it may also be called `number`."""
        return next((name for name in ("item", "passage", "topic") if name in self.model.model_fields), "")

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of an answer, in the strict form: all keys required, none besides."""
        properties = {name: _schema_of(info.annotation) for name, info in self.model.model_fields.items()}
        item = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
        return {
            "type": "object",
            "properties": {self.many: {"type": "array", "items": item}},
            "required": [self.many],
            "additionalProperties": False,
        }


def _schema_of(annotation: Any) -> dict[str, Any]:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is list:
        return {"type": "array", "items": _schema_of(get_args(annotation)[0])}
    if get_origin(annotation) is Literal:
        return {"type": "string", "enum": list(get_args(annotation))}
    return {"type": "integer" if annotation is int else "string"}


PLAN = Shape("topics", "topic", PlannedTopic)
WRITE = Shape("pairs", "pair", WrittenPair)
PARAPHRASE = Shape("items", "item", MoreWordings)
JUDGE = Shape("grades", "grade", Verdict, steady=True)
REVISE = Shape("topics", "topic", NextTopic)


@dataclass(frozen=True)
class Rejected:
    """An item that cannot be used.

    Attributes:
        reason: Why, in words.
        text: The raw text, cut to `RAW_CHARS`.
        number: What the item says it is about; None where it does not.
        pages: The pages that it names, where it is a topic's and names any.
    """

    reason: str
    text: str
    number: int | None = None
    pages: tuple[int, ...] = ()


@dataclass(frozen=True)
class Loose:
    """An item after the first pass: fields by name, still of any kind, and the text it stood in."""

    fields: Mapping[str, Any]
    text: str


@dataclass
class Found:
    """What the first pass found; `listed` says that the answer has the form asked for, even where its list is empty."""

    items: list[Loose] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    listed: bool = False

    def reject(self, reason: str, text: str, number: int | None = None) -> None:
        """Keep what cannot be read, with its reason and the number that it says it is about."""
        self.rejected.append(Rejected(reason, raw(text), number))


def raw(text: str) -> str:
    """Return a raw text as it is kept: encodable, and cut."""
    return clean(text[: RAW_CHARS * 2])[:RAW_CHARS]


def check(loose: Loose, shape: Shape[T]) -> T | Rejected:
    """Return the item if its fields mean what they should, else why not (the second pass)."""
    number = _number(loose.fields.get(shape.numbered)) if shape.numbered else None
    number = number if _whole(number) else None
    pages = _numbers(loose.fields.get("pages"))
    try:
        return shape.model.model_validate(dict(loose.fields))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        said = "is missing" if first["type"] == "missing" else first["msg"].replace("Input should", "should")
        return Rejected(
            f"unusable item: {name} {said}"[:200], raw(loose.text), number, tuple(filter(_whole, pages)) if isinstance(pages, list) else ()
        )


def _whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
