"""Finds an answer's items in `NAME: value` lines, the form that small models manage (S3)."""

from __future__ import annotations

import re
from typing import Any

from alas_assets.teachers.llm.reading.shapes import Found, Loose, Shape

_RULE = re.compile(r"\s*(?:-{3,}|\*{3,}|={3,}|_{3,})\s*")
_FENCE = re.compile(r"\s*```[\w-]*\s*")
_BREAK = re.compile(r"\r\n|[\n\r]")


def find(text: str, shape: Shape[Any]) -> Found:
    """Return every item in the text; lines before an item's first name are prose and left out."""
    found = Found(listed=text.strip().strip(".`").casefold() == "none")
    name = re.compile(rf"\s*(?:[-*]\s+)?\**({'|'.join(shape.fields)})\**\s*:\**(?:[ \t]+(.*)|)", re.IGNORECASE | re.DOTALL)
    for group in _groups(text, name, shape):
        _read(group, name, shape, found)
    return found


def _groups(text: str, name: re.Pattern[str], shape: Shape[Any]) -> list[list[str]]:
    """Split at rules, and, but for a judge, where the first name comes again."""
    groups: list[list[str]] = [[]]
    for line in _BREAK.split(text):
        if _RULE.fullmatch(line) or _FENCE.fullmatch(line):
            groups.append([])
            continue
        match = name.fullmatch(line)
        first = match is not None and match[1].lower() == shape.fields[0]
        if first and not shape.steady and any(name.fullmatch(earlier) for earlier in groups[-1]):
            groups.append([])
        groups[-1].append(line)
    return groups


def _read(lines: list[str], name: re.Pattern[str], shape: Shape[Any], found: Found) -> None:
    fields: dict[str, str] = {}
    current = ""
    for line in lines:
        match = name.fullmatch(line)
        if match is None:
            if current:
                fields[current] = f"{fields[current]}\n{line}"
            continue
        current = match[1].lower()
        if current in fields:
            found.listed = True
            found.reject(f"broken item: {current} stands there twice", "\n".join(lines))
            return
        fields[current] = match[2] or ""
    if len(fields) < 2:  # a word and a colon also stand in prose
        return
    found.listed = True
    loose = {key: _members(value) if key in shape.lists else value for key, value in fields.items()}
    found.items.append(Loose(loose, "\n".join(lines)))


def _members(value: str) -> list[str]:
    members = [member.strip() for member in re.split(r"\s\|\s|\n", f" {value} ")]
    return [member for member in members if member and member.casefold() != "none"]
