"""A watched domain that grows stale or fails is looked after: opened once, tried again with patience, closed in the end (O2, O3)."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from alas_assets.defs.births import START_JOB, next_opening, wait_after
from alas_assets.defs.freshness import heartbeat
from alas_assets.defs.lineage import ancestors, taught_before
from alas_assets.defs.looks import take_note
from alas_assets.defs.running import open_cell
from alas_assets.domains.config import Retries
from alas_assets.provenance.changes import read_watch_state, retry_iteration, take_up, update_watch_state
from alas_assets.provenance.store import Cell
from alas_assets.records import Seed
from alas_assets.release.closing import close_iteration
from alas_assets_tests.harness import Harness, Site, requests, skipped


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    """The domain `quill`, watched, whose iteration 000 is done; nothing listens where its pages should be."""
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", 9)
    harness.finished("quill", 0)
    return harness


def aged(harness: Harness, iteration: int, hours: float) -> None:
    """Let what an iteration made look so many hours old."""
    for path in harness.store.root.glob(f"cells/quill/{iteration:03d}/*.json"):
        raw = json.loads(path.read_text(encoding="utf-8"))
        raw["made_at"] = (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")
        path.write_text(json.dumps(raw), encoding="utf-8")


def overdue(harness: Harness) -> dg.SensorResult | dg.SkipReason:
    return harness.tick("overdue_domains")


def test_a_domain_that_was_never_current_is_opened_once_its_window_has_passed(harness: Harness) -> None:
    assert "168 h are allowed" in skipped(overdue(harness))
    aged(harness, 0, 169)
    (request,) = requests(overdue(harness))
    assert request.partition_key == "quill|001"
    assert request.tags["alas/because"] == "overdue: knowledge is 169 h old, 168 h are allowed (freshness_hours)"


def test_a_domain_that_was_read_again_is_not_opened_although_its_iteration_is_old(harness: Harness) -> None:
    aged(harness, 0, 169)
    harness.instance.report_runless_asset_event(heartbeat(Cell.of("quill", 0), datetime.now(UTC)))
    harness.stale("quill")  # as evaluated before the heartbeat came
    assert "168 h are allowed" in skipped(overdue(harness))


def test_a_stale_domain_is_not_opened_a_second_time_while_its_iteration_is_unfinished(harness: Harness) -> None:
    aged(harness, 0, 169)
    assert requests(overdue(harness))
    harness.opened("quill", 1, "overdue: knowledge is 169 h old")
    assert requests(overdue(harness)) == []


def test_a_domain_that_stays_stale_is_tried_again_later_each_time(harness: Harness) -> None:
    aged(harness, 0, 300)
    harness.finished("quill", 1, cause="overdue: knowledge is 169 h old")
    aged(harness, 1, 169)  # the window has passed since, and one try did not help: ten minutes after it, the next
    assert [request.partition_key for request in requests(overdue(harness))] == ["quill|002"]


def test_a_site_that_is_down_for_long_does_not_get_one_iteration_after_another(harness: Harness) -> None:
    aged(harness, 0, 300)
    for number in (1, 2, 3):
        harness.opened("quill", number, "overdue: knowledge is old")
        close_iteration(harness.settings.home, Cell.of("quill", number), "3 runs failed")
    aged(harness, 3, 0.5)
    assert "iteration 003 failed or did not read every source" in skipped(overdue(harness))
    aged(harness, 3, 0.7)  # 40 minutes after the third try, twice the wait after the second
    assert [request.partition_key for request in requests(overdue(harness))] == ["quill|004"]


def test_the_wait_doubles_up_to_its_limit_however_many_tries_there_were() -> None:
    week = timedelta(days=7)
    waits = [wait_after(Retries(), failures, week) for failures in (1, 2, 3, 39, 2000)]
    assert waits == [timedelta(minutes=10), timedelta(minutes=20), timedelta(minutes=40), week, week]


def test_the_schedule_opens_an_iteration_of_every_watched_domain_that_is_finished(harness: Harness) -> None:
    harness.domain("ink", 9)
    harness.finished("ink", 0)
    harness.opened("ink", 1)
    context = dg.build_schedule_context(
        instance=harness.instance,
        scheduled_execution_time=datetime(2026, 11, 27, 3, 0, tzinfo=UTC),
        repository_def=harness.repository,
        resources={"alas": harness.alas},
    )
    found = harness.repository.get_schedule_def("nightly").evaluate_tick(context).run_requests or []
    assert [(request.partition_key, request.tags["alas/because"]) for request in found] == [("quill|001", "the schedule of 2026-11-27")]


# ------------------------------------------------------------------------------------------------ failures


@pytest.fixture
def failing(harness: Harness) -> Harness:
    """`quill` with an iteration 001 whose one run failed, since nothing listens where its pages should be; no wait between tries."""
    path = harness.settings.home / "domains" / "quill.toml"
    path.write_text(path.read_text(encoding="utf-8") + "\n[retries]\nattempts = 2\nwait_minutes = 0\n", encoding="utf-8")
    assert not harness.run("quill", 1).success
    return harness


def again(harness: Harness) -> dg.SensorResult | dg.SkipReason:
    return harness.tick("failed_iterations")


def test_a_failed_iteration_is_run_again_then_closed_and_the_next_cause_opens_another(failing: Harness) -> None:
    (request,) = requests(again(failing))
    assert request.partition_key == "quill|001"
    assert request.tags["alas/because"].startswith("try 2 of 2, after run ")
    assert not failing.run("quill", 1).success
    assert "is closed: 2 runs failed" in skipped(again(failing))
    assert requests(failing.tick("next_iteration")) == []
    opening = next_opening(failing.alas, failing.instance, "quill", outside_cause="a page changed")
    assert opening.cell == Cell.of("quill", 2)


def test_the_next_try_waits_twice_as_long_each_time(failing: Harness) -> None:
    path = failing.settings.home / "domains" / "quill.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("wait_minutes = 0", "wait_minutes = 10"), encoding="utf-8")
    assert "it is tried again at" in skipped(again(failing))


def test_an_iteration_after_a_closed_one_goes_on_from_the_last_finished_one(failing: Harness) -> None:
    update_watch_state(failing.settings.home, "quill", lambda state: state.model_copy(update={"pending": ["http://h/new.html"]}))
    take_up(failing.settings.home, Cell.of("quill", 1), ["http://h/new.html"])
    close_iteration(failing.settings.home, Cell.of("quill", 1), "it failed twice")
    assert read_watch_state(failing.settings.home, "quill").pending == ["http://h/new.html"]
    outcome = open_cell(failing.instance, failing.settings, Cell.of("quill", 2), cause="a page changed", on_event=lambda *_: None)
    assert outcome.success, outcome.failures
    seed = failing.store.read_record(Seed, failing.pointers("quill", 2)["curriculum_seed"], "curriculum_seed")
    assert (seed.iteration, seed.revised_from) == (2, failing.pointers("quill", 0)["revised_curriculum"])
    assert seed.changed_pages == ["http://h/new.html"]
    assert read_watch_state(failing.settings.home, "quill").pending == []


def test_a_change_that_a_failing_iteration_noticed_itself_is_pending_once_it_is_closed(tmp_path: Path, quill_site: Site) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    url = f"http://127.0.0.1:{quill_site.port}/watched.html"
    harness.domain("quill", quill_site.port, watch_urls=f'["{url}"]')
    cell = Cell.of("quill", 1)
    for text, noticed in (("It says one thing.", None), ("It says another thing.", [url]), ("It says another thing.", [url])):
        quill_site.page("/watched.html", "Watched", f"<p>{text * 10}</p>")
        assert take_note(harness.alas, cell) == ([url], [])
        state = read_watch_state(harness.settings.home, "quill")
        assert state.noticed.get("001", None if noticed is None else []) == noticed
        assert state.pending == [], "it goes on to study the page itself"
    close_iteration(harness.settings.home, cell, "the teacher did not answer")
    assert read_watch_state(harness.settings.home, "quill").pending == [url]
    retry_iteration(harness.settings.home, cell)
    assert read_watch_state(harness.settings.home, "quill").pending == []


def test_an_old_iteration_that_is_planned_again_takes_no_change_from_the_next_one(tmp_path: Path, quill_site: Site) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", quill_site.port, watch_urls=f'["http://127.0.0.1:{quill_site.port}/watched.html"]')
    harness.finished("quill", 0)
    harness.opened("quill", 1)
    for text, iteration in (("It says one thing.", 1), ("It says another thing.", 0)):
        quill_site.page("/watched.html", "Watched", f"<p>{text * 10}</p>")
        take_note(harness.alas, Cell.of("quill", iteration))
    harness.finished("quill", 1)
    assert [request.partition_key for request in requests(harness.tick("release_pages"))] == ["quill|002"]


def test_nor_does_a_finished_one_that_a_dry_run_plans_again(tmp_path: Path, quill_site: Site) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", quill_site.port, watch_urls=f'["http://127.0.0.1:{quill_site.port}/watched.html"]')
    harness.finished("quill", 0)
    quill_site.page("/watched.html", "Watched", f"<p>{'It says one thing.' * 10}</p>")
    assert not requests(harness.tick("release_pages"))
    quill_site.page("/watched.html", "Watched", f"<p>{'It says another thing.' * 10}</p>")
    take_note(harness.alas, Cell.of("quill", 0))
    assert [request.partition_key for request in requests(harness.tick("release_pages"))] == ["quill|001"]


def test_an_iteration_that_was_closed_after_its_candidate_was_promoted_hands_its_facts_on(harness: Harness) -> None:
    registry, third = harness.alas.registry, Cell.of("quill", 3)
    for number in (1, 2):
        harness.opened("quill", number)
        close_iteration(harness.settings.home, Cell.of("quill", number), "what came after the gate failed")
    assert [one.number for one in taught_before(harness.alas, third)] == [0]
    registry.promote("quill", "A", iteration=1, decision_hash="d", run_id="r", at="2026-11-29", previous=None)
    assert [one.number for one in taught_before(harness.alas, third)] == [0, 1]
    assert [one.number for one in ancestors(harness.alas, third)] == [0], "it has no revision to go on from"
    registry.rollback("quill", by="Ada")
    assert [one.number for one in taught_before(harness.alas, third)] == [0], "what is current was not taught its facts"


def test_a_change_that_a_closed_iteration_learned_opens_no_other_as_long_as_its_promotion_stands(harness: Harness) -> None:
    home, changed, cell = harness.settings.home, ["http://h/new.html"], Cell.of("quill", 1)
    harness.opened("quill", 1)
    take_up(home, cell, changed)
    harness.alas.registry.promote("quill", "A", iteration=1, decision_hash="d", run_id="r", at="2026-11-29", previous=None)
    close_iteration(home, cell, "what came after the gate failed")
    assert read_watch_state(home, "quill").pending == []
    assert "no watched page changed" in skipped(harness.tick("release_pages"))
    retry_iteration(home, cell)
    harness.alas.registry.rollback("quill", by="Ada")
    close_iteration(home, cell, "it failed again")
    assert read_watch_state(home, "quill").pending == changed, "what is current was not taught it"
    assert [request.partition_key for request in requests(harness.tick("release_pages"))] == ["quill|002"]


def test_a_domain_whose_registry_is_damaged_keeps_no_other_from_being_tried_again(failing: Harness) -> None:
    assert not failing.run("quill", 1).success
    registry = failing.settings.home / "registry" / "quill.json"
    registry.parent.mkdir(exist_ok=True)
    registry.write_text("{", encoding="utf-8")
    failing.domain("ink", 9)
    failing.finished("ink", 0)
    said = skipped(again(failing))
    assert "quill.json: cannot be read" in said
    assert "ink: nothing is unfinished" in said


def test_retry_lets_failures_count_anew_and_takes_a_closing_back(failing: Harness) -> None:
    close_iteration(failing.settings.home, Cell.of("quill", 1), "it failed")
    assert "was closed: it failed" in skipped(again(failing))
    retry_iteration(failing.settings.home, Cell.of("quill", 1))
    assert "waits for" in skipped(again(failing))
    assert not failing.run("quill", 1).success
    assert requests(again(failing))[0].tags["alas/because"].startswith("try 2 of 2")


def test_a_birth_that_failed_is_asked_for_under_another_key_and_not_for_ever(harness: Harness) -> None:
    path = harness.settings.home / "domains" / "quill.toml"
    retries = "\n[retries]\nattempts = 2\nwait_minutes = 0\n"
    path.write_text(path.read_text(encoding="utf-8") + retries, encoding="utf-8")
    harness.finished("quill", 0, "continue")
    keys = [requests(harness.tick("next_iteration"))[0].run_key]
    seed_of_the_last = next(harness.store.root.glob("artifacts/revised_curriculum/*"))
    kept = seed_of_the_last.read_bytes()
    for _ in range(2):
        seed_of_the_last.write_bytes(b"{")
        assert not open_cell(harness.instance, harness.settings, Cell.of("quill", 1), cause="c", on_event=lambda *_: None).success
        seed_of_the_last.write_bytes(kept)
        keys += [request.run_key for request in requests(harness.tick("next_iteration"))]
    assert keys == ["quill/001/0", "quill/001/1"]
    assert "failed or was cancelled 2 times" in skipped(harness.tick("next_iteration"))
    assert "alas open quill" in skipped(harness.tick("next_iteration"))


def test_a_cell_whose_seed_was_removed_is_asked_for_under_another_key_than_the_one_that_opened_it(harness: Harness) -> None:
    harness.finished("quill", 0, "continue")
    (first,) = requests(harness.tick("next_iteration"))
    assert open_cell(harness.instance, harness.settings, Cell.of("quill", 1), cause="c", on_event=lambda *_: None).success
    (harness.store.root / "cells" / "quill" / "001" / "curriculum_seed.json").unlink()
    (second,) = requests(harness.tick("next_iteration"))
    assert (first.run_key, second.run_key) == ("quill/001/0", "quill/001/1")


def test_a_birth_that_somebody_cancelled_is_asked_for_again_under_another_key_but_not_at_once(harness: Harness) -> None:
    harness.finished("quill", 0, "continue")
    (request,) = requests(harness.tick("next_iteration"))
    assert request.partition_key is not None
    job = harness.repository.get_job(START_JOB)
    run = harness.instance.create_run_for_job(job, tags={"dagster/partition": request.partition_key, "dagster/partition/domain": "quill"})
    harness.instance.report_run_canceled(run)
    assert "failed or was cancelled 1 times" in skipped(harness.tick("next_iteration"))
    path = harness.settings.home / "domains" / "quill.toml"
    path.write_text(path.read_text(encoding="utf-8") + "\n[retries]\nwait_minutes = 0\n", encoding="utf-8")
    assert [again.run_key for again in requests(harness.tick("next_iteration"))] == ["quill/001/1"]
