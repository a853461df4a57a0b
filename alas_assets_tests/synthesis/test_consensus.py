"""Who supports a fact, what counts as a disagreement, and what neither a false page nor one busy source can do (R7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.domains.config import Consensus
from alas_assets.hosts import site_of
from alas_assets.records import DraftFact, as_pairs
from alas_assets.retrieval.chunk import split
from alas_assets.synthesis.claims import Claim, Finding, same_place
from alas_assets.synthesis.consensus import Candidate, Rules, dispute_table, over_the_caps, spread, weigh
from alas_assets.synthesis.contradiction import _frame, _of_one_place, disputes
from alas_assets.synthesis.curate import Limits, reasons
from alas_assets.synthesis.disputed import lost_since
from alas_assets.synthesis.probes import build_probes
from alas_assets.synthesis.sense import content_stems, numbers
from alas_assets.synthesis.standing import no_longer_stated
from alas_assets.synthesis.support import _Sentence, _Statements, _states
from alas_assets.synthesis.training_rows import standing_rows
from alas_assets.teachers.extractive import ExtractiveTeacher

from .factory import TOPIC, curated, fact, page

NOBODY = Rules(primary_hosts=("nobody.test",))
ANYONE = Rules(Consensus(min_support=1, max_share=1.0, max_per_url=1000), ("nobody.test",))
QUILL = "What is new in Quill 3"


def claim(quote: str, answer: str, url: str, place: str = "Quill 3", kind: str = "quantity", question: str = "", **more: object) -> Claim:
    return Claim(
        fact_id=f"{url}|{quote}|{answer}",
        page=url,
        quote=quote,
        answer=answer,
        aliases=(),
        kind=kind,
        questions=(question or f"What is said about {quote.replace(answer, '___')}",),
        place=place,
    )


def sites(number: int) -> list[str]:
    return [f"http://site{i}.test/" for i in range(number)]


def passages(pages: dict[str, str], title: str = QUILL) -> pl.DataFrame:
    """Return what the retrieval step stores of pages by URL."""
    frames = []
    for url, body in pages.items():
        text = f"# {title}\n\n{body}\n"
        _, stored = page([chunk.text for chunk in split(text, url)], name="", site=url, title=title)
        frames.append(stored)
    return pl.concat(frames)


def written(chunks: pl.DataFrame) -> list[DraftFact]:
    """Return what the extractive teacher writes about each page, under one topic."""
    pages = chunks.partition_by("page_id", maintain_order=True)
    return [draft for one in pages for draft in ExtractiveTeacher().write_topic(TOPIC, one, 1000, 6).facts]


def taught(chunks: pl.DataFrame, rules: Rules | None, **more: object) -> pl.DataFrame:
    return curated(written(chunks), chunks, limits=Limits(facts_per_topic=1000), rules=rules, **more)  # pyright: ignore[reportArgumentType]


def accepted_of(pairs: pl.DataFrame, url: str = "") -> set[str]:
    return set(pairs.filter(pl.col("accepted") & pl.col("url").str.starts_with(url))["answer"])


# ---------------------------------------------------------------------------------------------- a false page among ten

TRUE = (
    "The default value of the `depth` parameter of `dip()` is now 7.",
    "The `fold()` function was deprecated in favour of `crease()`.",
    "Building Quill now requires GCC 12.3 or newer.",
    "Reading a torn sheet with `scan()` now raises `SheetError`.",
)
ANSWERS = {"dip()", "fold()", "crease()", "GCC 12.3", "SheetError"}
FALSE = (
    "The default value of the `depth` parameter of `dip()` is now 99.",
    "The `crease()` function was deprecated in favour of `fold()`.",
    "Building Quill now requires GCC 4.1 or newer.",
    "The `wipe()` function was deprecated in favour of `burn()`.",
    "Reading an open letter with `scan()` now raises `BurnError`.",
)


def ten_pages() -> dict[str, str]:
    own = [f"The `tool{i}()` function was deprecated in favour of `device{i}()`." for i in range(9)]
    pages = {url: "\n\n".join((*TRUE[i % 2 :], *TRUE[: i % 2], own[i])) for i, url in enumerate(sites(9))}
    return {**pages, "http://liar.test/": "\n\n".join(FALSE)}


def test_of_one_false_page_among_ten_no_fact_is_accepted() -> None:
    chunks = passages(ten_pages())
    drafts = written(chunks)
    assert sum(draft.chunk_id in set(chunks.filter(pl.col("url") == "http://liar.test/")["chunk_id"]) for draft in drafts) >= 4
    pairs = taught(chunks, NOBODY)
    assert accepted_of(pairs, "http://liar.test/") == set()
    assert {"GCC 4.1", "burn()", "BurnError"}.isdisjoint(accepted_of(pairs))
    assert "SheetError" in accepted_of(pairs)  # nine pages state it, none denies it
    assert not any(answer.startswith("device") for answer in accepted_of(pairs))  # only one page states each


def test_a_false_page_cannot_move_what_primary_pages_state_where_they_are_believed() -> None:
    chunks = passages({"http://quill.test/": "\n\n".join(TRUE), "http://liar.test/": "\n\n".join(FALSE)})
    honest = accepted_of(taught(passages({"http://quill.test/": "\n\n".join(TRUE)}), None))
    primary = Rules(Consensus(disputed="primary"), ("quill.test",))
    assert accepted_of(taught(chunks, primary)) == honest
    cautious = taught(chunks, Rules(primary_hosts=("quill.test",)))
    assert accepted_of(cautious, "http://liar.test/") == set()
    assert "GCC 12.3" not in accepted_of(cautious)
    assert "SheetError" in accepted_of(cautious)


# ---------------------------------------------------------------------------------------------- support

STATED = "The `fold()` function was deprecated in favour of `crease()`."


def support(quote: str, answer: str, others: dict[str, str], title: str = QUILL) -> int:
    chunks = passages({"http://own.test/": quote})
    rest = [passages({url: text}, title) for url, text in others.items()]
    one = claim(quote, answer, "http://own.test/", place=QUILL, kind="identifier")
    return weigh([one], pl.concat([chunks, *rest]))[one.fact_id].support


def test_support_counts_registrable_domains_and_not_pages() -> None:
    others = {"http://a.one.test/": STATED, "http://b.one.test/": STATED, "http://two.test/": STATED, "http://own.test/more": STATED}
    assert support(STATED, "crease()", others) == 3


@pytest.mark.parametrize(
    "text",
    [
        "The fold() function was deprecated in favour of crease().",
        "In Quill 3, the `fold()` function has been deprecated in favour of `crease()`.",
        "- `fold()`: this function is now deprecated in favour of `crease()`.",
    ],
)
def test_the_same_said_in_other_forms_supports(text: str) -> None:
    assert support(STATED, "crease()", {"http://two.test/": text}) == 2


@pytest.mark.parametrize(
    "text",
    [
        "The `crease()` function was deprecated in favour of `fold()`.",
        "The `fold()` function was not deprecated in favour of `crease()`.",
        "The `fold()` function was removed in favour of `crease()`.",
        "The `fold2()` function was deprecated in favour of `crease()`.",
        "The `fold()` function was deprecated in favour of `pleat()`.",
        "The `fold()` function was deprecated by `crease()` in favour of it.",
        "The `fold()` function may be deprecated in favour of `crease()`.",
        "The `fold()` function stays, the `bend()` function was deprecated in favour of `crease()`, and all other functions remain.",
    ],
)
def test_what_says_something_else_does_not_support(text: str) -> None:
    assert support(STATED, "crease()", {"http://two.test/": text}) == 1


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("The default depth of `dip()` went from 9 to 7.", "The default depth of `dip()` went from 7 to 9."),
        ("The default depth of `dip()` went to 7 from 9.", "The default depth of `dip()` went from 7 to 9."),
        ("The default depth of `dip()` is 7.", "The default depth of `dip()` is less than 7."),
        ("`eggs` took the place of 7 spoons.", "`eggs` lost the place of 7 spoons."),
    ],
)
def test_numbers_in_other_places_do_not_support(quote: str, text: str) -> None:
    assert support(quote, "7", {"http://two.test/": text}) == 1


def test_names_in_a_pages_title_do_not_excuse_their_order() -> None:
    title = "The `fold()` and `crease()` functions in Quill 3"
    reversed_ = "The `crease()` function was deprecated in favour of `fold()`."
    assert support(STATED, "crease()", {"http://two.test/": STATED}, title=title) == 2
    assert support(STATED, "crease()", {"http://two.test/": reversed_}, title=title) == 1


def test_a_page_on_another_release_does_not_support() -> None:
    assert support(STATED, "crease()", {"http://two.test/": STATED}, title="What is new in Quill 2") == 1


SENTENCES = st.lists(
    st.sampled_from(
        ["the", "is", "`high`", "low", "severity", "Quill", "3", "3.1", "CVE-2026-1", "rated", "not", "in", "`run()`", "of", "risk's"]
    ),
    max_size=9,
).map(" ".join)
PLACES = st.sampled_from(["", "Quill 3", "Quill 3.1 high", "CVE-2026-1 CVE-2026-1: severity of run", "the risk in 3"])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(SENTENCES, PLACES), max_size=12),
    SENTENCES,
    st.lists(st.sampled_from(["high", "`run()`", "3.1", "risk low", ""]), min_size=1),
    PLACES,
)
def test_an_index_finds_the_sentences_that_state_a_claim_as_reading_them_all_does(
    read: list[tuple[str, str]], quote: str, answers: list[str], place: str
) -> None:
    """One claim is also that of a sentence which was read, else hardly any would be stated."""
    sentences = [_Sentence(f"site{i}.test", text, about) for i, (text, about) in enumerate(read)]
    held = {word: sum(word in sentence.stems for sentence in sentences) for sentence in sentences for word in sentence.stems}
    index = _Statements(sentences)
    for said, about in ((quote, place), *read[:3]):
        asked = Claim("f", "http://own.test/", said, answers[0], tuple(answers[1:]), "phrase", ("q",), about)
        rare = [min(stems, key=lambda word: held.get(word, 0)) for stems in map(content_stems, asked.answers) if stems]
        assert index.sites(asked) == {one.site for one in sentences if any(word in one.stems for word in rare) and _states(one, asked)}


@pytest.mark.timeout(90)
def test_thousands_of_claims_with_one_answer_are_held_against_sentences_of_their_own_records_only() -> None:
    records = [f"CVE-2026-{number}" for number in range(10_000, 14_000)]
    index = _Statements([_Sentence("other.test", f"The severity of {record} is `high`.", f"{record}: a flaw") for record in records])
    claims = [claim(f"The severity of {record} is high.", "high", f"http://own.test/{record}", f"{record}: a flaw") for record in records]
    assert all(index.sites(one) == {"other.test"} for one in claims)


def test_what_earlier_iterations_accepted_supports_until_its_page_no_longer_states_it() -> None:
    text = "The `fold()` function was deprecated in favour of `crease()` in Quill 3."
    _, old = page([text], site="http://old.test/")
    first = curated([fact(old, text, "crease()", "successor of `fold()` in Quill 3")], old)
    _, new = page([text], site="http://new.test/")
    draft = fact(new, text, "crease()", "successor of `fold()` in Quill 3", mine=0)
    assert set(curated([draft], new, earlier_qa=[first], rules=ANYONE)["support"]) == {2}
    assert set(curated([draft], new, earlier_qa=[first], rules=ANYONE, retired_facts=frozenset(first["fact_id"]))["support"]) == {1}


def test_a_fact_of_a_host_that_is_not_primary_needs_a_second_domain() -> None:
    alone = passages({"http://one.test/": STATED})
    assert reasons(taught(alone, NOBODY))["reason"].to_list() == ["too little support"]
    assert "one.test is not in sources.primary_hosts" in taught(alone, NOBODY)["reason"][0]
    assert accepted_of(taught(alone, Rules(primary_hosts=("one.test",)))) == {"fold()", "crease()"}
    both = passages({"http://one.test/": STATED, "http://two.test/": STATED})
    assert accepted_of(taught(both, NOBODY)) == {"fold()", "crease()"}
    strict = Rules(Consensus(min_support_primary=2), ("one.test",))
    assert reasons(taught(alone, strict))["reason"].to_list() == ["too little support"]


def test_by_default_every_host_is_primary_and_nothing_is_lost() -> None:
    chunks = passages({"http://one.test/": "\n\n".join(TRUE)})
    assert accepted_of(taught(chunks, None)) == ANSWERS


# ---------------------------------------------------------------------------------------------- disagreement


def flagged(*claims: Claim) -> bool:
    return bool(disputes(claims))


def test_two_domains_that_give_one_question_two_answers_are_flagged() -> None:
    one = claim("The default depth of `dip()` is 7.", "7", "http://one.test/")
    two = claim("The default depth of `dip()` is 9.", "9", "http://two.test/")
    assert flagged(one, two)
    finding = weigh([one, two], passages({"http://x.test/": ""}))[one.fact_id]
    assert finding.disputed_with == (two.fact_id,)
    assert finding.reason == (
        "disputed: one.test says “The default depth of `dip()` is 7.” (http://one.test/), "
        "two.test says “The default depth of `dip()` is 9.” (http://two.test/)"
    )


def test_two_pages_of_one_domain_are_flagged_and_marked_apart() -> None:
    one = claim("The default depth of `dip()` is 7.", "7", "http://one.test/a")
    two = claim("The default depth of `dip()` is 9.", "9", "http://www.one.test/b")
    assert "two pages of one domain" in weigh([one, two], passages({"http://x.test/": ""}))[two.fact_id].reason


@pytest.mark.parametrize(
    ("sentence", "one", "two"),
    [
        ("In Quill 4.2 the pool has {} workers.", "2", "8"),
        ("The default of `limit3` in Quill 4.2 is {}.", "3", "5"),
        ("The `pipe()` function was replaced by `{}`.", "pip", "shim"),
    ],
)
def test_an_answer_that_is_a_piece_of_another_word_of_the_sentence_is_flagged_too(sentence: str, one: str, two: str) -> None:
    kind = "quantity" if one.isdigit() else "identifier"
    a = claim(sentence.format(one), one, "http://one.test/", "Quill 4.2", kind, question="What, asked one way?")
    b = claim(sentence.format(two), two, "http://two.test/", "Quill 4.2", kind, question="What, asked another way?")
    assert flagged(a, b)


def test_differently_worded_sentences_that_answer_the_same_question_are_flagged() -> None:
    asked = "In Quill 3, what is the default depth of dip()?"
    one = claim("A plain `dip()` goes 7 metres down.", "7", "http://one.test/", question=asked)
    two = claim("The default depth of `dip()` is 9.", "9", "http://two.test/", question=asked)
    assert flagged(one, two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (("The depth of `dip()` is 7.", "7", "Quill 3"), ("The depth of `dip()` is 9.", "9", "Quill 4")),  # two releases
        (("The severity of the flaw is 7.", "7", "CVE-2026-1"), ("The severity of the flaw is 9.", "9", "CVE-2026-2")),  # two records
        (("The depth of `dip()` is 7.", "7", "Quill 3"), ("The depth of `sink()` is 9.", "9", "Quill 3")),  # two subjects
        (("The depth of `dip()` is 7.", "7", "Quill 3"), ("The width of `dip()` is 9.", "9", "Quill 3")),  # two properties
        (("The depth of `dip()` is 7.", "7", "Quill 3"), ("The depth of `dip()` is not 9.", "9", "Quill 3")),  # both right
        (("The depth of `dip()` is 7.", "7", "Quill 3"), ("The depth of `dip()` is seven.", "seven", "Quill 3")),  # one number
        (("The depth of `dip()` is 7 units.", "7", "Quill 3"), ("The depth of `dip()` is 7 units.", "7 units", "Quill 3")),  # a part
        (("The depth is 7.", "7", "Notes"), ("The depth is 9.", "9", "Remarks")),  # depth of what?
    ],
)
def test_what_may_both_be_right_is_no_disagreement(one: tuple[str, str, str], two: tuple[str, str, str]) -> None:
    a = claim(one[0], one[1], "http://one.test/", place=one[2])
    b = claim(two[0], two[1], "http://two.test/", place=two[2])
    assert not flagged(a, b)


def test_what_is_deprecated_in_one_release_and_removed_in_the_next_is_no_disagreement() -> None:
    a = claim("In Quill 3 the `fold()` function is deprecated.", "Quill 3", "http://one.test/", place="Quill 3", kind="version")
    b = claim("In Quill 4 the `fold()` function is removed.", "Quill 4", "http://two.test/", place="Quill 4", kind="version")
    assert not flagged(a, b)


def test_thousands_of_records_in_one_sentence_are_not_compared_with_each_other() -> None:
    records = [f"CVE-2026-{number}" for number in range(10_000, 14_000)]
    claims = [claim("Versions before 3.1 are affected.", "3.1", f"http://cve.test/{record}", record, "version") for record in records]
    assert list(_of_one_place(claims)) == []
    again = claim("Versions before 4.2 are affected.", "4.2", "http://other.test/", records[7], "version")
    assert [(one.place, other.page) for one, other in disputes([*claims, again])] == [(records[7], "http://other.test/")]


@given(st.lists(st.tuples(PLACES, SENTENCES), max_size=8))
def test_every_two_claims_that_speak_of_one_place_are_compared(drawn: list[tuple[str, str]]) -> None:
    claims = [claim(quote, "zero", f"http://site{i}.test/", place) for i, (place, quote) in enumerate(drawn)]
    compared = {(one.page, other.page) for one, other in _of_one_place(claims)}
    for one, other in combinations(claims, 2):
        if same_place(one.place, other.place, numbers(_frame(one)) & numbers(_frame(other))):
            assert (one.page, other.page) in compared


def test_two_names_from_a_list_are_no_disagreement() -> None:
    a = claim("The `ink` module gained the `blot()` function.", "blot()", "http://one.test/", kind="identifier")
    b = claim("The `ink` module gained the `dry()` function.", "dry()", "http://two.test/", kind="identifier")
    assert not flagged(a, b)
    c = claim("`fold()` was replaced by `crease()`, or `pleat()`.", "crease()", "http://one.test/", kind="identifier", question="What?")
    d = claim("`fold()` was replaced by `crease()`, or `pleat()`.", "pleat()", "http://two.test/", kind="identifier", question="What?")
    assert not flagged(c, d)


def test_dates_and_spellings_of_one_answer_are_one() -> None:
    a = claim("`dip()` was released on 3 May 2026.", "3 May 2026", "http://one.test/", kind="date")
    b = claim("`dip()` was released on 2026-05-03.", "2026-05-03", "http://two.test/", kind="date")
    assert not flagged(a, b)


@pytest.mark.parametrize(
    ("setting", "primary", "left"),
    [("reject", "one", set()), ("primary", "one", {"7"}), ("primary", "x", set()), ("keep", "one", {"7", "9"})],
)
def test_the_setting_decides_what_becomes_of_a_dispute(setting: str, primary: str, left: set[str]) -> None:
    rules = Rules(Consensus(disputed=setting, min_support=1, max_share=1), (f"{primary}.test",))  # pyright: ignore[reportArgumentType]
    one = claim("The default depth of `dip()` is 7.", "7", "http://one.test/")
    two = claim("The default depth of `dip()` is 9.", "9", "http://two.test/")
    found = weigh([one, two], passages({"http://x.test/": ""}), rules=rules)
    assert {c.answer for c in (one, two) if not found[c.fact_id].reason} == left
    assert all(finding.disputed_with for finding in found.values())


def test_a_page_that_contradicts_an_earlier_page_is_flagged_unless_that_was_retired() -> None:
    text = "The default depth of `dip()` is {} in Quill 3."
    _, old = page([text.format(7)], site="http://old.test/")
    first = curated([fact(old, text.format(7), "7", "depth of `dip()` in Quill 3", kind="quantity")], old)
    _, new = page([text.format(9)], site="http://new.test/")
    draft = fact(new, text.format(9), "9", "depth of `dip()` in Quill 3", kind="quantity")
    pairs = curated([draft], new, earlier_qa=[first])
    assert not pairs["accepted"].any()
    assert "http://old.test/" in pairs["reason"][0]
    shown = dispute_table(pairs, [first]).to_dicts()
    assert [(row["answer"], row["other_answer"], row["other_url"], row["same_domain"]) for row in shown] == [
        ("9", "7", "http://old.test/a.html", False)
    ]
    assert curated([draft], new, earlier_qa=[first], retired_facts=frozenset(first["fact_id"]))["accepted"].all()


WAITS = "The default timeout of `connect()` is {} seconds."
GOOD = ("good.test",)


def waits(
    seconds: int, site: str, about: str, earlier: Sequence[pl.DataFrame] = (), setting: str = "reject", **more: object
) -> pl.DataFrame:
    """Return the pairs of an iteration that reads one page on Widget 4.2, asked about in words of its own."""
    _, chunks = page([WAITS.format(seconds)], site=f"http://{site}.test/", title="Widget 4.2")
    draft = fact(chunks, WAITS.format(seconds), f"{seconds} seconds", about, kind="quantity")
    rules = Rules(Consensus(disputed=setting, min_support=1, max_share=1), GOOD)  # pyright: ignore[reportArgumentType]
    return curated([draft], chunks, earlier_qa=earlier, iteration=len(earlier), rules=rules, **more)  # pyright: ignore[reportArgumentType]


def rehearsed(tables: Sequence[pl.DataFrame], retired: frozenset[str] = frozenset()) -> set[str]:
    return set(standing_rows(tables[-1], tables[:-1], retired)["answer"])


@pytest.mark.parametrize(("setting", "left"), [("reject", set()), ("primary", {"60 seconds"}), ("keep", {"30 seconds", "60 seconds"})])
def test_a_dispute_with_an_earlier_page_is_settled_for_both_sides_however_each_is_asked(setting: str, left: set[str]) -> None:
    first = waits(30, "blog", "time after which Widget 4.2 gives up", setting=setting)
    second = waits(60, "good", "patience of Widget 4.2 with a silent server", [first], setting)
    assert {*accepted_of(second), *rehearsed([first, second])} == left
    lost = lost_since([first, second])
    assert lost == (frozenset() if setting == "keep" else frozenset(first["fact_id"]))
    refused = second.filter(pl.col("fact_id").is_in(list(lost)))
    assert set(refused["question"]) == (set(first["question"]) if lost else set())
    assert all(reason.startswith("disputed: ") and "good.test" in reason for reason in refused["reason"])
    assert second["qa_id"].is_unique().all()
    probes = build_probes(second, [], [], [build_probes(first, [], [], [], 0)], 1, retired_facts=lost)
    assert set(probes["answer"]) == left


def test_the_release_is_known_of_an_earlier_fact_whichever_question_names_it() -> None:
    first = waits(30, "blog", "time limit").with_columns(question=pl.col("question").str.replace("goes by|was called", "of Widget 4.2 is"))
    assert "4.2" not in first["question"][0]
    assert not accepted_of(waits(60, "good", "patience", [first]))
    by_topic = waits(30, "blog", "time limit").with_columns(topic=pl.lit("Sockets (Widget 4.2)"))
    assert not accepted_of(waits(60, "good", "patience", [by_topic]))
    other = waits(30, "blog", "time limit").with_columns(topic=pl.lit("Sockets (Widget 4.1)"))
    assert accepted_of(waits(60, "good", "patience", [other])) == {"60 seconds"}


def test_what_lost_a_dispute_is_set_aside_once_and_stays_evidence() -> None:
    first = waits(30, "blog", "wait of Widget 4.2")
    second = waits(60, "good", "patience of Widget 4.2", [first])
    third = waits(60, "third", "limit of Widget 4.2", [first, second])
    assert not third["accepted"].any()
    assert third["answer"].unique().to_list() == ["60 seconds"]
    assert not waits(30, "fourth", "pause of Widget 4.2", [first, second])["accepted"].any()
    assert rehearsed([first, second, third]) == set()


def test_what_lost_a_dispute_stands_again_where_nothing_speaks_against_it_any_more() -> None:
    first = waits(30, "blog", "wait of Widget 4.2")
    second = waits(60, "good", "patience of Widget 4.2", [first])
    contradicting = frozenset(second.filter(pl.col("answer") == "60 seconds")["fact_id"])
    assert rehearsed([first, second], contradicting) == {"30 seconds"}  # good.test reads differently now
    assert rehearsed([first, second.filter(~pl.col("fact_id").is_in(list(contradicting)))]) == {"30 seconds"}  # it was taken down
    again = waits(30, "blog", "wait of Widget 4.2", [first, second], retired_facts=contradicting)
    assert again["accepted"].all()
    assert lost_since([first, second, again]) == frozenset()


def test_a_fact_that_a_dispute_kept_out_is_followed_on_its_page_as_accepted_ones_are() -> None:
    first = waits(30, "blog", "wait of Widget 4.2")
    second = waits(60, "good", "patience of Widget 4.2", [first])
    kept_out = second.filter(pl.col("answer") == "60 seconds")
    gone = no_longer_stated([first, second], {kept_out["page_id"][0]: "newer"}, lambda _: WAITS.format(30))
    assert gone == frozenset(kept_out["fact_id"])


def test_a_page_that_changed_its_mind_does_not_contradict_itself() -> None:
    text = "The default depth of `dip()` is {} in Quill 3."
    _, old = page([text.format(7)])
    first = curated([fact(old, text.format(7), "7", "depth of `dip()` in Quill 3", kind="quantity")], old)
    _, new = page([text.format(9)])
    pairs = curated([fact(new, text.format(9), "9", "depth of `dip()` in Quill 3", kind="quantity")], new, earlier_qa=[first])
    assert pairs["disputed_with"].list.len().sum() == 0


def test_a_table_from_before_consensus_is_read_as_one_without_support_and_dispute() -> None:
    _, chunks = page([STATED])
    new = curated([fact(chunks, STATED, "crease()", "successor")], chunks)
    old = new.drop("support", "disputed_with")
    assert as_pairs(old).schema == new.schema
    assert as_pairs(new).equals(new)
    assert dispute_table(old).is_empty()
    assert curated([], chunks, earlier_qa=[old]).is_empty()


# ---------------------------------------------------------------------------------------------- caps


def test_no_host_that_is_not_primary_gives_more_than_its_share_or_its_pages_share() -> None:
    facts = [Candidate(f"{site}{i}", f"http://{site}.test/{i % 3}", 2) for site, n in (("a", 60), ("b", 9), ("c", 9)) for i in range(n)]
    primary = [Candidate(f"p{i}", "http://primary.test/", 1) for i in range(40)]
    rules = Rules(Consensus(max_per_url=5), ("primary.test",))
    dropped = over_the_caps([*facts, *primary], rules)
    left = [one for one in (*facts, *primary) if one.fact_id not in dropped]
    assert Counter(site_of(one.page) for one in left) == {"primary.test": 40, "a.test": 14, "b.test": 9, "c.test": 9}
    assert max(Counter(one.page for one in left if "primary" not in one.page).values()) == 5
    assert {reason.split(":")[0] for reason in dropped.values()} == {"over the page's share", "over the source's share"}


def test_what_many_pages_state_is_not_credited_to_the_first_of_them() -> None:
    chunks = passages(dict.fromkeys(sites(6), "\n\n".join(TRUE)))
    pairs = taught(chunks, NOBODY)
    assert accepted_of(pairs) == ANSWERS
    assert set(pairs.filter("accepted")["support"]) == {6}
    assert max(pairs.filter("accepted").unique("fact_id")["url"].value_counts()["count"]) == 1


# ---------------------------------------------------------------------------------------------- properties

QUOTES = [
    *((f"The depth of `dip()` is {n}.", str(n), "quantity") for n in (7, 8, 9)),
    *((f"`fold()` was replaced by `{name}()`.", f"{name}()", "identifier") for name in ("crease", "pleat")),
    ("In Quill 3, `fold()` has been replaced by `crease()`.", "crease()", "identifier"),
]
CLAIMS = st.builds(
    lambda said, site, name, release: claim(said[0], said[1], f"http://{site}.test/{name}", f"Quill {release}", said[2]),
    st.sampled_from(QUOTES),
    st.sampled_from("abcd"),
    st.sampled_from("xy"),
    st.sampled_from("34"),
)
UNIQUE = st.lists(CLAIMS, max_size=9, unique_by=lambda one: one.fact_id)
NO_PAGES = passages({"http://x.test/": ""})


def weighed(claims: Sequence[Claim], rules: Rules, earlier: Sequence[Claim] = ()) -> dict[str, Finding]:
    return weigh(claims, NO_PAGES, earlier, rules)


@given(UNIQUE.flatmap(lambda claims: st.tuples(st.just(claims), st.permutations(claims))), st.sampled_from(["reject", "primary", "keep"]))
def test_the_same_facts_in_any_order_get_the_same_findings(both: tuple[list[Claim], list[Claim]], setting: str) -> None:
    rules = Rules(Consensus(disputed=setting), ("a.test",))  # pyright: ignore[reportArgumentType]
    assert weighed(both[0], rules) == weighed(both[1], rules)


@given(UNIQUE, CLAIMS)
def test_another_page_never_takes_support_away_and_one_that_agrees_adds_no_dispute(claims: list[Claim], more: Claim) -> None:
    before, after = weighed(claims, NOBODY), weighed(claims, NOBODY, [more])
    for one in claims:
        assert after[one.fact_id].support >= before[one.fact_id].support
        if one.quote == more.quote and one.place == more.place:
            assert after[one.fact_id].support >= (1 if one.site == more.site else 2)
            assert after[one.fact_id].disputed_with == before[one.fact_id].disputed_with


@given(UNIQUE)
def test_disputes_are_mutual_between_pages_and_never_within_one(claims: list[Claim]) -> None:
    found = weighed(claims, NOBODY)
    by_id = {one.fact_id: one for one in claims}
    for key, finding in found.items():
        assert 1 <= finding.support <= len({one.site for one in claims})
        for other in finding.disputed_with:
            assert key in found[other].disputed_with
            assert by_id[other].page != by_id[key].page


CANDIDATES = st.lists(
    st.builds(
        lambda i, site, name, support: Candidate(f"f{i}", f"http://{site}.test/{name}", support),
        st.integers(0, 500),
        st.sampled_from("abcdefp"),
        st.sampled_from("xy"),
        st.integers(1, 4),
    ),
    max_size=40,
    unique_by=lambda one: one.fact_id,
)


@given(CANDIDATES, st.floats(0.05, 1.0), st.integers(1, 20), st.randoms())
def test_the_caps_hold_in_any_order_and_spare_primary_hosts(
    candidates: list[Candidate], share: float, per_url: int, random: object
) -> None:
    rules = Rules(Consensus(max_share=share, max_per_url=per_url), ("p.test",))
    dropped = over_the_caps(candidates, rules)
    shuffled = list(candidates)
    random.shuffle(shuffled)  # pyright: ignore[reportAttributeAccessIssue]
    assert over_the_caps(shuffled, rules) == dropped
    left = [one for one in candidates if one.fact_id not in dropped]
    assert not any("p.test" in one.page for one in candidates if one.fact_id in dropped)
    counts = Counter(site_of(one.page) for one in left)
    assert all(count <= max(1, share * len(left) + 1e-6) for site, count in counts.items() if site != "p.test")
    assert set(counts) == {site_of(one.page) for one in candidates}


@given(CANDIDATES, st.lists(st.sampled_from("gh"), min_size=40, max_size=40))
def test_spreading_loses_and_repeats_nothing(candidates: list[Candidate], groups: list[str]) -> None:
    named = {one.fact_id: group for one, group in zip(candidates, groups, strict=False)}
    order = spread(candidates, named, NOBODY)
    assert sorted(order) == sorted(named)


@given(st.lists(st.builds(claim, st.text(max_size=40), st.text(max_size=6), st.sampled_from(sites(3)), st.text(max_size=8)), max_size=5))
def test_any_text_can_be_weighed(claims: list[Claim]) -> None:
    assert set(weigh(claims, passages({"http://x.test/": "The depth is 7."}), claims, NOBODY)) == {one.fact_id for one in claims}


def test_a_document_of_the_users_own_folder_is_primary_whatever_hosts_are_named() -> None:
    assert Rules(Consensus(), ("docs.example.org",)).is_primary("folder://local/notes.md")
    assert Rules(Consensus(), ()).is_primary("folder://local/notes.md")
    assert not Rules(Consensus(), ()).is_primary("http://local/notes.md")
