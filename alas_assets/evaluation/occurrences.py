# ruff: noqa: SIM905 - word lists read better as text
"""Where a gold answer, an alias or a rival stands in an answer, as a sequence of whole tokens or by its symbols.

Finding only: whether what is found is denied is `evaluation.denials`', whether it names something else `evaluation.lookalikes`'.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from alas_assets.evaluation.tokens import ARTICLES, STOP, Span, canonical, is_option, is_token, normalise, parts_of, tokenise, words
from alas_assets.evaluation.values import VALUE_KINDS

_FILE_SUFFIXES = frozenset(
    "py pyi pyc pth toml cfg ini txt md rst json yaml yml html xml csv js css c h cpp so dll exe zip gz whl sh log lock pem db".split()
)


_UNSPACED = re.compile("[\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]{2,}")
"""Chinese and Japanese, which put no spaces between words: a whole sentence is one token."""
_HYPHEN = re.compile(r"(?<=[^\W\d_]{2})-(?=\d)")
"""A hyphen between a name and its number, which some leave out and some write as a space ("SHA-256", "Apache-2.0")."""
_SPACED = re.compile(r"[\w.\s-]*")
_JOINS = re.compile("[是为為はがの的]|答案|答え")
_ENDING = re.compile("(?:です|でした|である|だ|だった)?$")


def sequence_of(form: str, kind: str) -> list[str]:
    """Return the tokens by which a form is found: in one spelling, without articles where others are left.

    Args:
        form: A gold answer, an alias or a rival.
        kind: The answer kind.
    """
    sequence = [canonical(word, kind) for word in words(form)]
    return [word for word in sequence if word not in ARTICLES] or sequence


def same_name(one: str, other: str, kind: str) -> bool:
    """Tell whether two forms name the same thing, token for token; options of one letter do in the same case only.

    Args:
        one: A gold answer, an alias or a rival.
        other: Another.
        kind: The answer kind.
    """
    if is_option(one) and is_option(other):
        return normalise(one, options=True).strip(" `'\"") == normalise(other, options=True).strip(" `'\"")
    ours, theirs = sequence_of(one, kind), sequence_of(other, kind)
    return len(ours) == len(theirs) and all(_same_token(a, b) for a, b in zip(ours, theirs, strict=True))


def _same_token(one: str, other: str) -> bool:
    """Tell whether two tokens name the same thing: equal, or one is the other with module names in front."""
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    if "." not in long or not long.endswith("." + short) or not (short[0].isalpha() or short[0] == "_"):
        return False
    return short not in _FILE_SUFFIXES and not long[0].isdigit()


def occurrences(form: str, kind: str, answer: str) -> list[Span]:
    """Find a form in a text as a sequence of whole tokens; in a quantity a unit may be glued to its number in one and not in the other.

    Args:
        form: A gold answer, an alias or a rival.
        kind: The answer kind.
        answer: A normalised text, in which options keep their case where the form is one of one letter.
    """
    sequence = sequence_of(form, kind)
    if _is_symbolic(form, sequence):
        return _symbol_occurrences(form, answer)
    found = _places(sequence, kind, answer, lambda word: parts_of(word, kind))
    if kind in VALUE_KINDS or not (_HYPHEN.search(" ".join(sequence)) or _HYPHEN.search(answer)):
        return found
    glued = _places(sequence, kind, answer, lambda word: parts_of(_HYPHEN.sub("", word), kind))
    apart = _places(sequence, kind, answer, lambda word: tuple(_HYPHEN.split(word)))
    return list(dict.fromkeys([*found, *glued, *(span for span in apart if _SPACED.fullmatch(answer, span.start, span.end))]))


def _places(sequence: list[str], kind: str, answer: str, parts: Callable[[str], tuple[str, ...]]) -> list[Span]:
    """Find a sequence of tokens in a text, each taken apart alike on both sides; a place begins and ends with a whole token."""
    only_articles = all(word in ARTICLES for word in sequence)
    tokens = [token for token in tokenise(answer) if only_articles or token.text not in ARTICLES]
    wanted = [canonical(part, kind) for word in sequence for part in parts(word)]
    said: list[tuple[str, int, int]] = []  # each part with where a token begins and ends with it, -1 where none does
    for token in tokens:
        own = parts(token.text)
        starts, ends = [token.start] + [-1] * (len(own) - 1), [-1] * (len(own) - 1) + [token.end]
        said += zip((canonical(part, kind) for part in own), starts, ends, strict=True)
    found: list[Span] = []
    for i in range(len(said) - len(wanted) + 1):
        start, end = said[i][1], said[i + len(wanted) - 1][2]
        if min(start, end) >= 0 and all(_same_token(word, said[i + j][0]) for j, word in enumerate(wanted)):
            found.append(Span(start, end))
    return found


def unspaced_occurrences(form: str, answer: str, question: str) -> list[Span]:
    """Find a form in a sentence without spaces that says nothing else but what was asked ("首都是北京" for 北京, not "首都不是北京").

    As words cannot be told apart, all of the sentence must be accounted for: the form, on its own side of a copula, and the question's
    words. So neither a denial, nor another name, nor a longer one ("北京大学") is taken for it.

    Args:
        form: A gold answer or an alias.
        answer: A normalised text.
        question: The normalised question.
    """
    wanted, asked = normalise(form).strip(" .`'\""), _JOINS.sub("", question)
    if not _UNSPACED.fullmatch(wanted):
        return []
    found: list[Span] = []
    for token in tokenise(answer):
        before, held, after = token.text.partition(wanted)
        after = _ENDING.sub("", after, count=1)
        joined = (not before or before[-1] in "是为為はが") and (not after or after[0] in "是はが")
        if held and joined and all(len(part) > 1 and part in asked for part in filter(None, _JOINS.split(before) + _JOINS.split(after))):
            found.append(Span(token.start, token.end))
    return found


def _is_symbolic(form: str, sequence: list[str]) -> bool:
    """Tell whether a form is made of its symbols ("|=", "* and **", "%d"), so that its words alone would match anything."""
    if not sequence:
        return True
    bare = form.strip(" \t\n`'\".,;:!?()")
    return (
        all(len(word) == 1 or word in STOP for word in sequence)
        and re.search(r"[^\w\s'+#-]|[+-](?!\d)", bare) is not None
        and not is_token(normalise(bare))
    )


def _symbol_occurrences(form: str, answer: str) -> list[Span]:
    """Find a form by its characters ("|=", "...") between white space, quotes and back quotes allowed; an option in its case only."""
    wanted = " ".join(normalise(form, options=True).split())
    if not wanted:
        return []
    pattern = r"(?<![^\s`'\"(])" + re.escape(wanted).replace(r"\ ", r"\s+") + r"(?![^\s`'\".,;)])"
    return [Span(*match.span()) for match in re.finditer(pattern, answer, 0 if is_option(form) else re.IGNORECASE)]
