"""With the daemon on and the domain watched, the loop goes round by itself, and nothing is trained twice (O1, O2)."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from alas_assets.partitions import cell_key
from alas_assets.provenance.store import Cell
from alas_assets_tests.harness import Harness, Site, daemon

DEADLINE_SECONDS = 800


@pytest.fixture
def watched(tmp_path: Path, tiny_student: Path, quill_site: Site) -> Iterator[tuple[Harness, Path]]:
    """A watched domain of its own, with Dagster's daemon running beside, and the daemon's log."""
    harness, log = Harness(tmp_path, str(tiny_student)), tmp_path / "daemon.log"
    harness.domain("quill", quill_site.port)
    harness.watch("quill")
    with daemon(harness, log):
        yield harness, log


def trainings(harness: Harness, iteration: int) -> int:
    """Return how often the cell's SFT adapter was really trained."""
    found = harness.instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey("sft_adapter"), asset_partitions=[cell_key(Cell.of("quill", iteration))]), limit=50
    )
    events = [record.asset_materialization for record in found.records]
    return sum(1 for event in events if event and not event.metadata["unchanged"].value)


@pytest.mark.timeout(960)
def test_a_watched_domain_goes_round_by_itself_and_trains_each_adapter_once(watched: tuple[Harness, Path]) -> None:
    harness, log = watched
    outcome = harness.run("quill")
    assert outcome.success, outcome.failures
    harness.wait_for("quill", 1, "revised_curriculum", DEADLINE_SECONDS, log)
    assert trainings(harness, 0) == 1
    assert trainings(harness, 1) == 1
    assert [iteration for iteration, _ in harness.openings("quill")][:1] == ["001"]
