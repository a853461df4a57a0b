"""What a person says of a pair that an earlier iteration taught holds from the newest iteration on (S13, A1)."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.review.earlier import corrected, on_earlier, overruled, standing, still_taught
from alas_assets.review.pairs import Decision
from alas_assets.synthesis.training_rows import build_rows
from alas_assets_tests.review.test_pairs import CHUNKS, PAIRS, decided
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


def set_aside(decisions: list[Decision], tables: list[pl.DataFrame]) -> tuple[list[str], pl.DataFrame]:
    """Carry decisions out as the next iteration does; return the answers drafted anew, and what is set aside."""
    taught = still_taught(tables)
    reviewed = corrected(taught, CHUNKS, on_earlier(decisions, taught, tables), decisions)
    aside = reviewed.mark(PAIRS.clear(), curated(reviewed.set_aside, CHUNKS))
    anew = curated(reviewed.drafts, CHUNKS).with_columns(pl.lit("").alias("review"))
    return [draft.answer for draft in reviewed.drafts], pl.concat([aside, anew.select(aside.columns)])


def later(one: Decision, **changes: object) -> Decision:
    return one.model_copy(update={"by": "bob", "at": "2026-11-28T10:00:00+00:00", **changes})


def test_a_decision_waits_until_an_iteration_has_taken_it_up() -> None:
    (decision,) = decided(decision="reject")
    taught = still_taught([PAIRS])
    assert on_earlier([decision], taught, [PAIRS]) == [decision]
    _, aside = set_aside([decision], [PAIRS])
    assert on_earlier([decision], still_taught([PAIRS, aside]), [PAIRS, aside]) == []
    (approved,) = decided(decision="approve")
    assert on_earlier([approved], taught, [PAIRS]) == []


def test_another_answer_makes_another_fact_of_all_wordings_and_a_rejected_wording_makes_none() -> None:
    edit = decided(decision="edit", answer="the folding helper", aliases="")
    answers, aside = set_aside(edit, [PAIRS])
    assert answers == ["the folding helper"]
    assert overruled([PAIRS, aside]) == set(PAIRS.filter(pl.col("fact_id") == edit[0].fact_id)["qa_id"])
    assert set_aside(decided(decision="reject"), [PAIRS])[0] == []


def test_what_is_said_of_a_corrected_fact_holds_in_the_iteration_that_took_the_correction_up() -> None:
    (edit,) = decided(decision="edit", answer="the release", aliases="")
    _, taken_up = set_aside([edit], [PAIRS])
    new = taken_up.filter("accepted").row(0, named=True)
    same = {"qa_id": new["qa_id"], "fact_id": new["fact_id"], "question": new["question"], "answer": new["answer"]}
    assert set_aside([edit, later(edit, **same, decision="reject fact", new_answer="")], [PAIRS])[0] == []
    assert set_aside([edit, later(edit, **same, new_answer="the folding helper")], [PAIRS])[0] == ["the folding helper"]
    answers, aside = set_aside([edit, later(edit, **same, new_answer=edit.answer, new_aliases=["crease"])], [PAIRS])
    assert answers == []
    assert overruled([PAIRS, aside]) == frozenset(), "edited back before it was taken up: it stays as it was taught"


def test_a_correction_that_was_edited_back_is_not_taken_up_again_in_every_iteration() -> None:
    (edit,) = decided(decision="edit", answer="the release", aliases="")
    _, one = set_aside([edit], [PAIRS])
    new = one.filter("accepted").row(0, named=True)
    same = {"qa_id": new["qa_id"], "fact_id": new["fact_id"], "question": new["question"], "answer": new["answer"]}
    back = later(edit, **same, new_answer=edit.answer, new_aliases=["crease"])
    answers, two = set_aside([edit, back], [PAIRS, one])
    assert answers == [edit.answer]
    tables = [PAIRS, one, two]
    assert on_earlier([edit, back], still_taught(tables), tables) == []


def test_of_a_fact_that_is_corrected_and_one_wording_rejected_the_wording_is_gone_in_whatever_order_it_was_said() -> None:
    (edit,) = decided(decision="edit", answer="the folding helper", aliases="")
    other = PAIRS.filter(pl.col("accepted") & (pl.col("fact_id") == edit.fact_id) & (pl.col("qa_id") != edit.qa_id)).row(0, named=True)
    reject = later(edit, qa_id=other["qa_id"], question=other["question"], decision="reject", new_answer="", new_aliases=None)
    for said in ([edit, reject], [reject, edit]):
        taught = still_taught([PAIRS])
        reviewed = corrected(taught, CHUNKS, on_earlier(said, taught, [PAIRS]), said)
        assert other["question"] not in {phrasing.text for draft in reviewed.drafts for phrasing in draft.phrasings}


def test_a_fact_that_is_left_without_a_wording_to_train_or_to_ask_by_is_set_aside_as_a_whole() -> None:
    (first,) = decided(decision="reject")
    own = PAIRS.filter(pl.col("accepted") & (pl.col("fact_id") == first.fact_id))
    probes = own.filter(pl.col("role") == "probe").to_dicts()
    said = [first.model_copy(update={"qa_id": row["qa_id"], "question": row["question"]}) for row in probes]
    _, aside = set_aside(said, [PAIRS])
    assert overruled([PAIRS, aside]) == set(own["qa_id"])


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
    assert on_earlier([edit], still_taught([PAIRS]), [PAIRS]) == []
