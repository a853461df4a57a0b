"""Chooses which replay prompts a training sees: half of them close to what it teaches, the rest from everywhere (T2, T6).

Choosing only. Embedding and asking the base student are the asset's, building rows is `training_rows`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from alas_assets.synthesis.questions import ReplayPrompt

NEAR_SHARE = 0.5
"""Share of the replay that comes from the neighbourhood: new facts disturb what lies close to them most."""

NEIGHBOURHOOD = 100
"""Prompts that count as near, or a fifth of all where that is fewer."""


def draw_replay(
    prompts: Sequence[ReplayPrompt], vectors: Sequence[Sequence[float]], centre: Sequence[float], needed: int, seed: int
) -> list[ReplayPrompt]:
    """Return `needed` prompts, `NEAR_SHARE` of them near the centre; equal inputs give the equal list.

    Near prompts and the others each repeat in whole rounds, none is used once more before all were.

    Args:
        prompts: What may be replayed.
        vectors: Their embeddings, normalised, prompts x width.
        centre: Mean embedding of the questions that are taught.
        needed: How many to return; fewer only where there is no prompt at all.
        seed: Fixes the draw.
    """
    if not prompts or needed <= 0:
        return []
    # rounded, so that another machine's last bits do not change the draw
    closeness = [round(sum(a * b for a, b in zip(vector, centre, strict=True)), 4) for vector in vectors]
    ranked = [prompts[i] for i in sorted(range(len(prompts)), key=lambda i: (-closeness[i], prompts[i].id))]
    cut = max(1, min(NEIGHBOURHOOD, len(ranked) // 5))
    near, rest = ranked[:cut], ranked[cut:] or ranked[:cut]
    wanted = round(needed * NEAR_SHARE)
    return [*_rounds(near, wanted, seed, "near"), *_rounds(rest, needed - wanted, seed, "rest")]


def mean_vector(vectors: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean of at least one vector."""
    return [sum(column) / len(vectors) for column in zip(*vectors, strict=True)]


def _rounds(prompts: Sequence[ReplayPrompt], count: int, seed: int, purpose: str) -> list[ReplayPrompt]:
    drawn: list[ReplayPrompt] = []
    turn = 0
    while len(drawn) < count:
        draw = random.Random(f"{seed} {purpose} {turn}")  # noqa: S311 - a repeatable draw, no secret
        drawn += draw.sample(sorted(prompts, key=lambda prompt: prompt.id), len(prompts))
        turn += 1
    return drawn[:count]
