"""What an answer in free words rests on and what its question is about, looked up in a finished cell; the answers are given here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from alas_assets.defs.grounds import Grounds, grounds_of
from alas_assets.defs.resources import Alas
from alas_assets.defs.serving import accepted_pairs, asked_answer
from alas_assets.records import AdapterRef
from alas_assets.students.answering import Answered
from alas_assets.students.client import ModelWorker
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


class _PromotesMeanwhile:
    """The model process, and a gate that promotes another adapter as soon as the question was answered."""

    def __init__(self, worker: ModelWorker, promote: Callable[[], object]) -> None:
        self._worker, self._promote = worker, promote

    def answer(self, *asked: Any) -> list[Answered]:
        said = self._worker.answer(*asked)
        self._promote()
        return said

    def __getattr__(self, name: str) -> Any:
        return getattr(self._worker, name)


class _Busy(Alas):
    """A store in which an adapter is promoted while the current one is asked."""

    @property
    def worker(self) -> Any:
        return _PromotesMeanwhile(super().worker, lambda: made_current(self, LATER, previous=self.registry.current("quill")))


LATER = "b" * 64


def made_current(alas: Alas, adapter: str, previous: str | None) -> None:
    number = 0 if previous is None else 1
    alas.registry.promote("quill", adapter, iteration=number, decision_hash=adapter, run_id="r", at="2026-11-30", previous=previous)


def test_an_answer_is_reported_as_that_of_the_model_that_gave_it_although_another_was_promoted_meanwhile(
    quill: Harness, tmp_path: Path
) -> None:
    harness = quill.copied(tmp_path)
    asked = harness.store.read_record(AdapterRef, harness.pointers("quill")["sft_adapter"], "sft_adapter").adapter_hash
    made_current(harness.alas, asked, previous=None)
    busy = _Busy(home=str(harness.settings.home))
    cell, answer = asked_answer(busy, "quill", "Which function did quill.ink gain in Quill 3?")
    assert harness.alas.registry.current("quill") == LATER
    assert answer["adapter_hash"] == asked
    assert str(cell) == "quill|000"
