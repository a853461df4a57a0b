"""What a person's word on an answer comes to: whose fault it then is, and against what it speaks (A1, S13)."""

from pathlib import Path

import polars as pl
import pytest

from alas_assets.audit.advice import what_now
from alas_assets.audit.objections import denials
from alas_assets.audit.trace import trace_row
from alas_assets.audit.verdict import verdict_of
from alas_assets.provenance.store import Cell
from alas_assets.review.journal import Journal
from alas_assets.review.said import report_wrong
from alas_assets_tests.audit.by_hand import DOMAIN, FACT, GOLD, answered, judged, put, store_with_a_fact

ZERO = Cell.of(DOMAIN, 0)


@pytest.mark.parametrize(
    ("label", "should_be"), [("partial", ""), ("partial", "profiling.sampling"), ("incorrect", "profiling, in two parts")]
)
def test_who_finds_fault_with_a_model_that_says_what_it_was_taught_finds_it_with_what_was_taught(
    tmp_path: Path, label: str, should_be: str
) -> None:
    store = store_with_a_fact(tmp_path)
    answer = answered(0, GOLD, "correct")
    judged(store, 0, answer)
    report_wrong(store.root, DOMAIN, answer, should_be=should_be, comment="", by="ada", at="2026-01-01")
    (word,) = Journal(store.root, DOMAIN).imports("reports")
    Journal(store.root, DOMAIN).add("answers", [{**word.rows[0], "label": label}], by="ada", at="2026-01-02")
    trace = trace_row(store, ZERO, answer)
    verdict = verdict_of(store, trace)
    assert verdict.kind in ("bad source", "bad pair")
    assert "reject fact" in what_now(store, trace, verdict)[0]
    assert list(denials(store, DOMAIN, {FACT})) == [FACT]


def test_who_says_that_what_was_taught_is_right_finds_no_fault_with_it(tmp_path: Path) -> None:
    store = store_with_a_fact(tmp_path)
    for said, should_be in (("a walrus", GOLD), (f"the {GOLD}", GOLD), ("a walrus", f"{GOLD}, in two parts")):
        answer = answered(0, said, "incorrect")
        judged(store, 0, answer)
        report_wrong(store.root, DOMAIN, answer, should_be=should_be, comment="", by="ada", at="2026-01-01")
        assert verdict_of(store, trace_row(store, ZERO, answer)).kind in ("right", "bad learning")
        assert denials(store, DOMAIN, {FACT}) == {}


def test_whether_it_was_known_before_is_a_persons_word_where_somebody_spoke_of_the_earlier_answer(tmp_path: Path) -> None:
    store = store_with_a_fact(tmp_path, iterations=2)
    earlier, now = answered(0, GOLD, "correct"), answered(1, "a walrus", "incorrect")
    judged(store, 0, earlier)
    judged(store, 1, now)

    def kind() -> str:
        return verdict_of(store, trace_row(store, Cell.of(DOMAIN, 1), now)).kind

    assert kind() == "forgotten"
    report_wrong(store.root, DOMAIN, earlier, should_be="", comment="", by="ada", at="2026-01-01")
    assert kind() == "bad learning"
    word = Journal(store.root, DOMAIN).imports("reports")[0].rows[0]
    Journal(store.root, DOMAIN).add("answers", [{**word, "label": "correct"}], by="ada", at="2026-01-02")
    judged(store, 0, earlier | {"label": "incorrect"})
    assert kind() == "forgotten"


def test_a_fact_of_which_only_pairs_are_left_whose_quote_stands_nowhere_has_no_source_and_can_be_traced(tmp_path: Path) -> None:
    store = store_with_a_fact(tmp_path)
    pointer = store.pointer(ZERO, "qa_pairs")
    assert pointer
    nowhere = {"quote_start": pl.lit(None, pl.Int64), "quote_end": pl.lit(None, pl.Int64), "text_sha256": pl.lit(None, pl.String)}
    rejected = {"accepted": pl.lit(False), "reason": pl.lit("the quote does not stand in the passage")}
    put(store, 0, "qa_pairs", store.read_table(pointer).with_columns(**nowhere, **rejected))
    trace = trace_row(store, ZERO, answered(0, "a walrus", "incorrect"))
    assert trace.source is None
    assert [pair.accepted for pair in trace.pairs] == [False]
    assert verdict_of(store, trace).because == "every pair on it was rejected"
