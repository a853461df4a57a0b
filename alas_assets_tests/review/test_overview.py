"""What became of every decision of people: nothing that was taken up waits, and nothing that waits is called taken up (S13)."""

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.review.earlier import corrected, on_earlier, standing, still_taught
from alas_assets.review.overview import Made, OnRecord, pairs_on_record
from alas_assets.review.pairs import Decision, Reviewed, taken_back
from alas_assets_tests.review.test_pairs import CHUNKS, DRAFTS, PAIRS, remade
from alas_assets_tests.synthesis.factory import curated

NONE = PAIRS.clear()
FIRST = PAIRS.filter(pl.col("fact_id") == PAIRS["fact_id"][0])
MONDAY = "2026-11-23T10:00:00+00:00"


def decision(row: dict[str, Any], word: str = "reject", by: str = "ada", at: str = MONDAY, **new: Any) -> Decision:
    own = {name: row[name] for name in ("qa_id", "fact_id", "question", "answer")}
    return Decision.model_validate({**own, "decision": word, "by": by, "at": at, **new})


def counting(said: Sequence[Decision]) -> list[Decision]:
    gone = taken_back(said)
    return [one for place, one in enumerate(said) if place not in gone]


def on_own(said: Sequence[Decision], table: pl.DataFrame) -> list[OnRecord]:
    """What becomes of decisions on the pairs of the only iteration, which the next run makes again."""
    return pairs_on_record("quill", said, Made({"000": table}, ["000"], "000", frozenset()))


def corrections(said: Sequence[Decision], tables: list[pl.DataFrame], retired: frozenset[str] = frozenset()) -> Reviewed:
    taught = still_taught(standing(tables)).filter(~pl.col("fact_id").is_in(list(retired)))
    return corrected(taught, CHUNKS, on_earlier(counting(said), taught, tables), counting(said))


def taken_up(said: Sequence[Decision], *earlier: pl.DataFrame) -> pl.DataFrame:
    """Make the pairs of the iteration that takes decisions on earlier pairs up, as the asset does."""
    reviewed = corrections(said, list(earlier))
    return reviewed.mark(curated(reviewed.drafts, CHUNKS), curated(reviewed.set_aside, CHUNKS))


def on_before(said: Sequence[Decision], *tables: pl.DataFrame, retired: frozenset[str] = frozenset()) -> list[OnRecord]:
    """What becomes of decisions where the last of these iterations is the newest, which the next run makes again."""
    named = {f"{i:03d}": table for i, table in enumerate(tables)}
    again = corrections(said, list(tables[:-1]), retired)
    return pairs_on_record("quill", said, Made(named, list(named), list(named)[-1], retired, again))


def states(found: Sequence[OnRecord]) -> list[tuple[str, str]]:
    return [(one.state, one.taken_up_by) for one in found]


ROWS = FIRST.to_dicts()
NEW = {"new_answer": "the release", "new_aliases": []}


def test_a_decision_names_the_pair_who_when_and_the_first_iteration_that_has_it() -> None:
    (found,) = on_before([decision(ROWS[0], "edit", comment="misread", **NEW)], PAIRS, NONE)
    assert (found.domain, found.iteration, found.what, found.id) == ("quill", "000", "pair", f"q-{ROWS[0]['qa_id']}")
    assert (found.decision, found.question, found.answer) == ("edit", ROWS[0]["question"], "crease()")
    assert (found.change, found.comment, found.by, found.at) == ("answer 'the release', aliases none", "misread", "ada", MONDAY)
    assert (found.state, found.command) == ("waits", "alas run quill")


def test_a_second_edit_of_the_same_day_waits_although_its_words_are_those_of_the_first() -> None:
    edit = decision(ROWS[0], "edit", **NEW)
    newest = taken_up([edit], PAIRS)
    again = decision(newest.filter("accepted").row(0, named=True), "edit", new_answer="adds")
    assert states(on_before([edit, again], PAIRS, newest)) == [("taken up", "001"), ("waits", "")]


@pytest.mark.parametrize("by", ["ada", "bob"])
@pytest.mark.parametrize("wording", [0, 2])
def test_a_correction_that_is_edited_back_has_no_effect_any_more_once_the_edit_back_is_taken_up(by: str, wording: int) -> None:
    edit = decision(ROWS[0], "edit", **NEW)
    newest = taken_up([edit], PAIRS)
    back = decision(newest.filter("accepted").row(wording, named=True), "edit", by, new_answer="crease()", new_aliases=["crease"])
    assert states(on_before([edit, back], PAIRS, newest)) == [("taken up", "001"), ("waits", "")]
    first, second = on_before([edit, back], PAIRS, taken_up([edit, back], PAIRS))
    assert (first.state, first.because) == ("no effect", "a later decision on the same fact undoes it")
    assert (second.state, second.taken_up_by) == ("taken up", "001")


def test_edited_aliases_wait_until_the_pair_has_them() -> None:
    one, two = (decision(ROWS[0], "edit", new_aliases=[alias]) for alias in ("crease", "the helper crease"))
    first = remade([one])
    assert states(on_own([one], PAIRS)) == [("waits", "")]
    assert states(on_own([one], first)) == [("taken up", "000")]
    assert states(on_own([one, two], first)) == [("taken back", ""), ("waits", "")]
    assert states(on_own([one, two], remade([two]))) == [("taken back", ""), ("taken up", "000")]


def test_what_two_people_made_of_one_fact_one_after_the_other_is_taken_up_of_both() -> None:
    said = [decision(ROWS[0], "edit", **NEW), decision(ROWS[1], "edit", by="bob", new_answer="adds"), decision(ROWS[2], by="bob")]
    assert states(on_before(said, PAIRS, NONE)) == [("waits", "")] * 3
    assert states(on_before(said, PAIRS, taken_up(said, PAIRS))) == [("taken up", "001")] * 3


def test_a_decision_on_pairs_of_an_iteration_that_was_closed_waits_for_a_retry_or_for_the_next_where_a_takedown_closed_it() -> None:
    said, tables = [decision(ROWS[0])], {"000": NONE, "001": PAIRS}
    failed, taken_down = (
        pairs_on_record("quill", said, Made(tables, ["000", "002"], "002", frozenset(), ended_by_takedown=frozenset(by_takedown)))
        for by_takedown in ([], ["001"])
    )
    assert [(one.state, one.because, one.command) for one in (*failed, *taken_down)] == [
        ("waits", "its iteration was closed as failed", "alas retry quill"),
        ("waits", "its iteration was closed by a takedown", "alas run quill"),
    ]


def test_who_rejects_a_wording_of_a_fact_that_is_rejected_as_a_whole_is_told_so() -> None:
    said = [decision(ROWS[0], "reject fact"), decision(ROWS[1], by="bob")]
    whole, wording = on_own(said, remade(said))
    assert whole.state == "taken up"
    assert (wording.state, wording.because) == ("no effect", "reject fact by ada on 2026-11-23 holds for the whole fact")


def test_a_new_question_is_not_called_taken_up_where_the_same_person_gave_the_fact_another_answer_on_that_day() -> None:
    said = [decision(ROWS[0], "edit", **NEW), decision(ROWS[1], "edit", new_question="Which one was it again?")]
    answer, question = on_before(said, PAIRS, taken_up(said, PAIRS))
    assert answer.state == "taken up"
    assert (question.state, question.because) == ("no effect", "edit by ada on 2026-11-23 holds for the whole fact")


def test_an_edit_that_curation_refused_is_taken_up_and_says_that_nothing_teaches_it() -> None:
    edit = decision(ROWS[0], "edit", new_answer="nonsense()", new_aliases=[])
    (found,) = on_before([edit], PAIRS, taken_up([edit], PAIRS))
    assert found.state == "taken up"
    assert found.because.startswith("and it is not taught so, since curation refused it: answer not in the quote")


@pytest.mark.parametrize(
    ("made", "because"),
    [
        (lambda: decision(ROWS[0], "approve"), "the pair stays as it was taught"),
        (lambda: decision(ROWS[0], "edit", new_question="Which helper?"), "a later iteration was opened first"),
    ],
    ids=["approved", "reworded"],
)
def test_what_cannot_change_an_earlier_pair_does_not_wait(made: Callable[[], Decision], because: str) -> None:
    assert states(on_own([made()], PAIRS)) == [("waits", "")], "while its iteration is the newest it does"
    (found,) = on_before([made()], PAIRS, NONE)
    assert (found.state, found.command) == ("no effect", "")
    assert found.because.startswith(because)


def test_a_decision_on_a_fact_that_its_page_states_no_more_does_not_wait() -> None:
    (found,) = on_before([decision(ROWS[0])], PAIRS, NONE, retired=frozenset({ROWS[0]["fact_id"]}))
    assert (found.state, found.because) == ("no effect", "its page states the fact no more, so nothing teaches it")


def test_a_decision_on_a_pair_that_is_nowhere_any_more_says_so() -> None:
    (found,) = on_own([decision(ROWS[0])], NONE)
    assert (found.iteration, found.state, found.because) == ("", "no effect", "no iteration teaches this pair any more")


_ON_ALL = st.tuples(
    st.sampled_from(PAIRS.to_dicts()),
    st.sampled_from(["approve", "reject", "reject fact", "answer", "question"]),
    st.sampled_from(["ada", "bob"]),
    st.sampled_from([MONDAY, "2026-11-24T10:00:00+00:00"]),
)
_MEANS: dict[str, dict[str, Any]] = {"answer": NEW, "question": {"new_question": "Which one was it again?"}}


def as_said(words: Sequence[tuple[dict[str, Any], str, str, str]]) -> list[Decision]:
    in_order = sorted(words, key=lambda word: word[3])
    return [decision(row, "edit" if word in _MEANS else word, by, at, **_MEANS.get(word, {})) for row, word, by, at in in_order]


@settings(max_examples=40)  # each curates four tables
@given(st.lists(_ON_ALL, max_size=4).map(as_said))
def test_after_the_run_that_takes_decisions_up_none_of_them_waits_and_before_it_nothing_is_called_taken_up(said: list[Decision]) -> None:
    for before, after in (
        (on_own(said, PAIRS), on_own(said, remade(counting(said), DRAFTS))),
        (on_before(said, PAIRS, NONE), on_before(said, PAIRS, taken_up(said, PAIRS))),
    ):
        assert "taken up" not in {one.state for one in before}
        assert "waits" not in {one.state for one in after}
        for one, later in zip(before, after, strict=True):
            assert (one.state == "waits") >= (later.state == "taken up"), "what is taken up waited before"
            assert (one.command != "") == (one.state == "waits")
