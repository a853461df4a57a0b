"""The planner and the reviser against a scripted endpoint (P1, V1)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.records import PageOutline, Topic, TopicScore
from alas_assets.teachers.endpoint.calls import ModelCall
from alas_assets.teachers.llm import Hooks, Trouble
from alas_assets.teachers.llm.prompts import Form
from alas_assets.teachers.llm.reading.shapes import PLAN, REVISE
from alas_assets_tests.teachers.llm.scripted import FORMS, FRAME_CHARS, ScriptedAsker, form_of, render, teacher, texts, unanswered

URL = "http://site.test/{}.html"


def outlines(count: int, headings: int = 3) -> list[PageOutline]:
    return [
        PageOutline(url=URL.format(i), title=f"Quill part {i}", headings=[f"Section {i}.{j}" for j in range(headings)], summary="About it.")
        for i in range(count)
    ]


def title(text: str) -> str:
    return text.splitlines()[0].removeprefix("Title: ")


def good(call: ModelCall) -> str:
    topics = [
        {"name": f"On {title(text)}", "summary": "s", "prerequisites": [], "objectives": ["o"], "difficulty": "Medium", "pages": [number]}
        for number, text in texts(call, "page").items()
    ]
    return render(topics, form_of(call), PLAN)


@pytest.mark.parametrize("form", [*FORMS, "schema"])
def test_a_plan_is_read_in_every_form(form: Form) -> None:
    asker = ScriptedAsker(good)
    topics = teacher(asker, form).plan("A tool for plans and their parts.", ["flags"], outlines(5))
    assert [topic.name for topic in topics] == [f"On Quill part {i}" for i in range(5)]
    assert [topic.urls for topic in topics] == [[URL.format(i)] for i in range(5)]
    assert {topic.difficulty for topic in topics} == {"Medium"}
    assert len({topic.topic_id for topic in topics}) == 5
    assert "A tool for plans" in asker.calls[0].user
    assert "flags" in asker.calls[0].user


def test_many_outlines_are_split_into_calls_of_one_batch_and_joined_in_order() -> None:
    asker = ScriptedAsker(good)
    topics = teacher(asker, page_chars=2_000).plan("A tool for plans.", [], outlines(60, headings=8))
    assert len(asker.batches) == 1
    assert len(asker.calls) > 3
    assert [topic.urls[0] for topic in topics] == [URL.format(i) for i in range(60)]


def test_topics_of_one_name_from_two_calls_are_one() -> None:
    def answer(call: ModelCall) -> str:
        return render(
            [{"name": "Flags", "summary": "", "prerequisites": [], "objectives": [], "difficulty": "Easy", "pages": [1]}], "json", PLAN
        )

    [topic] = teacher(ScriptedAsker(answer), page_chars=500).plan("A tool for plans.", [], outlines(2, headings=12))
    assert topic.urls == [URL.format(0), URL.format(1)]


def test_a_topic_named_after_a_section_is_restricted_to_it() -> None:
    def answer(call: ModelCall) -> str:
        made = {"summary": "", "prerequisites": [], "objectives": [], "difficulty": "Easy"}
        return render([{**made, "name": "section 0.1", "pages": [1]}, {**made, "name": "Section 0.2", "pages": [1, 2]}], "json", PLAN)

    topics = teacher(ScriptedAsker(answer)).plan("A tool for plans.", [], outlines(2))
    assert [topic.heading for topic in topics] == ["Section 0.1", None]


def test_ids_of_topics_stay_the_same_whatever_else_is_planned() -> None:
    ids = [{t.name: t.topic_id for t in teacher(ScriptedAsker(good)).plan("d", [], outlines(n))} for n in (3, 5)]
    assert ids[0].items() <= ids[1].items()


@pytest.mark.parametrize("said", ["no", '{"topics": []}', '{"topics": [{"name": "x"}]}'])
def test_pages_of_which_no_topic_can_be_made_become_a_topic_each(said: str) -> None:
    troubles: list[Trouble] = []
    topics = teacher(ScriptedAsker(lambda _: said), hooks=Hooks(trouble=troubles.append)).plan("d", [], outlines(5))
    assert [topic.name for topic in topics] == [f"Quill part {i}" for i in range(5)]
    assert bool(troubles) == (said != '{"topics": []}')


def test_a_topic_on_a_page_that_was_not_shown_is_refused_and_told_and_its_other_pages_are_a_topic_each() -> None:
    troubles: list[Trouble] = []

    def answer(call: ModelCall) -> str:
        bad = {"name": "Beyond", "summary": "", "prerequisites": [], "objectives": [], "difficulty": "Easy", "pages": [1, 2, 9]}
        return render([bad, {**bad, "name": "Inside", "pages": [2]}], "json", PLAN)

    topics = teacher(ScriptedAsker(answer), hooks=Hooks(trouble=troubles.append)).plan("d", [], outlines(3))
    assert [(topic.name, topic.urls) for topic in topics] == [("Inside", [URL.format(1)]), ("Quill part 0", [URL.format(0)])]
    assert ["page that was not shown" in trouble.reason for trouble in troubles] == [True]


@pytest.mark.parametrize("bad", [{"difficulty": "Extreme"}, {"name": "?"}, {"objectives": [{"a": 1}]}], ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_the_pages_of_a_topic_that_cannot_be_used_are_a_topic_each(bad: dict[str, Any], form: Form) -> None:
    def answer(call: ModelCall) -> str:
        usable = {"name": "Inside", "summary": "", "prerequisites": [], "objectives": [], "difficulty": "Easy", "pages": [2]}
        broken = {**usable, "name": "Beyond", "pages": [3, 2, 5]}
        plain = {**bad, **({"objectives": ["x" * 500]} if "objectives" in bad and form != "json" else {})}
        return render([usable, {**broken, **plain}], form, PLAN)

    topics = teacher(ScriptedAsker(answer), form).plan("d", [], outlines(5))
    assert [topic.name for topic in topics] == ["Inside", "Quill part 2", "Quill part 4"]


def test_an_unreadable_plan_is_asked_again_smaller() -> None:
    asker = ScriptedAsker(lambda call: good(call) if call.attempt == 2 else "no")
    topics = teacher(asker).plan("d", [], outlines(6))
    assert [len(batch) for batch in asker.batches] == [1, 1, 2]
    assert len(topics) == 6


def test_a_plan_or_revision_that_the_model_has_no_room_for_is_asked_in_halves() -> None:
    refused = unanswered(failure="answered 400: This model's maximum context length is 4096 tokens.")
    asker = ScriptedAsker(lambda call: refused if len(texts(call, "page")) > 3 else good(call))
    assert len(teacher(asker).plan("d", [], outlines(6))) == 6
    assert [len(texts(call, "page")) for call in asker.calls] == [6, 3, 3]
    asker = ScriptedAsker(lambda call: refused if len(texts(call, "topic")) > 2 else revised(call))
    assert len(teacher(asker).revise([topic(i) for i in range(4)], [], SCORES)) == 4
    assert [len(texts(call, "topic")) for call in asker.calls] == [4, 2, 2]


def test_no_page_asks_nothing() -> None:
    asker = ScriptedAsker(good)
    assert teacher(asker).plan("d", ["x"], []) == []
    assert asker.calls == []


def test_no_planning_call_is_larger_than_promised() -> None:
    page = PageOutline(url="u", title="t " * 900, headings=["h " * 500] * 900, summary="s " * 9_000)
    pages = [page.model_copy(update={"url": str(i)}) for i in range(30)]
    asker = ScriptedAsker(good)
    teacher(asker, page_chars=2_000).plan("d " * 9_000, ["seed " * 200] * 90, pages)
    assert all(len(call.system) + len(call.user) <= 2_000 + FRAME_CHARS for call in asker.calls)


def test_planning_and_revising_are_asked_of_the_planner() -> None:
    asker = ScriptedAsker(good)
    made = teacher(asker, planner="big")
    made.plan("d", [], outlines(1))
    made.revise([topic(1)], [], [])
    assert {call.model for call in asker.calls} == {"big"}


# ------------------------------------------------------------------------------------------------ revision


def topic(i: int, **more: Any) -> Topic:
    return Topic(topic_id=f"t{i}", name=f"Topic {i}", urls=[URL.format(i)], heading=f"H{i}", **more)


SCORES = [TopicScore(topic_id=f"t{i}", name=f"Topic {i}", n=10, correct=i, accuracy=i / 10) for i in range(10)]


def revised(call: ModelCall) -> str:
    items = [
        {
            "topic": number,
            "kind": "remediation" if "State: weak" in text else "advanced",
            "name": f"After {number}",
            "summary": "s",
            "objectives": ["o"],
        }
        for number, text in texts(call, "topic").items()
    ]
    return render(items, form_of(call), REVISE)


@pytest.mark.parametrize("form", [*FORMS, "schema"])
def test_weak_topics_get_remediation_first_and_mastered_ones_go_further(form: Form) -> None:
    asker = ScriptedAsker(revised)
    found = teacher(asker, form).revise([topic(2), topic(1)], [topic(9), topic(8, origin="advanced")], SCORES)
    assert [(t.origin, t.parent) for t in found] == [("remediation", "t1"), ("remediation", "t2"), ("advanced", "t9")]
    assert found[2].urls == [URL.format(9)]
    assert found[2].heading == "H9"
    assert found[2].prerequisites == ["Topic 9"]
    assert "1 of 10 right" in asker.calls[0].user


def test_a_proposal_for_another_or_no_topic_is_refused_and_told() -> None:
    troubles: list[Trouble] = []
    items = [
        {"topic": 1, "kind": "advanced", "name": "Wrong way", "summary": "", "objectives": []},
        {"topic": 7, "kind": "advanced", "name": "Nowhere", "summary": "", "objectives": []},
    ]
    found = teacher(ScriptedAsker(lambda _: render(items, "json", REVISE)), hooks=Hooks(trouble=troubles.append)).revise(
        [topic(1)], [], SCORES
    )
    assert found == []
    assert len(troubles) == 2


def test_nothing_weak_and_nothing_mastered_asks_nothing() -> None:
    asker = ScriptedAsker(revised)
    assert teacher(asker).revise([], [topic(1, origin="advanced")], SCORES) == []
    assert asker.calls == []


@settings(deadline=None)
@given(st.text(max_size=200), st.sampled_from(FORMS))
def test_whatever_a_planner_says_planning_and_revising_end_in_order(said: str, form: Form) -> None:
    made = teacher(ScriptedAsker(lambda _: said), form)
    assert made.plan("d", [], outlines(2))
    made.revise([topic(1)], [topic(9)], SCORES)
