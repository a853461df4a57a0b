"""`alas gc` frees what nothing names, so it waits for whoever has just made something that nothing names yet."""

from pathlib import Path

import dagster as dg
import pytest

from alas_assets_tests.cli.test_cli import alas
from alas_assets_tests.harness import Harness


@pytest.mark.parametrize(("job", "tag"), [("iteration", "dagster/partition/domain"), ("scores", "dagster/partition")])
def test_gc_frees_nothing_while_a_run_of_the_domain_is_under_way(job: str, tag: str, tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", 9)
    home = harness.settings.home
    made = home / "served" / ("a" * 64) / "model.safetensors"
    made.parent.mkdir(parents=True)
    made.write_bytes(b"0")
    started = harness.repository.get_job(job)
    run = harness.instance.create_run_for_job(started, status=dg.DagsterRunStatus.STARTED, tags={tag: "quill"})
    assert f"run {run.run_id[:8]} of quill is under way" in " ".join(alas(home, "gc", "quill", code=1).stderr.split())
    assert made.exists()
    harness.instance.report_run_canceled(run)
    shown = alas(home, "gc", "quill", "--dry-run").stdout
    assert "merged model: 1 files" in shown
    assert "would free 1 files" in shown
    assert made.exists()
    assert "freed 1 files" in alas(home, "gc", "quill").stdout
    assert not made.exists()
