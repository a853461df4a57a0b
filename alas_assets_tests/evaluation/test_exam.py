"""Reading, asking and matching the exam; and that nothing else reads it (E8, S8)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import alas_assets
from alas_assets.evaluation.exam import ExamError, covered_by, exam_probes, overlap_report, read_exam
from alas_assets_tests.evaluation.tables import pairs

LINE = {"id": "q1", "question": "Which PEP brought lazy imports?", "answer": "PEP 810", "aliases": ["810"]}


def written(folder: Path, *lines: object) -> Path:
    path = folder / "exam.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n", encoding="utf-8")
    return path


def test_an_exam_is_asked_in_both_wordings_apart(tmp_path: Path) -> None:
    path = written(tmp_path, LINE | {"paraphrase": "Lazy imports come from where?", "page": "3.15/imports.html"}, "", LINE | {"id": "q2"})
    asked = exam_probes(read_exam(path))
    assert asked.select("fact_id", "split").rows() == [("q1", "exam"), ("q1", "exam_paraphrase"), ("q2", "exam")]
    assert asked["probe_id"].n_unique() == 3
    assert asked["answer_kind"].to_list() == ["pep"] * 3


def test_a_question_may_hold_signs_that_end_a_line_elsewhere(tmp_path: Path) -> None:
    line = LINE | {"question": "Which PEP\u2028brought lazy\u0085imports?"}
    assert [item.question for item in read_exam(written(tmp_path, json.dumps(line, ensure_ascii=False)))] == [line["question"]]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (LINE | {"hint": "x"}, "hint: unknown key"),
        ({key: LINE[key] for key in ("id", "question")}, "answer: Field required"),
        (LINE | {"answer": "  "}, "answer: is blank"),
        (LINE | {"aliases": "810"}, "aliases: "),
        (LINE | {"id": 5}, "id: "),
        ("{not json", "is not JSON"),
        ("[1]", "is not a JSON object"),
        (LINE | {"id": "q0"}, "id: 'q0' was used before"),
    ],
)
def test_a_bad_line_is_one_line_that_names_file_line_and_key(tmp_path: Path, line: object, said: str) -> None:
    path = written(tmp_path, LINE | {"id": "q0"}, line)
    with pytest.raises(ExamError) as caught:
        read_exam(path)
    assert f"{path}:2: {said}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_alias_that_could_not_earn_a_point_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExamError, match="aliases: ''"):
        read_exam(written(tmp_path, LINE | {"aliases": [""]}))


def test_a_missing_or_empty_exam_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExamError, match="cannot be read"):
        read_exam(tmp_path / "none.jsonl")
    with pytest.raises(ExamError, match="holds no question"):
        read_exam(written(tmp_path, ""))


keys = st.sampled_from(["id", "question", "answer", "aliases", "page", "x\ny"])
scalars = st.none() | st.text(max_size=9)
values = st.recursive(scalars, lambda inner: st.dictionaries(keys, inner, max_size=6) | st.lists(inner, max_size=3))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode()))
def test_no_file_makes_reading_fail_but_with_an_exam_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "exam.jsonl"
    path.write_bytes(data)
    said = ""
    try:
        read_exam(path)
    except ExamError as error:
        said = str(error)
    assert not said or (said.startswith(str(path)) and "\n" not in said)


PAIRS = pairs(
    [
        {"fact_id": "f1", "qa_id": "a", "url": "http://127.0.0.1:1/3.15/imports.html", "question": "What specifies lazy imports?",
         "answer": "PEP 810", "aliases": ["810"], "answer_kind": "pep", "quote": "PEP 810 brings explicit lazy imports."},
        {"fact_id": "f2", "qa_id": "b", "url": "http://127.0.0.1:1/3.15/frozen.html", "question": "What made frozen mappings built in?",
         "answer": "PEP 810", "answer_kind": "pep", "quote": "The frozen mapping type."},
        {"fact_id": "f3", "qa_id": "c", "url": "http://127.0.0.1:1/3.15/imports.html", "question": "What specifies lazy imports, refused?",
         "answer": "PEP 810", "answer_kind": "pep", "quote": "lazy imports", "accepted": False},
    ]
)  # fmt: skip


def test_a_question_is_covered_by_the_pair_that_says_the_same_on_its_page(tmp_path: Path) -> None:
    for page in ("", "3.15/imports.html", "imports.html"):
        assert covered_by(read_exam(written(tmp_path, LINE | {"page": page})), PAIRS) == {"q1": "f1"}
    for other in (LINE | {"page": "other.html"}, LINE | {"page": "ports.html"}, LINE | {"answer": "PEP 811", "aliases": []}):
        assert covered_by(read_exam(written(tmp_path, other)), PAIRS) == {}
    unrelated = LINE | {"question": "Who wrote the grammar of comprehensions?"}
    assert covered_by(read_exam(written(tmp_path, unrelated)), PAIRS) == {}


def test_the_overlap_with_training_is_reported_worst_first(tmp_path: Path) -> None:
    exam = read_exam(written(tmp_path, LINE, LINE | {"id": "q2", "question": "Nothing alike here?"}))
    report = overlap_report(exam, ["Which PEP brought lazy imports?", "What else?"])
    assert report.select("exam_id", "overlap").rows()[0] == ("q1", 1.0)
    assert report["overlap"][1] < 0.5
    assert overlap_report(exam, [])["overlap"].to_list() == [0.0, 0.0]


def test_nothing_that_plans_writes_trains_or_decides_reads_the_exam() -> None:
    root = Path(alas_assets.__file__).parent
    readers = [
        path.relative_to(root).as_posix()
        for folder in ("planning", "synthesis", "training", "retrieval", "teachers", "students", "release")
        for path in (root / folder).rglob("*.py")
        if re.search(r"evaluation(\.| import )exam|exam_file", path.read_text(encoding="utf-8"))
    ]
    assert readers == []
