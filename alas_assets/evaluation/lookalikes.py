# ruff: noqa: SIM905 - word lists read better as text
"""When the words of the gold answer name something else: longer and qualified names, one of two numbers, what only bounds a value.

One stretch of the answer at a time. What else an answer names is `evaluation.rivals`', whether it is a list `evaluation.lists`'.
"""

from __future__ import annotations

import builtins
import pkgutil
import re
import sys
import sysconfig
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from alas_assets.evaluation.bounds import bound_at, only_bounds
from alas_assets.evaluation.denials import NEGATORS
from alas_assets.evaluation.money import currency_of
from alas_assets.evaluation.tokens import (
    ARTICLES,
    STOP,
    Span,
    Token,
    canonical,
    clause_before,
    holds_path,
    is_number,
    normalise,
    parts_of,
    tokenise,
    words,
)
from alas_assets.evaluation.values import VALUE_KINDS

_SCALES = frozenset("hundred thousand million billion trillion dozen".split())
_NUMBER_JOINTS = frozenset("and or to through".split())
_COUNTS_ANEW = frozenset("of more fewer less other".split())
"""Words behind a number that is no other value of the one before it ("4, 2 of them new")."""
_SAME_WITH = frozenset("based built made style type sized shaped".split())
"""What is X-based is answered by X."""
_BEFORE_THEN = re.compile(r"\b(?:before|until|till|prior to)(?: ([\w.]+))?$")
_BUILTINS = frozenset(name for name in dir(builtins) if name.islower() and not name.startswith("_"))
_ASKS_FOR_A_FUNCTION = re.compile(
    r"\b(?:which|what)(?: \w+){0,2} functions? (?:of|in|from) (?:the )?(?:`(\w+(?:\.\w+)*)`|(\w+(?:\.\w+)*)(?= module\b))"
)
_MODULES = frozenset(name.casefold() for name in sys.stdlib_module_names) - {"builtins"}


def names_another(hit: Span, hits: list[Span], forms: list[str], kind: str, answer: str, question: str) -> bool:
    """Tell whether the words of a hit name something else than the gold answer ("non-blocking", "os.open()", "before 3.15", "€5" for "$5").

    A word of the question, or of another hit, makes nothing else of it ("honey-bee" where honey is asked about).

    Args:
        hit: Where the words stand.
        hits: Everywhere that a form stands.
        forms: The gold answer and its aliases.
        kind: The answer kind.
        answer: The normalised answer.
        question: The normalised question.
    """
    tokens = tokenise(answer)
    question_words = frozenset(token.text for token in tokenise(question))
    bound = bound_at(hit, answer, kind)
    if bound is not None and only_bounds(hit, bound, answer, kind, forms, question_words):
        return True
    if _of_another_currency(hit, forms, answer):
        return True
    if kind in VALUE_KINDS:
        return kind == "version" and _before_then(clause_before(hit, tokens), question_words)
    known = question_words | ARTICLES | {token.text for token in tokens if any(one.holds(token) for one in hits)}
    before = next((token for token in reversed(tokens) if token.end <= hit.start), None)
    after = next((token for token in tokens if token.start >= hit.end), None)
    return (
        (before is not None and before.text not in known and _joined(answer, before.end, hit.start))
        or (after is not None and after.text not in known and _goes_on(hit, after, answer))
        or _of_another_module(answer[hit.start : hit.end], forms, question)
        or (kind == "quantity" and _is_one_of_two_numbers(hit, forms, answer, question_words))
    )


def _joined(answer: str, start: int, end: int) -> bool:
    """Tell whether nothing but a hyphen, or a slash outside of a path, lies between two places."""
    joint = answer[start:end].strip("()`'\"")
    if joint != "/":
        return joint == "-"
    chunk = next((match[0] for match in re.finditer(r"\S+", answer) if match.end() > start), "")
    return not holds_path(chunk)


def _goes_on(hit: Span, after: Token, answer: str) -> bool:
    """Tell whether the word behind a hit makes another name or number of it; a number may have a unit ("8-bit", "4-sided")."""
    said = tokenise(answer[hit.start : hit.end])
    if said and is_number(said[-1].text):
        if after.text in _SCALES and not answer[hit.end : after.start].strip():
            return True
        if not is_number(after.text):
            return False
    return after.text not in _SAME_WITH and _joined(answer, hit.end, after.start)


def _before_then(clause: list[str], question_words: frozenset[str]) -> bool:
    """Tell whether a clause sets a version as the end of something, by which the version itself is not named ("before Python 3.15")."""
    found = _BEFORE_THEN.search(" ".join(word for word in clause if word not in ARTICLES))
    if found is None or found[1] in STOP or question_words & {"before", "until", "till", "prior"}:
        return False
    return NEGATORS.isdisjoint(clause)  # "no change until 3.15", "not before 3.15" do name it


def _of_another_currency(hit: Span, forms: list[str], answer: str) -> bool:
    """Tell whether an amount is said in another currency than the gold answer has; without one it may be meant in that."""
    meant = frozenset[str]().union(*(currency_of(normalise(form)) for form in forms))
    said = currency_of(answer, hit) if meant else frozenset[str]()
    return bool(said) and meant.isdisjoint(said)


def _of_another_module(name: str, forms: list[str], question: str) -> bool:
    """Tell whether a name stands behind a module that neither gold answer nor question names.

    Such is a built-in's behind any module of the library ("os.open", "typing.List"), and any function's where the question asks for one of
    another module ("yaml.load()" as a function of `json`).
    """
    module, _, bare = name.rpartition(".")
    if not module or any(name in normalise(form) for form in forms):
        return False
    if any(f"{word}.".startswith(f"{module}.") for word in words(question)):
        return False
    if bare in _BUILTINS and module in _MODULES:
        return True
    asked = _modules_asked(question)
    return bool(asked) and not any(_may_be(module, one) for one in asked)


def _modules_asked(question: str) -> list[str]:
    """Return the modules of the library of which a question asks for a function."""
    named = [name for found in _ASKS_FOR_A_FUNCTION.findall(question) for name in found if name]
    return [name for name in named if name.split(".")[0] in _MODULES]


def _may_be(prefix: str, module: str) -> bool:
    """Tell whether what stands before a dot may be of a module: an object, a submodule, a class, or a short name of it ("np" of numpy)."""
    parts, own = prefix.split("."), module.split(".")
    if parts[0] in _submodules(module) or not set(parts).isdisjoint(own) or any(part in prefix for part in own):
        return True
    letters = iter(module)
    return len(prefix) == 1 or prefix in {"self", "cls"} or all(letter in letters for letter in prefix)


@lru_cache(maxsize=500)
def _submodules(module: str) -> frozenset[str]:
    """Return the modules inside one of the library, lower case, by the files it has: importing one may do anything."""
    folder = Path(sysconfig.get_path("stdlib"), *module.split("."))
    return frozenset(found.name.casefold() for found in pkgutil.iter_modules([str(folder)])) | ({"path"} if module == "os" else set())


def _is_one_of_two_numbers(hit: Span, forms: list[str], answer: str, question_words: frozenset[str]) -> bool:
    """Tell whether a quantity is said as one of two or as the end of a range ("2 or 4", "between 2 and 4 workers")."""
    known = {canonical(word, "quantity") for form in forms for word in words(form)} | {canonical(w, "quantity") for w in question_words}
    tokens = tokenise(answer)
    numbers = [i for i, token in enumerate(tokens) if is_number(token.text)]
    beside = [(a, b) for a, b in pairwise(numbers) if hit.holds(tokens[a]) != hit.holds(tokens[b])]
    others = [(a, b, a if hit.holds(tokens[b]) else b) for a, b in beside]
    return any(canonical(tokens[i].text, "quantity") not in known and _alternatives(tokens, a, b, answer) for a, b, i in others)


def _alternatives(tokens: tuple[Token, ...], a: int, b: int, answer: str) -> bool:
    """Tell whether two numbers are joined, each with the same unit or none; "from 2 to 4" may be a change."""
    between = [token.text for token in tokens[a + 1 : b]]
    unit = tokens[b + 1].text if b + 1 < len(tokens) and not tokens[b + 1].new_clause else ""
    rest = [word for word in between if word not in _NUMBER_JOINTS]
    glued = list(parts_of(tokens[b].text, "quantity")[1:])
    if unit in _COUNTS_ANEW or (a and tokens[a - 1].text == "from") or rest not in ([], [unit], glued):
        return False
    return len(rest) < len(between) or answer[tokens[a].end : tokens[b].start].strip() in {",", ";", "-"}
