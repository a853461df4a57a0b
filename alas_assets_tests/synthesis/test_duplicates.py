"""Facts that say the same, and facts that ask one relation from both ends, are found; what differs in a name or number is not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.records import DraftFact, Phrasing, Topic
from alas_assets.synthesis.curate import Limits
from alas_assets.synthesis.duplicates import Embed, Statement, _Comparable, _one_answer, _same_names, find_kinship, groups
from alas_assets.synthesis.wording import hard_tokens

from .factory import curated, fact, page


def said(
    key: str, quote: str, answer: str, *questions: str, page: str = "", span: tuple[int, int] = (0, 0), aliases: Sequence[str] = ()
) -> Statement:
    """Return a statement on a page of its own unless one is named."""
    return Statement(key, (page or key, ""), span, quote, answer, tuple(aliases), questions)


def all_alike(texts: list[str]) -> np.ndarray:
    """Embed every text alike: all of them mean the same."""
    return np.ones((len(texts), 1))


def pairs_of(*statements: Statement, embed: Embed | None = None) -> tuple[set[tuple[str, str]], set[tuple[str, str]], set[tuple[str, str]]]:
    found = find_kinship(statements, embed)
    return set(found.twins), set(found.restated), set(found.reversed)


SUMMARY = said("a", "PEP 686: UTF-8 is the default", "PEP 686", "Which PEP made UTF-8 the default encoding in Quill 3?")
DETAIL = said("b", "See PEP 686 for details.", "PEP 686", "Which PEP made UTF-8 the encoding by default in Quill 3?")


def test_one_question_with_one_answer_on_two_pages_is_found_by_its_letters() -> None:
    assert pairs_of(SUMMARY, DETAIL) == ({("a", "b")}, set(), set())


def test_the_same_in_other_words_is_found_by_its_meaning_only() -> None:
    other = said("b", "See PEP 686 for details.", "PEP 686", "Which PEP describes the switch to UTF-8 in Quill 3?")
    assert pairs_of(SUMMARY, other)[0] == set()
    assert pairs_of(SUMMARY, other, embed=all_alike)[0] == {("a", "b")}


def test_what_differs_in_a_version_a_number_or_a_name_is_never_a_twin_however_alike() -> None:
    asked = "In which release of Quill was the reader `{}` of level {} removed?"
    facts = [
        said(f"{name}{level}", f"The reader `{name}` of level {level} was removed in 3.15.", "3.15", asked.format(name, level))
        for name in ("fold", "crease")
        for level in (1, 2)
    ]
    assert pairs_of(*facts, embed=all_alike) == (set(), set(), set())


def test_records_that_are_each_asked_by_an_id_of_their_own_are_not_compared_though_thousands_share_an_answer() -> None:
    records = [f"CVE-2026-{number}" for number in range(10_000, 13_000)]
    facts = [said(record, f"{record} has high severity.", "high", f"Which severity does {record} have?") for record in records]
    embedded: list[str] = []

    def noting(texts: list[str]) -> np.ndarray:
        embedded.extend(texts)
        return all_alike(texts)

    assert pairs_of(*facts, embed=noting) == (set(), set(), set())
    assert embedded == []
    twin = said("again", "Its severity is high.", "high", "Which severity does CVE-2026-10000 have?")
    assert pairs_of(*facts, twin, embed=noting)[0] == {("CVE-2026-10000", "again")}
    assert len(embedded) == 2


def test_a_name_that_only_the_passage_shows_as_code_counts_as_a_name() -> None:
    asked = "How is the output of the {} command shown by default in Quill 3?"
    one, two = (
        Statement(
            name, (name, ""), (0, 0), "The output is colored.", "colored", (), (asked.format(name),), f"`{name}`: The output is colored."
        )
        for name in ("tokenize", "pickletools")
    )
    assert pairs_of(one, two, embed=all_alike)[0] == set()


def test_two_questions_that_exchange_a_word_are_no_twins_by_their_letters() -> None:
    one = said("a", "Copying is fast.", "fast", "How is the copying of long lists of many names described in the notes?")
    two = said("b", "Sorting is fast.", "fast", "How is the sorting of long lists of many names described in the notes?")
    assert pairs_of(one, two)[0] == set()


def test_an_alias_in_common_is_not_the_same_answer() -> None:
    one = said("a", "`fold.dip()` and `crease.dip()` are new.", "fold.dip()", "Which function is new in Quill 3?", aliases=["dip()"])
    two = said("b", "`fold.dip()` and `crease.dip()` are new!", "crease.dip()", "Which functions are new in Quill 3?", aliases=["dip()"])
    assert pairs_of(one, two, embed=all_alike)[:2] == (set(), set())


def test_a_fact_asked_from_both_ends_in_one_sentence_is_reversed() -> None:
    quote = "PEP 661 adds the sentinel type."
    forth = said("a", quote, "sentinel", "What does PEP 661 add?", page="p", span=(0, 31))
    back = said("b", quote, "PEP 661", "Which PEP adds the sentinel type?", page="p", span=(0, 31))
    assert pairs_of(forth, back) == (set(), set(), {("a", "b")})


def test_a_fact_asked_from_both_ends_on_two_pages_is_reversed_if_half_of_the_phrasings_ask_so() -> None:
    forth = said("a", "PEP 661: Add the sentinel type", "sentinel", "What does PEP 661 add?", "What is new by PEP 661?")
    back = said("b", "The sentinel type is new (PEP 661).", "PEP 661", "Which PEP adds the sentinel type?", "Which proposal is it?")
    vague = said("c", "The sentinel type is new (PEP 661).", "PEP 661", "Which is it?", "Which one?", "The sentinel type is by which PEP?")
    assert pairs_of(forth, back)[2] == {("a", "b")}
    assert pairs_of(forth, vague)[2] == set()


def test_two_facts_of_one_sentence_that_do_not_ask_for_each_other_are_apart() -> None:
    quote = "`fold()` is faster and `crease()` is gone."
    one = said("a", quote, "fold()", "Which function is faster?", page="p", span=(0, 40))
    two = said("b", quote, "crease()", "Which function is gone?", page="p", span=(0, 40))
    assert pairs_of(one, two) == (set(), set(), set())


def test_one_sentence_with_one_answer_is_restated_where_the_questions_differ() -> None:
    quote = "`fold()` (PEP 9) replaces the old reader."
    one = said("a", quote, "fold()", "What does PEP 9 bring?", page="p", span=(0, 41))
    two = said("b", quote, "fold()", "What replaces the old reader?", page="p", span=(0, 41))
    assert pairs_of(one, two) == (set(), {("a", "b")}, set())


def test_groups_join_what_is_paired_through_others_and_keep_the_name_that_an_earlier_iteration_gave() -> None:
    assert groups([("b", "c"), ("c", "d")], ["a", "b", "c", "d"]) == {"a": "a", "b": "b", "c": "b", "d": "b"}
    assert groups([("b", "c"), ("c", "d")], ["a", "b", "c", "d"], {"d": "old", "a": "a"})["b"] == "old"


ANSWERS = st.sampled_from(["fold()", "crease()", "3.15", "3.14", "the reader"])
STATEMENTS = st.lists(
    st.builds(
        lambda page, start, answer, asked, number: (page, start, f"{asked} {answer} in {number}.", answer, f"What is {asked} in {number}?"),
        st.sampled_from("pq"),
        st.integers(0, 5),
        ANSWERS,
        st.sampled_from(["new by `fold()`", "gone with the reader", "faster since 3.15"]),
        st.sampled_from(["3.14", "3.15", "the end"]),
    ),
    max_size=12,
)


@given(STATEMENTS, st.booleans())
def test_twins_share_answer_and_names_and_no_pair_is_found_twice(drawn: list[tuple[str, int, str, str, str]], meaning: bool) -> None:
    facts = [
        said(f"k{i:02}", quote, answer, asked, page=name, span=(start, start + 3))
        for i, (name, start, quote, answer, asked) in enumerate(drawn)
    ]
    found = find_kinship(facts, all_alike if meaning else None)
    by_key = {statement.key: statement for statement in facts}
    for one, other in found.twins:
        a, b = by_key[one], by_key[other]
        assert a.answer == b.answer
        assert hard_tokens(a.questions[0]) == hard_tokens(b.questions[0])
    assert not set(found.twins) & set(found.restated)
    assert all(one < other for pairs in (found.twins, found.restated, found.reversed) for one, other in pairs)
    assert find_kinship(facts, all_alike if meaning else None) == found


@given(st.lists(st.text(max_size=40), min_size=1, max_size=4), st.text(max_size=40), st.text(max_size=40))
def test_any_text_can_be_compared(questions: list[str], quote: str, answer: str) -> None:
    facts = [Statement(key, ("p", ""), (0, 5), quote, answer, (), tuple(questions)) for key in "abc"]
    find_kinship(facts, all_alike)


# ---------------------------------------------------------------------------------------------- in curation


def reworded(draft_words: str, role: str, i: int) -> Phrasing:
    return Phrasing(text=draft_words, template=f"other-{role}-{i}", role=role)  # pyright: ignore[reportArgumentType]


def in_other_words(chunks: pl.DataFrame) -> DraftFact:
    draft = fact(chunks, chunks["text"][0], "alpha", "item")
    draft.phrasings = [
        *(reworded(text, "train", i) for i, text in enumerate(["What is in the new shelf?", "Tell what the shelf has gained."])),
        *(reworded(text, "probe", i) for i, text in enumerate(["The shelf now has?", "Name what came to the shelf."])),
    ]
    return draft


NAMED = st.lists(st.sampled_from(["`run()`", "`walk()`", "3.15", "CVE-2026-1", "limit", "high"]), max_size=4).map(" ".join)


@given(st.lists(st.tuples(NAMED, NAMED, NAMED), min_size=2, max_size=8))
def test_whatever_can_be_one_answer_is_compared_and_whatever_can_be_a_twin_is_known_both_ways(drawn: list[tuple[str, str, str]]) -> None:
    facts = [said(str(i), quote, "high", *asked) for i, (quote, *asked) in enumerate(drawn)]
    comparable = _Comparable(facts, range(len(facts)))
    for i, one in enumerate(facts):
        for j, other in enumerate(facts[i + 1 :], i + 1):
            if _one_answer(one, other):
                assert j in comparable.partners(i)
                assert {i, j} <= set(comparable.compared())
            if _same_names(one, other):
                assert {i, j} <= set(comparable.known_both_ways())


def test_of_facts_that_say_the_same_one_is_taught_and_the_other_kept_with_its_reason() -> None:
    _, one = page(["It adds `alpha` to the shelf."], "a.html")
    _, two = page(["The shelf has gained `alpha`."], "b.html")
    chunks = pl.concat([one, two])
    drafts = [
        fact(one, "It adds `alpha` to the shelf.", "alpha", "new item"),
        in_other_words(two),
    ]
    apart = curated(drafts, chunks)  # pyright: ignore[reportArgumentType]
    assert apart["accepted"].all()
    joined = curated(drafts, chunks, embed=all_alike)  # pyright: ignore[reportArgumentType]
    assert joined.filter("accepted")["url"].unique().to_list() == ["http://site.test/a.html"]
    assert joined["fact_group"].n_unique() == 1
    assert set(joined.filter(~pl.col("accepted"))["reason"]) == {f"says the same as another fact: {joined['fact_id'][0]}"}


def test_a_fact_that_an_earlier_page_taught_in_other_words_is_not_taught_again_unless_it_is_weak() -> None:
    _, one = page(["It adds `alpha` to the shelf."], "a.html")
    _, two = page(["The shelf has gained `alpha`."], "b.html")
    first = curated([fact(one, "It adds `alpha` to the shelf.", "alpha", "new item")], one)
    again = in_other_words(two)
    more = {"earlier_fact_ids": frozenset(first["fact_id"]), "earlier_qa": [first], "embed": all_alike}
    second = curated([again], two, **more)  # pyright: ignore[reportArgumentType]
    assert set(second["reason"]) == {f"already taught: says the same as {first['fact_id'][0]}"}
    assert set(second["fact_group"]) == set(first["fact_group"])
    weak = Topic(topic_id="t1", name="Gadgets", origin="remediation")
    assert curated([again], two, topics=[weak], **more)["accepted"].all()  # pyright: ignore[reportArgumentType]
    gone = curated([again], two, retired_facts=frozenset(first["fact_id"]), **more)  # pyright: ignore[reportArgumentType]
    assert gone["accepted"].all()


def test_a_fact_asked_in_both_directions_shares_a_group_and_both_are_taught() -> None:
    text = "PEP 661 adds the `sentinel` type."
    _, chunks = page([text])
    forth, back = fact(chunks, text, "sentinel", "type of PEP 661"), fact(chunks, text, "PEP 661", "origin of the sentinel type")
    frame = curated([forth, back], chunks, limits=Limits(facts_per_topic=10))
    assert frame["accepted"].all()
    assert frame["fact_group"].n_unique() == 1
