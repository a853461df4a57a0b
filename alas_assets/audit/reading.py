"""A store whose files are each read once, for audits that follow many ids through the same tables (A1, A2).

What is held is what was read first, so an instance is for one audit, not for a process. Following ids is `audit.trace`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self, TypeVar

import polars as pl
from pydantic import BaseModel

from alas_assets.provenance.store import ArtifactStore, Cell, Pointer
from alas_assets.records import ANSWER_SCHEMA, FETCH_SCHEMA, QA_SCHEMA, AdapterRef, as_answers, as_pairs
from alas_assets.review.said import Said, people_said

R = TypeVar("R", bound=BaseModel)
_SHAPES: dict[str, tuple[pl.Schema, Callable[[pl.DataFrame], pl.DataFrame]]] = {
    "documents": (FETCH_SCHEMA, lambda table: table),
    "qa_pairs": (QA_SCHEMA, as_pairs),
    **dict.fromkeys(("baseline_scores", "judge_scores", "dpo_judge_scores", "exam_scores"), (ANSWER_SCHEMA, as_answers)),
}


class ReadOnce(ArtifactStore):
    """Reads from another store's folders and keeps every table, record and pointer that it read.

    Args:
        store: The store to read from.
    """

    def __init__(self, store: ArtifactStore) -> None:
        super().__init__(store.root, store.lance if isinstance(store.lance, str) else "")
        self._kept: dict[tuple[str, ...], object] = {}

    @classmethod
    def over(cls, store: ArtifactStore) -> Self:
        """Return a store itself where it reads each file once, else one that does over it."""
        return store if isinstance(store, cls) else cls(store)

    def rows_of(self, domain: str, asset: str) -> pl.DataFrame:
        """Return all rows of `documents`, `qa_pairs` or a table of answers in a domain, the oldest iteration's first, each with its `cell`.

        Looking something up in one table costs no more than in the table of one iteration, of which there may be hundreds.

        Raises:
            StoreError: A table is gone or damaged.
        """
        key = ("rows of", domain, asset)
        found = self._kept.get(key)
        if not isinstance(found, pl.DataFrame):
            schema, shaped = _SHAPES[asset]
            read = [(cell, self.read_table(pointer)) for cell in self.cells(domain) if (pointer := self.pointer(cell, asset))]
            tables = [
                (table if table.schema == schema else shaped(table)).with_columns(pl.lit(str(cell)).alias("cell")) for cell, table in read
            ]
            nothing = pl.DataFrame(schema={**schema, "cell": pl.String})
            found = self._kept[key] = pl.concat([nothing, *tables], how="diagonal_relaxed", rechunk=True)
        return found

    def trained_rows(self, domain: str) -> pl.DataFrame:
        """Return on how many rows of a fact each adapter of a domain was trained: cell, asset, fact_id and rows, the oldest cell's first.

        Adapters whose rows are gone are left out; `rows_gone` names them. Rows that were too long for the recipe, or only measured, are not
        counted: the manifest names those that were trained on. Of an adapter without one, as a takedown leaves it, all rows are.

        Raises:
            StoreError: The record of an adapter is gone, or it, its manifest or its training rows are damaged.
        """
        key = ("trained rows", domain)
        found = self._kept.get(key)
        if not isinstance(found, pl.DataFrame):
            nothing = pl.DataFrame(schema={"fact_id": pl.String, "rows": pl.UInt32, "cell": pl.String, "asset": pl.String})
            counted = [
                self._trained_facts(ref)
                .value_counts(name="rows")
                .with_columns(pl.lit(str(cell)).alias("cell"), pl.lit(asset).alias("asset"))
                for cell, asset, ref in self._trained(domain)
                if self.training_rows_path(ref.kind, ref.rows_hash).is_file()
            ]
            found = self._kept[key] = pl.concat([nothing, *counted], rechunk=True)
        return found

    def rows_gone(self, domain: str) -> list[tuple[Cell, AdapterRef]]:
        """Return the adapters of a domain of which nobody can say what they learned, since their training rows are gone, oldest first.

        Raises:
            StoreError: The record of an adapter is gone or damaged.
        """
        trained = self._trained(domain)
        return [(cell, ref) for cell, _, ref in trained if not self.training_rows_path(ref.kind, ref.rows_hash).is_file()]

    def _trained(self, domain: str) -> list[tuple[Cell, str, AdapterRef]]:
        made = [(cell, asset) for cell in self.cells(domain) for asset in ("sft_adapter", "dpo_adapter")]
        refs = [(cell, asset, self.read_record(AdapterRef, p)) for cell, asset in made if (p := self.pointer(cell, asset))]
        return [(cell, asset, ref) for cell, asset, ref in refs if ref.trained]

    def said(self, domain: str) -> dict[str, Said]:
        """Return what people said of a domain's answers, as `people_said` does.

        Raises:
            ReviewError: What they said is damaged.
        """
        key = ("said", domain)
        found = self._kept.get(key)
        if not isinstance(found, dict):
            found = self._kept[key] = people_said(self.root, domain)
        return found

    def _trained_facts(self, ref: AdapterRef) -> pl.Series:
        """Return the fact of every row that an adapter was trained on; a row may stand several times, and not fit in all its wordings."""
        ids = (self.manifest(ref.adapter_hash) or {}).get("row_ids")
        if ids is None:
            return self.read_training_rows(ref.kind, ref.rows_hash, ["fact_id"])["fact_id"]
        name = "row_id" if ref.kind == "sft" else "pair_id"
        rows = self.read_training_rows(ref.kind, ref.rows_hash, [name, "fact_id"]).unique(name)
        return pl.DataFrame({name: ids}, schema={name: pl.String}).join(rows, on=name, how="inner", maintain_order="left")["fact_id"]

    def remembered(self, asset: str) -> list[Pointer]:
        """Return what any inputs gave for an asset, as `ArtifactStore.remembered` does."""
        key = ("remembered", asset)
        found = self._kept.get(key)
        if not isinstance(found, list):
            found = self._kept[key] = super().remembered(asset)
        return found

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

    def read_table(self, pointer_or_hash: Pointer | str, asset: str | None = None, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return a table as `ArtifactStore.read_table` does."""
        key = ("table", *_place(pointer_or_hash, asset), *(columns or ["*"]))
        table = self._kept.get(key)
        if not isinstance(table, pl.DataFrame):
            table = self._kept[key] = super().read_table(pointer_or_hash, asset, columns)
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
