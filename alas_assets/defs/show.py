"""How values are shown in the UI: tables of sample rows, counts, plots, links (U1). No decision is taken here."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import polars as pl

SAMPLE_ROWS = 8
CELL_CHARS = 160


def table(frame: pl.DataFrame, columns: Sequence[str] | None = None, rows: int = SAMPLE_ROWS) -> dg.TableMetadataValue:
    """Show the first rows of a frame; long texts are cut for the eye, the artifact holds them whole."""
    shown = frame.select(columns or frame.columns).head(rows)
    records = [dg.TableRecord({name: _cell(value) for name, value in row.items()}) for row in shown.to_dicts()]
    schema = dg.TableSchema([dg.TableColumn(name, _kind(dtype)) for name, dtype in shown.schema.items()])
    return dg.MetadataValue.table(records=records, schema=schema)


def counts(frame: pl.DataFrame, column: str) -> dg.TableMetadataValue:
    """Show how often each value of a column occurs."""
    counted = frame.group_by(column).len("rows").sort("rows", column, descending=[True, False])
    return table(counted, rows=30)


def column_schema(schema: Mapping[str, pl.DataType | type[pl.DataType]]) -> dg.TableSchema:
    """Return a polars schema as Dagster's, for the Columns tab."""
    return dg.TableSchema([dg.TableColumn(name, str(dtype)) for name, dtype in schema.items()])


def picture(png: bytes, alt: str) -> dg.MarkdownMetadataValue:
    """Show a plot inside the UI, without a file that could go missing."""
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})")


def percent(part: float) -> str:
    """Return a fraction as a percentage with one decimal."""
    return f"{100 * part:.1f} %"


def _cell(value: Any) -> str | int | float | bool | None:
    if isinstance(value, float):
        return float(f"{value:.3g}")  # for the eye; the artifact holds it whole
    if value is None or isinstance(value, bool | int):
        return value
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= CELL_CHARS else text[: CELL_CHARS - 1] + "…"


def _kind(dtype: pl.DataType) -> str:
    if dtype.is_integer():
        return "int"
    if dtype.is_float():
        return "float"
    return "bool" if dtype == pl.Boolean else "string"
