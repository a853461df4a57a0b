from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.synthesis.wording import GAP, WORDING_SHARE, mentions, shared_wording
from alas_assets.teachers.llm.wordings import NO_SENTENCE, assign, gapped, usable, wanted

ODD = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "islet", "jetty", "knoll", "lagoon"]


def lonely(count: int) -> list[str]:
    """Questions that share no three words in a row."""
    return [f"{ODD[i]} {ODD[i - 1]} quill {ODD[i - 3]} what, number {i}?" for i in range(count)]


@pytest.mark.parametrize(
    ("count", "roles"),
    [
        (1, (1, 0, 0)),
        (2, (2, 0, 0)),
        (4, (2, 0, 2)),
        (5, (2, 1, 2)),
        (6, (3, 1, 2)),
        (7, (4, 1, 2)),
        (8, (4, 1, 3)),
        (9, (5, 1, 3)),
        (10, (6, 1, 3)),
        (12, (6, 1, 3)),
    ],
)
def test_what_a_fact_cannot_do_without_is_filled_first(count: int, roles: tuple[int, int, int]) -> None:
    found = Counter(phrasing.role for phrasing in assign(lonely(count), 6))
    assert (found["train"], found["mine"], found["probe"]) == roles


def test_ten_wordings_fill_all_places_of_six_training_phrasings() -> None:
    assert wanted(6) == 10


def test_the_question_is_trained_and_the_last_wordings_are_held_out() -> None:
    made = assign(lonely(10), 6)
    assert made[0].text == lonely(10)[0]
    assert [phrasing.text for phrasing in made if phrasing.role == "probe"] == lonely(10)[-3:]


def test_what_is_worded_like_a_training_phrasing_is_not_held_out() -> None:
    asked = [*lonely(9), lonely(9)[0].replace("?", " then?")]
    made = assign(asked, 6)
    held = [phrasing.text for phrasing in made if phrasing.role == "probe"]
    assert held == lonely(9)[-3:]


@settings(deadline=None)
@given(st.lists(st.sampled_from(lonely(12) + [text.replace("?", " then?") for text in lonely(12)]), unique=True), st.integers(1, 9))
def test_a_template_has_one_role_and_no_probe_is_worded_like_what_is_trained(asked: list[str], train: int) -> None:
    made = assign(asked, train)
    assert len({phrasing.text for phrasing in made}) == len(made)
    assert all(phrasing.template.startswith(f"llm-{phrasing.role}-") for phrasing in made)
    assert len({phrasing.template for phrasing in made}) == len(made)
    assert sum(phrasing.role == "train" for phrasing in made) <= train
    for probe in (phrasing.text for phrasing in made if phrasing.role == "probe"):
        assert all(shared_wording(probe, other.text) <= WORDING_SHARE for other in made if other.role != "probe")


def test_wordings_that_hold_the_answer_repeat_or_say_nothing_are_refused_with_the_reason() -> None:
    found = usable(["What is it?", "Is it the `fast` mode?", "what is it", "", "x" * 401, "Rapid what?"], "fast", ["rapid"])
    assert found.kept == ("What is it?",)
    assert [reason for _, reason in found.refused] == [
        "question contains the answer",
        "phrasing repeats another",
        "no question",
        "question too long",
        "question contains the answer",
    ]


@pytest.mark.parametrize(
    ("sentence", "answer", "text_or_reason"),
    [
        ("PEP 661 adds the sentinel type in Quill 3.2.", "sentinel type", "Fill in the blank: PEP 661 adds the ___ in Quill 3.2."),
        ("Quill 3.2 requires LLVM 21 to build.", "llvm 21", "Fill in the blank: Quill 3.2 requires ___ to build."),
        ("--plan prints it in Quill 3.2.", "--plan", "What prints a plan? Fill in the blank: ___ prints it in Quill 3.2."),
        ("In Quill 3.2 these are gone: foo().", "foo()", "What prints a plan? Fill in the blank: In Quill 3.2 these are gone: ___."),
        ("The answer is spread over the page.", "foo()", "answer not in the sentence"),
        ("Quill 3.2 replaces foo() by foo() of bar.", "foo()", "answer stands 2 times in the sentence, not once"),
        ("Quill 3.2 adds amber, also called ember.", "amber", "sentence says the answer beside its gap"),
        ("foo().", "foo()", NO_SENTENCE),
        ("It is foo().", "foo()", NO_SENTENCE),
        ("", "foo()", NO_SENTENCE),
        (f"{'Quill slowly reluctantly ' * 20}adds foo().", "foo()", "sentence too long"),
    ],
)
def test_the_sentence_that_answers_is_trained_on_with_a_gap_and_after_its_question_where_it_points_back(
    sentence: str, answer: str, text_or_reason: str
) -> None:
    made = gapped("What prints a plan?", sentence, answer, ["ember"])
    assert (made if isinstance(made, str) else made.text) == text_or_reason
    assert isinstance(made, str) or (made.role, made.template) == ("train", "llm-gap-1")


@settings(deadline=None)
@given(st.text(max_size=60), st.text(min_size=1, max_size=12), st.text(max_size=60), st.lists(st.text(max_size=8), max_size=2))
def test_a_sentence_with_a_gap_never_says_its_answer(before: str, answer: str, after: str, aliases: list[str]) -> None:
    made = gapped("Which is it?", f"{before} {answer} {after}", answer, aliases)
    if not isinstance(made, str):
        assert GAP in made.text
        assert not any(mentions(made.text, said) for said in (answer, *aliases))
