"""A takedown's steps over a store whose files are damaged: what nobody can read is named, and nothing counts as searched (A3)."""

from contextlib import suppress
from pathlib import Path

import polars as pl

from alas_assets.provenance.blocked.marks import Finder, marks_of
from alas_assets.provenance.blocked.order import Order
from alas_assets.provenance.store import ArtifactStore, Cell, StoreError
from alas_assets.removal.files import UnreadableError, texts_in_file
from alas_assets.removal.plan import Ids
from alas_assets.removal.purge import purge_tables
from alas_assets.removal.tables import Removal
from alas_assets_tests.audit.by_hand import damaged

ORDER = Order(id="t1", source="http://example.org", by="page", reason="wrong", ordered_by="Ada", at="2026-11-27T10:00:00+00:00", salt="s")
NOTHING = Removal(ORDER, Ids.model_validate({name: [] for name in Ids.model_fields}), Finder(marks_of([], [], [], "s")))


def test_whatever_byte_of_a_tables_footer_was_changed_a_takedown_says_that_nobody_can_read_it(tmp_path: Path) -> None:
    store, table = ArtifactStore(tmp_path), pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    pointer = store.put(Cell.of("quill", 0), "chunks", table, input_key="k", inputs={}, run_id="r")
    path = store.artifact_path("chunks", pointer.hash, "parquet")
    for data in damaged(path.read_bytes()):
        path.write_bytes(data)
        with suppress(StoreError):
            purge_tables(store, NOTHING)
        with suppress(UnreadableError):
            list(texts_in_file(path))
