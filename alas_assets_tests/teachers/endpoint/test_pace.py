"""Limits hold in every window whatever the stalls, and a circuit opens only for an outage."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.teachers.endpoint.pace import Circuit, RequestPace, TokenPace, Width
from alas_assets_tests.teachers.endpoint.faulty import most_in

WINDOW = 60.0


def drive(pace: RequestPace, stalls: list[float], requests: int) -> list[float]:
    """Send as fast as the pace lets, sleeping too long by each of the stalls in turn."""
    now, sent = 0.0, []
    for number in range(requests):
        while (wait := pace.wait(now)) > 0:
            now += wait + stalls[number % len(stalls)]
        sent.append(now)
        pace.sent(now)
    return sent


@settings(max_examples=50)
@given(st.integers(1, 300), st.lists(st.floats(0, 30) | st.just(0.001), min_size=1, max_size=20))
def test_no_window_holds_more_requests_than_allowed_whatever_the_stalls(limit: int, stalls: list[float]) -> None:
    assert most_in(drive(RequestPace(limit, WINDOW), stalls, limit * 2 + 10), WINDOW) <= limit


@settings(max_examples=50)
@given(st.integers(20, 2000), st.floats(0.0001, 0.002))
def test_the_rate_is_within_five_per_cent_of_the_limit(limit: int, late: float) -> None:
    sent = drive(RequestPace(limit, WINDOW), [late], limit * 3)
    assert (len(sent) - 1) / (sent[-1] - sent[0]) >= 0.95 * limit / WINDOW


def test_without_a_limit_nobody_waits() -> None:
    assert drive(RequestPace(0), [0.0], 50) == [0.0] * 50


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 900), st.floats(0.0, 1.0), st.floats(0.1, 40)), min_size=1, max_size=60),
    st.integers(1, 8),
)
def test_tokens_of_any_window_stay_below_the_limit_however_the_server_counts(calls: list[tuple[int, float, float]], width: int) -> None:
    limit, now = 1000, 0.0
    pace = TokenPace(limit, WINDOW)
    under_way: list[tuple[float, int, int]] = []
    by_begin, by_end = [], []

    def finish(until: float) -> None:
        for end in sorted(e for e in under_way if e[0] <= until):
            under_way.remove(end)
            pace.end(*end)
            by_end.append((end[0], end[2]))

    for bound, share, latency in calls:
        while len(under_way) >= width or pace.wait(now, bound) > 0:
            now = min(e[0] for e in under_way) if len(under_way) >= width else now + pace.wait(now, bound)
            finish(now)
        took = int(bound * share)
        pace.begin(bound)
        under_way.append((now + latency, bound, took))
        by_begin.append((now, took))
    finish(float("inf"))
    for times in (by_begin, by_end):
        for at, _ in times:
            assert sum(tokens for then, tokens in times if at - WINDOW < then <= at) <= limit


def test_the_width_shrinks_once_a_second_and_grows_back() -> None:
    width = Width(50)
    for _ in range(20):
        width.narrow(1.0)
    width.running = 33
    assert not width.free
    for at in range(2, 40):
        width.narrow(float(at))
    width.running = 0
    assert width.free
    for _ in range(200):
        width.widen()
    width.running = 49
    assert width.free


def outages(circuit: Circuit, times: list[float], calls: list[str], connection: bool = False) -> Circuit:
    for at, call in zip(times, calls, strict=True):
        circuit.failed(at, 0.0, call, connection)
    return circuit


def test_a_short_outage_opens_nothing_a_long_one_does() -> None:
    names = [str(n) for n in range(10)]
    assert not outages(Circuit(20.0), [float(n) for n in range(10)], names).is_open
    assert outages(Circuit(20.0), [3.0 * n for n in range(10)], names).is_open


def test_one_call_that_breaks_the_server_does_not_open_the_circuit() -> None:
    proven = Circuit(20.0)
    proven.answered()
    assert not outages(proven, [3.0 * n for n in range(10)], ["poison"] * 10).is_open


def test_nobody_at_the_door_opens_it_also_for_one_call() -> None:
    assert outages(Circuit(20.0), [3.0 * n for n in range(10)], ["only"] * 10, connection=True).is_open


@given(st.integers(0, 30))
def test_nobody_at_the_door_opens_it_also_after_one_call_that_broke_off(broken: int) -> None:
    circuit = Circuit(20.0)
    circuit.answered()
    outages(circuit, [3.0 * n for n in range(broken)], ["only"] * broken)
    assert not circuit.is_open
    assert not outages(circuit, [3.0 * (broken + n) for n in range(6)], ["only"] * 6, connection=True).is_open, "refused for 15 s"
    assert outages(circuit, [3.0 * (broken + n) for n in range(6, 9)], ["only"] * 3, connection=True).is_open


def test_a_call_that_breaks_a_server_which_starts_again_each_time_does_not_open_the_circuit() -> None:
    circuit = Circuit(20.0)
    circuit.answered()
    for n in range(20):
        circuit.failed(10.0 * n, 0.0, "poison", connection=n % 2 == 1)
        assert not circuit.is_open


def test_one_answer_closes_it() -> None:
    circuit = outages(Circuit(20.0), [3.0 * n for n in range(10)], [str(n) for n in range(10)])
    circuit.answered()
    assert circuit.healthy
    assert not circuit.is_open
    assert circuit.wait(30.0) == 0.0


def test_an_endpoint_that_never_answered_is_tried_ever_more_rarely() -> None:
    circuit, now, waits = Circuit(20.0), 0.0, []
    for n in range(8):
        waits.append(circuit.wait(now))
        now += waits[-1]
        circuit.failed(now, 0.0, str(n), connection=True)
    assert waits == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
