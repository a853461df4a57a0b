"""From graded answers to rates: rows per system and split, breakdowns, the table people read (E4, E5).

Refuses answers that belong to other probes or adapters than the manifests name. Intervals are `evaluation.statistics`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from alas_assets.evaluation.statistics import wilson
from alas_assets.records import SCOREBOARD_SCHEMA, UNKNOWN, AdapterRef, GateDecision, as_answers

if TYPE_CHECKING:
    from rich.table import Table

SYSTEMS = ("base", "rag", "previous", "sft", "dpo", "current")
SPLITS = ("probe", "guard", "neighbour", "earlier", UNKNOWN, "exam", "exam_paraphrase")
RATE_SCHEMA = pl.Schema(
    {"n": pl.Int64, "correct": pl.Int64, "partial": pl.Int64, "accuracy": pl.Float64, "ci_low": pl.Float64, "ci_high": pl.Float64}
)


class ScoreError(ValueError):
    """Answers cannot be scored as they claim to be; the message says which system and why."""


def _rates(answers: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Count labels per group; failed answers are in `n` (E7)."""
    counted = answers.group_by(by).agg(
        pl.len().cast(pl.Int64).alias("n"),
        (pl.col("label") == "correct").sum().cast(pl.Int64).alias("correct"),
        (pl.col("label") == "partial").sum().cast(pl.Int64).alias("partial"),
    )
    rows: list[dict[str, Any]] = []
    for row in counted.iter_rows(named=True):
        low, high = wilson(row["correct"], row["n"])
        rows.append(row | {"accuracy": row["correct"] / row["n"], "ci_low": low, "ci_high": high})
    schema = pl.Schema({**{name: answers.schema[name] for name in by}, **RATE_SCHEMA})
    return _sorted(pl.DataFrame(rows, schema=schema), by)


def _sorted(frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    ranks = [pl.col(name).replace_strict({v: i for i, v in enumerate(order)}, default=len(order), return_dtype=pl.Int32).alias(f"_{name}")
             for name, order in (("split", SPLITS), ("system", SYSTEMS)) if name in by]  # fmt: skip
    keys = [rank.meta.output_name() for rank in ranks]
    return frame.with_columns(ranks).sort([*keys, *by]).drop(keys)


def score_rows(domain: str, iteration: int, answers: pl.DataFrame) -> pl.DataFrame:
    """Return a row per system and split that occurs (`SCOREBOARD_SCHEMA`); rates are fractions (E4).

    Raises:
        ScoreError: A probe is answered twice by one system, which would count it twice.
    """
    twice = answers.group_by("system", "split", "probe_id").len().filter(pl.col("len") > 1).sort("system", "probe_id")
    if twice.height:
        first = twice.row(0, named=True)
        raise ScoreError(f"{first['system']} answers probe {first['probe_id']} {first['len']} times; each probe counts once")
    rates = _rates(answers, ["system", "split"])
    return rates.select(
        pl.lit(domain).alias("domain"), pl.lit(iteration, pl.Int32).alias("iteration"), *(name for name in SCOREBOARD_SCHEMA.names()[2:])
    )


def breakdown(answers: pl.DataFrame, by: Literal["topic", "category", "difficulty"]) -> pl.DataFrame:
    """Return the rates per system, split and topic, category or difficulty, with sizes and intervals (E4)."""
    return _rates(answers, ["system", "split", by])


def current_answers(decision: GateDecision, baseline: pl.DataFrame, sft_answers: pl.DataFrame, dpo_answers: pl.DataFrame) -> pl.DataFrame:
    """Return the answers of the model that is current after the gate (E5).

    That is the candidate if it is current; else the adapter that the iteration started from; else the base student. Where the
    gate refused because something else became current meanwhile, this is still what the iteration started from: the
    other model was not asked these questions.

    Raises:
        ScoreError: The decision promotes an adapter that none of the answers are from.
    """
    if decision.candidate is None or decision.current_after != decision.candidate:
        previous = baseline.filter(pl.col("system") == "previous")
        return previous if previous.height and decision.current_before else baseline.filter(pl.col("system") == "base")
    system = decision.candidate_system or "sft"
    chosen = (dpo_answers if system == "dpo" else sft_answers).filter(pl.col("system") == system)
    if set(chosen["adapter_hash"]) != {decision.candidate}:
        raise ScoreError(
            f"{decision.domain} {decision.iteration}: {system} adapter {(decision.candidate or 'none')[:12]} was promoted and the "
            "answers at hand are not its; materialise its scores again"
        )
    return chosen


def iteration_rows(
    domain: str,
    iteration: int,
    *,
    decision: GateDecision,
    probes_hash: str,
    sft: AdapterRef,
    dpo: AdapterRef,
    baseline: pl.DataFrame,
    sft_answers: pl.DataFrame,
    dpo_answers: pl.DataFrame,
    exam: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return all rows of one iteration: every system on every split, `current` beside them (`SCOREBOARD_SCHEMA`).

    Args:
        domain: The domain's key.
        iteration: The iteration's number.
        decision: What the gate said; it determines which answers are `current`'s.
        probes_hash: Content hash of the probe table that was asked.
        sft: The SFT candidate; its manifest names the probes fixed before training.
        dpo: The DPO candidate, or the SFT one again where DPO was skipped.
        baseline: Answers of base, rag and previous.
        sft_answers: Answers of the SFT candidate.
        dpo_answers: Answers of the DPO candidate.
        exam: Answers to the exam, `current`'s among them; None or empty without one.

    Raises:
        ScoreError: A candidate was trained before other probes than these, or the answers are of another adapter (E1).
    """
    for ref, answers in ((sft, sft_answers), (dpo, dpo_answers)):
        if answers.height:
            check_candidate(ref, answers, probes_hash)
    current = current_answers(decision, baseline, sft_answers, dpo_answers).with_columns(pl.lit("current").alias("system"))
    tables = [baseline, sft_answers, dpo_answers, current, *([exam] if exam is not None and exam.height else [])]
    return score_rows(domain, iteration, pl.concat([as_answers(table) for table in tables]))


def check_candidate(ref: AdapterRef, answers: pl.DataFrame, probes_hash: str) -> None:
    """Refuse answers that are not this adapter's, or whose probes are not those its manifest fixed before training (E1).

    Raises:
        ScoreError: They are not; the message names both hashes.
    """
    if ref.probes_hash != probes_hash:
        raise ScoreError(
            f"the {ref.kind} adapter {ref.adapter_hash[:12]} was trained with probes {ref.probes_hash[:12]} fixed, the answers are to "
            f"{probes_hash[:12]}; materialise the adapter again"
        )
    strangers = sorted(set(answers["adapter_hash"]) - {ref.adapter_hash})
    if strangers:
        raise ScoreError(
            f"answers of adapter {strangers[0][:12] or 'none'} stand where {ref.kind} adapter {ref.adapter_hash[:12]} is scored"
        )


def render_table(frame: pl.DataFrame) -> Table:
    """Return the scoreboard (`SCOREBOARD_SCHEMA`) as a rich table: a line per iteration and split, a column per system (U2).

    It fits 80 characters with all systems: intervals then stand under their rates.
    """
    from rich.table import Table

    systems = [system for system in SYSTEMS if system in set(frame["system"])]
    table = Table(title="Accuracy in % \\[Wilson 95 %]", header_style="bold underline", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("it.", justify="right")
    table.add_column("questions", no_wrap=True)
    table.add_column("n", justify="right")
    for system in systems:
        table.add_column(system, justify="right", min_width=len("[93-100]"))
    ordered = _sorted(frame, ["split", "system"]).sort("iteration", maintain_order=True)
    for (iteration, split), part in ordered.group_by("iteration", "split", maintain_order=True):
        cells = {row["system"]: _cell(row) for row in part.iter_rows(named=True)}
        sizes = sorted(set(part["n"]))
        table.add_row(str(iteration), str(split), "/".join(map(str, sizes)), *(cells.get(system, "-") for system in systems))
    return table


def summary(rows: pl.DataFrame, with_a_pair: pl.DataFrame) -> list[str]:
    """Return what the newest iteration comes to, base against current, a sentence per promise (E4, E8).

    Args:
        rows: The scoreboard.
        with_a_pair: Exam rows of the newest iteration, only the questions whose fact has an accepted pair.
    """
    newest = rows.filter(pl.col("iteration") == pl.col("iteration").max())
    asked = {
        "held-out questions about all facts taught": (newest, ("probe", "earlier")),
        "general questions": (newest, ("guard",)),
        "questions on neighbouring topics": (newest, ("neighbour",)),
        "questions that nobody can answer, declined": (newest, (UNKNOWN,)),
        "exam questions, whether taught or not": (newest, ("exam",)),
        "exam questions whose fact has an accepted pair": (with_a_pair, ("exam",)),
        "the same, asked in other words": (with_a_pair, ("exam_paraphrase",)),
    }
    lines = []
    for what, (table, splits) in asked.items():
        rates = {system: _together(table, system, splits) for system in ("base", "current")}
        if rates["current"]["n"]:
            lines.append(f"{rates['current']['n']:>5} {what}: base {_rate(rates['base'])}, current {_rate(rates['current'])}")
    return lines


def _together(table: pl.DataFrame, system: str, splits: Sequence[str]) -> dict[str, Any]:
    """Add up a system's splits."""
    part = table.filter((pl.col("system") == system) & pl.col("split").is_in(splits))
    n, correct = int(part["n"].sum()), int(part["correct"].sum())
    low, high = wilson(correct, n)
    return {"n": n, "accuracy": correct / n if n else 0.0, "ci_low": low, "ci_high": high}


def _rate(row: dict[str, Any]) -> str:
    if not row["n"]:
        return "not asked"
    return f"{100 * row['accuracy']:.1f} % [{100 * row['ci_low']:.0f}-{100 * row['ci_high']:.0f}]"


def _cell(row: dict[str, Any]) -> str:
    return f"{100 * row['accuracy']:.1f} \\[{100 * row['ci_low']:.0f}-{100 * row['ci_high']:.0f}]"
