"""The parts of a predicate that can be an answer: versions, PEP and CVE numbers, dates, counts, names in code style.

Finding only; the question that asks for a slot is built in `asking`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from alas_assets.records import AnswerKind
from alas_assets.teachers.extractive.answers import kind_of, noun_phrase
from alas_assets.teachers.extractive.reading import CODE
from alas_assets.teachers.extractive.words import SUBORDINATORS, word_set


@dataclass(frozen=True)
class Slot:
    """A part of a clause's rest that can be the answer."""

    start: int
    end: int
    answer: str
    kind: AnswerKind
    noun: str
    wh: str = "which"
    gap: str = "___"


_VERSION_NAME = r"(?:[A-Z][\w.+#-]*|macOS|glibc|iOS)(?: [A-Z][\w.+#-]*)?"
_VERSION = re.compile(rf"\b(?P<name>{_VERSION_NAME})\s+(?P<number>v?\d+(?:\.\d+)+[\w.-]*|v?\d{{1,3}})\b(?!\s*(?:%|[A-Za-z]+ions?\b))(?!-)")
_PEP = re.compile(r"\bPEP (\d{1,4})\b")
_CVE = re.compile(r"\bCVE[- ]\d{4}-\d{3,7}\b")
_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
DATE = re.compile(rf"\b(?:\d{{1,2}} (?:{_MONTH}) \d{{4}}|(?:{_MONTH}) \d{{1,2}},? \d{{4}}|\d{{4}}-\d{{2}}-\d{{2}}|(?:{_MONTH}) \d{{4}})\b")


_NUMBER_WORDS = {
    "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11",
    "twelve": "12",
}  # fmt: skip
_COUNT = re.compile(
    rf"\b(?P<number>\d[\d,]*(?:\.\d+)?(?: (?:thousand|million|billion))?|{'|'.join(_NUMBER_WORDS)})\s"
    r"(?P<noun>(?:(?!of\b|or\b|and\b|to\b|in\b|more\b|out\b|different\b|times\b|orders\b)[a-z][a-z-]+\s){0,2}[a-z]{3,}s)\b(?! of\b)"
)
_AFTER_SLOT = re.compile(
    r"\s*(?:$|[.]|(?:to|in|for|as|on|from|into|with|of|by|at|when|if|while|via|instead|during|using|without|after|before|since|or"
    r"|and|because|unless"
    r"|under|through|over|within|rather|until|between|among|that|at|only|now|too|also|directly|respectively|per)\b)"
)
_BEFORE_SLOT = re.compile(
    r"(?:^|\s)(?:to|in|since|from|by|with|at|on|under|for|until|after|before|as|of|than|into|via|through|like|now|also|only|using"
    r"|over|between|within"
    r"|against|about|(?:to|can|could|will|must|should|may|might) (?!be\b)[a-z]+)$"
)
_ISLAND = re.compile(
    r"\b(?:such as|like)\b|\b(?:by|for|of|in|with|without|after|before|when|while|about|from|on|instead of"
    r"|rather than)\s+(?!adding\b)[a-z-]+ing\b"
)


def find_slots(rest: str, plain: bool = True) -> list[Slot]:
    """Find the parts of a predicate that can be asked for and that stand in the main clause.

    Args:
        rest: What follows the finite verb.
        plain: The verb is a full verb, so that its object may stand first in `rest`.
    """
    found: list[Slot] = []
    limit = len(rest)
    masked = re.sub(CODE, lambda m: "x" * len(m[0]), rest)
    for match in re.finditer(r"[A-Za-z]+|[,;:+/]", masked):
        word = match[0]
        if match.start() > 0 and (word in SUBORDINATORS or word in ("and", "or", ",", ";", ":", "+")):
            limit = match.start()
            break

    def usable(start: int, end: int) -> bool:
        if end > limit or not _AFTER_SLOT.match(rest[end:]) or re.match(r"\s*(?:,|and\b|or\b)", rest[end:]):
            return False
        before = rest[:start].rstrip()
        if _ISLAND.search(re.sub(CODE, "x", before)):
            return False
        if before in ("called", "named", "now called", "known as"):
            return True
        return (not before and plain) or bool(before and _BEFORE_SLOT.search(before))

    for match in _VERSION.finditer(rest):
        name, number = match["name"], match["number"]
        if name.split()[0] in _NOT_PRODUCTS or re.fullmatch(_MONTH, name):
            continue
        if "." not in number and name not in _WHOLE_NUMBERED:
            continue
        trailing = re.match(r"\s+(?:(?:or|and) (?:later|newer|above|higher)|onwards?)\b", rest[match.end() :])
        if re.match(r"\s+(?:or|and) (?:earlier|older|below|lower)\b", rest[match.end() :]):
            continue
        end = match.end() + (trailing.end() if trailing else 0)
        if trailing:
            if match.start() < limit and _AFTER_SLOT.match(rest[end:]):
                found.append(Slot(match.start(), end, f"{name} {number}", "version", f"minimum {name} version", gap="___" + trailing[0]))
        elif usable(match.start(), end):
            found.append(Slot(match.start(), end, f"{name} {number}", "version", f"{name} version"))
    literal: tuple[tuple[re.Pattern[str], AnswerKind, str], ...] = ((_PEP, "pep", "PEP"), (_CVE, "cve", "CVE"), (DATE, "date", "date"))
    for pattern, kind, noun in literal:
        for match in pattern.finditer(rest):
            if usable(match.start(), match.end()):
                found.append(Slot(match.start(), match.end(), match[0], kind, noun))
    for match in _COUNT.finditer(rest):
        if usable(match.start(), match.end()):
            noun = match["noun"]
            found.append(Slot(match.start(), match.end(), match["number"], "quantity", noun, wh="how many", gap=f"___ {noun}"))
    for match in re.finditer(CODE, rest):
        for opener in re.finditer(r"(?:^|(?<=\s))(?=\S)", rest[: match.start() + 1]):
            named = noun_phrase(rest, opener.start())
            if named and named.start <= match.start() < named.end:
                if len(named.names) == 1 and not named.plural and usable(named.start, named.end):
                    gap = f"{named.before}___{named.after}" if named.after or named.before.strip() not in ("", "a", "an") else "___"
                    found.append(Slot(named.start, named.end, named.names[0], kind_of(named.names[0]), named.noun, gap=gap))
                break
    return found


_NOT_PRODUCTS = word_set(
    """
    PEP CVE RFC In On The Since Before After Until Annex Section Figure Table Chapter Note Step Part Level Phase Type Version CWE
    """
)
_WHOLE_NUMBERED = word_set(
    """
    LLVM GCC Clang Go Java Node Node.js Ubuntu Debian Fedora Windows MSVC Android iOS PostgreSQL Django Redis
    """
)
