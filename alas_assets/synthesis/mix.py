"""How far the accepted facts are from the mix of categories and topics that was asked for (S6).

Measuring only: no fact is dropped for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

TOLERANCE = 0.10
"""Deviation that is not worth a word, as a fraction of all facts (the paper: 10 points)."""


def deviations(pairs: pl.DataFrame, column: str, wanted: Mapping[str, float]) -> pl.DataFrame:
    """Return for every value of a column how many accepted facts have it, their share, the wanted share and the difference.

    Args:
        pairs: Curated pairs (`QA_SCHEMA`).
        column: `category` or `topic_id`.
        wanted: Share of each value, as fractions that sum to 1; a value that is not named has the share 0.

    Returns:
        Columns value, facts, share, wanted, deviation (share less wanted), the largest deviation first.
    """
    facts = pairs.filter("accepted").unique("fact_id", maintain_order=True)
    counts = dict(facts[column].value_counts().iter_rows())
    rows = [(value, counts.get(value, 0), wanted.get(value, 0.0)) for value in sorted({*wanted, *counts})]
    schema = {"value": pl.String, "facts": pl.Int64, "wanted": pl.Float64}
    share = (pl.col("facts") / max(facts.height, 1)).alias("share")
    return (
        pl.DataFrame(rows, schema=schema, orient="row")
        .with_columns(share)
        .with_columns((pl.col("share") - pl.col("wanted")).alias("deviation"))
        .sort(pl.col("deviation").abs(), "value", descending=[True, False])
        .select("value", "facts", "share", "wanted", "deviation")
    )


def evenly(values: Sequence[str]) -> dict[str, float]:
    """Return the mix in which all values have the same share."""
    return dict.fromkeys(values, 1 / len(values)) if values else {}


def in_words(table: pl.DataFrame, tolerance: float = TOLERANCE) -> list[str]:
    """Return what is too much or too little, one phrase a value, such as "conceptual 4 of 30 (13 %, wanted 30 %)"."""
    total = int(table["facts"].sum())
    off = table.filter(pl.col("deviation").abs() > tolerance + 1e-9)
    return [
        f"{row['value']} {row['facts']} of {total} ({row['share']:.0%}, wanted {row['wanted']:.0%})" for row in off.iter_rows(named=True)
    ]
