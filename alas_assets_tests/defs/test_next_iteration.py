"""`next_iteration` opens what a revision asked for, exactly once, for watched domains only (O2, O8)."""

from pathlib import Path

import dagster as dg
import pytest

from alas_assets.defs.births import next_opening
from alas_assets.defs.lineage import last_opened
from alas_assets.provenance.store import Cell
from alas_assets.provenance.watching import set_watched
from alas_assets_tests.harness import Harness, requests


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    return Harness(tmp_path, "no-student-is-needed-here")


def requested(harness: Harness) -> list[str]:
    return [str(request.partition_key) for request in requests(harness.tick("next_iteration"))]


def test_nothing_is_opened_for_a_domain_that_nobody_watches(harness: Harness) -> None:
    harness.opened("blue", 0)
    harness.revised("blue", 0, "continue")
    result = harness.tick("next_iteration")
    assert isinstance(result, dg.SkipReason)
    assert "alas watch on" in str(result.skip_message)


def test_two_domains_revised_between_two_ticks_are_both_opened(harness: Harness) -> None:
    for domain in ("blue", "red"):
        set_watched(harness.settings.home, domain, True)
        harness.opened(domain, 0)
        harness.revised(domain, 0, "continue")
    assert requested(harness) == ["blue|001", "red|001"]


def test_the_first_iteration_of_a_watched_domain_is_opened_by_itself(harness: Harness) -> None:
    set_watched(harness.settings.home, "blue", True)
    assert requested(harness) == ["blue|000"]


def test_a_stopped_domain_is_skipped_with_its_reason(harness: Harness) -> None:
    set_watched(harness.settings.home, "blue", True)
    harness.opened("blue", 0)
    harness.revised("blue", 0, "stop", "every topic is mastered")
    result = harness.tick("next_iteration")
    assert isinstance(result, dg.SkipReason)
    assert "every topic is mastered" in str(result.skip_message)


def test_an_unfinished_iteration_is_not_overtaken(harness: Harness) -> None:
    set_watched(harness.settings.home, "blue", True)
    harness.opened("blue", 0)
    harness.revised("blue", 0, "continue")
    harness.opened("blue", 1)
    assert requested(harness) == []
    opening = next_opening(harness.alas, harness.instance, "blue")
    assert opening.cell is None
    assert "alas run blue" in opening.reason


def test_the_first_iteration_needs_no_revision(harness: Harness) -> None:
    assert last_opened(harness.alas, "blue") is None
    assert next_opening(harness.alas, harness.instance, "blue").cell == Cell.of("blue", 0)


def test_a_request_names_its_cause_and_has_a_key_that_dagster_takes_once(harness: Harness) -> None:
    set_watched(harness.settings.home, "blue", True)
    harness.opened("blue", 0)
    harness.revised("blue", 0, "continue")
    result = harness.tick("next_iteration")
    assert isinstance(result, dg.SensorResult)
    request = (result.run_requests or [])[0]
    assert request.run_key == "blue/001/0"
    assert "a topic is under tau" in request.tags["alas/because"]
