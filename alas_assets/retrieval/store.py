"""The chunk store: a domain's passages in LanceDB, and for every cell exactly those it read, pinned by a version tag (R3, R4, O8).

Vectors are made by whoever calls. The facts about LanceDB that shape this file are in facts.md, section 2.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from filelock import FileLock

from alas_assets.provenance.ids import safe_name, sha256_hex
from alas_assets.provenance.store import StoreError
from alas_assets.records import CHUNK_SCHEMA

log = logging.getLogger(__name__)

Embed = Callable[[list[str]], list[list[float]]]
"""Turns texts into vectors of one length."""

_COLUMNS = CHUNK_SCHEMA.names()
_WRITE_TIMEOUT = timedelta(seconds=120)


@dataclass(frozen=True)
class Upserted:
    """What an upsert did, and where its passages are now."""

    table: str
    version: int  # in this version of the table all of them are as given
    rows: int  # distinct passages given
    embedded: int  # of these, how many had no vector yet


class ChunkStore:
    """The passages of one domain, embedded by one model; another model's vectors lie in a table of their own.

    Args:
        root: The LanceDB folder.
        domain: The domain's key.
        embedder: Name of the model behind the vectors.
    """

    def __init__(self, root: Path, domain: str, embedder: str) -> None:
        """Name the place; nothing is opened yet."""
        self._root = root
        self._domain = domain
        self._embedder = embedder
        self._prefix = safe_name(domain)
        self._cells = f"{self._prefix}.cells"
        self._opened: dict[str, tuple[dict[str, Any], Any]] = {}

    # -- writing ------------------------------------------------------------------------------------------------
    def upsert(self, chunks: pl.DataFrame, embed: Embed) -> Upserted:
        """Store passages in one write; only those without a vector are embedded, and an unchanged set writes nothing.

        Args:
            chunks: Rows of `CHUNK_SCHEMA`, at least one; of rows with one chunk id the first counts.
            embed: Called at most once, with the texts that have no vector yet.

        Raises:
            ValueError: There is no row.
            StoreError: The vectors do not fit, or LanceDB refuses the write.
        """
        if chunks.is_empty():
            raise ValueError("there is no passage to store")
        name = f"{self._prefix}.{sha256_hex(self._embedder)[:10]}"
        chunks = chunks.select(_COLUMNS).unique("chunk_id", keep="first", maintain_order=True)
        table, stored = self._open_or_set_aside(name, chunks["chunk_id"].to_list())
        vectors: dict[str, list[float]] = dict(zip(stored["chunk_id"], stored["vector"].to_list(), strict=True))
        missing = chunks.filter(~pl.col("chunk_id").is_in(list(vectors)))
        if not missing.is_empty():
            made = embed(missing["text"].to_list())
            if len(made) != len(missing) or len({len(vector) for vector in made}) != 1:
                raise StoreError(f"the embedder {self._embedder} did not give one vector of one length for each of {len(missing)} passages")
            vectors |= dict(zip(missing["chunk_id"], made, strict=True))
        elif table is not None and stored.select(_COLUMNS).sort("chunk_id").equals(chunks.sort("chunk_id")):
            return Upserted(name, table.version, len(chunks), 0)
        length = len(next(iter(vectors.values())))
        with self._explained(name):
            table = table if table is not None else self._create(name, length)
            stored_length = table.schema.field("vector").type.list_size
            if length != stored_length:
                raise StoreError(
                    f"the embedder {self._embedder} gives vectors of {length} numbers, those stored under its name have {stored_length};"
                    " give the new model a name of its own (student.embedder)"
                )
            rows = chunks.with_columns(
                vector=pl.Series([vectors[chunk] for chunk in chunks["chunk_id"]], dtype=pl.List(pl.Float32)).list.to_array(length),
                embedder=pl.lit(self._embedder),
            )
            # Every passage of the cell is written, changed or not: this one version then holds all of them as given, whatever
            # another writer did since this one read.
            result = self._merge(table, "chunk_id", rows.to_arrow().cast(table.schema))
        return Upserted(name, result.version, len(chunks), len(missing))

    def tag_cell(self, tag: str, chunk_ids: Sequence[str], upserted: Upserted) -> None:
        """Remember a cell's passages and pin the version they are in, so that they can be read again as they were (A1).

        Args:
            tag: The cell's name within the domain, such as "cell-000".
            chunk_ids: Its passages, in reading order.
            upserted: The upsert that stored them.

        Raises:
            StoreError: The table is gone or refuses.
        """
        import pyarrow as pa

        self._opened.pop(tag, None)
        table = self._open(upserted.table)
        with self._explained(upserted.table):
            if tag in table.tags.list():
                table.tags.update(tag, upserted.version)
            else:
                table.tags.create(tag, upserted.version)
        cells, _ = self._open_or_set_aside(self._cells, [])
        with self._explained(self._cells):
            cells = cells if cells is not None else self._create(self._cells, None)
            row = {
                "tag": tag,
                "table": upserted.table,
                "version": upserted.version,
                "embedder": self._embedder,
                "chunk_ids": list(chunk_ids),
            }
            self._merge(cells, "tag", pa.Table.from_pylist([row], schema=cells.schema))

    # -- reading ------------------------------------------------------------------------------------------------
    def read_cell(self, tag: str) -> pl.DataFrame:
        """Return a cell's passages as they were when it was tagged: `CHUNK_SCHEMA`, in reading order.

        Raises:
            StoreError: The table, the tag or a passage is gone or damaged.
        """
        cell = self._cell(tag)
        table = self._at(cell)
        found = self._rows(table, cell["table"], cell["chunk_ids"])
        lost = len(cell["chunk_ids"]) - len(found)
        if lost:
            raise StoreError(f"{self._root / cell['table']}: {lost} passages of {tag} are gone; {self._remedy()}")
        order = pl.DataFrame({"chunk_id": cell["chunk_ids"]}, schema={"chunk_id": pl.String})
        return order.join(found, on="chunk_id", how="left", maintain_order="left").select(_COLUMNS)

    def search(self, text: str, vector: Sequence[float], k: int, tag: str, *, chunk_ids: Sequence[str] | None = None) -> pl.DataFrame:
        """Return the passages of a cell that fit best, by full text and vector together (reciprocal ranks).

        Args:
            text: The question as text; it has no syntax.
            vector: The same question, embedded.
            k: How many at most.
            tag: The cell.
            chunk_ids: Restricts the search further.

        Returns:
            `CHUNK_SCHEMA`, `score` (reciprocal ranks) and `similarity` (cosine of question and passage), best first.

        Raises:
            StoreError: The table or the tag is gone or damaged, or the cell's passages were embedded by another model.
        """
        from lancedb.expr import col
        from lancedb.rerankers import RRFReranker

        # Opening costs more than a search, and the questions of one evaluation all go to the same few cells.
        if tag not in self._opened:
            found_cell = self._cell(tag)
            self._opened[tag] = found_cell, self._at(found_cell)
        cell, table = self._opened[tag]
        if cell["embedder"] != self._embedder:
            raise StoreError(
                f"the passages of {tag} were embedded by {cell['embedder']}, the question by {self._embedder}; {self._remedy()}"
            )
        asked = set(cell["chunk_ids"] if chunk_ids is None else chunk_ids)
        wanted = [chunk for chunk in cell["chunk_ids"] if chunk in asked]
        if not wanted:
            return pl.DataFrame(schema={**CHUNK_SCHEMA, "score": pl.Float64, "similarity": pl.Float64})
        with self._explained(cell["table"]):
            query: Any = table.search(query_type="hybrid").vector(list(vector)).text(text if text.strip() else "-")
            # More than k are ranked: whichever of two equal scores LanceDB meets first must not decide who is among the k.
            found = query.where(col("chunk_id").isin(wanted)).rerank(RRFReranker()).limit(4 * k + 16).to_arrow()
        scored = found.select([*_COLUMNS, "_relevance_score"]).rename_columns([*_COLUMNS, "score"])
        vectors = np.asarray(found.column("vector").to_pylist(), dtype=np.float64).reshape(len(found), -1)
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(vector)
        similarity = vectors @ np.asarray(vector, dtype=np.float64) / np.maximum(lengths, 1e-12)
        frame = _as_polars(scored).cast({"score": pl.Float64}).with_columns(pl.Series("similarity", similarity, dtype=pl.Float64))
        # Equal scores come in no fixed order; the id decides, so that the same question is shown the same passages.
        return frame.sort("score", "chunk_id", descending=[True, False]).head(k)

    # -- LanceDB ------------------------------------------------------------------------------------------------
    def _connect(self) -> Any:
        import lancedb

        return lancedb.connect(str(self._root))

    def _exists(self, name: str) -> bool:
        return (self._root / f"{name}.lance").exists()

    def _open(self, name: str) -> Any:
        if not self._exists(name):
            raise StoreError(f"{self._root / name}: nothing is stored there; {self._remedy()}")
        with self._explained(name):
            return self._connect().open_table(name)

    def _open_or_set_aside(self, name: str, chunk_ids: list[str]) -> tuple[Any | None, pl.DataFrame]:
        """Open a table to write to it, with those of its rows that are asked for.

        A table that cannot be read is moved aside, not deleted; what it held can be made again from pages and texts.
        """
        nothing = pl.DataFrame(schema={"chunk_id": pl.String, "vector": pl.List(pl.Float32), **CHUNK_SCHEMA})
        with FileLock(self._lock()):
            if not self._exists(name):
                return None, nothing
            try:
                table = self._open(name)
                return table, self._rows(table, name, chunk_ids) if chunk_ids else nothing
            except StoreError as error:
                aside = self._root / f"{name}.damaged-{time.time_ns()}"
                os.replace(self._root / f"{name}.lance", aside)
                log.warning("%s; the table was moved to %s and is made anew", error, aside)
                return None, nothing

    def _create(self, name: str, length: int | None) -> Any:
        """Create the table of passages with vectors of this length, or without one the table of cells."""
        import pyarrow as pa
        from lancedb.index import FTS

        with FileLock(self._lock()):
            if self._exists(name):  # another process was first
                return self._connect().open_table(name)
            if length is None:
                columns = {"tag": pa.string(), "table": pa.string(), "version": pa.int64(), "embedder": pa.string()}
                columns["chunk_ids"] = pa.list_(pa.string())
            else:
                arrow = pl.DataFrame(schema=CHUNK_SCHEMA).to_arrow().schema
                columns = {field.name: _small(field.type) for field in arrow}
                columns |= {"vector": pa.list_(pa.float32(), length), "embedder": pa.string()}
            key = next(iter(columns))
            schema = pa.schema([pa.field(column, kind, nullable=column != key) for column, kind in columns.items()])
            table = self._connect().create_table(name, schema=schema)
            # Without a declared key, concurrent writers duplicate rows and every call still succeeds.
            table.set_unenforced_primary_key([key])
            if length is not None:
                table.create_index("text", config=FTS())
            return table

    def _merge(self, table: Any, key: str, rows: Any) -> Any:
        return table.merge_insert(key).when_matched_update_all().when_not_matched_insert_all().execute(rows, timeout=_WRITE_TIMEOUT)

    def _rows(self, table: Any, name: str, chunk_ids: list[str]) -> pl.DataFrame:
        from lancedb.expr import col

        with self._explained(name):
            return _as_polars(table.search().where(col("chunk_id").isin(chunk_ids)).limit(len(chunk_ids) + 1).to_arrow())

    def _cell(self, tag: str) -> dict[str, Any]:
        from lancedb.expr import col, lit

        cells = self._open(self._cells)
        with self._explained(self._cells):
            rows = cells.search().where(col("tag") == lit(tag)).limit(1).to_arrow().to_pylist()
        if not rows:
            raise StoreError(f"{self._root / self._cells}: {tag} has no stored passages; {self._remedy()}")
        return rows[0]

    def _at(self, cell: dict[str, Any]) -> Any:
        table = self._open(cell["table"])
        with self._explained(cell["table"]):
            table.checkout(cell["version"])
        return table

    def _lock(self) -> Path:
        self._root.mkdir(parents=True, exist_ok=True)
        return self._root / f"{self._prefix}.lock"

    def _remedy(self) -> str:
        return f"materialise `documents` of {self._domain} again"

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Turn what LanceDB raises into one line that names the table and the remedy."""
        try:
            yield
        except StoreError:
            raise
        except (RuntimeError, ValueError, OSError, KeyError, pl.exceptions.PolarsError) as error:
            said = (str(error).splitlines() or [type(error).__name__])[0][:300]
            raise StoreError(f"{self._root / name}: the stored passages cannot be used ({said}); {self._remedy()}") from error


def _as_polars(table: Any) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame.cast({name: kind for name, kind in CHUNK_SCHEMA.items() if name in frame.columns})  # pyright: ignore[reportArgumentType]


def _small(kind: Any) -> Any:
    """Return the 32-bit form of an Arrow type that polars writes with 64-bit offsets."""
    import pyarrow as pa

    if pa.types.is_large_list(kind):
        return pa.list_(_small(kind.value_type))
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind
