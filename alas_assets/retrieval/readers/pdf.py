"""The reader of PDF: pypdf, bounded, without what the file draws invisibly. Bookmarks become headings."""

from __future__ import annotations

import io
import re
from collections import Counter
from datetime import datetime
from typing import Any

from pypdf import PdfReader
from pypdf.generic import ArrayObject, Destination, TextStringObject

from .page import Unreadable, answer, refuse_if_empty, tidy, usable, words

_MAX_PAGES = 500
_MAX_CHARS = 5_000_000
_MAX_BOOKMARKS = 2_000
_INVISIBLE_MODES = (3, 7)  # of the Tr operator: neither filled nor stroked
_SHOWING = {b"Tj": 0, b"TJ": 0, b"'": 0, b'"': 2}  # operators that show text, and which operand holds it
_BULLET = re.compile(r"^\s*[•▪◦‣●■]\s*")
_BROKEN = re.compile(r"(\w*[a-z])-\n([a-z]\w*)")
_RUNNING_LINE_SHARE = 0.6


def read_pdf(body: bytes) -> dict[str, Any]:
    """Read a PDF's text page by page.

    Raises:
        Unreadable: It is damaged, encrypted, has too many pages, or shows no text.
    """
    try:
        return _read(body)
    except (Unreadable, MemoryError, RecursionError):
        raise
    except Exception as error:  # pypdf meets damage with whatever its code happens to raise
        raise Unreadable(f"the PDF is damaged: {type(error).__name__}: {error}"[:300]) from error


def _read(body: bytes) -> dict[str, Any]:
    reader = PdfReader(io.BytesIO(body))
    if reader.is_encrypted:
        raise Unreadable("the PDF is encrypted")
    if len(reader.pages) > _MAX_PAGES:
        raise Unreadable(f"the PDF has {len(reader.pages)} pages; at most {_MAX_PAGES} are read")
    bookmarks = _bookmarks(reader)
    pages = _without_running_lines([_page_lines(page) for page in reader.pages])
    text = _joined("\n\n".join("\n".join(_marked(lines, bookmarks.get(number, {}))) for number, lines in enumerate(pages)))
    if len(text) > _MAX_CHARS:
        raise Unreadable(f"the PDF holds more than {_MAX_CHARS:,} characters")
    kept = tidy(text)
    shown = len(words(kept))
    refuse_if_empty(shown, "the PDF")
    about = _about(reader)
    first = next(line for line in kept.split("\n") if line.strip())
    return answer(
        kept,
        about.pop("title") or first.lstrip("# "),
        about,
        links=usable(link for page in reader.pages for link in _links(page)),
        page_words=shown,
        kept_words=shown,
        link_words=0,
        how="pdf",
    )


class _Blanker:
    """Follows the text rendering mode through a page's operators and blanks what is shown in an invisible one (S9)."""

    def __init__(self) -> None:
        self._mode = 0
        self._outer: list[int] = []

    def __call__(self, operator: bytes, operands: Any, _matrix: Any, _text_matrix: Any) -> None:
        if operator == b"q":
            self._outer.append(self._mode)
        elif operator == b"Q" and self._outer:
            self._mode = self._outer.pop()
        elif operator == b"Tr" and operands and isinstance(operands[0], int | float):
            self._mode = int(operands[0])
        elif operator in _SHOWING and self._mode in _INVISIBLE_MODES and len(operands) > _SHOWING[operator]:
            operands[_SHOWING[operator]] = ArrayObject() if operator == b"TJ" else TextStringObject("")


def _page_lines(page: Any) -> list[str]:
    text = page.extract_text(visitor_operand_before=_Blanker())
    return [_BULLET.sub("- ", line.rstrip()) for line in text.split("\n")]


def _without_running_lines(pages: list[list[str]]) -> list[list[str]]:
    """Drop headers and footers: a first or last line that most pages share, numbers apart."""

    def shape(line: str) -> str:
        return re.sub(r"\d+", "0", line.strip())

    pages = [_stripped(lines) for lines in pages]
    edges = Counter(edge for lines in pages if lines for edge in {shape(lines[0]), shape(lines[-1])})
    running = {line for line, count in edges.items() if count >= max(3, _RUNNING_LINE_SHARE * len(pages))}
    for lines in pages:
        for end in (0, -1):
            if lines and shape(lines[end]) in running:
                del lines[end]
    return pages


def _stripped(lines: list[str]) -> list[str]:
    filled = [number for number, line in enumerate(lines) if line.strip()]
    return lines[filled[0] : filled[-1] + 1] if filled else []


def _bookmarks(reader: PdfReader) -> dict[int, dict[str, int]]:
    """Return the bookmarks' levels by page number and folded title."""
    found: dict[int, dict[str, int]] = {}
    left = [_MAX_BOOKMARKS]

    def walk(items: Any, level: int) -> None:
        for item in items:
            if isinstance(item, list):
                walk(item, level + 1)
            elif isinstance(item, Destination) and left[0] > 0:
                left[0] -= 1
                page = reader.get_destination_page_number(item)
                if page is not None:
                    found.setdefault(page, {})[_folded(str(item.title or ""))] = min(level, 6)

    walk(reader.outline, 1)
    return found


def _marked(lines: list[str], titles: dict[str, int]) -> list[str]:
    """Mark the lines that bookmarks lead to as headings."""
    marked = []
    for line in lines:
        level = titles.get(_folded(line)) if titles and line.strip() else None
        marked += [line] if level is None else ["", f"{'#' * level} {line.strip()}", ""]
    return marked


def _folded(text: str) -> str:
    return " ".join(text.split()).lower()


def _joined(text: str) -> str:
    """Join words that a line's end broke; a hyphen stays where the text has the word with it elsewhere."""
    known = Counter(re.findall(r"\w+(?:-\w+)*", text))

    def join(match: re.Match[str]) -> str:
        whole, hyphened = match[1] + match[2], f"{match[1]}-{match[2]}"
        return hyphened if known[hyphened] > known[whole] else whole

    return _BROKEN.sub(join, text)


def _links(page: Any) -> list[str]:
    found = []
    for annotation in page.annotations or []:
        action = annotation.get_object().get("/A")
        target = action.get_object().get("/URI") if action is not None else None
        if isinstance(target, str) and target.startswith(("http://", "https://")):
            found.append(target)
    return found


def _about(reader: PdfReader) -> dict[str, Any]:
    told = reader.metadata
    if told is None:
        return {"title": ""}
    try:
        created = told.creation_date
    except ValueError:
        created = None
    return {
        "title": str(told.title or "").strip(),
        "authors": [str(told.author)] if told.author else [],
        "published_at": created.isoformat() if isinstance(created, datetime) else "",
    }
