"""The cap of tokens and money is never passed, ends the batch in words, and keeps what was paid for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.domains.config import Budget, Price
from alas_assets.teachers.endpoint.budget import FIRST, Overrun
from alas_assets.teachers.endpoint.calls import BudgetSpentError, EndpointError
from alas_assets.teachers.endpoint.ledger import Ledger, Spent
from alas_assets.teachers.endpoint.prices import cost_of
from alas_assets.teachers.endpoint.wire import Question, answer_bound, prompt_bound
from alas_assets_tests.teachers.endpoint.conftest import CELL, Opener, calls
from alas_assets_tests.teachers.endpoint.faulty import FaultServer, mixed, user_text

PRICES = [{"model": "tiny", "input": 100.0, "output": 200.0}]


@pytest.mark.parametrize("plan", [None, mixed(0.3, 5, ("busy", "truncated", "error"))], ids=["no faults", "faults"])
def test_tokens_never_pass_the_cap_at_any_concurrency(connect: Opener, plan: object) -> None:
    cap = 5000
    with FaultServer(latency=0.01, **({"plan": plan} if plan else {})) as server:
        endpoint = connect(server.url, budget=Budget(tokens=cap), concurrency=30)
        with pytest.raises(
            BudgetSpentError, match=r"python-releases 000: the cap budget.tokens = 5,000 is reached: .*run again: nothing is paid twice"
        ):
            endpoint.ask(calls(400))
        answered = sum(len(str(s.body)) // 5 for s in server.asked if not s.fault)
        assert answered <= cap
    spent = endpoint.ledger.spent(CELL)
    assert spent.tokens + spent.perhaps_tokens <= cap
    assert spent.tokens + spent.perhaps_tokens >= cap - 500  # and it is used up to the last call that may fit
    assert endpoint.ledger.totals(CELL)[0].calls > 20


def test_raising_the_cap_goes_on_where_it_ended(connect: Opener) -> None:
    with FaultServer() as server:
        with pytest.raises(BudgetSpentError):
            connect(server.url, budget=Budget(tokens=3000)).ask(calls(60))
        paid = len(server.asked)
        replies = connect(server.url, budget=Budget(tokens=1_000_000)).ask(calls(60))
        assert len(server.asked) == 60
    assert sum(r.replayed for r in replies) == paid
    assert all(r.complete for r in replies)


def test_the_cap_counts_all_runs_of_a_cell_and_no_other_cell(connect: Opener) -> None:
    with FaultServer() as server:
        with pytest.raises(BudgetSpentError):
            connect(server.url, budget=Budget(tokens=3000)).ask(calls(60))
        before = len(server.asked)
        with pytest.raises(BudgetSpentError):
            connect(server.url, budget=Budget(tokens=3000)).ask(calls(60, attempt=1))
        assert len(server.asked) == before
        assert connect(server.url, budget=Budget(tokens=3000), cell=("other", 0)).ask(calls(3, attempt=1))[0].complete


def test_money_never_passes_its_cap(connect: Opener) -> None:
    with FaultServer(latency=0.01) as server:
        endpoint = connect(server.url, budget=Budget(money=0.5), prices=PRICES, concurrency=30)
        with pytest.raises(BudgetSpentError, match=r"budget.money = 0.5 USD is reached: 0\.\d+ USD is spent.*raise budget.money"):
            endpoint.ask(calls(300))
    assert 0.4 <= endpoint.ledger.spent(CELL).money <= 0.5


def test_a_cap_in_money_with_an_unknown_price_is_refused_before_the_first_call(connect: Opener) -> None:
    with FaultServer(models=("tiny", "other")) as server:
        with pytest.raises(EndpointError, match=r"budget.money is 1 USD, but the price of model 'other' is unknown.*teacher.prices"):
            connect(server.url, budget=Budget(money=1.0), prices=PRICES, judges=("tiny", "other"))
        assert server.received == []


def test_a_cap_that_not_even_one_call_fits_in_sends_none(connect: Opener) -> None:
    with FaultServer() as server:
        with pytest.raises(BudgetSpentError, match="0 tokens are spent"):
            connect(server.url, budget=Budget(tokens=50)).ask(calls(5))
        assert server.received == []


def test_probes_count(connect: Opener) -> None:
    with FaultServer() as server:
        endpoint = connect(server.url, budget=Budget(tokens=100_000), api="auto", answers="auto")
        endpoint.abilities("tiny")
    assert endpoint.ledger.totals(CELL)[0].purpose == "probe"
    assert endpoint.ledger.spent(CELL).tokens > 0


def test_a_server_without_usage_cannot_be_paid_beyond_the_cap(connect: Opener) -> None:
    with FaultServer(usage=False) as server:
        endpoint = connect(server.url, budget=Budget(tokens=4000))
        with pytest.raises(BudgetSpentError):
            endpoint.ask(calls(60))
    assert endpoint.ledger.spent(CELL).tokens <= 4000


@pytest.mark.parametrize("counts", [(0, 0), (0, 3), (9, 0)], ids=str)
def test_a_count_of_none_for_what_is_there_is_no_count(connect: Opener, counts: tuple[int, int]) -> None:
    with FaultServer(counts=lambda *_: counts) as server:
        endpoint = connect(server.url, budget=Budget(tokens=4000))
        with pytest.raises(BudgetSpentError):
            endpoint.ask(calls(150))
        assert len(server.asked) < 150
    totals = endpoint.ledger.totals(CELL)[0]
    assert totals.estimated == totals.calls > 5
    assert endpoint.ledger.spent(CELL).tokens <= 4000


def test_a_count_of_none_for_an_answer_that_is_empty_is_one(connect: Opener) -> None:
    with FaultServer(answer=lambda _: "", counts=lambda *_: (9, 0)) as server:
        endpoint = connect(server.url)
        row = endpoint.ledger.get([reply.key for reply in endpoint.ask(calls(1))])
    assert [(one.prompt_tokens, one.completion_tokens, one.estimated) for one in row.values()] == [(9, 0, False)]


def test_a_server_that_ignores_max_tokens_passes_the_cap_by_its_first_calls_at_most(connect: Opener) -> None:
    cap, took = 40_000, 4200
    with FaultServer(latency=0.02, counts=lambda *_: (30, took)) as server:
        endpoint = connect(server.url, budget=Budget(tokens=cap), concurrency=50)
        with pytest.raises(BudgetSpentError):
            endpoint.ask(calls(200))
        assert server.most_running <= FIRST + 4
    assert cap - 2 * took <= endpoint.ledger.spent(CELL).tokens <= cap


def test_a_server_that_ignores_max_tokens_late_passes_the_cap_by_what_was_out_then_at_most(connect: Opener) -> None:
    cap, took, concurrency = 40_000, 4200, 50
    with FaultServer(latency=0.02) as server:
        server.counts = lambda *_: (30, took if len(server.seen) > 60 else 4)
        endpoint = connect(server.url, budget=Budget(tokens=cap), concurrency=concurrency)
        with pytest.raises(BudgetSpentError):
            endpoint.ask(calls(400))
        late = len(server.asked) - 60
    assert late <= concurrency  # those that were out, and none after them
    assert endpoint.ledger.spent(CELL).tokens <= 60 * 34 + concurrency * (took + 30)


def test_under_a_cap_a_server_that_keeps_to_its_bounds_is_soon_asked_at_full_width(connect: Opener) -> None:
    with FaultServer(latency=0.1) as server:
        connect(server.url, budget=Budget(tokens=10**9), concurrency=20).ask(calls(100))
        assert server.most_running == 20


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**6))))
def test_what_was_taken_once_is_set_aside_ever_after(taken: list[tuple[int, int]]) -> None:
    overrun = Overrun()
    for took in taken:
        overrun.learn(overrun.bounds(100, 50), took)
        sent, received = overrun.bounds(100, 50)
        assert sent >= took[0]
        assert received >= took[1]
        assert overrun.width >= FIRST


def test_what_a_killed_process_had_under_way_counts_as_perhaps_billed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite")
    pid = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", _RESERVE, str(ledger.path)])
    assert pid == 0
    made, _ = ledger.reserve(CELL, 10, 0.0, lambda spent, tokens, _money: spent.perhaps_tokens + tokens <= 1010)
    assert made is not None
    assert ledger.spent(CELL) == Spent(perhaps_tokens=1000)


_RESERVE = """
import sys
from pathlib import Path
from alas_assets.teachers.endpoint.ledger import Ledger
assert Ledger(Path(sys.argv[1])).reserve(("python-releases", 0), 1000, 0.0, lambda *_: True)[0] is not None
"""


def question(system: str, user: str) -> Question:
    return Question("k", "write", "m", "i", system, user, "p", None, "text", 10, 0.0)


@given(st.text(), st.text())
def test_the_bound_covers_every_byte_of_any_text_and_of_its_normal_form(system: str, user: str) -> None:
    bound = prompt_bound(question(system, user))
    assert bound >= len((system + user).encode("utf-8", "surrogatepass"))
    assert answer_bound(user) > len(user.encode("utf-8", "surrogatepass"))


def test_a_stated_price_comes_first_then_the_list_then_none() -> None:
    openai = "https://api.openai.com/v1"
    stated = cost_of("gpt-4o-mini", openai, [Price(model="gpt-4o-mini", input=1, output=2)], "EUR")
    assert stated is not None
    assert stated(1_000_000, 500_000) == 2.0
    listed = cost_of("gpt-4o-mini", openai, [], "USD")
    assert listed is not None
    assert 0.0001 < listed(1000, 100) < 0.01
    assert cost_of("gpt-4o-mini", openai, [], "EUR") is None
    assert cost_of("gpt-4o-mini", "http://127.0.0.1:8000/v1", [], "USD") is None
    assert cost_of("no-such-model", openai, [], "USD") is None


def test_the_questions_of_the_batch_are_those_that_were_sent(connect: Opener) -> None:
    with FaultServer() as server:
        connect(server.url, budget=Budget(tokens=10**9)).ask(calls(20))
        assert {user_text(s.body) for s in server.asked} == {f"question number {n}" for n in range(20)}


def test_calls_that_were_paid_before_their_price_was_stated_count_against_the_cap_in_money(connect: Opener) -> None:
    with FaultServer() as server:
        connect(server.url).ask(calls(20))
        assert connect(server.url).ledger.spent(CELL).money == 0.0
        endpoint = connect(server.url, budget=Budget(money=0.01), prices=PRICES)
        spent = endpoint.ledger.spent(CELL).money
        assert spent > 0.01
        with pytest.raises(BudgetSpentError, match=r"budget\.money"):
            endpoint.ask(calls(21))
        (line,) = endpoint.ledger.totals(CELL)
        assert (line.unpriced, round(line.money, 9)) == (0, round(spent, 9))
        assert connect(server.url, budget=Budget(money=0.01), prices=PRICES).ledger.spent(CELL).money == spent
