"""An iteration that is made again starts from where it started before, whatever it promoted itself (V1)."""

from pathlib import Path

import pytest

from alas_assets.defs.births import next_opening
from alas_assets.defs.lineage import changed_since, finished
from alas_assets.defs.revision import domain_scoreboard
from alas_assets.defs.running import open_cell
from alas_assets.provenance.store import Cell
from alas_assets.records import Seed
from alas_assets_tests.harness import Harness, Site

BEFORE, OWN, LATER = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    """`quill`, whose iteration 000 promoted an adapter, and 001, which went on from it, another."""
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", 9)
    harness.finished("quill", 0, "continue")
    promote(harness, 0, BEFORE, None)
    assert opened(harness).inherited.current_adapter == BEFORE
    promote(harness, 1, OWN, BEFORE)
    harness.revised("quill", 1, "stop")
    return harness


def promote(harness: Harness, iteration: int, adapter: str, previous: str | None) -> None:
    harness.alas.registry.promote(
        "quill", adapter, iteration=iteration, decision_hash="d", run_id="r", at="2026-11-30T00:00:00+00:00", previous=previous
    )


def opened(harness: Harness, iteration: int = 1) -> Seed:
    """Make an iteration's seed as `alas run` does, and return it."""
    cell = Cell.of("quill", iteration)
    outcome = open_cell(harness.instance, harness.settings, cell, cause="by hand", on_event=lambda *_: None)
    assert outcome.success, outcome.failures
    return harness.store.read_record(Seed, harness.pointers("quill", iteration)["curriculum_seed"], "curriculum_seed")


def describe_anew(harness: Harness) -> None:
    harness.domain("quill", 9, description='"Every release of the Quill toolkit, which exists only in this test."')


def test_a_promoted_iteration_with_another_description_does_not_go_on_from_its_own_adapter(harness: Harness) -> None:
    describe_anew(harness)
    again = opened(harness)
    assert again.description.startswith("Every release")
    assert again.inherited.current_adapter == BEFORE


def test_nor_does_one_whose_earlier_iteration_was_made_again(harness: Harness) -> None:
    harness.revised("quill", 0, "continue", "another reason")
    assert opened(harness).inherited.current_adapter == BEFORE


def test_an_old_iteration_with_another_description_does_not_go_on_from_a_later_adapter(harness: Harness) -> None:
    harness.opened("quill", 2)
    promote(harness, 2, LATER, OWN)
    describe_anew(harness)
    assert opened(harness).inherited.current_adapter == BEFORE


def test_an_adapter_that_a_takedown_retired_is_not_gone_on_from(harness: Harness) -> None:
    harness.alas.registry.take_down("quill", [BEFORE, OWN], takedown="t", at="2026-11-30T01:00:00+00:00")
    describe_anew(harness)
    assert opened(harness).inherited.current_adapter is None


def test_a_finished_iteration_that_a_dry_run_changes_is_unfinished_until_it_is_whole_again(
    quill: Harness, quill_site: Site, tmp_path: Path
) -> None:
    again, cell = quill.copied(tmp_path), Cell.of("quill", 0)
    again.domain("quill", quill_site.port, max_topics="12")
    assert again.run("quill", dry_run=True).success
    assert changed_since(again.alas, cell) == ["curriculum", "documents", "probes", "qa_pairs"]
    assert next_opening(again.alas, again.instance, "quill", "a page changed").cell is None
    assert domain_scoreboard(again.alas, "quill").is_empty(), "its answers are to other probes than those that are there"
    again.domain("quill", quill_site.port)
    assert again.run("quill", dry_run=True).success
    assert finished(again.alas, cell)
    assert domain_scoreboard(again.alas, "quill").height
