"""A store whose files are each read once, for audits that follow many ids through the same tables (A1, A2).

What is held is what was read first, so an instance is for one audit, not for a process. Following ids is `provenance.trace`.
"""

from __future__ import annotations

from typing import TypeVar

import polars as pl
from pydantic import BaseModel

from alas_assets.provenance.store import ArtifactStore, Cell, Pointer

R = TypeVar("R", bound=BaseModel)


class ReadOnce(ArtifactStore):
    """Reads from another store's folders and keeps every table, record and pointer that it read.

    Args:
        store: The store to read from.
    """

    def __init__(self, store: ArtifactStore) -> None:
        super().__init__(store.root, store.lance if isinstance(store.lance, str) else "")
        self._kept: dict[tuple[str, ...], object] = {}

    def pointer(self, cell: Cell, asset: str) -> Pointer | None:
        """Return what the cell's asset was when first asked for."""
        key = ("pointer", str(cell), asset)
        if key not in self._kept:
            self._kept[key] = super().pointer(cell, asset)
        found = self._kept[key]
        return found if isinstance(found, Pointer) else None

    def first_made(self, pointer: Pointer) -> Pointer:
        """Return the earliest pointer to the same content as `ArtifactStore.first_made` does."""
        key = ("first", pointer.cell, pointer.asset, pointer.hash)
        found = self._kept.get(key)
        if not isinstance(found, Pointer):
            found = self._kept[key] = super().first_made(pointer)
        return found

    def read_table(self, pointer_or_hash: Pointer | str, asset: str | None = None) -> pl.DataFrame:
        """Return a table as `ArtifactStore.read_table` does."""
        key = ("table", *_place(pointer_or_hash, asset))
        table = self._kept.get(key)
        if not isinstance(table, pl.DataFrame):
            table = self._kept[key] = super().read_table(pointer_or_hash, asset)
        return table

    def read_record(self, model: type[R], pointer_or_hash: Pointer | str, asset: str | None = None) -> R:
        """Return a record as `ArtifactStore.read_record` does."""
        key = ("record", *_place(pointer_or_hash, asset))
        record = self._kept.get(key)
        if not isinstance(record, model):
            record = self._kept[key] = super().read_record(model, pointer_or_hash, asset)
        return record

    def read_training_rows(self, kind: str, rows_hash: str, columns: list[str] | None = None) -> pl.DataFrame:
        """Return training rows as `ArtifactStore.read_training_rows` does."""
        key = ("rows", kind, rows_hash, *(columns or ["*"]))
        rows = self._kept.get(key)
        if not isinstance(rows, pl.DataFrame):
            rows = self._kept[key] = super().read_training_rows(kind, rows_hash, columns)
        return rows


def _place(pointer_or_hash: Pointer | str, asset: str | None) -> tuple[str, str]:
    if isinstance(pointer_or_hash, Pointer):
        return pointer_or_hash.asset, pointer_or_hash.hash
    return asset or "", pointer_or_hash
