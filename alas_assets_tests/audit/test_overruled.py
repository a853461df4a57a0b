"""What people overruled of taught facts, in which iteration, and what stands in its place now (A2, S13)."""

from typing import Any

import polars as pl

from alas_assets.audit.overruled import AfterPeople, after_people
from alas_assets.review.earlier import corrected, on_earlier, still_taught
from alas_assets.review.pairs import Decision
from alas_assets_tests.review.test_pairs import CHUNKS, DRAFTS, PAIRS, decided, remade
from alas_assets_tests.synthesis.factory import curated

FACT = PAIRS["fact_id"][0]
OWN = PAIRS.filter(pl.col("accepted") & (pl.col("fact_id") == FACT))
WORD = "ada on 2026-11-27"


def taken_up(said: list[Decision], tables: list[pl.DataFrame]) -> pl.DataFrame:
    """Make the pairs of the iteration that takes decisions on earlier ones up, as the asset does."""
    taught = still_taught(tables)
    reviewed = corrected(taught, CHUNKS, on_earlier(said, taught, tables), said)
    return reviewed.mark(curated(reviewed.drafts, CHUNKS), curated(reviewed.set_aside, CHUNKS))


def left_of(*tables: pl.DataFrame, domain: str = "quill") -> AfterPeople:
    return after_people(in_cells(*tables, domain=domain))


def in_cells(*tables: pl.DataFrame, domain: str = "quill") -> pl.DataFrame:
    return pl.concat([table.with_columns(cell=pl.lit(f"{domain}|{i:03d}")) for i, table in enumerate(tables)])


def on_new_fact(table: pl.DataFrame, edit: Decision, **changes: Any) -> Decision:
    """A later decision, by somebody else, on the fact that an edit made."""
    new = table.filter("accepted").row(0, named=True)
    same = {name: new[name] for name in ("qa_id", "fact_id", "question", "answer")}
    return edit.model_copy(update={**same, "by": "bob", "at": "2026-11-28T10:00:00+00:00", **changes})


def test_a_fact_that_nobody_spoke_of_stands_with_all_its_pairs() -> None:
    left = left_of(PAIRS)
    assert left.overruled == {}
    assert left.standing[FACT] == OWN.height


def test_a_rejected_fact_stands_no_more_and_nothing_is_in_its_place() -> None:
    left = left_of(PAIRS, taken_up(decided(decision="reject fact", comment="no use"), [PAIRS]))
    (word,) = left.overruled[FACT]
    assert FACT not in left.standing
    assert (word.cell, word.pairs, word.word, word.instead, word.refused) == (
        "quill|001",
        OWN.height,
        f"rejected by {WORD}: no use",
        [],
        "",
    )
    assert len(left.standing) == 1, "the other fact stands"


def test_one_rejected_wording_leaves_the_others_standing() -> None:
    left = left_of(PAIRS, taken_up(decided(decision="reject"), [PAIRS]))
    assert [word.pairs for word in left.overruled[FACT]] == [1]
    assert left.standing[FACT] == OWN.height - 1


def test_a_corrected_fact_names_the_one_that_is_taught_instead() -> None:
    table = taken_up(decided(decision="edit", answer="the release", aliases=""), [PAIRS])
    new = table.filter("accepted").row(0, named=True)
    left = left_of(PAIRS, table)
    (word,) = left.overruled[FACT]
    assert (word.word, word.pairs) == (f"edited by {WORD}", OWN.height)
    assert word.instead == [f"{new['question']} -> the release (fact {new['fact_id']})"]
    assert new["fact_id"] not in left.overruled


def test_two_facts_of_one_page_that_are_corrected_at_once_are_not_mixed_up() -> None:
    (one,) = decided(decision="edit", answer="the release", aliases="")
    row = PAIRS.filter(pl.col("fact_id") != FACT).row(0, named=True)
    same = {name: row[name] for name in ("qa_id", "fact_id", "question", "answer")}
    other = one.model_copy(update={**same, "new_answer": "a torn sheet"})
    left = left_of(PAIRS, taken_up([one, other], [PAIRS]))
    for fact, answer in ((FACT, "-> the release"), (row["fact_id"], "-> a torn sheet")):
        (word,) = left.overruled[fact]
        (instead,) = word.instead
        assert answer in instead


def test_a_correction_that_is_overruled_in_turn_is_followed_to_what_stands_now() -> None:
    (edit,) = decided(decision="edit", answer="the release", aliases="")
    one = taken_up([edit], [PAIRS])
    again = on_new_fact(one, edit, new_answer="adds")
    (word,) = left_of(PAIRS, one, taken_up([edit, again], [PAIRS, one])).overruled[FACT]
    (instead,) = word.instead
    assert "-> adds (fact " in instead
    gone = on_new_fact(one, edit, decision="reject fact", new_answer="", new_aliases=None)
    (word,) = left_of(PAIRS, one, taken_up([edit, gone], [PAIRS, one])).overruled[FACT]
    assert word.instead == []


def test_a_correction_that_curation_refuses_says_why_nothing_is_taught_instead() -> None:
    table = taken_up(decided(decision="edit", answer="nonsense()", aliases=""), [PAIRS])
    (word,) = left_of(PAIRS, table).overruled[FACT]
    assert word.instead == []
    assert word.refused.startswith("answer not in the quote")


def test_a_fact_that_is_taught_again_after_it_was_rejected_stands() -> None:
    left = left_of(PAIRS, taken_up(decided(decision="reject fact"), [PAIRS]), PAIRS)
    assert FACT not in left.overruled
    assert left.standing[FACT]


def test_a_reworded_question_names_its_new_wording_in_the_iteration_that_made_both() -> None:
    table = remade(decided(decision="edit", question="Which helper is for folding?"), DRAFTS)
    (word,) = left_of(table).overruled[FACT]
    assert (word.cell, word.pairs) == ("quill|000", 1)
    assert word.instead == [f"Which helper is for folding? -> crease() (fact {FACT})"]


def test_a_wording_that_is_rejected_has_nothing_in_its_place_where_another_one_of_the_fact_is_reworded() -> None:
    (reworded,) = decided(decision="edit", question="Which helper is for folding?")
    other = OWN.row(1, named=True)
    rejected = reworded.model_copy(
        update={"qa_id": other["qa_id"], "question": other["question"], "decision": "reject", "new_question": ""}
    )
    words = left_of(remade([reworded, rejected], DRAFTS)).overruled[FACT]
    assert sorted((word.word.split(" ")[0], len(word.instead)) for word in words) == [("edited", 1), ("rejected", 0)]


def test_what_a_person_said_in_one_domain_does_not_overrule_another_that_teaches_the_same_page() -> None:
    aside = taken_up(decided(decision="reject fact"), [PAIRS])
    left = after_people(pl.concat([in_cells(PAIRS, aside), in_cells(PAIRS, domain="reed")]))
    assert [word.cell for word in left.overruled[FACT]] == ["quill|001"]
    assert left.standing[FACT] == OWN.height
