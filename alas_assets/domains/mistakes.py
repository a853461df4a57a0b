"""What is wrong with a domain file, in plain words: every mistake a line that names its key (U3).

The rules are `domains.config`'s and `domains.sources`'.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_LEAST_LETTERS = 4

_OF_TYPE = {
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": 'must be a list, such as ["...", "..."]',
    "model_type": "must be a table with keys of its own",
    "model_attributes_type": "must be a table with keys of its own",
    "missing": "must be set",
}
_OF_LIMIT: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda limit: f"must be more than {limit['gt']:g}",
    "greater_than_equal": lambda limit: f"must be at least {limit['ge']:g}",
    "less_than": lambda limit: f"must be less than {limit['lt']:g}",
    "less_than_equal": lambda limit: f"must be at most {limit['le']:.12g}",
    "string_too_short": lambda limit: f"must have at least {limit['min_length']} characters",
    "string_too_long": lambda limit: f"must have at most {limit['max_length']} characters",
    "too_short": lambda limit: f"must have at least {limit['min_length']} entries",
    "too_long": lambda limit: f"must have at most {limit['max_length']} entries, and has {limit['actual_length']}",
    "literal_error": lambda limit: f"must be {limit['expected']}",
}


def mistakes(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return every mistake as "key: what is wrong with it", in the order of the file's sections.

    No value is repeated but one that had to be a word of a short list: it may be a key that was pasted in the wrong place.

    Args:
        error: What validating found.
        model: What was validated; its fields are the keys that are known.
    """
    return [f"{_where(one['loc'])}: {_what(one, model)}" for one in error.errors(include_url=False)]


def _where(location: tuple[int | str, ...]) -> str:
    """Return a key with its tables; an entry of a list by its number, counted from one."""
    named = ""
    for part in location:
        named += f", entry {part + 1}" if isinstance(part, int) else f".{part}" if named else part
    return named or "file"


def _what(one: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = one["type"], one.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(str(one["loc"][-1]), one["loc"][:-1], model)
    if kind in _OF_TYPE:
        return _OF_TYPE[kind]
    if kind in _OF_LIMIT:
        nearest = _nearest(one["input"], context.get("expected", "").replace("'", "").replace(" or ", ", ").split(", "))
        return _OF_LIMIT[kind](context) + (f"; did you mean {nearest!r}?" if kind == "literal_error" and nearest else "")
    return one["msg"].removeprefix("Value error, ")


def _unknown(key: str, tables: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """Say that a key is unknown, and which is meant: one of its own table, or one of the same name in another."""
    here = _table(model, tables)
    nearest = _nearest(key, list(here.model_fields))
    if nearest:
        return f"unknown key; did you mean {nearest}?"
    elsewhere = [name for name, other in _tables(model) if key in other.model_fields and other is not here]
    return f"unknown key; it belongs to {' or '.join(elsewhere)}" if elsewhere else f"unknown key; known are {_listed(here)}"


def _listed(table: type[BaseModel]) -> str:
    return ", ".join(name for name in table.model_fields if name != "key")


def _nearest(written: object, known: list[str]) -> str:
    """Return the known word that is most like what was written, or the one that holds it; "" where none is meant."""
    if not isinstance(written, str):
        return ""
    word, offered = written.lower(), [name for name in known if name != "key"]
    around = [name for name in offered if len(word) >= _LEAST_LETTERS and word in name]
    return next(iter(difflib.get_close_matches(word, offered, 1) or around), "")


def _table(model: type[BaseModel], tables: tuple[int | str, ...]) -> type[BaseModel]:
    for name in tables:
        if isinstance(name, str):
            model = model_of(model.model_fields[name].annotation) or model
    return model


def _tables(model: type[BaseModel], name: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield every table of a file with how it is written."""
    yield f"[{name}]" if name else "the top of the file, before any table", model
    for key, field in model.model_fields.items():
        if inner := model_of(field.annotation):
            yield from _tables(inner, f"{name}.{key}" if name else key)


def model_of(annotation: object) -> type[BaseModel] | None:
    """Return the table that a field holds, alone, in a list or optionally."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := model_of(part))), None)
