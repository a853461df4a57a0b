"""How two wordings are compared: words, near-equality, whether a text names an answer.

Pure string functions shared by curation, probes, leak check and preference mining. Grading is `evaluation`'s.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import zip_longest

from alas_assets.provenance import ids

# A word keeps the punctuation inside it (3.15.0a1, os.path.join, CVE-2026-1). An operator counts only when it stands
# alone, so that "7 + 5" and "7 - 5" differ while Markdown emphasis and leading dashes do not matter.
_WORD = re.compile(r"\w+(?:[.\-/:+']\w+)*|(?<![^\s`])[+\-*/%&|^~<>=@#$\\!]+(?![^\s`])")
_LINK = re.compile(r"\[([^\[\]]*)\]\([^()\s]*\)")
_CODE = re.compile(r"`([^`]+)`")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "\u00ad": None, "\u200b": None})
_PLURAL = re.compile(r"`s(?!\w)")
_BETWEEN_MEMBERS = re.compile(r",? (?:and|or) |, ")
_NUMBER_JOINT = r"[.,:/\-]"
GAP = "___"
"""What stands for what was left out of a sentence."""
NEAR_EQUAL_SHARE = 0.8
NEAR_EQUAL_WORDS = 0.85
WORDING_SHARE = 0.8
"""A probe that shares more than this share of its word 3-grams with one training row has that row's wording (S8).

Every phrasing of a fact repeats the fact's own words, so a share of one half or two thirds is normal for a rule-made
paraphrase. Moving a clause or turning a question into a cloze breaks 3 to 4 grams, and a probe of typical length (12
words) has 10: it falls to 0.6-0.7. Changing only the first word ("What" to "Which") breaks one: 0.9, the same wording.
"""


def clean(text: str) -> str:
    """Return text that any table can hold: lone surrogates, which have no UTF-8 form, become "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=50_000)
def plain(text: str) -> str:
    """Return text without case, Markdown marks and differences in white space."""
    return ids.fold(_LINK.sub(r"\1", unicodedata.normalize("NFKC", text).translate(_QUOTES).casefold()).replace("`", "").replace("*", ""))


@lru_cache(maxsize=50_000)
def words(text: str) -> tuple[str, ...]:
    """Return the lower-case words of a text in order; identifiers, versions and numbers stay whole."""
    return tuple(_WORD.findall(_LINK.sub(r"\1", unicodedata.normalize("NFKC", text).translate(_QUOTES).casefold())))


def normalise(text: str) -> str:
    """Return the form under which two wordings are equal; a text without words is its own plain form."""
    return " ".join(words(text)) or plain(text)


@lru_cache(maxsize=50_000)
def hard_tokens(text: str) -> frozenset[str]:
    """Return the words that carry identity: numbers, versions, identifiers, anything in code style; case counts.

    Two sentences that differ in one of them say different things, however alike they look (S5).
    """
    norm = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    return code_words(text) | {word for word in _WORD.findall(norm) if _is_hard(word)}


@lru_cache(maxsize=50_000)
def code_words(text: str) -> frozenset[str]:
    """Return the words of a text that stand in code style; case counts."""
    norm = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    return frozenset(word for span in _CODE.findall(norm) for word in _WORD.findall(span))


def differ_in_identity(one: str, other: str) -> bool:
    """Tell whether one sentence names a number, version or identifier that the other does not name at all.

    The other may name it without code style, as two pages mark up the same fact differently.
    """
    return not (carries_identity(other, one) and carries_identity(one, other))


def carries_identity(text: str, other: str) -> bool:
    """Tell whether a text names every number, version and identifier of the other, in code style or not."""
    return hard_tokens(other) <= cased_words(text)


def names_in_order(text: str) -> tuple[str, ...]:
    """Return the lower-case identifiers and capitalised words of a text in their order, numbers left out.

    So is a word right before a number: "in Python 3.15" may open a sentence or close it.
    """
    found = _WORD.findall(unicodedata.normalize("NFKC", text).translate(_QUOTES))
    hard = hard_tokens(text)
    named = (word for word, after in zip_longest(found, found[1:], fillvalue="") if not after[:1].isdigit())
    return tuple(word.casefold() for word in named if word[0].isupper() or (word in hard and not word[0].isdigit()))


@lru_cache(maxsize=50_000)
def cased_words(text: str) -> frozenset[str]:
    """Return the words of a text; case counts."""
    return frozenset(_WORD.findall(unicodedata.normalize("NFKC", text).translate(_QUOTES)))


def _is_hard(word: str) -> bool:
    return any(c.isdigit() or c in "_./:" for c in word) or any(c.isupper() for c in word[1:])


def mentions(text: str, phrase: str) -> bool:
    """Tell whether a text names a phrase as whole words; 3.1 is not named by 3.15, nor 3 by 3.15.

    A phrase without any visible character is never named.
    """
    needle, hay = plain(phrase), plain(text)
    if not needle:  # nothing but Markdown marks, such as the operator "*": compare as written
        raw = ids.fold(phrase)
        return bool(raw) and raw in ids.fold(text)
    return needle in hay and re.search(whole(needle), hay) is not None


def whole(text: str) -> str:
    """Return the pattern that finds a text as whole words, as `mentions` counts them."""
    before = r"(?<!\w)" if _is_word(text[0]) else ""
    before += rf"(?<!\d{_NUMBER_JOINT})" if text[0].isdigit() else ""
    after = r"(?!\w)" if _is_word(text[-1]) else ""
    after += rf"(?!{_NUMBER_JOINT}\d)" if text[-1].isdigit() else ""
    return before + re.escape(text) + after


def holds_answer(text: str, answer: str) -> bool:
    """Tell whether a text contains an answer: as it is, or every member of one that is a list ("`a` and `b`").

    A name in code style may stand in the plural (`DeprecationWarning`s).
    """
    text = _PLURAL.sub("`", text)
    if mentions(text, answer):
        return True
    members = [member for member in _BETWEEN_MEMBERS.split(ids.fold(answer)) if member]
    return len(members) > 1 and all(mentions(text, member) for member in members)


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def same_answer(answer: str, aliases: list[str], other: str, other_aliases: list[str]) -> bool:
    """Tell whether two answers are one: equal after normalisation, or they share an alias."""
    mine = {normalise(a) for a in (answer, *aliases)}
    return not mine.isdisjoint(normalise(a) for a in (other, *other_aliases))


@lru_cache(maxsize=50_000)
def word_set(text: str) -> frozenset[str]:
    """Return the set of lower-case words."""
    return frozenset(words(text))


@lru_cache(maxsize=50_000)
def trigrams(text: str) -> frozenset[tuple[str, ...]]:
    """Return the word 3-grams; a text of one or two words is one gram."""
    parts = words(text)
    return frozenset(parts[i : i + 3] for i in range(len(parts) - 2)) or frozenset({parts} if parts else ())


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the share of words that two sets have in common, 0..1; two empty sets share nothing."""
    union = len(one | other)
    return len(one & other) / union if union else 0.0


def shared_wording(text: str, other: str) -> float:
    """Return the share of a text's word 3-grams that stand in the other, 0..1 (S8)."""
    grams = trigrams(text)
    return len(grams & trigrams(other)) / len(grams) if grams else 0.0


def near_equal(text: str, other: str) -> bool:
    """Tell whether two questions are the same but for a word or the order (S8, guards).

    Either nearly all 3-grams of the shorter stand in the longer, or nearly all words are shared. "What is the capital
    of France?" and "... of Spain?" (3 of 4 grams, 5 of 7 words) are different questions by both.
    """
    one, two = trigrams(text), trigrams(other)
    if not one or not two:
        return normalise(text) == normalise(other)
    common = len(one & two)
    if common and common / min(len(one), len(two)) >= NEAR_EQUAL_SHARE:
        return True
    return jaccard(word_set(text), word_set(other)) >= NEAR_EQUAL_WORDS


class _GramIndex:
    """Which texts hold a word 3-gram; skips grams that are too common to decide."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Index the texts by position."""
        self._holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for i, text in enumerate(texts):
            for gram in trigrams(text):
                self._holders[gram].append(i)
        self._by_rare_gram: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for i, text in enumerate(texts):
            for gram in self._rarest(text):
                self._by_rare_gram[gram].append(i)

    def _rarest(self, text: str) -> list[tuple[str, ...]]:
        """Return so many of a text's rarest grams that whoever shares 80 % of all shares one of them."""
        grams = sorted(trigrams(text), key=lambda gram: (len(self._holders.get(gram, ())), gram))
        return grams[: int((1 - NEAR_EQUAL_SHARE) * len(grams) + 1e-9) + 1]

    def holding(self, text: str) -> set[int]:
        """Return every text that may hold 80 % of this one's grams, and perhaps others."""
        return {i for gram in self._rarest(text) for i in self._holders.get(gram, ())}

    def held_by(self, text: str) -> set[int]:
        """Return every text of whose grams this one may hold 80 %, and perhaps others."""
        return {i for gram in trigrams(text) for i in self._by_rare_gram.get(gram, ())}


class WordingIndex:
    """Many questions, searched for those that have the wording of one (equal, or over 80 % of its 3-grams; S8)."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Index the questions by position."""
        self._texts = list(texts)
        self._grams = _GramIndex(self._texts)
        self._equal: dict[str, list[int]] = defaultdict(list)
        for i, text in enumerate(self._texts):
            self._equal[normalise(text)].append(i)

    def holding(self, text: str) -> list[int]:
        """Return the positions of all questions that hold the wording of this one, ascending."""
        found = set(self._equal.get(normalise(text), ()))
        found |= {i for i in self._grams.holding(text) if shared_wording(text, self._texts[i]) > WORDING_SHARE}
        return sorted(found)

    def held_by(self, text: str) -> list[int]:
        """Return the positions of all questions whose wording this one holds, ascending."""
        found = set(self._equal.get(normalise(text), ()))
        found |= {i for i in self._grams.held_by(text) if shared_wording(self._texts[i], text) > WORDING_SHARE}
        return sorted(found)


class NearIndex:
    """Many questions, searched for those that one is nearly equal to; finds what `near_equal` finds, without comparing all."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Index the questions by position."""
        self._texts = list(texts)
        self._grams = _GramIndex(self._texts)
        self._by_word: dict[str, list[int]] = defaultdict(list)
        self._wordless: dict[str, list[int]] = defaultdict(list)
        for i, text in enumerate(self._texts):
            for word in word_set(text):
                self._by_word[word].append(i)
            if not words(text):
                self._wordless[normalise(text)].append(i)

    def find(self, text: str) -> list[int]:
        """Return the positions of all near-equal questions, ascending."""
        own = sorted(word_set(text), key=lambda word: (len(self._by_word.get(word, ())), word))
        if not own:
            return self._wordless.get(normalise(text), [])
        rarest = own[: int((1 - NEAR_EQUAL_WORDS) * len(own) + 1e-9) + 1]
        close = {i for word in rarest for i in self._by_word.get(word, ())}
        close |= self._grams.holding(text) | self._grams.held_by(text)
        return sorted(i for i in close if near_equal(text, self._texts[i]))
