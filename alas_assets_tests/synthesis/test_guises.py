"""The guises in which a trained question is shown: nothing of the question is changed, and equal draws give equal guises."""

import random

from hypothesis import given
from hypothesis import strategies as st

from alas_assets.synthesis.guises import AFTER, BEFORE, GAP, LEAST_WORDS, in_another_guise
from alas_assets.teachers.extractive.forms import TEMPLATES

QUESTION = "Which module gained the trim() function in Quill 1?"

prompts = st.lists(st.one_of(st.text(st.characters(exclude_characters=" ")), st.just(GAP)), min_size=1, max_size=20).map(" ".join)
chances = st.floats(0, 1, exclude_max=True)


def shown(prompt: str, seed: int, word_dropout: float, framed: float) -> str:
    return in_another_guise(prompt, random.Random(seed), word_dropout=word_dropout, framed=framed)


@given(prompts, st.integers(), chances, st.floats(0, 1))
def test_equal_draws_give_equal_guises_and_the_gap_stays(prompt: str, seed: int, word_dropout: float, framed: float) -> None:
    guise = shown(prompt, seed, word_dropout, framed)
    assert guise == shown(prompt, seed, word_dropout, framed)
    assert guise.count(GAP) >= prompt.split(" ").count(GAP)


@given(prompts, st.integers(), st.floats(0, 1))
def test_a_frame_leaves_the_question_as_it_is(prompt: str, seed: int, framed: float) -> None:
    assert prompt in shown(prompt, seed, 0, framed)


@given(prompts, st.integers(), chances)
def test_holes_only_leave_words_out_and_keep_enough_of_them(prompt: str, seed: int, word_dropout: float) -> None:
    words, kept = prompt.split(" "), shown(prompt, seed, word_dropout, 0).split(" ")
    rest = iter(words)
    assert all(word in rest for word in kept)  # in their order
    assert len(kept) >= min(LEAST_WORDS, len(words))


def test_without_a_chance_the_question_is_shown_as_it_was_written() -> None:
    assert {shown(QUESTION, seed, 0, 0) for seed in range(50)} == {QUESTION}


def test_a_question_is_hardly_ever_shown_twice_in_the_same_guise() -> None:
    assert len({shown(QUESTION, seed, 0.25, 1) for seed in range(100)}) > 60
    plain = sum(QUESTION == shown(QUESTION, seed, 0, 0.5) for seed in range(400))
    assert 150 < plain < 250


def test_no_frame_is_one_that_a_probe_is_asked_in() -> None:
    asked = [template.pattern for template in TEMPLATES if template.role == "probe"]
    assert not [words for words in (*BEFORE, *AFTER) for pattern in asked if words.strip() in pattern]
