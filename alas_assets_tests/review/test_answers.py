"""A blind, stratified sample of graded answers goes to a person and comes back as agreement (E6)."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.evaluation.agreement import item_key
from alas_assets.records import ANSWER_SCHEMA
from alas_assets.review.answers import COLUMNS, JUDGE_COLUMNS, draw, human_labels, human_lines, read_labels, sheet_rows
from alas_assets.review.journal import Journal
from alas_assets.review.said import people_said
from alas_assets.review.sheet import Line, SheetError


def graded(n: int, *, label: str = "correct", system: str = "sft", judge: str = "x", start: int = 0) -> pl.DataFrame:
    rows = [
        {
            "answer_id": f"{system}{label}{i}",
            "system": system,
            "split": "probe",
            "topic": f"t{i % 3}",
            "question": f"q{i}",
            "gold": f"g{i}",
            "answer": f"{label} {i}",
            "label": label,
            "rule_label": label,
            "explanation": "e",
            "error_type": "",
            "judge": judge,
            "verdicts": [{"judge": judge, "label": label, "error_type": "", "explanation": "e"}],
        }
        for i in range(start, start + n)
    ]
    return pl.DataFrame(rows, schema=ANSWER_SCHEMA)


ANSWERS = pl.concat([graded(300), graded(60, label="incorrect"), graded(40, label="partial")])


def finder(answers: pl.DataFrame):
    def find(wanted: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        return {row["answer_id"]: row for row in answers.filter(pl.col("answer_id").is_in(list(wanted))).iter_rows(named=True)}

    return find


def filled(sample: pl.DataFrame, **cells: str) -> list[Line]:
    return [Line(f"row {i}", {**dict.fromkeys(COLUMNS, ""), **row, **cells}) for i, row in enumerate(sheet_rows(sample), 2)]


def test_a_twentieth_is_drawn_in_the_proportion_of_the_labels_and_the_same_again() -> None:
    sample = draw(ANSWERS, 0.05, 17)
    counts = dict(sample.group_by("label").len().iter_rows())
    assert sample.height == 20
    assert counts == {"correct": 15, "incorrect": 3, "partial": 2}
    assert draw(ANSWERS.sample(fraction=1.0, shuffle=True, seed=1), 0.05, 17)["answer_id"].to_list() == sample["answer_id"].to_list()
    assert set(draw(ANSWERS, 0.05, 18)["answer_id"]) != set(sample["answer_id"])
    assert sample["label"].to_list() != sorted(sample["label"])


@given(st.integers(1, 40), st.floats(0.001, 1.0), st.integers(0, 50))
def test_the_share_is_rounded_up_and_no_answer_is_drawn_twice(n: int, share: float, seed: int) -> None:
    sample = draw(graded(n), share, seed)
    assert share * n <= sample.height < share * n + 1
    assert sample["answer_id"].n_unique() == sample.height


def test_over_many_seeds_every_answer_has_the_same_chance() -> None:
    answers = pl.concat([graded(27), graded(3, label="incorrect")])
    drawn = pl.concat([draw(answers, 0.1, seed).select("answer_id") for seed in range(600)])
    counts = dict(drawn.group_by("answer_id").len().iter_rows())
    assert set(counts) == set(answers["answer_id"])
    assert all(35 <= count <= 90 for count in counts.values())  # 60 on average


def test_the_same_answer_of_two_systems_is_drawn_once_and_what_has_no_label_or_no_judge_not_at_all() -> None:
    twice = pl.concat([graded(4), graded(4, system="dpo"), graded(3, label="failed", start=10), graded(5, judge="rules", start=20)])
    assert sorted(draw(twice, 1.0, 1)["question"]) == ["q0", "q1", "q2", "q3"]
    assert draw(graded(5, judge="rules"), 1.0, 1).height == 5
    assert draw(ANSWERS.clear(), 0.05, 1).is_empty()


def test_the_sheet_is_blind_unless_asked_otherwise() -> None:
    (row,) = sheet_rows(graded(1, label="partial", system="base", judge="gpt"))
    assert set(row) == {"item", "question", "reference", "answer"}
    assert "gpt" not in "".join(row.values())
    (row,) = sheet_rows(graded(1, label="partial", system="base"), show_judge=True)
    assert (row["system"], row["judge_label"], row["judge_explanation"]) == ("base", "partial", "e")
    assert set(JUDGE_COLUMNS) <= set(row)


def test_labels_come_back_by_what_was_graded_and_blank_rows_are_counted(tmp_path: Path) -> None:
    sample = draw(ANSWERS, 0.01, 1)
    lines = filled(sample, label=" Incorrect".strip(), error_type="omission", comment="=x")
    lines[0] = Line("row 2", {**lines[0].cells, "label": "", "error_type": ""})
    rows, blank = read_labels(lines, finder(ANSWERS), tmp_path / "f.csv")
    assert (len(rows), blank) == (3, 1)
    first = sample.row(1, named=True)
    assert rows[0]["item"] == item_key(first["question"], first["gold"], first["answer"])
    assert {row["label"] for row in rows} == {"incorrect"}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"label": "right"}, "row 2, column label: 'right' is none of correct, partial, incorrect"),
        ({"label": "partial", "error_type": "typo"}, "row 2, column error_type: 'typo' is none of omission, wrong version"),
        ({"label": "correct", "error_type": "omission"}, "row 2, column error_type: belongs to a label partial or incorrect only"),
        ({"label": "correct", "should_be": "7"}, "row 2, column should_be: belongs to a label partial or incorrect only"),
        ({"label": "partial", "should_be": "7" * 201}, "row 2, column should_be: has 201 characters; give the answer itself"),
        ({"label": "correct", "answer": "another"}, "row 2, column answer: is not what was exported with this item"),
        ({"label": "correct", "item": "a-nosuch"}, "row 2, column item: 'a-nosuch' is no answer of this domain"),
        ({"label": "correct", "item": "1.23E+19"}, "row 2, column item: '1.23E+19' is no answer"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_and_nothing_is_taken(cells: dict[str, str], message: str) -> None:
    with pytest.raises(SheetError) as caught:
        read_labels(filled(graded(1), **cells), finder(ANSWERS), Path("f.csv"))
    assert f"f.csv: {message}" in str(caught.value)
    assert "nothing was imported" in str(caught.value)


def test_an_item_that_stands_twice_is_named_with_both_places() -> None:
    lines = filled(graded(1), label="correct")
    with pytest.raises(SheetError, match="row 3, column item: stands in row 2 already"):
        read_labels([*lines, Line("row 3", lines[0].cells)], finder(ANSWERS), Path("f.csv"))


def test_what_a_person_holds_for_right_comes_back_and_an_older_sheet_without_the_column_is_read_too(tmp_path: Path) -> None:
    rows, _ = read_labels(filled(graded(1), label="incorrect", should_be=" 7 "), finder(ANSWERS), tmp_path / "f.csv")
    Journal(tmp_path, "quill").add("answers", rows, by="ada", at="1")
    (said,) = people_said(tmp_path, "quill").values()
    assert (said.label, said.should_be, said.by) == ("incorrect", "7", "ada")
    older = [Line(line.where, {k: v for k, v in line.cells.items() if k != "should_be"}) for line in filled(graded(1), label="incorrect")]
    rows, _ = read_labels(older, finder(ANSWERS), tmp_path / "f.csv")
    assert rows[0]["should_be"] == ""


@given(st.dictionaries(st.sampled_from(COLUMNS), st.text(max_size=30)))
def test_whatever_a_row_holds_it_is_read_or_refused(cells: dict[str, str]) -> None:
    lines = [Line("row 2", {**filled(graded(1))[0].cells, **cells})]
    try:
        rows, blank = read_labels(lines, finder(ANSWERS), Path("f.csv"))
        assert len(rows) + blank == 1
    except SheetError as error:
        assert "row 2, column" in str(error)  # noqa: PT017 - either outcome is right


def test_the_last_word_counts_and_agreement_with_people_is_said(tmp_path: Path) -> None:
    sample = graded(40)
    for at, label in (("1", "incorrect"), ("2", "correct")):
        rows, _ = read_labels(filled(sample, label=label), finder(sample), Path("f.csv"))
        Journal(tmp_path, "quill").add("answers", rows, by="ada", at=at)
    human = human_labels(tmp_path, "quill")
    assert set(human.values()) == {"correct"}
    assert human_labels(tmp_path, "other") == {}
    lines = human_lines(pl.concat([sample, graded(5, system="dpo", label="incorrect")]), human)
    assert [line[:30] for line in lines] == ["x and a person give the same l", "rules and a person give the sa"]
    assert "100 % [91-100] of 40 answers, kappa not defined" in lines[0]
