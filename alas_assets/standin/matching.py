"""Finds recorded pairs by what a prompt shows: their quotes in its passages, their pages by outlines, their questions by wording.

Strings only; what is answered is `standin.answers`.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from alas_assets.provenance.ids import fold
from alas_assets.standin.pairs import RecordedPair
from alas_assets.standin.reading import Block
from alas_assets.synthesis.quotes import FoldedText, cuts_word
from alas_assets.synthesis.wording import mentions, normalise

_KEY = 8  # squeezed characters by which quotes are looked up
_LEAST_CERTAIN = 24  # squeezed characters from which a quote alone tells its page
_LINE_MARK = re.compile(r"(?m)^[ \t]*(?:#{1,6}|[-*+>]|\d{1,3}[.)])(?=[ \t])")
_LINK = re.compile(r"\[([^\[\]\n]{0,300})\]\([^()\s]{0,2000}\)")
_MARKS = frozenset("`*\\|")
_SAME = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u00a0": " "})
_WORD = re.compile(r"[a-z0-9]+")
_COMMON = frozenset("a an and as at by for from in into is it its of on or the this to was what with html index new python".split())  # noqa: SIM905
_LABEL = re.compile(r"(?mi)^(?:title|summary|headings):")
_LEAST_LIKE = 0.12  # cosine of an outline and a page's topics below which they have nothing to do with each other


class Squeezed:
    """A Markdown text without white space and marks, remembering where every character came from.

    A recorded quote was copied from the page as people see it, a passage is Markdown: so squeezed they are equal.
    """

    def __init__(self, text: str) -> None:
        """Squeeze the text once."""
        self.raw = text
        dropped = bytearray(len(text))
        for match in _LINE_MARK.finditer(text):
            dropped[match.start() : match.end()] = b"\x01" * (match.end() - match.start())
        for match in _LINK.finditer(text):
            dropped[match.start()] = 1
            dropped[match.end(1) : match.end()] = b"\x01" * (match.end() - match.end(1))
        plain = text.translate(_SAME)  # one character each, so that places stay
        self.places = [i for i, char in enumerate(plain) if not dropped[i] and char not in _MARKS and not char.isspace()]
        self.text = "".join(plain[i] for i in self.places)

    def verbatim(self, at: int, length: int) -> str | None:
        """Return what stands in the raw text at a place of the squeezed one, white space folded; None where it would cut a word."""
        start, end = self.places[at], self.places[at + length - 1] + 1
        if cuts_word(self.raw, start, end):
            return None
        while self.raw[start:end].count("`") % 2:  # a code mark that was left out at an end belongs to the quote
            if self.raw[start - 1 : start] == "`":
                start -= 1
            elif self.raw[end : end + 1] == "`":
                end += 1
            else:
                break
        quote = fold(self.raw[start:end])
        return quote if FoldedText(self.raw).locate(quote) is not None else None


@dataclass(frozen=True)
class Standing:
    """A recorded pair whose quote stands in a passage that a prompt shows."""

    pair: RecordedPair
    passage: int
    quote: str


class Library:
    """Recorded pairs, searched by passages, outlines and questions."""

    def __init__(self, pairs: Sequence[RecordedPair]) -> None:
        """Index the pairs."""
        self.pairs = list(pairs)
        self.pages: dict[str, list[RecordedPair]] = defaultdict(list)
        self._by_key: dict[str, list[int]] = defaultdict(list)
        self._by_question: dict[str, list[int]] = defaultdict(list)
        self._quotes = [Squeezed(pair.quote).text for pair in self.pairs]
        for i, pair in enumerate(self.pairs):
            self.pages[pair.page].append(pair)
            self._by_key[self._quotes[i][:_KEY]].append(i)
            for question in dict.fromkeys(normalise(text) for text in pair.asked):
                self._by_question[question].append(i)
        vocabularies = {page: _page_words(page, own) for page, own in self.pages.items()}
        held = Counter(word for words in vocabularies.values() for word in words)
        self._rarity = {word: math.log(1 + len(vocabularies) / count) for word, count in held.items()}
        self._vocabularies = {page: self._weigh(words) for page, words in vocabularies.items()}

    # ------------------------------------------------------------------------------------------ passages

    def standing(self, passages: Sequence[Block]) -> list[Standing]:
        """Return the pairs whose quotes stand in the passages, in recorded order, each with the first passage that holds it.

        Where pages share a quote, or a short quote may stand anywhere, the page with the most quotes in these passages has it.
        """
        found: dict[int, Standing] = {}
        for passage in passages:
            for i, quote in self._in(Squeezed(passage.text)):
                found.setdefault(i, Standing(self.pairs[i], passage.number, quote))
        shown = Counter(one.pair.page for one in found.values())
        best = {page: (count, page) for page, count in shown.items()}
        top = max(best.values(), default=(0, ""))
        claimed: dict[str, tuple[int, str]] = {}
        for i, one in found.items():
            claimed[self._quotes[i]] = max(best[one.pair.page], claimed.get(self._quotes[i], (0, "")))
        return [
            one
            for i, one in sorted(found.items())
            if claimed[self._quotes[i]] == best[one.pair.page] and (len(self._quotes[i]) >= _LEAST_CERTAIN or best[one.pair.page] == top)
        ]

    def _in(self, passage: Squeezed) -> list[tuple[int, str]]:
        candidates: set[int] = set()
        for at in range(len(passage.text)):
            candidates.update(self._by_key.get(passage.text[at : at + _KEY], ()))
        found: list[tuple[int, str]] = []
        for i in sorted(candidates):
            at = passage.text.find(self._quotes[i])
            while at >= 0:
                quote = passage.verbatim(at, len(self._quotes[i]))
                if quote is not None:
                    found.append((i, quote))
                    break
                at = passage.text.find(self._quotes[i], at + 1)
        return found

    # ------------------------------------------------------------------------------------------ outlines

    def recognise(self, outlines: Mapping[int, Block]) -> dict[int, str]:
        """Return for each outline number the recorded page that fits it best; outlines that fit none are left out.

        The best fits are taken first, and no page for two outlines.
        """
        words = {number: self._weigh(_outline_words(block.text)) for number, block in outlines.items()}
        fits = [
            (_cosine(own, theirs), number, page) for number, own in words.items() for page, theirs in self._vocabularies.items() if page
        ]
        chosen: dict[int, str] = {}
        for fit, number, page in sorted(fits, key=lambda item: (-item[0], item[1], item[2])):
            if fit >= _LEAST_LIKE and number not in chosen and page not in chosen.values():
                chosen[number] = page
        return chosen

    def _weigh(self, words: Mapping[str, float]) -> dict[str, float]:
        return {word: weight * self._rarity.get(word, 1.0) for word, weight in words.items()}

    # ------------------------------------------------------------------------------------------ questions

    def asking(self, question: str, reference: str = "") -> RecordedPair | None:
        """Return the pair that asks a question in one of its wordings; of several, the first whose answer the reference names."""
        places = self._by_question.get(normalise(question), ())
        pairs = [self.pairs[i] for i in places]
        if not reference:
            return pairs[0] if pairs else None
        return next((pair for pair in pairs if any(mentions(reference, text) for text in (pair.short_answer, *pair.aliases))), None)


def _tokens(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.casefold()) if word not in _COMMON]


def _page_words(page: str, pairs: Sequence[RecordedPair]) -> dict[str, float]:
    """Return what a recorded page is about: its name most of all, then its topics, each word once for each topic."""
    words: dict[str, float] = defaultdict(float)
    path = PurePosixPath(page)
    for word in _tokens(" ".join((*path.parent.parts[-1:], path.stem))):
        words[word] = max(words[word], 3.0)
    for topic in dict.fromkeys(pair.topic for pair in pairs):
        for word in set(_tokens(topic)):
            words[word] += 1.0
    return {word: min(weight, 4.0) for word, weight in words.items()}


def _outline_words(text: str) -> dict[str, float]:
    """Return what an outline is about: its first line, the title, most of all."""
    title, _, rest = _LABEL.sub("", text).strip().partition("\n")
    words: dict[str, float] = dict.fromkeys(_tokens(title), 3.0)
    for word in _tokens(rest):
        words[word] = min(words.get(word, 0.0) + 1.0, 4.0)
    return words


def _cosine(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    common = sum(weight * other[word] for word, weight in one.items() if word in other)
    size = math.sqrt(sum(w * w for w in one.values()) * sum(w * w for w in other.values()))
    return common / size if size else 0.0
