"""How the tables of these studies show shares and paired differences (E4). Bits are "1" and "0" a probe, those of a fact side by side."""

from __future__ import annotations

from collections.abc import Sequence

from facts import HELD_OUT

from alas_assets.evaluation.statistics import fact_counts, mcnemar, paired_test, wilson


def rate(right: int, n: int) -> str:
    """Return a share with its Wilson interval."""
    low, high = wilson(right, n)
    return f"{right / n:.1%} [{100 * low:.0f}-{100 * high:.0f}]"


def rate_of(bits: str) -> str:
    """Return the share of ones with its interval."""
    return rate(bits.count("1"), len(bits))


def difference(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Return how much better the first is than the second in points, facts being resampled, and its two-sided p-value over facts.

    Args:
        ours: The bits of each seed or step.
        theirs: Those of the same questions.
    """
    return _told(ours, theirs, [f"{part} {i // HELD_OUT}" for part, bits in enumerate(ours) for i in range(len(bits))])


def over_seeds(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Return the same where every part asks the same questions: a fact of all seeds is one."""
    return _told(ours, theirs, [str(i // HELD_OUT) for bits in ours for i in range(len(bits))])


def of_questions(ours: str, theirs: str) -> str:
    """Return the same where each bit is a question of its own."""
    return _told([ours], [theirs], [str(i) for i in range(len(ours))], "questions")


def _told(ours: Sequence[str], theirs: Sequence[str], facts: list[str], what: str = "facts") -> str:
    mine, others = ([bit == "1" for bits in side for bit in bits] for side in (ours, theirs))
    test, (better, worse) = paired_test(mine, others, facts, 0), fact_counts(mine, others, facts)
    p = min(1.0, 2 * min(mcnemar(better, worse), mcnemar(worse, better)))
    gain = f"{100 * test.gain:+.1f} [{100 * test.ci_low:+.1f}, {100 * test.ci_high:+.1f}]"
    return f"{gain}, {better} {what} better, {worse} worse, p = {p:.2g}"
