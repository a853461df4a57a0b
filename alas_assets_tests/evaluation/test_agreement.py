"""Agreement of graders: raw with its interval, beyond chance, and where they differ (E3, E6)."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from alas_assets.evaluation.agreement import (
    HUMAN,
    TOGETHER,
    agreement,
    cohen_kappa,
    confusion,
    disagreements,
    item_key,
    ratings,
    said,
    too_low,
)
from alas_assets.evaluation.statistics import StatisticsError
from alas_assets.records import ANSWER_SCHEMA


def graded(*rows: tuple[str, str, dict[str, str]], repeat: int = 1) -> pl.DataFrame:
    """Return answers of (label, rule's label, each judge's label)."""
    made: list[dict[str, Any]] = []
    for i, (label, rule, judges) in enumerate(rows * repeat):
        said = [{"judge": judge, "label": what, "error_type": "", "explanation": "e"} for judge, what in judges.items()]
        text = {"answer_id": f"a{i}", "question": f"q{i}", "gold": "g", "answer": f"said {i}"}
        made.append({**text, "label": label, "rule_label": rule, "rule_explanation": "r", "verdicts": said})
    return pl.DataFrame(made, schema=ANSWER_SCHEMA)


def pair(table: pl.DataFrame, one: str, other: str) -> dict[str, Any]:
    return table.filter((pl.col("one") == one) & (pl.col("other") == other)).row(0, named=True)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=60))
def test_kappa_is_that_of_scikit_learn_and_undefined_where_chance_alone_explains_all(labels: list[tuple[str, str]]) -> None:
    one, other = [a for a, _ in labels], [b for _, b in labels]
    ours = cohen_kappa(one, other)
    if len({*one, *other}) == 1:
        assert ours is None
    else:
        assert ours == pytest.approx(cohen_kappa_score(one, other))


def test_kappa_needs_pairs() -> None:
    assert cohen_kappa([], []) is None
    with pytest.raises(StatisticsError, match="1 and 2"):
        cohen_kappa(["a"], ["a", "b"])


def test_every_two_graders_are_compared_on_what_both_graded() -> None:
    answers = graded(
        ("correct", "correct", {"x": "correct", "y": "correct"}),
        ("incorrect", "correct", {"x": "correct", "y": "incorrect"}),
        ("incorrect", "partial", {"x": "incorrect", "y": "failed"}),
    )
    table = agreement(ratings(answers, {item_key("q0", "g", "said 0"): "correct", "unknown": "partial"}))
    compared = set(table.select("one", "other").rows())
    assert compared == {
        ("x", "y"), ("x", "rules"), ("y", "rules"), (TOGETHER, "rules"), ("x", HUMAN), ("y", HUMAN), (TOGETHER, HUMAN), ("rules", HUMAN)
    }  # fmt: skip
    row = pair(table, "x", "y")
    assert (row["n"], row["agree"], row["not_graded"]) == (2, 0.5, 1)
    assert row["ci_low"] < 0.5 < row["ci_high"]
    row = pair(table, "x", "rules")
    assert (row["n"], row["agree"], row["same_outcome"]) == (3, pytest.approx(2 / 3), 1.0)
    assert pair(table, "x", HUMAN)["n"] == 1


def test_one_answer_given_by_two_systems_counts_once_and_answers_without_a_judge_not_at_all() -> None:
    twice = graded(("correct", "correct", {"x": "correct"}))
    rated = ratings(pl.concat([twice, twice.with_columns(pl.lit("rag").alias("system")), graded(("failed", "failed", {}))]))
    assert rated.height == 2
    assert agreement(rated)["n"].to_list() == [1]


def test_the_deterministic_grade_alone_is_compared_with_nobody() -> None:
    answers = graded(("correct", "correct", {"rules": "correct"}))
    assert agreement(ratings(answers)).is_empty()
    assert disagreements(answers).is_empty()


def test_the_confusion_table_holds_every_answer_failed_ones_too() -> None:
    answers = graded(("correct", "partial", {"x": "correct"}), ("failed", "correct", {"x": "failed"}))
    table = confusion(ratings(answers), "x", "rules")
    assert table["x"].to_list() == ["correct", "partial", "incorrect", "failed"]
    assert table["rules: partial"].to_list() == [1, 0, 0, 0]
    assert table["rules: correct"].to_list() == [0, 0, 0, 1]
    assert sum(table.drop("x").row(i)[j] for i in range(4) for j in range(4)) == 2


def test_disagreements_that_change_a_score_come_first() -> None:
    answers = graded(
        ("correct", "correct", {"x": "correct"}),
        ("partial", "incorrect", {"x": "partial"}),
        ("correct", "incorrect", {"x": "correct"}),
    )
    table = disagreements(answers)
    assert table["answer_id"].to_list() == ["a2", "a1"]
    assert table["judges"][0] == "x: correct (e)"


def test_too_little_agreement_is_said_in_words_once_enough_answers_were_compared() -> None:
    rows = (("correct", "incorrect", {"x": "correct"}), ("correct", "correct", {"x": "correct"}))
    assert too_low(agreement(ratings(graded(*rows, repeat=5)))) == []
    (line,) = too_low(agreement(ratings(graded(*rows, repeat=20))))
    assert "x and rules give the same label to 50 % [35-65] of 40 answers, kappa 0.00" in line
    assert too_low(agreement(ratings(graded(rows[1], repeat=40)))) == []


def test_two_graders_that_share_no_graded_answer_are_said_to_do_so() -> None:
    row = agreement(ratings(graded(("failed", "correct", {"x": "failed"})))).row(0, named=True)
    assert "graded no answer both" in said(row)
