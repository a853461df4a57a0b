"""What a step's result depends on, said once: the models and prompts that it uses, and nothing that only changes speed or price."""

from pathlib import Path

import pytest

from alas_assets.domains.config import Domain, read_domain
from alas_assets.teachers.extractive import ExtractiveTeacher
from alas_assets.teachers.opening import decides, decides_a_verdict, open_teacher
from alas_assets_tests.teachers.endpoint.faulty import FaultServer

FILE = """title = "Inks"
description = "New inks and what they are made of."
{more}
[sources]
seed_urls = ["https://a.example/"]
[teacher]
kind = "openai"
model = "m"
{teacher}
"""


def domain(folder: Path, teacher: str = "", more: str = "") -> Domain:
    path = folder / "inks.toml"
    path.write_text(FILE.format(teacher=teacher, more=more), encoding="utf-8")
    return read_domain(path)


def test_speed_price_and_key_change_nothing_that_is_made(tmp_path: Path) -> None:
    plain = decides(domain(tmp_path), "plan", "write", "judge", "revise")
    for other in ("concurrency = 3", "requests_per_minute = 5", 'key_env = "K"', "attempts = 2", "replay = true", "deadline_seconds = 3.0"):
        assert decides(domain(tmp_path, other), "plan", "write", "judge", "revise") == plain


def test_another_judge_makes_no_pair_and_no_verdict_of_the_first_again(tmp_path: Path) -> None:
    one, other = domain(tmp_path), domain(tmp_path, 'judges = ["m", "n"]\njudge_guards = true\nplanner = "p"\npage_chars = 900')
    assert decides(one, "judge") != decides(other, "judge")
    assert decides_a_verdict(one) == decides_a_verdict(other)
    assert decides_a_verdict(one) != decides_a_verdict(domain(tmp_path, "temperature = 0.5"))
    assert decides(one, "write") == decides(domain(tmp_path, 'judges = ["n"]\nplanner = "p"'), "write")
    assert decides(one, "plan") != decides(domain(tmp_path, 'planner = "p"'), "plan")


def test_pairs_depend_on_the_writer_the_prompt_and_what_it_is_told_of_the_domain(tmp_path: Path) -> None:
    written = decides(domain(tmp_path), "write")
    assert set(written["prompts"]) == {"write", "paraphrase"}
    assert decides(domain(tmp_path, more="[mix]\nfactual = 1.0"), "write") != written


def test_a_step_is_done_again_where_answers_are_read_otherwise_and_no_verdict_is_paid_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> tuple[list[object], object]:
        each = domain(tmp_path)
        return [decides(each, purpose) for purpose in ("plan", "write", "judge", "revise")], decides_a_verdict(each)

    steps, verdict = found()
    monkeypatch.setattr("alas_assets.teachers.llm.reading.READING_VERSION", 99)
    later, same = found()
    assert all(step != now for step, now in zip(steps, later, strict=True))
    assert verdict == same


def test_nothing_is_sent_before_the_teacher_is_asked_and_then_its_abilities_are_told(tmp_path: Path) -> None:
    said: list[str] = []
    with FaultServer(models=("m",)) as server:
        teacher = open_teacher(domain(tmp_path, f'url = "{server.url}"'), tmp_path / "teacher.sqlite", log=said.append)
        assert server.received == []
        teacher.revise([], [], [])
    assert said == ["teacher m: chat, schema enforced"]


def test_without_a_model_the_teacher_is_the_extractive_one(tmp_path: Path) -> None:
    path = tmp_path / "inks.toml"
    path.write_text(FILE.format(teacher="", more="").split("[teacher]")[0], encoding="utf-8")
    assert isinstance(open_teacher(read_domain(path), tmp_path / "teacher.sqlite"), ExtractiveTeacher)
    assert decides(read_domain(path), "write") == {"kind": "extractive"}


def test_another_server_in_the_environment_is_another_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for url in ("http://one.example/v1", "http://two.example/v1"):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        found.append((decides(domain(tmp_path), "write"), decides_a_verdict(domain(tmp_path))))
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]
