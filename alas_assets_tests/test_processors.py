"""Threads that wait for each other give their processor away soon, in every program that computes."""

import subprocess
from pathlib import Path

import pytest

from alas_assets.processors import waiting_briefly
from alas_assets.release.environment import bare_environment
from alas_assets.students.answering import AskItem, Decoding
from alas_assets.students.client import ModelWorker
from alas_assets_tests.training.factory import child_command, environment, make_spec, tiny_recipe, train_rows

HEARD = "GOMP_SPINCOUNT = '5000'"
"""What libgomp says it heard where OMP_DISPLAY_ENV asks it to."""


@pytest.fixture(autouse=True)
def nobody_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)


def test_what_a_person_chose_stays() -> None:
    assert waiting_briefly({"PATH": "/bin"}) == {"GOMP_SPINCOUNT": "5000"}
    assert waiting_briefly({"OMP_WAIT_POLICY": "active"}) == waiting_briefly({"GOMP_SPINCOUNT": "7"}) == {}


def test_other_programs_are_started_so() -> None:
    assert bare_environment()["GOMP_SPINCOUNT"] == "5000"


def test_the_threads_of_a_training_hear_of_it(tiny_student: Path, tmp_path: Path) -> None:
    spec = make_spec("sft", tmp_path, tiny_student, train_rows(8), recipe=tiny_recipe(epochs=1))
    asked = environment() | {"OMP_DISPLAY_ENV": "verbose"}
    done = subprocess.run(child_command(spec), capture_output=True, text=True, env=asked, check=True, timeout=240)
    assert HEARD in done.stderr + done.stdout


def test_the_threads_of_the_model_process_hear_of_it(tiny_student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_DISPLAY_ENV", "verbose")
    with ModelWorker(tmp_path / "worker.log") as worker:
        student = worker.prepare(str(tiny_student), "main", tmp_path / "models")
        worker.answer(student, [AskItem(question="What is 1 plus 1?")], None, Decoding())
    assert HEARD in (tmp_path / "worker.log").read_text(encoding="utf-8")
