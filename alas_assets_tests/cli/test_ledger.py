"""`alas ledger` through the command line: what calls cost, and a record that is replayed in another store."""

import json
import subprocess
import sys
from pathlib import Path

from alas_assets.teachers.endpoint.ledger import CallRow, Ledger, now
from alas_assets_tests.harness import Harness

ROW = CallRow(
    key="a" * 64,
    endpoint="http://127.0.0.1:9/v1",
    model="tiny",
    purpose="write",
    item="Inks",
    prompt="write v1",
    attempt=0,
    request="{}",
    text="[bold]said[/]",
    finish="stop",
    prompt_tokens=70,
    completion_tokens=30,
    estimated=0,
    money=None,
    currency="USD",
    latency=0.5,
    at=now(),
    meta="{}",
    domain="quill",
    iteration=0,
)


def alas(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "alas_assets.cli", *map(str, arguments)], capture_output=True, text=True, check=False)


def test_calls_are_shown_and_travel_to_another_store(tmp_path: Path) -> None:
    harness = Harness(tmp_path / "one", "SmolLM2-135M-Instruct")
    harness.domain("quill", 8000)
    harness.opened("quill", 0)
    home, file = harness.settings.home, tmp_path / "calls.jsonl"
    ledger = Ledger(harness.alas.ledger)
    ledger.put(ROW)
    ledger.close()
    (line,) = json.loads(alas("ledger", "show", "quill", "--format", "json", "--home", home).stdout)
    assert (line["iteration"], line["purpose"], line["calls"], line["sent"], line["money"]) == (0, "write", 1, 70, "unknown")
    assert alas("ledger", "export", "quill", file, "--home", home).returncode == 0
    other = tmp_path / "two"
    said = alas("ledger", "import", file, "--home", other)
    assert "1 new call in" in said.stdout
    assert "[teacher]" in said.stdout
    assert Ledger(other / "teacher.sqlite").get([ROW.key])[ROW.key].text == ROW.text
    file.write_text("{", encoding="utf-8")
    wrong = alas("ledger", "import", file, "--home", other)
    assert wrong.returncode == 2
    assert "line 1" in wrong.stderr
