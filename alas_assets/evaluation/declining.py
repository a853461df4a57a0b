"""How often systems say that they do not know: rightly, where nobody can know, and wrongly, where the pages say it (S12).

Counting only. When an answer declines is `evaluation.denials`'; the questions are `synthesis.unknowns`'.
"""

from __future__ import annotations

import polars as pl

from alas_assets.evaluation.denials import declines
from alas_assets.evaluation.statistics import wilson
from alas_assets.records import UNKNOWN

ASKED = (UNKNOWN, "probe", "earlier", "neighbour", "guard")
"""Splits in which declining is counted; only in the first is it right."""

DECLINING_SCHEMA = pl.Schema(
    {
        "system": pl.String,
        "split": pl.String,
        "n": pl.Int64,
        "declined": pl.Int64,
        "share": pl.Float64,
        "ci_low": pl.Float64,
        "ci_high": pl.Float64,
    }
)


def declining(answers: pl.DataFrame) -> pl.DataFrame:
    """Return how many answers of each system and split decline, with the 95 % interval of their share (`DECLINING_SCHEMA`).

    Args:
        answers: Graded answers (`ANSWER_SCHEMA`); failed ones stay in `n` (E7).
    """
    rows = []
    for system in answers["system"].unique(maintain_order=True):
        for split in ASKED:
            part = answers.filter((pl.col("system") == system) & (pl.col("split") == split))
            if part.is_empty():
                continue
            declined = sum(declines(answer, question) for answer, question in part.select("answer", "question").iter_rows())
            low, high = wilson(declined, part.height)
            share = declined / part.height
            rows.append((system, split, part.height, declined, share, low, high))
    return pl.DataFrame(rows, schema=DECLINING_SCHEMA, orient="row")
