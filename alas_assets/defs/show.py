"""How values are shown in the UI: tables of sample rows, counts, plots, links (U1). No decision is taken here."""

import base64
import string
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import dagster as dg
import polars as pl

from alas_assets.defs.meanings import meaning
from alas_assets.links import answer_link, run_link, source_link, text_link

SAMPLE_ROWS = 8
CELL_CHARS = 160


def table(frame: pl.DataFrame, columns: Sequence[str] | None = None, rows: int = SAMPLE_ROWS, asset: str = "") -> dg.TableMetadataValue:
    """Show the first rows of a frame; long texts are cut for the eye, the artifact holds them whole.

    Args:
        frame: The rows.
        columns: Those that are shown; None for all.
        rows: At most so many.
        asset: The asset whose columns they are, where a name means something of its own there (`meanings`).
    """
    shown = frame.select(columns or frame.columns).head(rows)
    records = [dg.TableRecord({name: _cell(value) for name, value in row.items()}) for row in shown.to_dicts()]
    schema = dg.TableSchema([dg.TableColumn(name, _kind(dtype), meaning(name, asset)) for name, dtype in shown.schema.items()])
    return dg.MetadataValue.table(records=records, schema=schema)


def counts(frame: pl.DataFrame, column: str) -> dg.TableMetadataValue:
    """Show how often each value of a column occurs."""
    counted = frame.group_by(column).len("rows").sort("rows", column, descending=[True, False])
    return table(counted, rows=30)


def column_schema(schema: Mapping[str, pl.DataType | type[pl.DataType]], asset: str) -> dg.TableSchema:
    """Return the polars schema of an asset's table as Dagster's, for the Columns tab."""
    return dg.TableSchema([dg.TableColumn(name, str(dtype), meaning(name, asset)) for name, dtype in schema.items()])


def picture(png: bytes, alt: str) -> dg.MarkdownMetadataValue:
    """Show a plot inside the UI, without a file that could go missing."""
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})")


def linked(text: str, url: str) -> str:
    """Return a link in Markdown; just the text where the URL is none that a page may lead to."""
    if not url.startswith(("http://", "https://")):
        return plain(text)
    return f"[{plain(text)}]({quote(url, safe=':/?#@!$&*+,;=%-._~')})"


def plain(text: str) -> str:
    """Return foreign text that Markdown shows as it is: no link, picture, HTML or table cell comes of it."""
    kept = "".join(" " if char.isspace() else char for char in text if char.isspace() or unicodedata.category(char) not in ("Cc", "Cf"))
    cut = " ".join(kept.split())
    cut = cut if len(cut) <= CELL_CHARS else cut[: CELL_CHARS - 1] + "…"
    return "".join(f"\\{char}" if char in string.punctuation else char for char in cut)


def linked_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> dg.MarkdownMetadataValue:
    """Show rows of Markdown cells (`plain`, `linked`); Dagster's own tables show no links."""
    lines = [headings, ["---"] * len(headings), *rows]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(cells)} |" for cells in lines))


def answers(graded: pl.DataFrame, urls: Mapping[str, str], run_id: str, rows: int) -> dg.MarkdownMetadataValue:
    """Show graded answers with links to each one's trace, its source and the run that trained the model.

    Args:
        graded: Rows of `ANSWER_SCHEMA`.
        urls: The source by `probe_id`, where a page was read for the question.
        run_id: The run that trained the model; "" for none.
        rows: At most so many.
    """
    return linked_table(
        ["trace", "source", "question", "right", "said", "kind", "run", "split"],
        (
            [
                linked(row["answer_id"][:10], answer_link(row["answer_id"])),
                _source(urls.get(row["probe_id"], "")),
                *(plain(row[name] or "") for name in ("question", "gold", "answer", "error_type")),
                linked(run_id[:8], run_link(run_id)),
                plain(row["split"]),
            ]
            for row in graded.head(rows).iter_rows(named=True)
        ),
    )


def wrong_answers(wrong: pl.DataFrame, rows: int) -> dg.MarkdownMetadataValue:
    """Show wrong answers (`WRONG_SCHEMA`) with verdict and links: trace, quote in the stored page, source, training run."""
    return linked_table(
        ["trace", "verdict", "source", "question", "right", "said", "run", "split"],
        (
            [
                linked(row["answer_id"][:10], answer_link(row["answer_id"])),
                plain(row["verdict"]),
                _source(row["url"], text_link(row["text_sha256"], row["quote_start"], row["quote_end"])),
                *(plain(row[name]) for name in ("question", "truth", "answer")),
                linked(row["run_id"][:8], run_link(row["run_id"])),
                plain(row["split"]),
            ]
            for row in wrong.head(rows).iter_rows(named=True)
        ),
    )


def _source(url: str, quote_at: str = "") -> str:
    """Return a page's link and, beside it, one to the quote as it was read and one to all that the page taught."""
    parts = [linked(url, url), linked("the quote", quote_at) if quote_at else "", linked("all it taught", source_link(url))]
    return " · ".join(part for part in parts if part) if url else ""


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
