"""The recorded pairs on the sample site: on the page, answered by their quote, worded in really different ways, accepted by curation."""

from collections import Counter
from itertools import combinations, permutations
from typing import get_args

import pytest

from alas_assets.evaluation.grading import grade
from alas_assets.evaluation.values import kind_of
from alas_assets.records import Category, DraftFact, Phrasing, Topic
from alas_assets.standin.pairs import RecordedPair
from alas_assets.synthesis.curate import Limits, curate
from alas_assets.synthesis.questions import read_guards
from alas_assets.synthesis.quotes import FoldedText
from alas_assets.synthesis.wording import WORDING_SHARE, mentions, near_equal, shared_wording, words
from alas_assets.teachers.protocol import GradeRequest
from alas_assets_tests.standin.sample import DATA, SITE, extracted, headings, passages, recorded
from alas_assets_tests.synthesis.factory import count_tokens

PAIRS = recorded()
EACH = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.question[:50])


def holding(pair: RecordedPair) -> str | None:
    """Return the id of the passage of the pair's page that holds its quote."""
    own = passages().filter(passages()["url"] == SITE + pair.page)
    return next((row["chunk_id"] for row in own.iter_rows(named=True) if FoldedText(row["text"]).locate(pair.quote) is not None), None)


def test_there_are_enough_of_every_category_on_the_first_sixteen_pages() -> None:
    assert len(PAIRS) >= 100
    categories = Counter(pair.category for pair in PAIRS)
    assert set(categories) == set(get_args(Category))
    assert min(categories.values()) >= 4
    pages = Counter(pair.page for pair in PAIRS)
    assert len(pages) == 16
    assert min(pages.values()) >= 2
    assert {pair.difficulty for pair in PAIRS} == {"Easy", "Medium", "Hard"}


@EACH
def test_its_quote_stands_in_one_passage_of_its_page_and_holds_the_answer(pair: RecordedPair) -> None:
    assert extracted()[pair.page].reason == ""
    assert holding(pair) is not None
    assert len(pair.quote.split()) <= 30
    assert any(mentions(pair.quote, text) for text in (pair.short_answer, *pair.aliases))


@EACH
def test_its_answer_is_short_and_its_sentence_gives_it(pair: RecordedPair) -> None:
    assert 1 <= len(pair.short_answer.split()) <= 8
    request = GradeRequest(
        question=pair.question,
        gold=pair.short_answer,
        aliases=list(pair.aliases),
        answer_kind=kind_of(pair.short_answer),
        answer=pair.answer,
    )
    assert grade(request).label == "correct"


@EACH
def test_none_of_its_wordings_holds_the_answer_and_all_name_the_version(pair: RecordedPair) -> None:
    assert len(pair.phrasings) == 5
    for text in pair.asked:
        assert not any(mentions(text, answer) for answer in (pair.short_answer, *pair.aliases)), text
        assert "3.15" in text, text
        assert 3 <= len(words(text)) <= 45, text


@EACH
def test_its_wordings_are_really_different_from_each_other(pair: RecordedPair) -> None:
    assert [(a, b) for a, b in permutations(pair.asked, 2) if shared_wording(a, b) > WORDING_SHARE / 2] == []
    assert [(a, b) for a, b in combinations(pair.asked, 2) if near_equal(a, b)] == []


def test_no_question_is_asked_twice() -> None:
    asked = Counter(" ".join(words(text)) for pair in PAIRS for text in pair.asked)
    assert [text for text, count in asked.items() if count > 1] == []


@EACH
def test_its_topic_is_the_section_that_its_quote_stands_in(pair: RecordedPair) -> None:
    assert pair.topic in headings(pair.page)
    (path,) = passages().filter(passages()["chunk_id"] == holding(pair))["heading_path"].to_list()
    assert pair.topic in path


@pytest.mark.parametrize("held", [(4, 5), (0, 1), (2, 3)])
def test_curation_accepts_every_wording_whichever_are_held_out(held: tuple[int, int]) -> None:
    topic = Topic(topic_id="t", name="Python 3.15")
    drafts = []
    for pair in PAIRS:
        roles = ["probe" if i in held else "train" for i in range(6)]
        roles[(held[1] + 1) % 6] = "mine"
        phrasings = [Phrasing(text=text, template=f"{role}-{i}", role=role) for i, (role, text) in enumerate(zip(roles, pair.asked))]  # noqa: B905
        drafts.append(
            DraftFact(
                topic_id="t",
                chunk_id=holding(pair) or "",
                quote=pair.quote,
                answer=pair.short_answer,
                aliases=list(pair.aliases),
                category=pair.category,
                difficulty=pair.difficulty,
                rationale=pair.rationale,
                phrasings=phrasings,
            )
        )
    guards = [guard for name in ("general", "python-releases") for guard in read_guards(DATA / "guards" / f"{name}.jsonl")]
    table = curate(
        drafts,
        [],
        passages(),
        [topic],
        guards,
        count_tokens=count_tokens,
        teacher="recorded",
        iteration=0,
        limits=Limits(facts_per_topic=1000, longest_share=0.0),
    )
    refused = [(row["reason"], row["question"], row["answer"]) for row in table.filter(~table["accepted"]).iter_rows(named=True)]
    assert refused == []
    assert table["fact_id"].n_unique() == len(PAIRS)
