"""Servers that fail: every call ends, nothing storms, and each error says what is wrong and what to do."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from alas_assets.teachers.endpoint.calls import EndpointError, is_too_long
from alas_assets.teachers.endpoint.ledger import Spent
from alas_assets.teachers.endpoint.state import Tuning
from alas_assets_tests.teachers.endpoint.conftest import CELL, QUICK, Opener, call, calls
from alas_assets_tests.teachers.endpoint.faulty import FAULTS, FaultServer, Plan, always, first, kinds, mixed

TRANSIENT = [fault for fault in FAULTS if fault not in ("length", "fenced")]


@pytest.mark.parametrize("fault", TRANSIENT)
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_fault_that_passes_costs_another_attempt_and_no_answer(connect: Opener, fault: str, api: str) -> None:
    with FaultServer(plan=first(2, fault), retry_after="0.05") as server:
        endpoint = connect(server.url, api=api, deadline_seconds=2.0 if fault == "drip" else 10.0)
        reply = endpoint.ask([call(0)])[0]
        assert reply.complete
        assert len(server.asked) == 3
    totals = endpoint.ledger.totals(CELL)[0]
    assert sum(totals.faults.values()) == 2
    assert (totals.calls, totals.failed) == (1, 0)


@pytest.mark.parametrize("fault", ["html", "broken", "empty", "truncated", "busy", "error"])
def test_a_call_that_fails_for_itself_alone_is_a_reply_with_its_reason_and_a_row(connect: Opener, fault: str) -> None:
    def plan(_: int, body: dict) -> str:
        return fault if "number 7" in str(body) else ""

    with FaultServer(plan=plan) as server:
        endpoint = connect(server.url, attempts=3)
        replies = endpoint.ask(calls(10))
        assert sum(s.fault == fault for s in server.asked) == 3
    assert [bool(r.failure) for r in replies] == [n == 7 for n in range(10)]
    assert not replies[7].complete
    assert [(row.item, row.last) for row in endpoint.ledger.failures(CELL)] == [("topic 7", True)]
    assert endpoint.ledger.totals(CELL)[0].failed == 1


def test_a_failed_call_is_asked_again_by_the_next_run(connect: Opener) -> None:
    with FaultServer(plan=lambda n, body: "filter" if n == 0 else "") as server:
        assert connect(server.url).ask([call(0)])[0].failure
        assert connect(server.url).ask([call(0)])[0].complete
        assert len(server.asked) == 2


@pytest.mark.parametrize(("fault", "finish"), [("filter", "filtered"), ("bad", "none")])
def test_what_is_refused_for_good_is_asked_once(connect: Opener, fault: str, finish: str) -> None:
    with FaultServer(plan=lambda _, body: fault if "number 3" in str(body) else "") as server:
        replies = connect(server.url).ask(calls(6))
        assert len(server.asked) == 6
    assert replies[3].failure
    assert replies[3].finish == finish


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_an_answer_that_is_cut_off_is_a_reply_and_no_failure(connect: Opener, api: str) -> None:
    with FaultServer(plan=always("length")) as server:
        reply = connect(server.url, api=api).ask([call(0)])[0]
        assert len(server.asked) == 1
    assert (reply.finish, reply.failure, reply.complete) == ("length", "", False)
    assert reply.text


@pytest.mark.parametrize("adds", [{}, {"error": {"message": "half \ud800 a pair"}}], ids=["status", "answer"])
def test_a_complaint_that_no_table_takes_fails_its_call_alone(connect: Opener, adds: dict) -> None:
    def plan(_: int, body: dict) -> str:
        server.adds = adds if "number 3" in str(body) else {}
        return "bad" if "number 3" in str(body) and not adds else ""

    with FaultServer(plan=plan, complaint="half \ud800 a pair") as server:
        replies = connect(server.url, concurrency=1, attempts=2).ask(calls(6))
    assert [bool(reply.failure) for reply in replies] == [number == 3 for number in range(6)]
    assert "half ? a pair" in replies[3].failure


def test_one_deadline_bounds_an_attempt_although_bytes_keep_coming(connect: Opener) -> None:
    with FaultServer(plan=first(1, "drip"), drip_seconds=0.1) as server:
        endpoint = connect(server.url, deadline_seconds=2.0)
        assert endpoint.ask([call(0)])[0].complete
        assert len(server.asked) == 2
    assert endpoint.ledger.totals(CELL)[0].faults == {"timeout": 1}


def test_retry_after_is_honoured_by_all_calls(connect: Opener) -> None:
    with FaultServer(plan=first(1, "busy_wait"), retry_after="0.6") as server:
        tuning = Tuning(patience=1.5, first_wait=0.01, longest_wait=0.05)
        assert all(r.complete for r in connect(server.url, tuning=tuning).ask(calls(20)))
        after = [s.at - server.asked[0].at for s in server.asked[1:]]
    assert min(after) >= 0.6


@pytest.mark.parametrize("attempts", [2, 5])
def test_a_quota_by_the_minute_that_does_not_say_when_it_comes_back_is_waited_for(connect: Opener, attempts: int) -> None:
    window = 1.5
    with FaultServer(plan=always("busy")) as server:
        tuning = Tuning(window=window, first_wait=0.01, longest_wait=0.02)
        assert connect(server.url, tuning=tuning, attempts=attempts, concurrency=1).ask([call(0)])[0].failure
        sent = [s.at for s in server.asked]
    assert len(sent) == attempts
    assert sent[-1] - sent[0] >= window


def test_a_longer_retry_after_is_cut(connect: Opener) -> None:
    with FaultServer(plan=first(1, "busy_wait"), retry_after="3600") as server:
        assert connect(server.url).ask([call(0)])[0].complete
        assert len(server.asked) == 2


def test_a_thousand_calls_through_thirty_per_cent_faults_all_end_and_few_fail(connect: Opener) -> None:
    count = 1000
    with FaultServer(plan=mixed(0.3, 17), latency=0.005, drip_seconds=0.02, retry_after="0.05") as server:
        patient = Tuning(window=0.5, patience=20, first_wait=0.02, longest_wait=0.2, longest_retry_after=0.2)
        endpoint = connect(server.url, concurrency=50, deadline_seconds=8.0, attempts=8, tuning=patient)
        told: list[int] = []
        replies = endpoint.ask(calls(count), lambda place, _: told.append(place))
        assert set(kinds(server)) == {"", *FAULTS}
        assert len(server.asked) <= 1.6 * count
    assert sorted(told) == list(range(count))
    assert sum(bool(r.failure) for r in replies) <= 0.01 * count
    totals = endpoint.ledger.totals(CELL)[0]
    assert totals.calls + totals.failed == count
    assert totals.calls + sum(totals.faults.values()) == len(server.asked)


def test_a_hard_limit_that_nobody_named_is_found_and_kept_without_losing_calls(connect: Opener) -> None:
    """The server takes 4 at a time; 30 workers must find that out by being refused."""
    with FaultServer(latency=0.02) as server:
        server.plan = lambda _, body: "busy" if server.running >= 4 else ""
        tuning = Tuning(window=0.5, patience=1.5, first_wait=0.05, longest_wait=0.5)
        replies = connect(server.url, concurrency=30, attempts=10, tuning=tuning).ask(calls(150))
    assert sum(bool(r.failure) for r in replies) == 0


# ------------------------------------------------------------------------------------------------ the endpoint


@pytest.fixture
def nobody() -> Iterator[str]:
    """Give the address of a port that is held and not listened on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/v1"


@pytest.mark.parametrize("count", [1, 200])
def test_an_endpoint_that_is_not_there_fails_soon_with_one_message(connect: Opener, nobody: str, count: int) -> None:
    endpoint = connect(nobody, tuning=QUICK)
    started = time.monotonic()
    with pytest.raises(EndpointError, match=r"127.0.0.1:\d+/v1 is down.*no connection.*teacher.url"):
        endpoint.ask(calls(count))
    assert time.monotonic() - started < 60
    assert sum(endpoint.ledger.totals(CELL)[0].faults.values()) <= 20


@pytest.fixture
def mute() -> Iterator[str]:
    """Give the address of a port that takes connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(256)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


class _OneAtATime(BaseHTTPRequestHandler):
    """Lists no models, and thinks over each answer while everybody else waits."""

    def do_GET(self) -> None:
        self._send(404, {"error": {"message": "no such page"}})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(1.5)
        message = {"role": "assistant", "content": "an answer"}
        self._send(200, {"choices": [{"finish_reason": "stop", "message": message}]})

    def _send(self, status: int, said: dict[str, Any]) -> None:
        raw = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def one_at_a_time() -> Iterator[str]:
    """Give the address of a server that does one thing at a time."""
    with HTTPServer(("127.0.0.1", 0), _OneAtATime) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("settings", [{}, {"api": "auto", "answers": "auto"}])
@pytest.mark.parametrize("count", [1, 200])
def test_an_endpoint_that_takes_connections_and_says_nothing_is_down_before_anything_that_costs_is_sent(
    connect: Opener, mute: str, count: int, settings: dict[str, str]
) -> None:
    endpoint = connect(mute, tuning=replace(QUICK, knock=0.3), deadline_seconds=400.0, **settings)
    with pytest.raises(EndpointError, match=r"127.0.0.1:\d+/v1 is down.*not even GET /models within 0.3 s.*teacher.url"):
        endpoint.ask(calls(count))
    found = endpoint.ledger.totals(CELL)[0]
    assert (sum(found.faults.values()), found.calls) == (1, 0)
    assert endpoint.ledger.spent(CELL) == Spent(), "not even perhaps"


def test_a_server_that_does_one_thing_at_a_time_and_thinks_long_is_waited_for(connect: Opener, one_at_a_time: str) -> None:
    endpoint = connect(one_at_a_time, tuning=replace(QUICK, knock=1.0), concurrency=2)
    assert all(reply.complete for reply in endpoint.ask(calls(2)))


@pytest.mark.parametrize("fault", ["unavailable", "error"])
def test_an_endpoint_that_lists_no_models_is_up(connect: Opener, fault: str) -> None:
    with FaultServer(plan=lambda _, body: "" if body else fault) as server:
        assert all(reply.complete for reply in connect(server.url).ask(calls(5)))
        assert (len(server.knocks), len(server.asked)) == (1, 5), "asked for once, with the first call alone"


@pytest.mark.parametrize("fault", ["unavailable", "error", "html", "reset"])
def test_an_endpoint_that_only_fails_ends_the_batch_without_a_storm(connect: Opener, fault: str) -> None:
    with FaultServer(plan=always(fault)) as server:
        endpoint = connect(server.url, concurrency=50, tuning=QUICK)
        with pytest.raises(EndpointError, match="is down"):
            endpoint.ask(calls(500))
        assert len(server.seen) <= 40


def test_an_endpoint_that_goes_down_in_the_middle_keeps_what_was_answered_and_ends(connect: Opener) -> None:
    with FaultServer(plan=lambda n, _: "" if n < 100 else "unavailable", latency=0.01) as server:
        endpoint = connect(server.url, concurrency=50, tuning=QUICK)
        with pytest.raises(EndpointError, match="is down"):
            endpoint.ask(calls(1000))
        assert len(server.seen) <= 100 + 50 + 40
    assert endpoint.ledger.totals(CELL)[0].calls == 100


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("count", "dies_at", "attempts"), [(3, 2, 5), (2, 5, 8)], ids=["under the last two calls", "after a lone call broke it five times"]
)
def test_an_endpoint_that_dies_under_its_last_calls_ends_the_batch(connect: Opener, count: int, dies_at: int, attempts: int) -> None:
    def plan(number: int, _: dict) -> str:
        if number == dies_at:
            server.die()
        return "reset" if number and count == 2 else ""

    with FaultServer(plan=plan, latency=0.3) as server:
        endpoint = connect(server.url, attempts=attempts, tuning=QUICK)
        with pytest.raises(EndpointError, match=r"is down.*no connection.*run again when it is up"):
            endpoint.ask(calls(count))
    found = endpoint.ledger.totals(CELL)[0]
    assert found.calls == 1
    assert set(found.faults) == {"body", "connection"}
    assert sum(found.faults.values()) <= 40


def test_a_short_outage_is_sat_out(connect: Opener) -> None:
    began: list[float] = []

    def plan(number: int, _: dict) -> str:
        if number < 30:
            return ""
        began.append(time.monotonic())
        return "unavailable" if began[-1] - began[0] < 0.6 else ""

    with FaultServer(plan=plan) as server:
        replies = connect(server.url, tuning=Tuning(patience=5, first_wait=0.1, longest_wait=0.5)).ask(calls(200))
    assert sum(bool(r.failure) for r in replies) == 0


def test_nothing_but_busy_ends_too(connect: Opener) -> None:
    with FaultServer(plan=always("busy")) as server:
        tuning = Tuning(window=0.3, patience=0.3, first_wait=0.05, longest_wait=0.2)
        with pytest.raises(EndpointError, match=r"takes no more calls.*429"):
            connect(server.url, tuning=tuning, attempts=3).ask(calls(100))
        assert len(server.seen) <= 100


def test_a_hanging_endpoint_ends(connect: Opener) -> None:
    with FaultServer(latency=30) as server:
        tuning = Tuning(patience=0.2, first_wait=0.01, longest_wait=0.05)
        with pytest.raises(EndpointError, match=r"teacher.deadline_seconds"):
            connect(server.url, deadline_seconds=0.4, tuning=tuning).ask(calls(100))
        assert len(server.seen) <= 4


@pytest.mark.parametrize("settled", [{}, {"api": "auto", "answers": "auto"}], ids=["settled", "probing"])
@pytest.mark.parametrize("fault", ["key", "forbidden"])
def test_a_wrong_key_is_said_after_one_call(connect: Opener, monkeypatch: pytest.MonkeyPatch, fault: str, settled: dict) -> None:
    with FaultServer(plan=always(fault)) as server:
        monkeypatch.setenv("MY_KEY", "canary-0123456789")
        with pytest.raises(EndpointError, match=r"refuses the key.*MY_KEY right.*teacher.key_env"):
            connect(server.url, key_env="MY_KEY", **settled).ask(calls(200))
        assert len(server.seen) == 1
        assert all(not knock.body for knock in server.knocks), "a question for the list of models carries nothing"


def only(number: int, fault: str) -> Plan:
    """Return a plan that fails what is asked in the call of that number."""
    return lambda _, body: fault if f"number {number}'" in str(body) else ""


def test_one_call_that_is_forbidden_where_others_are_answered_fails_alone(connect: Opener) -> None:
    with FaultServer(plan=only(3, "forbidden")) as server:
        endpoint = connect(server.url, concurrency=1)
        replies = endpoint.ask(calls(8))
    assert [bool(reply.failure) for reply in replies] == [n == 3 for n in range(8)]
    assert "answered 403" in replies[3].failure
    assert [(row.scope, row.kind) for row in endpoint.ledger.failures(CELL)] == [("call", "forbidden")]


def test_a_call_that_is_forbidden_fails_alone_also_where_it_is_all_that_an_earlier_run_left(connect: Opener) -> None:
    with FaultServer(plan=only(0, "forbidden")) as server:
        assert connect(server.url).ask([call(1)])[0].complete
        assert "answered 403" in connect(server.url).ask(calls(2))[0].failure


def test_an_answer_that_somebody_else_got_does_not_vouch_for_the_key(connect: Opener) -> None:
    with FaultServer(plan=only(0, "forbidden")) as server:
        endpoint = connect(server.url)
        endpoint.ask([call(1)])
        with closing(sqlite3.connect(endpoint.ledger.path)) as connection, connection:
            connection.execute("UPDATE calls SET imported = 1")
        with pytest.raises(EndpointError, match="refuses the key"):
            connect(server.url).ask([call(0)])


def test_a_key_that_is_withdrawn_is_said_after_a_few_calls(connect: Opener) -> None:
    with FaultServer() as server:
        assert connect(server.url).ask([call(0)])[0].complete
        server.plan = always("forbidden")
        with pytest.raises(EndpointError, match=r"refused the first 5 calls.*answered 403.*is the key in OPENAI_API_KEY still right"):
            connect(server.url).ask(calls(200))
        assert len(server.asked) == 6


@pytest.mark.parametrize("said", ["x/y requires moderation. Your input was flagged for violence.", "Refused by content policy."])
def test_a_text_that_a_gateway_s_moderation_refuses_is_filtered_also_before_any_answer(connect: Opener, said: str) -> None:
    with FaultServer(plan=only(0, "bad"), complaint=said, complaint_status=403) as server:
        replies = connect(server.url).ask(calls(8))
        assert len(server.asked) == 8
    assert [bool(reply.failure) for reply in replies] == [n == 0 for n in range(8)]
    assert replies[0].finish == "filtered"


def test_a_model_that_the_key_may_not_use_is_named(connect: Opener) -> None:
    said = {"complaint": "Project `p` does not have access to model `tiny`", "complaint_status": 403, "complaint_code": "model_not_found"}
    with FaultServer(plan=always("bad"), **said) as server:
        with pytest.raises(EndpointError, match=r"does not know the model 'tiny'.*teacher.model"):
            connect(server.url).ask(calls(5))
        assert len(server.seen) == 1


def test_a_key_that_is_needed_and_not_set_is_said(connect: Opener) -> None:
    with FaultServer(key="needed-0123456789") as server:
        with pytest.raises(EndpointError, match="OPENAI_API_KEY is not set"):
            connect(server.url).ask(calls(5))
        assert len(server.seen) == 1
        assert "authorization" not in server.seen[0].headers


def test_a_spent_quota_ends_the_batch(connect: Opener) -> None:
    with FaultServer(plan=always("quota")) as server:
        with pytest.raises(EndpointError, match="quota or balance is spent"):
            connect(server.url).ask(calls(50))
        assert len(server.seen) == 1


@pytest.mark.parametrize("settled", [{}, {"api": "auto", "answers": "auto"}], ids=["settled", "probing"])
def test_a_spent_balance_ends_the_batch_also_where_probes_are_free(connect: Opener, settled: dict) -> None:
    def plan(_: int, body: dict) -> str:
        return "" if "birds" in str(body) else "bad"

    with FaultServer(plan=plan, complaint="Insufficient Balance", complaint_status=402) as server:
        with pytest.raises(EndpointError, match=r"balance is spent.*402: Insufficient Balance"):
            connect(server.url, concurrency=1, **settled).ask(calls(50))
        assert len(server.asked) == 1


@pytest.mark.parametrize("settled", [{}, {"api": "auto", "answers": "auto"}], ids=["settled", "probing"])
def test_an_unknown_model_is_named_with_what_the_server_offers(connect: Opener, settled: dict) -> None:
    with FaultServer(models=("llama-9", "qwen-7")) as server:
        with pytest.raises(EndpointError, match=r"does not know the model 'tiny'; it offers llama-9, qwen-7 \(teacher.model"):
            connect(server.url, **settled).ask(calls(50))
        assert len(server.seen) == 1


@pytest.mark.parametrize("settled", [{}, {"api": "auto", "answers": "auto"}], ids=["settled", "probing"])
def test_a_wrong_address_is_said_with_how_one_looks(connect: Opener, settled: dict) -> None:
    with FaultServer() as server:
        with pytest.raises(EndpointError, match=r"teacher.url must be the base"):
            connect(server.url.removesuffix("/v1") + "/wrong", **settled).ask(calls(50))
        assert len(server.seen) <= 4


def test_calls_that_are_all_refused_are_not_sent_to_the_end(connect: Opener) -> None:
    with FaultServer(plan=always("bad")) as server:
        with pytest.raises(EndpointError, match=r"refused the first 5 calls.*cannot be used"):
            connect(server.url).ask(calls(200))
        assert len(server.seen) == 5


def test_a_probe_that_is_answered_says_nothing_of_calls_that_are_all_refused(connect: Opener) -> None:
    """So it is with chat templates that take no system text, which a probe has none of."""

    def plan(_: int, body: dict) -> str:
        return "bad" if body["messages"][0]["role"] == "system" else ""

    with FaultServer(plan=plan, complaint="System role not supported") as server:
        with pytest.raises(EndpointError, match=r"refused the first 5 calls and answered none.*System role not supported"):
            connect(server.url, concurrency=1, api="auto", answers="auto").ask(calls(40))
        assert len(server.asked) == 5


def test_forms_that_a_probe_finds_refused_are_no_refused_calls(connect: Opener) -> None:
    models = ("tiny", "a", "b")
    with FaultServer(models=models, schema="refuse", json_mode="refuse", plan=only(0, "bad")) as server:
        endpoint = connect(server.url, concurrency=1, api="auto", answers="auto")
        for model in models:
            endpoint.abilities(model)
        assert [bool(reply.failure) for reply in endpoint.ask(calls(3))] == [True, False, False]


@pytest.mark.parametrize(
    ("fault", "said"), [("filter", ""), ("bad", "This model's maximum context length is 512 tokens")], ids=["flagged", "too long"]
)
def test_however_many_texts_are_refused_for_what_they_are_the_others_are_asked(connect: Opener, fault: str, said: str) -> None:
    with FaultServer(plan=first(8, fault), complaint=said) as server:
        replies = connect(server.url, concurrency=1).ask(calls(10))
    assert [bool(reply.failure) for reply in replies] == [True] * 8 + [False] * 2


def test_a_request_that_is_larger_than_all_of_a_quota_is_asked_once(connect: Opener) -> None:
    said = "Request too large for gpt-x in organization o on tokens per min (TPM): Limit 10000, Requested 12000."
    with FaultServer(plan=only(1, "bad"), complaint=said, complaint_status=429) as server:
        replies = connect(server.url, concurrency=1).ask(calls(3))
        assert len(server.asked) == 3
    assert [bool(reply.failure) for reply in replies] == [False, True, False]
    assert is_too_long(replies[1].failure)


@pytest.mark.parametrize(("refused", "sent"), [("max_tokens", "max_completion_tokens"), ("temperature", "max_tokens")])
def test_a_setting_that_a_model_does_not_take_is_left_out_after_one_refusal(connect: Opener, refused: str, sent: str) -> None:
    with FaultServer(refuses=(refused,)) as server:
        replies = connect(server.url).ask(calls(30))
        assert all(r.complete for r in replies)
        assert len(server.asked) == 31
        assert refused not in server.asked[-1].body
        assert sent in server.asked[-1].body


def test_a_body_without_end_is_cut(connect: Opener) -> None:
    with FaultServer(answer=lambda _: "x" * 17_000_000) as server:
        reply = connect(server.url, attempts=1, deadline_seconds=20, tuning=QUICK).ask([call(0)])[0]
    assert "broke off" in reply.failure
