"""What a removed text is recognised by once it is gone: salted hashes of its runs of words (A3).

Nothing here can be turned back into the text. Where is searched is `removal.scan`; what is done about a hit is `removal.purge`.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from itertools import accumulate
from typing import Any
from urllib.parse import unquote

from pydantic import Field

from alas_assets.records import Record

RUN = 8
"""Words of a run: a sentence of another author that shares so many in a row shares more than chance."""
SHORTEST = 3
"""Words of a whole question or quote that is searched for; what is shorter stands in too many texts."""
SIZES = (RUN, 12, 20)
"""Words of a run where each is a word, a Chinese character, or a letter of another script that parts no words: as many as say as much."""
_HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_LETTERS = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Burmese
    "\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf"  # Khmer, Tai
    "\u1b00-\u1b7f\ua980-\ua9df"  # Balinese, Javanese
    "\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff\ua000-\ua48f"  # Japanese, Bopomofo, Yi
)
_WORD = re.compile(rf"(?=[^\W_])[{_HAN}{_LETTERS}]|(?:(?![{_HAN}{_LETTERS}])[^\W_])+")
_IS_HAN, _IS_LETTER = re.compile(f"[{_HAN}]"), re.compile(f"[{_LETTERS}]")
_ENOUGH = 120  # what a run must say; a number that all sizes divide
_TAG = re.compile(r"<[^<>]*>")
_ESCAPE = re.compile(r"(?<!\\)\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|[nrtbf\"'/])")
_DIGEST = 32  # hex digits: 128 bits


class Marks(Record):
    """The runs of words that only a source has, as salted hashes."""

    salt: str
    runs: dict[int, list[str]] = Field(default_factory=dict, description="words of a run to the hashes of such runs, sorted")
    shared: int = Field(default=0, description="runs of the source that stand in content that stays too, and are not searched for")
    too_short: int = Field(default=0, description="whole questions and quotes of fewer words than can be searched for")

    @property
    def count(self) -> int:
        """How many runs are searched for."""
        return sum(len(hashes) for hashes in self.runs.values())


def words_of(text: str) -> list[str]:
    """Return the words of a text, letter case and compatibility forms folded; punctuation and underscores part words.

    In scripts that put nothing between words every character is one: where words begin and end there, nobody can say for certain.
    """
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def marks_of(texts: Iterable[str], whole: Iterable[str], staying: Iterable[str], salt: str) -> Marks:
    """Return what texts are recognised by.

    Args:
        texts: Removed texts; every run in them counts that says as much as `RUN` words.
        whole: Removed strings, such as questions and quotes, that count as a whole where they are shorter than a run.
        staying: Content that stays; what it has in common with the removed is left out.
        salt: Keeps the hashes apart from those of any other takedown.
    """
    found: dict[int, set[str]] = {RUN: set()}
    too_short = 0
    for text in texts:
        _add_runs(found, words_of(text))
    for text in set(whole):
        words = words_of(text)
        said = sum(map(_says, words))
        if said >= _ENOUGH:
            _add_runs(found, words)
        elif said * RUN >= SHORTEST * _ENOUGH:
            found.setdefault(len(words), set()).add(" ".join(words))
        else:
            too_short += bool(words)
    before = sum(map(len, found.values()))
    begun = {size: {run.partition(" ")[0] for run in runs} for size, runs in found.items()}
    for text in staying:
        for form in forms(text):
            words = words_of(form)
            for size, runs in found.items():
                runs.difference_update(_windows(words, size, begun[size]))
    hashes = {size: sorted(_digest(run, salt) for run in runs) for size, runs in sorted(found.items()) if runs}
    return Marks(salt=salt, runs=hashes, shared=before - sum(map(len, hashes.values())), too_short=too_short)


def _says(word: str) -> int:
    size = SIZES[1] if _IS_HAN.match(word) else SIZES[2] if _IS_LETTER.match(word) else RUN
    return _ENOUGH // size


def _add_runs(found: dict[int, set[str]], words: Sequence[str]) -> None:
    """Add the shortest run from each word on that says enough; where that takes all words of a text, all of them."""
    said = [0, *accumulate(map(_says, words))]
    spans = []
    for start in range(len(words)):
        ends = (start + size for size in SIZES if start + size <= len(words))
        end = next((end for end in ends if said[end] - said[start] >= _ENOUGH), None)
        spans += [(start, end)] if end is not None else []
    if not spans and said[-1] >= _ENOUGH:
        spans = [(0, len(words))]
    for start, end in spans:
        found.setdefault(end - start, set()).add(" ".join(words[start:end]))


def _windows(words: Sequence[str], size: int, begun: Set[str] | None = None) -> Iterator[str]:
    """Yield every run of a text; of many texts only those that begin with a word of `begun`."""
    for start in range(len(words) - size + 1):
        if begun is None or words[start] in begun:
            yield " ".join(words[start : start + size])


def _runs(words: Sequence[str], size: int, salt: str) -> Iterator[str]:
    return (_digest(run, salt) for run in _windows(words, size))


def _digest(text: str, salt: str) -> str:
    return hashlib.sha256(f"{salt}\0{text}".encode()).hexdigest()[:_DIGEST]


def hashed(text: str, salt: str) -> str:
    """Return the salted hash of a whole string, its words folded as for runs."""
    return _digest(" ".join(words_of(text)), salt)


class Finder:
    """Tells whether texts hold a run of what was removed.

    Args:
        marks: What it is recognised by; of one takedown or of several.
    """

    def __init__(self, *marks: Marks) -> None:
        self._sets = [(one.salt, {size: frozenset(hashes) for size, hashes in one.runs.items()}) for one in marks]
        self._known: dict[tuple[int, int], frozenset[str]] = {}

    def runs(self, text: str) -> frozenset[str]:
        """Return the hashes of the runs of removed content that stand in a text, in whatever usual way it is escaped."""
        place = hash(text), len(text)  # Dagster tells the same texts many times over
        if place not in self._known:
            self._known[place] = frozenset(digest for form in forms(text) for digest in self._found(form))
        return self._known[place]

    def touches(self, text: str) -> bool:
        """Tell whether a text holds any run of the removed content."""
        return any(True for form in forms(text) for _ in self._found(form))

    def _found(self, text: str) -> Iterator[str]:
        words = words_of(text)
        for salt, sets in self._sets:
            for size, hashes in sets.items():
                yield from (digest for digest in _runs(words, size, salt) if digest in hashes)


def forms(text: str) -> Iterator[str]:
    """Yield a text as it is and, where it looks so, without its backslash escapes, markup, entities and percent signs."""
    yield text
    if "\\" in text:
        text = _ESCAPE.sub(_unescaped, text)
        yield text
    if "<" in text or "&" in text:
        yield html.unescape(_TAG.sub(" ", html.unescape(text) if "&lt;" in text else text))
    if "%" in text:
        yield unquote(text.replace("+", " "))


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else " "


def strings_in(value: Any) -> Iterator[str]:
    """Yield every string of a JSON-like value, keys too, however deep; a string that is JSON itself yields what it holds, too."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            yield one
            if one[:1] in ("{", "[", '"') and len(one) > 1:
                with suppress(ValueError, RecursionError):
                    left.append(json.loads(one))
        elif isinstance(one, Mapping):
            left += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            left += one
        elif isinstance(one, bytes | bytearray | memoryview):
            left.append(bytes(one).decode("utf-8", "replace"))


def redacted_json(value: Any, finder: Finder, note: str) -> Any:
    """Return a JSON-like value in which every string that holds removed content is replaced by a note; keys too."""
    if isinstance(value, str):
        return note if finder.touches(value) else value
    if isinstance(value, Mapping):
        return {redacted_json(key, finder, note): redacted_json(one, finder, note) for key, one in value.items()}
    if isinstance(value, list):
        return [redacted_json(one, finder, note) for one in value]
    return value
