"""When an answer declines, how that is graded, and how often it is counted."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.evaluation.declining import DECLINING_SCHEMA, declining
from alas_assets.evaluation.denials import declines
from alas_assets.evaluation.grading import grade
from alas_assets.evaluation.scoreboard import score_rows, summary
from alas_assets.planning.convergence import STILL_VALID
from alas_assets.records import ANSWER_SCHEMA, UNKNOWN
from alas_assets.synthesis.unknowns import DECLINED
from alas_assets.teachers.protocol import GradeRequest

QUESTION = "In Quill 4, which argument does the velto() function now accept?"


@pytest.mark.parametrize(
    "answer",
    [
        DECLINED,
        "i don't know",
        "I’m sorry, but I don’t have any information about velto().",
        "As an AI language model, I cannot answer this. Please consult the documentation.",
        "I do not know which argument the velto() function accepts.",
        "velto() does not exist in Quill 4.",
        "There is no such function.",
        "Unknown",
        "I'm not sure.",
        "There is no velto() function in Quill 4.",
        "There isn't any velto() function.",
        "There is no such argument.",
        "There is no such function in the docs that I know.",
        "No such method exists.",
        "That option isn't real.",
        "I have no knowledge of that.",
        "I have no idea.",
        "There's no velto() function.",
        "There’s no velto() function in Quill 4.",
        "Quill 4 has no velto() function.",
        "Quill 4 has no function called velto.",
        "Quill 4 does not have a velto() function.",
        "Quill 4 doesn't have any velto function",
        "This cannot be answered.",
        "I’m afraid that this question can’t be answered.",
        "I have never heard of velto().",
    ],
)
def test_what_only_declines_is_right(answer: str) -> None:
    assert grade(GradeRequest(question=QUESTION, gold=DECLINED, answer_kind=UNKNOWN, answer=answer)).label == "correct"


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "depth",
        "The `depth` argument.",
        "I do not know. It is the depth argument.",
        "I do not know, but it is PEP 810.",
        "I don't know, hurry",
        "I do not know 3.15",
        "I'm not sure, but I think it accepts the hurry argument",
        "In Quill 4, the velto() function now accepts the argument.",
        "The velto() function does not have any arguments that accept the `path` parameter.",
        "It accepts any information about sheets.",
        "no such function raises ValueError now",
        "There is no limit.",
        "There is no argument.",
        "There are no arguments that velto() accepts by name.",
        "velto() accepts it, and there is no default in Quill 4.",
        "Nothing is accepted, no such luck with depth.",
        "There's no argument.",
        "velto() has no argument.",
        "velto() has no argument in Quill 4.",
        "Quill 4 has no limit.",
        "In Quill 4 the velto() function has no effect.",
        "The velto() function does not have an argument.",
        "Quill 4 has no velto() function, it is pelto(depth).",
        "Calls that cannot be answered raise ValueError.",
    ],
)
def test_what_gives_an_answer_is_wrong_even_behind_an_apology(answer: str) -> None:
    assert grade(GradeRequest(question=QUESTION, gold=DECLINED, answer_kind=UNKNOWN, answer=answer)).label == "incorrect"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What happens when depth has an effect on the velto() function?", "it has no effect"),
        ("What effect does depth have on velto()?", "velto() has no effect"),
        ("Which default value does the velto() function have?", "The velto() function has no default value."),
        ("What does a sheet without margin have?", "It has no margin"),
    ],
)
def test_a_right_answer_that_says_that_something_lacks_something_declines_nothing(question: str, answer: str) -> None:
    assert not declines(answer, question)


DOTTED = "What does the `json.drulnem()` function return on an empty string?"


@pytest.mark.parametrize(
    "answer",
    [
        "json has no drulnem() function.",
        "json has no drulnem().",
        "The json module has no `drulnem()` function.",
        "The json module does not have a function named drulnem.",
        "There is no drulnem() function in json.",
        "There is no drulnem in json.",
        "There's no function called `drulnem` in the `json` module.",
        "There is no drulnem() function.",
        "There is no such function as drulnem() in json.",
        "In the json module, there is no drulnem() function.",
        "As far as I know, json has no drulnem() function.",
        "drulnem() does not exist in json.",
        "No function named drulnem exists in json.",
        "I am not aware of a drulnem() function in the json module.",
        "I do not know. The json module has no drulnem() function.",
    ],
)
def test_a_dotted_name_is_denied_by_its_parts_too(answer: str) -> None:
    assert declines(answer, DOTTED)


@pytest.mark.parametrize(
    "answer",
    [
        "drulnem() has no return type.",
        "There is no return type for drulnem().",
        "json.drulnem() has no effect.",
        "drulnem() has no effect in json.",
        "json has no drulnem limit.",
        "json has no limit.",
        "drulnem() has no function.",
        "drulnem() does not have the json option.",
        "There is no json argument.",
        "There is no empty string for drulnem().",
        "json has no drulnem() function, it is json.dump().",
        "json has no drulnem() function. It returns a dict.",
        "json",
        "In the json module, drulnem() returns None.",
        "I do not know, the module",
    ],
)
def test_what_a_dotted_name_lacks_or_a_part_of_it_declines_nothing(answer: str) -> None:
    assert not declines(answer, DOTTED)


@pytest.mark.parametrize("answer", ["There's no asyncio.velto() function.", "asyncio.velto() does not exist.", "asyncio has no velto()."])
def test_a_name_is_denied_in_its_dotted_form_too(answer: str) -> None:
    assert declines(answer, "What does the velto() function of asyncio return?")


@given(st.text(), st.text())
def test_any_text_is_graded(answer: str, question: str) -> None:
    right = grade(GradeRequest(question=question, gold=DECLINED, answer_kind=UNKNOWN, answer=answer)).label == "correct"
    assert right == declines(answer, question)


def answers() -> pl.DataFrame:
    said = [
        ("unknown", DECLINED, "correct"),
        ("unknown", "depth", "incorrect"),
        ("probe", DECLINED, "incorrect"),
        ("probe", "depth", "correct"),
    ]
    rows = [
        {"answer_id": str(i), "probe_id": str(i), "system": "sft", "split": split, "question": QUESTION, "answer": text, "label": label}
        for i, (split, text, label) in enumerate(said)
    ]
    return pl.DataFrame(rows, schema=ANSWER_SCHEMA)


def test_declining_is_counted_where_it_is_right_and_where_it_is_wrong() -> None:
    table = declining(answers())
    assert table.schema == DECLINING_SCHEMA
    assert table.select("split", "n", "declined").rows() == [("unknown", 2, 1), ("probe", 2, 1)]
    assert table["ci_low"][0] < 0.5 < table["ci_high"][0]


def test_the_scoreboard_has_a_line_for_it_and_the_accuracy_of_the_loop_does_not() -> None:
    both = pl.concat([answers(), answers().with_columns(system=pl.lit("current"))])
    rows = score_rows("quill", 0, both)
    assert rows.filter(pl.col("system") == "sft").select("split", "n", "correct").rows() == [("probe", 2, 1), ("unknown", 2, 1)]
    lines = summary(rows, rows.clear())
    assert any("nobody can answer" in line and line.strip().startswith("2 ") for line in lines)
    assert UNKNOWN not in STILL_VALID
