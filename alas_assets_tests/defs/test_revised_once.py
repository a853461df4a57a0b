"""An iteration that came to its revision is never given up, whatever of it is made again: what it decided and handed on stands (O2, A3)."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alas_assets.defs.births import AUTOMATION, ITERATION_JOB, next_opening
from alas_assets.defs.currency import evaluate
from alas_assets.defs.freshness import heartbeat
from alas_assets.defs.lineage import ancestors, closed_because, finished, last_opened
from alas_assets.defs.retraining import not_retrained, waiting
from alas_assets.defs.serving import served_adapter
from alas_assets.defs.takedown import close_unfinished
from alas_assets.provenance.blocked.order import write_order
from alas_assets.provenance.store import Cell
from alas_assets.records import Curriculum, RevisedCurriculum, Seed
from alas_assets.release.closing import close_iteration
from alas_assets_tests.cli.test_cli import alas
from alas_assets_tests.defs.test_retraining import ORDER
from alas_assets_tests.defs.test_tries import BY_HAND, FAILURE, SUCCESS, again, ran
from alas_assets_tests.defs.test_upkeep import aged, overdue
from alas_assets_tests.harness import Harness, requests, skipped


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    """The domain `quill`, watched, whose iteration 000 is done; one that fails twice is closed, and is tried again at once."""
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", 9)
    path = harness.settings.home / "domains" / "quill.toml"
    settings = 'after_takedown = "refuse"\n' + path.read_text(encoding="utf-8") + "\n[retries]\nattempts = 2\nwait_minutes = 0\n"
    path.write_text(settings, encoding="utf-8")
    harness.finished("quill", 0)
    return harness


def ended(harness: Harness, iteration: int, *retrain: str, cause: str = "test") -> Cell:
    """Store an iteration that came to its revision, which says continue."""
    cell, store = Cell.of("quill", iteration), harness.store
    seed = Seed(domain="quill", iteration=iteration, description="d", seed_topics=[], seed_urls=[], cause=cause, retrain=list(retrain))
    revision = RevisedCurriculum(domain="quill", iteration=iteration, decision="continue", reason="a topic is under tau", accuracy=0.5)
    store.put(cell, "curriculum_seed", seed, input_key=f"seed {iteration}", inputs={}, run_id="r")
    plan = store.put(cell, "curriculum", Curriculum(domain="quill", iteration=iteration, topics=[]), input_key="k", inputs={}, run_id="r")
    store.put(cell, "revised_curriculum", revision, input_key=f"end {iteration}", inputs={"curriculum": plan.hash}, run_id="r")
    return cell


def planned_again(harness: Harness, cell: Cell, failed: str = "http://h/") -> None:
    """Plan an iteration again, with another outcome, as a dry run does."""
    plan = Curriculum(domain="quill", iteration=cell.number, topics=[], failed_urls=[(failed, "no answer")])
    harness.store.put(cell, "curriculum", plan, input_key="again", inputs={}, run_id="r")
    assert not finished(harness.alas, cell)


def before(harness: Harness, iteration: int) -> list[int]:
    return [cell.number for cell in ancestors(harness.alas, Cell.of("quill", iteration))]


def test_failures_from_before_it_succeeded_use_up_no_try_and_after_the_last_try_it_is_not_closed(harness: Harness) -> None:
    harness.opened("quill", 1)
    time.sleep(1.1)  # what the store dates is dated in whole seconds
    cell = Cell.of("quill", 1)
    for status in (FAILURE, FAILURE, SUCCESS):
        ran(harness, cell, ITERATION_JOB, status)
    plan = Curriculum(domain="quill", iteration=1, topics=[])
    revision = RevisedCurriculum(domain="quill", iteration=1, decision="continue", reason="a topic is under tau", accuracy=0.5)
    made = harness.store.put(cell, "curriculum", plan, input_key="k", inputs={}, run_id="r")
    harness.store.put(cell, "revised_curriculum", revision, input_key="end", inputs={"curriculum": made.hash}, run_id="r")
    planned_again(harness, cell)
    assert "no run of it failed" in skipped(harness.tick("failed_iterations"))
    ran(harness, cell, ITERATION_JOB, FAILURE)
    assert again(harness) == ["quill|001"]
    ran(harness, cell, ITERATION_JOB, FAILURE)
    said = skipped(harness.tick("failed_iterations"))
    assert "`alas run quill` finishes it; 2 runs failed, the last is " in said
    assert "so it is not tried again by itself" in said
    assert closed_because(harness.alas, cell) is None
    assert before(harness, 2) == [0, 1]


def test_automation_that_makes_a_part_of_it_does_not_let_failures_count_anew(harness: Harness) -> None:
    harness.opened("quill", 1)
    cell, automation = Cell.of("quill", 1), {"dagster/sensor_name": AUTOMATION}
    ran(harness, cell, ITERATION_JOB, FAILURE)
    ran(harness, cell, BY_HAND, SUCCESS, "qa_pairs", **automation)
    ran(harness, cell, ITERATION_JOB, FAILURE)
    assert "is closed: 2 runs failed" in skipped(harness.tick("failed_iterations"))


def test_one_that_retrained_a_domain_has_retrained_it_while_it_is_made_again(harness: Harness) -> None:
    write_order(harness.settings.home, ORDER)
    cell = ended(harness, 1, ORDER.id)
    assert served_adapter(harness.alas, "quill") is None
    planned_again(harness, cell)
    assert not_retrained(harness.alas, "quill") == []
    assert served_adapter(harness.alas, "quill") is None, "and answers"


def test_one_that_was_closed_and_finished_all_the_same_is_not_given_up_once_more_while_it_is_made_again(harness: Harness) -> None:
    write_order(harness.settings.home, ORDER)
    close_iteration(harness.settings.home, Cell.of("quill", 1), "3 runs failed")
    cell = ended(harness, 1, ORDER.id)
    planned_again(harness, cell)
    assert closed_because(harness.alas, cell) is None
    assert before(harness, 2) == [0, 1]
    assert waiting(harness.alas, "quill") == []


def test_a_takedown_leaves_it_alone_while_it_is_made_again_and_its_retraining_comes_before_that(harness: Harness) -> None:
    cell = ended(harness, 1)
    planned_again(harness, cell)
    assert next_opening(harness.alas, harness.instance, "quill", "a page changed").cell is None
    assert close_unfinished(harness.alas, ORDER) == {"iterations": 0}
    assert closed_because(harness.alas, cell) is None
    assert before(harness, 2) == [0, 1]
    write_order(harness.settings.home, ORDER)
    opening = next_opening(harness.alas, harness.instance, "quill")
    assert opening.cell == Cell.of("quill", 2)
    assert opening.reason.startswith("takedown of ")


def test_nobody_can_abandon_it_and_who_tries_is_told_what_finishes_it(harness: Harness) -> None:
    cell = ended(harness, 1)
    planned_again(harness, cell)
    said = " ".join(alas(harness.settings.home, "abandon", "quill", code=1).stderr.split())
    assert "is being made again because its curriculum changed; `alas run quill` finishes it" in said
    assert before(harness, 2) == [0, 1]


def test_what_it_did_not_read_is_shown_and_waited_for_while_it_is_made_again(harness: Harness) -> None:
    aged(harness, 0, 300)
    cell = ended(harness, 1, cause="overdue: knowledge is old")
    planned_again(harness, cell, "http://127.0.0.1:9/")
    aged(harness, 1, 1)
    harness.instance.report_runless_asset_event(heartbeat(Cell.of("quill", 0), datetime.now(UTC) - timedelta(hours=300)))
    harness.stale("quill")
    assert "Iteration 001 did not read http://127.0.0.1:9/: no answer" in str(evaluate(harness.alas, harness.instance, "quill").description)
    path = harness.settings.home / "domains" / "quill.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("wait_minutes = 0", "wait_minutes = 100"), encoding="utf-8")
    assert "iteration 001 failed or did not read every source" in skipped(overdue(harness))


def test_a_folder_of_more_digits_than_an_iteration_has_is_none(harness: Harness) -> None:
    (harness.store.root / "cells" / "quill" / "20261130").mkdir()
    assert last_opened(harness.alas, "quill") == Cell.of("quill", 0)
    assert requests(harness.tick("next_iteration")) == []
