"""Calls are answered in order, paid for once, stored before use, and bounded in number and in time."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from contextlib import closing

import pytest

from alas_assets.teachers.endpoint.calls import ModelReply
from alas_assets.teachers.endpoint.ledger import Ledger
from alas_assets.teachers.endpoint.replay import Replay
from alas_assets.teachers.endpoint.state import Tuning
from alas_assets_tests.teachers.endpoint.conftest import CELL, Opener, call, calls
from alas_assets_tests.teachers.endpoint.faulty import FaultServer, user_text


def echo(body: dict) -> str:
    return f"echo {user_text(body)}"


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_every_call_gets_its_own_answer_in_order(connect: Opener, api: str) -> None:
    with FaultServer(answer=echo, latency=0.01) as server:
        told: dict[int, ModelReply] = {}
        replies = connect(server.url, api=api).ask(calls(60), told.__setitem__)
    assert [r.text for r in replies] == [f"echo question number {n}" for n in range(60)]
    assert [told[n] for n in range(60)] == replies
    assert all(r.complete and not r.replayed for r in replies)


WORDS = {
    "stop": ["stop", "STOP", "eos", "eos_token", "EOS_TOKEN", "end_turn", "stop_sequence"],
    "length": ["length", "MAX_TOKENS", "max_tokens", "model_length"],
    "filtered": ["content_filter"],
    "none": ["error", "tool_calls", None],
}


@pytest.mark.parametrize(("finish", "word"), [(finish, word) for finish, words in WORDS.items() for word in words])
def test_why_an_answer_ended_is_understood_in_the_words_of_servers_that_have_their_own(
    connect: Opener, finish: str, word: str | None
) -> None:
    with FaultServer(ended=word) as server:
        (reply,) = connect(server.url).ask(calls(1))
    assert (reply.finish, reply.complete) == (finish, finish == "stop")
    assert reply.finish_word == (word or "" if finish == "none" else "")


def test_an_answer_that_was_paid_for_when_its_end_was_not_understood_is_readable(connect: Opener) -> None:
    with FaultServer(ended="eos_token", answer=echo) as server:
        endpoint = connect(server.url)
        (reply,) = endpoint.ask(calls(1))
        with closing(sqlite3.connect(endpoint.ledger.path)) as connection, connection:
            assert connection.execute("UPDATE calls SET finish = 'none'").rowcount == 1
        assert endpoint.ask(calls(1)) == [reply.model_copy(update={"replayed": True})]
        replay = Replay(endpoint.ledger, endpoint.settings, server.url)
        assert replay.ask(calls(1)) == [reply.model_copy(update={"replayed": True})]
        assert len(server.asked) == 1
    assert reply.complete


def test_what_was_answered_once_is_never_sent_again_also_by_another_process_s_endpoint(connect: Opener) -> None:
    with FaultServer(answer=echo) as server:
        connect(server.url).ask(calls(30))
        again = connect(server.url, cell=("other", 3)).ask(calls(40))
        assert len(server.asked) == 40
    assert [r.replayed for r in again] == [True] * 30 + [False] * 10
    assert [r.text for r in again] == [f"echo question number {n}" for n in range(40)]


def test_equal_calls_of_one_batch_are_sent_once_and_all_answered(connect: Opener) -> None:
    with FaultServer(answer=echo, latency=0.02) as server:
        replies = connect(server.url).ask([call(n % 5) for n in range(50)])
        assert len(server.asked) == 5
    assert [r.text for r in replies] == [f"echo question number {n % 5}" for n in range(50)]


@pytest.mark.parametrize(
    "change",
    [
        {"purpose": "judge"}, {"system": "x"}, {"user": "x"}, {"prompt": "writer@2"}, {"max_tokens": 101}, {"temperature": 0.5},
        {"attempt": 1}, {"answer_schema": {"type": "object"}},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_whatever_may_change_the_answer_makes_another_call(connect: Opener, change: dict) -> None:
    with FaultServer() as server:
        first, second = connect(server.url).ask([call(0), call(0, **change)])
        assert first.key != second.key
        assert len(server.asked) == 2


def test_the_item_is_for_people_and_the_endpoint_is_part_of_the_key(connect: Opener) -> None:
    with FaultServer() as server, FaultServer() as other:
        one = connect(server.url).ask([call(0)])[0]
        assert connect(server.url).ask([call(0, item="named otherwise")])[0] == one.model_copy(update={"replayed": True})
        assert connect(other.url).ask([call(0)])[0].key != one.key
        assert (len(server.asked), len(other.asked)) == (1, 1)


def test_never_more_calls_at_a_time_than_set(connect: Opener) -> None:
    with FaultServer(latency=0.03) as server:
        connect(server.url, concurrency=7).ask(calls(60))
        assert 2 <= server.most_running <= 7


def test_the_form_of_the_answer_is_asked_of_the_server_only_where_it_is_set(connect: Opener) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
    with FaultServer() as server:
        for answers in ("schema", "json", "xml"):
            connect(server.url, answers=answers, ledger=answers).ask([call(0, answer_schema=schema)])
        connect(server.url, api="responses", answers="schema", ledger="r").ask([call(0, answer_schema=schema)])
        sent = [s.body for s in server.asked]
    assert sent[0]["response_format"] == {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    assert sent[1]["response_format"] == {"type": "json_object"}
    assert "response_format" not in sent[2]
    assert sent[3]["text"]["format"]["schema"] == schema
    assert sent[3]["store"] is False


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_json_mode_is_asked_for_where_the_prompt_asks_for_json_and_it_is_the_form_in_use(connect: Opener, api: str) -> None:
    with FaultServer() as server:
        connect(server.url, api=api, answers="json", ledger="a").ask([call(0, json_answer=True), call(1)])
        connect(server.url, api=api, answers="xml", ledger="b").ask([call(2, json_answer=True)])
        connect(server.url, api=api, answers="schema", ledger="c").ask([call(3, json_answer=True)])
        forms = {user_text(s.body)[-1]: s.body.get("response_format") or (s.body.get("text") or {}).get("format") for s in server.asked}
    assert forms == {"0": {"type": "json_object"}, "1": None, "2": None, "3": None}


def test_that_json_is_asked_for_is_said_by_the_prompt_and_is_no_other_call(connect: Opener) -> None:
    with FaultServer() as server:
        connect(server.url, answers="json").ask([call(0), call(0, json_answer=True)])
        assert len(server.asked) == 1


def test_an_answer_is_in_the_ledger_before_anybody_is_told(connect: Opener) -> None:
    with FaultServer() as server:
        endpoint = connect(server.url)
        seen: list[bool] = []
        endpoint.ask(calls(20), lambda _, reply: seen.append(reply.key in Ledger(endpoint.ledger.path).get([reply.key])))
    assert seen == [True] * 20


def test_an_error_of_who_is_told_is_raised_after_what_was_under_way_is_stored(connect: Opener) -> None:
    with FaultServer(latency=0.05) as server:
        endpoint = connect(server.url, concurrency=10)

        def fail(place: int, _: ModelReply) -> None:
            if place == 3:
                raise RuntimeError("cannot write the row")

        with pytest.raises(RuntimeError, match="cannot write the row"):
            endpoint.ask(calls(100), fail)
        assert len(server.asked) < 100
        assert endpoint.ledger.totals(CELL)[0].calls == len(server.asked)


def test_private_parts_leave_request_and_answer_and_the_loop_sees_the_stored_answer_alone(connect: Opener) -> None:
    with FaultServer(answer=lambda _: "write to ann.lee@corp-mail.io") as server:
        endpoint = connect(server.url)
        asked = call(0, user="mail bob.ray@corp-mail.io from 93.184.216.34")
        live = endpoint.ask([asked])[0]
        replayed = connect(server.url).ask([asked])[0]
        assert user_text(server.asked[0].body) == asked.user
    assert live.text == replayed.text == "write to [e-mail]"
    row = endpoint.ledger.get([live.key])[live.key]
    assert json.loads(row.request)["user"] == "mail [e-mail] from [ip]"
    stored = endpoint.ledger.path.read_bytes() + endpoint.ledger.path.with_name("teacher.sqlite-wal").read_bytes()
    assert b"corp-mail" not in stored


def test_tokens_price_latency_and_cell_stand_in_the_ledger(connect: Opener) -> None:
    prices = [{"model": "tiny", "input": 1.0, "output": 10.0}]
    with FaultServer() as server:
        endpoint = connect(server.url, prices=prices)
        reply = endpoint.ask([call(0)])[0]
    row = endpoint.ledger.get([reply.key])[reply.key]
    assert row.money == pytest.approx((row.prompt_tokens + 10 * row.completion_tokens) / 1e6)
    assert (row.domain, row.iteration, row.purpose, row.item, row.model) == (*CELL, "write", "topic 0", "tiny")
    assert row.latency > 0
    assert not row.estimated


def test_an_unknown_price_is_unknown_and_never_zero(connect: Opener) -> None:
    with FaultServer() as server:
        endpoint = connect(server.url)
        reply = endpoint.ask([call(0)])[0]
    assert endpoint.ledger.get([reply.key])[reply.key].money is None
    assert endpoint.ledger.totals(CELL)[0].shown_money("USD") == "unknown"
    assert "cost unknown" in endpoint.progress.shown


def test_tokens_that_the_server_does_not_count_are_estimated_from_above_and_said_to_be(connect: Opener) -> None:
    with FaultServer() as counting, FaultServer(usage=False) as silent:
        counted = connect(counting.url, ledger="a")
        counted_row = next(iter(counted.ledger.get([counted.ask([call(0)])[0].key]).values()))
        endpoint = connect(silent.url, ledger="b")
        row = next(iter(endpoint.ledger.get([endpoint.ask([call(0)])[0].key]).values()))
    assert row.estimated
    assert row.prompt_tokens >= counted_row.prompt_tokens
    assert row.completion_tokens >= counted_row.completion_tokens
    assert endpoint.ledger.totals(CELL)[0].estimated == 1


@pytest.mark.parametrize("limit", [20])
def test_the_server_never_counts_more_requests_in_any_window_than_allowed(connect: Opener, limit: int) -> None:
    window = 1.0
    with FaultServer() as server:
        connect(server.url, requests_per_minute=limit, tuning=Tuning(window=window, skew=1.0)).ask(calls(limit * 2))
        assert server.most_in(window) <= limit
        assert len(server.asked) == limit * 2


def test_tokens_in_any_window_stay_below_their_limit(connect: Opener) -> None:
    limit, window = 3000, 0.5
    with FaultServer() as server:
        endpoint = connect(server.url, tokens_per_minute=limit, tuning=Tuning(window=window, skew=0.4))
        endpoint.ask(calls(60, max_tokens=64))
        times = [(s.at, len(json.dumps(s.body)) // 4 + 7) for s in server.asked]
    for at, _ in times:
        assert sum(tokens for then, tokens in times if at - window < then <= at) <= limit


def test_several_threads_may_ask(connect: Opener) -> None:
    with FaultServer(answer=echo, latency=0.01) as server:
        endpoint = connect(server.url, concurrency=5)
        found: dict[int, str] = {}

        def ask(n: int) -> None:
            found[n] = endpoint.ask([call(n)])[0].text

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.most_running <= 5
    assert found == {n: f"echo question number {n}" for n in range(8)}


def test_it_can_be_asked_where_a_loop_runs_already(connect: Opener) -> None:
    with FaultServer(answer=echo) as server:
        endpoint = connect(server.url)

        async def notebook() -> str:
            return endpoint.ask([call(1)])[0].text

        assert asyncio.run(notebook()) == "echo question number 1"


def test_the_running_total_is_told_and_ends_right(connect: Opener) -> None:
    with FaultServer() as server:
        told: list[int] = []
        endpoint = connect(server.url, on_progress=lambda progress: told.append(progress.calls))
        endpoint.ask(calls(10))
    assert told == sorted(told)
    assert endpoint.progress.calls == told[-1] == 10


def test_two_runs_give_identical_replies_whatever_the_order_of_answers(connect: Opener) -> None:
    with FaultServer(answer=echo, latency=0.005) as server:
        first = connect(server.url, ledger="a", concurrency=20).ask(calls(50))
        second = connect(server.url, ledger="b", concurrency=3).ask(calls(50))
    assert first == second


def test_half_a_surrogate_pair_in_an_answer_is_stored_as_a_question_mark(connect: Opener) -> None:
    with FaultServer(answer=lambda _: "half \ud800 a pair") as server:
        (reply,) = connect(server.url).ask(calls(1))
        assert reply.text == "half ? a pair"
        (again,) = connect(server.url).ask(calls(1))
        assert (again.text, again.replayed) == (reply.text, True)
