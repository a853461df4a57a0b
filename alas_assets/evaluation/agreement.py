"""How far graders agree: judges with each other, with the deterministic grade, with a person (E3, E6).

Tables in, tables and numbers out; nothing is decided here. What several judges' verdicts come to is `evaluation.panel`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import polars as pl

from alas_assets.evaluation.statistics import StatisticsError, wilson
from alas_assets.provenance.ids import short_id
from alas_assets.records import RULES

HUMAN = "a person"
TOGETHER = "judges together"

MIN_AGREEMENT = 0.85
"""Share of answers on which graders should agree whether they are correct; below it every seventh score hangs on who grades."""

MIN_COMPARED = 30
"""Answers below which a low agreement is shown and not complained about: 25 of 30 still means 66-93 %."""

AGREEMENT_SCHEMA = pl.Schema(
    {
        "one": pl.String,
        "other": pl.String,
        "n": pl.Int64,  # different answers that both graded
        "agree": pl.Float64,  # share with the same label
        "ci_low": pl.Float64,  # Wilson 95 % of `agree`
        "ci_high": pl.Float64,
        "kappa": pl.Float64,  # Cohen's, of the labels; null where both give one label only
        "same_outcome": pl.Float64,  # share on which both say correct, or both do not: what scores are made of
        "not_graded": pl.Int64,  # answers that one of them failed on
    }
)
"""One pair of graders a row; shares are fractions."""

_RATING = pl.Schema({"item": pl.String, "grader": pl.String, "label": pl.String})


def cohen_kappa(one: Sequence[str], other: Sequence[str]) -> float | None:
    """Return Cohen's kappa of two graders' labels: their agreement beyond what their label shares would give by chance.

    1 is full agreement, 0 no more than chance. None where it is not defined: no item, or both give the same single label.

    Raises:
        StatisticsError: The two lists differ in length.
    """
    if len(one) != len(other):
        raise StatisticsError(f"{len(one)} and {len(other)} labels cannot be paired")
    n = len(one)
    if not n:
        return None
    observed = sum(a == b for a, b in zip(one, other, strict=True)) / n
    chance = sum(one.count(label) * other.count(label) for label in set(one)) / n**2
    return None if chance == 1 else (observed - chance) / (1 - chance)


def item_key(question: str, reference: str, answer: str) -> str:
    """Return the key of what is graded; the same answer of two systems is one item, judged once and counted once."""
    return short_id("graded", question, reference, answer)


def ratings(answers: pl.DataFrame, human: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Return every grader's label of every different answer: each judge, all of them together, the rules, and a person.

    Answers that no judge saw are rated by the rules alone.

    Args:
        answers: Graded answers (`ANSWER_SCHEMA`).
        human: A person's labels by `item_key`.
    """
    rows: list[dict[str, str]] = []
    seen: set[str] = set()
    for row in answers.select("question", "gold", "answer", "label", "rule_label", "verdicts").iter_rows(named=True):
        key = item_key(row["question"], row["gold"], row["answer"])
        said = {verdict["judge"]: verdict["label"] for verdict in row["verdicts"] or []}
        if key in seen or not said:
            continue
        seen.add(key)
        labels = said | {RULES: row["rule_label"]} | ({TOGETHER: row["label"]} if len(said) > 1 else {})
        if human and key in human:
            labels[HUMAN] = human[key]
        rows += [{"item": key, "grader": grader, "label": label} for grader, label in labels.items()]
    return pl.DataFrame(rows, schema=_RATING)


def agreement(rated: pl.DataFrame) -> pl.DataFrame:
    """Return how far each two graders agree on what both graded (`AGREEMENT_SCHEMA`).

    Not compared: a judge with the judges that it is one of. Wordings of one fact are not independent, so the intervals are
    somewhat too narrow.

    Args:
        rated: Labels by item and grader (`ratings`).
    """
    by_grader: dict[str, dict[str, str]] = {}
    for item, grader, label in rated.iter_rows():
        by_grader.setdefault(grader, {})[item] = label
    order = sorted(by_grader, key=lambda grader: (grader == HUMAN, grader == RULES, grader == TOGETHER))
    rows = [
        row
        for one, other in combinations(order, 2)
        if TOGETHER not in (one, other) or {one, other} & {RULES, HUMAN}
        if (row := _compare(one, other, by_grader[one], by_grader[other])) is not None
    ]
    return pl.DataFrame(rows, schema=AGREEMENT_SCHEMA)


def _compare(one: str, other: str, ones: Mapping[str, str], others: Mapping[str, str]) -> dict[str, Any] | None:
    both = [(ones[item], others[item]) for item in ones if item in others]
    graded = [pair for pair in both if "failed" not in pair]
    if not both:
        return None
    same = sum(a == b for a, b in graded)
    low, high = wilson(same, len(graded))
    return {
        "one": one,
        "other": other,
        "n": len(graded),
        "agree": same / len(graded) if graded else None,
        "ci_low": low,
        "ci_high": high,
        "kappa": cohen_kappa([a for a, _ in graded], [b for _, b in graded]),
        "same_outcome": sum((a == "correct") == (b == "correct") for a, b in graded) / len(graded) if graded else None,
        "not_graded": len(both) - len(graded),
    }


def confusion(rated: pl.DataFrame, one: str, other: str) -> pl.DataFrame:
    """Return how often each two labels meet: a row per label of `one`, a column per label of `other`, "failed" included."""
    labels = ("correct", "partial", "incorrect", "failed")
    pairs = rated.filter(pl.col("grader") == one).join(rated.filter(pl.col("grader") == other), on="item", suffix="_other")
    counts = {(a, b): n for a, b, n in pairs.group_by("label", "label_other").len().iter_rows()}
    rows = [{one: a} | {f"{other}: {b}": counts.get((a, b), 0) for b in labels} for a in labels]
    return pl.DataFrame(rows)


def disagreements(answers: pl.DataFrame) -> pl.DataFrame:
    """Return the different answers on which judges differ from each other or from the rules, those that change a score first.

    Args:
        answers: Graded answers (`ANSWER_SCHEMA`).

    Returns:
        `answer_id`, system, question, gold, answer, `label`, `rule_label`, what each judge said, and why the rules say what they say.
    """
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for row in answers.iter_rows(named=True):
        key = item_key(row["question"], row["gold"], row["answer"])
        said = row["verdicts"] or []
        if key in seen or len({row["rule_label"], *(verdict["label"] for verdict in said)}) < 2:
            continue
        seen.add(key)
        rows.append(
            {name: row[name] for name in ("answer_id", "system", "question", "gold", "answer", "label", "rule_label")}
            | {
                "judges": "; ".join(f"{verdict['judge']}: {verdict['label']} ({verdict['explanation']})" for verdict in said),
                "rules": row["rule_explanation"],
                "outcome": (row["label"] == "correct") != (row["rule_label"] == "correct"),
            }
        )
    columns = ("answer_id", "system", "question", "gold", "answer", "label", "rule_label", "judges", "rules")
    schema = pl.Schema({**dict.fromkeys(columns, pl.String), "outcome": pl.Boolean})
    return pl.DataFrame(rows, schema=schema).sort("outcome", descending=True, maintain_order=True).drop("outcome")


def too_low(agreed: pl.DataFrame) -> list[str]:
    """Return in words which graders agree too seldom whether an answer is correct; empty where none does or too few were compared."""
    rows = agreed.filter((pl.col("n") >= MIN_COMPARED) & (pl.col("same_outcome") < MIN_AGREEMENT))
    return [f"{said(row)}; at least {100 * MIN_AGREEMENT:.0f} % is wanted" for row in rows.iter_rows(named=True)]


def said(row: Mapping[str, Any]) -> str:
    """Return one row of `AGREEMENT_SCHEMA` as a sentence without a full stop."""
    if not row["n"]:
        return f"{row['one']} and {row['other']} graded no answer both"
    kappa = "not defined" if row["kappa"] is None else f"{row['kappa']:.2f}"
    missing = f", {row['not_graded']} more could not be judged" if row["not_graded"] else ""
    return (
        f"{row['one']} and {row['other']} give the same label to {100 * row['agree']:.0f} % [{100 * row['ci_low']:.0f}-"
        f"{100 * row['ci_high']:.0f}] of {row['n']} answers, kappa {kappa}, and agree on {100 * row['same_outcome']:.0f} % whether "
        f"it is correct{missing}"
    )
