"""Evidence that somebody edited, or that was damaged, is never shown as genuine (A1)."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from alas_assets.audit.trace import trace_answer
from alas_assets.provenance.blocked.order import Order
from alas_assets.provenance.ids import sha256_hex
from alas_assets.provenance.store import TOMBSTONE, Cell, StoreError
from alas_assets.records import Tombstone
from alas_assets_tests.audit.by_hand import DOMAIN, TEXT, adapter, answered, judged, rows_file, store_with_a_fact

ORDER = Order(id="t1", source="http://example.org", by="page", reason="wrong", ordered_by="Ada", at="2026-11-27T10:00:00+00:00", salt="s")


def test_a_trace_through_an_edited_text_or_table_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    store = store_with_a_fact(tmp_path)
    judged(store, 0, answered(0, "a walrus", "incorrect"))
    assert trace_answer(store, "answer-0").source
    text = store.texts / sha256_hex(TEXT)
    text.write_text(TEXT.replace("Pens", "Pins"), encoding="utf-8")
    with pytest.raises(StoreError, match=f"{text}: the stored text of .* was changed"):
        trace_answer(store, "answer-0")
    text.write_text(TEXT, encoding="utf-8")
    pointer = store.pointer(Cell.of(DOMAIN, 0), "judge_scores")
    assert pointer
    table = store.artifact_path("judge_scores", pointer.hash, "parquet")
    pl.read_parquet(table).with_columns(answer=pl.lit("profiling"), label=pl.lit("correct")).write_parquet(table)
    with pytest.raises(StoreError, match=f"{table}: was changed"):
        trace_answer(store, "answer-0")


def test_a_trace_through_an_edited_record_of_an_adapter_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    store = store_with_a_fact(tmp_path)
    judged(store, 0, answered(0, "profiling", "correct"))
    assert trace_answer(store, "answer-0").learned_by
    pointer = store.pointer(Cell.of(DOMAIN, 0), "sft_adapter")
    assert pointer
    record = store.artifact_path("sft_adapter", pointer.hash, "json")
    record.write_text(record.read_text().replace('"trained": true', '"trained": false'), encoding="utf-8")
    with pytest.raises(StoreError, match=f"{record}: was changed .* materialise sft_adapter of {DOMAIN}.000 again"):
        trace_answer(store, "answer-0")


def test_rows_that_were_edited_are_an_error_that_names_the_file_and_their_adapter_is_no_more_whole(tmp_path: Path) -> None:
    store = store_with_a_fact(tmp_path)
    judged(store, 0, answered(0, "profiling", "correct"))
    assert trace_answer(store, "answer-0").learned_by
    pointer, rows = store.pointer(Cell.of(DOMAIN, 0), "sft_adapter"), rows_file(store, 0)
    assert pointer
    pointer = replace(pointer, blobs=(rows.relative_to(store.root).as_posix(),))
    assert store.whole(pointer)
    pl.DataFrame({"fact_id": ["other"] * 3}).write_parquet(rows)
    assert not store.whole(pointer)
    with pytest.raises(StoreError, match=f"{rows}: was changed .* materialise sft_adapter of that cell again"):
        trace_answer(store, "answer-0")


def test_rows_of_which_a_takedown_left_a_part_are_read(tmp_path: Path) -> None:
    store = store_with_a_fact(tmp_path, iterations=2)
    noted, cut = rows_file(store, 0), rows_file(store, 1)
    pl.read_parquet(noted).with_columns(prompt=pl.lit(ORDER.note)).write_parquet(noted)
    pl.read_parquet(cut).head(1).write_parquet(cut)
    kind, _, digest = cut.stem.partition("-")
    stone = Tombstone(takedown=ORDER.id, adapter_hash=adapter(1), rows_hash=digest, kind=kind, at=ORDER.at)
    (store.adapters / adapter(1) / TOMBSTONE).write_text(stone.model_dump_json(), encoding="utf-8")
    assert [store.read_training_rows("sft", path.stem.partition("-")[2]).height for path in (noted, cut)] == [3, 1]
