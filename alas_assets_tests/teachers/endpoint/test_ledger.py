"""The ledger keeps every call through kills, damage is said, and what was recorded can be replayed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alas_assets.domains.config import Budget, TeacherSettings
from alas_assets.teachers.endpoint.calls import EndpointError
from alas_assets.teachers.endpoint.client import open_endpoint
from alas_assets.teachers.endpoint.ledger import CallRow, Ledger, LedgerError
from alas_assets.teachers.endpoint.replay import Replay
from alas_assets_tests.teachers.endpoint.conftest import CELL, Opener, call, calls
from alas_assets_tests.teachers.endpoint.faulty import FaultServer, mixed, user_text

ROOT = Path(__file__).resolve().parents[3]

CHILD = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from alas_assets.domains.config import Budget, TeacherSettings
    from alas_assets.teachers.endpoint.client import open_endpoint
    from alas_assets_tests.teachers.endpoint.conftest import CELL, calls
    url, ledger, count = sys.argv[1:]
    settings = TeacherSettings(kind="openai", url=url, model="tiny", api="chat", answers="xml", concurrency=20)
    open_endpoint(settings, Budget(), Path(ledger), CELL).ask(calls(int(count)), lambda *_: print("answered", flush=True))
    """
)


def child(url: str, ledger: Path, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, url, str(ledger), str(count)], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def test_after_a_kill_the_next_run_sends_only_what_is_missing(tmp_path: Path) -> None:
    count, concurrency, ledger = 200, 20, tmp_path / "teacher.sqlite"
    with FaultServer(latency=0.1) as server:
        running = child(server.url, ledger, count)
        assert running.stdout is not None
        for _ in range(count // 3):
            running.stdout.readline()
        running.send_signal(signal.SIGKILL)
        running.wait()
        running.stdout.close()
        time.sleep(0.3)  # what was under way reaches the server's list
        sent, stored = len(server.asked), Ledger(ledger).totals(CELL)[0].calls
        assert count // 3 <= stored <= sent <= stored + concurrency
        again = child(server.url, ledger, count)
        assert again.stdout is not None
        assert len(again.stdout.readlines()) == count
        assert again.wait() == 0
        again.stdout.close()
        assert len(server.asked) - sent == count - stored
        assert len(server.asked) <= count + concurrency
    assert Ledger(ledger).totals(CELL)[0].calls == count


def test_two_processes_that_ask_the_same_at_once_share_one_ledger_and_pay_for_each_call_once_more_at_most(tmp_path: Path) -> None:
    ledger = tmp_path / "teacher.sqlite"
    with FaultServer(latency=0.02) as server:
        running = [child(server.url, ledger, 100) for _ in range(2)]
        outputs = [process.communicate()[0] for process in running]
        assert [process.returncode for process in running] == [0, 0]
        assert [out.count("answered") for out in outputs] == [100, 100]
        asked = Counter(user_text(s.body) for s in server.asked)
        assert len(asked) == 100
        assert max(asked.values()) <= 2
    totals = Ledger(ledger).totals(CELL)[0]
    assert totals.calls == 100
    assert Ledger(ledger).spent(CELL).tokens >= totals.prompt_tokens + totals.completion_tokens


def test_a_replay_gives_the_same_replies_without_the_endpoint(connect: Opener, tmp_path: Path) -> None:
    asked = calls(30, max_tokens=64)
    with FaultServer(plan=mixed(0.2, 3, ("length", "busy", "fenced"))) as server:
        endpoint = connect(server.url, api="auto", answers="auto")
        live = endpoint.ask(asked)
        recorded = server.url
        seen = len(server.received)
    settings = endpoint.settings.model_copy(update={"replay": True})
    replay = open_endpoint(settings, Budget(), endpoint.ledger.path, CELL)
    assert isinstance(replay, Replay)
    told: list[int] = []
    replies = replay.ask([*asked, asked[0]], lambda place, _: told.append(place))
    assert replies == [r.model_copy(update={"replayed": True}) for r in [*live, live[0]]]
    assert told == list(range(31))
    assert replay.abilities("tiny") == endpoint.abilities("tiny")
    assert (recorded, len(server.received)) == (endpoint.url, seen)


def test_a_replay_names_what_is_missing_and_tells_nobody_before(connect: Opener) -> None:
    with FaultServer() as server:
        endpoint = connect(server.url)
        endpoint.ask(calls(5))
    replay = open_endpoint(endpoint.settings.model_copy(update={"replay": True}), Budget(), endpoint.ledger.path, CELL)
    told: list[int] = []
    with pytest.raises(
        EndpointError, match=r"2 of 7 calls to http.* are not in the ledger: write 'topic 5' .*write 'topic 6'.*teacher.replay"
    ):
        replay.ask(calls(7), lambda place, _: told.append(place))
    assert told == []


def test_a_call_that_failed_live_fails_in_a_replay_with_the_same_words_also_in_another_home(connect: Opener, tmp_path: Path) -> None:
    def plan(_: int, body: dict) -> str:
        return "filter" if "number 2" in str(body) else "broken" if "number 4" in str(body) else ""

    with FaultServer(plan=plan) as server:
        endpoint = connect(server.url, attempts=2)
        live = endpoint.ask(calls(6))
    assert [bool(reply.failure) for reply in live] == [False, False, True, False, True, False]
    assert [live[2].finish, live[4].finish] == ["filtered", "none"]
    expected = [reply.model_copy(update={"replayed": True}) for reply in live]
    assert Replay(endpoint.ledger, endpoint.settings, endpoint.url, CELL).ask(calls(6)) == expected
    exported, again = tmp_path / "ledger.jsonl", tmp_path / "again.jsonl"
    assert endpoint.ledger.export(exported, CELL) == 4
    other = Ledger(tmp_path / "other" / "teacher.sqlite")
    assert (other.load(exported), other.load(exported)) == (4, 0)
    assert Replay(other, endpoint.settings, endpoint.url, CELL).ask(calls(6)) == expected
    assert other.spent(CELL).tokens == 0
    other.export(again, CELL)  # what was replayed goes on
    assert [json.loads(line)["kind"] for line in again.read_text().splitlines()] == ["call"] * 4 + ["failure"] * 2
    unasked = tmp_path / "unasked.jsonl"
    endpoint.ledger.export(unasked, ("other", 0))
    assert unasked.read_text() == ""


def test_a_call_that_failed_and_was_answered_later_is_replayed_as_answered(connect: Opener, tmp_path: Path) -> None:
    with FaultServer(plan=lambda number, _: "filter" if number == 0 else "") as server:
        endpoint = connect(server.url)
        assert endpoint.ask(calls(1))[0].failure
        assert endpoint.ask(calls(1))[0].complete
    assert Replay(endpoint.ledger, endpoint.settings, endpoint.url, CELL).ask(calls(1))[0].complete
    endpoint.ledger.export(tmp_path / "out.jsonl")
    assert [json.loads(line)["kind"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == ["call"]


def test_what_ended_the_endpoint_is_no_call_s_failure_to_replay(connect: Opener) -> None:
    with FaultServer(plan=lambda *_: "quota") as server:
        endpoint = connect(server.url)
        with pytest.raises(EndpointError, match="quota"):
            endpoint.ask(calls(1))
    with pytest.raises(EndpointError, match="not in the ledger"):
        Replay(endpoint.ledger, endpoint.settings, endpoint.url, CELL).ask(calls(1))


def test_an_answer_that_another_process_got_in_the_meantime_counts_as_used(connect: Opener, tmp_path: Path) -> None:
    with FaultServer() as server:
        other, endpoint = connect(server.url, cell=("other", 0)), connect(server.url, concurrency=1)
        replies = endpoint.ask(calls(2), lambda place, _: other.ask(calls(2)[1:]) if place == 0 else None)
        assert len(server.asked) == 2
    assert [reply.replayed for reply in replies] == [False, True]
    assert (endpoint.progress.calls, endpoint.progress.replayed) == (1, 1)
    assert endpoint.ledger.export(tmp_path / "out.jsonl", CELL) == 2
    assert endpoint.ledger.totals(CELL)[0].replayed == 1


def test_a_ledger_goes_to_another_home_as_json_lines_and_nobody_there_pays(connect: Opener, tmp_path: Path) -> None:
    with FaultServer() as server:
        endpoint = connect(server.url, api="auto", answers="auto")
        live = endpoint.ask(calls(20))
        connect(server.url, cell=("other", 1)).ask(calls(3, attempt=7))
    exported = tmp_path / "ledger.jsonl"
    assert endpoint.ledger.export(exported, CELL) == 21  # with the probe
    other = Ledger(tmp_path / "other" / "teacher.sqlite")
    assert other.load(exported) == 21
    assert other.load(exported) == 0
    replay = Replay(other, endpoint.settings, endpoint.url, CELL)
    assert [r.text for r in replay.ask(calls(20))] == [r.text for r in live]
    assert replay.abilities("tiny").shown == "chat, schema enforced"
    assert other.spent(CELL).tokens == 0
    again = tmp_path / "again.jsonl"
    other.export(again)
    first, second = ([json.loads(line) for line in path.read_text().splitlines()] for path in (exported, again))
    for row in [*first, *second]:
        for paid_by in ("domain", "iteration"):
            row.pop(paid_by, None)
    assert first == second


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "\ud800", [float("nan")], {"\ud800": 1}, 10**4000, True, None, 1.5], ids=range(9)
)
def test_a_ledger_goes_to_another_home_whatever_a_server_says_of_its_answers(connect: Opener, tmp_path: Path, value: object) -> None:
    with FaultServer(adds=dict.fromkeys(("id", "model", "system_fingerprint", "created"), value)) as server:
        endpoint = connect(server.url)
        assert not endpoint.ask([call(0)])[0].failure
    endpoint.ledger.export(tmp_path / "ledger.jsonl")
    other, again = Ledger(tmp_path / "other.sqlite"), tmp_path / "again.jsonl"
    assert other.load(tmp_path / "ledger.jsonl") == 1
    other.export(again)
    stored, taken = (json.loads(json.loads(path.read_text())["meta"]) for path in (tmp_path / "ledger.jsonl", again))
    assert stored == taken


@pytest.mark.parametrize(
    "line",
    [
        *("not json", "[1]", "{}", "[" * 100_000),
        *('{"kind": "call", "key": 1}', '{"kind": "abilities"}', '{"kind":"abilities","endpoint":1,"model":2,"found":3}'),
    ],
    ids=range(7),
)
def test_a_wrong_line_takes_nothing_over_and_is_named(tmp_path: Path, connect: Opener, line: str) -> None:
    with FaultServer() as server:
        endpoint = connect(server.url)
        endpoint.ask(calls(2))
    path = tmp_path / "in.jsonl"
    endpoint.ledger.export(path)
    path.write_text(path.read_text() + line + "\n")
    other = Ledger(tmp_path / "other.sqlite")
    with pytest.raises(LedgerError, match=r"in.jsonl: line 3"):
        other.load(path)
    assert other.totals(("", -1)) == []


ROW = CallRow("k", "e", "m", "write", "i", "p", 0, "{}", "first", "stop", "{}", 10, 5, False, None, "USD", 0.1, "t", *CELL)


def exported_row(tmp_path: Path) -> dict:
    """Return the line of one call."""
    with closing(Ledger(tmp_path / "one.sqlite")) as ledger:
        ledger.put(ROW)
        ledger.export(tmp_path / "one.jsonl")
    return json.loads((tmp_path / "one.jsonl").read_text())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("finish", "whatever"), ("finish", None), ("prompt_tokens", "many"), ("completion_tokens", -1), ("completion_tokens", 1 << 70)),
        *(("prompt_tokens", 1.5), ("attempt", True), ("meta", "not json"), ("meta", "[]"), ("meta", "[" * 100_000), ("meta", {"a": 1})),
        *(("meta", '{"a": NaN}'), ("meta", '{"a": "\\ud800"}'), ("request", "3"), ("money", "free"), ("money", float("inf"))),
        *(("text", None), ("text", "\ud800"), ("latency", "fast"), ("key", ""), ("key", 3), ("estimated", "yes"), ("estimated", 2)),
    ],
    ids=lambda value: str(value)[:12].encode("ascii", "replace").decode(),
)
def test_a_field_of_the_wrong_type_takes_nothing_over_and_is_named(tmp_path: Path, field: str, value: object) -> None:
    path, other = tmp_path / "in.jsonl", Ledger(tmp_path / "other.sqlite")
    row = exported_row(tmp_path)
    path.write_text(json.dumps(row) + "\n" + json.dumps(row | {field: value}) + "\n")
    with pytest.raises(LedgerError, match=rf"in.jsonl: line 2 is no row of a ledger: {field}"):
        other.load(path)
    assert other.get([row["key"]]) == {}


@pytest.mark.parametrize("change", [{"surplus": 1}, {"kind": "secret-canary"}], ids=str)
def test_what_a_wrong_line_holds_is_not_repeated(tmp_path: Path, change: dict) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps(exported_row(tmp_path) | change) + "\n")
    with pytest.raises(LedgerError, match="line 1 is no row") as raised:
        Ledger(tmp_path / "other.sqlite").load(path)
    assert "surplus" not in str(raised.value)
    assert "canary" not in str(raised.value)


def test_private_parts_of_imported_texts_stay_outside(tmp_path: Path) -> None:
    path, other, mail = tmp_path / "in.jsonl", Ledger(tmp_path / "other.sqlite"), "ann.lee@corp-mail.io"
    row = exported_row(tmp_path)
    nested = json.dumps({"user": f"from\n{mail}", "list": [{mail: mail}]})
    failure = {"key": "k", "model": "m", "purpose": "write", "item": mail, "kind": "refused", "scope": "call", "message": f"no {mail}"}
    lines = [
        row | {"text": f"ask {mail}", "item": mail, "request": nested, "meta": nested},
        {"kind": "failure", "fault": failure | {"status": 400, "latency": 0.5}},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert other.load(path) == 1
    found = other.get([row["key"]])[row["key"]]
    assert (found.text, found.item) == ("ask [e-mail]", "[e-mail]")
    assert json.loads(found.request) == json.loads(found.meta) == {"user": "from\n[e-mail]", "list": [{"[e-mail]": "[e-mail]"}]}
    assert other.failed(["k"])["k"].message == "no [e-mail]"
    other.close()
    assert mail.encode() not in (tmp_path / "other.sqlite").read_bytes()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_as_an_import_are_taken_or_refused_in_words(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(raw)
    with closing(Ledger(tmp_path / "l.sqlite")) as ledger:
        if raw.strip():
            with pytest.raises(LedgerError, match=r"in\.jsonl"):
                ledger.load(path)
        assert ledger.totals(("", -1)) == []


@pytest.mark.parametrize("damage", ["not a database", "middle"])
def test_a_damaged_ledger_is_a_clear_error_and_nothing_is_sent(connect: Opener, damage: str) -> None:
    with FaultServer() as server:
        endpoint = connect(server.url)
        endpoint.ask(calls(200, user="x" * 500))
        endpoint.close()
        with sqlite3.connect(endpoint.ledger.path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        path, before = endpoint.ledger.path, len(server.received)
        raw = bytearray(path.read_bytes())
        raw[:] = b"this is no ledger" * 100 if damage == "not a database" else raw[:4096] + b"\xa5" * (len(raw) - 4096)
        path.write_bytes(raw)
        with pytest.raises(LedgerError, match=r"teacher.sqlite: the teacher's ledger cannot be .*recover"):
            connect(server.url).ask(calls(5))
        assert len(server.received) == before


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "teacher.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(LedgerError, match="version 99"):
        Ledger(path).get(["x"])


def test_totals_count_each_purpose_of_a_cell_apart(connect: Opener) -> None:
    with FaultServer(plan=lambda n, body: "busy" if n == 1 else "length" if "number 2" in str(body) else "", latency=0.01) as server:
        one = connect(server.url, prices=[{"model": "tiny", "input": 1, "output": 2}])
        one.ask(calls(4))
        one.ask(calls(3, purpose="judge"))
        connect(server.url, cell=("other", 0)).ask(calls(6))
    write, judge = {line.purpose: line for line in one.ledger.totals(CELL)}["write"], one.ledger.totals(CELL)[0]
    assert (write.calls, write.replayed, write.truncated, write.faults) == (4, 0, 1, {"busy": 1})
    assert judge.calls == 3
    assert write.money > 0
    assert write.unpriced == 0
    assert set(write.latency) == {50, 90, 99}
    assert 0.01 <= write.latency[50] <= write.latency[99]
    other = one.ledger.totals(("other", 0))
    assert [(line.purpose, line.calls, line.replayed) for line in other] == [("write", 2, 4)]


def test_an_answer_that_came_second_is_counted_and_the_first_one_is_used(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    assert ledger.put(ROW).text == "first"
    assert ledger.put(CallRow(**{**ROW.__dict__, "text": "second"})).text == "first"
    assert ledger.spent(CELL).tokens == 30


def test_settings_without_a_key_or_address_need_none(tmp_path: Path) -> None:
    with FaultServer() as server:
        endpoint = open_endpoint(
            TeacherSettings(kind="openai", url=server.url, model="tiny", api="chat", answers="xml", key_env="UNSET_KEY"),
            Budget(),
            tmp_path / "l.sqlite",
        )
        assert endpoint.ask([call(0)])[0].complete
