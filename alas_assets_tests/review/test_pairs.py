"""A person's word on pairs passes through the same curation as a teacher's, and stays visible (S13)."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.provenance.store import table_hash
from alas_assets.records import DraftFact, Phrasing
from alas_assets.review.journal import Journal, ReviewError
from alas_assets.review.pairs import (
    COLUMNS,
    Decision,
    decisions_hash,
    decisions_of,
    decisions_without_a_pair,
    drafts_again,
    edits_not_taught,
    read_decisions,
    refused_edits,
    reviewable,
    sheet_rows,
    under_review,
)
from alas_assets.review.sheet import Line, SheetError, read_sheet, write_sheet
from alas_assets.synthesis.curate import Limits
from alas_assets_tests.synthesis.factory import TOPIC, curated, fact, page

TEXTS = ["The release adds `crease()` as the folding helper.", "Reading a torn sheet now raises `SheetError` at once."]
_, CHUNKS = page(TEXTS)
DRAFTS = [
    fact(CHUNKS, TEXTS[0], "crease()", "folding helper", train=3, aliases=["crease"]),
    fact(CHUNKS, TEXTS[1], "SheetError", "raised error", ordinal=1, train=3),
]
PAIRS = curated(DRAFTS, CHUNKS).with_columns(pl.lit("").alias("review"))
FILE = Path("f.csv")


def lines(pairs: pl.DataFrame = PAIRS, **cells: str) -> list[Line]:
    """Return the sheet of all pairs, its first row changed."""
    rows = [{**dict.fromkeys(COLUMNS, ""), **row} for row in sheet_rows(reviewable(pairs))]
    rows[0] |= cells
    return [Line(f"row {i}", row) for i, row in enumerate(rows, 2)]


def decided(pairs: pl.DataFrame = PAIRS, **cells: str) -> list[Decision]:
    decisions, _, _ = read_decisions(lines(pairs, **cells), pairs, FILE)
    return [decision.model_copy(update={"by": "ada", "at": "2026-11-27T10:00:00+00:00"}) for decision in decisions]


def remade(decisions: list[Decision], drafts: list[DraftFact] = DRAFTS, chunks: pl.DataFrame = CHUNKS) -> pl.DataFrame:
    """Make the pairs again as the asset does."""
    reviewed = under_review(drafts, chunks, decisions)
    return reviewed.mark(curated(reviewed.drafts, chunks), curated(reviewed.set_aside, chunks))


def row(pairs: pl.DataFrame, **where: Any) -> dict[str, Any]:
    return pairs.filter(**where).row(0, named=True)


FIRST = row(PAIRS, fact_id=PAIRS["fact_id"][0])


def test_without_a_decision_the_table_is_as_it_was() -> None:
    assert PAIRS["accepted"].all()
    assert table_hash(remade([])) == table_hash(PAIRS)
    assert decided() == []
    assert decisions_hash([]) == ""


def test_an_approved_pair_says_by_whom_and_when_and_is_else_unchanged() -> None:
    pairs = remade(decided(decision="approve", comment="checked"))
    assert row(pairs, qa_id=FIRST["qa_id"])["review"] == "approved by ada on 2026-11-27: checked"
    assert pairs.drop("review").equals(PAIRS.drop("review"))


def test_a_rejected_pair_stays_as_a_rejected_row_and_the_fact_goes_on_without_it() -> None:
    pairs = remade(decided(decision="Reject", comment="asks for something else"))
    gone = row(pairs, qa_id=FIRST["qa_id"])
    assert not gone["accepted"]
    assert gone["reason"] == "rejected by review: asks for something else"
    assert gone["review"].startswith("rejected by ada on 2026-11-27")
    assert gone["quote_start"] == FIRST["quote_start"]
    assert pairs.filter("accepted").height == PAIRS.height - 1
    assert pairs["qa_id"].is_unique().all()


def test_a_fact_left_with_too_few_phrasings_is_not_taught() -> None:
    _, chunks = page([TEXTS[0]])
    short = [fact(chunks, TEXTS[0], "crease()", "folding helper", train=2, aliases=["crease"])]
    pairs = remade(decided(decision="reject"), short)
    assert not pairs["accepted"].any()
    assert "too few phrasings: 1 train, 2 probe" in set(pairs["reason"])


def test_a_rejected_fact_takes_all_its_phrasings_with_it() -> None:
    pairs = remade(decided(decision="reject fact", comment="outdated"))
    mine = pairs.filter(pl.col("fact_id") == FIRST["fact_id"])
    assert mine.height == PAIRS.filter(pl.col("fact_id") == FIRST["fact_id"]).height
    assert set(mine["reason"]) == {"rejected by review: outdated"}
    assert pairs.filter("accepted")["fact_id"].n_unique() == 1


UNSEEN = [
    ("The helper | `crease()` | folds a torn sheet.", "The helper crease() folds a torn sheet."),
    ("Helpers are:\n- `crease()` folds\n- `tear()` tears", "crease() folds tear() tears"),
    ("The helper crease\u00ad() folds a torn\u200b sheet.", "The helper crease() folds a torn sheet."),
]


@pytest.mark.parametrize(("text", "quote"), UNSEEN, ids=["table", "list", "soft hyphen"])
def test_a_decision_reaches_a_fact_whose_quote_only_a_reader_sees_in_the_passage(text: str, quote: str) -> None:
    _, chunks = page([text])
    drafts = [fact(chunks, quote, "crease()", "folding helper", train=3)]
    pairs = curated(drafts, chunks)
    assert pairs["accepted"].all()
    assert pairs["quote"][0] != quote
    decisions = decided(pairs, decision="reject fact", comment="outdated")
    again = remade(decisions, drafts, chunks)
    assert set(again["reason"]) == {"rejected by review: outdated"}
    assert not again["accepted"].any()
    assert decisions_without_a_pair(decisions, again) == []
    edited = remade(decided(pairs, decision="edit", answer="`crease()`"), drafts, chunks)
    assert set(edited.filter("accepted")["answer"]) == {"`crease()`"}


def test_a_decision_that_took_no_effect_on_its_pair_is_counted() -> None:
    decisions = decided(decision="reject fact")
    assert decisions_without_a_pair(decisions, PAIRS) == decisions


@pytest.mark.security("personal data")
@pytest.mark.parametrize("cells", [{"decision": "reject fact"}, {"decision": "edit", "answer": "`crease()`"}])
def test_a_fact_with_a_private_phrasing_can_be_set_aside_and_its_address_stays_out(cells: dict[str, str]) -> None:
    private = Phrasing(text="What did ann@host.org name the folding tool?", template="train-9", role="train")
    drafts = [DRAFTS[0].model_copy(update={"phrasings": [*DRAFTS[0].phrasings, private]}), DRAFTS[1]]
    # a fact that is written twice, so that its rows are told apart by other ids too
    drafts.append(drafts[0])
    pairs = curated(drafts, CHUNKS, limits=Limits(facts_per_topic=100))
    assert "personal data or a secret: e-mail" in set(pairs["reason"])
    again = remade(decided(pairs, **cells), drafts)
    mine = again.filter(pl.col("fact_id") == FIRST["fact_id"])
    assert mine.height == len(drafts[0].phrasings)
    assert not mine["accepted"].any()
    assert (mine["review"] != "").all()
    assert again["qa_id"].is_unique().all()
    assert "ann@host" not in again.write_ndjson()


@pytest.mark.security("personal data")
def test_what_is_noted_of_an_edit_holds_no_address_of_the_text_before() -> None:
    wrong = [DRAFTS[0].model_copy(update={"aliases": ["crease", "ann@host.org"]}), DRAFTS[1]]
    refused = curated(wrong, CHUNKS)
    cells = {**dict.fromkeys(COLUMNS, ""), **sheet_rows(reviewable(refused, rejected=True))[0]}
    decisions, _, _ = read_decisions([Line("row 2", {**cells, "decision": "edit", "aliases": "crease"})], refused, FILE)
    pairs = remade(decisions, wrong)
    assert pairs.filter(fact_id=FIRST["fact_id"])["accepted"].all()
    assert "the aliases were" in pairs["review"][0]
    assert "ann@host" not in pairs.write_ndjson()


def test_an_edited_answer_holds_for_the_fact_and_the_old_rows_stay_beside() -> None:
    pairs = remade(decided(decision="edit", answer="folding helper", aliases="helper"))
    new = pairs.filter(pl.col("answer") == "folding helper")
    assert new.height == PAIRS.filter(pl.col("fact_id") == FIRST["fact_id"]).height
    assert "question contains the answer" in set(new["reason"])
    pairs = remade(decided(decision="edit", answer="`crease()`", aliases="crease"))
    new = pairs.filter((pl.col("answer") == "`crease()`") & pl.col("accepted"))
    assert set(new["review"]) == {"edited by ada on 2026-11-27: the answer was 'crease()'"}
    assert new["fact_id"].n_unique() == 1
    old = pairs.filter(pl.col("fact_id") == FIRST["fact_id"])
    assert set(old["reason"]) == {"replaced by review"}
    assert pairs.filter("accepted").height == PAIRS.height


def test_an_edited_answer_that_the_quote_does_not_give_is_refused_like_any_other() -> None:
    pairs = remade(decided(decision="edit", answer="unfold()", aliases=""))
    new = pairs.filter(pl.col("answer") == "unfold()")
    assert set(new["reason"]) == {"answer not in the quote"}
    assert not new["accepted"].any()


def test_an_edited_question_is_one_phrasing_and_edited_aliases_change_no_id() -> None:
    pairs = remade(decided(decision="edit", question="What is the folding tool named?"))
    assert row(pairs, question="What is the folding tool named?")["accepted"]
    assert row(pairs, qa_id=FIRST["qa_id"])["reason"] == "replaced by review"
    assert pairs.height == PAIRS.height + 1
    pairs = remade(decided(decision="edit", aliases="crease | the crease function"))
    assert pairs["qa_id"].to_list() == PAIRS["qa_id"].to_list()
    assert pairs.filter(pl.col("review") != "")["aliases"].to_list()[0] == ["crease", "the crease function"]
    assert "the aliases were 'crease'" in pairs["review"][0]


def test_an_edit_can_be_taken_back_and_the_last_word_on_a_pair_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "quill")

    def keep(decisions: list[Decision], at: str) -> None:
        journal.add("pairs", [decision.model_dump(exclude={"by", "at"}) for decision in decisions], by="ada", at=at)

    keep(decided(decision="edit", answer="`crease()`"), "2026-01-01")
    first = remade(decisions_of(tmp_path, "quill"))
    table = reviewable(first)
    rows = [{**dict.fromkeys(COLUMNS, ""), **cells} for cells in sheet_rows(table)]
    rows[0] |= {"decision": "edit", "answer": "crease()"}
    back, _, _ = read_decisions([Line("row 2", rows[0])], first, FILE)
    keep(back, "2026-01-02")
    again = remade(decisions_of(tmp_path, "quill"))
    assert sorted(again.filter("accepted")["qa_id"]) == sorted(PAIRS["qa_id"])
    keep(decided(decision="reject fact"), "2026-01-03")
    keep(decided(decision="approve"), "2026-01-04")
    pairs = remade(decisions_of(tmp_path, "quill"))
    assert row(pairs, qa_id=FIRST["qa_id"])["review"].startswith("approved by ada on 2026-01-04")


ALIASES = st.lists(st.text(st.sampled_from("a|\\ '-=;\u200b") | st.characters(codec="utf-8"), max_size=8), max_size=4)
"""Aliases with the signs that part a cell."""


@given(ALIASES, st.sampled_from(["csv", "jsonl"]), st.text("b|\\", min_size=1, max_size=6))
def test_an_untouched_sheet_is_taken_whatever_the_aliases_hold_and_an_alias_can_be_added(
    tmp_path_factory: pytest.TempPathFactory, aliases: list[str], suffix: str, added: str
) -> None:
    drafts = [DRAFTS[0].model_copy(update={"aliases": ["int|str", *aliases]})]
    pairs = curated(drafts, CHUNKS)
    offered = reviewable(pairs, rejected=True)
    path = tmp_path_factory.mktemp("s") / f"pairs.{suffix}"
    write_sheet(path, COLUMNS, sheet_rows(offered))
    sheet = read_sheet(path, COLUMNS)
    assert read_decisions(sheet, pairs, FILE) == ([], [], offered.height)
    more = added.replace("\\", "").replace("|", "\\|") + "b"
    edited = {**sheet[0].cells, "decision": "edit", "aliases": f"{sheet[0].cells['aliases']} | {more}"}
    [decision], _, _ = read_decisions([Line("row 2", edited)], pairs, FILE)
    assert decision.new_aliases is not None
    assert decision.new_aliases[0] == "int|str"
    assert decision.new_aliases[-1] == more.replace("\\", "")


def test_a_decision_survives_into_a_later_iteration_and_one_without_a_pair_is_counted() -> None:
    decisions = decided(decision="reject fact")
    only_other = remade(decisions, DRAFTS[1:])
    assert only_other["accepted"].all()
    assert decisions_without_a_pair(decisions, only_other) == decisions
    assert decisions_without_a_pair(decisions, remade(decisions)) == []
    assert decisions_hash(decisions) == decisions_hash(list(decisions)) != ""


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"decision": "maybe"}, "column decision: 'maybe' is none of approve, edit, reject, reject fact"),
        ({"answer": "3.1"}, "column answer: became '3.1'; write edit as the decision"),
        ({"decision": "approve", "question": "Which?"}, "column question: became 'Which?'"),
        ({"decision": "reject", "aliases": "other"}, "column aliases: became 'other'"),
        ({"decision": "edit"}, "column decision: is edit, but question, answer and aliases are as they were"),
        ({"decision": "edit", "answer": ""}, "column answer: is empty; to drop the pair write reject"),
        ({"decision": "edit", "answer": "x", "quote": "y"}, "column quote: is not what was exported"),
        ({"item": "q-nosuch"}, "column item: 'q-nosuch' is no pair"),
        ({"item": FIRST["qa_id"]}, "is no pair"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_and_nothing_is_taken(cells: dict[str, str], message: str) -> None:
    with pytest.raises(SheetError) as caught:
        decided(**cells)
    assert "f.csv: row 2" in str(caught.value)
    assert message in str(caught.value)


def test_two_edits_of_one_fact_that_differ_are_refused_with_both_places() -> None:
    sheet = lines(decision="edit", answer="one")
    sheet[1] = Line("row 3", {**sheet[1].cells, "decision": "edit", "answer": "two"})
    with pytest.raises(SheetError, match="row 3, column answer: is edited otherwise in row 2"):
        read_decisions(sheet, PAIRS, FILE)
    sheet[1] = sheet[0]
    with pytest.raises(SheetError, match="stands in row 2 already"):
        read_decisions(sheet, PAIRS, FILE)


def test_a_rejected_pair_can_be_saved_by_an_edit_but_not_by_approval() -> None:
    wrong = [fact(CHUNKS, TEXTS[0], "unfold()", "folding helper", train=3), DRAFTS[1]]
    refused = curated(wrong, CHUNKS).with_columns(pl.lit("").alias("review"))
    offered = reviewable(refused, rejected=True)
    assert reviewable(refused).height == offered.height - 6
    cells = {**dict.fromkeys(COLUMNS, ""), **sheet_rows(offered)[0]}
    assert cells["status"] == "rejected: answer not in the quote"
    with pytest.raises(SheetError, match="was refused"):
        read_decisions([Line("row 2", {**cells, "decision": "approve"})], refused, FILE)
    decisions, _, _ = read_decisions([Line("row 2", {**cells, "decision": "edit", "answer": "crease()"})], refused, FILE)
    pairs = remade(decisions, wrong)
    assert row(pairs, answer="crease()")["accepted"]


def test_edits_are_checked_by_curation_before_they_are_kept() -> None:
    def refused(decisions: list[Decision]) -> dict[int, str]:
        reviewed = under_review(drafts_again(PAIRS, decisions), CHUNKS, decisions)
        return refused_edits(reviewed, curated(reviewed.drafts, CHUNKS, topics=[TOPIC]), decisions, CHUNKS)

    assert refused(decided(decision="edit", answer="`crease()`")) == {}
    assert refused(decided(decision="edit", question="What is the folding tool named?")) == {}
    assert refused(decided(decision="edit", answer="unfold()", aliases="")) == {0: "answer not in the quote"}
    assert refused(decided(decision="edit", answer="unfold()")) == {0: "answer not in the quote"}, "old aliases vouch for no other"
    assert refused(decided(decision="edit", question="Is crease() the folding helper?")) == {0: "question contains the answer"}
    both = [*decided(decision="edit", question="What is the folding tool named?"), *decided(decision="reject fact")]
    assert refused(both) == {0: "another decision in this file drops it"}


def test_a_kept_decision_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    Journal(tmp_path, "quill").add("pairs", [{"qa_id": "x"}], by="ada", at="1")
    with pytest.raises(ReviewError, match="of ada cannot be read"):
        decisions_of(tmp_path, "quill")


@given(st.dictionaries(st.sampled_from(COLUMNS), st.text(max_size=30) | st.sampled_from(["edit", "reject", "approve", "reject fact"])))
def test_whatever_a_row_holds_it_is_read_or_refused_and_no_accepted_pair_lacks_its_quote(cells: dict[str, str]) -> None:
    try:
        decisions, _, blank = read_decisions([Line("row 2", {**lines()[0].cells, **cells})], PAIRS, FILE)
    except SheetError as error:
        assert "row 2, column" in str(error)  # noqa: PT017 - either outcome is right
        return
    assert len(decisions) + blank == 1
    pairs = remade(decisions)
    assert pairs["qa_id"].is_unique().all()
    for accepted in pairs.filter("accepted").iter_rows(named=True):
        assert accepted["quote"] in TEXTS


def test_a_sheet_that_rejects_a_fact_and_approves_or_edits_a_pair_of_it_is_refused() -> None:
    sheet = lines(decision="reject fact")
    sheet[1] = Line("row 3", {**sheet[1].cells, "decision": "approve"})
    with pytest.raises(SheetError, match="row 3, column decision: is approve, but row 2, which is about the same fact, rejects"):
        read_decisions(sheet, PAIRS, FILE)


def test_an_edit_that_curation_refuses_is_named_and_one_that_is_taught_or_replaced_is_not() -> None:
    taught = remade(decided(decision="edit", answer="the release", aliases=""))
    assert not taught.filter(pl.col("review").str.starts_with("edited by ")).is_empty()
    assert edits_not_taught(taught).is_empty()
    refused = remade(decided(decision="edit", answer="nonsense()", aliases=""))
    assert set(edits_not_taught(refused)["answer"]) == {"nonsense()"}
    assert set(edits_not_taught(refused)["reason"]) == {"answer not in the quote"}
