"""What a takedown reads and rewrites of a folder's LanceDB tables as a whole: every version, of all cells, of any domain (A3).

Which passages go is the caller's to say. What one cell reads and writes is `retrieval.store`'s.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from alas_assets.provenance.ids import safe_name
from alas_assets.provenance.store import StoreError, write_atomic
from alas_assets.provenance.tables import read_unvouched
from alas_assets.records import CHUNK_SCHEMA
from alas_assets.retrieval.store import ChunkStore, first_line, local_folder


def every_version(root: Path | str) -> Iterator[tuple[str, int, pl.DataFrame]]:
    """Yield (table, version, rows without vectors) of every version of every table, those of all domains and those set aside as damaged.

    Raises:
        StoreError: A table or version cannot be read.
    """
    import lancedb

    folder = local_folder(root)
    if folder is not None and not folder.is_dir():
        return
    try:
        database = lancedb.connect(str(folder or root).rstrip("/"))
        for name in _table_names(database):
            table = database.open_table(name)
            for version in sorted(one["version"] for one in table.list_versions()):
                table.checkout(version)
                wanted = [column for column in table.schema.names if column != "vector"]
                frame = pl.from_arrow(table.search().select(wanted).limit(max(1, table.count_rows())).to_arrow())
                assert isinstance(frame, pl.DataFrame)
                yield name, version, frame
    except (RuntimeError, ValueError, OSError, KeyError, pl.exceptions.PolarsError) as error:
        raise StoreError(f"{root}: its passages cannot be read ({first_line(error)}); restore the folder, or move it away") from error


def _table_names(database: Any) -> list[str]:
    names: list[str] = []
    page = None
    while True:
        listed = database.list_tables(page_token=page)
        names += listed.tables
        page = listed.page_token
        if not page:
            return sorted(names)


def stored_passages(root: Path | str, domain: str, pages: Sequence[str], chunk_ids: Sequence[str] = ()) -> set[str]:
    """Return the ids of a domain's stored passages that are of these pages or have these ids; the newest versions hold all there ever were.

    Raises:
        StoreError: A table cannot be read.
    """
    import lancedb

    folder, prefix = local_folder(root), safe_name(domain)
    if folder is not None and not folder.is_dir():
        return set()
    database = lancedb.connect(str(folder or root).rstrip("/"))
    found: set[str] = set()
    for name in _table_names(database):
        if name.startswith(f"{prefix}.") and name != f"{prefix}.cells":
            rows = _whole(database.open_table(name), ["chunk_id", "page_id"])
            own = rows.filter(pl.col("page_id").is_in(list(pages)) | pl.col("chunk_id").is_in(list(chunk_ids)))
            found |= set(own["chunk_id"])
    return found


def _whole(table: Any, columns: list[str]) -> pl.DataFrame:
    frame = pl.from_arrow(table.search().select(columns).limit(max(1, table.count_rows())).to_arrow())
    assert isinstance(frame, pl.DataFrame)
    return frame


def write_without(root: Path | str, domain: str, *, pages: Sequence[str], chunk_ids: Sequence[str], aside: Path) -> int:
    """Write a domain's tables anew without some passages, so that no version, index or log of them still has any; cells keep their tags.

    What stays is first kept in `aside`; a call after a kill goes on from there. Nobody may read or write the tables meanwhile.

    Args:
        root: The LanceDB folder or URI.
        domain: The domain's key.
        pages: Pages whose passages go.
        chunk_ids: Further passages that go.
        aside: A folder of the caller's for what stays, until it is written; removed at the end.

    Returns:
        How many passages went, counted once a cell.

    Raises:
        StoreError: A table cannot be read or written.
    """
    prefix = safe_name(domain)
    ready = aside / "ready"
    try:
        if not ready.exists():
            shutil.rmtree(aside, ignore_errors=True)
            gone = _keep_aside(root, prefix, set(pages), set(chunk_ids), aside)
            if not gone:
                shutil.rmtree(aside, ignore_errors=True)
                return 0
            write_atomic(ready, str(gone).encode())
        gone = int(ready.read_text(encoding="utf-8"))
        _write_again(root, domain, prefix, aside)
        ready.unlink()  # before what it vouches for: a kill amid the removal must not have the tables written from the rest
        shutil.rmtree(aside)
    except (RuntimeError, ValueError, OSError, KeyError, pl.exceptions.PolarsError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"{root}: the passages of {domain} cannot be written anew ({first_line(error)}); give the command again"
        ) from error
    return gone


def _keep_aside(root: Path | str, prefix: str, pages: set[str], chunks: set[str], aside: Path) -> int:
    """Write each cell's remaining passages, with their vectors, to a file; return how many others there are.

    A table whose writer was killed before it named its first cell has passages all the same; with none to keep, it goes as a whole.
    """
    import lancedb

    folder = local_folder(root)
    if folder is not None and not folder.is_dir():
        return 0
    database = lancedb.connect(str(folder or root).rstrip("/"))
    names = [name for name in _table_names(database) if name.startswith(f"{prefix}.")]
    aside.mkdir(parents=True, exist_ok=True)
    gone = 0
    for number, cell in enumerate(_all_cells(database, prefix) if f"{prefix}.cells" in names else []):
        table = database.open_table(cell["table"])
        table.checkout(cell["version"])
        rows = _whole(table, [*CHUNK_SCHEMA.names(), "vector"]).filter(pl.col("chunk_id").is_in(cell["chunk_ids"]))
        kept = rows.filter(~(pl.col("page_id").is_in(list(pages)) | pl.col("chunk_id").is_in(list(chunks))))
        staying = set(kept["chunk_id"])
        ids = [chunk for chunk in cell["chunk_ids"] if chunk in staying]
        gone += rows.height - kept.height
        kept.write_parquet(aside / f"{number:04d}.parquet")
        length = table.schema.field("vector").type.list_size
        told = {"tag": cell["tag"], "embedder": cell["embedder"], "chunk_ids": ids, "length": length}
        (aside / f"{number:04d}.json").write_text(json.dumps(told), encoding="utf-8")
    newest = sum(_own_rows(database.open_table(name), pages, chunks) for name in names if name != f"{prefix}.cells")
    return gone or newest


def _all_cells(database: Any, prefix: str) -> list[dict[str, Any]]:
    """Return what a domain's table of cells holds, in the order in which the cells are to be written again."""
    cells = _whole(database.open_table(f"{prefix}.cells"), ["tag", "table", "version", "embedder", "chunk_ids"])
    return cells.sort("table", "version", "tag").to_dicts()


def _own_rows(table: Any, pages: set[str], chunks: set[str]) -> int:
    """Return the most passages that any version of a table has of these."""
    most = 0
    for version in table.list_versions():
        table.checkout(version["version"])
        rows = _whole(table, ["chunk_id", "page_id"])
        most = max(most, rows.filter(pl.col("page_id").is_in(list(pages)) | pl.col("chunk_id").is_in(list(chunks))).height)
    return most


def _write_again(root: Path | str, domain: str, prefix: str, aside: Path) -> None:
    """Drop a domain's tables and write its cells from what was kept aside, in the order of their versions; last those without passages.

    One of these may be named for a model whose vectors it has none of, and it must not say how long those of the others are.
    """
    import lancedb

    folder = local_folder(root)
    database = lancedb.connect(str(folder or root).rstrip("/"))
    for name in _table_names(database):
        if name.startswith(f"{prefix}."):
            database.drop_table(name)
    for left in sorted(folder.glob(f"{prefix}.*")) if folder is not None else []:
        if left.is_dir():  # also what was set aside as damaged
            shutil.rmtree(left)
    cells: dict[Path, dict[str, Any]] = {file: json.loads(file.read_text(encoding="utf-8")) for file in sorted(aside.glob("*.json"))}
    for file, told in sorted(cells.items(), key=lambda cell: not cell[1]["chunk_ids"]):
        kept = read_unvouched(file.with_suffix(".parquet"))
        store = ChunkStore(root, domain, told["embedder"])
        store.write_cell(told["tag"], kept, told["chunk_ids"], int(told["length"]))
