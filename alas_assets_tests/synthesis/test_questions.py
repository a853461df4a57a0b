"""Question files: what is read, and the one clear line where something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alas_assets.synthesis.questions import GuardQuestion, QuestionFileError, ReplayPrompt, read_guards, read_replay

GOOD = '{"id": "g1", "question": "What is 7 + 5?", "answer": "12", "aliases": ["twelve"]}'


def test_guards_and_prompts_are_read_in_order_and_blank_lines_skipped(tmp_path: Path) -> None:
    file = tmp_path / "g.jsonl"
    file.write_text(GOOD + "\n\n" + '{"id": "g2", "question": "What is 7 - 5?\u2028", "answer": "2"}\n', encoding="utf-8")
    assert read_guards(file)[0] == GuardQuestion(id="g1", question="What is 7 + 5?", answer="12", aliases=["twelve"])
    assert [guard.id for guard in read_guards(file)] == ["g1", "g2"]
    prompts = tmp_path / "r.jsonl"
    prompts.write_text('{"id": "r1", "prompt": " Name a river. "}\n', encoding="utf-8")
    assert read_replay(prompts) == [ReplayPrompt(id="r1", prompt="Name a river.")]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "2: not valid JSON"),
        ("[]", "2: must be a JSON object"),
        ('{"id": "g2", "question": "Why?"}', "2: answer: Field required"),
        ('{"id": "g2", "question": "Why?", "answer": " "}', "2: answer: must not be empty"),
        ('{"id": "g2", "question": "Why?", "answer": "so", "alias": []}', "2: alias: unknown key"),
        ('{"id": "g2", "question": "Why?", "answer": "so", "aliases": [""]}', "2: aliases: must not be empty"),
        ('{"id": "g2", "question": "\\ud800", "answer": "so"}', "2: question: holds a lone surrogate"),
        ('{"id": "g1", "question": "Why?", "answer": "so"}', "2: id: repeats line 1"),
        ('{"id": "g2", "question": "what is 7 + 5", "answer": "12"}', "2: question: repeats line 1"),
        ("[" * 100_000, "2: not valid JSON"),
    ],
)
def test_a_wrong_line_is_one_clear_line_naming_file_line_and_key(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "g.jsonl"
    file.write_text(f"{GOOD}\n{line}\n", encoding="utf-8")
    with pytest.raises(QuestionFileError) as caught:
        read_guards(file)
    assert str(caught.value).startswith(f"{file}:{says}")
    assert "\n" not in str(caught.value)


def test_a_missing_empty_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QuestionFileError, match="no such file"):
        read_guards(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(QuestionFileError, match="holds no questions"):
        read_replay(tmp_path / "empty.jsonl")
    (tmp_path / "binary.jsonl").write_bytes(b"\n\n\xff\xfe")
    with pytest.raises(QuestionFileError, match=r"binary\.jsonl:3: not UTF-8"):
        read_guards(tmp_path / "binary.jsonl")
    with pytest.raises(QuestionFileError, match="cannot be read"):
        read_guards(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
LINES = st.lists(
    st.one_of(
        st.text(max_size=40),
        JSON.map(json.dumps),
        st.fixed_dictionaries({"id": st.text(max_size=2), "question": st.text(max_size=5), "answer": JSON}).map(json.dumps),
    ),
    max_size=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(LINES)
def test_any_file_is_read_or_refused_in_one_line(tmp_path: Path, lines: list[str]) -> None:
    file = tmp_path / "g.jsonl"
    file.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    refused = ""
    guards: list[GuardQuestion] = []
    try:
        guards = read_guards(file)
    except QuestionFileError as error:
        refused = str(error)
    assert bool(refused) != bool(guards)
    assert len(refused.splitlines()) <= 1
    assert refused.startswith(str(file)) or len({guard.id for guard in guards}) == len(guards)
