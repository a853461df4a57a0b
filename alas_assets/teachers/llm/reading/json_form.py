"""Finds an answer's items in JSON: bare, fenced, in prose, or broken in places (S3).

Only what is whole becomes an item: a part that breaks off is rejected, never completed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import json_repair

from alas_assets.teachers.llm.reading.shapes import Found, Loose, Shape

_FENCED = re.compile(r"```[\w-]*[ \t]*\n?(.*?)```", re.DOTALL)
_TRIES = 500  # brackets at which reading is tried; text made of brackets costs no more
_MEND_CHARS = 20_000
_CONTENT = re.compile(r"\w+")
_OPENING = re.compile(r"[{\[]")


class _TwiceError(ValueError):
    """An object names a key twice, so that it says two things."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _TwiceError("an object names a key twice")
    return made


# Numbers stay as written: 3.10 is a version, not 3.1.
_DECODER = json.JSONDecoder(strict=False, object_pairs_hook=_object, parse_float=str, parse_int=str, parse_constant=str)


def find(text: str, shape: Shape[Any]) -> Found:
    """Return every item in the text, wherever it stands."""
    found = Found(listed=text.strip().strip("`").removeprefix("json").strip() == "[]")
    if shape.steady:
        for value, source in _whole(text):
            _take(value, source, shape, found)
        return found
    for value, source in _pieces(text, shape, found):
        _take(value, source, shape, found)
    return found


def _whole(text: str) -> Iterator[tuple[Any, str]]:
    """Yield what a text says if all its braces belong to whole values: alone, in code fences, or with prose around.

    Text with whole and broken parts side by side says nothing: which part the model meant cannot be told.
    """
    bare, outside = text.strip(), _FENCED.sub("", text)
    fences = [part.strip() for part in _FENCED.findall(text) if "{" in part]
    parts = (
        [bare] if _strict(bare) is not None else fences if fences and "{" not in outside else [bare[bare.find("{") : bare.rfind("}") + 1]]
    )
    values = [_strict(part) for part in parts]
    if all(value is not None for value in values):
        yield from zip(values, parts, strict=True)


def _strict(text: str) -> Any:
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return value if end == len(text) else None


def _pieces(text: str, shape: Shape[Any], found: Found) -> Iterator[tuple[Any, str]]:
    """Yield every value that can be read; what looks like an item and cannot is rejected."""
    at = tries = 0
    item_like = re.compile(rf"\{{\s*[\"']?(?:{'|'.join(shape.fields)})[\"']?\s*:")
    while tries < _TRIES:
        match = _OPENING.search(text, at)
        if match is None:
            return
        at, tries = match.start(), tries + 1
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            if item_like.match(text, at):
                end = _end_of_object(text, at)
                if end is None:
                    following = item_like.search(text, at + 1)
                    end = following.start() if following else len(text)
                    found.reject("broken item: its braces do not close", text[at:end])
                elif (mended := _mend(text[at:end], shape)) is not None:
                    yield mended, text[at:end]
                else:
                    found.reject("broken item: it cannot be read as JSON", text[at:end])
                at = end
            else:
                at += 1
            continue
        yield value, text[at:end]
        at = end


def _end_of_object(text: str, at: int) -> int | None:
    """Return where the object that begins here ends, braces inside strings apart; None where it does not."""
    depth, quoted, skip = 0, False, False
    for i in range(at, min(len(text), at + _MEND_CHARS)):
        char = text[i]
        if skip:
            skip = False
        elif char == "\\":
            skip = quoted
        elif char == '"':
            quoted = not quoted
        elif not quoted and char in "{[":
            depth += 1
        elif not quoted and char in "}]":
            depth -= 1
            if depth == 0:
                return i + 1
    return None


def _mend(text: str, shape: Shape[Any]) -> dict[str, Any] | None:
    """Return an object with its slips mended, if every word of it is still there and nothing became a key that none asked for."""
    try:
        value = json_repair.loads(text, skip_json_loads=True, strict=True)
    except (ValueError, RecursionError, IndexError, KeyError, TypeError, AttributeError):
        return None
    if not isinstance(value, dict) or not set(value) <= set(shape.fields):
        return None
    return value if _said(value) == _CONTENT.findall(text) else None


def _said(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [word for key, member in value.items() for word in (*_CONTENT.findall(str(key)), *_said(member))]
    if isinstance(value, list):
        return [word for member in value for word in _said(member)]
    return _CONTENT.findall("null" if value is None else str(value).lower() if isinstance(value, bool) else str(value))


def _take(value: Any, source: str, shape: Shape[Any], found: Found, depth: int = 0) -> None:
    """Take the items out of one value: the list under its name, a bare list, a bare item, or these inside one wrapper."""
    if isinstance(value, dict) and isinstance(value.get(shape.many), list):
        found.listed = True
        _take_list(value[shape.many], source, shape, found)
    elif isinstance(value, list) and (depth == 0 or any(isinstance(member, dict) for member in value)):
        if any(isinstance(member, dict) and _is_item(member, shape) for member in value):
            _take_list(value, source, shape, found)
    elif isinstance(value, dict) and _is_item(value, shape):
        found.listed = True
        found.items.append(Loose(value, source))
    elif isinstance(value, dict) and depth < 2:
        for member in value.values():
            if isinstance(member, (dict, list)):
                _take(member, source, shape, found, depth + 1)


def _is_item(value: dict[str, Any], shape: Shape[Any]) -> bool:
    return len(value.keys() & set(shape.fields)) >= 2


def _take_list(members: list[Any], source: str, shape: Shape[Any], found: Found) -> None:
    found.listed = True
    for member in members:
        text = json.dumps(member, ensure_ascii=False) if len(members) > 1 else source
        if isinstance(member, dict):
            found.items.append(Loose(member, text))
        else:
            found.reject(f"no item: a member of {shape.many} is not an object", text)
