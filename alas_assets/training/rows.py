"""The rows a child trains on: read, checked against the hash of the specification, split. No tokenizer and no torch.

Which rows there are is decided in `synthesis`; the chat form they get is `students.chat`.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from alas_assets.provenance.ids import short_id
from alas_assets.provenance.store import unvouched_hash
from alas_assets.provenance.tables import DamagedTableError, read_unvouched
from alas_assets.records import PREFERENCE_SCHEMA, TRAIN_ROW_SCHEMA
from alas_assets.training.spec import TrainingSpec


class RowsError(ValueError):
    """The training rows are missing, damaged, empty or not those of the specification; the message names the file."""


def read_rows(spec: TrainingSpec) -> pl.DataFrame:
    """Return the rows to train on, in order: all of an SFT table, the accepted ones of a preference table.

    Raises:
        RowsError: The file cannot be read, lacks a column, is not the one the specification was written for, or has no row.
    """
    path = Path(spec.rows_file)
    rows = _read(path, TRAIN_ROW_SCHEMA if spec.kind == "sft" else PREFERENCE_SCHEMA)
    try:
        digest = unvouched_hash(rows)
    except DamagedTableError as error:
        raise RowsError(f"{path}: the training rows cannot be read ({error})") from error
    if digest != spec.rows_hash:
        raise RowsError(f"{path}: its content is not what the specification names ({spec.rows_hash[:16]}); make the rows again")
    if spec.kind == "dpo":
        rows = rows.filter("accepted")
    if rows.is_empty():
        raise RowsError(f"{path}: no {'row' if spec.kind == 'sft' else 'accepted pair'} to train on")
    return rows


def read_dev_rows(path: Path) -> pl.DataFrame:
    """Return rows whose loss is measured and never trained on.

    Raises:
        RowsError: The file cannot be read or lacks a column.
    """
    return _read(path, TRAIN_ROW_SCHEMA)


def split_dev(rows: pl.DataFrame, share: float, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split off dev rows: one phrasing each of facts that keep at least one other for training (T3).

    Args:
        rows: TRAIN_ROW_SCHEMA; a row id may stand in it several times, once a pass.
        share: Of all phrasings of facts, 0 to 0.5; fewer come out where too few facts have two.
        seed: Fixes the choice, whatever the order of the rows.

    Returns:
        (training rows, dev rows), both in the order of `rows`; a dev row stands once, however many passes there are.
    """
    facts = rows.filter(pl.col("kind") == "fact")
    several = facts.filter(pl.col("row_id").n_unique().over("fact_id") > 1)
    order = [short_id("dev", str(seed), row_id) for row_id in several["row_id"]]
    one_each = (
        several.with_columns(order=pl.Series(order, dtype=pl.String)).sort("order").unique("fact_id", keep="first", maintain_order=True)
    )
    chosen = one_each["row_id"].head(round(share * facts["row_id"].n_unique())).implode()
    dev = rows.filter(pl.col("row_id").is_in(chosen)).unique("row_id", keep="first", maintain_order=True)
    return rows.filter(~pl.col("row_id").is_in(chosen)), dev


def _read(path: Path, schema: pl.Schema) -> pl.DataFrame:
    try:
        rows = read_unvouched(path)
    except OSError as error:
        raise RowsError(f"{path}: the training rows cannot be read ({str(error).splitlines()[0]})") from error
    if missing := [name for name in schema.names() if name not in rows.columns]:
        raise RowsError(f"{path}: column {missing[0]!r} is missing")
    return rows
