"""Evidence that somebody edited, or that was damaged, is never shown as genuine (A1)."""

from pathlib import Path

import polars as pl
import pytest

from alas_assets.provenance.ids import sha256_hex
from alas_assets.provenance.store import Cell, StoreError
from alas_assets.provenance.trace import trace_answer
from alas_assets_tests.provenance.by_hand import DOMAIN, TEXT, answered, judged, store_with_a_fact


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
