"""What goes wrong is told once, to the log and to a webhook, and the webhook's address is never shown (O2, U3)."""

import json
import logging
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from pytest_httpserver import HTTPServer

from alas_assets.notices import Notice, tell
from alas_assets.provenance.changes import close_iteration
from alas_assets.provenance.store import Cell
from alas_assets.records import GateDecision
from alas_assets.settings import SettingError, load_settings
from alas_assets_tests.harness import Harness, skipped

SECRET = "/hooks/T0P-SECRET"
NOTICE = Notice(kind="stale", domain="quill", text="quill is stale")


@pytest.fixture
def hook(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> HTTPServer:
    """A server that takes notices at a secret address, which is set."""
    httpserver.expect_request(SECRET, method="POST").respond_with_data("")
    monkeypatch.setenv("ALAS_WEBHOOK_URL", httpserver.url_for(SECRET))
    return httpserver


def told(hook: HTTPServer) -> list[dict[str, str]]:
    return [json.loads(request.get_data()) for request, _ in hook.log]


@pytest.fixture
def harness(tmp_path: Path, hook: HTTPServer) -> Harness:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", 9)
    harness.finished("quill", 0)
    return harness


def test_a_notice_reaches_the_webhook_as_json_with_a_text(hook: HTTPServer) -> None:
    assert tell(NOTICE, hook.url_for(SECRET)) == ""
    assert told(hook)[0]["text"] == "quill is stale"


UNUSABLE = ("http://[::1", f"http://{'a' * 70}.example/hooks/T0P-SECRET", "http://", "http://example.org:99999/hooks/T0P-SECRET")


@pytest.mark.parametrize("webhook", UNUSABLE)
def test_an_address_that_no_host_can_be_made_of_stops_nothing_and_is_refused_as_a_setting(
    webhook: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert "(ALAS_WEBHOOK_URL) did not answer" in tell(NOTICE, webhook)
    monkeypatch.setenv("ALAS_WEBHOOK_URL", webhook)
    with pytest.raises(SettingError, match="ALAS_WEBHOOK_URL is not") as error:
        load_settings()
    assert "SECRET" not in caplog.text + str(error.value)


def test_a_webhook_that_hangs_is_left_for_the_next_tick_before_the_sensor_runs_out_of_time(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for domain in ("ink", "pen"):
        harness.domain(domain, 9)
        harness.finished(domain, 0)
    for domain in ("ink", "pen", "quill"):
        aged(harness, 200, domain)
    monkeypatch.setattr("alas_assets.notices.TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr("alas_assets.defs.reporting.TELLING_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        monkeypatch.setenv("ALAS_WEBHOOK_URL", f"http://127.0.0.1:{silent.getsockname()[1]}{SECRET}")
        said = skipped(harness.tick("standing_notices"))
    assert said.count("did not answer") == 1
    assert said.count("the webhook is slow; in the next tick") == 2


@pytest.mark.parametrize("status", [301, 403, 500])
def test_a_webhook_that_refuses_is_said_without_its_address(httpserver: HTTPServer, caplog: pytest.LogCaptureFixture, status: int) -> None:
    httpserver.expect_request(SECRET).respond_with_data("", status=status, headers={"Location": httpserver.url_for("/elsewhere")})
    with caplog.at_level(logging.WARNING):
        assert f"answered {status}" in tell(NOTICE, httpserver.url_for(SECRET))
    assert "SECRET" not in caplog.text
    assert [request.path for request, _ in httpserver.log] == [SECRET]


def test_a_webhook_where_nobody_listens_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert "did not answer" in tell(NOTICE, f"http://127.0.0.1:9{SECRET}")
    assert "SECRET" not in caplog.text


def test_the_webhook_is_checked_and_never_part_of_the_settings_as_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALAS_WEBHOOK_URL", f"https://example.org{SECRET}")
    assert "SECRET" not in repr(load_settings())
    monkeypatch.setenv("ALAS_WEBHOOK_URL", f"file:{SECRET}")
    with pytest.raises(SettingError, match="ALAS_WEBHOOK_URL is not") as error:
        load_settings()
    assert "SECRET" not in str(error.value)


def aged(harness: Harness, hours: float, domain: str = "quill") -> None:
    """Let what a domain's first iteration made look so many hours old."""
    for path in harness.store.root.glob(f"cells/{domain}/000/*.json"):
        raw = json.loads(path.read_text(encoding="utf-8"))
        raw["made_at"] = (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")
        path.write_text(json.dumps(raw), encoding="utf-8")


def test_staleness_a_refused_candidate_and_a_closed_iteration_are_each_told_once(harness: Harness, hook: HTTPServer) -> None:
    refused = GateDecision(
        domain="quill",
        iteration=0,
        verdict="keep",
        reason="general skills fell",
        candidate="a" * 64,
        current_before=None,
        current_after=None,
    )
    harness.store.put(Cell.of("quill", 0), "promotion", refused, input_key="p", inputs={}, run_id="r")
    aged(harness, 200)  # and no source was ever read
    harness.opened("quill", 1)
    close_iteration(harness.settings.home, Cell.of("quill", 1), "3 runs failed")
    defs = harness.repository
    sensor = defs.get_sensor_def("standing_notices")
    cursor = None
    for _ in range(2):
        with dg.build_sensor_context(
            instance=harness.instance, repository_def=defs, resources={"alas": harness.alas}, cursor=cursor
        ) as context:
            said = skipped(sensor(context))  # type: ignore[arg-type]
            cursor = context.cursor
    assert sorted(notice["kind"] for notice in told(hook)) == ["closed", "not promoted", "stale"]
    assert said == "nothing new"
    assert "general skills fell" in next(notice["text"] for notice in told(hook) if notice["kind"] == "not promoted")


def test_what_the_webhook_did_not_take_is_told_again_at_the_next_tick(harness: Harness, hook: HTTPServer) -> None:
    aged(harness, 200)
    hook.clear()
    hook.expect_oneshot_request(SECRET, method="POST").respond_with_data("", status=500)
    hook.expect_request(SECRET, method="POST").respond_with_data("")
    sensor, cursor, said = harness.repository.get_sensor_def("standing_notices"), None, []
    for _ in range(3):
        with dg.build_sensor_context(
            instance=harness.instance, repository_def=harness.repository, resources={"alas": harness.alas}, cursor=cursor
        ) as context:
            said.append(skipped(sensor(context)).partition(":")[0])  # type: ignore[arg-type]
            cursor = context.cursor
    assert said == ["not told yet", "told", "nothing new"]
    assert [notice["kind"] for notice in told(hook)] == ["stale", "stale"]


def test_a_failed_run_is_told_with_its_cell_and_reason(harness: Harness, hook: HTTPServer) -> None:
    outcome = harness.run("quill", 1)
    assert not outcome.success
    run = harness.instance.get_run_by_id(outcome.run_id)
    assert run is not None
    failure = next(
        record.event_log_entry.dagster_event
        for record in harness.instance.get_records_for_run(outcome.run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
    )
    assert failure is not None
    sensor = harness.repository.get_sensor_def("failed_runs")
    context = dg.build_run_status_sensor_context(
        sensor_name="failed_runs",
        dagster_event=failure,
        dagster_instance=harness.instance,
        dagster_run=run,
        resources={"alas": harness.alas},
    ).for_run_failure()
    sensor(context)
    (notice,) = told(hook)
    assert (notice["kind"], notice["domain"], notice["iteration"], notice["run_id"]) == ("failure", "quill", "001", outcome.run_id)
    assert "connection refused" in notice["text"]
