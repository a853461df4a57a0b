"""Text that must not become a row: words to a model instead of about the subject, signs of prompts, hidden characters (S9).

Strings in, a finding out. Personal data and secrets are `provenance.redaction`'s; what a finding does to a fact is `synthesis.curate`'s.
"""

from __future__ import annotations

import re
import unicodedata

from alas_assets.provenance import ids
from alas_assets.provenance.unseen import without_unseen

_HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")  # direction overrides, and tags that no font shows
_TEMPLATE = re.compile(
    r"""
      <[|\uff5c]\s*[\w\u2581 -]{1,40}\s*[|\uff5c]>            # <|im_end|>, <|endoftext|>
    | \[/?INST\] | <</?SYS>> | </?(?:start|end)_of_turn> | </?s>\s*\[
    | ^\s*(?:\#{1,6}\s*)?(?:system|assistant)\s*:             # a turn of a conversation
    | \#\#\#\s*(?:instruction|response|system|assistant)s?\s*:
    """,
    re.VERBOSE | re.IGNORECASE,
)
_FENCE = re.compile(r"\[(?:end|passage|page|topic|question|reference|answer)\s+\d+\s*\|\s*[0-9a-f]{8}\b", re.IGNORECASE)
_SOME = r"(?:[^\s.!?]+ ){0,4}"  # words in between, within one sentence
_FEW = r"(?:[^\s.!?]+ ){0,2}"
_MODEL = r"(?:assistant|ai|language model|chatbot|llm|model|teacher|judge|grader)"
_ORDERS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?:ignore|disregard|forget|override|bypass|overlook) {_SOME}"
        rf"(?:previous|prior|above|earlier|preceding|foregoing|your|these|those|all) {_FEW}"
        r"(?:instructions?|prompts?|directions|directives|guidelines|system messages?)\b",
        r"\b(?:ignore|disregard|forget) (?:everything|anything|all) (?:(?:that )?(?:you|was|is|were|i) |(?:above|before|said)\b)",
        r"\b(?:new|updated|real|actual|hidden|secret) (?:system )?(?:instructions?|prompt) ?:",
        r"\byou (?:are|will act|must act|should act) (?:now |from now on |henceforth )?(?:as )?(?:an? |the |my )?"
        rf"(?:[^\s.!?]+ ){{0,3}}{_MODEL}\b",
        rf"\b(?:reveal|print|repeat|output|show|leak|disclose|tell me) {_SOME}"
        r"(?:system prompt|hidden prompt|your (?:prompt|instructions|rules))\b",
        r"\b(?:pretend|imagine) (?:to be|you are|that you are) ",
        rf"\b(?:mark|grade|rate|score|label|judge|accept|count) {_SOME}"
        rf"(?:answers?|responses?|pairs?|candidates?|everything|this|it) {_FEW}"
        r"(?:as |with |at )?(?:an? )?(?:correct|right|full marks|full score|perfect|100|10/10|1\.0)\b",
        r"\b(?:always|only) (?:answer|respond|reply|say|output) (?:with|that|only|as) ",
        r"\b(?:answer|respond|reply)(?: to)? (?:every|each|all|any) (?:further |following |other )?"
        r"(?:questions?|prompts?|messages?) (?:with|by|that|as)\b",
        rf"\b(?:dear|attention|note to|message to|instructions? (?:to|for)) (?:the )?{_MODEL}\b",
        r"\bas an ai(?: language)? (?:model|assistant)\b",
        r"\b(?:in|from) now on,? (?:you|always|never|answer|respond)\b",
    )
)


def steering(text: str) -> str:
    """Return what in a text speaks to a model, or hides from a reader; "" where nothing does.

    A row is taught word for word and is shown to judges, so what looks like a turn of a conversation, a fence of a prompt or
    an order to the model is no knowledge, wherever it came from.
    """
    if _HIDDEN.search(text):
        return "hidden characters"
    plain = ids.fold(without_unseen(unicodedata.normalize("NFKC", text)))
    if _TEMPLATE.search(plain) or _TEMPLATE.search(text):
        return "chat template"
    if _FENCE.search(plain):
        return "prompt fence"
    bare = plain.replace("`", "").replace("*", "").replace("_", " ")
    return "order to the model" if any(order.search(bare) for order in _ORDERS) else ""
