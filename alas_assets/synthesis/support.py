"""Which independent sources state a claim, though nobody drafted that sentence of theirs (R7).

Pure: claims and passages in, registrable domains out. What they are counted for is `synthesis.consensus`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import polars as pl

from alas_assets.hosts import site_of
from alas_assets.synthesis.claims import Claim, names_any, one_answer, places, same_place
from alas_assets.synthesis.sense import content, content_stems, numbers, stem, turns
from alas_assets.synthesis.wording import carries_identity, words
from alas_assets.teachers.extractive.reading import clean, read_units

_STATED = 0.6  # share of content words that a sentence and a claim have in common where the one states the other


@dataclass(frozen=True)
class _Sentence:
    site: str
    text: str
    place: str

    @cached_property
    def stems(self) -> tuple[str, ...]:
        return content_stems(self.text)

    @cached_property
    def own(self) -> frozenset[str]:
        return frozenset(self.stems)


def supporters(claims: Sequence[Claim], chunks: pl.DataFrame, earlier: Sequence[Claim]) -> dict[str, set[str]]:
    """Return the domains that state each claim: in a sentence of theirs, or by the same answer to the same question."""
    found = {claim.fact_id: {claim.site} for claim in claims}
    known = {claim.site for claim in (*claims, *earlier)} | {site_of(page) for page in chunks["page_id"].unique()}
    if len(known) < 2:
        return found
    stated = _Statements([*_sentences(chunks), *(_Sentence(claim.site, clean(claim.quote), claim.place) for claim in earlier)])
    asked: dict[tuple[object, ...], list[Claim]] = defaultdict(list)
    for claim in (*claims, *earlier):
        for question in set(map(content, claim.questions)):
            asked[question].append(claim)
    for claim in claims:
        sites = found[claim.fact_id]
        sites |= stated.sites(claim)
        for question in set(map(content, claim.questions)):
            sites |= {
                other.site
                for other in asked[question]
                if one_answer(claim, other) and same_place(claim.place, other.place, numbers(" ".join(claim.questions)))
            }
    return found


def _sentences(chunks: pl.DataFrame) -> Iterable[_Sentence]:
    place = places(chunks)
    for row in chunks.iter_rows(named=True):
        headings = [part for part in row["heading_path"] or () if part]
        for unit in read_units(row["text"] or "", headings, row["chunk_id"], row["title"] or ""):
            yield _Sentence(site_of(row["page_id"]), unit.text, place[row["chunk_id"]])


class _Statements:
    """Sentences, searched for those that state a claim."""

    def __init__(self, sentences: Sequence[_Sentence]) -> None:
        self._holders: dict[str, list[_Sentence]] = defaultdict(list)
        self._near: dict[str, list[_Sentence]] = defaultdict(list)
        for sentence in sentences:
            for word in sentence.own:
                self._holders[word].append(sentence)
            for word in sentence.own.union(content_stems(sentence.place), _release_words(sentence.place)):
                self._near[word].append(sentence)

    def sites(self, claim: Claim) -> set[str]:
        """Return the domains with a sentence that states the claim; it must hold the rarest word of an answer.

        Each word of the claim must stand in the sentence or its place (`_states`), so only those near the claim's rarest word are read:
        "high" stands in as many sentences as there are claims with that answer.
        """
        said = content_stems(clean(claim.quote))
        near = min((self._near.get(word, []) for word in said), key=len, default=[])
        rare = {min(stems, key=lambda word: len(self._holders.get(word, ()))) for stems in map(content_stems, claim.answers) if stems}
        return {sentence.site for sentence in near if not rare.isdisjoint(sentence.own) and _states(sentence, claim)}


def _states(sentence: _Sentence, claim: Claim) -> bool:
    """Tell whether a sentence says all that a claim says, and little else.

    Every content word of the claim must stand in the sentence in the same order, or else in the title above it; and both must
    hold the same words that turn a sentence round: "A replaced B" is not stated by "B replaced A", nor by "A was replaced by B"
    or "A may replace B". Only the release that the page is on may be named anywhere. A synonym costs support and never adds it.
    """
    quote = clean(claim.quote)
    said, own, around = content_stems(quote), sentence.own, set(content_stems(sentence.place))
    anywhere = _release_words(sentence.place) - {word for form in claim.answers for word in content_stems(form)}
    return (
        len(own.intersection(said)) >= _STATED * len(own)
        and _in_order([word for word in said if word not in anywhere and (word in own or word not in around)], sentence.stems)
        and names_any(sentence.text, claim.answers)
        and carries_identity(f"{sentence.text} {sentence.place}", quote)
        and turns(quote) == turns(sentence.text)
        and same_place(claim.place, sentence.place, numbers(quote))
    )


def _in_order(wanted: Sequence[str], stems: Sequence[str]) -> bool:
    rest = iter(stems)
    return all(word in rest for word in wanted)  # `in` reads on from where the word before was found


def _release_words(place: str) -> set[str]:
    """Return the numbers that a place names, and the word before each: python, 3.15."""
    found = words(place)
    return {stem(word) for pair in pairwise(found) if pair[1][0].isdigit() for word in pair}
