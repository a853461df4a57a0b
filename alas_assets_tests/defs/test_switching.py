"""`alas watch` turns all sensors on and off in one go, and the daemon's own view of them agrees (O2)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from alas_assets.defs import switching
from alas_assets.defs.running import open_instance
from alas_assets.defs.switching import SwitchError, switch_sensors
from alas_assets.settings import PROJECT_ROOT, load_settings


def running(home: Path) -> list[str]:
    """Return the sensors that Dagster's own command line calls running, asked from the clone as `dagster dev` is started there."""
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "sensor", "list", "--running", "--name", "-w", "workspace.yaml"],
        cwd=PROJECT_ROOT,
        env={**os.environ, "ALAS_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")},
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(line for line in done.stdout.split("\n") if line and " " not in line)


def test_all_sensors_are_switched_on_then_off_as_dagster_itself_sees_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a switch is found again wherever the command was given
    instance = open_instance(load_settings(tmp_path))
    names = switch_sensors(instance, on=True)
    assert {"automation", "release_pages", "overdue_domains", "failed_runs"} <= set(names)
    assert running(tmp_path) == names
    assert switch_sensors(instance, on=True) == names
    assert switch_sensors(instance, on=False) == names
    assert running(tmp_path) == []


def test_a_code_location_that_cannot_be_loaded_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "workspace.yaml"
    broken.write_text("load_from:\n  - python_module: {module_name: no_such_module, location_name: alas_assets}\n", encoding="utf-8")
    monkeypatch.setattr(switching, "PROJECT_ROOT", tmp_path)
    with pytest.raises(SwitchError, match="no_such_module"):
        switch_sensors(open_instance(load_settings(tmp_path / "store")), on=True)
