"""Planted leaks are caught; honest paraphrases are not taken for leaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.records import TRAIN_ROW_SCHEMA
from alas_assets.synthesis.leaks import find_leaks, usable_replay
from alas_assets.synthesis.probes import build_probes
from alas_assets.synthesis.questions import GuardQuestion, ReplayPrompt
from alas_assets.synthesis.training_rows import at_risk, build_rows
from alas_assets.synthesis.wording import WordingIndex, trigrams

from .factory import domain

GUARDS = [GuardQuestion(id="g1", question="What is the capital of France?", answer="Paris")]
NEIGHBOURS = [GuardQuestion(id="n1", question="Which keyword defines a function in Python?", answer="def")]
QA = domain(["alpha", "beta", "gamma"])
LATER = domain(["delta"], "b.html", 1)
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


def test_each_question_is_read_once_however_many_were_ever_asked() -> None:
    prompts = [ReplayPrompt(id="r1", prompt="What is new in part 40000 now?"), ReplayPrompt(id="r2", prompt="Name three rivers.")]
    asked = [f"What is new in part {i} now?" for i in range(50_001)]
    before = trigrams.cache_info().misses
    assert [prompt.id for prompt in usable_replay(prompts, GUARDS, asked)] == ["r2"]
    assert trigrams.cache_info().misses - before <= len(asked) + len(prompts) + len(GUARDS)


@pytest.mark.parametrize("earlier", [False, True])
def test_replay_prompts_near_a_held_out_wording_are_left_out_where_leaks_are_looked_for_and_where_rows_are_built(earlier: bool) -> None:
    asked = QA.filter(pl.col("role") == "probe")["question"][0]
    replay = [ReplayPrompt(id="r1", prompt=f"So, {asked}"), ReplayPrompt(id="r2", prompt="Name three rivers.")]
    own, before = (LATER, [QA]) if earlier else (QA, [])
    probes = build_probes(own, GUARDS, NEIGHBOURS, [PROBES] if earlier else [], 1)
    assert asked in set(probes["question"])
    assert find_leaks(probes, at_risk(own, before, replay, GUARDS)) == []
    answered = [(prompt, "Rhine, Rhone, Po.") for prompt in replay]
    rows = build_rows(own, before, answered, replay_share=0.5, rehearsal_per_fact=1, seed=1, guards=GUARDS)
    assert set(rows.filter(pl.col("kind") == "replay")["row_id"]) == {"r2"}
    assert find_leaks(probes, rows) == []


def test_a_leak_of_a_question_that_a_person_wrote_names_its_file() -> None:
    files = {"guard": Path("guards/own.jsonl"), "neighbour": Path("guards/near.jsonl")}
    asked = PROBES.filter(pl.col("split") == "probe")["question"][0]
    for question, file in ((GUARDS[0].question, "guards/own.jsonl"), (NEIGHBOURS[0].question, "guards/near.jsonl"), (asked, "")):
        (leak,) = find_leaks(PROBES, planted(question, "rehearsal"))
        words = leak.words(files)
        assert words.startswith(f"{question!r} ")
        assert ("change the question in" in words) == bool(file)
        assert words.endswith(f"(change the question in {file})" if file else f"{question!r}")


def test_mine_rows_count_as_training() -> None:
    mine = QA.filter(pl.col("role") == "mine")["question"].to_list()
    assert set(mine) <= set(ROWS["prompt"])
