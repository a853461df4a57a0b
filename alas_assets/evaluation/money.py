# ruff: noqa: SIM905 - word lists read better as text
"""In which currency an amount is said: by a sign or code beside its number.

Text only. That another currency makes another answer is `evaluation.lookalikes`' to say.
"""

from __future__ import annotations

import re

from alas_assets.evaluation.tokens import Span, is_number, tokenise

_DOLLARS = "usd cad aud nzd sgd hkd"
_NAMES = {
    name: frozenset(codes.split())
    for names, codes in (
        ("$ dollar dollars", _DOLLARS),
        ("usd", "usd"), ("cad", "cad"), ("aud", "aud"), ("nzd", "nzd"), ("sgd", "sgd"), ("hkd", "hkd"),
        ("\u20ac eur euro euros", "eur"),
        ("\u00a3 gbp pound pounds", "gbp"),
        ("\u00a5", "jpy cny"), ("jpy yen", "jpy"), ("cny rmb yuan", "cny"),
        ("\u20b9 inr rupee rupees", "inr"),
        ("\u20a9 krw", "krw"),
        ("chf franc francs", "chf"),
    )
    for name in names.split()
}  # fmt: skip
"""What names a currency; "$" may be that of several countries, "\u00a5" of two."""
_SIGN = "[$\u20ac\u00a3\u00a5\u20b9\u20a9]"
_SIGN_BEFORE = re.compile(rf"({_SIGN})\s?$")
_SIGN_AFTER = re.compile(rf"\s?({_SIGN})(?!\s?\d)")
_SCALES = frozenset("hundred thousand million billion trillion k m bn".split())


def currency_of(text: str, span: Span | None = None) -> frozenset[str]:
    """Return the currencies that the first number of a stretch may be said in; empty where none stands beside it.

    Args:
        text: A normalised text.
        span: The stretch; by default the whole text.
    """
    tokens = tokenise(text)
    place = next((i for i, token in enumerate(tokens) if is_number(token.text) and (span is None or span.holds(token))), None)
    if place is None:
        return frozenset()
    number = tokens[place]
    sign = _SIGN_BEFORE.search(text, 0, number.start) or _SIGN_AFTER.match(text, number.end)
    if sign:
        return _NAMES[sign[1]]
    after = [token for token in tokens[place + 1 : place + 3] if not token.new_clause]
    if len(after) > 1 and after[0].text in _SCALES:
        after = after[1:]
    before = [] if number.new_clause or not place else [tokens[place - 1]]
    return next((_NAMES[token.text] for token in (*after[:1], *before) if token.text in _NAMES), frozenset())
