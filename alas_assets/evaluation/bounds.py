# ruff: noqa: SIM905 - word lists read better as text
"""When a value is said as a bound: "no more than 5" gives 5 as a limit, "more than 5" does not say 5.

One stretch of the answer at a time. Other words that deny it are `evaluation.denials`', other names `evaluation.lookalikes`'.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from alas_assets.evaluation.tokens import ARTICLES, GENERIC, STOP, Span, clause_before, is_number, tokenise, words

_ABOVE = frozenset("more greater larger higher longer bigger later newer exceed exceeds exceeded exceeding beyond above over".split())
_BELOW = frozenset("less fewer smaller lower shorter earlier older below under before prior".split())
_BY_AGE = frozenset({"older", "newer"})
"""What an older release is under, an older file is over."""
_DATED = frozenset({"version", "date"})
_BOUND = re.compile(
    r"\b(?:(?P<than>more|greater|larger|higher|longer|bigger|later|newer|less|fewer|smaller|lower|shorter|earlier|older) than"
    r"|(?P<past>exceed|exceeds|exceeded|exceeding|beyond|above|below|under|before|prior(?= to)))(?: to)?(?: (?P<one>[\w.]+))?$"
)
_NEGATES = frozenset("not no never nor isn't wasn't aren't weren't doesn't didn't don't won't cannot can't".split())
_ASKS_THE_MOST = frozenset("most maximum max up limit limited longest largest highest latest greatest biggest deadline until by".split())
_ASKS_THE_LEAST = frozenset("least minimum min fewest lowest smallest earliest shortest".split())
_LEADS = STOP | GENERIC | frozenset("they must might takes take needs need requires require answer value".split())
_TRAILS = frozenset("long old large big wide high".split())


@dataclass(frozen=True)
class Bound:
    """Words right before a value that make a bound of it.

    Attributes:
        word: The word that compares ("more", "exceed", "before").
        negated: Whether its clause turns it round, so that the value is the limit itself.
        ahead: The words of the clause before it.
    """

    word: str
    negated: bool
    ahead: tuple[str, ...]

    def is_above(self, kind: str) -> bool:
        """Tell whether what is meant lies above the value (under it, where the bound is negated)."""
        return (self.word in _ABOVE) == (self.word not in _BY_AGE or kind in _DATED)


def bound_at(hit: Span, answer: str, kind: str) -> Bound | None:
    """Return the bound that a value is said as, None where it is said for itself or is no value.

    Args:
        hit: Where it stands.
        answer: The normalised answer.
        kind: The answer kind.
    """
    if kind not in _DATED and not any(is_number(token.text) for token in tokenise(answer[hit.start : hit.end])):
        return None
    clause = [word for word in clause_before(hit, tokenise(answer)) if word not in ARTICLES]
    text = " ".join(clause)
    found = _BOUND.search(text)
    if found is None or not _reaches(found["than"] or found["past"], found["one"], kind):
        return None
    ahead = tuple(text[: found.start()].split())
    return Bound(found["than"] or found["past"], not _NEGATES.isdisjoint(ahead), ahead)


def _reaches(word: str, between: str | None, kind: str) -> bool:
    """Tell whether nothing but the name of what has the version or date stands between ("older than Rust 1.88").

    "Under Python 3.11" says with which.
    """
    if word == "under" and kind in _DATED:
        return False
    return between is None or (kind in _DATED and between not in STOP)


def is_limit(bound: Bound, kind: str, question_words: frozenset[str]) -> bool:
    """Tell whether a negated bound gives its value as the limit that is asked for: "no more than 5" is no answer to "at least how many".

    Args:
        bound: The bound.
        kind: The answer kind.
        question_words: The tokens of the question.
    """
    if not bound.negated:
        return False
    asks_the_other = _ASKS_THE_LEAST if bound.is_above(kind) else _ASKS_THE_MOST
    asks_it = _ASKS_THE_MOST if bound.is_above(kind) else _ASKS_THE_LEAST
    return bound.word in _BY_AGE or question_words.isdisjoint(asks_the_other) or not question_words.isdisjoint(asks_it)


def only_bounds(hit: Span, bound: Bound, answer: str, kind: str, forms: list[str], question_words: frozenset[str]) -> bool:
    """Tell whether an answer says nothing but that something lies above or below a value ("more than 5").

    Not where a gold answer or the question compares too, nor where the bound is part of a longer statement ("names of more than 5 letters
    are refused"), nor where it lies on the side that is asked for ("under 5 seconds" as a maximum).

    Args:
        hit: Where the value stands.
        bound: What it is said as.
        answer: The normalised answer.
        kind: The answer kind.
        forms: The gold answer and its aliases.
        question_words: The tokens of the question.
    """
    comparing = _ABOVE | _BELOW
    if bound.negated or question_words & comparing or any(comparing.intersection(words(form)) for form in forms):
        return False
    if question_words & (_ASKS_THE_LEAST if bound.is_above(kind) else _ASKS_THE_MOST):
        return False
    after = next((token for token in tokenise(answer) if token.start >= hit.end), None)
    ends = after is None or after.new_clause or after.text in _TRAILS
    return ends and (_LEADS | question_words).issuperset(bound.ahead)
