"""The columns of each stored table and which earlier columns they were taken from, for the Columns tab and its lineage (A1, U1).

Shapes are in `records`; here is only who took what from whom.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg
import polars as pl

from alas_assets.defs import show

Sources = Mapping[str, list[tuple[str, str]]]
"""By column, the (asset, column) pairs it was taken from."""

_PROBED = ("probe_id", "split", "fact_id", "topic_id", "topic", "category", "difficulty", "question")
_JUDGED = ("judge_scores", "dpo_judge_scores")


def _same(names: Iterable[str], *assets: str) -> dict[str, list[tuple[str, str]]]:
    return {name: [(asset, name) for asset in assets] for name in names}


_ANSWERS: Sources = {**_same(_PROBED, "probes"), "gold": [("probes", "answer")]}

TAKEN_FROM: Mapping[str, Sources] = {
    "qa_pairs": {
        **_same(("page_id", "text_sha256", "body_sha256", "retrieved_at"), "documents"),
        "url": [("documents", "final_url")],
        "quote": [("documents", "text_sha256")],
        "answer": [("documents", "text_sha256")],
    },
    "probes": _same(
        ("fact_id", "fact_group", "topic_id", "topic", "question", "answer", "aliases", "answer_kind", "qa_id", "chunk_id", "url"),
        "qa_pairs",
    ),
    "baseline_scores": {**_ANSWERS, "context_chunks": [("documents", "text_sha256")]},
    "judge_scores": _ANSWERS,
    "dpo_judge_scores": _ANSWERS,
    "preference_pairs": {**_same(("qa_id", "fact_id", "question"), "qa_pairs"), "chosen": [("qa_pairs", "answer")]},
    "wrong_answers": {
        **_same(("answer_id", "answer", "label", "error_type", "adapter_hash", "topic"), *_JUDGED, "exam_scores"),
        **_same(("probe_id", "fact_id", "question"), *_JUDGED, "exam_scores"),
        **_same(("url", "quote", "quote_start", "quote_end", "text_sha256", "body_sha256"), "qa_pairs"),
        "truth": [(asset, "gold") for asset in (*_JUDGED, "exam_scores")],
        "verdict": [*((asset, "label") for asset in (*_JUDGED, "exam_scores")), ("qa_pairs", "quote"), ("qa_pairs", "accepted")],
    },
}
"""By asset; a column that is not named was made by the asset itself."""


def described(asset: str, schema: Mapping[str, pl.DataType | type[pl.DataType]]) -> dict[str, Any]:
    """Return the metadata that fills the Columns tab: names, types, meanings, and for taken columns where from."""
    taken = TAKEN_FROM.get(asset, {})
    lineage = dg.TableColumnLineage(
        {column: [dg.TableColumnDep(dg.AssetKey(source), name) for source, name in sources] for column, sources in taken.items()}
    )
    shown: dict[str, Any] = {"dagster/column_schema": show.column_schema(schema, asset)}
    return shown | ({"dagster/column_lineage": lineage} if taken else {})
