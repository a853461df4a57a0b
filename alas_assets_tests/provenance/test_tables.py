"""Damaged Parquet files are refused, and whole ones are read as they were written, without polars' own reader (T5, A3)."""

import io
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets import records
from alas_assets.provenance.store import holds, table_hash, unvouched_hash
from alas_assets.provenance.tables import DamagedTableError, read_unvouched

SCHEMAS = {name: schema for name, schema in vars(records).items() if isinstance(schema, pl.Schema)}
VALUES: dict[Any, list[Any]] = {
    pl.String: ["", "naïve “quotes” 東京", None],
    pl.Boolean: [True, False, None],
    pl.Int32: [-1, 2**31 - 1, None],
    pl.Int64: [-1, 2**62, None],
    pl.Float64: [0.1, -1e300, None],
    pl.Datetime("us", "UTC"): [datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), None],
    pl.List(pl.String): [["a", ""], [], None],
    records.ANSWER_SCHEMA["verdicts"]: [[{"judge": "a", "label": "b", "error_type": "", "explanation": None}], [], None],
}


def bytes_of(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def filled(schema: pl.Schema) -> pl.DataFrame:
    """Return three rows of a schema."""
    return pl.DataFrame({name: pl.Series(name, VALUES[kind], dtype=kind) for name, kind in schema.items()})


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_table_of_ours_comes_back_as_it_was_written(name: str, tmp_path: Path) -> None:
    for number, table in enumerate((filled(SCHEMAS[name]), filled(SCHEMAS[name]).clear())):
        path = tmp_path / f"{number}.parquet"
        table.write_parquet(path)
        read = read_unvouched(path)
        assert read.equals(table)
        assert read.schema == table.schema
        assert table_hash(read) == table_hash(table)
        first = next(iter(table.columns))
        assert read_unvouched(path, [first]).equals(table.select(first))


WHOLE = bytes_of(filled(records.QA_SCHEMA))


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, len(WHOLE)))
def test_whatever_was_done_to_a_files_bytes_it_is_read_or_refused(edits: list[tuple[int, int]], cut: int) -> None:
    raw = bytearray(WHOLE)
    for place, byte in edits:
        raw[place] = byte
    for damaged in (bytes(raw), WHOLE[:cut], WHOLE[:cut] + WHOLE[cut + 1 :]):
        with suppress(DamagedTableError):
            unvouched_hash(read_unvouched(damaged))


def test_a_file_that_has_polars_ask_for_more_memory_than_there_is_is_refused_or_read() -> None:
    table = pl.DataFrame({"a": [1, 2], "when": ["x", "y"]})
    whole = bytes_of(table)
    for place in range(len(whole)):  # the length of a run of validity bits is among them
        for byte in (0x7F, 0xFF):
            damaged = bytearray(whole)
            damaged[place] = byte
            with suppress(DamagedTableError):
                read_unvouched(bytes(damaged))


def test_a_file_whose_texts_have_become_bytes_is_refused_where_its_content_matters(tmp_path: Path) -> None:
    table, path = pl.DataFrame({"a": [b"x", b"y"]}), tmp_path / "rows.parquet"
    table.write_parquet(path)
    with pytest.raises(DamagedTableError, match="Binary"):
        unvouched_hash(read_unvouched(path))
    assert not holds(path, "0" * 64)


def test_a_file_that_is_gone_and_a_column_that_is_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.parquet"):
        read_unvouched(tmp_path / "gone.parquet")
    with pytest.raises(DamagedTableError, match="nobody"):
        read_unvouched(WHOLE, ["nobody"])
