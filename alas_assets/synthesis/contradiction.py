# ruff: noqa: SIM905 - word lists read better as text
"""Which claims contradict each other: one question that has one answer, answered differently by two pages (R7).

Pure: claims in, pairs of them out. Who wins is `synthesis.consensus`'s.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations

from alas_assets.synthesis.claims import Claim, names_any, one_answer, same_place
from alas_assets.synthesis.sense import NOT, content, numbers, stem, turns
from alas_assets.synthesis.wording import GAP, hard_tokens, mentions, whole, words
from alas_assets.teachers.extractive.reading import clean

_VALUES = frozenset({"version", "date", "quantity"})
_OPEN = frozenset(
    stem(word)
    for word in (
        "accept add allow deprecated dropped example exposed fixed gain get got improve include introduce new provide remove support "
        "update".split()
    )
)
"""Words of sentences that are true of many things at once: what a release adds, what a function accepts."""


def disputes(claims: Sequence[Claim]) -> list[tuple[Claim, Claim]]:
    """Return every two claims of different pages that answer one question differently, ordered by their ids.

    Only what can have but one right answer is a question here, and where the sentence of either side names the other's answer
    too, both may be right.
    """
    by_question: dict[tuple[object, ...], dict[str, Claim]] = defaultdict(dict)
    for claim in claims:
        denials = turns(_frame(claim)).count(NOT)  # "is not 9" does not contradict "is 7"
        for asked in {content(_frame(claim)), *map(content, claim.questions)}:
            by_question[claim.kind, denials, *asked][claim.fact_id] = claim
    found: dict[tuple[str, str], tuple[Claim, Claim]] = {}
    for same in by_question.values():
        for one, other in _of_one_place(sorted(same.values(), key=lambda claim: claim.fact_id)):
            if (one.fact_id, other.fact_id) not in found and _contradict(one, other):
                found[one.fact_id, other.fact_id] = (one, other)
    return [found[key] for key in sorted(found)]


def _of_one_place(claims: Sequence[Claim]) -> Iterator[tuple[Claim, Claim]]:
    """Yield, some of them twice, the pairs that can be `same_place`; thousands of records may share one sentence.

    Their places share a number, or each says in its own sentence all numbers of its place.
    """
    alike: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        named = numbers(claim.place)
        for number in named:
            alike[number].append(claim)
        if named <= numbers(_frame(claim)):
            alike[""].append(claim)
    for group in alike.values():
        yield from combinations(group, 2)


@lru_cache(maxsize=50_000)
def _frame(claim: Claim) -> str:
    """Return the claim's sentence with a gap where the answer stands: what it answers, in its own words."""
    quote = clean(claim.quote)
    for form in claim.answers:
        if mentions(quote, form):
            # not in other words: of "in Widget 4.2 the pool has 2 workers" the release is no answer
            return re.sub(whole(form.strip("`") or form), GAP, quote, flags=re.IGNORECASE)
    return quote


def _contradict(one: Claim, other: Claim) -> bool:
    return (
        one.page != other.page
        and same_place(one.place, other.place, numbers(_frame(one)) & numbers(_frame(other)))
        and _has_one_answer(one, bool(numbers(one.place) & numbers(other.place)))
        and not one_answer(one, other)
        and not names_any(other.quote, one.answers)
        and not names_any(one.quote, other.answers)
    )


def _has_one_answer(claim: Claim, same_release: bool) -> bool:
    """Tell whether a sentence with a gap says of one thing what only one answer can fill.

    A value may be that of the release; a name must be said of something else that is named, and not be one of several that a
    release can add, remove or take.
    """
    frame = _frame(claim)
    names_something = bool(hard_tokens(frame) - {GAP})
    if claim.kind in _VALUES:
        return same_release or names_something
    return names_something and not any(stem(word) in _OPEN for word in words(frame))
