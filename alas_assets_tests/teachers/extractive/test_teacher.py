import re
from itertools import chain

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alas_assets.provenance.ids import fold
from alas_assets.synthesis.curate import Limits, curate
from alas_assets.synthesis.wording import jaccard, mentions, word_set
from alas_assets.teachers.extractive import ExtractiveTeacher
from alas_assets.teachers.extractive.forms import ROLES, TEMPLATES
from alas_assets.teachers.extractive.reading import read_units
from alas_assets.teachers.extractive.teacher import _ReadOnce, context_of
from alas_assets.teachers.protocol import Assignment, GradeRequest, Teacher
from alas_assets_tests.teachers.extractive.pages import TITLE, TOPIC, chunks, facts, write

PAGE = (
    "# What's new in Quill 4.2\n\nQuill 4.2 was released on 9 October 2026. The compiler now uses LLVM 21 for templates.",
    "## urls\n\n- Add the `missing_as_none` parameter to `urlsplit()`. (Contributed by Ann Lee in gh-67.)\n"
    "- `urljoin()` now raises `ParseError` when the base is empty.\n- Unary plus is now accepted in `match` patterns.",
    "## Removed\n\n- Removed the `java_ver()` function, which was deprecated since Quill 3.9.\n- `old_join()`: use `new_join()` instead.\n"
    "- `js_output()` is deprecated and will be removed in Quill 5.1.",
    "```\n`code()` is now slow on Windows.\n```\n\nIt is here. See `x` for details.",
)
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.builds(
            "{} {} {}{}".format,
            st.sampled_from(["- Add", "`f()` now", "Use", "The `x` option", "PEP 12:", "- `a`:", "On Linux,", "CVE-2026-1 is"]),
            st.sampled_from(
                ["`g()`", "the `pad` parameter", "`a` and `b`", "raises `E`", "in Quill 3.1", "(`--x`)", "“quoted", "supports"]
            ),
            st.sampled_from(
                ["to `h()`", "instead", "when `y` is set", "to test `z`; `w()` prints it", "and will be removed in Quill 5", "3 files"]
            ),
            st.sampled_from([".", ":", "?", " (Contributed by B in gh-1.)", "\n\n```\nx\n"]),
        ),
    ),
    max_size=8,
).map("\n".join)


def test_the_extractive_teacher_is_a_teacher():
    teacher: Teacher = ExtractiveTeacher()
    assert teacher.name == "extractive"


def test_every_fact_has_its_phrasings_for_training_mining_and_probing():
    found = facts(*PAGE)
    assert len(found) >= 8
    for fact in found:
        roles = [p.role for p in fact.phrasings]
        assert roles.count("train") == 6
        assert roles.count("mine") == 1
        assert roles.count("probe") >= 2
        assert len({p.text for p in fact.phrasings}) == len(fact.phrasings)


def test_a_template_has_one_role_for_all_facts():
    roles: dict[str, set[str]] = {}
    for phrasing in chain.from_iterable(fact.phrasings for fact in facts(*PAGE)):
        roles.setdefault(phrasing.template, set()).add(phrasing.role)
    assert all(len(found) == 1 for found in roles.values())
    assert len(ROLES) == len(TEMPLATES)


def test_a_probe_differs_from_the_nearest_training_row():
    shares = []
    for fact in facts(*PAGE):
        answer = word_set(fact.answer)
        train = [word_set(p.text) - answer for p in fact.phrasings if p.role == "train"]
        shares += [max(jaccard(word_set(p.text) - answer, own) for own in train) for p in fact.phrasings if p.role == "probe"]
    shares.sort()
    assert shares[len(shares) // 2] <= 0.6


def test_quotes_stand_in_their_passages_and_answers_in_their_quotes():
    table = chunks(*PAGE)
    texts = dict(zip(table["chunk_id"], table["text"], strict=True))
    for fact in facts(*PAGE):
        assert fold(fact.quote) in fold(texts[fact.chunk_id])
        assert mentions(fact.quote, fact.answer)


def test_the_same_input_gives_the_same_facts():
    assert write(*PAGE) == write(*PAGE)


def test_a_budget_keeps_a_part_of_the_facts_chosen_by_seed():
    table = chunks(*PAGE)
    everything = ExtractiveTeacher(seed=1).write_topic(TOPIC, table, 100, 6).facts
    one = ExtractiveTeacher(seed=1).write_topic(TOPIC, table, 3, 6).facts
    assert len(one) == 3
    assert all(fact in everything for fact in one)
    assert ExtractiveTeacher(seed=1).write_topic(TOPIC, table, 0, 6).facts == []


def test_facts_over_the_budget_are_rejected_drafts_with_that_reason():
    table = chunks(*PAGE)
    everything = ExtractiveTeacher().write_topic(TOPIC, table, 100, 6)
    few = ExtractiveTeacher().write_topic(TOPIC, table, 3, 6)
    over = [draft for draft in few.rejected if draft.reason == "over the topic's budget of pairs"]
    assert len(over) == len(everything.facts) - 3
    left = [fact for fact in everything.facts if fact not in few.facts]
    assert [draft.text for draft in over] == [f"{fact.phrasings[0].text} / {fact.answer} / {fact.quote}" for fact in left]
    assert [draft for draft in few.rejected if draft not in over] == everything.rejected


def test_an_advanced_topic_teaches_facts_of_the_section_that_were_not_taught_before_within_its_budget():
    table = chunks(*PAGE)
    teacher, section = ExtractiveTeacher(), TOPIC.model_copy(update={"heading": TITLE})
    told = {"count_tokens": lambda text: len(text.split()), "teacher": "extractive 1", "limits": Limits(facts_per_topic=3)}
    first = teacher.write_topic(section, table, 3, 6)
    taught = curate(first.facts, first.rejected, table, [section], [], iteration=0, **told)
    before = set(taught.filter("accepted")["fact_id"])
    assert len(before) == 3
    [more] = teacher.revise([], [section], [])
    assert more.origin == "advanced"
    second = teacher.write_topic(more, table, 3, 6)
    pairs = curate(second.facts, second.rejected, table, [more], [], iteration=1, earlier_fact_ids=before, earlier_qa=[taught], **told)
    new = set(pairs.filter("accepted")["fact_id"])
    assert len(new) == 3
    assert new.isdisjoint(before)
    refused = pairs.filter(~pl.col("accepted")).group_by("fact_id").agg(pl.col("reason").first())
    assert refused.filter(pl.col("fact_id").is_in(list(before)))["reason"].to_list() == ["already taught"] * 3
    assert "over the topic's budget of pairs" in refused["reason"].to_list()
    assert teacher.write_topic(more, table, 0, 6).facts == []


def test_a_heading_restricts_the_facts_to_its_section():
    topic = TOPIC.model_copy(update={"heading": "urls"})
    found = ExtractiveTeacher().write_topic(topic, chunks(*PAGE), 100, 6).facts
    assert {fact.answer for fact in found} == {"missing_as_none", "urljoin()", "ParseError", "Unary plus"}


def test_a_page_is_read_once_for_all_topics_on_its_sections_and_anew_where_other_passages_of_it_are_given():
    table = chunks(*PAGE)
    teacher, read = ExtractiveTeacher(), []

    def noting(page: pl.DataFrame):
        read.append(page.height)
        return teacher._read(page)

    once = _ReadOnce(noting)
    assert once(table) is once(table.clone())
    assert once(table.head(2)).units == once(table).units[: len(once(table.head(2)).units)]
    assert read[:2] == [len(PAGE), 2]


def test_topics_written_together_get_what_each_gets_alone():
    table = chunks(*PAGE)
    topics = [
        TOPIC.model_copy(update={"topic_id": str(i), "heading": name}) for i, name in enumerate([None, "urls", "Removed", TITLE, "x"])
    ]
    alone = [ExtractiveTeacher().write_topic(topic, table, 5, 6) for topic in topics]
    assert ExtractiveTeacher().write([Assignment(topic, table) for topic in topics], 5, 6) == alone


def test_fewer_training_phrasings_can_be_asked_for():
    for fact in ExtractiveTeacher().write_topic(TOPIC, chunks(*PAGE), 100, 2).facts:
        assert [p.role for p in fact.phrasings].count("train") == 2


def test_an_empty_table_gives_nothing():
    assert write().facts == []


def test_example_code_gives_no_fact():
    assert "code()" not in {fact.answer for fact in facts(*PAGE)}


@pytest.mark.parametrize(
    ("context", "title", "expected"),
    [
        ("In Python 3.15", "anything", ("Python 3.15", "in Python 3.15")),
        ("Quill", "anything", ("Quill", "in Quill")),
        ("", "Build changes — What's new in Python 3.15 — docs", ("Python 3.15", "in Python 3.15")),
        ("", "CVE-2026-1: A flaw", ("CVE-2026-1", "for CVE-2026-1")),
        ("", "A study of bees | The Journal", ("“A study of bees”", "according to “A study of bees”")),
        ("", "", ("this page", "on this page")),
    ],
)
def test_questions_are_placed_by_the_context_or_the_title(context, title, expected):
    assert context_of(context, read_units("Some words are here.", [], "c", title)) == expected


def test_grading_gives_one_grade_for_each_request_in_order():
    requests = [
        GradeRequest(question="Which?", gold="os.walk()", aliases=["walk"], answer_kind="identifier", answer="os.walk()"),
        GradeRequest(question="Which?", gold="Quill 5.1", answer_kind="version", answer="no idea"),
    ]
    assert [grade.label for grade in ExtractiveTeacher().grade_as("rules", requests)] == ["correct", "incorrect"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, st.sampled_from(["", TITLE, "CVE-2026-1: x", "“"]))
def test_whatever_a_page_says_the_promises_hold(text, title):
    table = chunks(text, title=title)
    written = ExtractiveTeacher().write_topic(TOPIC, table, 100, 6)
    for fact in written.facts:
        assert fold(fact.quote) in fold(text)
        assert mentions(fact.quote, fact.answer)
        assert 1 <= len(fact.answer.split()) <= 8
        for phrasing in fact.phrasings:
            assert ROLES[phrasing.template.split("/")[0]] == phrasing.role
            assert not any(mentions(phrasing.text, word) for word in (fact.answer, *fact.aliases))
            assert re.search(r"[.?]$", phrasing.text)
    for draft in written.rejected:
        assert draft.reason


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_whatever_a_page_says_it_is_read_the_same_twice(text):
    assert write(text) == write(text)
