"""What can be known to fail is said before any work, in one line that names the file and the key at fault (U3)."""

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from alas_assets.cli import app
from alas_assets_tests.harness import Harness, free_port


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    return Harness(tmp_path, "no-student-is-needed-here")


def alas(harness: Harness, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--home", str(harness.settings.home)])


def with_teacher(harness: Harness, *lines: str) -> None:
    harness.domain("quill", 9)
    file = harness.settings.home / "domains" / "quill.toml"
    file.write_text("\n".join([file.read_text(), "[teacher]", 'kind = "openai"', 'model = "m"', *lines]), encoding="utf-8")


@pytest.mark.parametrize("command", [("estimate", "quill"), ("run", "quill"), ("run", "quill", "--dry-run")])
def test_a_guard_file_that_is_not_there_stops_a_command_before_it_runs_anything(harness: Harness, command: tuple[str, ...]) -> None:
    harness.domain("quill", 9, guard_file='"qwen.jsonl"')
    ended = alas(harness, *command)
    assert ended.exit_code == 2
    (line,) = ended.stderr.strip().splitlines()
    assert "quill.toml: guard_file: qwen.jsonl is neither in " in line
    assert "`alas guards` makes one" in line
    assert harness.instance.get_runs() == []


def test_status_names_a_guard_file_that_is_not_there(harness: Harness) -> None:
    harness.domain("quill", 9, guard_file='"qwen.jsonl"')
    ended = alas(harness, "status")
    assert ended.exit_code == 0
    assert "quill.toml: guard_file: qwen.jsonl is neither in " in ended.stdout


def test_a_key_that_a_teacher_cannot_do_without_stops_a_command_before_it_runs_anything(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with_teacher(harness)
    for command in ("estimate", "run"):
        ended = alas(harness, command, "quill")
        assert ended.exit_code == 2
        (line,) = ended.stderr.strip().splitlines()
        assert "quill.toml: OPENAI_API_KEY is not set, and api.openai.com answers nobody without a key (teacher.key_env)" in line
    assert harness.instance.get_runs() == []


def test_a_named_key_that_is_not_set_and_an_endpoint_that_is_down_are_noted_before_the_figures(harness: Harness) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    with_teacher(harness, f'url = "{url}"', 'key_env = "NO_SUCH_KEY"')
    key, down = alas(harness, "estimate", "quill").stderr.strip().splitlines()[:2]
    assert "quill.toml: NO_SUCH_KEY (teacher.key_env) is not set in the environment, so calls go without a key" in key
    assert f"quill.toml: teacher.url: {url} does not answer (" in down


def test_a_teacher_that_answers_from_the_ledger_alone_needs_neither_key_nor_endpoint(harness: Harness) -> None:
    with_teacher(harness, "replay = true")
    assert "quill.toml: " not in alas(harness, "estimate", "quill").stderr


@pytest.mark.parametrize(("format", "refusal"), [("gguf", "set ALAS_LLAMA_CPP to"), ("merged", "is there already and is no export")])
def test_an_export_that_cannot_be_written_is_refused_before_anything_is_gathered(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, refusal: str
) -> None:
    monkeypatch.delenv("ALAS_LLAMA_CPP", raising=False)
    harness.domain("quill", 9)
    at = "2026-01-01T00:00:00+00:00"
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "adapter_config.json").write_text("{}")  # nothing could be gathered of it
    adapter = harness.store.put_folder(harness.store.adapters, tmp_path / "made")
    harness.alas.registry.promote("quill", adapter, iteration=0, decision_hash="d", run_id="r", at=at, previous=None)
    (tmp_path / "taken").write_text("mine")
    ended = alas(harness, "export", "quill", "--format", format, "--to", str(tmp_path / "taken"))
    assert ended.exit_code == 1
    assert refusal in str(ended.exception or ended.stderr)


def test_status_offers_a_dry_run_again_after_one_that_failed(harness: Harness) -> None:
    harness.domain("quill", 9)
    assert not harness.run("quill", dry_run=True).success
    said = alas(harness, "status").stdout
    assert "`alas run quill --dry-run` looks again without training, `alas retry quill` goes on with it and trains" in said
