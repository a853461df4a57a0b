"""Finds a quote in a stored text, exact after white-space folding, with offsets into the text as stored (S2).

Only strings and offsets; what a failed search means for a fact is `synthesis.curate`'s decision.
Texts are stored as Markdown. A model that reads `foo` often quotes foo: such a quote is found by what a reader sees, and what is
kept is the slice as it is stored, so that the citation stays verbatim.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Literal

from alas_assets.provenance import ids

_MAX_PIECES = 8
_MIN_PIECE_WORDS = 3
_ELLIPSIS = re.compile(r"\[?(?:\.\.\.+|…)\]?")
_MARKS = re.compile(
    r"""
      ^[ \t]*+(?:[-+>*]|\#{1,6})[ \t]+                                          # the sign of a list item or a heading
    | ^[ \t]*+\|?(?:[ \t]*+:?-{3,}+:?[ \t]*+\|)+(?:[ \t]*+:?-{3,}+:?)?[ \t]*+$  # the line under a table's head
    | [`*|]                                                                    # code, emphasis, table cells
    """,
    re.MULTILINE | re.VERBOSE,
)
"""Possessive, so that a long run of white space is read once and not once for every way to share it among the parts."""
_AROUND = "`*"
_JOINTS = "_-"
_LONGEST_JOINT = 4  # a longer run is a line or a blank to fill in; bounds what each place of a run costs
_SIGNS_OF_NUMBERS = "-+\u2212"
_SIGNS = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"'})
_UNSEEN = "\u00ad\u200b\u2060\ufeff"
_SPACED_SCRIPTS_END = 0x0590  # Latin, Greek, Cyrillic, Armenian: scripts that put spaces between words


class FoldedText:
    """A text folded as `ids.fold` does it, remembering where every folded character came from."""

    def __init__(self, text: str) -> None:
        """Fold the text once."""
        self.text = text
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.folded = self._fold(_composed(text))

    def _fold(self, characters: Iterable[tuple[str, int, int]]) -> str:
        folded: list[str] = []
        gap = False
        for char, start, end in characters:
            if char.isspace():
                gap = True
                continue
            if gap and folded:
                folded.append(" ")
                self._starts.append(start)
                self._ends.append(start)
            gap = False
            folded.append(char)
            self._starts.append(start)
            self._ends.append(end)
        return "".join(folded)

    def locate(self, quote: str) -> tuple[int, int] | None:
        """Return the offsets of the first place whose slice folds to the quote, or None.

        A place that cuts a word or a number ("Python 3.1" inside "Python 3.15") is not the quote.
        """
        needle = ids.fold(quote)
        if not needle:
            return None
        at = self.folded.find(needle)
        while at >= 0:
            last = at + len(needle) - 1
            start, end = self._starts[at], self._ends[last]
            if not cuts_word(self.folded, at, last + 1) and ids.fold(self.text[start:end]) == needle:
                return start, end
            at = self.folded.find(needle, at + 1)
        return None


class ShownText(FoldedText):
    """A Markdown text as a reader sees it, without marks and with straight quotation marks; offsets are the stored ones."""

    def __init__(self, text: str) -> None:
        """Fold the text once."""
        self.text = text
        self._starts = []
        self._ends = []
        self.folded = self._fold(_seen(text))

    def locate(self, quote: str) -> tuple[int, int] | None:
        """Return the offsets of the first place that shows what the quote shows, with the marks around it, or None."""
        needle = shown(quote)
        at = self.folded.find(needle) if needle else -1
        while at >= 0:
            end = at + len(needle)
            if not cuts_word(self.folded, at, end):
                return self._with_marks(self._starts[at], self._ends[end - 1])
            at = self.folded.find(needle, at + 1)
        return None

    def _with_marks(self, start: int, end: int) -> tuple[int, int]:
        while start > 0 and self.text[start - 1] in _AROUND:
            start -= 1
        while end < len(self.text) and self.text[end] in _AROUND:
            end += 1
        return start, end


def shown(text: str) -> str:
    """Return the folded text as a reader sees it: without Markdown marks and invisible characters."""
    return ShownText(text).folded


def _seen(text: str) -> Iterator[tuple[str, int, int]]:
    marks = {at for match in _MARKS.finditer(text) for at in range(*match.span())}
    for char, start, end in _composed(text):
        if start in marks:
            if text[start] == "|":  # what stands in two cells is two words
                yield " ", start, end
        elif char not in _UNSEEN:
            yield char.translate(_SIGNS), start, end


def _composed(text: str) -> list[tuple[str, int, int]]:
    """Return the NFC characters of a text, each with the slice it was composed from."""
    if unicodedata.is_normalized("NFC", text):
        return [(char, i, i + 1) for i, char in enumerate(text)]
    out: list[tuple[str, int, int]] = []
    start = 0
    while start < len(text):
        end = start + 1
        # nothing composes over more than three characters, so the last two are all that can meet the next
        while end < len(text) and _joins(text[max(start, end - 2) : end], text[end]):
            end += 1
        cluster = unicodedata.normalize("NFC", text[start:end])
        if cluster == text[start:end]:  # nothing composed: every character keeps its own place
            out.extend((char, start + i, start + i + 1) for i, char in enumerate(cluster))
        else:
            out.extend((char, start, end) for char in cluster)
        start = end
    return out


def _joins(cluster: str, char: str) -> bool:
    if char.isascii():
        return False
    if unicodedata.combining(unicodedata.normalize("NFD", char)[0]):
        return True
    # Hangul and some Indic letters compose although they are not combining marks
    if cluster[-1].isascii():
        return False
    apart = unicodedata.normalize("NFC", cluster) + unicodedata.normalize("NFC", char)
    return unicodedata.normalize("NFC", cluster + char) != apart


def cuts_word(text: str, start: int, end: int) -> bool:
    """Tell whether text[start:end] begins or ends inside a word, a name or a number: its sign, close_clients and 4.2-beta1 are whole."""
    return _inside(text, start) or _inside(text, end)


def _inside(text: str, at: int) -> bool:
    if not 0 < at < len(text):
        return False
    left, right = text[at - 1], text[at]
    if left.isalnum() and right.isalnum():
        return ord(left) < _SPACED_SCRIPTS_END and ord(right) < _SPACED_SCRIPTS_END
    number_goes_on = left.isdigit() and right in ".," and text[at + 1 : at + 2].isdigit()
    number_began = right.isdigit() and left in ".," and at > 1 and text[at - 2].isdigit()
    return number_goes_on or number_began or (left in _SIGNS_OF_NUMBERS and right.isdigit()) or _in_joint(text, at)


def _in_joint(text: str, at: int) -> bool:
    """Tell whether a place lies at underscores or a hyphen that join two parts of a name; those of _emphasis_ join nothing."""
    start, end = at, at
    while start > max(0, at - _LONGEST_JOINT) and text[start - 1] in _JOINTS:
        start -= 1
    while end < min(len(text), at + _LONGEST_JOINT) and text[end] in _JOINTS:
        end += 1
    joint = text[start:end]
    joins = bool(joint) and (joint == "-" or set(joint) == {"_"})
    return joins and start > 0 and end < len(text) and text[start - 1].isalnum() and text[end].isalnum()


Fault = Literal["stitched", "nowhere"]


def explain_missing(quote: str, folded_texts: str) -> Fault:
    """Tell how a quote that stands nowhere came about: put together from pieces that do stand somewhere, or made up.

    Args:
        quote: The quote, in any white space.
        folded_texts: The folded texts of all documents, separated by characters that no quote holds.
    """
    parts = [ids.fold(part) for part in _ELLIPSIS.split(ids.fold(quote))]
    rest = [part.split(" ") for part in parts if part]
    if not rest:
        return "nowhere"
    pieces = 0
    for part in rest:
        at = 0
        while at < len(part):
            length = _longest_run(part, at, folded_texts)
            if pieces >= _MAX_PIECES or length < min(_MIN_PIECE_WORDS, len(part)):
                return "nowhere"
            at += length
            pieces += 1
    return "stitched" if pieces > 1 else "nowhere"


def _longest_run(part: list[str], at: int, texts: str) -> int:
    """Return how many words from `at` stand together in the texts; occurrence is monotone, so halve the range."""
    low, high = 0, len(part) - at
    while low < high:
        middle = (low + high + 1) // 2
        if " ".join(part[at : at + middle]) in texts:
            low = middle
        else:
            high = middle - 1
    return low
