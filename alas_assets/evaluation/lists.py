"""When an answer is a list of short names, out of which somebody would have to pick the gold answer.

Whether a single name is the gold answer is `evaluation.lookalikes`'; rivals that a probe names are `evaluation.rivals`'.
"""

from __future__ import annotations

import re

from alas_assets.evaluation.tokens import ARTICLES, STOP, Span, has_token, holds_path, normalise, tokenise

LIST_PIECES = 3
"""Pieces from which on an answer that consists of nothing else is a list, out of which somebody would have to pick the answer."""

LIST_PIECES_OPEN = 6
"""The same where the question may have several true answers, of which the gold answer names one."""

_BULLET = r"(?:[-*\u2022]\s+|\d+[.)]\s+)?"
_LIST_JOINT = re.compile(rf"(?:[,;]|\n\s*{_BULLET}|\b(?:and|or)\b|(?<=[\w)`'\"\]\s])/)\s*")
_LIST_OPENING = re.compile(
    rf"[\s\"'(`]*(?:(?:it|this|that|they|these|the answers?) (?:is|are|was|were|(?:could|can|may|might) be)\b"
    rf"|either\b|one of\b|\s|:|{_BULLET})*"
)
_UNCOUNTED = ARTICLES | {"of", "new"}
_LIST_WORDS = 3
"""Words that a piece of a list may have: a longer one may be a clause ("the call raises a ValueError")."""
_SEVERAL_TRUE = re.compile(
    r"\bwhere\b|\b(?:in|on) (?:which|what) (?:\w+ )?(?:city|town|state|country|continent|region|place|part)\b"
    r"|\b(?:what|which|who)(?: \w+){0,3} (?:are|were|have|do(?! (?:i|you|we)\b))\b|\bwhat (?:does|is an?)\b"
    r"|\bused for\b|\bmade (?:of|from)\b|\b(?:examples?|list|name (?:the|some|all|any|two|three|four|five))\b"
)
"""Questions with several true answers, or whose answer is said from small to large ("Agra, Uttar Pradesh, India")."""


def list_length(answer: str, question: str, forms: list[str], hits: list[Span]) -> int:
    """Return of how many pieces an answer is a list that holds others beside the gold answer; 0 where it is none.

    A piece that holds a part of the question names nothing else, and one other piece may say the gold answer in other words.

    Args:
        answer: The normalised answer.
        question: The normalised question.
        forms: The gold answer and its aliases.
        hits: Where they stand in the answer.
    """
    least = LIST_PIECES_OPEN if _SEVERAL_TRUE.search(question) else LIST_PIECES
    pieces = _list_pieces(answer, hits)
    if len(pieces) < least or any(len(_list_pieces(normalise(form), [])) >= LIST_PIECES for form in forms):
        return 0
    asked = {token.text for token in tokenise(question)} | STOP
    others = [
        piece
        for piece in pieces
        if not any(hit.overlaps(piece) for hit in hits)
        and any(token.text not in asked for token in tokenise(answer[piece.start : piece.end]))
    ]
    return len(pieces) if len(others) > 1 else 0


def _list_pieces(text: str, whole: list[Span]) -> list[Span]:
    """Split a normalised text that is nothing but short names side by side; what is to stay whole is not split. Empty for other texts."""
    end = len(text.rstrip(" .!?\n`'\")*"))
    opening = _LIST_OPENING.match(text)
    start = opening.end() if opening else 0
    if re.search(r"(?<!\d)[.!?:](?=\s)", text[start:end]):
        return []
    pieces: list[Span] = []
    for joint in [*_LIST_JOINT.finditer(text, start, end), None]:
        if joint and (_within(joint, text, start) or any(hit.overlaps(Span(*joint.span())) for hit in whole)):
            continue
        pieces.append(Span(start, joint.start() if joint else end))
        start = joint.end() if joint else end
    pieces = [piece for piece in pieces if has_token(text, piece)]
    return pieces if all(_is_a_name(piece, text, whole) for piece in pieces) else []


def _is_a_name(piece: Span, text: str, whole: list[Span]) -> bool:
    """Tell whether a piece is what is to stay whole and nothing else, or a name that is short and no clause."""
    said = [token for token in tokenise(text) if piece.holds(token)]
    if any(all(hit.holds(token) for token in said) for hit in whole):
        return True
    counted = [token.text for token in said if token.text not in _UNCOUNTED]
    return len(counted) <= _LIST_WORDS and not STOP.intersection(counted)


def _within(joint: re.Match[str], text: str, start: int) -> bool:
    """Tell whether a joint is inside brackets, or a slash inside a path."""
    before = text[start : joint.start()]
    if any(before.count(opened) > before.count(closed) for opened, closed in ("()", "[]", "{}")):
        return True
    return joint[0].strip() == "/" and holds_path(text)
