"""What can be an answer: names in code style, versions, PEP, CVE and issue numbers, dates, quantities, and what each is called.

Finding and naming only; where an answer stands in its sentence is read in `clauses`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from alas_assets.records import AnswerKind
from alas_assets.teachers.extractive.reading import CODE
from alas_assets.teachers.extractive.words import plural_noun, singular_noun, word_set

_NOUN_WORDS = (
    "parameter|argument|function|method|class|module|attribute|type|exception|option|flag|action|event|macro|constant|field|keyword|package"
    "|decorator|descriptor|property|slot|struct|structure|hook|variable|constructor|command|setting|directive|operator|format|codec|encoding"
    "|header|file|statement|warning|error|alias|proxy|iterator|context manager|API|interface|syntax|notation|prefix|suffix|value|code|tag"
    "|library|tool|builtin|built-in|object|instance|protocol|subclass|ABC|namespace|filter|handler|form|dependency|mode|switch|target|rule"
    "|endpoint|key|column|table|widget|signal|escape|type code|format code|specifier|algorithm|cipher|extension|branch|profiler"
    "|members?|project"
)
_PREMODIFIERS = (
    "keyword-only|positional-only|keyword|command-line|command line|environment|configure|format|type|configuration|soft|special|export"
    "|C API|C|module|class|instance|built-in|builtin|static|data|abstract|generic|system|compiler|build|config|return|default|string"
    "|integer|context|limited C API|HTTP|response|request|error|audit|public|private|CLI|callback|template|view|database|loop|import"
)
NOUN = rf"(?:(?:{_PREMODIFIERS})\s+){{0,2}}(?:{_NOUN_WORDS})(?:es|s)?\b"
_ADJECTIVE = (
    r"(?:new|optional|undocumented|deprecated|unused|internal|private|legacy|experimental|existing|old|special|additional"
    r"|corresponding|public"
    r"|non-standard|provisional|immutable|non-documented|soft-deprecated|long-deprecated|obsolete|abstract|first|second|third"
    r"|original|custom"
    r"|low-level|high-level|dedicated|undotted|alternative|following|official|built-in|removed|default|own|bundled|standard)"
)
_DETERMINER = r"(?:[Tt]he|[Aa]n?|[Ii]ts|[Aa] new|[Tt]he new)"
_NO_MODIFIER = (
    r"(?:to|of|in|for|on|with|by|from|as|at|via|and|or|is|are|was|has|have|that|which|when|if|not|now|also|using|than|its|their"
    r"|instead|following"
    r"|same|other|first|second|third|corresponding|like|into|under|between|(?:[a-z]+ly)"
    rf"|(?:{_NOUN_WORDS})s?)"
)
NAMES = rf"{CODE}(?:(?:,\s+(?:and\s+|or\s+)?|\s+and\s+|\s+or\s+){CODE})*"
_PHRASE = re.compile(
    rf"(?:(?P<det>{_DETERMINER}\s+)(?P<adj2>(?:(?!{_NO_MODIFIER}\b)[a-z][a-z-]+\s+){{1,2}})(?={CODE}\s+{NOUN})|(?P<det2>{_DETERMINER}\s+)?"
    rf"(?P<adj>(?:{_ADJECTIVE}(?:\s+and\s+|,?\s+))*))"
    rf"(?:(?P<lead>{NOUN})\s+(?:called\s+|named\s+)?)?(?P<names>{NAMES})(?:\s+(?P<noun>{NOUN}))?(?!')"
)
_BARE_PHRASE = re.compile(
    rf"(?P<det>{_DETERMINER}\s+)?(?P<adj>(?:{_ADJECTIVE}(?:\s+and\s+|,?\s+))*)"
    r"(?:(?P<names>(?!(?:a|an|the|of|for|to|in|and|or|with|its|any|all|some|both|one|two|three|more|other|each|same|that|this)\b)"
    r"[a-z][a-z0-9]*(?:_[a-z0-9_]+)?)\s+(?P<noun>(?:keyword-only |optional |keyword )?(?:parameter|argument)\b))(?!')"
)
_GENERIC_BARE = word_set(
    """
    new optional keyword positional required missing first second third last extra additional single default initial data named
    command line function method keyword-only undocumented module formatter type integer string float boolean input output class loop
    option following
    """
)
GENERIC = word_set(
    """
    true false none 0 1 -1 self cls args kwargs import from name key value str int bytes list dict object return yes no null any type
    data file python cpython string float tuple set bool is and or not if else for in
    """
)


@dataclass(frozen=True)
class Named:
    """A noun phrase around one or more names."""

    start: int
    end: int
    before: str
    """The words before the first name, determiner included: "a new method "."""
    names: tuple[str, ...]
    after: str
    """The noun that follows the names: " parameter", or ""."""
    noun: str
    """What to call one such thing, adjectives included: "new method"."""
    plural: bool


def bare(code: str) -> str:
    """Return a code span's content."""
    return code.strip("`").strip()


def noun_for(name: str) -> str:
    """Return what a name in code style is called when the text does not say: "function", "exception"; "" if it cannot be told."""
    if re.fullmatch(r"-{1,2}[A-Za-z][\w-]*(?:[ =].*)?(?:/--[\w-]+)?", name):
        return "command-line option"
    if re.fullmatch(r"(?:PYTHON|LD_|GIT_|HTTP_)[A-Z0-9_]+", name):
        return "environment variable"
    if re.fullmatch(r"PEP \d+", name):
        return "PEP"
    if re.fullmatch(r"[\w.]*\.?__\w+__\(.*\)", name):
        return "special method"
    if re.fullmatch(r"(?:_?Py[A-Z]?\w*|_Py_?\w+)\(\)", name):
        return "C API function"
    if re.fullmatch(r"[A-Za-z_][\w.]*\.[A-Z]\w*\.\w+\(.*\)|[A-Z]\w*\.\w+\(.*\)|[\w.]+\*?_\*?\w*\(\)", name) and re.search(
        r"[A-Z]\w*[a-z]\w*\.\w+\(", name
    ):
        return "method"
    if re.fullmatch(r"[A-Za-z_][\w.]*\([^()]*(?:/|=None)[^()]*\)|[A-Za-z_][\w.]*\(\)", name):
        return "function"
    if re.fullmatch(r"[A-Za-z_][\w.]*\(.*\)", name):
        return "call"
    if re.fullmatch(r"(?:application|text|image|audio|video|font|model)/[\w.+-]+", name):
        return "MIME type"
    last = name.rsplit(".", 1)[-1]
    if re.fullmatch(r"[A-Z]\w*(?:Error|Exception|Exit|Interrupt)", last):
        return "exception"
    if re.fullmatch(r"[A-Z]\w*Warning", last):
        return "warning"
    if re.fullmatch(r"_?(?:PY|Py)\w*_[A-Z0-9_]{3,}", name):
        return "macro"
    if re.fullmatch(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+", last):
        return "constant"
    if re.fullmatch(r"__\w+__", last):
        return "attribute"
    if re.fullmatch(r"[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+|[A-Z][A-Z0-9]*[a-z]\w*", last) and re.fullmatch(r"[\w.]+", name):
        return "class"
    if re.fullmatch(r"_?[A-Z]\w*\.[a-z_]\w*|[a-z_][\w.]*\.[A-Z]\w*\.[a-z_]\w*", name):
        return "API"
    if re.fullmatch(r"[a-z_][\w]*(?:\.[a-z_]\w*)+", name):
        return "API"
    return ""


def kind_of(name: str) -> AnswerKind:
    """Return the answer kind of a literal answer."""
    if re.fullmatch(r"PEP \d+", name):
        return "pep"
    if re.fullmatch(r"CVE[- ]\d{4}-\d+", name):
        return "cve"
    return "identifier"


def noun_phrase(text: str, start: int = 0) -> Named | None:
    """Read a noun phrase around names that begins at `start`: "the undocumented `glob0()` function"; None if none begins there."""
    match = _PHRASE.match(text, start) or _BARE_PHRASE.match(text, start)
    if not match:
        return None
    groups = match.groupdict()
    names = tuple(bare(code) for code in re.findall(CODE, groups["names"])) or (groups["names"],)
    if names[0] in _GENERIC_BARE and "`" not in groups["names"]:
        return None
    end = match.end()
    noun = groups.get("noun") or ""
    lead = groups.get("lead") or ""
    if not noun and text[end : end + 2] in ("'s", "s "):
        return None
    head = noun or lead or noun_for(names[0])
    plural = len(names) > 1 or (plural_noun(noun or lead) if (noun or lead) else False)
    words = groups.get("adj2") or groups.get("adj") or ""
    adjectives = " ".join(re.sub(r"\b(?:following|corresponding|first|own)\b", "", words).split()).strip(", ")
    adjectives = re.sub(r"^and | and$", "", adjectives)
    called = " ".join(part for part in (adjectives, singular_noun(head)) if part) if head else ""
    return Named(match.start(), end, text[match.start() : match.start("names")], names, text[match.end("names") : end], called, plural)


def aliases(answer: str, kind: str) -> list[str]:
    """Return other spellings that are as right as the answer."""
    found: list[str] = []
    if kind == "identifier":
        if answer.endswith("()"):
            found.append(answer[:-2])
            short = answer[:-2].split(".")
            if len(short) > 1 and len(short[-1]) > 3:
                found += [f"{short[-1]}()", short[-1]] if len(short) == 2 else [".".join(short[-2:]) + "()", f"{short[-1]}()", short[-1]]
        elif re.fullmatch(r"[A-Za-z_]\w*(?:\.\w+)+", answer):
            last = answer.rsplit(".", 1)[-1]
            if len(last) > 3:
                found.append(last)
        stripped = answer.strip("'\"")
        if stripped != answer:
            found.append(stripped)
    elif kind == "version":
        number = re.search(r"\d+(?:\.\d+)*\S*$", answer)
        if number and number[0] != answer:
            found += [number[0], f"version {number[0]}"]
    elif kind == "pep":
        digits = re.sub(r"\D", "", answer)
        found += [digits, f"PEP-{digits}"]
    elif kind == "cve":
        found.append(answer.replace(" ", "-") if " " in answer else answer.replace("CVE-", "CVE ", 1))
    return list(dict.fromkeys(alias for alias in found if alias and alias != answer))


def too_generic(answer: str) -> bool:
    """Say whether an answer is too common a word to be asked for."""
    plain = answer.strip("`'\" ()").lower()
    return plain in GENERIC or len(plain) < 2 or not re.search(r"\w", plain)
