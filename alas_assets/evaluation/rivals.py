# ruff: noqa: SIM905 - word lists read better as text
"""What an answer names in the place of the gold answer: the rivals of its probe, and True, False or None where another of them is right.

Other values of a kind are `evaluation.values`'; what a rival costs is `evaluation.grading`'s.
"""

from __future__ import annotations

import re

from alas_assets.evaluation.denials import CONDITIONS, FORMERLY, NEGATORS
from alas_assets.evaluation.occurrences import occurrences, same_name, sequence_of
from alas_assets.evaluation.tokens import STOP, Span, Token, tokenise, words
from alas_assets.teachers.protocol import GradeRequest

LITERALS = (("True", "False", "None"), ("true", "false", "null"))
"""Values that are said in the place of each other."""
_OTHER_OCCASION = CONDITIONS | NEGATORS | FORMERLY | frozenset("before earlier until used instead rather to for".split())
"""Beside one of these a literal is said of another time or case ("it was False before")."""
_SAID_APART = re.compile(r"[,;!?()\n]|[.:](?=\s)")


def rivals_named(request: GradeRequest, answer: str, question: str, forms: list[str], hits: list[Span]) -> list[str]:
    """Return the rivals that an answer names outside the gold answer, or the other literals; what the question names is no rival.

    Args:
        request: What is graded.
        answer: The normalised answer.
        question: The normalised question.
        forms: The gold answer and its aliases.
        hits: Where they stand in the normalised answer.
    """
    kind = request.answer_kind
    named: list[str] = []
    for rival in request.rivals:
        sequence = sequence_of(rival, kind)
        if not sequence or all(word in STOP for word in sequence):
            continue
        if any(same_name(rival, form, kind) for form in forms) or occurrences(rival, kind, question):
            continue
        places = [found for found in occurrences(rival, kind, answer) if not any(hit.holds(found) for hit in hits)]
        if any(not _is_cut(found, hits, answer) for found in places):
            named.append(rival)
    return named or _other_literals(request, answer)


def _is_cut(found: Span, hits: list[Span], answer: str) -> bool:
    """Tell whether the gold answer ends within a longer name by punctuation ("React, native to JavaScript")."""
    ends = {hit.end for hit in hits if found.holds(hit)}
    return any(token.new_clause and found.holds(token) and any(end <= token.start for end in ends) for token in tokenise(answer))


def _other_literals(request: GradeRequest, answer: str) -> list[str]:
    """Return what an answer says in the place of a gold answer that is True, False or None."""
    gold, accepted = request.gold.strip(" .`'\""), {alias.strip(" .`'\"") for alias in request.aliases}
    family = next((family for family in LITERALS if gold in family and not accepted.intersection(family) - {gold}), ())
    asked = words(request.question)
    others = [one for one in family if one != gold and one in request.answer and one.casefold() not in asked]
    return [one for one in others if any(_is_said(token, answer) for token in tokenise(answer) if token.text == one.casefold())]


def _is_said(literal: Token, answer: str) -> bool:
    """Tell whether a literal is said for itself, not as a setting ("strict=True") nor of another time or case."""
    start = max((match.end() for match in _SAID_APART.finditer(answer, 0, literal.start)), default=0)
    end = next((match.start() for match in _SAID_APART.finditer(answer, literal.end)), len(answer))
    beside = {token.text for token in tokenise(answer[start:end])}
    return not answer[: literal.start].rstrip().endswith("=") and beside.isdisjoint(_OTHER_OCCASION)
