"""The passages that an answer was shown with its question: what they say, and where that stands (A1, E5).

Reading only; which passages a question is shown is `retrieval.open_book`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from alas_assets.provenance.store import ArtifactStore, Cell, StoreError
from alas_assets.records import CHUNK_SCHEMA, Record
from alas_assets.retrieval.open_book import as_shown, passages_again
from alas_assets.retrieval.store import ChunkStore


class ShownPassage(Record):
    """A passage beside a question, and its place in the stored text of its page."""

    chunk_id: str
    gone: str = Field(default="", description="why what it said is not known; then only its id is")
    url: str = ""
    heading: str = Field(default="", description="from the page's title down to the passage's own heading")
    text: str = Field(default="", description="what was shown of it; the rest, if it was cut, stands in the stored text")
    cut: bool = Field(default=False, description="the passage goes on after what was shown of it")
    text_sha256: str = ""
    start: int = Field(default=0, description="where in the stored text what was shown begins")
    end: int = Field(default=0, description="where it ends")
    retrieved_at: str = ""


def passages_shown(store: ArtifactStore, cells: Sequence[Cell], chunk_ids: Sequence[str]) -> list[ShownPassage]:
    """Return passages as they were shown, in that order; of one that is gone the reason, since the rest of a trace holds without it.

    Args:
        store: The artifact store.
        cells: The answer's iteration and those before it, of one domain, oldest first.
        chunk_ids: The passages.
    """
    if not chunk_ids:
        return []
    passages = ChunkStore(store.lance, cells[-1].domain, embedder="")  # reading by id needs no vectors
    why = "it is among the stored passages no longer: its source was taken down, or its page read anew"
    try:
        found = passages_again(chunk_ids, passages, [cell.tag for cell in cells if store.pointer(cell, "documents")])
    except StoreError as error:
        found, why = CHUNK_SCHEMA.to_frame(), str(error)
    there = set(found["chunk_id"])
    first = next((place for place, chunk in enumerate(chunk_ids) if chunk not in there), len(chunk_ids))
    known = found.head(first)  # passages share a number of words, so of those after a lost one nobody knows how many were shown
    shown = [_shown(row, text) for row, text in zip(known.to_dicts(), as_shown(known), strict=False)]
    cut = "how much of it was shown is not known, since a passage before it is stored no longer"
    return shown + [ShownPassage(chunk_id=chunk, gone=cut if chunk in there else why) for chunk in chunk_ids[first:]]


def _shown(row: dict[str, Any], text: str) -> ShownPassage:
    heading = " > ".join(row["heading_path"])
    body = text[len(heading) + 1 :]  # a passage is shown with its heading on a line before it
    return ShownPassage(
        **{name: row[name] for name in ("chunk_id", "url", "text_sha256", "start")},
        end=row["start"] + len(body),
        cut=body != row["text"],
        heading=heading,
        text=text,
        retrieved_at=row["retrieved_at"].isoformat() if row["retrieved_at"] else "",
    )
