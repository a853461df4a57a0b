"""A notice is logged once and kept until the webhook took it, in order and once; the webhook's address is never shown (O2, U3)."""

import json
import logging
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alas_assets import notices
from alas_assets.notices import Notice, Outbox
from alas_assets.provenance.store import StoreError
from alas_assets.settings import SettingError, load_settings
from alas_assets_tests.webhook import SECRET, Webhook, webhook

SECONDS = 30.0


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as hook:
        yield hook


@pytest.fixture
def outbox(tmp_path: Path, hook: Webhook) -> Outbox:
    return Outbox(tmp_path, hook.url)


def notice(text: str, **said: object) -> Notice:
    return Notice.model_validate({"kind": "failure", "domain": "quill", "text": text, **said})


def put(outbox: Outbox, *texts: str) -> None:
    outbox.add("test", {text: {text: notice(text)} for text in texts})


def test_a_notice_reaches_the_webhook_as_json_with_a_text(outbox: Outbox, hook: Webhook) -> None:
    hook.up()
    put(outbox, "quill is stale")
    assert outbox.deliver(SECONDS) == "1 delivered"
    assert (hook.posts[0]["text"], hook.posts[0]["kind"], hook.posts[0]["domain"]) == ("quill is stale", "failure", "quill")
    assert outbox.deliver(SECONDS) == ""
    assert len(hook.posts) == 1


def test_what_waits_for_a_webhook_that_is_down_is_counted_since_when_and_delivered_in_order_and_once(outbox: Outbox, hook: Webhook) -> None:
    since = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    outbox.add("test", {"a": {"a": notice("a", at=since)}})
    put(outbox, "b", "c")
    for _ in range(2):
        assert outbox.deliver(SECONDS) == (
            "3 notices wait since 2026-01-02 03:04 UTC: the webhook at 127.0.0.1 (ALAS_WEBHOOK_URL) did not answer: ConnectError"
        )
    hook.up()
    assert outbox.deliver(SECONDS) == "3 delivered"
    assert outbox.deliver(SECONDS) == ""
    assert hook.taken == ["a (of 2026-01-02 03:04 UTC)", "b", "c"]


@pytest.mark.parametrize("status", [301, 401, 403, 404, 410, 429, 500, 503])
def test_a_webhook_that_takes_nothing_is_asked_once_a_tick_and_nothing_is_lost(outbox: Outbox, hook: Webhook, status: int) -> None:
    hook.statuses = [status]
    hook.up()
    put(outbox, "a", "b")
    assert outbox.deliver(SECONDS).endswith(f"UTC: the webhook at 127.0.0.1 (ALAS_WEBHOOK_URL) answered {status}")
    assert len(hook.posts) == 1
    hook.statuses = [200]
    outbox.deliver(SECONDS)
    assert hook.taken == ["a", "b"]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_notice_that_is_refused_for_what_it_is_waits_and_holds_up_no_other(outbox: Outbox, hook: Webhook, status: int) -> None:
    hook.statuses = [status, 200]
    hook.up()
    put(outbox, "a", "b", "c")
    said = outbox.deliver(SECONDS)
    assert said.startswith("1 notice waits since ")
    assert said.endswith(f"answered {status}; 2 delivered")
    outbox.deliver(SECONDS)
    assert hook.taken == ["b", "c", "a"]


def test_a_webhook_that_refuses_everything_for_what_it_is_gets_three_a_tick_and_each_in_its_turn(outbox: Outbox, hook: Webhook) -> None:
    hook.statuses = [400]
    hook.up()
    put(outbox, "a", "b", "c", "d", "e")
    for asked in (3, 6):
        assert outbox.deliver(SECONDS).startswith("5 notices wait since ")
        assert hook.asked == asked
    assert [post["text"] for post in hook.posts] == ["a", "b", "c", "d", "e", "a"]
    hook.statuses = [200]
    outbox.deliver(SECONDS)
    assert hook.taken == ["a", "b", "c", "d", "e"]


def test_what_was_refused_is_remembered_where_each_tick_finds_something_and_holds_up_nothing(outbox: Outbox, hook: Webhook) -> None:
    hook.statuses = [400, 400, 400, 200]
    hook.up()
    put(outbox, "a", "b", "c")
    outbox.deliver(SECONDS)
    outbox.add("another", {"d": {"d": notice("d")}})
    outbox.deliver(SECONDS)
    assert hook.taken == ["d", "a", "b", "c"]


def test_a_notice_that_is_refused_for_what_it_is_for_more_than_a_day_is_left_to_the_log(
    outbox: Outbox, hook: Webhook, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = datetime.now(UTC) - timedelta(hours=25)
    hook.statuses = [400]
    hook.up()
    outbox.add("test", {"a": {"a": notice("a", at=old)}})
    assert outbox.deliver(SECONDS).startswith("1 notice waits since "), "it is old, but was not refused before"
    kept = tmp_path / "notices" / "outbox.json"
    raw = json.loads(kept.read_text(encoding="utf-8"))
    raw["refused"] = dict.fromkeys(raw["refused"], old.isoformat())
    kept.write_text(json.dumps(raw), encoding="utf-8")
    caplog.clear()
    assert outbox.deliver(SECONDS) == ""
    (said,) = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert said == "the webhook at 127.0.0.1 (ALAS_WEBHOOK_URL) answered 400 to this for more than a day; it is posted no more: a"
    assert json.loads(kept.read_text(encoding="utf-8"))["refused"] == {}


def test_what_a_webhook_is_too_slow_for_is_delivered_in_the_next_ticks(outbox: Outbox, hook: Webhook) -> None:
    hook.seconds = 0.2
    hook.up()
    put(outbox, "a", "b", "c")
    assert outbox.deliver(0.1).endswith("the webhook is slow; in the next tick; 1 delivered")
    outbox.deliver(SECONDS)
    assert hook.taken == ["a", "b", "c"]


def test_two_ticks_at_once_send_a_notice_once(outbox: Outbox, hook: Webhook, tmp_path: Path) -> None:
    hook.seconds = 0.5
    hook.up()
    put(outbox, "a", "b")
    said: list[str] = []
    ticks = [threading.Thread(target=lambda: said.append(Outbox(tmp_path, hook.url).deliver(SECONDS))) for _ in range(2)]
    for tick in ticks:
        tick.start()
    for tick in ticks:
        tick.join()
    assert hook.taken == ["a", "b"]
    assert said[1] == "2 delivered"
    assert said[0].startswith("2 notices wait since ")
    assert said[0].endswith("another tick is delivering them")


def test_what_is_added_while_others_are_sent_is_kept(outbox: Outbox, hook: Webhook) -> None:
    hook.seconds = 0.3
    hook.up()
    put(outbox, "a")
    tick = threading.Thread(target=lambda: outbox.deliver(SECONDS))
    tick.start()
    outbox.add("another", {"": {"b": notice("b")}})
    tick.join()
    outbox.deliver(SECONDS)
    assert hook.taken == ["a", "b"]


def test_a_process_that_is_killed_while_it_sends_loses_nothing_and_leaves_no_lock(outbox: Outbox, hook: Webhook, tmp_path: Path) -> None:
    hook.seconds = 2
    hook.up()
    put(outbox, "a", "b")
    tick = "import sys, pathlib; from alas_assets.notices import Outbox; Outbox(pathlib.Path(sys.argv[1]), sys.argv[2]).deliver(30)"
    process = subprocess.Popen([sys.executable, "-c", tick, str(tmp_path), hook.url])
    while not hook.asked:
        time.sleep(0.01)
    process.kill()
    process.wait()
    hook.seconds = 0
    assert outbox.deliver(SECONDS) == "2 delivered"
    assert hook.taken[:2] == ["a", "b"]
    time.sleep(2.2)  # until the first post is answered, which nobody waits for
    assert len({notice["id"] for notice in hook.posts}) == 2  # by which a receiver can tell that it has one of the three already


def test_what_was_told_and_still_stands_is_no_news_and_what_was_gone_meanwhile_is(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    def told(standing: dict[str, Notice] | None) -> list[str]:
        return [one.text for one in outbox.add("test", {"quill": standing, "ink": {"stale": notice("ink")}})[0]]

    assert told({"stale": notice("stale")}) == ["stale", "ink"]
    assert told({"stale": notice("stale"), "closed": notice("closed")}) == ["closed"]
    assert told(None) == []  # nobody can say now
    assert told({"stale": notice("stale")}) == []
    assert told({}) == []
    assert told({"stale": notice("stale")}) == ["stale"]
    assert [record.getMessage() for record in caplog.records] == [f"failure: {text}" for text in ("stale", "ink", "closed", "stale")]


def test_no_more_wait_than_there_is_room_for_and_the_rest_is_news_again(
    outbox: Outbox, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "ROOM", 2)
    standing = {"quill": {text: notice(text) for text in "abc"}, "ink": {text: notice(text) for text in "ad"}}
    assert outbox.add("test", standing)[1] == {"a", "c", "d"}
    assert "2 notices wait since" in (said := outbox.deliver(SECONDS))
    assert "there is no room for more than 2" in said
    hook.up()
    for _ in range(3):
        outbox.deliver(SECONDS)
        outbox.add("test", standing)
    assert hook.taken == ["a", "b", "c", "a", "d"]


def test_without_a_webhook_notices_are_logged_and_none_waits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    quiet = Outbox(tmp_path, "")
    put(quiet, "quill is stale")
    assert "failure: quill is stale" in caplog.text
    assert quiet.deliver(SECONDS) == ""


def test_what_waits_is_kept_and_named_where_the_webhook_is_no_longer_set(outbox: Outbox, hook: Webhook, tmp_path: Path) -> None:
    put(outbox, "a")
    said = Outbox(tmp_path, "").deliver(SECONDS)
    assert said.startswith("1 notice waits since ")
    assert said.endswith("ALAS_WEBHOOK_URL is not set; set it where Dagster runs, and they are delivered")
    hook.up()
    outbox.deliver(SECONDS)
    assert hook.taken == ["a"]


UNUSABLE = ("http://[::1", f"http://{'a' * 70}.example{SECRET}", "http://", f"http://example.org:99999{SECRET}")


@pytest.mark.parametrize("address", UNUSABLE)
def test_an_address_that_no_host_can_be_made_of_stops_nothing_and_is_refused_as_a_setting(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox(tmp_path, address)
    put(outbox, "a")
    with caplog.at_level(logging.DEBUG):
        assert "(ALAS_WEBHOOK_URL) did not answer" in outbox.deliver(SECONDS)
    monkeypatch.setenv("ALAS_WEBHOOK_URL", address)
    with pytest.raises(SettingError, match="ALAS_WEBHOOK_URL is not") as error:
        load_settings()
    assert "SECRET" not in caplog.text + str(error.value)


@pytest.mark.parametrize("status", [200, 301, 400, 500, 0])
def test_the_address_is_in_no_log_and_no_file_whatever_is_logged_and_answered(
    outbox: Outbox, hook: Webhook, tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    if status:
        hook.statuses = [status]
        hook.up()
    with caplog.at_level(logging.DEBUG):
        put(outbox, "a")
        said = outbox.deliver(SECONDS)
    assert len(hook.posts) == bool(status)
    files = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert "SECRET" not in said + caplog.text + "".join(files)


def test_the_webhook_is_checked_and_never_part_of_the_settings_as_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALAS_WEBHOOK_URL", f"https://example.org{SECRET}")
    assert "SECRET" not in repr(load_settings())
    monkeypatch.setenv("ALAS_WEBHOOK_URL", f"file:{SECRET}")
    with pytest.raises(SettingError, match="ALAS_WEBHOOK_URL is not") as error:
        load_settings()
    assert "SECRET" not in str(error.value)


def test_half_a_character_and_a_text_without_end_are_sent_as_far_as_they_can_be(outbox: Outbox, hook: Webhook) -> None:
    hook.up()
    outbox.add("test", {"": {"half": notice("a\ud800b", domain="\udfff"), "long": notice("x" * 5000), "last": notice("c")}})
    assert outbox.deliver(SECONDS) == "3 delivered"
    assert hook.taken == ["a?b", f"{'x' * 4000}...", "c"]


def test_a_notice_that_comes_late_says_of_when_it_is(outbox: Outbox, hook: Webhook) -> None:
    hook.up()
    when = datetime.now(UTC) - timedelta(minutes=11)
    outbox.add("test", {"": {"late": notice("stale", at=when), "now": notice("stale", at=when + timedelta(minutes=5))}})
    outbox.deliver(SECONDS)
    assert hook.taken == [f"stale (of {when:%Y-%m-%d %H:%M} UTC)", "stale"]


def test_nothing_is_sent_that_could_not_be_noted_as_sent(outbox: Outbox, hook: Webhook) -> None:
    hook.up()
    put(outbox, "a")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # as on a full disk: no file can be written
    try:
        with pytest.raises(OSError, match="File too large"):
            outbox.deliver(SECONDS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert hook.posts == []
    outbox.deliver(SECONDS)
    assert hook.taken == ["a"]


def test_a_damaged_file_is_named_with_what_to_do(outbox: Outbox, tmp_path: Path) -> None:
    put(outbox, "a")
    (tmp_path / "notices" / "outbox.json").write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match=r"outbox\.json: damaged; delete it"):
        outbox.deliver(SECONDS)
