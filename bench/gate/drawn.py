"""How often the gate's rule for few changed facts promotes what it should not, and what it should (G1).

    .venv/bin/python bench/gate/drawn.py [TRIALS]

Answers are drawn, not asked: every case says what is true of the candidate, and `release.gate.decide` judges it. Prints Markdown.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass

from judged import RHO, probe, promoted

from alas_assets.evaluation.statistics import wilson

GUARDS = 236
DEMO, SMALL_SITE = (24, 3), (10, 6)
"""Earlier facts and the wordings that each is asked in: in the demo's second iteration, and of a site with few facts."""


@dataclass(frozen=True)
class Case:
    """What is true of a candidate: chances, of guards and wordings each for itself, and of earlier facts as a whole."""

    name: str
    knows_change: float = 1.0  # chance of each held-out wording of a changed fact to be answered right
    loses_earlier: float = 0.0  # chance that an earlier fact is lost, all its wordings together
    loses_wordings: float = 0.0  # chance that a wording of an earlier fact is lost, whatever becomes of the others
    loses_guards: float = 0.0
    wins_guards: float = 0.0
    should: bool = False  # be promoted


CASES = [
    Case("has not learned the change (1 wording in 20 right by luck)", knows_change=0.05),
    Case("half knows it (each wording right with 50 %)", knows_change=0.5),
    Case("learned it, truly lost 10 % of earlier facts", loses_earlier=RHO),
    Case("learned it, truly lost 10 % of the earlier wordings, one by one", loses_wordings=RHO),
    Case("learned it, truly lost 5 % of earlier facts, and 5 % of the others' wordings", loses_earlier=RHO / 2, loses_wordings=RHO / 2),
    Case("learned it, truly lost 10 % of the guards", loses_guards=RHO),
    Case("learned it, lost 3 % of the earlier wordings, one by one", loses_wordings=0.03, should=True),
    Case("learned it, truly lost 3 % of the guards, won 1 %", loses_guards=0.03, wins_guards=0.01, should=True),
    Case("learned it, lost nothing, guards waver by 1 % both ways", loses_guards=0.01, wins_guards=0.01, should=True),
]


def drawn(case: Case, changed_facts: int, earlier: tuple[int, int], seed: int) -> bool:
    """Draw one candidate and let the gate judge it."""
    draw = random.Random(seed)
    facts, wordings = earlier
    rows = [probe("probe", fact, wording) for fact in range(changed_facts) for wording in range(wordings)]
    rows += [probe("earlier", fact, wording) for fact in range(facts) for wording in range(wordings)]
    rows += [probe("guard", fact, 0) for fact in range(GUARDS)]
    lost = {fact: draw.random() < case.loses_earlier for fact in range(facts)}
    before = [draw.random() >= case.wins_guards for _ in range(GUARDS)]  # what the candidate wins was wrong before
    known = [draw.random() < case.knows_change for _ in range(changed_facts * wordings)]
    kept = [not lost[fact] and draw.random() >= case.loses_wordings for fact in range(facts) for _ in range(wordings)]
    candidate = [*known, *kept, *[not ok or draw.random() >= case.loses_guards for ok in before]]
    previous = [*[False] * len(known), *[True] * len(kept), *before]
    return promoted(rows, candidate, previous, seed)


def share(case: Case, changed_facts: int, earlier: tuple[int, int], trials: int) -> str:
    """Return how many of the candidates are promoted, with its interval, as a cell of the table."""
    count = sum(drawn(case, changed_facts, earlier, seed) for seed in range(trials))
    low, high = wilson(count, trials)
    return f"{100 * count / trials:.1f} % [{100 * low:.1f}-{100 * high:.1f}]"


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    sizes = " | ".join(f"{facts} earlier facts in {wordings} wordings" for facts, wordings in (DEMO, SMALL_SITE))
    print(f"| the candidate | should be promoted | changed facts | {sizes} |\n| --- | --- | --- | --- | --- |")
    for case in CASES:
        for changed in (1, 4):
            shares = " | ".join(share(case, changed, earlier, trials) for earlier in (DEMO, SMALL_SITE))
            print(f"| {case.name} | {'yes' if case.should else 'no'} | {changed} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
