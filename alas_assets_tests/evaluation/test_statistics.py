"""Intervals and tests against published and computed figures."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, ttest_1samp

from alas_assets.evaluation.statistics import (
    StatisticsError,
    drop_bound,
    fact_counts,
    fact_gains,
    mcnemar,
    mean_drop_bound,
    paired_test,
    units_to_decide,
    wilson,
)


def test_wilson_gives_the_known_intervals() -> None:
    assert wilson(45, 50) == pytest.approx((0.786, 0.957), abs=5e-4)
    assert wilson(5, 5) == pytest.approx((0.566, 1.0), abs=5e-4)


def test_nothing_asked_is_the_whole_interval_and_impossible_counts_are_refused() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    for correct, n in ((1, 0), (-1, 3), (4, 3)):
        with pytest.raises(StatisticsError):
            wilson(correct, n)


@pytest.mark.parametrize(("losses", "needed"), [(0, 5), (1, 7), (2, 9), (3, 10), (4, 12), (5, 13), (6, 15), (8, 18), (10, 20)])
def test_mcnemar_needs_the_wins_of_the_table(losses: int, needed: int) -> None:
    assert mcnemar(needed, losses) < 0.05 <= mcnemar(needed - 1, losses)


def test_mcnemar_without_a_difference_proves_nothing() -> None:
    assert mcnemar(0, 0) == 1.0
    with pytest.raises(StatisticsError):
        mcnemar(-1, 0)


@pytest.mark.parametrize(
    ("gain", "changed", "n"), [(0.01, 0.05, 3086), (0.02, 0.05, 767), (0.02, 0.10, 1540), (0.05, 0.10, 242), (0.10, 0.20, 118)]
)
def test_the_number_of_units_that_decide_is_that_of_the_power_table(gain: float, changed: float, n: int) -> None:
    assert units_to_decide(gain, changed) == pytest.approx(n, rel=0.04)


def test_no_number_of_units_finds_no_gain() -> None:
    assert units_to_decide(0.0, 0.1) is None
    assert units_to_decide(-0.1, 0.1) is None


def test_a_paired_test_counts_and_repeats_itself() -> None:
    ours, theirs = [True, True, False, True], [False, True, True, False]
    result = paired_test(ours, theirs, ["a", "a", "b", "c"], seed=3)
    assert (result.n, result.wins, result.losses, result.candidate_correct, result.other_correct, result.gain) == (4, 2, 1, 3, 2, 0.25)
    assert result == paired_test(ours, theirs, ["a", "a", "b", "c"], seed=3)
    assert fact_counts(ours, theirs, ["a", "a", "b", "c"]) == (2, 1)


def test_the_interval_resamples_facts_not_wordings() -> None:
    ours, theirs = [True] * 60 + [False] * 60, [False] * 60 + [False] * 60
    by_probe = paired_test(ours, theirs, [str(i) for i in range(120)], seed=1)
    by_fact = paired_test(ours, theirs, [str(i // 20) for i in range(120)], seed=1)
    assert by_fact.ci_high - by_fact.ci_low > 2 * (by_probe.ci_high - by_probe.ci_low)


def test_an_empty_or_uneven_comparison_is_refused() -> None:
    with pytest.raises(StatisticsError, match="no probe"):
        paired_test([], [], [], seed=1)
    with pytest.raises(StatisticsError, match="cannot be paired"):
        paired_test([True], [], ["a"], seed=1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from("abcd")), min_size=1, max_size=30), st.integers(0, 9))
def test_swapping_the_systems_mirrors_the_result(rows: list[tuple[bool, bool, str]], seed: int) -> None:
    ours, theirs, groups = (list(column) for column in zip(*rows, strict=True))
    one, other = paired_test(ours, theirs, groups, seed), paired_test(theirs, ours, groups, seed)
    assert (one.wins, one.losses, one.gain) == (other.losses, other.wins, -other.gain)
    assert one.ci_low <= one.ci_high
    assert one.ci_low == pytest.approx(-other.ci_high)
    assert 0 <= one.p_value <= 1


@given(st.integers(0, 200), st.integers(0, 200))
@settings(deadline=None)
def test_wilson_holds_the_share_and_stays_in_bounds(correct: int, wrong: int) -> None:
    low, high = wilson(correct, correct + wrong)
    assert 0 <= low <= high <= 1
    if correct + wrong:
        assert low <= correct / (correct + wrong) + 1e-12
        assert high >= correct / (correct + wrong) - 1e-12


def test_the_bound_of_a_drop_shrinks_with_the_number_of_facts() -> None:
    assert drop_bound(0, 0, 24) > 0.1 > drop_bound(0, 0, 25)  # what a set must hold to show that no tenth of it is lost
    assert drop_bound(0, 16, 236) < 0.1 < drop_bound(0, 17, 236)


@given(st.integers(1, 300), st.integers(0, 300), st.integers(0, 300))
def test_a_bound_lies_above_what_was_observed_and_falls_with_wins(n: int, wins: int, losses: int) -> None:
    wins, losses = min(wins, n), min(losses, max(0, n - wins))
    bound = drop_bound(wins, losses, n)
    assert (losses - wins) / n <= bound <= 1
    if wins + losses < n:
        assert drop_bound(wins + 1, losses, n) <= bound + 1e-9
        assert drop_bound(wins, losses + 1, n) >= bound - 1e-9


def test_impossible_counts_have_no_bound() -> None:
    for counts in ((-1, 0, 5), (3, 3, 5)):
        with pytest.raises(StatisticsError):
            drop_bound(*counts)
    assert drop_bound(0, 0, 0) == 1.0


def test_the_bound_of_a_mean_drop_is_students_where_facts_differ_much() -> None:
    drops = [1.0, 0.0, 0.5, 0.0, -1.0, 0.0]
    interval = ttest_1samp(drops, 0.0, alternative="less").confidence_interval(0.95)
    assert mean_drop_bound(drops, 36) == pytest.approx(interval.high, abs=1e-9)


def test_the_bound_of_a_mean_drop_is_wilsons_where_wordings_are_lost_one_by_one() -> None:
    drops = [1 / 6] * 2 + [0.0] * 8
    high = binomtest(2, 60).proportion_ci(confidence_level=0.90, method="wilson").high  # two-sided 90 % is one-sided 95 %
    assert mean_drop_bound(drops, 60) == pytest.approx(high, abs=1e-6)


def test_a_set_that_lost_nothing_has_no_bound_above_its_mean() -> None:
    assert mean_drop_bound([0.0] * 10, 60) == 0.0
    assert mean_drop_bound([0.0, -0.5], 4) == -0.25
    assert (mean_drop_bound([], 0), mean_drop_bound([0.5], 2)) == (1.0, 1.0)


def test_a_true_drop_is_ruled_out_in_at_most_one_trial_of_twenty() -> None:
    """Ten facts of six wordings, a tenth of them lost one by one."""
    chance, trials = random.Random(5), 1000
    drops = [[sum(chance.random() < 0.1 for _ in range(6)) / 6 for _ in range(10)] for _ in range(trials)]
    assert sum(mean_drop_bound(one, 60) < 0.1 for one in drops) <= 0.05 * trials + 3 * (0.05 * 0.95 * trials) ** 0.5


def test_gains_of_facts_are_shares_of_their_wordings() -> None:
    assert fact_gains([True, True, False, False], [False, True, True, False], ["a", "a", "b", "c"]) == [0.5, -1.0, 0.0]


@pytest.mark.parametrize(("wins", "losses", "n"), [(0, 0, 30), (0, 3, 60), (4, 9, 100), (12, 2, 50)])
def test_at_the_bound_the_score_is_the_limit_by_the_likelihood_itself(wins: int, losses: int, n: int) -> None:
    """The closed form of the restricted estimate against a search for the greatest likelihood."""
    bound = drop_bound(wins, losses, n)

    def unlikely(q: float) -> float:
        """Return minus the log-likelihood where wins have the chance q and losses q + bound."""
        shares = ((wins, q), (losses, q + bound), (n - wins - losses, 1 - 2 * q - bound))
        return -sum(count * math.log(share) for count, share in shares if count)

    q = float(minimize_scalar(unlikely, bounds=(1e-12, (1 - bound) / 2 - 1e-12), method="bounded", options={"xatol": 1e-12}).x)
    score = (losses - wins - n * bound) / math.sqrt(n * (2 * q + bound - bound**2))
    assert score == pytest.approx(-1.645, abs=2e-3)
