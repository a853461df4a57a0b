"""What goes wrong is told once, in order, and by a later tick where the webhook is down in the one that finds it (O2, U3)."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_status_sensor_definition import RunStatusSensorCursor
from dagster._core.remote_origin import CodeLocationOrigin, RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.remote_representation.external_data import SensorExecutionErrorSnap
from dagster._core.test_utils import freeze_time
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._grpc.impl import get_external_sensor_execution

from alas_assets import notices
from alas_assets.defs import reporting
from alas_assets.defs.switching import switch_sensors
from alas_assets.provenance.store import Cell
from alas_assets.records import GateDecision
from alas_assets.release.closing import close_iteration
from alas_assets.settings import PROJECT_ROOT
from alas_assets_tests.harness import Harness, skipped
from alas_assets_tests.webhook import Webhook, webhook

WORKSPACE = str(PROJECT_ROOT / "workspace.yaml")
HERE = location_origins_from_yaml_paths([WORKSPACE])[0]


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    """A webhook that is set, and down until a test turns it on."""
    with webhook() as hook:
        monkeypatch.setenv("ALAS_WEBHOOK_URL", hook.url)
        yield hook


@pytest.fixture
def harness(tmp_path: Path, hook: Webhook) -> Harness:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", 9)
    harness.finished("quill", 0)
    return harness


class FailedRuns:
    """The sensor `failed_runs` as Dagster's code server evaluates it, with the cursor that the daemon keeps of a tick that did not fail."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.cursor: str | None = None
        self.tick()

    def tick(self, *, cursor_is_kept: bool = True) -> str:
        """Return why it was skipped, or the error."""
        harness = self.harness
        done = get_external_sensor_execution(
            harness.repository, HERE, harness.instance.get_ref(), "failed_runs", None, None, self.cursor, None, None
        )
        if isinstance(done, SensorExecutionErrorSnap):
            return done.error.to_string() if done.error else ""
        if cursor_is_kept:
            self.cursor = done.cursor
        return done.skip_message or ""


@pytest.fixture
def sensor(harness: Harness) -> FailedRuns:
    """The sensor after its first tick."""
    return FailedRuns(harness)


def failed(harness: Harness, why: str, location: CodeLocationOrigin = HERE) -> dg.DagsterRun:
    """Record a run that failed."""
    repository = RemoteRepositoryOrigin(location, harness.repository.name)
    run = harness.instance.create_run_for_job(harness.repository.get_job("scores"), remote_job_origin=repository.get_job_origin("scores"))
    harness.instance.report_run_failed(run, message=why)
    return run


def reasons(hook: Webhook) -> list[str]:
    """Return what the webhook took, without the runs' ids."""
    return [text.partition(" failed: ")[2] for text in hook.taken]


def test_a_run_that_fails_while_the_webhook_is_down_is_told_by_the_daemon_once_the_webhook_is_up(
    tmp_path: Path, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    switch_sensors(harness.instance, on=True)
    minutes = iter(range(0, 60, 2))  # every sensor is due again after two

    with WorkspaceProcessContext(harness.instance, WorkspaceFileTarget(paths=[WORKSPACE])) as workspace:

        def ticks() -> dict[str, str]:
            """Let the daemon evaluate every sensor once, and return what each said."""
            with freeze_time(datetime.now(UTC) + timedelta(minutes=next(minutes))):
                list(execute_sensor_iteration(workspace, logging.getLogger("daemon"), None, None))
            said = {}
            for state in harness.instance.all_instigator_state():
                tick = harness.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)[0]
                said[state.instigator_name] = tick.skip_reason or (tick.error.message if tick.error else "")
            return said

        assert ticks()["failed_runs"] == "runs that fail from now on are told"
        run = failed(harness, "the disk is full")
        ticks()
        said = ticks()
        for name in ("failed_runs", "standing_notices"):
            assert re.match(r"1 notice waits since 20..-..-.. ..:.. UTC: the webhook at 127\.0\.0\.1 \(ALAS_WEBHOOK_URL\)", said[name])
        hook.up()
        for _ in range(2):
            said = ticks()
    assert said["failed_runs"] == "no run failed"
    (notice,) = hook.posts
    assert (notice["kind"], notice["run_id"], notice["text"]) == (
        "failure",
        run.run_id,
        f"run {run.run_id[:8]} of scores failed: the disk is full",
    )
    assert "SECRET" not in caplog.text + str(said)


def test_a_failed_run_is_told_with_its_cell_and_reason(harness: Harness, sensor: FailedRuns, hook: Webhook) -> None:
    hook.up()
    outcome = harness.run("quill", 1)
    assert not outcome.success
    assert f"run {outcome.run_id[:8]} of iteration quill|001 failed: " in sensor.tick()
    (notice,) = hook.posts
    assert (notice["kind"], notice["domain"], notice["iteration"], notice["run_id"]) == ("failure", "quill", "001", outcome.run_id)
    assert "connection refused" in notice["text"]


def test_runs_that_fail_while_the_webhook_is_down_are_told_in_order_and_once(harness: Harness, sensor: FailedRuns, hook: Webhook) -> None:
    failed(harness, "a")
    failed(harness, "b")
    assert sensor.tick().startswith("2 notices wait since ")
    failed(harness, "c")
    assert sensor.tick().startswith("3 notices wait since ")
    hook.up()
    failed(harness, "d")
    for _ in range(3):
        sensor.tick()
    assert reasons(hook) == ["a", "b", "c", "d"]


def test_a_tick_that_dagster_forgets_tells_nothing_twice(harness: Harness, sensor: FailedRuns, hook: Webhook) -> None:
    hook.up()
    failed(harness, "a")
    sensor.tick(cursor_is_kept=False)
    failed(harness, "b")
    sensor.tick(cursor_is_kept=False)
    sensor.tick()
    sensor.tick()
    assert reasons(hook) == ["a", "b"]


def test_a_tick_that_fails_passes_over_no_run_and_names_the_setting(
    harness: Harness, sensor: FailedRuns, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALAS_WEBHOOK_URL", "file:/hooks/T0P-SECRET")
    failed(harness, "a")
    said = sensor.tick()
    assert "ALAS_WEBHOOK_URL is not an http(s) URL" in said
    assert "SECRET" not in said
    monkeypatch.setenv("ALAS_WEBHOOK_URL", hook.url)
    hook.up()
    sensor.tick()
    assert reasons(hook) == ["a"]


def test_runs_for_which_there_is_no_room_are_told_later(
    harness: Harness, sensor: FailedRuns, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "ROOM", 2)
    for why in "abcde":
        failed(harness, why)
    for _ in range(2):
        assert sensor.tick().startswith("2 notices wait since ")
    hook.up()
    for _ in range(4):
        sensor.tick()
    assert reasons(hook) == ["a", "b", "c", "d", "e"]


def test_more_runs_than_one_tick_takes_up_are_told_in_the_next(
    harness: Harness, sensor: FailedRuns, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "AT_ONCE", 2)
    hook.up()
    for why in "abc":
        failed(harness, why)
    sensor.tick()
    assert reasons(hook) == ["a", "b"]
    sensor.tick()
    assert reasons(hook) == ["a", "b", "c"]


def test_a_run_is_told_once_however_often_it_is_reported_failed(harness: Harness, sensor: FailedRuns, hook: Webhook) -> None:
    hook.up()
    run = failed(harness, "its process is gone")
    harness.instance.report_run_failed(run, message="by another who saw that too")
    sensor.tick()
    harness.instance.report_run_failed(run, message="and later")
    sensor.tick()
    assert reasons(hook) == ["its process is gone"]


def test_a_run_that_was_deleted_or_is_anothers_is_passed_over(harness: Harness, sensor: FailedRuns, hook: Webhook) -> None:
    hook.up()
    harness.instance.delete_run(failed(harness, "deleted").run_id)
    harness.instance.run_storage.delete_run(failed(harness, "being deleted: its events are still there").run_id)
    failed(harness, "another's", RegisteredCodeLocationOrigin("elsewhere"))
    failed(harness, "ours")
    sensor.tick()
    assert sensor.tick() == "no run failed"
    assert reasons(hook) == ["ours"]


def test_runs_from_before_the_first_tick_are_not_told(harness: Harness, hook: Webhook) -> None:
    hook.up()
    failed(harness, "before")
    sensor = FailedRuns(harness)
    failed(harness, "after")
    sensor.tick()
    assert reasons(hook) == ["after"]


def test_the_position_of_a_run_failure_sensor_of_dagsters_is_gone_on_from(harness: Harness, sensor: FailedRuns, hook: Webhook) -> None:
    hook.up()
    failed(harness, "told already")
    (newest,) = harness.instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1).records
    sensor.cursor = RunStatusSensorCursor(record_id=newest.storage_id, record_timestamp="2026-01-02T03:04:05+00:00").to_json()
    failed(harness, "news")
    sensor.tick()
    assert reasons(hook) == ["news"]


def moved_away(harness: Harness) -> list[tuple[Path, Path]]:
    """Move Dagster's databases away, as the program advises where one is damaged; returns from where to where."""
    home = harness.settings.dagster_home
    moves = [(path, path.with_name(f"moved-{path.name}")) for path in sorted(home.rglob("*.db*")) if "schedules" not in path.parts]
    for path, aside in moves:
        path.rename(aside)
    return moves


AGAIN = "the newest failed run in Dagster's database is older than the last one that was told"


def opened_anew(harness: Harness, sensor: FailedRuns) -> Harness:
    """Open the store's Dagster instance as a new process does."""
    sensor.harness = Harness(harness.settings.home.parent, "no-student-is-needed-here")
    return sensor.harness


@pytest.mark.parametrize("looked", ["before the next failure", "after it"])
def test_after_a_damaged_database_was_moved_away_the_next_failure_is_told(
    looked: str, harness: Harness, sensor: FailedRuns, hook: Webhook
) -> None:
    hook.up()
    for why in "abc":
        failed(harness, why)
    sensor.tick()
    moved_away(harness)
    harness = opened_anew(harness, sensor)
    if looked == "before the next failure":
        assert AGAIN in sensor.tick()
        assert sensor.tick() == "no run failed"
    failed(harness, "d")
    assert (AGAIN in sensor.tick()) == (looked == "after it")
    assert sensor.tick() == "no run failed"
    assert reasons(hook) == ["a", "b", "c", "d"]


def test_a_position_that_says_no_time_is_told_from_the_beginning_in_a_new_database(
    harness: Harness, sensor: FailedRuns, hook: Webhook
) -> None:
    hook.up()
    sensor.cursor = json.dumps({"record_id": 52_000})
    failed(harness, "a")
    assert AGAIN in sensor.tick()
    assert sensor.tick() == "no run failed"
    assert reasons(hook) == ["a"]


def test_an_older_copy_of_the_database_tells_only_what_failed_since(harness: Harness, sensor: FailedRuns, hook: Webhook) -> None:
    hook.up()
    failed(harness, "a")
    copies = [(path, path.read_bytes()) for path in harness.settings.dagster_home.rglob("*.db*") if "schedules" not in path.parts]
    failed(harness, "b")
    failed(harness, "c")
    sensor.tick()
    moved_away(harness)
    for path, data in copies:
        path.write_bytes(data)
    harness = opened_anew(harness, sensor)
    failed(harness, "d")
    sensor.tick()
    sensor.tick()
    assert reasons(hook) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("again", [False, True])
def test_where_the_newest_failed_run_was_deleted_none_is_told_twice_and_the_next_is_told(
    again: bool, harness: Harness, sensor: FailedRuns, hook: Webhook
) -> None:
    hook.up()
    runs = [failed(harness, why) for why in "abc"]
    sensor.tick()
    harness.instance.delete_run(runs[-1].run_id)
    if again:
        assert AGAIN in sensor.tick()
        assert sensor.tick() == "no run failed"
    failed(harness, "d")
    sensor.tick()
    assert sensor.tick() == "no run failed"
    assert reasons(hook) == ["a", "b", "c", "d"]


# ------------------------------------------------------------------------------------------------ what stands


def standing(harness: Harness) -> str:
    """Return what a tick of `standing_notices` says."""
    return skipped(harness.tick("standing_notices"))


def aged(harness: Harness, hours: float) -> None:
    """Let what the domain's first iteration made look so many hours old."""
    for path in harness.store.root.glob("cells/quill/000/*.json"):
        raw = json.loads(path.read_text(encoding="utf-8"))
        raw["made_at"] = (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")
        path.write_text(json.dumps(raw), encoding="utf-8")


def refused(harness: Harness, iteration: int, reason: str) -> None:
    """Let the gate have refused an iteration's candidate."""
    decision = GateDecision(
        domain="quill",
        iteration=iteration,
        verdict="keep",
        reason=reason,
        candidate="a" * 64,
        current_before=None,
        current_after=None,
    )
    harness.store.put(Cell.of("quill", iteration), "promotion", decision, input_key=reason, inputs={}, run_id="r")


def test_staleness_a_refused_candidate_and_a_closed_iteration_are_each_told_once(harness: Harness, hook: Webhook) -> None:
    hook.up()
    refused(harness, 0, "general skills fell")
    aged(harness, 200)  # and no source was ever read
    harness.opened("quill", 1)
    close_iteration(harness.settings.home, Cell.of("quill", 1), "3 runs failed")
    assert standing(harness).startswith("3 delivered; quill is stale: ")
    assert standing(harness) == "nothing new"
    assert sorted(notice["kind"] for notice in hook.posts) == ["closed", "not promoted", "stale"]
    assert "general skills fell" in next(notice["text"] for notice in hook.posts if notice["kind"] == "not promoted")


def test_what_the_webhook_did_not_take_is_told_again_at_the_next_tick(harness: Harness, hook: Webhook) -> None:
    aged(harness, 200)
    hook.statuses = [500, 200]
    hook.up()
    assert standing(harness).startswith("1 notice waits since ")
    assert [standing(harness), standing(harness)] == ["1 delivered", "nothing new"]
    assert [notice["kind"] for notice in hook.posts] == ["stale", "stale"]


def closed(harness: Harness) -> None:
    harness.opened("quill", 1)
    close_iteration(harness.settings.home, Cell.of("quill", 1), "3 runs failed")


def kept(harness: Harness) -> None:
    harness.finished("quill", 1)
    refused(harness, 1, "general skills fell")


@pytest.mark.parametrize(("happens", "told"), [(closed, "was closed as failed: 3 runs failed"), (kept, "general skills fell")])
def test_what_happened_while_the_webhook_was_down_is_told_though_the_domain_went_on(
    harness: Harness, hook: Webhook, happens: Callable[[Harness], None], told: str
) -> None:
    happens(harness)
    standing(harness)
    harness.finished("quill", 2)
    refused(harness, 2, "no better")
    standing(harness)
    hook.up()
    standing(harness)
    assert [told in text for text in hook.taken] == [True, False]
    assert "no better" in hook.taken[1]


def test_a_domain_that_becomes_stale_again_is_told_again(harness: Harness, hook: Webhook) -> None:
    hook.up()
    for hours in (200, 200, 1, 201):
        aged(harness, hours)
        standing(harness)
    assert [notice["kind"] for notice in hook.posts] == ["stale", "stale"]


def test_a_domain_whose_file_is_broken_for_a_while_is_told_of_once_and_hides_no_other(harness: Harness, hook: Webhook) -> None:
    hook.up()
    aged(harness, 200)
    path = harness.settings.home / "domains" / "quill.toml"
    text = path.read_text(encoding="utf-8")
    standing(harness)
    path.write_text("freshness_hours = [", encoding="utf-8")
    assert standing(harness).startswith("quill: ")
    path.write_text(text, encoding="utf-8")
    assert standing(harness) == "nothing new"
    assert len(hook.posts) == 1


def test_what_waits_is_delivered_though_no_domain_is_watched_any_more(harness: Harness, sensor: FailedRuns, hook: Webhook) -> None:
    failed(harness, "a")
    sensor.tick()
    (harness.settings.home / "watched.json").write_text("[]", encoding="utf-8")
    assert standing(harness).startswith("1 notice waits since ")
    hook.up()
    assert standing(harness) == "1 delivered"
    assert reasons(hook) == ["a"]


def test_a_webhook_that_hangs_is_left_for_the_next_tick_before_the_sensor_runs_out_of_time(
    harness: Harness, sensor: FailedRuns, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "TIMEOUT_SECONDS", 0.1)
    hook.seconds = 0.5
    hook.up()
    for why in "abc":
        failed(harness, why)
    said = sensor.tick()
    assert said.startswith("3 notices wait since ")
    assert said.count("did not answer: ReadTimeout") == 1


def test_a_webhook_that_is_slow_is_given_no_more_than_a_ticks_time(
    harness: Harness, sensor: FailedRuns, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "TELLING_SECONDS", 0.1)
    hook.seconds = 0.2
    hook.up()
    for why in "abc":
        failed(harness, why)
    assert "2 notices wait since" in sensor.tick()
    assert "1 notice waits since" in standing(harness)
    assert sensor.tick() == "1 delivered"
    assert reasons(hook) == ["a", "b", "c"]
