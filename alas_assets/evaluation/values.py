"""Typed values in a text: versions, PEP, CVE and issue numbers, dates; which of them agree, and the kind that a bare answer shows.

Gold answers that are found by their words are `evaluation.occurrences`'; what a second value costs is `evaluation.grading`'s.
"""

from __future__ import annotations

import re
from typing import Any

from alas_assets.evaluation.tokens import GENERIC, Span, canonical, is_number, normalise, parts_of, tokenise, words
from alas_assets.evaluation.units import unit_of

VALUE_KINDS = frozenset({"version", "pep", "cve", "issue", "date"})
"""Answer kinds that have values."""

_MONTHS = {
    month: number
    for number, names in enumerate(
        (
            ("january", "jan"), ("february", "feb"), ("march", "mar"), ("april", "apr"), ("may",), ("june", "jun"), ("july", "jul"),
            ("august", "aug"), ("september", "sep", "sept"), ("october", "oct"), ("november", "nov"), ("december", "dec"),
        ),
        start=1,
    )
    for month in names
}  # fmt: skip

_VERSION = re.compile(
    r"(?<![\w.])\d+(?:\.\d+)*(?:\.\d+(?:(?:a|b|rc|\.?dev|\.?post)\d+)?|\.x)(?!\w)(?!\s*(?:percent|seconds?|times|ms|kb|mb|gb)\b)"
)
_INTEGER = re.compile(r"(?<![\w.-])\d+(?![\w-]|\.\d)")
_PEP = re.compile(r"\bpep (\d+)")
_CVE = re.compile(r"(?<![\w-])(?:cve-)?(\d{4}-\d{4,})(?![\w-])")
_ISSUE = re.compile(r"(?:\b(?:gh|bpo|issues?|bugs?|pr|ticket)[\s#:-]{0,3}|#)(\d+)\b")
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATE = re.compile(
    rf"""
      (?<![\w.-])(?P<iy>\d{{4}})-(?P<im>\d\d?)(?:-(?P<id>\d\d?))?(?![\w-])
    | (?<![\w.])(?:(?P<d1>\d\d?)(?:st|nd|rd|th)?\s+(?:of\s+)?)?\b(?P<m1>{_MONTH})\b\.?
      (?:\s+(?P<d2>\d\d?)(?:st|nd|rd|th)?(?![\w.]))?(?:\s*,?\s*(?P<y1>\d{{4}}))?(?!\w)
    | (?<![\w.-])(?P<y2>(?:19|20)\d\d)(?![\w-]|\.\d)
    """,
    re.VERBOSE,
)


def kind_of(answer: str) -> str:
    """Return the answer kind that a bare answer shows by its form, "phrase" where it shows none (for exams, E8)."""
    text = normalise(answer)
    core = [word for word in words(answer) if word not in GENERIC]
    if re.search(r"\bpep \d+", text) and len(core) == 1:
        return "pep"
    if _CVE.search(text) and len(core) == 1:
        return "cve"
    if len(core) == 1 and _ISSUE.search(text):
        return "issue"
    if len(core) == 1 and _VERSION.fullmatch(core[0]):
        return "version"
    date = _DATE.search(text)
    if date and date.end() - date.start() >= len(text.strip(" .`'\"")) and (date["y1"] or date["iy"] or date["y2"]):
        return "date"
    return "quantity" if _is_quantity(core) else "phrase"


def _is_quantity(said: list[str]) -> bool:
    """Tell whether words are a number, in digits or as a word, with a unit or none."""
    parts = [part for word in said for part in parts_of(word, "quantity")]
    return 1 <= len(parts) <= 2 and is_number(parts[0]) and all(map(unit_of, parts[1:]))


def values_in(text: str, kind: str, integers: bool = False) -> list[tuple[Any, Span]]:
    """Find the values of a kind in a normalised text, in order, each with its place.

    Args:
        text: A normalised text.
        kind: The answer kind; those that are not in `VALUE_KINDS` have no values.
        integers: Whether bare integers count as versions (where the gold answer is one).
    """
    lone = _lone_integer(text)
    if kind == "version":
        matches = [(canonical(m[0], kind), m.span()) for m in _VERSION.finditer(text)]
        if integers:
            matches += [(m[0], m.span()) for m in _INTEGER.finditer(text)]
    elif kind == "pep":
        matches = [(m[1], m.span()) for m in _PEP.finditer(text)]
        taken = {span[1] for _, span in matches}
        for m in _INTEGER.finditer(text):  # "PEP 810 and 790": a bare number beside it is a PEP too, a year is not
            if m.end() not in taken and (lone or (len(m[0]) in (3, 4) and not 1990 <= int(m[0]) < 2100)):
                matches.append((m[0].lstrip("0") or "0", m.span()))
    elif kind == "cve":
        matches = [(m[1], m.span()) for m in _CVE.finditer(text)]
    elif kind == "issue":
        matches = [(m[1], m.span()) for m in _ISSUE.finditer(text)]
        taken = {span[1] for _, span in matches}
        matches += [(m[0], m.span()) for m in _INTEGER.finditer(text) if m.end() not in taken and (lone or len(m[0]) in (5, 6))]
    elif kind == "date":
        matches = [(_date(m), m.span()) for m in _DATE.finditer(text)]
        matches = [(value, span) for value, span in matches if value != (None, None, None)]
    else:
        matches = []
    return [(value, Span(*span)) for value, span in sorted(matches, key=lambda match: match[1])]


def _lone_integer(text: str) -> bool:
    tokens = tokenise(text)
    return len(tokens) == 1 and tokens[0].text.isdecimal()


def _date(match: re.Match[str]) -> tuple[int | None, int | None, int | None]:
    if match["iy"]:
        return int(match["iy"]), int(match["im"]), int(match["id"]) if match["id"] else None
    if match["y2"]:
        return int(match["y2"]), None, None
    day, year = match["d1"] or match["d2"], match["y1"]
    if match["m1"] == "may" and not (day or year):
        return None, None, None  # far more often the verb
    return int(year) if year else None, _MONTHS[match["m1"]], int(day) if day else None


def agrees(kind: str, said: Any, gold: Any) -> bool:
    """Tell whether a value says at least what the gold value says; a date may be finer, never coarser."""
    if kind != "date":
        return said == gold
    return all(g is None or s == g for s, g in zip(said, gold, strict=True))


def compatible(kind: str, one: Any, other: Any) -> bool:
    """Tell whether two values can both be true of one thing: equal, or dates that do not contradict each other."""
    if kind != "date":
        return one == other
    return all(a is None or b is None or a == b for a, b in zip(one, other, strict=True))


def is_only_values(form: str, values: list[tuple[Any, Span]]) -> bool:
    """Tell whether a form of the gold answer says nothing but its values, such as "Python 3.15".

    Args:
        form: The gold answer or an alias.
        values: What `values_in` finds in it.
    """
    rest = [token for token in tokenise(normalise(form)) if not any(span.holds(token) for _, span in values)]
    return bool(values) and all(token.text in GENERIC for token in rest)


def written(value: Any) -> str:
    """Return a value as people write it; dates as YYYY-MM-DD with what is known."""
    if not isinstance(value, tuple):
        return str(value)
    return "-".join("??" if part is None else f"{part:02d}" for part in value)
