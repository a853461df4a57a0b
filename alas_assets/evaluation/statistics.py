"""The statistics behind scores and the gate: Wilson intervals, exact McNemar, a bootstrap over facts (E4, G1).

Numbers in, numbers out. What is decided with them is `release.gate`; scipy and numpy are loaded on first use only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from alas_assets.records import PairedTest

RESAMPLES = 2000


class StatisticsError(ValueError):
    """A test was asked of no data, or of data that cannot be paired; the message says which."""


def wilson(correct: int, n: int) -> tuple[float, float]:
    """Return the Wilson 95 % interval of a share, as fractions; (0, 1) where nothing was asked (E4).

    Raises:
        StatisticsError: The counts are impossible.
    """
    if not 0 <= correct <= n:
        raise StatisticsError(f"{correct} right of {n} is not a share")
    if n == 0:
        return 0.0, 1.0
    from scipy.stats import binomtest

    interval = binomtest(correct, n).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(wins: int, losses: int) -> float:
    """Return the exact one-sided McNemar p-value that the candidate is better; 1 where nothing differs.

    Raises:
        StatisticsError: A count is negative.
    """
    if wins < 0 or losses < 0:
        raise StatisticsError(f"{wins} wins and {losses} losses are not counts")
    if wins + losses == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue)


def drop_bound(wins: int, losses: int, n: int, alpha: float = 0.05) -> float:
    """Return how far the share of right answers may have fallen at most: the upper one-sided bound of a paired difference (G1).

    Tango's score interval: the spread is taken at the drop that is to be ruled out, not at the one observed, which would be too
    small where hardly anything was lost.

    Args:
        wins: Units (facts, or questions of their own) on which only the candidate is right.
        losses: Units on which only the other is right.
        n: Units asked of both.
        alpha: Chance that the true drop lies above the bound.

    Raises:
        StatisticsError: The counts are impossible.
    """
    if wins < 0 or losses < 0 or wins + losses > n:
        raise StatisticsError(f"{wins} wins and {losses} losses among {n} units are not counts")
    if n == 0:
        return 1.0
    limit = -NormalDist().inv_cdf(1 - alpha)
    low, high = (losses - wins) / n, 1.0
    for _ in range(50):  # the score falls as the drop to be ruled out grows
        middle = (low + high) / 2
        low, high = (middle, high) if _score(wins, losses, n, middle) > limit else (low, middle)
    return high


def _score(wins: int, losses: int, n: int, drop: float) -> float:
    """Return Tango's statistic of a paired difference against a true drop (Statistics in Medicine 17, 1998)."""
    b = -losses - wins + (2 * n - losses + wins) * drop
    c = -wins * drop * (1 - drop)
    restricted = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * restricted + drop * (1 - drop))
    return (losses - wins - n * drop) / math.sqrt(variance) if variance > 0 else 0.0


def mean_drop_bound(drops: Sequence[float], asked: int, alpha: float = 0.05) -> float:
    """Return how large the mean drop of facts may be at most: an upper one-sided bound for facts that lost some of their wordings (G1).

    The spread is the larger one of what was seen between facts (Student's) and of what wordings that are lost one by one have at the drop
    that is to be ruled out: what was seen alone is too small where hardly anything was lost. Where no fact lost anything, the
    bound is the mean itself, and facts that are lost whole are `drop_bound`'s.

    Args:
        drops: For each fact, by how much its share of right wordings fell; negative is a gain.
        asked: Wordings of all facts together.
        alpha: Chance that the true mean lies above the bound.
    """
    if not drops:
        return 1.0
    n, mean = len(drops), sum(drops) / len(drops)
    if max(drops) <= 0:
        return mean
    from scipy.stats import t

    variance = sum((drop - mean) ** 2 for drop in drops) / (n - 1) if n > 1 else 1.0
    seen = float(t.ppf(1 - alpha, max(1, n - 1))) * math.sqrt(variance / n)
    limit = NormalDist().inv_cdf(1 - alpha)
    low, high = max(mean, 0.0), 1.0
    for _ in range(50):
        middle = (low + high) / 2
        ruled_out = mean + max(seen, limit * math.sqrt(middle * (1 - middle) / asked)) <= middle
        low, high = (low, middle) if ruled_out else (middle, high)
    return high


def paired_test(candidate_ok: Sequence[bool], other_ok: Sequence[bool], groups: Sequence[str], seed: int) -> PairedTest:
    """Compare two systems on the same probes.

    The interval resamples facts, not probes: wordings of one fact are right or wrong together, and counting them as
    independent would make it too narrow.

    Args:
        candidate_ok: Whether the candidate was right, a value a probe.
        other_ok: The same of the other system, in the same order.
        groups: The fact group of each probe.
        seed: Fixes the bootstrap; equal inputs give equal intervals.

    Raises:
        StatisticsError: There is no probe, or the three lists differ in length.
    """
    n = len(candidate_ok)
    if n != len(other_ok) or n != len(groups):
        raise StatisticsError(f"{n} and {len(other_ok)} answers with {len(groups)} fact groups cannot be paired")
    if n == 0:
        raise StatisticsError("two systems cannot be compared on no probe")
    wins = sum(1 for ours, theirs in zip(candidate_ok, other_ok, strict=True) if ours and not theirs)
    losses = sum(1 for ours, theirs in zip(candidate_ok, other_ok, strict=True) if theirs and not ours)
    low, high = _bootstrap([int(a) - int(b) for a, b in zip(candidate_ok, other_ok, strict=True)], groups, seed)
    return PairedTest(
        n=n,
        wins=wins,
        losses=losses,
        candidate_correct=sum(map(bool, candidate_ok)),
        other_correct=sum(map(bool, other_ok)),
        gain=(wins - losses) / n,
        p_value=mcnemar(wins, losses),
        ci_low=low,
        ci_high=high,
    )


def fact_counts(candidate_ok: Sequence[bool], other_ok: Sequence[bool], groups: Sequence[str]) -> tuple[int, int]:
    """Return on how many facts the candidate is better and worse, over all wordings of each fact.

    `mcnemar` of these two is exact although wordings of one fact are not independent.
    """
    gains = fact_gains(candidate_ok, other_ok, groups)
    return sum(1 for gain in gains if gain > 0), sum(1 for gain in gains if gain < 0)


def fact_gains(candidate_ok: Sequence[bool], other_ok: Sequence[bool], groups: Sequence[str]) -> list[float]:
    """Return for each fact by how much the share of its wordings that are answered right is higher, -1 to 1."""
    wordings: dict[str, list[int]] = {}
    for ours, theirs, group in zip(candidate_ok, other_ok, groups, strict=True):
        wordings.setdefault(group, []).append(int(ours) - int(theirs))
    return [sum(differences) / len(differences) for differences in wordings.values()]


def _bootstrap(differences: list[int], groups: Sequence[str], seed: int) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean difference, whole groups resampled."""
    import numpy as np

    names = sorted(set(groups))
    index = {name: i for i, name in enumerate(names)}
    sums, sizes = np.zeros(len(names)), np.zeros(len(names))
    for difference, group in zip(differences, groups, strict=True):
        sums[index[group]] += difference
        sizes[index[group]] += 1
    draws = np.random.default_rng(seed).integers(0, len(names), size=(RESAMPLES, len(names)))
    gains = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    low, high = np.percentile(gains, [2.5, 97.5])
    return float(low), float(high)


def units_to_decide(gain: float, changed: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Return how many units a paired one-sided test needs to find a gain (normal approximation).

    The units must be independent: facts are, the wordings of one fact rise and fall together.

    Args:
        gain: How many more of the units get better than worse, to be found; a fraction.
        changed: The share of units on which the two systems differ; at least the gain itself.
        alpha: One-sided error of the test.
        power: Chance of finding the gain where it is real.

    Returns:
        The number of units, or None where the gain is not positive: no number of units finds that.
    """
    if gain <= 0:
        return None
    changed = min(1.0, max(changed, gain))
    z_alpha, z_power = NormalDist().inv_cdf(1 - alpha), NormalDist().inv_cdf(power)
    root = z_alpha * math.sqrt(changed) + z_power * math.sqrt(max(0.0, changed - gain**2))
    return math.ceil(root**2 / gain**2)
