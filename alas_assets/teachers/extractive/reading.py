"""Markdown passages read as sentences that can be asked about, each with the list labels and headings that explain it.

Reading only: what a sentence says is found in `clauses` and `rules`. Text is foreign; nothing here raises on any string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from alas_assets.provenance.ids import fold

CODE = r"`[^`\n]+`"
_FENCE = re.compile(r"^\s*(```|~~~)")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.*)$")
_ITEM = re.compile(r"^(\s*)(?:[-*+•]|\d{1,3}[.)])\s+(.*)$")
_LINK = re.compile(r"!?\[([^\]\[]*)\]\([^()\s]*(?:\s+\"[^\"]*\")?\)")
_EMPHASIS = re.compile(r"(?<![\w*`])(\*{1,3})(?=\S)([^*`\n]*?\S)\1(?![\w*])|(?<![\w_`])_(?=[^\s_])([^_`\n]*[^\s_])_(?![\w_])")
_REFERENCE = r"(?:gh|bpo|issue|pr|bug)[-\s#]?#?\d+"
_CREDIT = re.compile(
    r"\s*\((?:[^()]*\b(?:contributed|written|patch(?:ed)?|reported|suggested|implemented|designed|ideas?|proposed|original)\b[^()]*\bby\b"
    rf"|(?:see|cf\.)\b|{_REFERENCE}\b)(?:[^()]|\([^()]*\))*\)",
    re.IGNORECASE,
)
_CREDIT_START = re.compile(
    r"^\(?\s*(?:(?:contributed|written|patch(?:ed)?|reported|suggested|implemented|additional optimizations"
    r"|support for \w+ added)\b.{0,60}?\bby\b"
    r"|contributed by|thanks to|special thanks|credits?\b)",
    re.IGNORECASE,
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|Dr|Mr|Mrs|Ms|Prof|St|No|Fig|Eq|approx|resp|al|Inc|Ltd|Jr|Sr)|(?:^|\b[A-Z][\w’'-]+\s)[A-Z])\.$"
)
_STOP = re.compile(r"[.!?][\"”’'`)\]]*(?=\s+[\"“‘'(\[`*_]*[A-Z0-9`_.-])|(?<=[a-z)X])\.(?=(?:The|This|These|If|When|In|For|Use|It)\s)")


@dataclass(frozen=True)
class Unit:
    """One sentence as it stands in a passage, and what is needed to understand it."""

    quote: str
    """The whole sentence, whitespace-folded, otherwise verbatim."""
    text: str
    """The same without credits, links and emphasis; code stays in single backticks."""
    labels: tuple[str, ...]
    """What the list items around it are about, outermost first."""
    headings: tuple[str, ...]
    before: Unit | None
    """The sentence before it in the same paragraph or list item."""
    is_item: bool
    chunk_id: str
    title: str
    ordinal: int
    """Position on the page, counted over its passages."""


@dataclass
class _Block:
    text: str
    labels: tuple[str, ...]
    is_item: bool
    headings: tuple[str, ...]


def clean(text: str) -> str:
    """Return prose without links, emphasis, credits and typographic quotes; code spans become single backticks."""
    text = re.sub(rf"^{_REFERENCE}:\s+", "", fold(text).replace("’", "'").replace("‘", "'"))
    text = re.sub(r"``\s?([^`]+?)\s?``", r"`\1`", text)
    parts = re.split(f"({CODE})", text)
    for index in range(0, len(parts), 2):
        part = re.sub(r"\\([_*#\[\]()<>|~-])", r"\1", parts[index])
        parts[index] = part
    text = _LINK.sub(r"\1", "".join(parts))
    parts = re.split(f"({CODE})", text)
    for index in range(0, len(parts), 2):
        parts[index] = _EMPHASIS.sub(lambda m: m[2] or m[3], parts[index])
    text = _CREDIT.sub("", "".join(parts))
    parts = re.split(f"({CODE})", " ".join(text.split()))
    for index in range(0, len(parts), 2):
        parts[index] = re.sub(r"\s+([.,;:])(?!\w)", r"\1", parts[index])
    return re.sub(r"\.{2}$", ".", "".join(parts)).strip()


def sentences(text: str) -> list[str]:
    """Split folded prose into its sentences, whole and in order; code spans and short parentheses are never split."""
    masked = re.sub(CODE, lambda m: "X" * len(m[0]), text)
    masked = re.sub(r"\[([^\]]*)\]\([^()\s]*\)", lambda m: "x" * len(m[0]), masked)
    masked = re.sub(r"(?<!^)(?<![.!?]\s)\([^()]{0,400}\)", lambda m: "x" * len(m[0]), masked)
    cuts = [0]
    for match in _STOP.finditer(masked):
        head = masked[cuts[-1] : match.start() + 1]
        if _ABBREVIATION.search(head):
            continue
        if head.count("(") > head.count(")") and match[0].count(")") == 0:
            continue
        cuts.append(match.end())
    cuts.append(len(text))
    found = [text[a:b].strip() for a, b in pairwise(cuts)]
    return [sentence for sentence in found if sentence]


def is_credit(text: str) -> bool:
    """Say whether a sentence only thanks or names contributors."""
    return bool(_CREDIT_START.match(text)) or not clean(text)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


def _label(text: str) -> str:
    """Return what a list item is about, if it only introduces the items under it."""
    text = clean(text)
    return text[:-1].strip() if text.endswith(":") else ""


def _blocks(markdown: str, path: tuple[str, ...]) -> Iterator[_Block]:
    headings = path
    stack: list[tuple[int, str]] = []  # (indent of the item's text, its label)
    lines: list[str] = []
    is_item = False
    fence = ""
    introduction = ""

    def flush() -> Iterator[_Block]:
        nonlocal introduction
        text = fold(" ".join(lines))
        lines.clear()
        if text:
            labels = tuple(label for _, label in (stack[:-1] if is_item else stack) if label)
            if is_item and introduction and not labels:
                labels = (introduction,)
            yield _Block(text, labels, is_item, headings)
            label = _label(text)
            if is_item and stack:
                stack[-1] = (stack[-1][0], label or stack[-1][1])
            elif not stack:
                introduction = label

    for line in markdown.split("\n"):
        match = _FENCE.match(line)
        if fence:
            if match and match[1] == fence:
                fence = ""
                lines.append(line.split(match[1], 1)[1])  # some extractors glue the next paragraph to the closing fence
            continue
        if match:
            yield from flush()
            is_item = False
            fence = match[1]
            continue
        heading = _HEADING.match(line)
        if heading:
            yield from flush()
            stack.clear()
            is_item, introduction = False, ""
            # stripped by hand: a pattern for the closing signs reads a run of white space once for every way to share it out
            name = clean(heading[1].rstrip().rstrip("#").rstrip())
            known = [i for i, part in enumerate(path) if clean(part) == name]
            headings = path[: known[-1] + 1] if known else (*path, name)
            continue
        if not line.strip():
            yield from flush()
            is_item = False
            continue
        if line.lstrip().startswith("|"):
            yield from flush()
            is_item = False
            continue
        item = _ITEM.match(line)
        if item:
            yield from flush()
            indent = _indent(line)
            while stack and stack[-1][0] > indent:
                stack.pop()
            stack.append((indent + 2, ""))
            is_item = True
            lines.append(item[2])
            continue
        if not lines:
            indent = _indent(line)
            while stack and stack[-1][0] > indent:
                stack.pop()
        lines.append(line)
    yield from flush()


def read_units(markdown: str, headings: Sequence[str], chunk_id: str, title: str, first: int = 0) -> list[Unit]:
    """Read one passage into its sentences; fenced code, tables and headings carry none.

    Args:
        markdown: The passage's text.
        headings: The passage's heading path, page heading first.
        chunk_id: The passage's id, kept on each sentence.
        title: The page's title.
        first: The ordinal of the passage's first sentence.
    """
    units: list[Unit] = []
    for block in _blocks(markdown, tuple(headings)):
        before: Unit | None = None
        for quote in sentences(block.text):
            unit = Unit(quote, clean(quote), block.labels, block.headings, before, block.is_item, chunk_id, title, first + len(units))
            units.append(unit)
            before = unit
    return units
