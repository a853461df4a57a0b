"""A fact counts as known only if every held-out wording was answered right, and then none of its rows is used (P4)."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.records import ANSWER_SCHEMA
from alas_assets.synthesis.curate import reasons
from alas_assets.synthesis.known import known_facts, mark_known
from alas_assets.synthesis.probes import build_probes
from alas_assets.synthesis.training_rows import at_risk

from .factory import domain


def answered(*rows: tuple[str, str, str]) -> pl.DataFrame:
    """Return graded answers of the base student: fact, question, label."""
    told = [{"fact_id": fact, "question": question, "label": label, "system": "base"} for fact, question, label in rows]
    return pl.DataFrame([dict.fromkeys(ANSWER_SCHEMA) | row for row in told], schema=ANSWER_SCHEMA)


def test_a_fact_is_known_if_at_least_two_wordings_are_right_and_none_is_wrong_partial_or_failed() -> None:
    answers = answered(
        *(("right", q, "correct") for q in "ab"),
        ("once", "a", "correct"),
        *(("twice the same", "a", "correct") for _ in range(2)),
        *(
            (label, q, told)
            for label in ("incorrect", "partial", "failed")
            for q, told in (("a", "correct"), ("b", "correct"), ("c", label))
        ),
    )
    assert known_facts(answers) == {"right": "base answers 2 of 2 held-out wordings right"}


def test_known_facts_are_neither_taught_nor_asked_and_stay_as_rows_with_the_reason() -> None:
    pairs = domain(["alpha", "beta"])
    probes = build_probes(pairs, [], [], [], 0)
    knows = probes.filter(pl.col("answer") == "alpha")["fact_id"][0]
    known = known_facts(
        answered(*((row["fact_id"], row["question"], "correct" if row["fact_id"] == knows else "incorrect") for row in probes.to_dicts()))
    )
    marked = mark_known(pairs, known)
    assert marked.height == pairs.height
    assert set(marked.filter("accepted")["answer"]) == {"beta"}
    assert set(marked.filter(~pl.col("accepted"))["reason"]) == {"known to the student: base answers 2 of 2 held-out wordings right"}
    assert reasons(marked).rows() == [("known to the student", 5)]
    assert set(at_risk(marked, [], [], [])["completion"]) == {"beta"}
    assert set(build_probes(marked, [], [], [], 0)["answer"]) == {"beta"}
    assert mark_known(marked, known).equals(marked)


def test_a_reason_that_was_there_before_stays() -> None:
    pairs = domain(["alpha"]).with_columns(pl.lit(False).alias("accepted"), pl.lit("disputed: x").alias("reason"))
    assert mark_known(pairs, {pairs["fact_id"][0]: "y"}).equals(pairs)


@given(st.lists(st.tuples(st.sampled_from("fg"), st.sampled_from("abc"), st.sampled_from(["correct", "partial", "incorrect", "failed"]))))
def test_one_answer_that_is_not_right_is_enough_for_a_fact_to_be_taught(rows: list[tuple[str, str, str]]) -> None:
    known = known_facts(answered(*rows))
    for fact in "fg":
        own = [(question, label) for f, question, label in rows if f == fact]
        assert (fact in known) == (all(label == "correct" for _, label in own) and len({question for question, _ in own}) >= 2)
