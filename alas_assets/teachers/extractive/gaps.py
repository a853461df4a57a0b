"""The last resort for a sentence that no question rule reads: the statement with one hard name or number left out.

Only sentences that stand on their own are taken; whether the gap has one right answer on its page is `checks`' work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from alas_assets.records import AnswerKind
from alas_assets.teachers.extractive.answers import kind_of, too_generic
from alas_assets.teachers.extractive.asking import Candidate
from alas_assets.teachers.extractive.checks import content
from alas_assets.teachers.extractive.forms import Asked, Setting, Wording
from alas_assets.teachers.extractive.reading import CODE, Unit
from alas_assets.teachers.extractive.words import ADVERBS, BASES, LEADS, PAST_OF, is_finite, word_set

MAX_WORDS = 32
MIN_WORDS = 6

_LEANS = word_set(
    """
    it its they their them this that these those he she his her here there such both another other others one some none without thus
    so but and or yet also then instead however otherwise therefore still likewise similarly meanwhile taken again even only hence
    conversely besides moreover furthermore nor neither either until otherwise finally next now we our
    """
)
_POINTS = re.compile(
    r"\b(?:below|above|following|former|latter|previous(?:ly)?|aforementioned|respectively|the same|as follows|chapter|page|therefore"
    r"|thereby|as well|too$|related|neighbouring|which ones|from then on|for now|such as|namely|that (?:copy|hook|one|way|case)"
    r"|all of (?:them|these)|(?:the|any) others?"
    r"|see the|next (?:example|section|page)|both (?:are|is|were)|itself (?:is|was|are))\b|\binstead\b(?! of)",
    re.IGNORECASE,
)
_BACK = re.compile(
    r"^(?:The (?:old|new|rest|same|other|first|second|last|latter|former|two|three|change|switch|result|reason|answer|idea)\b"
    r"|(?:If|When) (?:true|false|set|given|enabled|disabled|so|not|omitted|present|absent|specified|supplied)\b)"
)
_BARE_SUBJECT = re.compile(r"^The ([a-z-]+) (?:([a-z]+ly|now|also|still|itself) )?([a-z]+)\b")
_KNOWN_SUBJECTS = word_set("interpreter compiler parser language runtime linker debugger installer installers kernel")
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_DATE = rf"\b(?:\d{{4}}-\d\d-\d\d|\d{{1,2}} (?:{_MONTHS}) \d{{4}}|(?:{_MONTHS}) (?:\d{{1,2}}, )?\d{{4}})\b"
_COUNTED = (
    r"(?! (?:and|or|with|for|from|onwards?|but|that|which|when|if|upwards?|to|by|than|after|before|instead|is|are|was|were|can|cannot"
)
_COUNTED += r"|will|would|must|may|has|have|had|does|did|also|only|now|not)\b)"
_HARD: tuple[tuple[re.Pattern[str], AnswerKind], ...] = (
    (re.compile(_DATE), "date"),
    (re.compile(r"\bCVE-\d{4}-\d{3,7}\b"), "cve"),
    (re.compile(r"\bPEP \d{1,4}\b"), "pep"),
    (re.compile(r"\bRFC \d{1,5}\b"), "identifier"),
    (re.compile(rf"\b(?!(?:{_MONTHS}|PEP|RFC|CVE|CWE) )[A-Z][A-Za-z]+ \d+(?:\.\d+)*(?![\w–-]|\.\d)"), "version"),
    (re.compile(r"(?<![\w.,–-])\d+(?:[.,]\d+)*(?:[–-]\d+(?:\.\d+)?)?\s?(?:%|per cent)"), "quantity"),
    (re.compile(rf"(?<=\s)(?!(?:19|20)\d\d\b)\d+(?:[.,]\d+)*(?: (?:thousand|million|billion))?(?=\s[a-z]{{3,}}){_COUNTED}"), "quantity"),
    (re.compile(r"(?<=[a-z,] )[A-Z][a-z]+(?:[ -][A-Z][a-z]+)*\b(?![ -]\d|-)"), "name"),
)
_COMMON_NAMES = word_set(
    f"""
    {_MONTHS.replace("|", " ")} Monday Tuesday Wednesday Thursday Friday Saturday Sunday Windows Linux Android Unix Boolean Unicode
    English American European Python Internet Web
    """
)
_LISTED = re.compile(
    r"(?:,|\band|\bor|/)\s+___|___(?:,)?\s+(?:and|or)\b(?!\s+[a-z]+s\b)|___/|___,\s+`|___[,;]\s+(?:[A-Z]\w*\s+)?v?\d|\d[,;]\s+___"
    r"|___ v?\d+\.\d"
)
_DENIED = re.compile(
    r"\b(?:not|nor|never|except|without)\s+(?:[a-z]+\s+){0,2}___"
    r"|___(?:(?!\b(?:that|which|who|whose|when|if|because|where|while|as|although|unless)\b)[^,;])*"
    r"\b(?:neither|nor|cannot|not|never|no(?! longer))\b"
)
_TWO_IN_ONE = re.compile(r"[.!?][A-Z]|[.!?] [a-z]|\bx (?:These|This|The|They|It|If|When|For|In)\b")
_NO_ARTICLE = re.compile(
    r"^(?!(?:The|An|Each|Every|Any) )[A-Z][a-z]+ ___ (?:function|method|class|macro|type|module|attribute|parameter"
    r"|argument|option|flag|constant|decorator)\b"
)
_CUT_VERB = re.compile(
    r"(?<!is)(?<!are)(?<!was)(?<!were)(?<!be)(?<!been) (?:no longer|now) (?:\w+ly )?(?:[a-z]+ed|taken|given|made|shown|written)\b"
)
_OTHER_VERSION = re.compile(r"\b[a-z]+ v?\d+\.\d[\w.]*")
_NAME = re.compile(r"^-{0,2}@?[A-Za-z_.][\w.=-]*(?:\(\))?$")
_PLACEHOLDER = re.compile(r"^(?:name|foo|bar|baz|spam|eggs|example|file|filename)\.\w+$")
_TRAILS = re.compile(r"(?:,|;) (?:which|who|so|because|but|while|where|whereas|though|although|for example)\b[^,;]*$")


def setting(unit: Unit, about: str) -> Setting:
    """Place a gap by its page: a bare statement needs more around it than a question does."""
    title = (unit.headings[0] if unit.headings else unit.title).strip()
    if not title:
        return Setting(about, f"in {about}")
    where = f"“{title}”" if about in title else f"“{title}” ({about})"
    return Setting(where, f"on the page {where}")


def candidates(unit: Unit) -> Iterator[Candidate]:
    """Propose gaps for a sentence, hardest answer first; none for a sentence that leans on its neighbours or is not a whole one."""
    text = unit.text.strip().rstrip(".")
    words = re.findall(r"[\w'`.()-]+", text)
    plain = re.sub(CODE, "x", text)
    if not MIN_WORDS <= len(words) <= MAX_WORDS or not re.match(r"[A-Z`]", text) or re.search(r"[!?:|]", plain) or "___" in text:
        return
    if words[0].lower().strip("`") in _LEANS or _BACK.match(text) or _POINTS.search(plain) or _unnamed_subject(plain):
        return
    if not _is_whole(plain):
        return
    for start, end, kind in _places(text):
        answer = text[start:end].strip("`")
        left = text[:start] + "___" + text[end:]
        if text.count(text[start:end]) != 1 or too_generic(answer) or len(answer) < 3 or _LISTED.search(left) or _DENIED.search(left):
            continue
        if text[start] == "`" and (not _NAME.match(answer) or _PLACEHOLDER.match(answer)):
            continue
        if _NO_ARTICLE.match(left) or not _says_enough(left):
            continue
        short = _TRAILS.sub("", left)
        varied = short if "___" in short and len(short.split()) >= MIN_WORDS and _says_enough(short) else left
        yield Candidate("gap", Asked("gap", answer, kind, "", _worded(left), _worded(varied), text), unit.quote)


def _unnamed_subject(plain: str) -> bool:
    """Say whether a sentence is about "the method" or "the label" that something before it named."""
    match = _BARE_SUBJECT.match(plain)
    return match is not None and match[1] not in _KNOWN_SUBJECTS and is_finite(match[3], False, match[2] in ADVERBS)


def _is_whole(plain: str) -> bool:
    """Say whether a text has a main verb or opens with one, as release notes do; "Support on Linux for x" has none."""
    if _CUT_VERB.search(plain) or _TWO_IN_ONE.search(plain):
        return False
    words = re.findall(r"[\w'-]+", plain)
    if words[0].lower() in BASES or words[0].lower() in PAST_OF:
        # "Table, index and view completion": a first word with a comma after it only looks like a verb
        return not re.match(r"\w+,", plain)
    return any(_is_verb(word, before) for before, word in pairwise(words))


def _is_verb(word: str, before: str) -> bool:
    after_plural = re.fullmatch(r"[a-z]{3,}[^s\W]s", before) is not None  # "constructors raise"
    return is_finite(word, before == "x" or after_plural, before in ADVERBS or before == "longer")


def _says_enough(left: str) -> bool:
    """Say whether what is left singles something out: three content words with a name in code style, five without."""
    said = content(left.replace("___", ""))
    return len(said) >= (3 if re.search(CODE, left) else 5)


def _places(text: str) -> list[tuple[int, int, AnswerKind]]:
    """Return where an answer may be cut out: numbers and names of known kinds first, then code, the last one first."""
    spans = [match.span() for match in re.finditer(CODE, text)]
    found: list[tuple[int, int, AnswerKind]] = []
    for pattern, kind in _HARD:
        for match in pattern.finditer(text):
            start, end = match.span()
            if any(first < end and start < last for first, last in spans):
                continue
            if kind == "name" and not _COMMON_NAMES.isdisjoint(re.split("[ -]", match[0])):
                continue
            if kind == "version" and (
                re.search(r"\s[A-Z]\w* $", text[:start]) or match[0].split()[0] in LEADS or _OTHER_VERSION.search(text)
            ):
                continue  # neither "Studio 18" of "Visual Studio 18" nor "From 4.2", nor one of the versions of a range
            if kind == "name" and re.search(r"\b[A-Z]\w* $", text[:start]):
                continue  # nor "Source" of "NGINX Open Source"
            found.append((start, end, kind))
    code: list[tuple[int, int, AnswerKind]] = [(start, end, kind_of(text[start:end].strip("`"))) for start, end in reversed(spans)]
    names = [place for place in found if place[2] == "name"]
    return [place for place in found if place[2] != "name"] + code + names


def _worded(left: str) -> Wording:
    asked = f'what fills the gap in "{left}"'
    return Wording(front=asked, relative=asked, gap=left, indirect=asked)
