"""Which candidates may be asked: self-contained, with one right answer on their page, not credits, not examples.

Every refusal is a reason in words, kept beside the accepted facts (spec S10).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain

from alas_assets.provenance.ids import fold
from alas_assets.teachers.extractive.answers import too_generic
from alas_assets.teachers.extractive.asking import module_of
from alas_assets.teachers.extractive.forms import Asked, contains
from alas_assets.teachers.extractive.reading import CODE, Unit, is_credit
from alas_assets.teachers.extractive.words import word_set

_STOP = word_set(
    """
    a an the of to in on for from by with as at is are was were be been being has have had will would can could may might must should
    does do did and or not no now also only that which who this these those it its their if when than then so such what name new
    available together like along up out into used use using set via through while other same some any all more most there here python
    version versions longer since gone became gained
    """
)
_WEAK = word_set(
    """
    add deprecat remov removal soft schedul slat support alia favor favour undocument standard obsolet mark go away function method
    class modul parameter argument option attribut public private default exception unus intern legacy constant type field name
    attribut names macro api obsolet
    """
)
"""Stems that many sentences of one page share; alone they single nothing out."""


def content(text: str) -> frozenset[str]:
    """Return a text's content words, crudely stemmed, and its names in code style."""
    words: set[str] = set()
    for code in re.findall(CODE, text):
        name = code.strip("`").removesuffix("()").lower()
        words.add(_stem(name) if re.fullmatch(r"[a-z]+", name) else name)
    for word in re.findall(r"[A-Za-z][\w.+-]*|\d[\w.%]*", re.sub(CODE, " ", text)):
        low = word.lower().rstrip(".")
        if low in _STOP:
            continue
        words.add(_stem(low))
    return frozenset(words)


def _stem(word: str) -> str:
    return re.sub(r"(?:ing|ed|es|s|e)$", "", word) if len(word) > 4 else word


def unaskable(unit: Unit) -> str:
    """Return why no question may be made of a sentence, or ""."""
    text = unit.text
    if is_credit(unit.quote):
        return "names contributors"
    if len(text) < 15 or not re.search(r"[A-Za-z]{2}", text):
        return "too short to state a fact"
    if len(text) > 600:
        return "too long for one question"
    if text.endswith("?"):
        return "is a question"
    if text.endswith(":"):
        return "only introduces what follows"
    if re.match(
        r"(?:See|For (?:more|full|further|details)|Refer to|Read|Click|Visit|Follow|Download|Subscribe|Note that|For example"
        r"|For instance)\b",
        text,
    ):
        return "points elsewhere or gives an example"
    if re.search(
        r"\b(?:licen[cs]ed? under|all rights reserved|copyright|cookies? policy|privacy policy|terms of (?:use|service))\b|©",
        text,
        re.IGNORECASE,
    ):
        return "is licence or site text"
    if re.search(r"https?://", re.sub(CODE, "", text)):
        return "holds a bare address"
    if any(part[:1].isupper() for part in re.split(CODE, text)[1:]):
        return "runs two sentences together"
    if re.search(r">>>|^\s*\$ ", text):
        return "is example code"
    return ""


class Sentences:
    """A page's sentences, searched for those that hold certain content words, in themselves or in the labels and headings above."""

    def __init__(self, units: Sequence[Unit]) -> None:
        """Index the sentences."""
        self._words = [(unit, content(" ".join((unit.text, *unit.labels, *unit.headings[-1:])))) for unit in units]
        self._holders: dict[str, list[tuple[Unit, frozenset[str]]]] = defaultdict(list)
        for held in self._words:
            for word in held[1]:
                self._holders[word].append(held)

    def holding(self, words: frozenset[str]) -> Iterator[Unit]:
        """Return the sentences that hold all the words, in their order; only the holders of the rarest word are looked at."""
        near = min((self._holders.get(word, []) for word in words), key=len, default=self._words)
        return (unit for unit, held in near if words <= held)


def refuse(asked: Asked, unit: Unit, quote: str, page: Sentences, forbidden: Sequence[str]) -> str:
    """Return why a question is not asked, or "".

    Args:
        asked: The question.
        unit: Its sentence.
        quote: What will be cited.
        page: Every sentence of the page.
        forbidden: The answer and its other spellings.
    """
    answer = asked.answer
    if too_generic(answer):
        return "the answer is too common a word"
    if len(answer.split()) > 8 or len(answer) > 80:
        return "the answer is too long"
    if not contains(fold(quote).replace("`", ""), answer) and answer not in quote:
        return "the answer is not in the quote"
    wording = asked.plain
    if asked.kind == "version":
        product = re.escape(answer.rsplit(" ", 1)[0])
        if re.search(rf"{re.escape(answer)}\s*(?:[;,]|,? and|,? or|/)\s*(?:and |or )?(?:{product} )?v?\d", unit.text):
            return "the sentence gives several such versions"
    if any(contains(wording.front.replace("`", ""), word) for word in forbidden):
        return "the question would name its answer"
    if re.search(
        r"\b(?:this|these|those|it|they|them|its|their|former|latter|above|below|following|previous(?:ly)?|such an?|there|we|our"
        r"|you|your)\b",
        re.sub(CODE, "", wording.front),
    ) and not _bound(wording.front):
        return "the question leans on the text around it"
    if re.search(r"[(){}\[\]]", re.sub(CODE, "", wording.front)) or wording.front.count("`") % 2 or wording.front.count('"') % 2:
        return "the question has a broken bracket or quote"
    keys: list[frozenset[str]] = []
    for form in (asked.plain, asked.varied):
        key = content(form.gap.replace("___", ""))
        codes = re.findall(CODE, form.gap) or re.findall(r"\b(?:CVE-\d{4}-\d+|PEP \d+|[A-Z][\w.]+ \d+(?:\.\d+)+)\b", form.gap)
        strong = {word for word in key if word not in _WEAK and not re.fullmatch(r"[\d.]+", word)}
        if asked.shape in ("subject", "phrase") and not asked.noun and not codes and len(strong) < 3:
            return "too little is said to tell the answer"
        if len(strong) < (1 if codes else 2) or len(key) < (2 if codes else 3):
            return "too little is said to tell the answer"
        if re.search(r"(?:^|\s)(?:equivalent|identical|interchangeable|the same|alike|related)$", form.gap.rstrip(".")):
            return "the statement compares and does not single out"
        keys.append(key - {"modul"})
    if len(wording.front) > 230:
        return "the question is too long"
    for other in chain.from_iterable(map(page.holding, keys)):
        if other.quote in quote or other.quote == unit.quote:
            continue
        if _could_answer(asked, other.text, wording.gap) and not _names(other.text, forbidden):
            return "another sentence of the page could answer it"
    return ""


def _bound(text: str) -> bool:
    """Say whether every pronoun has something it can refer to inside the question itself."""
    plain = re.sub(CODE, "name", text)
    if re.search(r"\b(?:this|these|those|former|latter|above|below|following|previously|such an?|there|we|our|you|your)\b", plain):
        return False
    first = re.search(r"\b(?:it|its|they|them|their)\b", plain)
    return (
        first is None
        or re.search(r"\b(?:when|if|that|which|because|while|unless|until|whenever|where)\b", plain[5 : first.start()]) is not None
    )


def _names(text: str, words: Sequence[str]) -> bool:
    """Say whether a text names one of the words as a whole name; `run()` is not named by `job.run()`."""
    plain = text.replace("`", "").lower()
    return any(re.search(rf"(?<![\w.]){re.escape(word.lower())}(?!\w)", plain) for word in words)


_NUMBER = re.compile(r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|twelve|dozen)\b")


def _could_answer(asked: Asked, text: str, gap: str) -> bool:
    """Say whether a sentence holds anything of the answer's kind that the question does not name itself."""
    if asked.kind == "date":
        return re.search(r"\b(?:19|20)\d\d\b", text) is not None
    if asked.kind == "version":
        product = asked.answer.rsplit(" ", 1)[0]
        return any(found not in gap for found in re.findall(rf"{re.escape(product)} v?\d[\w.]*", text))
    if asked.kind in ("pep", "cve"):
        return any(found not in gap for found in re.findall(r"\b(?:PEP \d+|CVE[- ]\d{4}-\d+)", text))
    if asked.kind == "quantity":
        return _NUMBER.search(text) is not None
    if asked.kind == "identifier":
        return any(code not in gap for code in re.findall(CODE, text)) or "`" not in gap
    return True


def setting_of(unit: Unit, asked: Asked, about: str, adverbial: str) -> tuple[str, str]:
    """Return the words that place a sentence's questions: the context, with the module of its heading unless the question names it."""
    module = module_of(unit)
    if module and not contains(asked.plain.gap, module) and not contains(asked.answer, module):
        return f"the `{module}` module of {about}", f"in the `{module}` module of {about}"
    if asked.kind == "version" and adverbial.startswith("in "):
        return about, f"as of {about}"
    return about, adverbial
