# ruff: noqa: SIM905 - word lists read better as text
"""Deterministic grading of one answer against its gold answer: whole tokens, aliases, rivals, negation (E2, E3).

Pure text in, a grade out: no model, no table, no state. Who asks and who stores is `evaluation.answers`.
"""

from __future__ import annotations

import builtins
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from alas_assets.records import UNKNOWN
from alas_assets.teachers.protocol import Grade, GradeRequest

SPARE_WORDS = 40
"""Words an answer may have beyond the question's and the gold answer's.

A full sentence that repeats the question and gives the answer needs about their sum; forty more leave room for a
clause or two of explanation. What is longer is a text that happens to hold the answer, and reading it out of the text
is work that the student did not do.
"""

LIST_PIECES = 3
"""Pieces from which on an answer that consists of nothing else is a list, out of which somebody would have to pick the answer."""

LIST_PIECES_OPEN = 6
"""The same where the question may have several true answers, of which the gold answer names one."""

_ARTICLES = frozenset({"a", "an", "the"})
_STOP = _ARTICLES | frozenset(
    "in is of to and or for as it on at by with be was were are this that which what from its into has have had does do did "
    "who whom whose when where why how can will would should may now new there their than then if so such".split()
)
_GENERIC = _STOP | frozenset("python cpython version versions release pep peps cve issue issues gh bpo bug number since".split())
_NEGATORS = frozenset(
    "not no never neither nor isn't wasn't aren't weren't doesn't didn't don't won't cannot can't except excluding".split()
)
_NEGATING_PAIRS = frozenset({("instead", "of"), ("rather", "than"), ("other", "than")})
_TAKES_AWAY = frozenset({"without", "unlike", "lacks", "lacking"})
"""Words that deny what stands right behind them; behind a negator they affirm it ("does not run without X")."""
_ASKS_THE_ABSENT = frozenset(
    "avoid avoids avoided skip skips skipped omit omits omitted leave leaves left lack missing lose loses lost drop drops dropped remove "
    "removes removed spare spares save saves prevent prevents stop stops stopped need needs needed require requires required".split()
)
"""Words of a question whose answer may stand behind "without" and be right."""
_FORMERLY = frozenset({"formerly", "previously"})
_ASKS_THE_PAST = frozenset("before formerly previously previous former earlier until used old was were did had originally".split())
_CONDITIONS = frozenset("when whenever if unless where while once".split())
_VERBS_BEHIND_A_SUBJECT = frozenset("is are was were gets will occurs results".split())
_NOT_REALLY_NEGATED = frozenset({"only", "just", "merely", "until", "before"})  # "not only X", "not until X" affirm X
_NO_ANSWER = re.compile(
    r"^(?:(?:i am|i'm|sorry)[ ,]*)*"
    r"(?:i (?:do not|don't|cannot|can't) (?:know|say|tell|answer)|unknown|not sure|unsure|no idea|no answer|n/a)\b"
)
_HEDGES = re.compile(
    r"\bi (?:do not|don't|cannot|can't) (?:know|say|tell|answer)\b|\b(?:i am|i'm) (?:not sure|unsure)\b|\bi have no idea\b"
)
_DECLINES = re.compile(
    r"\b(?:i|we) (?:do not|don't|cannot|can't|could not|couldn't) (?:\w+ )?(?:know|say|tell|answer|find|determine|provide|have)\b"
    r"|\b(?:i am|i'm|we are|we're) (?:not (?:sure|certain|aware|familiar|able)|unsure|unaware|unable)\b"
    r"|^(?:unknown|not (?:sure|known)|unsure|no idea|no answer|n/a)\b"
    r"|\b(?:does not|doesn't|do not|don't|did not|didn't) exist\b"
    r"|\b(?:is not|isn't|was not|wasn't|are not|aren't) (?:known|documented|mentioned|listed|real)\b"
    r"|\bi have no (?:idea|knowledge)\b|\bno (?:information|record|mention)\b"
)
"""An answer that declines: it does not know, or says that what is asked about does not exist (S12)."""
_NOTHING_THERE = re.compile(r"\bthere (?:(?:is|was|are|were) (?:no|not any)|(?:isn't|wasn't|aren't|weren't) any)\b(?! such\b)")
"""The same, but only of what is asked about: "there is no limit" is a claim, and so is "no such call raises ValueError"."""
_NO_SUCH = re.compile(
    r"\b(?:no|any) such (?:\S++ ?){1,2}(?:$|\b(?:exists?|existed|called|named|known|in|of|for|on|at|to|with|here|that|which)\b)"
)
_HEAD = re.compile(r"\b(?:which|what|whose|how many|how much) (\w+)")
_THINGS = frozenset(
    "argument attribute class command feature function keyword method module name option parameter thing type version".split()
)
"""What something that does not exist may be called besides what the question calls it."""
_PIECE_END = re.compile(r"[,;\n]|[.!?:](?=\s|$)|\b(?:but|however|so|it's|it (?:is|was))\b")
_POINTS_ELSEWHERE = re.compile(r"^(?:please|could you|can you|would you|you (?:can|may|could|should)|if you)\b")
_DECLINING_WORDS = frozenset(
    "i i'm you me my we sorry unfortunately afraid apologize apologise know known say tell answer find determine provide have information "
    "details sure certain aware familiar able unable unsure unaware not don't doesn't cannot can't couldn't no any such exact specific "
    "enough about question record mention exist exists documented mentioned listed real called named name thing anything unknown idea "
    "n a am one ai language model isn't wasn't aren't weren't".split()
)
_MORE_DECLINING_WORDS = 3
"""Other words that a piece which declines may have ("in my training data"); a claim about the matter takes more, or a name."""
_NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty".split()
    )
}
_SCALES = frozenset("hundred thousand million billion trillion dozen".split())
_NUMBER_JOINTS = frozenset("and or to through".split())
_COUNTS_ANEW = frozenset("of more fewer less other".split())
"""Words behind a number that is no other value of the one before it ("4, 2 of them new")."""
_SAME_WITH = frozenset("based built made style type sized shaped".split())
"""What is X-based is answered by X."""
_LITERALS = (("True", "False", "None"), ("true", "false", "null"))
"""Values that are said in the place of each other."""
_OTHER_OCCASION = _CONDITIONS | _NEGATORS | _FORMERLY | frozenset("before earlier until used instead rather to for".split())
"""Beside one of these a literal is said of another time or case ("it was False before")."""
_SAID_APART = re.compile(r"[,;!?()\n]|[.:](?=\s)")
_BEFORE_THEN = re.compile(r"\b(?:before|until|till|prior to)(?: ([\w.]+))?$")
_BUILTINS = frozenset(name for name in dir(builtins) if name.islower() and not name.startswith("_"))
_MODULES = frozenset(name.casefold() for name in sys.stdlib_module_names) - {"builtins"}
_TYPED = frozenset({"version", "pep", "cve", "issue", "date"})
_FILE_SUFFIXES = frozenset(
    "py pyi pyc pth toml cfg ini txt md rst json yaml yml html xml csv js css c h cpp so dll exe zip gz whl sh log lock pem db".split()
)
_MONTHS = {
    month: number
    for number, names in enumerate(
        (
            ("january", "jan"), ("february", "feb"), ("march", "mar"), ("april", "apr"), ("may",), ("june", "jun"), ("july", "jul"),
            ("august", "aug"), ("september", "sep", "sept"), ("october", "oct"), ("november", "nov"), ("december", "dec"),
        ),
        start=1,
    )
    for month in names
}  # fmt: skip

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
_BULLET = r"(?:[-*\u2022]\s+|\d+[.)]\s+)?"
_LIST_JOINT = re.compile(rf"(?:[,;]|\n\s*{_BULLET}|\b(?:and|or)\b|(?<=[\w)`'\"\]\s])/)\s*")
_LIST_OPENING = re.compile(
    rf"[\s\"'(`]*(?:(?:it|this|that|they|these|the answers?) (?:is|are|was|were|(?:could|can|may|might) be)\b"
    rf"|either\b|one of\b|\s|:|{_BULLET})*"
)
_PATH = re.compile(r"(?<!\S)[`'\"(]*(?:[~.]{0,2}/\w|\w+:/)|/[\w-]+\.\w{1,5}(?!\w)")
_UNCOUNTED = _ARTICLES | {"of", "new"}
_LIST_WORDS = 3
"""Words that a piece of a list may have: a longer one may be a clause ("the call raises a ValueError")."""
_SEVERAL_TRUE = re.compile(
    r"\bwhere\b|\b(?:in|on) (?:which|what) (?:\w+ )?(?:city|town|state|country|continent|region|place|part)\b"
    r"|\b(?:what|which|who)(?: \w+){0,3} (?:are|were|have|do(?! (?:i|you|we)\b))\b|\bwhat (?:does|is an?)\b"
    r"|\bused for\b|\bmade (?:of|from)\b|\b(?:examples?|list|name (?:the|some|all|any|two|three|four|five))\b"
)
"""Questions with several true answers, or whose answer is said from small to large ("Agra, Uttar Pradesh, India")."""
_CLAUSE_WORDS = frozenset({"but", "however"})

_VERSION = re.compile(
    r"(?<![\w.])\d+(?:\.\d+)*(?:\.\d+(?:(?:a|b|rc|\.?dev|\.?post)\d+)?|\.x)(?!\w)(?!\s*(?:percent|seconds?|times|ms|kb|mb|gb)\b)"
)
_TRAILING_ZEROS = re.compile(r"(?<=\d)(?:\.0)+$")
_INTEGER = re.compile(r"(?<![\w.-])\d+(?![\w-]|\.\d)")
_PEP = re.compile(r"\bpep (\d+)")
_CVE = re.compile(r"(?<![\w-])(?:cve-)?(\d{4}-\d{4,})(?![\w-])")
_ISSUE = re.compile(r"(?:\b(?:gh|bpo|issues?|bugs?|pr|ticket)[\s#:-]{0,3}|#)(\d+)\b")
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATE = re.compile(
    rf"""
      (?<![\w.-])(?P<iy>\d{{4}})-(?P<im>\d\d?)(?:-(?P<id>\d\d?))?(?![\w-])
    | (?<![\w.])(?:(?P<d1>\d\d?)(?:st|nd|rd|th)?\s+(?:of\s+)?)?\b(?P<m1>{_MONTH})\b\.?
      (?:\s+(?P<d2>\d\d?)(?:st|nd|rd|th)?(?![\w.]))?(?:\s*,?\s*(?P<y1>\d{{4}}))?(?!\w)
    | (?<![\w.-])(?P<y2>(?:19|20)\d\d)(?![\w-]|\.\d)
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class _Token:
    text: str
    start: int
    end: int
    new_clause: bool  # punctuation or "but" lies between it and the token before


@dataclass(frozen=True)
class _Found:
    """Where something was found: character offsets into the normalised answer."""

    start: int
    end: int


@lru_cache(maxsize=20_000)
def normalise(text: str) -> str:
    """Return the form in which texts are compared: NFKC, lower case, one spelling of PEPs, CVEs, versions and percent."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    text = re.sub("[\u2018\u2019\u02bc]", "'", re.sub("[\u201c\u201d]", '"', text))
    text = re.sub("[\u2013\u2014]", " ; ", re.sub("[\u2010\u2011\u2212]", "-", text))
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
def _tokens(text: str) -> tuple[_Token, ...]:
    """Tokenise a normalised text; punctuation is dropped, whole numbers, versions and dotted names stay whole."""
    found: list[_Token] = []
    end = 0
    for match in _TOKEN.finditer(text):
        word = match[0].removesuffix("'s")
        new_clause = bool(found) and (_CLAUSE_END.search(text, end, match.start()) is not None or found[-1].text in _CLAUSE_WORDS)
        found.append(_Token(word, match.start(), match.end(), new_clause))
        end = match.end()
    return tuple(found)


def words(text: str) -> list[str]:
    """Return the whole tokens of a text, normalised, in order."""
    return [token.text for token in _tokens(normalise(text))]


def content_words(text: str) -> set[str]:
    """Return the tokens of a text that carry meaning (no articles, prepositions, auxiliaries)."""
    return {word for word in words(text) if word not in _STOP}


def token_f1(answer: str, gold: str) -> float:
    """Return the F1 of the two bags of tokens, articles left out, 0..1 (E3)."""
    ours = Counter(word for word in words(answer) if word not in _ARTICLES)
    theirs = Counter(word for word in words(gold) if word not in _ARTICLES)
    common = (ours & theirs).total()
    return 2 * common / (ours.total() + theirs.total()) if common else 0.0


def kind_of(answer: str) -> str:
    """Return the answer kind that a bare answer shows by its form, "phrase" where it shows none (for exams, E8)."""
    text = normalise(answer)
    core = [word for word in words(answer) if word not in _GENERIC]
    if re.search(r"\bpep \d+", text) and len(core) == 1:
        return "pep"
    if _CVE.search(text) and len(core) == 1:
        return "cve"
    if len(core) == 1 and _ISSUE.search(text):
        return "issue"
    if len(core) == 1 and _VERSION.fullmatch(core[0]):
        return "version"
    date = _DATE.search(text)
    if date and date.end() - date.start() >= len(text.strip(" .`'\"")) and (date["y1"] or date["iy"] or date["y2"]):
        return "date"
    return "phrase"


# ------------------------------------------------------------------------------------------------ finding things


def _same_token(one: str, other: str) -> bool:
    """Tell whether two tokens name the same thing: equal, or one is the other with module names in front."""
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    if "." not in long or not long.endswith("." + short) or not (short[0].isalpha() or short[0] == "_"):
        return False
    return short not in _FILE_SUFFIXES and not long[0].isdigit()


def _sequence(form: str, kind: str) -> list[str]:
    sequence = [_canonical(word, kind) for word in words(form)]
    return [word for word in sequence if word not in _ARTICLES] or sequence


def _canonical(word: str, kind: str) -> str:
    """Return the one spelling of a number word in a quantity, and of a version, which a trailing ".0" leaves the same."""
    if kind == "version":
        return _TRAILING_ZEROS.sub("", word)
    return _NUMBER_WORDS.get(word, word) if kind == "quantity" else word


def _occurrences(form: str, kind: str, answer: str) -> list[_Found]:
    """Find a form in a normalised answer as a sequence of whole tokens."""
    sequence = _sequence(form, kind)
    if _is_symbolic(form, sequence):
        return _symbol_occurrences(form, answer)
    only_articles = all(word in _ARTICLES for word in sequence)
    tokens = [token for token in _tokens(answer) if only_articles or token.text not in _ARTICLES]
    found: list[_Found] = []
    for i in range(len(tokens) - len(sequence) + 1):
        if all(_same_token(word, _canonical(tokens[i + j].text, kind)) for j, word in enumerate(sequence)):
            found.append(_Found(tokens[i].start, tokens[i + len(sequence) - 1].end))
    return found


def _is_symbolic(form: str, sequence: list[str]) -> bool:
    """Tell whether a form is made of its symbols ("|=", "* and **", "%d"), so that its words alone would match anything."""
    if not sequence:
        return True
    bare = form.strip(" \t\n`'\".,;:!?()")
    return (
        all(len(word) == 1 or word in _STOP for word in sequence)
        and re.search(r"[^\w\s'+#-]|[+-](?!\d)", bare) is not None
        and not (_TOKEN.fullmatch(normalise(bare)))
    )


def _symbol_occurrences(form: str, answer: str) -> list[_Found]:
    """Find a form by its characters ("|=", "...") between white space, quotes and back quotes allowed."""
    wanted = " ".join(normalise(form).split())
    if not wanted:
        return []
    pattern = r"(?<![^\s`'\"(])" + re.escape(wanted).replace(r"\ ", r"\s+") + r"(?![^\s`'\".,;)])"
    return [_Found(match.start(), match.end()) for match in re.finditer(pattern, answer)]


def _values(kind: str, text: str, integers: bool = False) -> list[tuple[Any, _Found]]:
    """Find the values of a typed kind in a normalised text: versions, PEP, CVE and issue numbers, dates.

    Args:
        kind: The answer kind; other kinds have no values.
        text: A normalised text.
        integers: Whether bare integers count as versions (where the gold answer is one).
    """
    lone = _lone_integer(text)
    if kind == "version":
        matches = [(_canonical(m[0], kind), m.span()) for m in _VERSION.finditer(text)]
        if integers:
            matches += [(m[0], m.span()) for m in _INTEGER.finditer(text)]
    elif kind == "pep":
        matches = [(m[1], m.span()) for m in _PEP.finditer(text)]
        taken = {span[1] for _, span in matches}
        for m in _INTEGER.finditer(text):  # "PEP 810 and 790": a bare number beside it is a PEP too, a year is not
            if m.end() not in taken and (m is lone or lone or (len(m[0]) in (3, 4) and not 1990 <= int(m[0]) < 2100)):
                matches.append((m[0].lstrip("0") or "0", m.span()))
    elif kind == "cve":
        matches = [(m[1], m.span()) for m in _CVE.finditer(text)]
    elif kind == "issue":
        matches = [(m[1], m.span()) for m in _ISSUE.finditer(text)]
        taken = {span[1] for _, span in matches}
        matches += [(m[0], m.span()) for m in _INTEGER.finditer(text) if m.end() not in taken and (lone or len(m[0]) in (5, 6))]
    elif kind == "date":
        matches = [(_date(m), m.span()) for m in _DATE.finditer(text)]
        matches = [(value, span) for value, span in matches if value != (None, None, None)]
    else:
        matches = []
    return [(value, _Found(*span)) for value, span in sorted(matches, key=lambda match: match[1])]


def _lone_integer(text: str) -> bool:
    tokens = _tokens(text)
    return len(tokens) == 1 and tokens[0].text.isdecimal()


def _date(match: re.Match[str]) -> tuple[int | None, int | None, int | None]:
    if match["iy"]:
        return int(match["iy"]), int(match["im"]), int(match["id"]) if match["id"] else None
    if match["y2"]:
        return int(match["y2"]), None, None
    day, year = match["d1"] or match["d2"], match["y1"]
    if match["m1"] == "may" and not (day or year):
        return None, None, None  # far more often the verb
    return int(year) if year else None, _MONTHS[match["m1"]], int(day) if day else None


def _agrees(kind: str, said: Any, gold: Any) -> bool:
    """Tell whether a value says at least what the gold value says; a date may be finer, never coarser."""
    if kind != "date":
        return said == gold
    return all(g is None or s == g for s, g in zip(said, gold, strict=True))


def _compatible(kind: str, one: Any, other: Any) -> bool:
    if kind != "date":
        return one == other
    return all(a is None or b is None or a == b for a, b in zip(one, other, strict=True))


def _is_only_values(form: str, values: list[tuple[Any, _Found]]) -> bool:
    spans = [found for _, found in values]
    rest = [t for t in _tokens(normalise(form)) if not any(f.start <= t.start and t.end <= f.end for f in spans)]
    return bool(values) and all(token.text in _GENERIC for token in rest)


def _negated(found: _Found, answer: str, question_words: frozenset[str]) -> bool:
    """Tell whether the words just before or after a hit deny it ("not PEP 810", "3.14 is not it")."""
    tokens = _tokens(answer)
    clause = _clause_before(found, tokens)
    before = clause[-3:]
    deny = any(word in _NEGATORS and word not in question_words for word in before)
    deny = deny or any(pair in _NEGATING_PAIRS and not question_words.issuperset(pair) for pair in pairwise(before))
    after = [token for token in tokens if token.start >= found.end][:2]
    near = next((word for word in reversed(before) if word not in _ARTICLES), "")
    if near in _TAKES_AWAY and not question_words & (_ASKS_THE_ABSENT | _TAKES_AWAY | _NEGATORS):
        return not deny
    if near in _FORMERLY and not question_words & _ASKS_THE_PAST:
        return True
    if deny and not _NOT_REALLY_NEGATED.intersection(before) and not _behind_a_condition(clause, after):
        return True
    if question_words & _NEGATORS:
        return False
    if not after or after[0].new_clause:
        return False
    if after[0].text in {"isn't", "wasn't", "aren't", "weren't"}:
        return True
    return (
        len(after) == 2 and after[0].text in {"is", "was", "are", "were"} and after[1].text in {"not", "never"} and not after[1].new_clause
    )


def _clause_before(found: _Found, tokens: tuple[_Token, ...]) -> list[str]:
    """Return the words of the clause in which something was found that stand before it."""
    first = next((i for i, token in enumerate(tokens) if token.end > found.start), len(tokens))
    begin = next((i for i in range(min(first, len(tokens) - 1), 0, -1) if tokens[i].new_clause), 0)
    return [token.text for token in tokens[begin:first]]


def _behind_a_condition(clause: list[str], after: list[_Token]) -> bool:
    """Tell whether a hit is a subject behind a condition, whose negator is not about it ("if it does not exist an OSError is raised")."""
    spoken = bool(after) and not after[0].new_clause and after[0].text in _VERBS_BEHIND_A_SUBJECT
    return spoken and not _CONDITIONS.isdisjoint(clause)


# ------------------------------------------------------------------------------------------------ parts of something else


def _is_another(hit: _Found, hits: list[_Found], forms: list[str], kind: str, answer: str, question_words: frozenset[str]) -> bool:
    """Tell whether the words of a hit name something else than the gold answer ("non-blocking", "os.open()", "before 3.15").

    A word of the question, or of another hit, makes nothing else of it ("honey-bee" where honey is asked about).
    """
    tokens = _tokens(answer)
    if kind in _TYPED:
        return kind == "version" and _before_then(_clause_before(hit, tokens), question_words)
    known = question_words | _ARTICLES | {token.text for token in tokens if any(_holds(one, token) for one in hits)}
    before = next((token for token in reversed(tokens) if token.end <= hit.start), None)
    after = next((token for token in tokens if token.start >= hit.end), None)
    return (
        (before is not None and before.text not in known and _joined(answer, before.end, hit.start))
        or (after is not None and after.text not in known and _goes_on(hit, after, answer))
        or _of_another_module(answer[hit.start : hit.end], forms, question_words)
        or (kind == "quantity" and _is_one_of_two_numbers(hit, forms, answer, question_words))
    )


def _holds(found: _Found, token: _Token) -> bool:
    return found.start <= token.start and token.end <= found.end


def _joined(answer: str, start: int, end: int) -> bool:
    """Tell whether nothing but a hyphen, or a slash outside of a path, lies between two places."""
    joint = answer[start:end].strip("()`'\"")
    if joint != "/":
        return joint == "-"
    chunk = next((match[0] for match in re.finditer(r"\S+", answer) if match.end() > start), "")
    return _PATH.search(chunk) is None


def _goes_on(hit: _Found, after: _Token, answer: str) -> bool:
    """Tell whether the word behind a hit makes another name or number of it; a number may have a unit ("8-bit", "4-sided")."""
    said = _tokens(answer[hit.start : hit.end])
    if said and _is_number(said[-1].text):
        if after.text in _SCALES and not answer[hit.end : after.start].strip():
            return True
        if not _is_number(after.text):
            return False
    return after.text not in _SAME_WITH and _joined(answer, hit.end, after.start)


def _is_number(word: str) -> bool:
    return word.lstrip("-")[:1].isdigit() or word in _NUMBER_WORDS


def _before_then(clause: list[str], question_words: frozenset[str]) -> bool:
    """Tell whether a clause sets a version as the end of something, by which the version itself is not named ("before Python 3.15")."""
    found = _BEFORE_THEN.search(" ".join(word for word in clause if word not in _ARTICLES))
    if found is None or found[1] in _STOP or question_words & {"before", "until", "till", "prior"}:
        return False
    return _NEGATORS.isdisjoint(clause)  # "no change until 3.15", "not before 3.15" do name it


def _of_another_module(name: str, forms: list[str], question_words: frozenset[str]) -> bool:
    """Tell whether a name is a built-in's behind a module that neither gold answer nor question names ("os.open", "typing.List")."""
    module, _, bare = name.rpartition(".")
    if bare not in _BUILTINS or module not in _MODULES:
        return False
    return not any(name in normalise(form) for form in forms) and not any(f"{word}.".startswith(f"{module}.") for word in question_words)


def _is_one_of_two_numbers(hit: _Found, forms: list[str], answer: str, question_words: frozenset[str]) -> bool:
    """Tell whether a quantity is said as one of two or as the end of a range ("2 or 4", "between 2 and 4 workers")."""
    known = {_canonical(word, "quantity") for form in forms for word in words(form)} | {_canonical(w, "quantity") for w in question_words}
    tokens = _tokens(answer)
    numbers = [i for i, token in enumerate(tokens) if _is_number(token.text)]
    beside = [(a, b) for a, b in pairwise(numbers) if _holds(hit, tokens[a]) != _holds(hit, tokens[b])]
    others = [(a, b, a if _holds(hit, tokens[b]) else b) for a, b in beside]
    return any(_canonical(tokens[i].text, "quantity") not in known and _alternatives(tokens, a, b, answer) for a, b, i in others)


def _alternatives(tokens: tuple[_Token, ...], a: int, b: int, answer: str) -> bool:
    """Tell whether two numbers are joined, each with the same unit or none; "from 2 to 4" may be a change."""
    between = [token.text for token in tokens[a + 1 : b]]
    unit = tokens[b + 1].text if b + 1 < len(tokens) and not tokens[b + 1].new_clause else ""
    rest = [word for word in between if word not in _NUMBER_JOINTS]
    if unit in _COUNTS_ANEW or (a and tokens[a - 1].text == "from") or rest not in ([], [unit]):
        return False
    return len(rest) < len(between) or answer[tokens[a].end : tokens[b].start].strip() in {",", ";", "-"}


# ------------------------------------------------------------------------------------------------ the grade


def grade(request: GradeRequest) -> Grade:
    """Grade one answer on whole tokens (E3); never raises on any text.

    An answer is *correct* when the gold answer or an alias occurs in it as whole tokens, is not denied, is not merely a part of another
    name or number, and nothing of the same kind is named beside it: no rival, and for versions, PEPs, CVEs, issues and dates no other
    value that the question does not hold. A list of names, and an "I do not know", with the gold answer beside it are wrong. It is
    *partial* with a token F1 of at least 0.5, or when it is a part of a gold answer of several words and names no other number.
    A probe without a gold answer is *failed*, never right or wrong. A question that nobody can answer (kind `unknown`) is answered
    right by declining, and by nothing else.
    """
    kind = request.answer_kind
    if kind == UNKNOWN:
        return _grade_unknown(request)
    forms = [form for form in dict.fromkeys([request.gold, *request.aliases]) if _sequence(form, kind) or normalise(form).split()]
    if not forms:
        return Grade(label="failed", explanation="the probe has no gold answer to compare with")
    answer = normalise(request.answer)
    if not answer.split():
        return Grade(label="incorrect", error_type="omission", explanation="the answer is empty")

    integers = kind == "version" and not any(_values(kind, normalise(form)) for form in forms)
    said = _values(kind, answer, integers)
    gold_values: list[Any] = []
    hits: list[_Found] = []
    for form in forms:
        values = _values(kind, normalise(form), integers)
        gold_values += [value for value, _ in values]
        hits += _occurrences(form, kind, answer)
        if _is_only_values(form, values):
            matches = [[found for value, found in said if _agrees(kind, value, gold)] for gold, _ in values]
            if all(matches):
                hits += [found for group in matches for found in group]

    question = normalise(request.question)
    question_words = frozenset(token.text for token in _tokens(question))
    asked = [value for value, _ in _values(kind, question, integers)]
    known = gold_values + asked
    others = [str_value(value) for value, _ in said if not any(_compatible(kind, value, other) for other in known)]
    rivals = others or _named_rivals(request, forms=forms, kind=kind, answer=answer, question=question, hits=hits)
    rivals = rivals or _other_literals(request, answer, question_words)
    if not hits:
        return _not_found(request, forms=forms, kind=kind, answer=answer, rivals=rivals, said=said, gold_values=gold_values)
    if rivals:
        error = "wrong version" if kind == "version" else "misinterpretation"
        return Grade(label="incorrect", error_type=error, explanation=f"names {rivals[0]!r} beside the gold answer")
    return _held_against(answer, question, forms, kind, hits) or Grade(label="correct", explanation="holds the gold answer")


def _held_against(answer: str, question: str, forms: list[str], kind: str, hits: list[_Found]) -> Grade | None:
    """Return why an answer that holds the gold answer and no rival does not give it; None where nothing speaks against it."""
    question_words = frozenset(token.text for token in _tokens(question))
    allowed = len(question_words) + max(len(words(form)) for form in forms) + SPARE_WORDS
    length = len(_tokens(answer))
    if length > allowed:
        return Grade(
            label="incorrect", error_type="other", explanation=f"the gold answer is one of {length} words, {allowed} would do to state it"
        )
    standing = [hit for hit in _widest(hits) if not _is_another(hit, hits, forms, kind, answer, question_words)]
    if not standing:
        error = "wrong version" if kind == "version" else "misinterpretation"
        return Grade(label="incorrect", error_type=error, explanation="names the gold answer as a part of something else only")
    if _HEDGES.search(answer) and not any(_HEDGES.search(normalise(form)) for form in forms):
        return Grade(label="incorrect", error_type="omission", explanation="says that it does not know, and the gold answer beside it")
    if any(_negated(found, answer, question_words) for found in standing):
        return Grade(label="incorrect", error_type="misinterpretation", explanation="denies the gold answer")
    pieces = _others_listed(answer, question, forms, hits)
    if pieces:
        return Grade(label="incorrect", error_type="other", explanation=f"the gold answer is one of a list of {pieces}")
    return None


def _others_listed(answer: str, question: str, forms: list[str], hits: list[_Found]) -> int:
    """Return of how many pieces an answer is a list that holds others beside the gold answer; 0 where it is none.

    A piece that holds a part of the question names nothing else, and one other piece may say the gold answer in other words.
    """
    least = LIST_PIECES_OPEN if _SEVERAL_TRUE.search(question) else LIST_PIECES
    pieces = _list_pieces(answer, hits)
    if len(pieces) < least or any(len(_list_pieces(normalise(form), [])) >= LIST_PIECES for form in forms):
        return 0
    asked = {token.text for token in _tokens(question)} | _STOP
    others = [
        piece
        for piece in pieces
        if not any(hit.start < piece.end and piece.start < hit.end for hit in hits)
        and any(token.text not in asked for token in _tokens(answer[piece.start : piece.end]))
    ]
    return len(pieces) if len(others) > 1 else 0


def _list_pieces(text: str, whole: list[_Found]) -> list[_Found]:
    """Split a normalised text that is nothing but short names side by side; what is to stay whole is not split. Empty for other texts."""
    end = len(text.rstrip(" .!?\n`'\")*"))
    opening = _LIST_OPENING.match(text)
    start = opening.end() if opening else 0
    if re.search(r"(?<!\d)[.!?:](?=\s)", text[start:end]):
        return []
    pieces: list[_Found] = []
    for joint in [*_LIST_JOINT.finditer(text, start, end), None]:
        if joint and (_within(joint, text, start) or any(hit.start < joint.end() and joint.start() < hit.end for hit in whole)):
            continue
        pieces.append(_Found(start, joint.start() if joint else end))
        start = joint.end() if joint else end
    pieces = [piece for piece in pieces if _TOKEN.search(text, piece.start, piece.end)]
    return pieces if all(_is_a_name(piece, text, whole) for piece in pieces) else []


def _is_a_name(piece: _Found, text: str, whole: list[_Found]) -> bool:
    """Tell whether a piece is what is to stay whole and nothing else, or a name that is short and no clause."""
    said = [token for token in _tokens(text) if piece.start <= token.start and token.end <= piece.end]
    if any(all(hit.start <= token.start and token.end <= hit.end for token in said) for hit in whole):
        return True
    counted = [token.text for token in said if token.text not in _UNCOUNTED]
    return len(counted) <= _LIST_WORDS and not _STOP.intersection(counted)


def _within(joint: re.Match[str], text: str, start: int) -> bool:
    """Tell whether a joint is inside brackets, or a slash inside a path."""
    before = text[start : joint.start()]
    if any(before.count(opened) > before.count(closed) for opened, closed in ("()", "[]", "{}")):
        return True
    return joint[0].strip() == "/" and _PATH.search(text) is not None


def _grade_unknown(request: GradeRequest) -> Grade:
    if not normalise(request.answer).split():
        return Grade(label="incorrect", error_type="omission", explanation="the answer is empty")
    if declines(request.answer, request.question):
        return Grade(label="correct", explanation="says that it does not know, or that there is no such thing")
    return Grade(label="incorrect", error_type="misinterpretation", explanation="gives an answer where nobody can know one")


def declines(answer: str, question: str) -> bool:
    """Tell whether an answer only declines: it says that it does not know or that there is no such thing, and claims nothing else.

    Apologies, repetitions of the question and pointers elsewhere may stand beside; a number or a name that the question does not hold,
    or a further statement ("I do not know. It is the depth argument."), is an answer.
    """
    asked = frozenset(words(question))
    named = asked - set(_HEAD.findall(normalise(question)))  # "there is no limit" answers which limit there is
    pieces = [piece.strip(" `'\"*()") for piece in _PIECE_END.split(normalise(answer))]
    found = False
    for piece in filter(None, pieces):
        foreign = content_words(piece) - asked - _DECLINING_WORDS
        declining = _DECLINES.search(piece) is not None or _denies_what_is_asked(piece, named, foreign)
        if any(any(c.isdigit() or c in "._" for c in word) for word in foreign):
            return False
        if declining:
            found = True
        if len(foreign) > (_MORE_DECLINING_WORDS if declining else 0) and not _POINTS_ELSEWHERE.match(piece):
            return False
    return found


def _denies_what_is_asked(piece: str, named: frozenset[str], foreign: set[str]) -> bool:
    """Tell whether a piece says that there is no such thing, and names nothing but what the question names."""
    if len(foreign - _THINGS) <= 1 and _NO_SUCH.search(piece):
        return True
    found = _NOTHING_THERE.search(piece)
    return found is not None and foreign <= _THINGS and bool(named.intersection(content_words(piece[found.end() :])) - _THINGS)


def _widest(hits: list[_Found]) -> list[_Found]:
    """Leave out hits inside wider ones: the "not" of a gold answer "not allowed" denies nothing, whatever its aliases are."""
    return [hit for hit in hits if not any(other != hit and other.start <= hit.start and hit.end <= other.end for other in hits)]


def str_value(value: Any) -> str:
    """Return a typed value as people write it; dates as YYYY-MM-DD with what is known."""
    if not isinstance(value, tuple):
        return str(value)
    return "-".join("??" if part is None else f"{part:02d}" for part in value)


def _named_rivals(request: GradeRequest, *, forms: list[str], kind: str, answer: str, question: str, hits: list[_Found]) -> list[str]:
    """Return the rivals that the answer names outside the gold answer; what the question itself names is no rival."""
    gold_sequences = [_sequence(form, kind) for form in forms]
    named: list[str] = []
    for rival in request.rivals:
        sequence = _sequence(rival, kind)
        if not sequence or all(word in _STOP for word in sequence):
            continue
        if any(_same_sequence(sequence, gold) for gold in gold_sequences) or _occurrences(rival, kind, question):
            continue
        for found in _occurrences(rival, kind, answer):
            if not any(hit.start <= found.start and found.end <= hit.end for hit in hits):
                named.append(rival)
                break
    return named


def _other_literals(request: GradeRequest, answer: str, question_words: frozenset[str]) -> list[str]:
    """Return what an answer says in the place of a gold answer that is True, False or None."""
    gold, accepted = request.gold.strip(" .`'\""), {alias.strip(" .`'\"") for alias in request.aliases}
    family = next((family for family in _LITERALS if gold in family and not accepted.intersection(family) - {gold}), ())
    others = [one for one in family if one != gold and one in request.answer and one.casefold() not in question_words]
    return [one for one in others if any(_is_said(token, answer) for token in _tokens(answer) if token.text == one.casefold())]


def _is_said(literal: _Token, answer: str) -> bool:
    """Tell whether a literal is said for itself, not as a setting ("strict=True") nor of another time or case."""
    start = max((match.end() for match in _SAID_APART.finditer(answer, 0, literal.start)), default=0)
    end = next((match.start() for match in _SAID_APART.finditer(answer, literal.end)), len(answer))
    beside = {token.text for token in _tokens(answer[start:end])}
    return not answer[: literal.start].rstrip().endswith("=") and beside.isdisjoint(_OTHER_OCCASION)


def _same_sequence(one: list[str], other: list[str]) -> bool:
    return len(one) == len(other) and all(_same_token(a, b) for a, b in zip(one, other, strict=True))


def _not_found(
    request: GradeRequest,
    *,
    forms: list[str],
    kind: str,
    answer: str,
    rivals: list[str],
    said: list[tuple[Any, _Found]],
    gold_values: list[Any],
) -> Grade:
    """Grade an answer that does not hold the gold answer."""
    if _NO_ANSWER.match(answer.strip(" .`'\"")):
        return Grade(label="incorrect", error_type="omission", explanation="says that it does not know")
    if rivals:
        error = "wrong version" if kind == "version" else "misinterpretation"
        return Grade(label="incorrect", error_type=error, explanation=f"names {rivals[0]!r} instead")
    if any(_is_part(answer, form, request.question, kind) for form in forms):
        return Grade(label="partial", error_type="omission", explanation="gives a part of the gold answer")
    if kind == "date" and any(_compatible(kind, value, gold) for value, _ in said for gold in gold_values):
        return Grade(label="partial", error_type="omission", explanation="gives the date less exactly than the gold answer")
    tokens = {token.text for token in _tokens(answer)} - _GENERIC
    context = content_words(request.question).union(*(content_words(form) for form in forms))
    if said or (request.answer_kind != "phrase" and tokens & context):
        return Grade(label="incorrect", error_type="misinterpretation", explanation="speaks of the matter and does not give the answer")
    if not tokens & context:
        return Grade(label="incorrect", error_type="off topic", explanation="shares no word with the question or the gold answer")
    return Grade(label="incorrect", error_type="other", explanation="does not hold the gold answer")


def _is_part(answer: str, form: str, question: str, kind: str) -> bool:
    """Tell whether an answer gives half of a form: F1 of 0.5, or a strict part of it, and no other number."""
    gold = _sequence(form, kind)
    if len(gold) < 2:
        return False
    given = [_canonical(t.text, kind) for t in _tokens(answer) if t.text not in _ARTICLES]
    numbers = {word for word in given if any(c.isdigit() for c in word)}
    if numbers - set(gold) - {_canonical(word, kind) for word in words(question)}:
        return False
    if not any(word not in _GENERIC for word in set(given) & set(gold)):
        return False
    if token_f1(answer, form) >= 0.5:
        return True
    return len(given) < len(gold) and any(gold[i : i + len(given)] == given for i in range(len(gold) - len(given) + 1))


def validate_grader(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Grade every gold answer and alias against its own probe; return a line for each that is not correct (E3).

    Args:
        rows: Probes (`PROBE_SCHEMA`) as dictionaries, e.g. `frame.iter_rows(named=True)`.

    Returns:
        One message per gold answer or alias that would be refused, naming the probe; empty when all is well.
    """
    problems: list[str] = []
    for row in rows:
        request = GradeRequest(
            question=row["question"],
            gold=row["answer"],
            aliases=list(row.get("aliases") or []),
            answer_kind=row.get("answer_kind") or "phrase",
            rivals=list(row.get("rivals") or []),
            answer="",
        )
        for text in dict.fromkeys([request.gold, *request.aliases]):
            verdict = grade(request.model_copy(update={"answer": text}))
            if verdict.label != "correct":
                problems.append(
                    f"probe {row.get('probe_id', '?')} ({request.question[:80]!r}): its own answer {text[:80]!r} is graded "
                    f"{verdict.label}: {verdict.explanation}"
                )
    return problems
