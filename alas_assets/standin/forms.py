"""Writes an answer as JSON, XML or lines, and fits JSON to a schema that a request sends along."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from alas_assets.provenance.ids import fold
from alas_assets.standin.reading import Form

_MEMBER = {
    "topics": "topic",
    "pairs": "pair",
    "items": "item",
    "grades": "grade",
    "prerequisites": "prerequisite",
    "objectives": "objective",
    "pages": "page",
    "aliases": "alias",
    "phrasings": "phrasing",
}
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}
_EMPTY: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": (), "null": None}
_DEEPEST = 40
_MOST_STEPS = 200_000


class SchemaError(ValueError):
    """No answer fits the schema that the request sends; the message says where."""


def written(answer: Mapping[str, Any], form: Form) -> str:
    """Return an answer in a form; `schema` is JSON."""
    if form == "xml":
        return "".join(_xml(key, value) for key, value in answer.items())
    if form == "lines":
        return "\n---\n".join(_lines(item) for items in answer.values() for item in items) or "none"
    return json.dumps(answer, ensure_ascii=False)


def _xml(tag: str, value: Any) -> str:
    if isinstance(value, list):
        inside = "".join(_xml(_MEMBER[tag], item) for item in value)
    elif isinstance(value, dict):
        # a number that is named as its element would read as an element inside itself
        inside = "".join(_xml("number" if key == tag else key, item) for key, item in value.items())
    else:
        inside = escape(_NOT_XML.sub("", str(value)))
    return f"<{tag}>{inside}</{tag}>"


def _lines(item: Mapping[str, Any]) -> str:
    said = {key: " | ".join(_member(v) for v in value) if isinstance(value, list) else fold(str(value)) for key, value in item.items()}
    return "\n".join(f"{key}: {value}".rstrip() for key, value in said.items())


def _member(value: Any) -> str:
    return fold(str(value)).replace(" | ", "|")


def fitted(value: Any, schema: Any) -> Any:
    """Return a value as a JSON schema wants it: fields that it does not know left out, missing ones empty (structured outputs).

    Knows what strict structured outputs use: properties, required, additionalProperties, items, maxItems, enum, anyOf, $ref.

    Raises:
        SchemaError: The value does not fit, or the schema asks for more than it is worth.
    """
    return _Fitting(schema).fit(value, schema, "answer", 0)


def emptiest(schema: Any) -> Any:
    """Return the emptiest value that a JSON schema allows.

    Raises:
        SchemaError: There is none.
    """
    return _Fitting(schema).empty(schema, "answer", 0)


class _Fitting:
    """Fits values to one schema; a schema is hostile input, so depth and steps are bounded."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._steps = 0

    def fit(self, value: Any, schema: Any, where: str, depth: int) -> Any:
        schema = self._enter(schema, where, depth)
        for union in ("anyOf", "oneOf"):
            if isinstance(schema.get(union), list):
                return self._first_fitting(value, schema[union], where, depth)
        kind = schema.get("type")
        kinds = kind if isinstance(kind, list) else [] if kind is None else [kind]
        if kinds and not any(_is(value, one) for one in kinds):
            raise SchemaError(f"{where}: wants {_short(' or '.join(map(str, kinds)))}, the answer has {type(value).__name__}")
        if isinstance(schema.get("enum"), list) and value not in schema["enum"]:
            raise SchemaError(f"{where}: {_short(value)!r} is none of the values allowed")
        if isinstance(value, dict):
            return self._fit_object(value, schema, where, depth)
        if isinstance(value, list):
            most = schema.get("maxItems")
            kept = value[: max(most, 0)] if isinstance(most, int) else value
            items = schema.get("items", True)
            return [self.fit(item, items, f"{where}[{i}]", depth + 1) for i, item in enumerate(kept)]
        return value

    def _fit_object(self, value: dict[str, Any], schema: Mapping[str, Any], where: str, depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        fit = {key: self.fit(value[key], properties[key], f"{where}.{_short(key)}", depth + 1) for key in properties if key in value}
        if schema.get("additionalProperties", True) is not False:
            fit |= {key: item for key, item in value.items() if key not in properties}
        required = schema.get("required")
        for key in required if isinstance(required, list) else []:
            if isinstance(key, str) and key not in fit:
                fit[key] = self.empty(properties.get(key, {}), f"{where}.{_short(key)}", depth + 1)
        return fit

    def _first_fitting(self, value: Any, schemas: list[Any], where: str, depth: int) -> Any:
        why = f"{where}: the schema allows nothing"
        for schema in schemas:
            try:
                return self.fit(value, schema, where, depth + 1)
            except SchemaError as error:
                why = str(error)
        raise SchemaError(why)

    def empty(self, schema: Any, where: str, depth: int) -> Any:
        """Return the emptiest value that a schema allows."""
        schema = self._enter(schema, where, depth)
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return schema["enum"][0]
        if isinstance(schema.get("anyOf"), list) and schema["anyOf"]:
            return self.empty(schema["anyOf"][-1], where, depth + 1)
        kind = schema.get("type", "null")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        if kind == "object":
            return self._fit_object({}, schema, where, depth)
        if not isinstance(kind, str) or kind not in _EMPTY:
            raise SchemaError(f"{where}: the answer has no such field")
        return [] if kind == "array" else _EMPTY[kind]

    def _enter(self, schema: Any, where: str, depth: int) -> dict[str, Any]:
        """Return a schema with its references followed, and count the step."""
        for _ in range(20):
            self._steps += 1
            if depth > _DEEPEST or self._steps > _MOST_STEPS:
                raise SchemaError(f"{where}: the schema is nested too deep or offers too many ways")
            if schema is True:
                return {}
            if not isinstance(schema, dict):
                raise SchemaError(f"{where}: is no JSON schema")
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                return schema
            schema = self._root
            for part in reference.removeprefix("#").strip("/").split("/") if reference != "#" else ():
                schema = schema.get(part) if isinstance(schema, dict) else None
        raise SchemaError(f"{where}: $ref goes round in circles")


def _is(value: Any, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(kind, str) and isinstance(value, _TYPES.get(kind, ()))


def _short(value: Any) -> str:
    return str(value)[:80]
