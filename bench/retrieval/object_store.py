"""Holds the chunk store to its word in an object store: `python bench/retrieval/object_store.py s3://bucket/folder`.

Cells written by several processes at once come back as they were given, and no passage is stored twice. Keys and the endpoint come from
the environment, as LanceDB reads them; the README has a stand-in to try it on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from datetime import UTC, datetime

import lancedb
import polars as pl

from alas_assets.records import CHUNK_SCHEMA
from alas_assets.retrieval.store import ChunkStore

WRITERS, TURNS, PASSAGES = 4, 5, 50


def passages(mark: str) -> pl.DataFrame:
    """Return passages with the same ids for everybody and `mark` as the hash of their text."""
    rows = [
        {
            "chunk_id": f"passage-{number}",
            "page_id": "http://a.example/",
            "url": "http://a.example/",
            "title": "A",
            "heading_path": ["A"],
            "ordinal": number,
            "text": f"Passage {number} of a page that several processes store at once.",
            "start": number,
            "end": number + 1,
            "text_sha256": mark,
            "body_sha256": mark,
            "retrieved_at": datetime(2026, 11, 1, tzinfo=UTC),
        }
        for number in range(PASSAGES)
    ]
    return pl.DataFrame(rows, schema=CHUNK_SCHEMA)


def embed(texts: list[str]) -> list[list[float]]:
    return [[float(len(text)), 1.0, 2.0, 3.0] for text in texts]


def write(uri: str, who: str) -> None:
    for turn in range(TURNS):
        store, chunks = ChunkStore(uri, "bench", "none"), passages(f"{who}-{turn}")
        store.tag_cell(f"cell-{who}", chunks["chunk_id"].to_list(), store.upsert(chunks, embed))
        assert store.read_cell(f"cell-{who}").equals(chunks), f"writer {who}, turn {turn}: not what was given"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("uri")
    parser.add_argument("--writer", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.writer:
        write(given.uri, given.writer)
        return
    started = time.perf_counter()
    writers = [subprocess.Popen([sys.executable, __file__, given.uri, "--writer", str(number)]) for number in range(WRITERS)]
    assert [writer.wait() for writer in writers] == [0] * WRITERS
    store = ChunkStore(given.uri, "bench", "none")
    for number in range(WRITERS):
        assert store.read_cell(f"cell-{number}").equals(passages(f"{number}-{TURNS - 1}"))
    upserted = store.upsert(passages("last"), embed)
    rows = lancedb.connect(given.uri).open_table(upserted.table).count_rows()
    assert (rows, upserted.embedded) == (PASSAGES, 0), f"{rows} rows for {PASSAGES} passages"
    taken = time.perf_counter() - started
    print(f"{WRITERS} processes, {WRITERS * TURNS} cells: all as given, {rows} rows for {PASSAGES} passages, {taken:.1f} s")


if __name__ == "__main__":
    main()
