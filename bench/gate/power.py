"""How often the gate promotes a candidate that is as good as what is current, and how often one that is better by so much (G1).

    .venv/bin/python bench/gate/power.py [TRIALS]

Answers are drawn, not asked. What is current knows half of the new facts, and a candidate knows others: if both knew the same or nothing,
nothing could be promoted by chance. The wordings of a fact are right and wrong together, but for a fifth that are drawn for themselves.
Writes `power.md` and `power.png`.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from judged import GAMMA, probe, promoted

from alas_assets.evaluation.statistics import wilson

TABLE = Path(__file__).with_name("power.md")
PLOT = TABLE.with_suffix(".png")
KNOWN = 0.5
ALONE = 0.2
"""Share of wordings that are right or wrong whatever becomes of the fact's others."""
WORDINGS, GUARDS = 3, 236
FACTS = (6, 12, 24, 48, 96)
GAINS = (0.0, 0.1, 0.2, 0.3, 0.4)
"""By how much a candidate is truly better, in shares of the probes."""


def bits(draw: random.Random, facts: int, known: float) -> list[bool]:
    """Draw which wordings of so many facts somebody answers right who knows such a share of them."""
    answers = []
    for _ in range(facts):
        fact = draw.random() < known
        answers += [draw.random() < known if draw.random() < ALONE else fact for _ in range(WORDINGS)]
    return answers


def drawn(facts: int, gain: float, seed: int) -> bool:
    """Draw a candidate and what it is compared with, and let the gate judge; both keep all guards."""
    draw = random.Random(f"{facts} {gain} {seed}")
    rows = [probe("probe", fact, wording) for fact in range(facts) for wording in range(WORDINGS)]
    rows += [probe("earlier", fact, 0) for fact in range(facts)] + [probe("guard", fact, 0) for fact in range(GUARDS)]
    kept = [True] * (facts + GUARDS)
    return promoted(rows, bits(draw, facts, KNOWN + gain) + kept, bits(draw, facts, KNOWN) + kept, seed)


def plot(counts: dict[float, list[int]], trials: int) -> None:
    """Draw a curve for each true gain, with 95 % intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for gain, promotions in counts.items():
        shares = [100 * count / trials for count in promotions]
        ends = [wilson(count, trials) for count in promotions]
        error = [[share - 100 * low for share, (low, _) in zip(shares, ends, strict=True)]]
        error += [[100 * high - share for share, (_, high) in zip(shares, ends, strict=True)]]
        axes.errorbar(FACTS, shares, yerr=error, marker="o", ms=3, lw=1, capsize=2, label=f"{100 * gain:+.0f} points" if gain else "equal")
    axes.axhline(5, color="k", lw=0.8, ls=":")
    axes.set_xscale("log", base=2)
    axes.set_xticks(FACTS, [str(facts) for facts in FACTS])
    axes.set_xlabel(f"new facts, each asked in {WORDINGS} held-out wordings")
    axes.set_ylabel("promoted, %")
    axes.legend(title="the candidate is truly", fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(PLOT, metadata={"Software": None})


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    counts = {gain: [sum(drawn(facts, gain, seed) for seed in range(trials)) for facts in FACTS] for gain in GAINS}
    lines = [
        "# How often the gate promotes by its paired test",
        "",
        f"Written by `power.py {trials}`. Answers are drawn: what is current knows {KNOWN:.0%} of the new facts, the candidate truly as",
        f"many or so many points more, and they know different ones. {WORDINGS} wordings a fact, gamma = {100 * GAMMA:g} point, guards and",
        f"earlier facts all kept. {trials} candidates a cell, Wilson 95 % intervals. Under five facts the rule for few changed facts",
        "decides (`RESULTS.md`).",
        "",
        f"| the candidate is truly | {' | '.join(f'{facts} facts' for facts in FACTS)} |",
        f"| --- |{' --- |' * len(FACTS)}",
    ]
    for gain, promotions in counts.items():
        cells = [(count, *wilson(count, trials)) for count in promotions]
        shown = [f"{100 * count / trials:.1f} % [{100 * low:.1f}-{100 * high:.1f}]" for count, low, high in cells]
        lines.append(f"| {f'better by {100 * gain:.0f} points' if gain else 'equal'} | {' | '.join(shown)} |")
    TABLE.write_text("\n".join([*lines, "", "![power](power.png)", ""]), encoding="utf-8")
    plot(counts, trials)


if __name__ == "__main__":
    main()
