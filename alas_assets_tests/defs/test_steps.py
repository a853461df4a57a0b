"""What every materialisation of the loop says about itself (U1, O4)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from alas_assets.defs.running import Outcome, open_cell
from alas_assets.provenance.store import Cell
from alas_assets_tests.harness import Harness


def test_a_materialisation_that_nothing_was_done_for_starts_with_who_made_it_and_when(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "none")
    harness.domain("quill", 1)

    def seeded() -> tuple[Outcome, dict[str, dg.MetadataValue]]:
        outcome = open_cell(harness.instance, harness.settings, Cell.of("quill", 0), cause="test", on_event=lambda *_: None)
        event = harness.instance.fetch_materializations(dg.AssetKey("curriculum_seed"), limit=1).records[0].asset_materialization
        assert event is not None
        return outcome, dict(event.metadata)

    (first, made), (second, again) = seeded(), seeded()
    assert first.run_id != second.run_id
    assert not {"made_by_run", "made_at"} & set(made)
    assert list(again)[:3] == ["unchanged", "made_by_run", "made_at"]
    assert again["unchanged"].value is True
    assert again["made_by_run"].value == first.run_id
    when = again["made_at"].value
    assert isinstance(when, float)
    assert timedelta(0) <= datetime.now(UTC) - datetime.fromtimestamp(when, UTC) < timedelta(minutes=5)
