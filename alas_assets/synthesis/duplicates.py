"""Which facts say the same, and which ask one relation from both ends (S5). Finding only; what is dropped is `synthesis.curate`'s.

*Twins* ask the same question and have the same answer: one of them is enough to teach. A fact is *restated* by another with the
same answer that rests on the same statement and asks otherwise, and *reversed* by one that asks the relation from its other end
("which PEP added X", "what did PEP N add"). All three share a fact group, because splits, statistics and the audit must not count
them as independent.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from alas_assets.synthesis.sense import content_stems
from alas_assets.synthesis.wording import (
    NearIndex,
    cased_words,
    code_words,
    differ_in_identity,
    hard_tokens,
    jaccard,
    mentions,
    normalise,
    word_set,
    words,
)

Pair = tuple[int, int]
Embed = Callable[[list[str]], Sequence[Sequence[float]] | np.ndarray]

NEAR_QUOTE = 0.8
"""Share of words that two sentences have in common where they say the same."""
NEAR_MEANING = 0.83
"""Least cosine of question and answer of twins; `bench/curation` shows the pairs around it."""
NEAR_SUBJECT = 0.8
"""Least cosine of a restatement; two pages often say one thing with more and with fewer names."""
NEAR_LETTERS = 0.7
"""Least share of letter 3-grams that two questions have in common to be twins by their letters alone."""

_PERMUTATIONS = 128
_SEED = 17
_COMMON = 200  # facts whose question holds a word; a commoner one finds no reverse question, its counterpart's rarer word does
_BLOCK = 1024  # rows of one matrix product; bounds memory
_ISSUE = re.compile(r"(?i)^(?:gh|bpo|issue|bug)-?\d+$|^#\d+$")


@dataclass(frozen=True)
class Statement:
    """One fact as it is compared.

    Attributes:
        key: Its id.
        text: The page it stands on and the hash of that page's text.
        span: The quote's characters in that text.
        quote: The sentence.
        answer: The answer that is taught.
        aliases: Other forms of it.
        questions: All its phrasings, the first being the question itself.
        passage: The text around the quote, or "": names in code style there are names in the questions too.
    """

    key: str
    text: tuple[str, str]
    span: tuple[int, int]
    quote: str
    answer: str
    aliases: tuple[str, ...]
    questions: tuple[str, ...]
    passage: str = ""

    @cached_property
    def forms(self) -> frozenset[str]:
        """The answer and its aliases, normalised."""
        return frozenset(normalise(text) for text in (self.answer, *self.aliases))

    @cached_property
    def identity(self) -> frozenset[str]:
        """What the fact is asked by: names, numbers and versions in its question, or in half of its phrasings."""
        names = code_words(self.quote) | code_words(self.passage)
        count: Counter[str] = Counter(token for text in self.questions for token in hard_tokens(text) | (cased_words(text) & names))
        first = hard_tokens(self.questions[0]) | (cased_words(self.questions[0]) & names)
        return first | {token for token, times in count.items() if 2 * times >= len(self.questions)}

    @cached_property
    def named(self) -> frozenset[str]:
        """Every word of its questions."""
        return frozenset().union(*(cased_words(text) for text in self.questions))

    @cached_property
    def numbers(self) -> tuple[frozenset[str], frozenset[str]]:
        """The versions and the other numbers of its sentence; issue numbers are references."""
        found = {token for token in hard_tokens(self.quote) if any(c.isdigit() for c in token) and not _ISSUE.match(token)}
        versions = frozenset(token for token in found if re.search(r"\d\.\d", token))
        return versions, frozenset(found) - versions

    def answered_in(self, texts: Iterable[str]) -> int:
        """Return how many of the texts name the answer."""
        return sum(any(mentions(text, form) for form in (self.answer, *self.aliases)) for text in texts)


@dataclass(frozen=True)
class Kinship:
    """What was found: pairs of keys, each in the order of the statements; no pair is both a twin and restated."""

    twins: tuple[tuple[str, str], ...]
    restated: tuple[tuple[str, str], ...]
    reversed: tuple[tuple[str, str], ...]


def find_kinship(statements: Sequence[Statement], embed: Embed | None = None) -> Kinship:
    """Find which statements are twins, restated or reversed, without comparing all with all (S5).

    Args:
        statements: Facts with different keys and at least one question each.
        embed: Returns one vector of length 1 a text; without it twins are found by their letters alone. It is asked only for
            statements that share their answer with another of which neither is told from the other by a name.
    """
    comparable = [_Comparable(statements, places) for places in _by_answer(statements)]
    near = _near_in_meaning(statements, comparable, embed)
    alike = _alike_in_letters(statements, comparable) | {pair for pair, cosine in near.items() if cosine >= NEAR_MEANING}
    twins = {pair for pair in alike if _one_answer(*_both(statements, pair)) and _same_names(*_both(statements, pair))}
    restated = {pair for pair in near if _one_answer(*_both(statements, pair))}
    restated |= {pair for pair in _of_one_sentence(statements) if _same_answer(*_both(statements, pair))}
    found = (twins, restated - twins, _reversed(statements))
    return Kinship(*(tuple((statements[i].key, statements[j].key) for i, j in sorted(pairs)) for pairs in found))


def groups(pairs: Iterable[tuple[str, str]], keys: Sequence[str], fixed: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the group of every key: of those that are paired, directly or through others, the least key.

    Args:
        pairs: Keys that belong together.
        keys: All keys.
        fixed: Groups that some keys already have, from earlier iterations; one of them names a group that they are in.
    """
    fixed = fixed or {}
    parent = {key: key for key in keys}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    names: dict[str, str] = {}
    for key in keys:
        if key in fixed:
            names[root(key)] = min(fixed[key], names.get(root(key), fixed[key]))
    return {key: names.get(root(key), root(key)) for key in keys}


def _pair(i: int, j: int) -> Pair:
    return (i, j) if i < j else (j, i)


def _both(statements: Sequence[Statement], pair: Pair) -> tuple[Statement, Statement]:
    return statements[pair[0]], statements[pair[1]]


# ---------------------------------------------------------------------------------------------- one answer


def _by_answer(statements: Sequence[Statement]) -> list[list[int]]:
    """Return the places of the statements that share a form of their answer, two at least."""
    holders: dict[str, list[int]] = defaultdict(list)
    for i, statement in enumerate(statements):
        for form in statement.forms:
            holders[form].append(i)
    return [places for places in holders.values() if len(places) > 1]


class _Comparable:
    """Statements that share a form of their answer, and which of them can be one by what they are asked by.

    Thousands of records may share "high"; each is asked by an id that no other names, and `_one_answer` refuses every pair.
    """

    def __init__(self, statements: Sequence[Statement], places: Sequence[int]) -> None:
        self.places = np.array(places)
        naming: dict[str, set[int]] = defaultdict(set)
        for at, place in enumerate(places):
            for word in statements[place].named:
                naming[word].add(at)
        self._nameless = {at for at, place in enumerate(places) if not statements[place].identity}
        self._known_by: list[set[int]] = [set() for _ in places]  # who names all that a statement is asked by
        self._knows: list[set[int]] = [set() for _ in places]
        for at, place in enumerate(places):
            if asked_by := sorted(statements[place].identity, key=lambda word: len(naming[word])):
                self._known_by[at] = naming[asked_by[0]].intersection(*(naming[word] for word in asked_by[1:])) - {at}
                for other in self._known_by[at]:
                    self._knows[other].add(at)

    def partners(self, at: int) -> np.ndarray:
        """Return, ascending, whom behind it the statement at a place of `places` is to be compared with: one names what the other does."""
        if at in self._nameless:
            return np.arange(at + 1, len(self.places))
        return np.array(sorted(other for other in self._known_by[at] | self._knows[at] | self._nameless if other > at), dtype=int)

    def compared(self) -> list[int]:
        """Return the statements that have a partner."""
        everyone = bool(self._nameless) and len(self.places) > 1
        return [place for at, place in enumerate(self.places.tolist()) if everyone or self._known_by[at] or self._knows[at]]

    def known_both_ways(self) -> list[int]:
        """Return the statements that can have a twin: each of the two names all that the other is asked by."""
        return [place for at, place in enumerate(self.places.tolist()) if self._may_have_a_twin(at)]

    def _may_have_a_twin(self, at: int) -> bool:
        if at in self._nameless:
            return len(self._nameless) > 1 or bool(self._knows[at])
        return not (self._known_by[at].isdisjoint(self._knows[at]) and self._known_by[at].isdisjoint(self._nameless))


def _same_answer(one: Statement, other: Statement) -> bool:
    """Tell whether the answer of one is a form of the other's: re.prefixmatch() and re.Pattern.prefixmatch() share an alias only."""
    return normalise(one.answer) in other.forms or normalise(other.answer) in one.forms


def _one_answer(one: Statement, other: Statement) -> bool:
    """Tell whether two statements have one answer, and not each a name or number of its own."""
    if not _same_answer(one, other):
        return False
    if one.identity - other.named and other.identity - one.named:
        return False
    return not any(a - b and b - a for a, b in zip(one.numbers, other.numbers, strict=True))


def _same_names(one: Statement, other: Statement) -> bool:
    """Tell whether neither is asked by an identifier, number or version that the other does not name.

    Those that differ in one are never duplicates, however alike they read (S5).
    """
    return one.identity <= other.named and other.identity <= one.named


# ---------------------------------------------------------------------------------------------- twins


def _alike_in_letters(statements: Sequence[Statement], comparable: Sequence[_Comparable]) -> set[Pair]:
    """Return the pairs whose questions are nearly letter for letter the same, and of which neither has a word of its own.

    "How is the output of pickletools shown" and "... of tokenize shown" share most of their letters and are two questions.
    """
    places = sorted({place for group in comparable for place in group.known_both_ways()})
    from datasketch import MinHash, MinHashLSH  # brings scipy.integrate, which no other step needs

    index = MinHashLSH(threshold=NEAR_LETTERS, num_perm=_PERMUTATIONS)
    found: set[Pair] = set()
    for i in places:
        letters = _letters(statements[i].questions[0])
        sketch = MinHash(num_perm=_PERMUTATIONS, seed=_SEED)
        sketch.update_batch([gram.encode() for gram in letters])
        for j in map(int, map(str, index.query(sketch))):
            other = statements[j].questions[0]
            if jaccard(letters, _letters(other)) >= NEAR_LETTERS and _nothing_exchanged(statements[i].questions[0], other):
                found.add(_pair(i, j))
        index.insert(str(i), sketch)
    return found


@lru_cache(maxsize=50_000)
def _letters(text: str) -> frozenset[str]:
    """Return the 3-grams of the letters of a text, word boundaries included."""
    padded = f" {normalise(text)} "
    return frozenset(padded[i : i + 3] for i in range(max(1, len(padded) - 2)))


def _nothing_exchanged(one: str, other: str) -> bool:
    mine, its = set(content_stems(one)), set(content_stems(other))
    return mine <= its or its <= mine


def _near_in_meaning(statements: Sequence[Statement], comparable: Sequence[_Comparable], embed: Embed | None) -> dict[Pair, float]:
    """Return the cosine of the comparable pairs whose questions and answers mean nearly the same."""
    places = sorted({place for group in comparable for place in group.compared()}) if embed else []
    if embed is None or not places:
        return {}
    vectors = np.asarray(embed([f"{statements[i].questions[0]} {statements[i].answer}" for i in places]), dtype=np.float32)
    row = {place: at for at, place in enumerate(places)}
    found: dict[Pair, float] = {}
    for group in comparable:
        for at, place in enumerate(group.places.tolist()):
            others = group.places[group.partners(at)]
            for start in range(0, len(others), _BLOCK):
                block = others[start : start + _BLOCK].tolist()
                cosines = vectors[[row[other] for other in block]] @ vectors[row[place]]
                found |= {_pair(place, block[hit]): float(cosines[hit]) for hit in np.flatnonzero(cosines >= NEAR_SUBJECT).tolist()}
    return found


# ---------------------------------------------------------------------------------------------- restated and reversed


def _of_one_sentence(statements: Sequence[Statement]) -> set[Pair]:
    """Return the pairs that rest on one sentence: quotes that overlap on their page, or nearly equal ones of any pages."""
    found = set(_overlapping(statements))
    quotes = NearIndex([statement.quote for statement in statements])
    for i, statement in enumerate(statements):
        for j in quotes.find(statement.quote):
            if j < i and _near_quotes(statement.quote, statements[j].quote):
                found.add((j, i))
    return found


def _near_quotes(one: str, other: str) -> bool:
    return jaccard(word_set(one), word_set(other)) >= NEAR_QUOTE and not differ_in_identity(one, other)


def _overlapping(statements: Sequence[Statement]) -> Iterator[Pair]:
    pages: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, statement in enumerate(statements):
        pages[statement.text].append(i)
    for places in pages.values():
        opened: list[int] = []
        for i in sorted(places, key=lambda place: (statements[place].span, place)):
            start = statements[i].span[0]
            opened = [j for j in opened if statements[j].span[1] > start]
            yield from (_pair(i, j) for j in opened)
            opened.append(i)


def _reversed(statements: Sequence[Statement]) -> set[Pair]:
    """Return the pairs that ask one relation from both ends.

    Each sentence names both answers, and each fact is asked by the other's answer: in a phrasing where they share a sentence,
    in half of the phrasings where two pages say it.
    """
    found = {pair for pair in _overlapping(statements) if _asked_by_each_other(*_both(statements, pair), least=0.0)}
    asking: dict[str, list[int]] = defaultdict(list)
    for i, statement in enumerate(statements):
        for word in {word for question in statement.questions for word in words(question)}:
            asking[word].append(i)
    for i, statement in enumerate(statements):
        rare = {min(spoken, key=lambda word: len(asking.get(word, ()))) for form in statement.forms if (spoken := form.split())}
        near = {j for word in rare if len(asking.get(word, ())) <= _COMMON for j in asking.get(word, ())}
        found.update(_pair(i, j) for j in near if j != i and _asked_by_each_other(*_both(statements, (i, j)), least=0.5))
    return found


def _asked_by_each_other(one: Statement, other: Statement, *, least: float) -> bool:
    if not one.forms.isdisjoint(other.forms) or not (one.answered_in([other.quote]) and other.answered_in([one.quote])):
        return False
    shares = (other.answered_in(one.questions) / len(one.questions), one.answered_in(other.questions) / len(other.questions))
    return all(share > 0 and share >= least for share in shares)
