"""Data in a prompt: fenced blocks that no text inside can close, cut to size and packed into calls (S9).

Whose text it is and what it is for is the callers' matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from alas_assets.provenance.ids import content_hash, fold
from alas_assets.synthesis.wording import clean

Kind = Literal["passage", "page", "topic", "question", "reference", "answer"]
TITLE_CHARS = 120
_KINDS = "passage|page|topic|question|reference|answer"
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LOOKS_LIKE_A_FENCE = re.compile(rf"(^|[\n\u2028\u2029])(?=\[\s*(?:end|{_KINDS})\b)", re.IGNORECASE)


@dataclass(frozen=True)
class Block:
    """One piece of data.

    Attributes:
        kind: What it is.
        number: Unique among a call's blocks of its kind.
        text: The data; whatever it holds, it stays inside the fences.
        title: Said on the opening fence, folded and cut.
    """

    kind: Kind
    number: int
    text: str
    title: str = ""

    @property
    def size(self) -> int:
        """Characters that it takes in a prompt, fences and the line breaks around them included."""
        return len(_rendered(self, "0" * 8)) + 2


def data(text: str) -> str:
    """Return text as a prompt can hold it: encodable, without control characters but line breaks and tabs, no line like a fence."""
    return _LOOKS_LIKE_A_FENCE.sub(r"\1 ", _CONTROL.sub(" ", re.sub(r"\r\n?", "\n", clean(text))))


def line(text: str, chars: int) -> str:
    """Return the beginning of a text folded onto one line."""
    folded = fold(data(text[: 20 * chars]))
    return folded if len(folded) <= chars else f"{folded[: chars - 1]}…"


def cut(text: str, chars: int) -> str:
    """Return text of at most so many characters, the cut marked with its full length where there is room to say so."""
    if len(text) <= chars:
        return text
    mark = f" [… cut, {len(text)} characters in all]"
    return text[: chars - len(mark)] + mark if chars > 2 * len(mark) else text[:chars]


def fenced(blocks: Sequence[Block]) -> str:
    """Return the blocks between fences whose nonce is a hash of them all: equal data gives equal text, and no data can name its fence."""
    nonce = content_hash([[b.kind, b.number, clean(b.title), clean(b.text)] for b in blocks])[:8]
    return "\n\n".join(_rendered(block, nonce) for block in blocks)


def _rendered(block: Block, nonce: str) -> str:
    title = line(block.title, TITLE_CHARS)
    head = f"[{block.kind} {block.number} | {nonce}{f' | {title}' if title else ''}]"
    return f"{head}\n{data(block.text)}\n[end {block.number} | {nonce}]"


def pack(groups: Iterable[Sequence[Block]], limit: int, most: int) -> list[list[Sequence[Block]]]:
    """Pack groups of blocks that belong together into calls, in order.

    Args:
        groups: One group for each item.
        limit: Characters that a call's blocks may have; a group that is larger alone gets a call of its own.
        most: Groups in one call at most.
    """
    packs: list[list[Sequence[Block]]] = []
    room = 0
    for group in groups:
        size = sum(block.size for block in group)
        if not packs or size > room or len(packs[-1]) == most:
            packs.append([])
            room = limit
        packs[-1].append(group)
        room -= size
    return packs


def split(block: Block, limit: int) -> list[Block]:
    """Split a block's text at line ends or spaces so that each piece fits into so many characters, fences included."""
    frame = replace(block, number=10_000, text="").size
    room = max(limit - frame, 80)
    pieces: list[str] = []
    rest = data(block.text)
    while len(rest) > room:
        at = max(rest.rfind("\n", room // 2, room), rest.rfind(" ", room // 2, room) if "\n" not in rest[room // 2 : room] else -1)
        at = at if at > 0 else room
        pieces.append(rest[:at])
        rest = rest[at:].lstrip()
    return [replace(block, text=piece) for piece in [*pieces, rest] if piece.strip()]
