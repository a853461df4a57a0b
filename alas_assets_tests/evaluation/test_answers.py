"""Asking once, keeping at once, failing visibly (O4, E7)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alas_assets.evaluation.answers import ASK_BATCH, AnswerError, AnswerStore, ask_all, grade_answers
from alas_assets.records import ANSWER_SCHEMA
from alas_assets.students.answering import Answered, AskItem
from alas_assets_tests.evaluation.tables import RuleTeacher, many, probe, probes

DECODING = {"max_new_tokens": 8}


class Student:
    """Answers by rule and counts what it was asked."""

    def __init__(self, say: Callable[[AskItem], Answered]) -> None:
        self.say = say
        self.asked: list[AskItem] = []

    def __call__(self, items: list[AskItem]) -> list[Answered]:
        self.asked += items
        return [self.say(item) for item in items]


def echo(item: AskItem) -> Answered:
    return Answered(text=f"gold_{item.question.rstrip('?').rsplit(' ', 1)[-1]}")


def put(store: AnswerStore, text: str, error: str = "", question: str = "q") -> None:
    row: dict[str, Any] = {**dict.fromkeys(("probe_id", "system", "base_hash", "adapter_hash", "context_hash"), ""), "iteration": 0}
    store.put([{**row, "answer_id": "a", "question": question, "text": text, "error": error, "context_chunks": ["c1"]}])


def test_a_question_is_asked_once_and_answered_in_the_order_of_the_probes(tmp_path: Path) -> None:
    asked, store, student = probes(*many(5)), AnswerStore(tmp_path / "deep" / "answers.sqlite"), Student(echo)
    first = ask_all(asked, "base", student, store, base_hash="b", decoding=DECODING)
    again = ask_all(asked.reverse(), "base", student, store, base_hash="b", decoding=DECODING)
    assert len(student.asked) == 5
    assert first["probe_id"].to_list() == asked["probe_id"].to_list()
    assert again.reverse().equals(first)
    ask_all(asked, "sft", student, store, base_hash="b", adapter_hash="x", decoding=DECODING)
    ask_all(asked, "base", student, store, base_hash="b", decoding={"max_new_tokens": 9})
    assert len(student.asked) == 15


def test_what_was_answered_before_a_kill_is_not_asked_again(tmp_path: Path) -> None:
    asked, store = probes(*many(ASK_BATCH + 10)), AnswerStore(tmp_path / "answers.sqlite")
    calls = 0

    def dies(items: list[AskItem]) -> list[Answered]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return [echo(item) for item in items]

    with pytest.raises(KeyboardInterrupt):
        ask_all(asked, "base", dies, store, base_hash="b", decoding=DECODING)
    student = Student(echo)
    table = ask_all(asked, "base", student, store, base_hash="b", decoding=DECODING)
    assert len(student.asked) == 10
    assert table["text"].to_list() == asked["answer"].to_list()


def test_a_failed_generation_is_retried_then_kept_as_failed_and_asked_again_later(tmp_path: Path) -> None:
    asked, store = probes(*many(3)), AnswerStore(tmp_path / "answers.sqlite")
    broken = Student(lambda item: Answered(text="", error="out of memory") if "number 1" in item.question else echo(item))
    table = ask_all(asked, "base", broken, store, base_hash="b", decoding=DECODING)
    assert len(broken.asked) == 4
    assert table["error"].to_list() == ["", "out of memory", ""]
    graded = grade_answers(asked, table, RuleTeacher())
    assert graded["label"].to_list() == ["correct", "failed", "correct"]
    assert "out of memory" in graded["explanation"][1]
    healed = Student(echo)
    table = ask_all(asked, "base", healed, store, base_hash="b", decoding=DECODING)
    assert len(healed.asked) == 1
    assert table["error"].to_list() == ["", "", ""]


def test_a_good_answer_is_never_replaced_a_failed_or_reworded_one_is(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path / "answers.sqlite")
    put(store, "", error="timeout")
    put(store, "good")
    put(store, "", error="timeout")
    put(store, "other")
    assert store.get(["a", "unknown"])["a"]["text"] == "good"
    assert store.get(["a"])["a"]["context_chunks"] == ["c1"]
    put(store, "new", question="other words")
    assert store.get(["a"])["a"]["text"] == "new"


def test_a_question_reworded_under_the_same_id_is_asked_again(tmp_path: Path) -> None:
    store, student = AnswerStore(tmp_path / "answers.sqlite"), Student(echo)
    ask_all(probes(probe(1)), "base", student, store, base_hash="b", decoding=DECODING)
    table = ask_all(probes(probe(1) | {"question": "And number 2?"}), "base", student, store, base_hash="b", decoding=DECODING)
    assert table["text"].to_list() == ["gold_2"]


def test_open_book_answers_carry_what_was_shown(tmp_path: Path) -> None:
    asked, student = probes(*many(2)), Student(lambda item: Answered(text=item.context or ""))
    contexts = {row: (f"text {i}", [f"chunk{i}"]) for i, row in enumerate(asked["probe_id"])}
    store = AnswerStore(tmp_path / "answers.sqlite")
    table = ask_all(asked, "rag", student, store, base_hash="b", contexts=contexts, decoding=DECODING)
    assert table["text"].to_list() == ["text 0", "text 1"]
    assert table["context_chunks"].to_list() == [["chunk0"], ["chunk1"]]
    assert table["context_hash"].n_unique() == 2
    with pytest.raises(AnswerError, match="no context"):
        ask_all(asked, "rag", student, store, base_hash="b", contexts={}, decoding=DECODING)


def test_too_few_answers_are_refused_and_none_is_kept(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path / "answers.sqlite")
    with pytest.raises(AnswerError, match="1 answers came back for 3"):
        ask_all(probes(*many(3)), "base", lambda items: [echo(items[0])], store, base_hash="b", decoding=DECODING)
    student = Student(echo)
    ask_all(probes(*many(3)), "base", student, store, base_hash="b", decoding=DECODING)
    assert len(student.asked) == 3


def test_several_processes_write_one_store(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    script = (
        "import sys\nfrom pathlib import Path\nfrom alas_assets.evaluation.answers import AnswerStore\n"
        "store = AnswerStore(Path(sys.argv[1]))\n"
        "row = dict.fromkeys(('probe_id', 'system', 'question', 'error', 'base_hash', 'adapter_hash', 'context_hash'), '')\n"
        "for i in range(40):\n"
        "    store.put([row | {'answer_id': f'{i}', 'text': sys.argv[2], 'context_chunks': [], 'iteration': 0},\n"
        "               row | {'answer_id': f'{sys.argv[2]}-{i}', 'text': 'own', 'context_chunks': [], 'iteration': 0}])\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(path), str(n)], stderr=subprocess.PIPE, text=True) for n in range(3)]
    assert [(process.wait(), process.stderr.read() if process.stderr else "") for process in running] == [(0, "")] * 3
    store = AnswerStore(path)
    assert len(store.get([str(i) for i in range(40)])) == 40
    assert len(store.get([f"{n}-{i}" for n in range(3) for i in range(40)])) == 120


def test_a_damaged_store_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(AnswerError, match=r"answers\.sqlite"):
        AnswerStore(path).get(["a"])


def stored(i: int) -> dict[str, Any]:
    columns = ("probe_id", "system", "error", "base_hash", "adapter_hash", "context_hash")
    return {**dict.fromkeys(columns, ""), "answer_id": f"{i:04}", "question": "q" * 200, "text": "", "context_chunks": [], "iteration": 0}


def test_a_store_damaged_past_its_beginning_is_named_with_what_to_do_by_reading_and_by_writing(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path / "answers.sqlite")
    store.put(stored(i) for i in range(400))
    whole = store.path.read_bytes()
    assert len(whole) > 8192
    store.path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(AnswerError, match=r"answers\.sqlite: .*malformed.*move the file away"):
        store.get(f"{i:04}" for i in range(400))
    with pytest.raises(AnswerError, match=r"answers\.sqlite: 1 answers .*malformed.*move the file away"):
        store.put([stored(999)])


def test_a_store_without_room_is_not_given_up(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk; it holds for a whole process, hence another one."""
    script = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from alas_assets.evaluation.answers import AnswerError, AnswerStore\n"
        "from alas_assets_tests.evaluation.test_answers import stored\n"
        "store = AnswerStore(Path(sys.argv[1]))\nstore.put([stored(0)])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "try:\n    store.put(stored(i) for i in range(2000))\nexcept AnswerError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "answers.sqlite")], check=True, capture_output=True, text=True)
    assert "answers.sqlite: 2000 answers could not be stored" in done.stdout
    assert "see to that and run again" in done.stdout
    assert "move the file away" not in done.stdout


def test_a_judgement_that_fails_costs_one_row_and_stays_in_the_table(tmp_path: Path) -> None:
    asked = probes(*many(4))
    raw = ask_all(asked, "base", Student(echo), AnswerStore(tmp_path / "a.sqlite"), base_hash="b", decoding=DECODING)
    graded = grade_answers(asked, raw, RuleTeacher(fail_on="gold_2"))
    assert graded.schema == ANSWER_SCHEMA
    assert graded["label"].to_list() == ["correct", "correct", "failed", "correct"]
    assert "TimeoutError" in graded["explanation"][2]
    assert graded["judge"].unique().to_list() == ["rules"]
    assert graded["token_f1"].to_list() == [1.0] * 4


def test_answers_without_a_probe_and_probes_with_one_id_are_refused(tmp_path: Path) -> None:
    asked = probes(*many(2))
    raw = ask_all(asked, "base", Student(echo), AnswerStore(tmp_path / "a.sqlite"), base_hash="b", decoding=DECODING)
    with pytest.raises(AnswerError, match="belong to none"):
        grade_answers(asked.head(1), raw, RuleTeacher())
    with pytest.raises(AnswerError, match="share an id"):
        grade_answers(probes(probe(1), probe(1)), raw, RuleTeacher())


def test_an_empty_table_is_asked_and_graded_to_an_empty_table(tmp_path: Path) -> None:
    raw = ask_all(probes(), "base", Student(echo), AnswerStore(tmp_path / "a.sqlite"), base_hash="b", decoding=DECODING)
    assert grade_answers(probes(), raw, RuleTeacher()).schema == ANSWER_SCHEMA
