"""Where a draft's quote stands in the stored passages, and the id that its fact has by that: one answer for all who ask (S2, A1).

Finding a string in one text is `synthesis.quotes`; what a missing quote does to a fact is `synthesis.curate`'s decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import polars as pl

from alas_assets.provenance import ids
from alas_assets.records import DraftFact
from alas_assets.synthesis.quotes import FoldedText, ShownText
from alas_assets.synthesis.wording import clean

_NO_WORD = "\x00"  # stands between documents; no quote that passes the structure check holds it


@dataclass
class Passages:
    """The stored passages by chunk id, with what finding a quote needs of them, folded once where it is needed."""

    chunks: Mapping[str, dict[str, Any]]
    _folded: dict[str, FoldedText] = field(default_factory=dict)
    _seen: dict[str, ShownText] = field(default_factory=dict)

    @classmethod
    def of(cls, chunks: pl.DataFrame) -> Passages:
        """Return the passages of a table (`CHUNK_SCHEMA`)."""
        return cls({row["chunk_id"]: row for row in chunks.iter_rows(named=True)})

    @cached_property
    def everything(self) -> str:
        """All passages as a reader sees them, with a sign between them that no quote holds."""
        return _NO_WORD.join(self._as_seen(key).folded for key in self.chunks)

    def locate(self, quote: str, chunk_id: str) -> tuple[int, int] | None:
        """Return where a passage holds a quote: as it is stored, or else as a reader sees it; None if it does not, or is unknown."""
        if chunk_id not in self.chunks:
            return None
        if chunk_id not in self._folded:
            self._folded[chunk_id] = FoldedText(self.chunks[chunk_id]["text"])
        return self._folded[chunk_id].locate(quote) or self._as_seen(chunk_id).locate(quote)

    def slice(self, chunk_id: str, place: tuple[int, int]) -> str:
        """Return what is stored at a place of a passage, folded."""
        return ids.fold(self.chunks[chunk_id]["text"][slice(*place)])

    def fact_id(self, draft: DraftFact) -> str:
        """Return the id of a draft's fact, by its quote as it is stored, or as it was given where it stands nowhere in its passage.

        "" where the passage is unknown. A draft with the stored quote has the same id as the draft that it was found for.
        """
        if draft.chunk_id not in self.chunks:
            return ""
        quote = ids.fold(clean(draft.quote))
        place = self.locate(quote, draft.chunk_id)
        stored = quote if place is None else self.slice(draft.chunk_id, place)
        return ids.fact_id(self.chunks[draft.chunk_id]["page_id"], stored, ids.fold(clean(draft.answer)))

    def _as_seen(self, chunk_id: str) -> ShownText:
        if chunk_id not in self._seen:
            self._seen[chunk_id] = ShownText(self.chunks[chunk_id]["text"])
        return self._seen[chunk_id]
