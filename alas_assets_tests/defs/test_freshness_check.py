"""A check shows in the UI whether a domain is current: since when it is not, how old it is, what was not read; on change only (O3)."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from alas_assets.definitions import build_defs
from alas_assets.defs.currency import FRESH_CHECK
from alas_assets.defs.curriculum import CAUSE_TAG
from alas_assets.defs.freshness import currency_key, due_heartbeat, freshness, heartbeat, in_words, last_heartbeat
from alas_assets.defs.revision import scored_cells
from alas_assets.defs.upkeep import OVERDUE
from alas_assets.provenance.store import Cell
from alas_assets.provenance.watching import set_watched
from alas_assets.records import Curriculum
from alas_assets.release.closing import close_iteration
from alas_assets_tests.harness import Harness, requests


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    """The domain `quill`, watched, whose iteration 000 is done; nothing listens where its pages should be."""
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", 9)
    harness.finished("quill", 0)
    return harness


def aged(harness: Harness, hours: float, iteration: int = 0) -> None:
    """Let what an iteration made look so many hours old."""
    for path in harness.store.root.glob(f"cells/quill/{iteration:03d}/*.json"):
        raw = json.loads(path.read_text(encoding="utf-8"))
        raw["made_at"] = (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")
        path.write_text(json.dumps(raw), encoding="utf-8")


def ticked(harness: Harness, times: int = 2) -> list[dg.AssetCheckEvaluation]:
    """Evaluate the sensor more than once, and return all that was ever shown of `quill`."""
    for _ in range(times):
        harness.tick("overdue_domains")
    return harness.freshness_shown("quill")


def test_a_fresh_domain_is_shown_as_fresh_once_and_opens_nothing(harness: Harness) -> None:
    (shown,) = ticked(harness, times=3)
    assert shown.passed
    assert "quill is current as of " in str(shown.description)
    assert requests(harness.tick("overdue_domains")) == []


def test_a_stale_domain_is_shown_as_failing_in_the_tick_that_opens_its_iteration_and_once(harness: Harness) -> None:
    ticked(harness)
    hours = {f"{datetime.now(UTC) - timedelta(hours=2):%Y-%m-%d %H:}"}
    aged(harness, 170)
    hours.add(f"{datetime.now(UTC) - timedelta(hours=2):%Y-%m-%d %H:}")
    assert [request.partition_key for request in requests(harness.tick("overdue_domains"))] == ["quill|001"]
    shown = ticked(harness)
    assert [one.passed for one in shown] == [True, False]
    assert any(f"quill is stale since {hour}" in str(shown[1].description) for hour in hours)
    assert "170 h before this was found, and 168 h are allowed (freshness_hours)" in str(shown[1].description)
    assert shown[1].severity is dg.AssetCheckSeverity.ERROR


def test_the_heartbeat_makes_it_pass_again(harness: Harness) -> None:
    aged(harness, 170)
    ticked(harness)
    harness.instance.report_runless_asset_event(heartbeat(Cell.of("quill", 0), datetime.now(UTC)))
    shown = ticked(harness)
    assert [one.passed for one in shown] == [False, True]
    harness.instance.report_runless_asset_event(heartbeat(Cell.of("quill", 0), datetime.now(UTC)))
    assert [one.passed for one in ticked(harness)] == [False, True, True]  # the UI shows an evaluation from before a heartbeat as none


def test_a_domain_with_a_heartbeat_fails_only_once_dagsters_policy_does(harness: Harness) -> None:
    harness.domain("quill", 9, freshness_hours="0.02")
    harness.instance.report_runless_asset_event(heartbeat(Cell.of("quill", 0), datetime.now(UTC)))
    harness.stale("quill")  # as if evaluated before the heartbeat
    assert [one.passed for one in ticked(harness)] == [True]


def test_sources_that_the_newest_iteration_did_not_read_are_named_when_that_is_known(harness: Harness) -> None:
    aged(harness, 300)
    ticked(harness)
    harness.finished("quill", 1, cause="overdue")
    failed = [("http://127.0.0.1:9/", "no answer: connection refused")]
    plan = Curriculum(domain="quill", iteration=1, topics=[], failed_urls=failed)
    harness.store.put(Cell.of("quill", 1), "curriculum", plan, input_key="again", inputs={}, run_id="r")
    aged(harness, 169, iteration=1)
    shown = ticked(harness)
    assert [one.passed for one in shown] == [False, False]
    assert "did not read" not in str(shown[0].description)
    assert "Iteration 001 did not read http://127.0.0.1:9/: no answer: connection refused" in str(shown[1].description)
    assert shown[1].metadata["not_read"].value == ["http://127.0.0.1:9/"]


def test_an_iteration_that_failed_is_named_with_its_reason(harness: Harness) -> None:
    aged(harness, 300)
    assert not harness.run("quill", 1).success
    (shown,) = ticked(harness)
    assert "Iteration 001 failed: no page of quill could be surveyed: sources.seed_urls: http://127.0.0.1:9/: " in str(shown.description)
    close_iteration(harness.settings.home, Cell.of("quill", 1), "1 run failed")
    harness.opened("quill", 2)
    assert len(ticked(harness)) == 1  # the next iteration has nothing to say yet


def test_a_domain_that_nobody_watches_is_shown_too_and_one_whose_file_is_broken_hides_none(harness: Harness) -> None:
    harness.domain("ink", 9)
    harness.finished("ink", 0)
    (harness.settings.home / "domains" / "ink.toml").write_text("title = ", encoding="utf-8")
    set_watched(harness.settings.home, "quill", False)
    aged(harness, 170)
    assert [one.passed for one in ticked(harness)] == [False]
    assert harness.freshness_shown("ink") == []


def test_a_domain_that_was_never_run_is_not_spoken_of(harness: Harness) -> None:
    harness.domain("ink", 9)
    ticked(harness)
    assert harness.freshness_shown("ink") == []


def test_the_check_can_be_executed_by_hand_and_says_the_same(harness: Harness) -> None:
    aged(harness, 170)
    defs = build_defs(home=str(harness.settings.home))
    job = defs.resolve_implicit_global_asset_job_def()
    key = dg.AssetCheckKey(currency_key("quill"), FRESH_CHECK)
    found = job.get_subset(asset_selection=set(), asset_check_selection={key}).execute_in_process(instance=harness.instance)
    (by_hand,) = found.get_asset_check_evaluations()
    assert not by_hand.passed
    assert "quill is stale since " in str(by_hand.description)
    assert len(ticked(harness)) == 1  # so the sensor has no news


@pytest.mark.parametrize(
    ("hours", "said"),
    [(1 / 60, "1 min"), (0.5, "30 min"), (99.49 / 60, "99 min"), (99.6 / 60, "1.66 h"), (2, "2 h"), (168, "168 h"), (1000, "1,000 h")],
)
def test_an_age_is_told_in_hours_or_minutes(hours: float, said: str) -> None:
    assert in_words(timedelta(hours=hours)) == said


# ------------------------------------------------------------------------------------------------ of when the knowledge is


def test_knowledge_is_of_when_the_sources_were_read_not_of_when_the_iteration_ended(harness: Harness) -> None:
    aged(harness, 5)
    beat = due_heartbeat(harness.alas, harness.instance, Cell.of("quill", 0))
    assert beat is not None
    harness.instance.report_runless_asset_event(beat)
    known = last_heartbeat(harness.instance, "quill")
    assert known is not None
    assert timedelta(hours=4.9) < datetime.now(UTC) - known < timedelta(hours=5.1)
    assert ticked(harness)[0].metadata["age_hours"].value == pytest.approx(5, abs=0.1)


def test_a_revision_that_is_made_again_without_reading_makes_nothing_fresh(harness: Harness) -> None:
    aged(harness, 5)
    cell = Cell.of("quill", 0)
    beat = due_heartbeat(harness.alas, harness.instance, cell)
    assert beat is not None
    harness.instance.report_runless_asset_event(beat)
    harness.revised("quill", 0, "continue")  # another tau
    assert due_heartbeat(harness.alas, harness.instance, cell) is None


def test_an_old_iteration_that_is_made_again_makes_nothing_fresh(harness: Harness) -> None:
    harness.opened("quill", 1)
    assert due_heartbeat(harness.alas, harness.instance, Cell.of("quill", 0)) is None


def test_a_heartbeat_that_does_not_say_when_was_read_counts_from_when_it_was_logged(harness: Harness) -> None:
    aged(harness, 5)
    harness.instance.report_runless_asset_event(dg.AssetMaterialization(currency_key("quill"), metadata={"iteration": 0}))
    known = last_heartbeat(harness.instance, "quill")
    assert known is not None
    assert datetime.now(UTC) - known < timedelta(minutes=5)
    assert due_heartbeat(harness.alas, harness.instance, Cell.of("quill", 0)) is None


def ahead(harness: Harness, years: int = 5) -> datetime:
    """Let a clock that ran ahead have logged a heartbeat and made all of the first iteration; returns what it showed."""
    aged(harness, -years * 365 * 24)
    then = datetime.now(UTC) + timedelta(days=years * 365)
    harness.instance.report_runless_asset_event(heartbeat(Cell.of("quill", 0), then))
    return then


def test_a_heartbeat_of_a_clock_that_ran_ahead_counts_as_unknown_and_opens_the_next_iteration(harness: Harness) -> None:
    then = ahead(harness)
    assert last_heartbeat(harness.instance, "quill") is None
    known = freshness(harness.alas, harness.instance, "quill")
    assert (known.stale, known.as_of, known.beat, known.ended) == (True, None, None, None)
    assert f"{then:%Y-%m-%d %H:%M UTC} is on record, which is later than now" in known.doubt
    assert [request.partition_key for request in requests(harness.tick("overdue_domains"))] == ["quill|001"]


def test_a_try_that_a_clock_dates_ahead_puts_the_next_one_off_no_longer(harness: Harness) -> None:
    harness.opened("quill", 1, cause=f"{OVERDUE}: knowledge is old")
    harness.revised("quill", 1, "continue")
    aged(harness, -5 * 365 * 24, iteration=1)
    ahead(harness)
    (request,) = requests(harness.tick("overdue_domains"))
    assert request.partition_key == "quill|002"
    assert "a clock was ahead: 20" in request.tags[CAUSE_TAG]
    assert "quill is stale: nobody can say how old it is, since a clock was ahead: 20" in str(
        harness.freshness_shown("quill")[-1].description
    )


def test_where_one_time_is_ahead_the_age_is_told_by_another(harness: Harness) -> None:
    ahead(harness)
    harness.opened("quill", 1)
    harness.revised("quill", 1, "continue")
    aged(harness, 5, iteration=1)
    known = freshness(harness.alas, harness.instance, "quill")
    assert known.as_of == known.ended
    assert timedelta(hours=4.9) < known.age < timedelta(hours=5.1)
    assert not known.stale
    assert known.doubt
    aged(harness, 170, iteration=1)
    assert freshness(harness.alas, harness.instance, "quill").stale


def test_a_heartbeat_of_a_clock_that_ran_ahead_keeps_back_no_later_one(harness: Harness) -> None:
    ahead(harness)
    cell = Cell.of("quill", 0)
    assert due_heartbeat(harness.alas, harness.instance, cell) is None, "the plan is of the same clock"
    aged(harness, 1)
    beat = due_heartbeat(harness.alas, harness.instance, cell)
    assert beat is not None
    harness.instance.report_runless_asset_event(beat)
    known = freshness(harness.alas, harness.instance, "quill")
    assert known.beat is not None
    assert (known.doubt, known.stale) == ("", False)


def test_a_heartbeat_of_a_machine_whose_clock_is_a_little_ahead_counts(harness: Harness) -> None:
    harness.instance.report_runless_asset_event(heartbeat(Cell.of("quill", 0), datetime.now(UTC) + timedelta(minutes=2)))
    known = freshness(harness.alas, harness.instance, "quill")
    assert known.beat == last_heartbeat(harness.instance, "quill") is not None
    assert (known.age, known.doubt, known.stale) == (timedelta(), "", False)


def test_a_domain_whose_first_iteration_never_ends_grows_stale_from_when_it_was_opened(harness: Harness) -> None:
    harness.domain("ink", 9)
    harness.opened("ink", 0)
    harness.tick("overdue_domains")
    for path in harness.store.root.glob("cells/ink/000/*.json"):
        raw = json.loads(path.read_text(encoding="utf-8"))
        raw["made_at"] = (datetime.now(UTC) - timedelta(hours=170)).isoformat(timespec="seconds")
        path.write_text(json.dumps(raw), encoding="utf-8")
    harness.tick("overdue_domains")
    shown = harness.freshness_shown("ink")
    assert [one.passed for one in shown] == [True, False]
    assert "no iteration of ink has ended yet, the first was opened at " in str(shown[0].description)
    assert "ink is stale since " in str(shown[1].description)
    assert ": no iteration ever ended, the first was opened at " in str(shown[1].description)
    assert shown[1].metadata["as_of"].value == "never"


def test_the_check_is_evaluated_with_overdue_domains_off_too(harness: Harness) -> None:
    harness.tick("standing_notices")
    aged(harness, 2000)
    for _ in range(2):
        harness.tick("standing_notices")
    assert [one.passed for one in harness.freshness_shown("quill")] == [True, False]


def test_a_file_that_is_no_iteration_keeps_no_sensor_from_its_work(harness: Harness) -> None:
    aged(harness, 170)
    (harness.store.root / "cells" / "quill" / ".DS_Store").write_bytes(b"")
    assert [request.partition_key for request in requests(harness.tick("overdue_domains"))] == ["quill|001"]
    assert scored_cells(harness.alas, "quill") == []
    harness.tick("standing_notices")
