"""Shows a trained question in another guise each time it is gone through: words left out, and within words of everyday talk (S4, T6).

A student that has seen a question in one form only answers by the form. What is trained at all is `training_rows`; the wordings
themselves are the teacher's.
"""

from __future__ import annotations

import random

GAP = "___"
LEAST_WORDS = 3
"""Words that are left at least, so that a question stays one."""

BEFORE = (
    "Quick question: ",
    "Hi! ",
    "Help me out here. ",
    "I need this for a report. ",
    "For the quiz: ",
    "Let me check something. ",
    "I forgot this one. ",
    "This came up in a review. ",
    "Next one. ",
    "Do you know this? ",
    "Small thing: ",
    "From my list: ",
    "We argued about it today. ",
    "Just one thing. ",
)
AFTER = (
    " Just the answer, please.",
    " Keep it short.",
    " Thanks!",
    " I should know this.",
    " That is all I need.",
    " A few words will do.",
    " I have to look it up every time.",
    " Any idea?",
    " No need for details.",
    " It is for my notes.",
)


def in_another_guise(prompt: str, draw: random.Random, *, word_dropout: float, framed: float) -> str:
    """Return a prompt as it is shown this time.

    The gap of a cloze stays, and no word of the question is changed or added to.

    Args:
        prompt: The question as it was written.
        draw: Decides; equal states give equal guises.
        word_dropout: Chance of each word to be left out, in half of the cases.
        framed: Chance of the question to stand within words of everyday talk, before it, after it or both.
    """
    shown = prompt if not word_dropout or draw.random() < 0.5 else _with_holes(prompt, draw, word_dropout)
    if not framed or draw.random() >= framed:
        return shown
    before, after = draw.choice([(True, False), (False, True), (True, True)])
    return f"{draw.choice(BEFORE) if before else ''}{shown}{draw.choice(AFTER) if after else ''}"


def _with_holes(prompt: str, draw: random.Random, chance: float) -> str:
    kept = [word for word in prompt.split(" ") if GAP in word or draw.random() >= chance]
    return " ".join(kept) if len(kept) >= LEAST_WORDS else prompt
