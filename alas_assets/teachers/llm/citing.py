"""Finding the stretch of a passage that a model copied without its marks: code marks, emphasis, links, typographic quotes (S2).

A quote counts only letter by letter (`synthesis.quotes`), and models drop marks when they copy. What is found here is the passage's own
text; where there is none the quote stays as the model gave it, for curation to judge.
"""

from __future__ import annotations

import re
from functools import lru_cache

from alas_assets.provenance.ids import fold
from alas_assets.synthesis.quotes import cuts_word

_MARK = re.compile(r"[`*]+|\\(?=[^\w\s])|\[(?=[^\[\]\n]*\]\([^()\s]*\))|(?<=[^\s\[\]])\]\([^()\s]*\)")
_SAME = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "‑": "-"})
_MARKS = "`*"


@lru_cache(maxsize=512)
def _bare(text: str) -> tuple[str, tuple[int, ...]]:
    """Return a text without marks and with single spaces, and where each of its characters stands in the text."""
    marks = {i for match in _MARK.finditer(text) for i in range(*match.span())}
    chars: list[str] = []
    places: list[int] = []
    for i, char in enumerate(text):
        if i in marks:
            continue
        if char.isspace():
            if not chars or chars[-1] == " ":
                continue
            char = " "  # noqa: PLW2901
        chars.append(char.translate(_SAME))
        places.append(i)
    return "".join(chars), tuple(places)


@lru_cache(maxsize=512)
def _folded(text: str) -> str:
    return fold(text)


def _stands(quote: str, text: str) -> bool:
    """Tell whether a folded quote stands in a text without cutting a word."""
    at = _folded(text).find(quote) if quote else -1
    while at >= 0:
        if not cuts_word(_folded(text), at, at + len(quote)):
            return True
        at = _folded(text).find(quote, at + 1)
    return False


def stretch(quote: str, text: str) -> str | None:
    """Return the stretch of a text that a quote copies, marks apart: the quote itself where it stands there; None where none does.

    Args:
        quote: As the model gave it.
        text: A passage.
    """
    copied = fold(quote)
    if _stands(copied, text):
        return quote
    wanted = _bare(copied)[0].strip()
    bare, places = _bare(text)
    at = bare.find(wanted) if wanted else -1
    while at >= 0:
        start, end = places[at], places[at + len(wanted) - 1] + 1
        while start > 0 and text[start - 1] in _MARKS:
            start -= 1
        while end < len(text) and text[end] in _MARKS:
            end += 1
        found = fold(text[start:end])
        if _stands(found, text):
            return found
        at = bare.find(wanted, at + 1)
    return None
