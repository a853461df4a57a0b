"""What a person says of a pair that an earlier iteration taught holds from the newest iteration on (S13, A1)."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.review.earlier import corrected, on_earlier, overruled, standing, still_taught
from alas_assets.review.pairs import Decision
from alas_assets.synthesis.training_rows import build_rows
from alas_assets_tests.review.test_pairs import CHUNKS, DRAFTS, PAIRS, decided
from alas_assets_tests.synthesis.factory import curated

NEW = PAIRS.clear()


def rejected(*qa_ids: str) -> pl.DataFrame:
    """Return the table of an iteration that took up a person's word on these pairs."""
    return PAIRS.filter(pl.col("qa_id").is_in(qa_ids)).with_columns(
        accepted=False, reason=pl.lit("rejected by review: no use"), review=pl.lit("rejected by ada on 2026-11-30: no use")
    )


def test_what_a_later_iteration_set_aside_by_word_of_a_person_is_accepted_no_more_and_says_why() -> None:
    one = PAIRS["qa_id"][0]
    before, after = standing([PAIRS, rejected(one)])
    gone = before.filter(pl.col("qa_id") == one).row(0, named=True)
    assert (gone["accepted"], gone["reason"]) == (False, "rejected by review: no use")
    assert gone["review"].startswith("rejected by ada")
    assert before.filter("accepted").height == PAIRS.filter("accepted").height - 1
    assert after.equals(rejected(one))
    assert overruled([PAIRS, rejected(one)]) == {one}


def test_what_curation_rejects_later_or_a_person_rejected_before_it_was_taught_again_stands() -> None:
    one = PAIRS["qa_id"][0]
    known = rejected(one).with_columns(reason=pl.lit("already taught"), review=pl.lit(""))
    assert overruled([PAIRS, known]) == frozenset()
    assert overruled([rejected(one), PAIRS]) == frozenset()
    assert overruled([PAIRS, rejected(one), PAIRS]) == frozenset()


def test_a_decision_waits_until_an_iteration_has_taken_it_up() -> None:
    (decision,) = decided(decision="reject")
    assert on_earlier([decision], still_taught([PAIRS])) == [decision]
    assert on_earlier([decision], still_taught([PAIRS, rejected(decision.qa_id)])) == []
    (approved,) = decided(decision="approve")
    assert on_earlier([approved], still_taught([PAIRS])) == []


def test_another_answer_makes_another_fact_of_all_wordings_and_a_rejected_wording_makes_none() -> None:
    edit = decided(decision="edit", answer="the folding helper", aliases="")
    reviewed = corrected(still_taught([PAIRS]), CHUNKS, edit)
    assert [draft.answer for draft in reviewed.drafts] == ["the folding helper"]
    assert len(reviewed.drafts[0].phrasings) == len(DRAFTS[0].phrasings)
    aside = reviewed.mark(PAIRS.clear(), curated(reviewed.set_aside, CHUNKS))
    assert overruled([PAIRS, aside]) == set(PAIRS.filter(pl.col("fact_id") == edit[0].fact_id)["qa_id"])
    assert corrected(still_taught([PAIRS]), CHUNKS, decided(decision="reject")).drafts == []


def test_a_rejected_pair_is_rehearsed_no_more() -> None:
    trained = PAIRS.filter(pl.col("accepted") & (pl.col("role") == "train"))
    one = trained["qa_id"][0]
    earlier = standing([PAIRS, rejected(one)])[:1]
    rows = build_rows(NEW, earlier, [], replay_share=0.0, rehearsal_per_fact=None, seed=1, without_new=True)
    assert set(rows["row_id"]) == set(trained["qa_id"]) - {one}


@given(st.lists(st.lists(st.sampled_from(PAIRS["qa_id"].to_list()), unique=True), max_size=3))
def test_whoever_says_what_in_whatever_order_no_pair_is_won_and_only_named_ones_are_lost(said: list[list[str]]) -> None:
    tables = [PAIRS, *(rejected(*names) for names in said)]
    left = set(still_taught(tables)["qa_id"])
    assert left == set(PAIRS.filter("accepted")["qa_id"]) - {qa for names in said for qa in names}
    assert [table.height for table in standing(tables)] == [table.height for table in tables]


def test_an_edit_of_the_question_alone_is_no_word_on_an_earlier_pair() -> None:
    edit = Decision(qa_id=PAIRS["qa_id"][0], fact_id="f", question="q", answer="a", decision="edit", new_question="Which helper folds?")
    assert on_earlier([edit], still_taught([PAIRS])) == []
