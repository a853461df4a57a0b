"""What a person wants no more of is left alone by the sensors (O1, O2)."""

from pathlib import Path

import pytest

from alas_assets.provenance.watching import set_watched
from alas_assets_tests.harness import Harness, skipped


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    """The domain `quill`, watched; nothing listens where its pages should be, and a failed iteration is tried again at once."""
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", 9)
    path = harness.settings.home / "domains" / "quill.toml"
    path.write_text(path.read_text(encoding="utf-8") + "\n[retries]\nwait_minutes = 0\n", encoding="utf-8")
    set_watched(harness.settings.home, "quill", True)
    return harness


def test_a_dry_run_that_failed_is_not_tried_again_with_training(harness: Harness) -> None:
    assert not harness.run("quill", dry_run=True).success
    assert "iteration 000 is unfinished, and no run of it failed" in skipped(harness.tick("failed_iterations"))
