"""DPO pairs: one per wrong answer, useless ones filtered with their reason."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.provenance.store import table_hash
from alas_assets.records import ANSWER_SCHEMA, PREFERENCE_SCHEMA, empty
from alas_assets.synthesis.preferences import enough, mine_pairs

from .factory import curated, domain, fact, graded, page


def pairs_for(answer: str, said: str, kind: str = "identifier", label: str = "incorrect", error_type: str = "other") -> pl.DataFrame:
    text = f"The shelf now holds {answer} since the last release."
    _, chunks = page([text])
    qa = curated([fact(chunks, text, answer, "newest thing on the shelf", kind=kind)], chunks)
    mine = qa.filter(pl.col("role") == "mine")
    assert mine["accepted"].all()
    return mine_pairs(graded(mine, {mine["question"][0]: (said, label)}, error_type), qa)


@pytest.mark.parametrize(
    ("answer", "said", "kind"),
    [
        ("3.15", "3.14", "version"),
        ("PEP 814", "PEP 810", "pep"),
        ("os.forkpty", "os.fork", "identifier"),
        ("frozendict", "frozenset", "identifier"),
        ("the new collector", "an older parser", "phrase"),
        ("It was removed in 3.15", "It was removed in 3.14", "phrase"),
    ],
)
def test_a_wrong_identifier_or_number_is_a_useful_pair(answer: str, said: str, kind: str) -> None:
    pairs = pairs_for(answer, said, kind)
    assert pairs.schema == PREFERENCE_SCHEMA
    assert pairs.select("chosen", "rejected", "accepted", "reason").rows() == [(answer, said, True, "")]


def test_a_name_of_another_fact_that_shares_no_word_with_the_question_is_a_useful_pair() -> None:
    pairs = pairs_for("suggest_on_error", "max_args", "identifier", "incorrect", "off topic")
    assert pairs.select("accepted", "reason").rows() == [(True, "")]


@pytest.mark.parametrize(
    ("answer", "said", "label", "error_type", "reason"),
    [
        ("3.15", "", "incorrect", "omission", "empty"),
        ("3.15", " ... ", "incorrect", "omission", "empty"),
        ("3.15", "3.14", "failed", "", "not graded"),
        ("the new collector", "The New Collector!", "incorrect", "other", "right in other words"),
        ("3.15", "It is 3.15 or 3.14", "incorrect", "other", "names the reference too"),
        ("PEP 814", "814", "partial", "omission", "part of the reference"),
        ("3.15", "I don't know that.", "incorrect", "omission", "declines to answer"),
        ("3.15", "the the the the the", "incorrect", "other", "degenerate repetition"),
        ("3.15", "a b a b a b a b a b", "incorrect", "other", "degenerate repetition"),
        ("3.15", "bananas are yellow and grow in bunches", "incorrect", "off topic", "off topic"),
        ("3.15", "the newest thing on the shelf in question", "incorrect", "other", "off topic"),
        ("garbage collector", "garbage collection", "incorrect", "other", "differs by a few words only"),
        (
            "readers of long files now stop at the first broken line",
            "readers of long files now stop at the last broken line",
            "incorrect",
            "other",
            "differs by a few words only",
        ),
    ],
)
def test_useless_pairs_are_kept_aside_with_their_reason(answer: str, said: str, label: str, error_type: str, reason: str) -> None:
    pairs = pairs_for(answer, said, "phrase", label, error_type)
    assert pairs.select("accepted", "reason").rows() == [(False, reason)]


@pytest.mark.parametrize(
    "said",
    [
        "I have no idea.",
        "I am unable to say.",
        "There is no such thing.",
        "Unknown",
        "I’m not sure, but it may be 3.14.",
        "I do not know, perhaps PEP 810 or one of those that came in with the release before.",
        "Cannot answer.",
        "Cannot answer this question.",
        "Sorry, can’t answer that.",
        "There is no information about this PEP in the 3.14 documentation.",
        "The provided context contains no information about the author or the date.",
    ],
)
def test_no_pair_teaches_against_saying_that_one_does_not_know_however_it_is_said(said: str) -> None:
    assert pairs_for("3.15", said, "version").select("accepted", "reason").rows() == [(False, "declines to answer")]


def test_right_answers_give_no_pair_and_dpo_is_skipped_with_a_reason() -> None:
    pairs = pairs_for("3.15", "3.15", label="correct")
    assert pairs.is_empty()
    assert "no mistake" in (enough(pairs, 10) or "")
    few = pairs_for("3.15", "3.14", "version")
    assert "1 usable of 1 wrong answers, 10 are needed" in (enough(few, 10) or "")
    assert enough(few, 1) is None
    assert enough(empty(PREFERENCE_SCHEMA), 0) is not None


def test_a_promotion_probe_never_becomes_a_pair() -> None:
    qa = domain(["alpha", "beta"])
    probes = qa.filter(pl.col("role") == "probe")
    pairs = mine_pairs(graded(probes, {question: ("wrong", "incorrect") for question in probes["question"]}), qa)
    assert set(pairs["reason"]) == {"not a mining question"}


def test_an_over_represented_category_loses_repeats_and_never_a_fact() -> None:
    easy, rare = domain([f"name{i}" for i in range(6)]), domain(["omega"], "b.html", category="analysis")
    qa = pl.concat([easy, rare])
    mine = qa.filter(pl.col("role") == "mine")
    answers = [graded(mine, {q: (f"{word}{i}", "incorrect") for i, q in enumerate(mine["question"])}) for word in ("wrong", "false")]
    again = [answers[0], answers[1].filter(pl.col("category") == "factual"), answers[0]]
    pairs = mine_pairs(pl.concat(again), qa)
    accepted = pairs.filter(pl.col("accepted"))
    assert accepted["fact_id"].n_unique() == 7
    assert accepted.filter(pl.col("category") == "factual").height == 7
    assert accepted["pair_id"].n_unique() == accepted.height
    assert set(pairs["reason"]) == {"", "repeated pair", "repeat in an over-represented category"}


QA = domain(["alpha", "beta", "gamma"])
MINE = QA.filter(pl.col("role") == "mine")


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(MINE["question"].to_list()), st.text(max_size=60), st.sampled_from(["incorrect", "partial", "failed"])),
        max_size=6,
    )
)
def test_arbitrary_answers_never_raise_and_give_one_row_each(said: list[tuple[str, str, str]]) -> None:
    texts = [(q, text.encode("utf-8", "replace").decode(), label) for q, text, label in said]
    frames = [graded(MINE, {question: (text, label)}) for question, text, label in texts]
    answers = pl.concat(frames) if frames else empty(ANSWER_SCHEMA)
    pairs = mine_pairs(answers, QA)
    assert pairs.height == len(said)
    assert (pairs["accepted"] == (pairs["reason"] == "")).all()
    assert table_hash(pairs) == table_hash(mine_pairs(answers.reverse(), QA))
