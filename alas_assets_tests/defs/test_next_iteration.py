"""`next_iteration` opens what a revision asked for, exactly once, for watched domains only (O2, O8)."""

from pathlib import Path

import dagster as dg
import pytest

from alas_assets.defs.births import next_opening
from alas_assets.defs.lineage import finished, last_opened
from alas_assets.defs.promotion import why_barred
from alas_assets.provenance.store import Cell
from alas_assets.provenance.watching import set_watched
from alas_assets.records import Curriculum, RevisedCurriculum
from alas_assets_tests.harness import Harness, requests, skipped


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


def test_one_that_is_being_made_again_is_not_gone_on_from_before_it_came_to_its_revision_anew(harness: Harness) -> None:
    """Its revision was made from a plan, the plan from a seed; a dry run makes both anew where a setting changed."""
    cell, opening = Cell.of("blue", 0), lambda: next_opening(harness.alas, harness.instance, "blue")
    set_watched(harness.settings.home, "blue", True)

    def put(asset: str, value: Curriculum | RevisedCurriculum, **inputs: str) -> str:
        return harness.store.put(cell, asset, value, input_key="k", inputs=inputs, run_id="r").hash

    harness.opened("blue", 0)
    seed = harness.pointers("blue")["curriculum_seed"]
    plan = put("curriculum", Curriculum(domain="blue", iteration=0, topics=[]), curriculum_seed=seed)
    put("revised_curriculum", RevisedCurriculum(domain="blue", iteration=0, decision="continue", reason="r", accuracy=0.5), curriculum=plan)
    assert requested(harness) == ["blue|001"]
    harness.opened("blue", 0, "another")
    assert requested(harness) == []
    assert "iteration 000 is being made again because its curriculum_seed changed; `alas run blue` finishes it" in opening().reason
    put("curriculum", Curriculum(domain="blue", iteration=0, topics=[], merged=[("a", "b")]))
    assert "because its curriculum changed" in opening().reason
    assert not finished(harness.alas, cell)
    harness.opened("blue", 0)
    put("curriculum", Curriculum(domain="blue", iteration=0, topics=[]), curriculum_seed=seed)
    assert requested(harness) == ["blue|001"]


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


def test_after_the_last_number_there_is_it_is_said_that_none_follows_and_that_one_may_still_promote(harness: Harness) -> None:
    harness.domain("blue", 9)
    harness.finished("blue", 999, "continue")
    for reason in (skipped(harness.tick("next_iteration")), next_opening(harness.alas, harness.instance, "blue").reason):
        assert "999 is the last iteration that blue can have; a copy of its file under a new key begins at 000" in reason
    assert why_barred(harness.alas, Cell.of("blue", 999)) == ""
