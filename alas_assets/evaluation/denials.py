# ruff: noqa: SIM905 - word lists read better as text
"""What denies or declines: words beside a gold answer that deny it, and answers that say they do not know, or that there is none (S12).

What grade follows is `evaluation.grading`'s; how often systems decline is counted in `evaluation.declining`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from alas_assets.evaluation.bounds import bound_at, is_limit
from alas_assets.evaluation.tokens import ARTICLES, STOP, Span, Token, clause_before, content_words, is_number, normalise, tokenise, words

NEGATORS = frozenset(
    "not no never neither nor isn't wasn't aren't weren't doesn't didn't don't won't cannot can't except excluding".split()
)
FORMERLY = frozenset({"formerly", "previously"})
CONDITIONS = frozenset("when whenever if unless where while once".split())

_NEGATING_PAIRS = frozenset({("instead", "of"), ("rather", "than"), ("other", "than")})
_TAKES_AWAY = frozenset({"without", "unlike", "lacks", "lacking"})
"""Words that deny what stands right behind them; behind a negator they affirm it ("does not run without X")."""
_ASKS_THE_ABSENT = frozenset(
    "avoid avoids avoided skip skips skipped omit omits omitted leave leaves left lack missing lose loses lost drop drops dropped remove "
    "removes removed spare spares save saves prevent prevents stop stops stopped need needs needed require requires required".split()
)
"""Words of a question whose answer may stand behind "without" and be right."""
_ASKS_THE_PAST = frozenset("before formerly previously previous former earlier until used old was were did had originally".split())
_VERBS_BEHIND_A_SUBJECT = frozenset("is are was were gets will occurs results".split())
_NOT_REALLY_NEGATED = frozenset({"only", "just", "merely", "until", "before"})  # "not only X", "not until X" affirm X

_ALL_BUT = frozenset({("anything", "but"), ("everything", "but"), ("anyone", "but"), ("everyone", "but")})
"""What leaves something out; "nothing but X" is X."""
_ASKS_WHAT_GOES = frozenset(
    "removed removes remove dropped drops drop deprecated replaced replaces replace superseded renamed changed changes change gone wrong "
    "incorrect outdated obsolete instead".split()
)
"""Words of a question whose answer may be what holds no more."""
_USED_TO_BE = re.compile(r"(?<!\bis )(?<!\bare )(?<!\bbe )(?<!\bbeen )\bused to be$")
_IS_GONE = re.compile(
    r"used to be\b|(?:is|are|was|were|has been|have been|had been|got|gets) (?:now |since |later |then )?"
    r"(?:(?:replaced|superseded) (?:by|with)\b|(?:wrong|incorrect|untrue)\b)"
)
_NO_BEHIND = re.compile(r"[`'\")]*\s?\?\s*(?:no|nope)\b(?! doubt)")
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
    r"|\b(?:i|we) have never heard\b|\b(?:this|that|it|question) (?:cannot|can't|can not) be answered\b"
)
"""An answer that declines: it does not know, or says that what is asked about does not exist (S12)."""
_NOTHING_THERE = re.compile(r"\bthere(?:(?:'s| is| was| are| were) (?:no|not any)| (?:isn't|wasn't|aren't|weren't) any)\b(?! such\b)")
"""The same, but only of what is asked about: "there is no limit" is a claim, and so is "no such call raises ValueError"."""
_HAS_NONE = re.compile(
    r"\b(?:(?:has|have|had) no|(?:does not|doesn't|do not|don't|did not|didn't) have (?:an?|any|the)|^no(?=.* exists?\b))\b\s*"
)
_CALL = re.compile(r"[`'\"]*[\w.]+\(\)")
_NO_SUCH = re.compile(
    r"\b(?:no|any) such (?:\S++ ?){1,2}(?:$|\b(?:exists?|existed|called|named|known|in|of|for|on|at|to|with|here|that|which|as)\b)"
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
    "far n a am one ai language model isn't wasn't aren't weren't".split()
)
_MORE_DECLINING_WORDS = 3
"""Other words that a piece which declines may have ("in my training data"); a claim about the matter takes more, or a name."""


def is_denied(hit: Span, answer: str, kind: str, question_words: frozenset[str]) -> bool:
    """Tell whether the words just before or after a hit deny it ("not PEP 810", "3.14 is not it"); "no more than 5" bounds it.

    Args:
        hit: Where the gold answer stands.
        answer: The normalised answer.
        kind: The answer kind.
        question_words: The tokens of the question.
    """
    tokens = tokenise(answer)
    if _is_excepted(hit, tokens, question_words) or _belongs_to_the_past(hit, answer, tokens, question_words):
        return True
    clause = clause_before(hit, tokens)
    before = clause[-3:]
    deny = any(word in NEGATORS and word not in question_words for word in before)
    deny = deny or any(pair in _NEGATING_PAIRS and not question_words.issuperset(pair) for pair in pairwise(before))
    after = [token for token in tokens if token.start >= hit.end][:2]
    near = next((word for word in reversed(before) if word not in ARTICLES), "")
    if near in _TAKES_AWAY and not question_words & (_ASKS_THE_ABSENT | _TAKES_AWAY | NEGATORS):
        return not deny
    if near in FORMERLY and not question_words & _ASKS_THE_PAST:
        return True
    if deny and not _NOT_REALLY_NEGATED.intersection(before) and not _behind_a_condition(clause, after):
        bound = bound_at(hit, answer, kind)
        return bound is None or not is_limit(bound, kind, question_words) or _another_number_follows(hit, tokens, question_words)
    if question_words & NEGATORS or bound_at(hit, answer, kind) is not None:  # "older than 3.11 is not supported" speaks of what is older
        return False
    if not after or after[0].new_clause:
        return False
    if after[0].text in {"isn't", "wasn't", "aren't", "weren't"}:
        return True
    return (
        len(after) == 2 and after[0].text in {"is", "was", "are", "were"} and after[1].text in {"not", "never"} and not after[1].new_clause
    )


def _another_number_follows(hit: Span, tokens: tuple[Token, ...], question_words: frozenset[str]) -> bool:
    """Tell whether a number behind a limit may be what is meant ("no more than 5, namely 3")."""
    return any(token.start >= hit.end and is_number(token.text) and token.text not in question_words for token in tokens)


def _is_excepted(hit: Span, tokens: tuple[Token, ...], question_words: frozenset[str]) -> bool:
    """Tell whether a hit is all that is not meant ("anything but X"); whoever asks for what is left out is told so."""
    before = tuple(token.text for token in tokens if token.end <= hit.start and token.text not in ARTICLES)[-2:]
    return before in _ALL_BUT and not question_words & (NEGATORS | {"but"})


def _belongs_to_the_past(hit: Span, answer: str, tokens: tuple[Token, ...], question_words: frozenset[str]) -> bool:
    """Tell whether a hit is said to hold no more, or to be wrong ("used to be X", "X was replaced by Y", "X? No, Y")."""
    if _NO_BEHIND.match(answer, hit.end):
        return True
    if question_words & (_ASKS_THE_PAST | _ASKS_WHAT_GOES | NEGATORS):
        return False
    clause = " ".join(word for word in clause_before(hit, tokens) if word not in ARTICLES)
    after = " ".join(_same_clause([token for token in tokens if token.start >= hit.end][:5]))
    return _USED_TO_BE.search(clause) is not None or _IS_GONE.match(after) is not None


def _same_clause(tokens: list[Token]) -> list[str]:
    end = next((i for i, token in enumerate(tokens) if token.new_clause), len(tokens))
    return [token.text for token in tokens[:end]]


def _behind_a_condition(clause: list[str], after: list[Token]) -> bool:
    """Tell whether a hit is a subject behind a condition, whose negator is not about it ("if it does not exist an OSError is raised")."""
    spoken = bool(after) and not after[0].new_clause and after[0].text in _VERBS_BEHIND_A_SUBJECT
    return spoken and not CONDITIONS.isdisjoint(clause)


def opens_unknowing(answer: str) -> bool:
    """Tell whether a normalised answer begins by saying that it does not know."""
    return _NO_ANSWER.match(answer.strip(" .`'\"")) is not None


def hedges(text: str) -> bool:
    """Tell whether a normalised text says anywhere that it does not know or is not sure."""
    return _HEDGES.search(text) is not None


def declines(answer: str, question: str) -> bool:
    """Tell whether an answer only declines: it says that it does not know or that there is no such thing, and claims nothing else.

    Apologies, repetitions of the question and pointers elsewhere may stand beside; a number or a name that the question does not hold,
    or a further statement ("I do not know. It is the depth argument."), is an answer.

    Args:
        answer: The answer as it was given.
        question: The question as it was asked.
    """
    asked = frozenset(words(question))
    named = asked - set(_HEAD.findall(normalise(question))) - _THINGS - STOP  # "there is no limit" answers which limit there is
    parts = _with_parts(asked)
    pieces = [piece.lstrip(" `'\"*(").rstrip(" `'\"*") for piece in _PIECE_END.split(normalise(answer))]
    found = False
    for piece in filter(None, pieces):
        beside = content_words(piece) - asked - _DECLINING_WORDS
        foreign = {word for word in beside if not parts.issuperset(_parts(word))}
        # behind "load() has no" stands what `json.load()` lacks, so that only the dotted name itself is denied beside a part of it
        deniable = named if beside == foreign else _dotted(named | beside - foreign)
        declining = _DECLINES.search(piece) is not None or _denies_what_is_asked(piece, deniable, foreign)
        if any(any(c.isdigit() or c in "._" for c in word) for word in foreign):
            return False
        if declining:
            found = True
        more = foreign - _THINGS if piece.startswith("in ") else foreign  # "in the json module, there is no ..."
        if len(more) > (_MORE_DECLINING_WORDS if declining else 0) and not _POINTS_ELSEWHERE.match(piece):
            return False
    return found


def _denies_what_is_asked(piece: str, named: frozenset[str], foreign: set[str]) -> bool:
    """Tell whether a piece says that there is no such thing, and names nothing but what the question names."""
    if len(foreign - _THINGS) <= 1 and _NO_SUCH.search(piece):
        return True
    if not foreign <= _THINGS:
        return False
    if found := _NOTHING_THERE.search(piece):
        return not named.isdisjoint(words(piece[found.end() :])) or _names_a_thing(piece, found.end(), named)
    found = _HAS_NONE.search(piece)
    return found is not None and _names_a_thing(piece, found.end(), named)


def _names_a_thing(piece: str, begin: int, named: frozenset[str]) -> bool:
    """Tell whether a name begins there as that of a thing: "velto()", "velto function", "velto" beside "quill" where that is `quill.velto`.

    "no effect" names none.
    """
    first = [word for word in words(piece[begin:]) if word not in {"called", "named"}][:2]
    names = set(first) & named.union(_parts(name)[-1] for name in named) - _THINGS - STOP
    if names and (not _THINGS.isdisjoint(first) or _CALL.match(piece, begin) is not None):
        return True
    said = _with_parts(words(piece))
    return any(_parts(name)[-1:] == tuple(first[:1]) and said.issuperset(_parts(name)) for name in _dotted(named))


def _parts(word: str) -> tuple[str, ...]:
    """Return the names that a dotted name is made of ("json.load": "json", "load"); a number and any other word as it is."""
    parts = tuple(word.split("."))
    return parts if all(part.isidentifier() for part in parts) else (word,)


def _with_parts(names: Iterable[str]) -> frozenset[str]:
    """Return what names are made of: "json has no load() function" names nothing but `json.load()`."""
    return frozenset(part for name in names for part in _parts(name))


def _dotted(names: Iterable[str]) -> frozenset[str]:
    """Return the names that are made of several."""
    return frozenset(name for name in names if len(_parts(name)) > 1)
