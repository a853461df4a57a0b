"""The last resort for a sentence that no question rule reads: the statement with one hard name or number left out.

Only sentences that stand on their own are taken; whether the gap has one right answer on its page is `checks`' work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from alas_assets.records import AnswerKind
from alas_assets.teachers.answers import kind_of, too_generic
from alas_assets.teachers.asking import Candidate
from alas_assets.teachers.forms import Asked, Setting, Wording
from alas_assets.teachers.reading import CODE, Unit
from alas_assets.teachers.words import word_set

MAX_WORDS = 32
MIN_WORDS = 6

_LEANS = word_set(
    """
    it its they their them this that these those he she his her here there such both another other others one some none without thus
    so but and or yet also then instead however otherwise therefore still likewise similarly meanwhile taken again even only hence
    conversely besides moreover furthermore nor neither either until otherwise finally next now
    """
)
_POINTS = re.compile(
    r"\b(?:below|above|following|former|latter|previous(?:ly)?|aforementioned|respectively|the same|as follows|chapter|page|therefore|thereby"
    r"|as well|instead$|too$|related|neighbouring|which ones|from then on|for now|such as|namely|that (?:copy|hook|one|way|case)|all of (?:them|these))\b",
    re.IGNORECASE,
)
_BACK = re.compile(r"^The (?:old|new|rest|same|other|first|second|last|latter|former|two|three|change|switch|result|reason|answer|idea)\b")
_HARD: tuple[tuple[re.Pattern[str], AnswerKind], ...] = (
    (re.compile(r"\bCVE-\d{4}-\d{3,7}\b"), "cve"),
    (re.compile(r"\bPEP \d{1,4}\b"), "pep"),
    (re.compile(r"\b[A-Z][A-Za-z]+ \d+(?:\.\d+)*\b(?!-)"), "version"),
    (re.compile(r"\b\d+(?:[.,]\d+)*(?:-\d+(?:\.\d+)?)?\s?(?:%|per cent)"), "quantity"),
    (re.compile(r"(?<=\s)\d+(?:[.,]\d+)*(?: (?:thousand|million|billion))?(?=\s[a-z]{3,})"), "quantity"),
    (re.compile(r"(?<=[a-z,] )[A-Z][a-z]+(?:[ -][A-Z][a-z]+)*\b"), "name"),
)
_LISTED = re.compile(r"(?:,|\band|\bor|/)\s+___|___(?:,)?\s+(?:and|or)\b(?!\s+[a-z]+s\b)|___/")
_NAME = re.compile(r"^-{0,2}@?[A-Za-z_.][\w.=-]*(?:\(\))?$")
_TRAILS = re.compile(r"(?:,|;) (?:which|who|so|because|as|and|but|while|where|whereas|though|although|for|or)\b.*$")


def setting(unit: Unit, about: str) -> Setting:
    """Place a gap by its page: a bare statement needs more around it than a question does."""
    title = (unit.headings[0] if unit.headings else unit.title).strip()
    if not title:
        return Setting(about, f"in {about}")
    where = f"“{title}”" if about in title else f"“{title}” ({about})"
    return Setting(where, f"on the page {where}")


def candidates(unit: Unit) -> Iterator[Candidate]:
    """Propose gaps for a sentence, hardest answer first; none for a sentence that leans on its neighbours."""
    text = unit.text.strip().rstrip(".")
    words = re.findall(r"[\w'`.()-]+", text)
    plain = re.sub(CODE, "x", text)
    if not MIN_WORDS <= len(words) <= MAX_WORDS or not re.match(r"[A-Z`]", text) or re.search(r"[!?:|]", plain):
        return
    if words[0].lower().strip("`") in _LEANS or _BACK.match(text) or _POINTS.search(plain):
        return
    for start, end, kind in _places(text):
        answer = text[start:end].strip("`")
        left = text[:start] + "___" + text[end:]
        if text.count(text[start:end]) != 1 or too_generic(answer) or len(answer) < 3 or _LISTED.search(left):
            continue
        if text[start] == "`" and not _NAME.match(answer):
            continue
        short = _TRAILS.sub("", left)
        varied = short if "___" in short and len(short.split()) >= MIN_WORDS else left
        yield Candidate("gap", Asked("gap", answer, kind, "", _worded(left), _worded(varied), text), unit.quote)


def _places(text: str) -> list[tuple[int, int, AnswerKind]]:
    """Return where an answer may be cut out: numbers and names of known kinds first, then code, the last one first."""
    spans = [match.span() for match in re.finditer(CODE, text)]
    found: list[tuple[int, int, AnswerKind]] = []
    for pattern, kind in _HARD:
        for match in pattern.finditer(text):
            if not any(start < match.end() and match.start() < end for start, end in spans):
                found.append((*match.span(), kind))
    code: list[tuple[int, int, AnswerKind]] = [(start, end, kind_of(text[start:end].strip("`"))) for start, end in reversed(spans)]
    names = [place for place in found if place[2] == "name"]
    return [place for place in found if place[2] != "name"] + code + names


def _worded(left: str) -> Wording:
    asked = f'what fills the gap in "{left}"'
    return Wording(front=asked, relative=asked, gap=left, indirect=asked)
