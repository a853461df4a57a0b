"""What goes wrong ends in a message that names the cause, and the cell's earlier results stay whole."""

import socket
from pathlib import Path

import pytest

from alas_assets.provenance.store import Cell
from alas_assets_tests.harness import Harness, serving


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    return Harness(tmp_path, "no-student-is-needed-here")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_site_that_nobody_serves_is_named_with_its_setting(harness: Harness) -> None:
    port = free_port()
    harness.domain("quill", port)
    outcome = harness.run("quill", dry_run=True)
    assert not outcome.success
    assert any(f"127.0.0.1:{port}" in line and "sources.seed_urls" in line for line in outcome.failures)


def test_a_student_folder_without_a_model_is_refused_before_a_page_is_read(tmp_path: Path) -> None:
    harness = Harness(tmp_path, str(tmp_path / "model"))
    with serving() as site:
        harness.domain("quill", site.port)
        outcome = harness.run("quill", dry_run=True)
        (tmp_path / "model").mkdir()
        emptied = harness.run("quill", dry_run=True)
    assert any(line.startswith("curriculum") and "model: no such folder" in line for line in outcome.failures), outcome.failures
    assert any("has no config.json" in line for line in emptied.failures), emptied.failures
    assert not site.requests


def test_a_broken_domain_file_is_one_line_naming_file_and_key(harness: Harness) -> None:
    harness.domain("quill", 9, max_topics="0")
    outcome = harness.run("quill", dry_run=True)
    assert any("quill.toml: budget.max_topics: " in line for line in outcome.failures)


@pytest.mark.parametrize("key", ["../../x", "a b", "x" * 300, "💥"])
def test_a_hostile_partition_key_is_refused_and_writes_nothing(harness: Harness, key: str) -> None:
    from alas_assets.definitions import build_defs

    harness.instance.add_dynamic_partitions("domain", [key])
    harness.instance.add_dynamic_partitions("iteration", ["000"])
    before = {path for path in harness.settings.home.parent.rglob("*") if "dagster" not in path.parts}
    result = (
        build_defs(home=str(harness.settings.home))
        .resolve_job_def("start_iteration")
        .execute_in_process(instance=harness.instance, partition_key=f"{key}|000", raise_on_error=False)
    )
    assert not result.success
    messages = [str(event.step_failure_data.user_failure_data) for event in result.all_events if event.is_step_failure]
    assert any("cannot be a cell" in message for message in messages)
    assert {path for path in harness.settings.home.parent.rglob("*") if "dagster" not in path.parts} == before


def test_a_cell_that_another_run_is_making_is_refused_with_that_runs_name(harness: Harness) -> None:
    with serving() as site, harness.store.exclusive(Cell.of("quill", 0), "curriculum_seed", "run abc123"):
        harness.domain("quill", site.port)
        outcome = harness.run("quill", dry_run=True)
    assert any("curriculum_seed of quill|000 is being materialised by run abc123" in line for line in outcome.failures)
