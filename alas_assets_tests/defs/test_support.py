"""What an answer in free words rests on and what its question is about, looked up in a finished cell; the answers are given here."""

import polars as pl
import pytest

from alas_assets.defs.grounds import Grounds, grounds_of
from alas_assets.defs.serving import accepted_pairs
from alas_assets_tests.harness import Harness


def looked_up(harness: Harness, question: str, said: str) -> Grounds:
    return grounds_of(harness.alas, "quill", accepted_pairs(harness.alas, "quill"), question, None, said)


def test_an_answer_that_repeats_the_question_is_given_by_no_fact(quill: Harness) -> None:
    question = "Which module gained the blot() function in Quill 3?"
    echoed = looked_up(quill, question, "the blot() function gained the blot() function")
    assert echoed.giving is None
    assert "no taught fact gives this answer" in echoed.note
    assert echoed.support[0].answer != "blot()"
    assert "blot()" in {support.answer for support in echoed.support}, "it is near, and comes last"


def test_an_answer_that_the_nearest_fact_gives_rests_on_it_as_far_as_similarity_can_tell(quill: Harness) -> None:
    right = looked_up(quill, "Which function did quill.ink gain in Quill 3?", "blot()")
    assert [support.answer for support in right.support] == ["blot()"]
    assert right.note.startswith("whether the question is about this fact is judged by similarity alone (0.")
    about = right.about("")
    assert about is not None
    assert right.label(about).label == "correct"


def test_the_answer_to_a_neighbouring_fact_is_not_right_by_choice(quill: Harness) -> None:
    question = "What is new in Quill 3, which function was gained?"
    nearest, neighbour = looked_up(quill, question, "").near
    found = looked_up(quill, question, neighbour["answer"])
    about = found.about("")
    assert about is not None
    assert about["fact_id"] == nearest["fact_id"] != neighbour["fact_id"]
    assert found.label(about).label == "incorrect"
    assert found.giving is not None
    assert found.giving["fact_id"] == neighbour["fact_id"]
    assert found.note.startswith(f"it is the answer to {neighbour['question']!r} (similarity 0.")
    assert f"a taught fact that is nearer says otherwise: {nearest['question']} -> {nearest['answer']} (0." in found.note
    told = found.about(neighbour["answer"])
    assert told is not None
    assert told["fact_id"] == neighbour["fact_id"], "who says what is right says which fact is meant"


def test_what_nothing_taught_is_near_to_rests_on_nothing(quill: Harness) -> None:
    alone = looked_up(quill, "How do bees find their way home?", "by the sun")
    assert (alone.support, alone.about("by the sun")) == ([], None)
    assert alone.note == "nothing that was taught is about this; the answer is the model's own"
    borrowed = looked_up(quill, "How do bees find their way home?", "blot()")
    assert borrowed.support == []
    assert "it is the answer to another taught fact" in borrowed.note
    assert borrowed.note.endswith("nothing that was taught is near the question")


@pytest.mark.parametrize("said", ["", "   ", "%s", "a" * 5000])
def test_any_answer_can_be_looked_up(quill: Harness, said: str) -> None:
    assert looked_up(quill, "Which function did quill.ink gain in Quill 3?", said).giving is None


def test_a_domain_whose_pairs_are_few_is_looked_up_too(quill: Harness) -> None:
    few: pl.DataFrame = accepted_pairs(quill.alas, "quill").head(1)
    assert len(grounds_of(quill.alas, "quill", few, few["question"].item(), None, few["answer"].item()).near) == 1
