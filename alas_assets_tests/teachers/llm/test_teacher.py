"""The worst teachers there are: whatever they say, every method ends in order and nothing false is believed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from alas_assets.teachers.endpoint.calls import ModelCall
from alas_assets.teachers.llm.prompts import Form
from alas_assets.teachers.protocol import Teacher
from alas_assets_tests.teachers.llm.scripted import FORMS, ScriptedAsker, teacher
from alas_assets_tests.teachers.llm.test_judging import request
from alas_assets_tests.teachers.llm.test_planning import SCORES, outlines, topic
from alas_assets_tests.teachers.llm.test_writing import assignment, curated

WORST: dict[str, Callable[[ModelCall], str]] = {
    "repeats the prompt": lambda call: call.user,
    "repeats the form": lambda call: call.user.split("\n\n")[1],
    "repeats the data": lambda call: call.user.split("\n\n", 2)[2],
    "repeats itself": lambda call: "the the " * 3_000,
    "opens and never closes": lambda call: '{"pairs": [{"question": "' + "<pair><question>" + "passage: 1\nquestion: ",
    "says nothing": lambda call: "",
    "answers the page": lambda call: "Sure, here is how you use the flag: `--amber`.",
    "says the same of everything": lambda call: '{"item": 1, "label": "correct"}',
}


@pytest.mark.parametrize("how", WORST)
@pytest.mark.parametrize("form", FORMS)
def test_the_worst_teachers_end_in_order_and_nothing_false_is_believed(how: str, form: Form) -> None:
    given = assignment()
    made: Teacher = teacher(ScriptedAsker(WORST[how]), form)
    assert [planned.name for planned in made.plan("A tool for plans.", [], outlines(3))] == [page.title for page in outlines(3)]
    [written] = made.write([given], 4, 6)
    assert written.rejected
    assert curated(written, given).filter("accepted").is_empty()
    labels = [grade.label for grade in made.grade_as("m-1", [request(1), request(3), request(5)])]
    assert labels.count("failed") == (1 if how == "says the same of everything" and form == "json" else 3)
    assert made.revise([topic(1)], [topic(9)], SCORES) == []


def test_every_call_names_its_prompt_and_stays_within_its_settings() -> None:
    asker = ScriptedAsker(lambda call: "")
    made = teacher(asker, max_tokens=777, temperature=0.5, judges=("j",), planner="p")
    made.plan("d", [], outlines(1))
    made.write([assignment()], 2, 2)
    made.grade_as("j", [request(1)])
    made.revise([topic(1)], [], SCORES)
    assert {call.purpose for call in asker.calls} == {"plan", "write", "judge", "revise"}
    assert {(call.purpose, call.model) for call in asker.calls} == {("plan", "p"), ("revise", "p"), ("write", "m-1"), ("judge", "j")}
    for call in asker.calls:
        assert (call.max_tokens, call.temperature) == (777, 0.5)
        assert call.prompt.startswith(f"{call.purpose} v1 ")
        assert call.system.startswith(f"Task: {call.purpose}\n")
