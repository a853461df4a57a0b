"""The chunk store: a domain's passages in LanceDB, and for every cell exactly those it read, pinned by a version tag (R3, R4, O8).

Vectors are made by whoever calls; what a takedown does with the tables of all domains and versions is `retrieval.takedown`'s.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

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
_KEY = {"lance-schema:unenforced-primary-key": "true"}
_WRITE_TIMEOUT = timedelta(seconds=120)
_COMPACT_FROM = 20  # small fragments; every write leaves one, and each is a file that every search opens
_UNINDEXED_FROM = 500  # passages; a search reads those that no index knows one by one
_SUPERSEDED_KEPT = timedelta(days=7)  # a version that no cell pins and nobody can still be reading is older

VECTOR_INDEX_FROM = 100_000
"""Passages from which on a vector index is kept.

Below it a search compares with every vector, which is exact and at most some 150 MB of reading (100,000 vectors of 384 numbers); an
index is approximate, has to be trained (on 256 vectors a partition) and pays only where that much reading is felt.
"""


@dataclass(frozen=True)
class Upserted:
    """What an upsert did, and where its passages are now."""

    table: str
    version: int  # in this version of the table all of them are as given
    rows: int  # distinct passages given
    embedded: int  # of these, how many had no vector yet


@dataclass(frozen=True)
class _Searched:
    """What a search of some cells reads."""

    table: Any  # at the version that has the passages of all of them
    only: Any | None  # the filter that keeps to these; None where the version has no others


class ChunkStore:
    """The passages of one domain, embedded by one model; another model's vectors lie in a table of their own.

    Args:
        root: The LanceDB folder, or the URI of one in an object store, such as "s3://bucket/passages"; keys to it come from the
            environment (AWS_ACCESS_KEY_ID and so on), never from a setting.
        domain: The domain's key.
        embedder: Name of the model behind the vectors.
        vector_index_from: Passages from which on a vector index is kept.
    """

    def __init__(self, root: Path | str, domain: str, embedder: str, vector_index_from: int = VECTOR_INDEX_FROM) -> None:
        """Name the place; nothing is opened yet."""
        self._folder = local_folder(root)
        self._root = str(self._folder or root).rstrip("/")
        self._domain = domain
        self._embedder = embedder
        self._vector_index_from = vector_index_from
        self._prefix = safe_name(domain)
        self._cells = f"{self._prefix}.cells"
        self._opened: dict[tuple[str, ...], _Searched | None] = {}

    # -- writing ------------------------------------------------------------------------------------------------
    def upsert(self, chunks: pl.DataFrame, embed: Embed) -> Upserted:
        """Store passages; only those without a vector are embedded, only those that differ are written (R4).

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
        ids = chunks["chunk_id"].to_list()
        table, stored = self._open_or_set_aside(name, ids)
        changed = _differing(chunks, stored)
        if table is not None and changed.is_empty():
            return Upserted(name, table.version, len(chunks), 0)
        missing = changed.join(stored, on="chunk_id", how="anti", maintain_order="left")
        made = self._embedded(missing, embed)
        with self._explained(name):
            if table is None:
                assert made is not None  # nothing is stored, so all are missing
                table = self._create(name, vector_length(made))
            before = table.version
            version = self._write(table, changed, self._vectors(table, name, made, changed["chunk_id"].to_list()))
            if version != before + 1 and not self._holds(name, version, chunks):
                # Another writer changed some of the other passages meanwhile; all in one write, and one version has all as given.
                version = self._write(table, chunks, self._vectors(self._open(name), name, None, ids))
        return Upserted(name, self._maintained(name, version, chunks), len(chunks), len(missing))

    def _maintained(self, name: str, version: int, chunks: pl.DataFrame) -> int:
        """Maintain the table and return the version to pin: the newest, which the indices cover, if it still has all as given."""
        self._maintain(name)
        with self._explained(name):
            newest = self._open(name).version
            return newest if newest == version or self._holds(name, newest, chunks) else version

    def _embedded(self, missing: pl.DataFrame, embed: Embed) -> pl.DataFrame | None:
        """Return `chunk_id` and `vector` of passages that have none yet, or None where all have.

        Raises:
            StoreError: The embedder did not give one usable vector for each.
        """
        if missing.is_empty():
            return None
        made = embed(missing["text"].to_list())
        if len(made) != len(missing) or len({len(vector) for vector in made}) != 1:
            raise StoreError(f"the embedder {self._embedder} did not give one vector of one length for each of {len(missing)} passages")
        vectors = np.asarray(made, dtype=np.float32)
        if not np.isfinite(vectors).all():
            raise StoreError(f"the embedder {self._embedder} gave a vector with a part that is no number")
        return pl.DataFrame({"chunk_id": missing["chunk_id"], "vector": vectors})

    def _vectors(self, table: Any, name: str, made: pl.DataFrame | None, ids: list[str]) -> pl.DataFrame:
        """Return `chunk_id` and `vector` of passages: those just made, and the stored ones of the others."""
        length = table.schema.field("vector").type.list_size
        kind = pl.Array(pl.Float32, length)
        made = made if made is not None else pl.DataFrame(schema={"chunk_id": pl.String, "vector": kind})
        if made["vector"].dtype != kind:
            raise StoreError(
                f"the embedder {self._embedder} gives vectors of {vector_length(made)} numbers, those stored under its name have {length};"
                f" give the new model a name of its own (student.embedder)"
            )
        fresh = set(made["chunk_id"])
        others = self._rows(table, name, [chunk for chunk in ids if chunk not in fresh], ["chunk_id", "vector"])
        return pl.concat([made, others.cast({"vector": kind})])

    def _write(self, table: Any, chunks: pl.DataFrame, vectors: pl.DataFrame) -> int:
        rows = chunks.join(vectors, on="chunk_id", maintain_order="left").with_columns(embedder=pl.lit(self._embedder))
        return self._merge(table, "chunk_id", rows.to_arrow().cast(table.schema)).version

    def _holds(self, name: str, version: int, chunks: pl.DataFrame) -> bool:
        """Tell whether one version of the table has all these passages as given."""
        table = self._open(name)
        table.checkout(version)
        return _differing(chunks, self._rows(table, name, chunks["chunk_id"].to_list(), _COLUMNS)).is_empty()

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

        self._opened.clear()
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
        self._maintain(self._cells)

    def write_cell(self, tag: str, rows: pl.DataFrame, chunk_ids: list[str], length: int) -> None:
        """Store a cell's passages with vectors that they have already, and tag it; also a cell that has none left.

        Args:
            tag: The cell's name within the domain.
            rows: `CHUNK_SCHEMA` and `vector`.
            chunk_ids: Its passages, in reading order.
            length: Numbers of a vector, for a table that has no row.

        Raises:
            StoreError: LanceDB refuses the write.
        """
        if rows.height:
            vectors = dict(zip(rows["text"].to_list(), rows["vector"].to_list(), strict=True))
            upserted = self.upsert(rows.select(_COLUMNS), lambda texts: [list(vectors[text]) for text in texts])
        else:
            name = f"{self._prefix}.{sha256_hex(self._embedder)[:10]}"
            table = self._open(name) if self._exists(name) else self._create(name, max(1, length))
            upserted = Upserted(name, table.version, 0, 0)
        self.tag_cell(tag, chunk_ids, upserted)

    def embed_anew(self, tags: Sequence[str], embed: Embed) -> int:
        """Give the passages of cells that another model embedded vectors of this one, so that one question finds them all (R4).

        Args:
            tags: The cells to see to; those that this model embedded stay as they are.
            embed: As for `upsert`.

        Returns:
            How many cells were embedded anew.

        Raises:
            StoreError: A passage is gone, or LanceDB refuses the write.
        """
        cells = self._cells_of(tags) if tags else {}
        strangers = [tag for tag, cell in cells.items() if cell["embedder"] != self._embedder and cell["chunk_ids"]]
        for tag in strangers:
            passages = self.read_cell(tag)
            self.tag_cell(tag, passages["chunk_id"].to_list(), self.upsert(passages, embed))
        return len(strangers)

    # -- reading ------------------------------------------------------------------------------------------------
    def read_cell(self, tag: str) -> pl.DataFrame:
        """Return a cell's passages as they were when it was tagged: `CHUNK_SCHEMA`, in reading order.

        Raises:
            StoreError: The table, the tag or a passage is gone or damaged.
        """
        cell = self._cell(tag)
        return _in_order(self._passages(cell, cell["chunk_ids"]), cell["chunk_ids"])

    def read_passages(self, chunk_ids: Sequence[str], tags: Sequence[str]) -> pl.DataFrame:
        """Return those of some passages that one of the cells has, as they were when the last of these cells that has them was tagged.

        Args:
            chunk_ids: The passages.
            tags: The cells to look in; one is looked in only for what no cell after it has.

        Returns:
            `CHUNK_SCHEMA`, in the order of `chunk_ids`; what no cell has is left out.

        Raises:
            StoreError: A table, the tag of a cell that is looked in, or a passage that it has is gone or damaged.
        """
        wanted, found = set(chunk_ids), [CHUNK_SCHEMA.to_frame()]
        cells = self._cells_of(tags) if wanted and tags else {}
        for tag in reversed(tags):
            if not wanted:
                break
            if tag not in cells:
                raise self._untagged(tag)
            here = [chunk for chunk in cells[tag]["chunk_ids"] if chunk in wanted]
            if here:
                found.append(self._passages(cells[tag], here))
                wanted.difference_update(here)
        there = pl.concat(found)
        known = set(there["chunk_id"])
        return _in_order(there, [chunk for chunk in chunk_ids if chunk in known])

    def search(self, text: str, vector: Sequence[float], k: int, tags: Sequence[str]) -> pl.DataFrame:
        """Return the passages of some cells that fit best, by full text and vector together (reciprocal ranks).

        All cells are searched at once: ranks tell nothing of one another that were given among different passages.

        Args:
            text: The question as text; it has no syntax.
            vector: The same question, embedded.
            k: How many at most.
            tags: The cells.

        Returns:
            `CHUNK_SCHEMA` as last written for one of the cells, `score` (reciprocal ranks) and `similarity` (cosine of question and
            passage), best first.

        Raises:
            StoreError: The table or a tag is gone or damaged, or a cell's passages were embedded by another model.
        """
        from lancedb.rerankers import RRFReranker

        # Opening costs more than a search, and the questions of one evaluation all go to the same cells.
        key = tuple(tags)
        if key not in self._opened:
            self._opened[key] = self._searched(tags)
        searched = self._opened[key]
        if searched is None:
            return pl.DataFrame(schema={**CHUNK_SCHEMA, "score": pl.Float64, "similarity": pl.Float64})
        with self._explained(searched.table.name):
            query: Any = searched.table.search(query_type="hybrid").vector(list(vector)).text(text if text.strip() else "-")
            if searched.only is not None:
                query = query.where(searched.only)
            # More than k are ranked: whichever of two equal scores LanceDB meets first must not decide who is among the k.
            found = query.rerank(RRFReranker()).limit(4 * k + 16).to_arrow()
        scored = found.select([*_COLUMNS, "_relevance_score"]).rename_columns([*_COLUMNS, "score"])
        vectors = np.asarray(found.column("vector").to_pylist(), dtype=np.float64).reshape(len(found), -1)
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(vector)
        similarity = vectors @ np.asarray(vector, dtype=np.float64) / np.maximum(lengths, 1e-12)
        frame = _as_polars(scored).cast({"score": pl.Float64}).with_columns(pl.Series("similarity", similarity, dtype=pl.Float64))
        # Equal scores come in no fixed order; the id decides, so that the same question is shown the same passages.
        return frame.sort("score", "chunk_id", descending=[True, False]).head(k)

    def _searched(self, tags: Sequence[str]) -> _Searched | None:
        """Open what a search of some cells reads: the newest version that one of them pins, which has the passages of all.

        Passages are only ever added to a table; a takedown, which makes it anew, writes the cells in the order of their versions.
        """
        from lancedb.expr import col

        found = self._cells_of(tags) if tags else {}
        if untagged := [tag for tag in tags if tag not in found]:
            raise self._untagged(*untagged)
        strangers = (cell for cell in found.values() if cell["embedder"] != self._embedder and cell["chunk_ids"])
        if stranger := next(strangers, None):
            asked = f"the passages of {stranger['tag']} were embedded by {stranger['embedder']}, the question by {self._embedder}"
            raise StoreError(
                f"{asked}; `documents` of the newest iteration embeds them anew when it is made (`alas run {self._domain}`), or set "
                f'student.embedder back to "{stranger["embedder"]}"'
            )
        wanted = sorted({chunk for cell in found.values() for chunk in cell["chunk_ids"]})
        if not wanted:
            return None
        # a cell without passages may be in the table of an embedder that was since changed, whose versions count apart
        newest = max((cell for cell in found.values() if cell["chunk_ids"]), key=lambda cell: cell["version"])
        table = self._at(newest)
        with self._explained(newest["table"]):
            # A filter of thousands of ids costs more than the search: none where it says "all".
            return _Searched(table, col("chunk_id").isin(wanted) if len(wanted) < table.count_rows() else None)

    # -- LanceDB ------------------------------------------------------------------------------------------------
    def _connect(self) -> Any:
        import lancedb

        return lancedb.connect(self._root)

    def _exists(self, name: str) -> bool:
        if self._folder is not None:
            return (self._folder / f"{name}.lance").exists()
        with self._explained(name):
            database, page = self._connect(), None
            while True:
                listed = database.list_tables(page_token=page)
                if name in listed.tables:
                    return True
                page = listed.page_token
                if not page:
                    return False

    def _open(self, name: str) -> Any:
        if not self._exists(name):
            raise StoreError(f"{self._root}/{name}: nothing is stored there; {self._remedy()}")
        with self._explained(name):
            return self._connect().open_table(name)

    def _open_or_set_aside(self, name: str, chunk_ids: list[str]) -> tuple[Any | None, pl.DataFrame]:
        """Open a table to write to it, with those of its rows that are asked for.

        A table in a folder that cannot be read is moved aside, not deleted; what it held can be made again from pages and texts.

        Raises:
            StoreError: The table cannot be read and lies in an object store, where nothing can be moved.
        """
        nothing = pl.DataFrame(schema=CHUNK_SCHEMA)
        with self._alone():
            if not self._exists(name):
                return None, nothing
            try:
                table = self._open(name)
                return table, self._rows(table, name, chunk_ids, _COLUMNS) if chunk_ids else nothing
            except StoreError as error:
                if self._folder is None:
                    raise StoreError(f"{error}, after moving {self._root}/{name}.lance out of the way") from error
                aside = self._folder / f"{name}.damaged-{time.time_ns()}"
                os.replace(self._folder / f"{name}.lance", aside)
                log.warning("%s; the table was moved to %s and is made anew", error, aside)
                return None, nothing

    def _create(self, name: str, length: int | None) -> Any:
        """Create the table of passages with vectors of this length, or without one the table of cells."""
        import pyarrow as pa

        if length is None:
            columns = {"tag": pa.string(), "table": pa.string(), "version": pa.int64(), "embedder": pa.string()}
            columns["chunk_ids"] = pa.list_(pa.string())
        else:
            arrow = pl.DataFrame(schema=CHUNK_SCHEMA).to_arrow().schema
            columns = {field.name: _small(field.type) for field in arrow}
            columns |= {"vector": pa.list_(pa.float32(), length), "embedder": pa.string()}
        key = next(iter(columns))
        # Without a declared key, concurrent writers duplicate rows and every call still succeeds. It is declared with the schema,
        # so that the table is never there without it, whoever opens it first.
        fields = [
            pa.field(column, kind, nullable=column != key, metadata=_KEY if column == key else None) for column, kind in columns.items()
        ]
        with self._alone():
            if not self._exists(name):  # else another process was first
                self._connect().create_table(name, schema=pa.schema(fields), exist_ok=True)
            table = self._connect().open_table(name)
            _index(table)
            return table

    def _maintain(self, name: str) -> None:
        """Merge small fragments, index what is new, and begin a vector index where the table is large enough to profit.

        A tagged version loses nothing. Rows are small (pages lie elsewhere), and LanceDB streams them in batches, so that memory stays
        bounded. What fails here costs speed and no result: it is logged, and the next write tries again.
        """
        try:
            with self._alone():
                table = self._connect().open_table(name)
                _index(table)  # whoever made the table may have been killed before it got its indices
                stats, indices = table.stats(), table.list_indices()
                rows = int(stats["num_rows"])
                if "vector" in table.schema.names and rows >= self._vector_index_from and not any("vector" in i.columns for i in indices):
                    _index_vectors(table)
                unindexed = max((int(index.num_unindexed_rows or 0) for index in indices), default=0)
                if stats["fragment_stats"]["num_small_fragments"] >= _COMPACT_FROM or unindexed >= _UNINDEXED_FROM:
                    table.optimize(cleanup_older_than=_older_than_any_tag(table))
        except (RuntimeError, ValueError, OSError) as error:
            log.warning("%s/%s: not compacted or indexed (%s); the next write tries again", self._root, name, first_line(error))

    def _merge(self, table: Any, key: str, rows: Any) -> Any:
        return table.merge_insert(key).when_matched_update_all().when_not_matched_insert_all().execute(rows, timeout=_WRITE_TIMEOUT)

    def _rows(self, table: Any, name: str, chunk_ids: list[str], columns: list[str]) -> pl.DataFrame:
        from lancedb.expr import col

        with self._explained(name):
            query = table.search().where(col("chunk_id").isin(chunk_ids)).select(columns).limit(len(chunk_ids) + 1)
            return _as_polars(query.to_arrow())

    def _cell(self, tag: str) -> dict[str, Any]:
        cell = self._cells_of([tag]).get(tag)
        if cell is None:
            raise self._untagged(tag)
        return cell

    def _cells_of(self, tags: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return, by tag, what is remembered of cells; those that were never tagged are left out."""
        from lancedb.expr import col

        cells = self._open(self._cells)
        with self._explained(self._cells):
            rows = cells.search().where(col("tag").isin(list(tags))).limit(len(tags)).to_arrow().to_pylist()
        return {row["tag"]: row for row in rows}

    def _untagged(self, *tags: str) -> StoreError:
        said, each = (f"{tags[0]} has no", "it") if len(tags) == 1 else (f"none of {', '.join(tags)} has", "each")
        return StoreError(f"{self._root}/{self._cells}: {said} stored passages; {self._remedy()} for {each}")

    def _passages(self, cell: dict[str, Any], chunk_ids: list[str]) -> pl.DataFrame:
        """Return passages that a cell has, in no order, from the version that it pins."""
        found = self._rows(self._at(cell), cell["table"], chunk_ids, _COLUMNS)
        if lost := len(chunk_ids) - len(found):
            raise StoreError(f"{self._root}/{cell['table']}: {lost} passages of {cell['tag']} are gone; {self._remedy()}")
        return found

    def _at(self, cell: dict[str, Any]) -> Any:
        table = self._open(cell["table"])
        with self._explained(cell["table"]):
            table.checkout(cell["version"])
        return table

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes of this machine from creating, moving or compacting at the same time.

        In an object store nothing is locked: creating is one commit there, and what collides in compaction is tried again later.
        """
        if self._folder is None:
            yield
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / f"{self._prefix}.lock"):
            yield

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
            raise StoreError(f"{self._root}/{name}: the stored passages cannot be used ({first_line(error)}); {self._remedy()}") from error


def local_folder(root: Path | str) -> Path | None:
    """Return the folder that a path or a `file://` URI names, or None where it is the URI of an object store."""
    if isinstance(root, str) and "://" in root:
        scheme, _, rest = root.partition("://")
        return Path(unquote(rest)) if scheme == "file" else None
    return Path(root)


def _differing(chunks: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Return the passages that are not stored exactly as given."""
    return chunks.join(stored, on=_COLUMNS, how="anti", nulls_equal=True, maintain_order="left")


def _in_order(passages: pl.DataFrame, chunk_ids: Sequence[str]) -> pl.DataFrame:
    """Return passages in the order of these ids, all of which are there."""
    order = pl.DataFrame({"chunk_id": list(chunk_ids)}, schema={"chunk_id": pl.String})
    return order.join(passages, on="chunk_id", how="left", maintain_order="left").select(_COLUMNS)


def vector_length(vectors: pl.DataFrame) -> int:
    """Return how many numbers each vector of a table with a column `vector` has."""
    kind = vectors.schema["vector"]
    assert isinstance(kind, pl.Array)
    return kind.shape[0]


def _index(table: Any) -> None:
    """Give a table the indices that it lacks: of its key, and of its text where it has one."""
    from lancedb.index import FTS, BTree

    there = {column for index in table.list_indices() for column in index.columns}
    for column, config in (("chunk_id", BTree()), ("tag", BTree()), ("text", FTS())):
        if column in table.schema.names and column not in there:
            table.create_index(column, config=config)


def _index_vectors(table: Any) -> None:
    """Begin a vector index that keeps whole vectors: what it finds is ranked exactly, only far partitions are left out."""
    from lancedb.index import IvfFlat

    table.create_index("vector", config=IvfFlat(distance_type="l2"))


def _older_than_any_tag(table: Any) -> timedelta:
    """Return an age beyond which no version is pinned: LanceDB refuses to clean up at all rather than to skip a tagged version."""
    pinned = {tag["version"] for tag in table.tags.list().values()}
    ages = [datetime.now() - version["timestamp"] for version in table.list_versions() if version["version"] in pinned]
    return max([_SUPERSEDED_KEPT, *(age + timedelta(seconds=1) for age in ages)])


def first_line(error: Exception) -> str:
    """Return what an error says in one line that is not too long; its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


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
