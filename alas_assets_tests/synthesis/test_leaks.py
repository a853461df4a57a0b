"""Planted leaks are caught; honest paraphrases are not taken for leaks."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.records import TRAIN_ROW_SCHEMA
from alas_assets.synthesis.leaks import find_leaks, usable_replay
from alas_assets.synthesis.probes import build_probes
from alas_assets.synthesis.questions import GuardQuestion, ReplayPrompt
from alas_assets.synthesis.training_rows import at_risk
from alas_assets.synthesis.wording import WordingIndex

from .factory import domain

GUARDS = [GuardQuestion(id="g1", question="What is the capital of France?", answer="Paris")]
NEIGHBOURS = [GuardQuestion(id="n1", question="Which keyword defines a function in Python?", answer="def")]
QA = domain(["alpha", "beta", "gamma"])
PROBES = build_probes(QA, GUARDS, NEIGHBOURS, [], 0)
ROWS = at_risk(QA, [], [ReplayPrompt(id="r1", prompt="Name three rivers.")], GUARDS)


def planted(prompt: str, kind: str = "fact", fact_id: str = "other", completion: str = "x") -> pl.DataFrame:
    row = {"row_id": "planted", "kind": kind, "fact_id": fact_id, "prompt": prompt, "completion": completion}
    return pl.concat([ROWS, pl.DataFrame([row], schema=TRAIN_ROW_SCHEMA)])


def test_clean_tables_have_no_leak() -> None:
    assert find_leaks(PROBES, ROWS) == []


@settings(deadline=None)
@given(
    st.integers(0, PROBES.height - 1),
    st.sampled_from(["fact", "rehearsal", "replay"]),
    st.sampled_from([str.upper, str.lower, "  {}?".format]),
)
def test_any_evaluation_question_planted_among_the_rows_is_caught(index: int, kind: str, disguise: Callable[[str], str]) -> None:
    probe = PROBES.row(index, named=True)
    leaks = find_leaks(PROBES, planted(disguise(probe["question"]), kind))
    assert (probe["probe_id"], "planted") in {(leak.probe_id, leak.row_id) for leak in leaks}


@settings(deadline=None)
@given(st.integers(0, PROBES.height - 1), st.sampled_from(["Please answer: {}", "{} Answer briefly.", "So, {}"]))
def test_a_question_wrapped_in_a_few_words_is_caught(index: int, wrap: str) -> None:
    probe = PROBES.row(index, named=True)
    leaks = find_leaks(PROBES, planted(wrap.format(probe["question"]), "fact", probe["fact_id"], probe["answer"]))
    assert probe["probe_id"] in {leak.probe_id for leak in leaks}


PARAPHRASES = [
    "In Python 3.15, which function replaced `locale.getdefaultlocale`?",
    "Which function replaced `locale.getdefaultlocale` in Python 3.15?",
    "Complete the sentence: in Python 3.15, `locale.getdefaultlocale` was replaced by ____.",
    "`locale.getdefaultlocale` gave way to what in Python 3.15?",
    "Name the function that took the place of `locale.getdefaultlocale` as of Python 3.15.",
]


@pytest.mark.parametrize("one", range(len(PARAPHRASES)))
def test_rule_made_paraphrases_of_one_fact_are_different_wordings(one: int) -> None:
    for other in range(len(PARAPHRASES)):
        assert bool(WordingIndex([PARAPHRASES[other]]).holding(PARAPHRASES[one])) == (one == other)


def test_changing_the_first_word_only_is_the_same_wording() -> None:
    probe = "What function replaced `locale.getdefaultlocale` in Python 3.15 on all supported platforms?"
    assert WordingIndex([probe.replace("What", "Which")]).holding(probe) == [0]


def test_one_pattern_about_two_identifiers_is_no_leak_across_facts() -> None:
    probe = "In which version did the long awaited helper `foo` arrive in the standard library of Python?"
    own = PROBES.filter(pl.col("split") == "probe").head(1).with_columns(pl.lit(probe).alias("question"))
    answer = own["answer"][0]
    assert find_leaks(own, planted(probe.replace("foo", "bar"), completion=answer)) == []
    assert [leak.row_id for leak in find_leaks(own, planted(probe.replace("In which", "Which"), completion=answer))] == ["planted"]


def test_replay_prompts_near_a_guard_are_left_out() -> None:
    prompts = [ReplayPrompt(id="r1", prompt="what is the capital of france"), ReplayPrompt(id="r2", prompt="What is the capital of Spain?")]
    assert [prompt.id for prompt in usable_replay(prompts, GUARDS)] == ["r2"]


def test_mine_rows_count_as_training() -> None:
    mine = QA.filter(pl.col("role") == "mine")["question"].to_list()
    assert set(mine) <= set(ROWS["prompt"])
