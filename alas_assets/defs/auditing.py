"""Asset `wrong_answers` and its check: what an iteration's trained models get wrong, and whose fault it is (A1, U1).

How a verdict is reached is `audit.verdict`, which answers are wrong `audit.wrong`.
"""

from typing import Any

import dagster as dg
import polars as pl

from alas_assets.audit.render import wrong_text
from alas_assets.audit.trace import ANSWER_TABLES, cells_of
from alas_assets.audit.wrong import about_taught_facts
from alas_assets.audit.wrong import wrong_answers as find_wrong_answers
from alas_assets.defs import columns, show
from alas_assets.defs.documents import documents
from alas_assets.defs.judging import dpo_judge_scores, exam_scores, judge_scores
from alas_assets.defs.promotion import promotion
from alas_assets.defs.qa import qa_pairs
from alas_assets.defs.resources import Alas
from alas_assets.defs.steps import Made, Step, clear_failures, loop_asset
from alas_assets.links import wrong_link
from alas_assets.partitions import cells
from alas_assets.provenance.ids import content_hash
from alas_assets.provenance.store import ArtifactStore, Cell
from alas_assets.records import WRONG_SCHEMA
from alas_assets.review.said import people_said

SHOWN = 60
WRITTEN_WRONG = ("bad source", "bad pair")


def earlier_versions(store: ArtifactStore, cell: Cell) -> dict[str, str]:
    """Return the data version of every earlier table that a verdict may rest on."""
    earlier = [one for one in cells_of(store) if one.domain == cell.domain and one.iteration < cell.iteration]
    assets = ("qa_pairs", "documents", "promotion", *ANSWER_TABLES)
    return {f"{one}/{asset}": pointer.hash for one in earlier for asset in assets if (pointer := store.pointer(one, asset))}


@loop_asset("3", kinds={"parquet"}, deps=[documents, qa_pairs, judge_scores, dpo_judge_scores, exam_scores, promotion])
def wrong_answers(context: dg.AssetExecutionContext, alas: Alas) -> dg.MaterializeResult[pl.DataFrame]:
    """Every wrong answer of the iteration's models and why: bad source, bad pair, bad learning, forgotten or never taught."""
    step = Step(context, alas)
    with clear_failures():
        said = people_said(step.store.root, step.cell.domain)

    def make(_: str) -> Made[pl.DataFrame]:
        return Made(find_wrong_answers(step.store, step.cell))

    settings = {
        "earlier": earlier_versions(step.store, step.cell),
        "said": content_hash({item: word.model_dump() for item, word in said.items()}),
    }
    return step.run(pl.DataFrame, make, lambda wrong: describe_wrong(wrong, step.cell), settings=settings)


def describe_wrong(wrong: pl.DataFrame, cell: Cell) -> dict[str, Any]:
    """Return how wrong answers are shown: how many of each verdict, and each with its question, its source and its report."""
    return {
        "open_the_list": dg.MetadataValue.url(wrong_link(cell.domain, cell.iteration)),
        "wrong": wrong.height,
        "wrong_of_the_current_model": wrong.filter("is_current").height,
        "of_these_about_taught_facts": about_taught_facts(wrong).height,
        "in_words": f"{wrong_text(wrong)}; `alas wrong {cell.domain}` lists those about taught facts, with --all every one",
        "by_verdict": show.table(verdict_counts(wrong), rows=60),
        "each_with_its_source": show.wrong_answers(wrong, rows=SHOWN),
        **{f"trained_in_{run[:8]}": dg.MetadataValue.dagster_run(run) for run in sorted({run for run in wrong["run_id"] if run})},
        "dagster/row_count": wrong.height,
        **columns.described("wrong_answers", WRONG_SCHEMA),
    }


def verdict_counts(wrong: pl.DataFrame) -> pl.DataFrame:
    """Return how many wrong answers of each split have which verdict, of the current model and of all."""
    return (
        wrong.group_by("split", "verdict", maintain_order=True)
        .agg(pl.col("is_current").sum().alias("of_the_current_model"), pl.len().alias("all"))
        .sort("split", "verdict")
    )


@dg.asset_check(
    asset=wrong_answers,
    partitions_def=cells,
    description="No wrong answer comes from a page that is wrong or outdated, or from a pair that misread its page.",
)
def sources_and_pairs_hold(context: dg.AssetCheckExecutionContext, wrong_answers: pl.DataFrame) -> dg.AssetCheckResult:
    """Warn about what more training would only fix in the model's mind: the page or the pair has to be corrected or taken out (A1)."""
    at_fault = wrong_answers.filter(pl.col("verdict").is_in(WRITTEN_WRONG))
    return dg.AssetCheckResult(
        passed=at_fault.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=fault_words(at_fault, wrong_answers.height, context.partition_key),
        metadata={"pages_at_fault": at_fault.filter(pl.col("verdict") == "bad source")["url"].n_unique(), "wrong": wrong_answers.height},
    )


def fault_words(at_fault: pl.DataFrame, wrong: int, cell: str) -> str:
    """Say which pages and pairs made answers wrong, in words that a reader understands."""
    if at_fault.is_empty():
        return (
            f"of {wrong} wrong answers of {cell} none comes from its page or its pair: what is wrong was not learned, lost or never taught"
        )
    pages = at_fault.filter(pl.col("verdict") == "bad source").unique("url", maintain_order=True)
    pairs = at_fault.filter(pl.col("verdict") == "bad pair").unique("fact_id", maintain_order=True)
    words = [f"{row['url']} ({row['because']})" for row in pages.head(5).iter_rows(named=True)]
    words += [f"a pair of {row['url']} ({row['because']})" for row in pairs.head(5).iter_rows(named=True)]
    remedy = "`alas takedown URL` takes a page out of everything, `alas review` rejects a pair"
    return f"{at_fault.height} of {wrong} wrong answers of {cell} were taught so: {'; '.join(words)}. {remedy}"
