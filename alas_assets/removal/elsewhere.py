"""Which runs of a removed source's words have come to stand elsewhere since, by no fault of the takedown (A3).

Other pages may say the same, a question form that its facts shared is used for new ones, and a model that never learned of it may happen
to put words in the same order. What stood elsewhere when the source was removed was never searched for; see `removal.plan`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import polars as pl

from alas_assets.audit.trace import ANSWER_TABLES
from alas_assets.provenance.blocked.marks import Finder
from alas_assets.provenance.blocked.order import Blocked, Order
from alas_assets.provenance.store import ArtifactStore, StoreError
from alas_assets.records import as_pairs
from alas_assets.removal.plan import tables_of

_SAID_OF_IT = ("question", "answer", "quote", "rationale")


def runs_elsewhere(store: ArtifactStore, order: Order, finder: Finder) -> frozenset[str]:
    """Return the hashes of those runs that pages say which no takedown blocks, or models that none retired.

    Args:
        store: The artifact store.
        order: The takedown.
        finder: What is looked for.

    Raises:
        StoreError: A table or the file of answers cannot be read.
    """
    found: set[str] = set()
    for text in (*_other_pages(store), *_other_models(store, order)):
        found |= finder.runs(text)
    return frozenset(found)


def _other_pages(store: ArtifactStore) -> Iterator[str]:
    blocked = Blocked(store.root)
    files: set[Path] = set()
    for table in tables_of(store, "documents"):
        for row in table.filter("ok").iter_rows(named=True):
            if not (blocked.address(row["final_url"]) or blocked.address(row["requested_url"])):
                files |= {store.texts / (row["text_sha256"] or "-"), store.pages / (row["body_sha256"] or "-")}
    for path in sorted(files):
        if path.is_file():
            yield path.read_text(encoding="utf-8", errors="replace")
    for table in tables_of(store, "qa_pairs"):
        for row in as_pairs(table).select("url", *_SAID_OF_IT).iter_rows(named=True):
            if row["url"] and not blocked.address(row["url"]):
                yield from (row[name] for name in _SAID_OF_IT if row[name])


def _other_models(store: ArtifactStore, order: Order) -> Iterator[str]:
    """Yield what models said that learned nothing of the source, without any passage before them."""
    retired = [one.adapter_hash for one in order.retired]
    for asset in ANSWER_TABLES:
        for table in tables_of(store, asset):
            own = pl.col("adapter_hash").fill_null("").is_in(retired) | (pl.col("context_hash").fill_null("") != "")
            yield from table.filter(~own)["answer"].drop_nulls().to_list()
    path = store.root / "answers.sqlite"
    if not path.is_file():
        return
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT text, adapter_hash FROM answers WHERE context_hash = ''").fetchall()
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}; see to its disk and permissions, then search again") from error
    yield from (text for text, adapter in rows if adapter not in retired)
