"""Several judges, one label: the majority's, never open, never in the answer's favour (E2, E7)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.evaluation.panel import SCALE, decide
from alas_assets.teachers.protocol import Grade

LABELS = ("correct", "partial", "incorrect", "failed")


def verdicts(*labels: str) -> dict[str, Grade]:
    return {f"judge {i}": Grade(label=label, error_type="other" if label == "incorrect" else "") for i, label in enumerate(labels)}  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("said", "label"),
    [
        (("correct",), "correct"),
        (("failed",), "failed"),
        (("correct", "incorrect"), "incorrect"),
        (("correct", "partial"), "partial"),
        (("correct", "correct", "incorrect"), "correct"),
        (("correct", "partial", "incorrect"), "partial"),
        (("correct", "correct", "incorrect", "incorrect"), "incorrect"),
        (("correct", "correct", "failed"), "correct"),
        (("incorrect", "incorrect", "failed"), "incorrect"),
        (("correct", "incorrect", "failed"), "failed"),
        (("correct", "failed", "failed"), "failed"),
        (("correct", "failed"), "failed"),
        (("incorrect", "failed"), "incorrect"),
        (("failed", "failed"), "failed"),
    ],
)
def test_the_middle_label_decides_and_a_failure_that_could_change_it_leaves_the_answer_failed(said: tuple[str, ...], label: str) -> None:
    assert decide(verdicts(*said)).label == label


@given(st.lists(st.sampled_from(LABELS), min_size=1, max_size=9))
def test_an_answer_is_correct_only_if_more_than_half_of_all_judges_say_so(said: list[str]) -> None:
    assert (decide(verdicts(*said)).label == "correct") == (said.count("correct") > len(said) / 2)


@given(st.lists(st.sampled_from(LABELS), min_size=1, max_size=9), st.randoms(use_true_random=False))
def test_the_order_of_the_judges_changes_no_label(said: list[str], draw) -> None:
    mixed = list(said)
    draw.shuffle(mixed)
    assert decide(verdicts(*said)).label == decide(verdicts(*mixed)).label


@given(st.lists(st.sampled_from(LABELS), min_size=1, max_size=7), st.data())
def test_what_is_decided_despite_failures_stays_so_whatever_the_failed_judges_say_later(said: list[str], data: st.DataObject) -> None:
    before = decide(verdicts(*said)).label
    later = [data.draw(st.sampled_from(SCALE)) if label == "failed" else label for label in said]
    after = decide(verdicts(*later)).label
    assert after != "failed"
    assert before in ("failed", after)


def test_the_grade_says_how_many_judges_it_is_and_why_it_is_open() -> None:
    both = {"a": Grade(label="incorrect", error_type="omission", explanation="nothing said"), "b": Grade(label="correct")}
    assert decide(both) == Grade(label="incorrect", error_type="omission", explanation="1 of 2 judges: nothing said")
    alone = {"a": Grade(label="failed", explanation="the call timed out: 3 times")}
    assert decide(alone).explanation == "the call timed out: 3 times"
    open_ = decide({"a": Grade(label="failed", explanation="cut off"), "b": Grade(label="correct")})
    assert open_.explanation == "a failed: cut off; b says correct"
