"""From a page's Markdown text to passages with exact offsets and ids that survive edits elsewhere (R3, R4).

Pure functions on text. Where the text comes from is `retrieval.extract`, where passages are kept `retrieval.store`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from alas_assets.provenance.ids import chunk_id, fold, sha256_hex

MIN_WORDS = 60
MAX_WORDS = 220
_LEAST_TAIL = 25  # words; a shorter end of a section stays with what precedes it
_CHARS_PER_WORD = 12  # a run of characters without spaces counts as this many characters a word, so that nothing grows without bound
_SOFT_BREAK_ONE_IN = 2
_HEADING = re.compile(r"(#{1,6})[ \t]+(\S.*)")
_FENCE = re.compile(r"\s*(```+|~~~+)")
_ITEM = re.compile(r"\s*([-*+]|\d{1,9}[.)])\s")
# A match with a line's end begins only where white space begins: tried at each of many spaces, the time would grow with their square.
_PROSE_SEPARATORS = (re.compile(r"(?<=[.!?;:])\s+"), re.compile(r"(?<!\s)\s*\n\s*"), re.compile(r"\s+"))
_CODE_SEPARATORS = (re.compile(r"(?<!\s)\s*\n"), re.compile(r"\s+"))


@dataclass(frozen=True)
class Chunk:
    """One passage; `text` is exactly the stored text from `start` to `end`."""

    chunk_id: str
    heading_path: tuple[str, ...]
    ordinal: int
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class _Block:
    start: int
    end: int
    level: int = 0  # of a heading; 0 for anything else
    title: str = ""
    fenced: bool = False  # code: kept in one piece where it fits


def outline(text: str) -> list[tuple[int, str]]:
    """Return a text's headings as (level, title), in order; marks inside fenced code are not headings."""
    return [(block.level, block.title) for block in _blocks(text) if block.level]


def split(text: str, page: str) -> list[Chunk]:
    """Split a text into passages of about 60 to 220 words, never across a heading.

    Every character that is not white space lies in exactly one passage. Inside a section, a passage that is long enough ends
    where the next block's own content says so; an edit therefore moves few boundaries, and passages away from it keep their ids.

    Args:
        text: The stored text (Markdown).
        page: The page's id, part of every chunk's id.
    """
    seen: Counter[str] = Counter()
    chunks = []
    for ordinal, (path, start, end) in enumerate(_spans(text)):
        passage = text[start:end]
        folded = fold(passage)
        chunks.append(Chunk(chunk_id(page, passage, seen[folded]), path, ordinal, passage, start, end))
        seen[folded] += 1
    return chunks


def _spans(text: str) -> Iterator[tuple[tuple[str, ...], int, int]]:
    for path, blocks in _sections(text):
        pieces = [piece for block in blocks for piece in _pieces(text, block)]
        sizes = [_words(text[piece.start : piece.end]) for piece in pieces]
        left = sum(sizes)
        start = end = pieces[0].start
        words, has_body = 0, False
        for piece, size in zip(pieces, sizes, strict=True):
            introduced = text[end - 1 : end] == ":"  # "Key features include:" belongs to its list
            soft = words >= MIN_WORDS and left >= _LEAST_TAIL and not introduced and _breaks_before(text[piece.start : piece.end])
            if has_body and (soft or words + size > MAX_WORDS):
                yield path, start, end
                start, words = piece.start, 0
            words += size
            left -= size
            end, has_body = piece.end, has_body or not piece.level
        yield path, start, end


def _sections(text: str) -> Iterator[tuple[tuple[str, ...], list[_Block]]]:
    """Group blocks under their headings; a heading without text of its own goes with the section that follows it."""
    open_headings: list[_Block] = []
    section: list[_Block] = []
    for block in _blocks(text):
        if block.level:
            if any(not b.level for b in section):
                yield _path(open_headings), section
                section = []
            open_headings = [h for h in open_headings if h.level < block.level]
            open_headings.append(block)
        section.append(block)
    if section:
        yield _path(open_headings), section


def _path(headings: list[_Block]) -> tuple[str, ...]:
    return tuple(heading.title for heading in headings)


def _breaks_before(block: str) -> bool:
    return int(sha256_hex(fold(block))[:8], 16) % _SOFT_BREAK_ONE_IN == 0


def _words(text: str) -> int:
    return max(len(text.split()), len(text) // _CHARS_PER_WORD)


def _blocks(text: str) -> Iterator[_Block]:
    """Cut a text into headings, fenced code, list items and paragraphs; white space between them belongs to none."""
    lines = list(_lines(text))
    unclosed: dict[str, int] = {}
    index = 0
    while index < len(lines):
        start, end = lines[index]
        line = text[start:end]
        if not line.strip():
            index += 1
            continue
        if heading := _HEADING.fullmatch(line.rstrip()):
            yield _Block(*_trim(text, start, end), level=len(heading[1]), title=fold(heading[2].rstrip("# \t")) or fold(heading[2]))
            index += 1
            continue
        if (last := _fence_end(text, lines, index, unclosed)) is not None:
            yield _Block(*_trim(text, start, lines[last][1]), fenced=True)
            index = last + 1
            continue
        last = index
        while last + 1 < len(lines) and not _starts_block(text, lines, last + 1):
            last += 1
        yield _Block(*_trim(text, start, lines[last][1]))
        index = last + 1


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield start, end
        start = end + 1


def _starts_block(text: str, lines: list[tuple[int, int]], index: int) -> bool:
    line = text[slice(*lines[index])]
    return bool(not line.strip() or _HEADING.fullmatch(line.rstrip()) or _ITEM.match(line) or _FENCE.match(line))


def _fence_end(text: str, lines: list[tuple[int, int]], index: int, unclosed: dict[str, int]) -> int | None:
    """Return the line that closes the fence opened at `index`; None where it opens none or none closes it.

    `unclosed` remembers the shortest fence of a kind that nothing closed, so that hostile text is not searched again for each line.
    """
    opening = _FENCE.match(text[slice(*lines[index])])
    if opening is None:
        return None
    mark = opening[1]
    if len(mark) >= unclosed.get(mark[0], len(mark) + 1):
        return None
    for later in range(index + 1, len(lines)):
        line = text[slice(*lines[later])].strip()
        if line.startswith(mark) and not line.strip(mark[0]):
            return later
    unclosed[mark[0]] = len(mark)
    return None


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _pieces(text: str, block: _Block) -> Iterator[_Block]:
    """Return the block, or where it is oversized its lines (code) or sentences (prose); at worst its words, or mere lengths."""
    separators = _CODE_SEPARATORS if block.fenced else _PROSE_SEPARATORS
    for piece in _cut(text, block.start, block.end, separators):
        start, end = _trim(text, *piece)  # a line of code may begin with white space, a passage does not
        yield replace(block, start=start, end=end)


def _cut(text: str, start: int, end: int, separators: tuple[re.Pattern[str], ...]) -> Iterator[tuple[int, int]]:
    if _words(text[start:end]) <= MAX_WORDS:
        yield start, end
        return
    if not separators:
        step = MAX_WORDS * _CHARS_PER_WORD
        yield from ((piece, min(piece + step, end)) for piece in range(start, end, step))
        return
    at = start
    for match in separators[0].finditer(text, start, end):
        if at < match.start():
            yield from _cut(text, at, match.start(), separators[1:])
        at = match.end()
    if at < end:
        yield from _cut(text, at, end, separators[1:])
