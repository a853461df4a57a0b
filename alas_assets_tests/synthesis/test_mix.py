"""The mix of categories and topics is counted by facts, and a deviation beyond ten points is said in words (S6)."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alas_assets.domains.config import Mix
from alas_assets.records import QA_SCHEMA
from alas_assets.synthesis.mix import deviations, evenly, in_words

from .factory import curated, fact, page


def table_of(categories: list[str]) -> pl.DataFrame:
    """Return accepted facts of these categories."""
    names = [f"name{i}" for i in range(len(categories))]
    _, chunks = page([f"The release adds `{n}` as gadget number {i}." for i, n in enumerate(names)])
    drafts = [
        fact(chunks, chunks["text"][i], n, f"gadget number {i}", ordinal=i, category=category)
        for i, (n, category) in enumerate(zip(names, categories, strict=True))
    ]
    return curated(drafts, chunks)


def test_shares_are_of_facts_and_not_of_rows_and_the_largest_deviation_comes_first() -> None:
    found = deviations(table_of(["factual"] * 3 + ["conceptual"]), "category", {"factual": 0.5, "conceptual": 0.3, "analysis": 0.2})
    assert found.select("value", "facts").rows() == [("factual", 3), ("analysis", 0), ("conceptual", 1)]
    assert found["deviation"].round(6).to_list() == [0.25, -0.2, -0.05]
    assert in_words(found) == ["factual 3 of 4 (75%, wanted 50%)", "analysis 0 of 4 (0%, wanted 20%)"]


def test_ten_points_are_not_worth_a_word() -> None:
    assert in_words(deviations(table_of(["factual"] * 3 + ["conceptual"] * 2), "category", {"factual": 0.5, "conceptual": 0.5})) == []


def test_no_pairs_and_no_topics_are_no_error() -> None:
    assert deviations(QA_SCHEMA.to_frame(), "topic_id", evenly([])).is_empty()


@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=30), st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1)))
def test_all_facts_are_counted_once(values: list[str], wanted: dict[str, float]) -> None:
    pairs = QA_SCHEMA.to_frame(eager=True)
    rows = pl.DataFrame({"fact_id": [str(i) for i in range(len(values))], "topic_id": values, "accepted": [True] * len(values)})
    found = deviations(pl.concat([pairs, rows.cast({"fact_id": pl.String, "topic_id": pl.String})], how="diagonal"), "topic_id", wanted)
    assert found["facts"].sum() == len(values)
    assert sorted(found["value"]) == sorted({*values, *wanted})


def test_the_shares_of_a_mix_sum_to_one_or_are_all_left_out() -> None:
    assert Mix().shares == {}
    assert Mix(factual=0.6, conceptual=0.4).shares["conceptual"] == 0.4
    with pytest.raises(ValidationError, match=r"sum to 0\.60"):
        Mix(factual=0.6)
