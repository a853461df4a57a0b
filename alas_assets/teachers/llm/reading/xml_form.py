"""Finds an answer's items in XML written by a model: prose around it, bare & and <, tags left open (S3, S9).

Only the tags of the shape are markup; everything else that looks like it is text. Nothing external is ever loaded.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from alas_assets.teachers.llm.reading.shapes import Found, Loose, Shape

_REFERENCE = re.compile(r"&(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});")
_OPEN, _CLOSE = "<![CDATA[", "]]>"
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue003-\ufffd\U00010000-\U0010ffff]")
# A mending parser loses references after a fault, so what they stand for goes through it as private characters.
_HIDE = str.maketrans({"&": "\ue000", "<": "\ue001", ">": "\ue002"})
_SHOW = str.maketrans({"\ue000": "&", "\ue001": "<", "\ue002": ">"})


def find(text: str, shape: Shape[Any]) -> Found:
    """Return every item in the text, wherever it stands; a list says that there is none only where nothing stands in it."""
    found = Found()
    text = _only_known_tags(_NO_XML.sub("\ufffd", text), shape)
    lists = _insides(text, f"<{shape.many}>", f"</{shape.many}>")
    found.listed = bool(lists) and not any(inside.strip() for inside in lists)
    for body, fault in _segments(text, shape):
        found.listed = True
        if fault:
            found.reject(fault, body.translate(_SHOW), _number_in(body, shape))
        else:
            _read(body, shape, found)
    return found


def _number_in(body: str, shape: Shape[Any]) -> int | None:
    """Return the number that a broken item names first: a judge's that is cut in two by another has graded its answer all the same."""
    found = re.search(rf"<(?:{shape.numbered}|number)>\s*([0-9]{{1,9}})\s*<", body) if shape.numbered else None
    return int(found[1]) if found else None


def _insides(text: str, opening: str, closing: str) -> list[str]:
    """Return what stands between each opening and the closing that follows it; each character is read once."""
    insides: list[str] = []
    at = 0
    while (start := text.find(opening, at)) >= 0 and (end := text.find(closing, start)) >= 0:
        insides.append(text[start + len(opening) : end])
        at = end + len(closing)
    return insides


def _tags(shape: Shape[Any]) -> list[str]:
    return [shape.many, shape.one, *shape.fields, *shape.lists.values(), "number"]


def _only_known_tags(text: str, shape: Shape[Any]) -> str:
    """Return the text with the shape's tags plain and everything else escaped."""
    text = _opened_sections(text)
    names = "|".join(sorted(dict.fromkeys(_tags(shape)), key=len, reverse=True))
    tag = re.compile(rf"<(/?)({names})(?:\s[^<>]{{0,200}}?)?\s*(/?)>", re.IGNORECASE)
    parts: list[str] = []
    at = 0
    for match in tag.finditer(text):
        parts.append(_escaped(text[at : match.start()]))
        name = match[2].lower()
        parts.append(f"<{name}></{name}>" if match[3] and not match[1] else f"<{match[1]}{name}>")
        at = match.end()
    return "".join([*parts, _escaped(text[at:])])


def _opened_sections(text: str) -> str:
    """Return the text with its CDATA sections escaped; one that is never closed stays as it is, and each character is read once."""
    parts: list[str] = []
    at = 0
    while (start := text.find(_OPEN, at)) >= 0 and (end := text.find(_CLOSE, start + len(_OPEN))) >= 0:
        parts += [text[at:start], text[start + len(_OPEN) : end].translate(_HIDE)]
        at = end + len(_CLOSE)
    return "".join([*parts, text[at:]])


def _escaped(text: str) -> str:
    return _REFERENCE.sub(lambda match: _NO_XML.sub("\ufffd", unescape(match[0])), text).translate(_HIDE)


def _segments(text: str, shape: Shape[Any]) -> list[tuple[str, str]]:
    """Return the inside of each item and, where it cannot be trusted to be whole, why.

    An item whose end tag is missing is whole if another item or the end of the list follows; at the end of the answer it is not.
    """
    one = shape.one
    marks = list(re.finditer(rf"<(/?)({one}|{shape.many})>", text))
    if one in shape.fields:  # <topic><topic>1</topic>...: the inner one is a field
        marks = _outer_marks(marks, text, one)
    segments: list[tuple[str, str]] = []
    for i, mark in enumerate(marks):
        if mark[0] != f"<{one}>":
            continue
        following = marks[i + 1] if i + 1 < len(marks) else None
        body = text[mark.end() : following.start() if following else len(text)]
        closed = following is not None and following[0] == f"</{one}>"
        if following is None:
            segments.append((body, "broken item: the answer ends inside it"))
        elif not closed and shape.steady:
            segments.append((body, "broken item: it is not closed"))
        else:
            segments.append((body, ""))
    return segments


def _outer_marks(marks: list[re.Match[str]], text: str, one: str) -> list[re.Match[str]]:
    kept: list[re.Match[str]] = []
    inner = False
    for mark in marks:
        if inner:
            inner = mark[0] != f"</{one}>"
            continue
        opened = bool(kept) and kept[-1][0] == f"<{one}>"
        if mark[0] == f"<{one}>" and opened and not text[kept[-1].end() : mark.start()].strip():
            inner = True
            continue
        kept.append(mark)
    return kept


def _read(body: str, shape: Shape[Any], found: Found) -> None:
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] (a C module, needed only where XML is read)

    parser = etree.XMLParser(
        recover=not shape.steady, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_pis=True
    )
    try:
        item = etree.fromstring(f"<whole>{body}</whole>", parser)
    except (etree.LxmlError, ValueError) as error:
        found.reject(f"broken item: {' '.join(str(error).split())[:120]}", body.translate(_SHOW))
        return
    fields: dict[str, Any] = {}
    fault = "" if item is not None else "it holds nothing"
    for element in () if item is None else item.iterdescendants():
        name = element.tag
        if name == "number" and "number" not in shape.fields:
            name = shape.numbered
        if name in shape.lists.values() and name not in shape.fields:
            continue
        if name not in shape.fields:
            fault = fault or f"<{element.tag}> stands inside an item"
        elif name in fields:
            fault = fault or f"<{element.tag}> stands there twice"
        elif (len(element) and shape.steady and name not in shape.lists) or _has_loose_ends(element, name in shape.lists):
            fault = fault or f"<{element.tag}> holds other tags"
        else:
            fields[name] = _members(element, shape.lists[name]) if name in shape.lists else _shown(element)
    if fault:
        found.reject(f"broken item: {fault}", body.translate(_SHOW))
    else:
        found.items.append(Loose(fields, body.translate(_SHOW)))


def _has_loose_ends(element: Any, is_list: bool) -> bool:
    """Tell whether text follows a tag inside a field: a field left open is read up to the next tag, but not past it."""
    return any((child.tail or "").strip() for child in element.iterdescendants() if not (is_list and child.getparent() is not element))


def _members(element: Any, tag: str) -> list[str]:
    members = [_shown(member) for member in element.iterdescendants(tag)]
    return members or ([_shown(element)] if _shown(element).strip() else [])


def _shown(element: Any) -> str:
    return (element.text or "").translate(_SHOW)
