# ruff: noqa: SIM905 - word lists read better as text
"""How texts are normalised and cut into whole tokens, and what is told of words alone: which carry no meaning, which are numbers.

Text only: nothing here knows of a gold answer. Where one stands in an answer is `evaluation.occurrences`', the values in a text are
`evaluation.values`'.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from alas_assets.evaluation.units import unit_of

ARTICLES = frozenset({"a", "an", "the"})
STOP = ARTICLES | frozenset(
    "in is of to and or for as it on at by with be was were are this that which what from its into has have had does do did "
    "who whom whose when where why how can will would should may now new there their than then if so such".split()
)
"""Words without a meaning of their own."""
GENERIC = STOP | frozenset("python cpython version versions release pep peps cve issue issues gh bpo bug number since".split())
"""The same, and words that any answer about a release may hold."""
_NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty".split()
    )
}
_CLAUSE_WORDS = frozenset({"but", "however"})

_TOKEN = re.compile(
    r"""
      \b[a-z](?:\+\+|\#)(?!\w)                                             # C++, C#
    | (?<![\w.])\d{4}-\d\d?(?:-\d\d?)?(?![\w-])                            # 2026-10-07
    | (?:(?:(?<!\S)|(?<=[(\[="'`]))-)?\d\w*(?:[.:]\d\w*)*(?:\.x\b)?        # 3.15.0a1, -1, 10:30, 3.x
    | [^\W\d]\w*(?:\.[^\W\d]\w*)*(?:-\d\w*(?:\.\d\w*)*)*(?:'(?:t|s|re|ve|ll|d|m)\b)?   # words, a.b.c, utf-8, isn't
    """,
    re.VERBOSE,
)
_CLAUSE_END = re.compile(r"[.,;:!?\n]")
_TRAILING_ZEROS = re.compile(r"(?<=\d)(?:\.0)+$")
_OPTIONS = re.compile(r"(?<![^\s`'\"(\[/|,])(-[A-Za-z])(?!\w)")
_WITH_UNIT = re.compile(r"(-?\d+(?:\.\d+)*)([^\W\d_]+)")
_MINUS = re.compile(r"(?<![^\s(\[\"'`=])(?<!\d\s)\u2013(?=\d)")
"""An en dash that is typed for a minus; behind a number it sets a range."""
_PATH = re.compile(r"(?<!\S)[`'\"(]*(?:[~.]{0,2}/\w|\w+:/)|/[\w-]+\.\w{1,5}(?!\w)")


@dataclass(frozen=True)
class Span:
    """Where something stands: character offsets into a normalised text."""

    start: int
    end: int

    def holds(self, other: Span) -> bool:
        """Tell whether another span lies within this one."""
        return self.start <= other.start and other.end <= self.end

    def overlaps(self, other: Span) -> bool:
        """Tell whether the two share a character."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class Token(Span):
    """A word, number, version or dotted name, and where it stands."""

    text: str
    new_clause: bool  # punctuation or "but" lies between it and the token before


@lru_cache(maxsize=20_000)
def normalise(text: str, options: bool = False) -> str:
    """Return the form in which texts are compared: NFKC, lower case, one spelling of PEPs, CVEs, versions and percent.

    Args:
        text: Any text.
        options: Whether options of one letter ("-V") keep their case, where that tells what is meant. Tokens are lower case all the same.
    """
    text = unicodedata.normalize("NFKC", text)
    text = re.sub("[\u2018\u2019\u02bc]", "'", re.sub("[\u201c\u201d]", '"', text))
    text = _MINUS.sub("-", text)
    text = re.sub("[\u2013\u2014]", " ; ", re.sub("[\u2010\u2011\u2212]", "-", text))
    parts = _OPTIONS.split(text) if options else [text]  # behind a plain quote or space, and with a plain hyphen
    text = "".join(part if i % 2 else unicodedata.normalize("NFKC", part.casefold()) for i, part in enumerate(parts))
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    text = re.sub(r"\bpeps?[\s\-_:#]{0,3}0*(\d+)", r"pep \1", text)
    text = re.sub(r"\bcve[\s\-_:]{0,3}(\d{4})[\s\-_](\d{4,})", r"cve-\1-\2", text)
    text = re.sub(r"\b(c?python|py)-?(?=\d+\.\d)", r"\1 ", text)
    text = re.sub(r"\bv(?=\d+\.\d)", "", text)
    text = re.sub(r"(?<=\d)[\s-]?(alpha|beta|release candidate|rc)[\s-]?(?=\d)", _pre_release, text)
    return re.sub(r"(?<=\d)\s?(?:%|per cent\b)", " percent", text)


def _pre_release(match: re.Match[str]) -> str:
    return {"alpha": "a", "beta": "b"}.get(match[1], "rc")


@lru_cache(maxsize=20_000)
def tokenise(text: str) -> tuple[Token, ...]:
    """Tokenise a normalised text; punctuation is dropped, whole numbers, versions and dotted names stay whole."""
    found: list[Token] = []
    end = 0
    for match in _TOKEN.finditer(text):
        word = match[0].casefold().removesuffix("'s")
        new_clause = bool(found) and (_CLAUSE_END.search(text, end, match.start()) is not None or found[-1].text in _CLAUSE_WORDS)
        found.append(Token(match.start(), match.end(), word, new_clause))
        end = match.end()
    return tuple(found)


def words(text: str) -> list[str]:
    """Return the whole tokens of a text, normalised, in order."""
    return [token.text for token in tokenise(normalise(text))]


def content_words(text: str) -> set[str]:
    """Return the tokens of a text that carry meaning (no articles, prepositions, auxiliaries)."""
    return {word for word in words(text) if word not in STOP}


def token_f1(answer: str, gold: str) -> float:
    """Return the F1 of the two bags of tokens, articles left out, 0..1 (E3)."""
    ours = Counter(word for word in words(answer) if word not in ARTICLES)
    theirs = Counter(word for word in words(gold) if word not in ARTICLES)
    common = (ours & theirs).total()
    return 2 * common / (ours.total() + theirs.total()) if common else 0.0


def canonical(word: str, kind: str) -> str:
    """Return the one spelling of a number word and of a unit in a quantity, and of a version, which a trailing ".0" leaves the same."""
    if kind == "version":
        return _TRAILING_ZEROS.sub("", word)
    return _NUMBER_WORDS.get(word) or unit_of(word) or word if kind == "quantity" else word


def parts_of(word: str, kind: str) -> tuple[str, ...]:
    """Return a token of a quantity as its number and the unit that is glued to it ("2.5gb", "500ms"); any other as it is."""
    match = _WITH_UNIT.fullmatch(word) if kind == "quantity" else None
    return (match[1], match[2]) if match else (word,)


def is_number(word: str) -> bool:
    """Tell whether a token is a number, in digits or as a word."""
    return word.lstrip("-")[:1].isdigit() or word in _NUMBER_WORDS


def is_token(text: str) -> bool:
    """Tell whether a normalised text is one token and nothing else."""
    return _TOKEN.fullmatch(text) is not None


def is_option(text: str) -> bool:
    """Tell whether a text is an option of one letter ("-V"), which another case makes another one."""
    return _OPTIONS.fullmatch(text.strip(" \t\n`'\"")) is not None


def has_token(text: str, span: Span) -> bool:
    """Tell whether a stretch of a normalised text holds a token."""
    return _TOKEN.search(text, span.start, span.end) is not None


def holds_path(text: str) -> bool:
    """Tell whether a normalised text holds a path, in which a slash sets no two names side by side."""
    return _PATH.search(text) is not None


def clause_before(span: Span, tokens: tuple[Token, ...]) -> list[str]:
    """Return the words of the clause in which something stands that come before it.

    Args:
        span: Where it stands.
        tokens: All tokens of the text.
    """
    first = next((i for i, token in enumerate(tokens) if token.end > span.start), len(tokens))
    begin = next((i for i in range(min(first, len(tokens) - 1), 0, -1) if tokens[i].new_clause), 0)
    return [token.text for token in tokens[begin:first]]
