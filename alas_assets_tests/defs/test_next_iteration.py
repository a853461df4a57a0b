"""`next_iteration` opens what a revision asked for, exactly once, for watched domains only (O2, O8)."""

from pathlib import Path

import dagster as dg
import pytest

from alas_assets.definitions import build_defs
from alas_assets.defs.births import last_opened, next_opening
from alas_assets.provenance.store import Cell
from alas_assets.provenance.watching import set_watched
from alas_assets.records import RevisedCurriculum, Seed
from alas_assets_tests.harness import Harness


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    return Harness(tmp_path, "no-student-is-needed-here")


def opened(harness: Harness, domain: str, iteration: int) -> None:
    seed = Seed(domain=domain, iteration=iteration, description="d", seed_topics=[], seed_urls=[], cause="test")
    harness.store.put(Cell.of(domain, iteration), "curriculum_seed", seed, input_key=f"{domain}{iteration}", inputs={}, run_id="r")


def revised(harness: Harness, domain: str, iteration: int, decision: str, reason: str = "a topic is under tau") -> None:
    revision = RevisedCurriculum(domain=domain, iteration=iteration, decision=decision, reason=reason, accuracy=0.5)  # pyright: ignore
    harness.store.put(Cell.of(domain, iteration), "revised_curriculum", revision, input_key=f"{domain}{iteration}", inputs={}, run_id="r")


def tick(harness: Harness) -> dg.SensorResult | dg.SkipReason:
    defs = build_defs(home=str(harness.settings.home))
    sensor = defs.resolve_sensor_def("next_iteration")
    with dg.build_sensor_context(
        instance=harness.instance, repository_def=defs.get_repository_def(), resources={"alas": harness.alas}, sensor_name="next_iteration"
    ) as context:
        return sensor(context)  # type: ignore[return-value]


def requested(result: dg.SensorResult | dg.SkipReason) -> list[str]:
    return [str(request.partition_key) for request in result.run_requests or []] if isinstance(result, dg.SensorResult) else []


def test_nothing_is_opened_for_a_domain_that_nobody_watches(harness: Harness) -> None:
    opened(harness, "blue", 0)
    revised(harness, "blue", 0, "continue")
    result = tick(harness)
    assert isinstance(result, dg.SkipReason)
    assert "alas watch on" in str(result.skip_message)


def test_two_domains_revised_between_two_ticks_are_both_opened(harness: Harness) -> None:
    for domain in ("blue", "red"):
        set_watched(harness.settings.home, domain, True)
        opened(harness, domain, 0)
        revised(harness, domain, 0, "continue")
    assert requested(tick(harness)) == ["blue|001", "red|001"]


def test_a_stopped_domain_is_skipped_with_its_reason(harness: Harness) -> None:
    set_watched(harness.settings.home, "blue", True)
    opened(harness, "blue", 0)
    revised(harness, "blue", 0, "stop", "every topic is mastered")
    result = tick(harness)
    assert isinstance(result, dg.SkipReason)
    assert "every topic is mastered" in str(result.skip_message)


def test_an_unfinished_iteration_is_not_overtaken(harness: Harness) -> None:
    set_watched(harness.settings.home, "blue", True)
    opened(harness, "blue", 0)
    revised(harness, "blue", 0, "continue")
    opened(harness, "blue", 1)
    assert requested(tick(harness)) == []
    opening = next_opening(harness.alas, harness.instance, "blue")
    assert opening.cell is None
    assert "alas run blue" in opening.reason


def test_the_first_iteration_needs_no_revision(harness: Harness) -> None:
    assert last_opened(harness.alas, "blue") is None
    assert next_opening(harness.alas, harness.instance, "blue").cell == Cell.of("blue", 0)


def test_a_request_names_its_cause_and_has_a_key_that_dagster_takes_once(harness: Harness) -> None:
    set_watched(harness.settings.home, "blue", True)
    opened(harness, "blue", 0)
    revised(harness, "blue", 0, "continue")
    result = tick(harness)
    assert isinstance(result, dg.SensorResult)
    request = (result.run_requests or [])[0]
    assert request.run_key == "blue/001"
    assert "a topic is under tau" in request.tags["alas/because"]
