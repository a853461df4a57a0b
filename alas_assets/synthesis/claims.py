"""A fact as one page states it, what it is about beyond its words, and when two answers are one (R7).

Pure. Which claims contradict each other is `synthesis.contradiction`'s, who states one `synthesis.support`'s.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from alas_assets.evaluation.grading import grade
from alas_assets.hosts import LOCAL, host_and_port, site_of
from alas_assets.synthesis.sense import numbers
from alas_assets.synthesis.wording import hard_tokens, mentions, same_answer, words
from alas_assets.teachers.extractive.reading import read_units
from alas_assets.teachers.extractive.teacher import context_of
from alas_assets.teachers.protocol import GradeRequest

_RELEASE = re.compile(r"\d+\.\d|[a-z]-\d{4}-\d")


@dataclass(frozen=True)
class Claim:
    """One fact as one page states it.

    Attributes:
        fact_id: Its id.
        page: The final URL that was fetched. What a page declares as its canonical URL is no evidence (R3).
        quote: The sentence.
        answer: What the sentence answers.
        aliases: Other forms of the answer.
        kind: The answer's kind.
        questions: All its phrasings.
        place: What the sentence is about beyond its words (`places`).
    """

    fact_id: str
    page: str
    quote: str
    answer: str
    aliases: tuple[str, ...]
    kind: str
    questions: tuple[str, ...]
    place: str

    @property
    def answers(self) -> tuple[str, ...]:
        """The answer and its aliases."""
        return (self.answer, *self.aliases)

    @property
    def site(self) -> str:
        """The registrable domain, which counts as one source."""
        return site_of(self.page)

    @property
    def host(self) -> str:
        """The host as people read it."""
        found = host_and_port(self.page)
        return found[0] if found else LOCAL


@dataclass(frozen=True)
class Finding:
    """What was found about a fact.

    Attributes:
        support: Independent registrable domains with a page that states it, its own included.
        disputed_with: Facts of other pages that answer its question differently, sorted.
        reason: Why it may not be taught; "" if it may.
        outvoted: It stands against a primary host that is believed; its answer makes no question ambiguous.
    """

    support: int
    disputed_with: tuple[str, ...] = ()
    reason: str = ""
    outvoted: bool = False


def place_of(quote: str, questions: Sequence[str], topic: str) -> str:
    """Return what stands for the page's title, which no table holds: what questions name beyond the sentence, and the topic's releases.

    All questions, since a teacher may name the release in one of them only.
    """
    named = frozenset().union(*map(hard_tokens, questions)) - hard_tokens(quote)
    releases = {word for word in words(topic) if _RELEASE.search(word)}
    return " ".join(sorted(named | releases))


def places(chunks: pl.DataFrame) -> dict[str, str]:
    """Return for each passage what it is about beyond its words, from its page's own title, headings and first sentences.

    That is the release or record that the page names, its title, and each section heading that names another.
    """
    about: dict[str, str] = {}
    found: dict[str, str] = {}
    for row in chunks.sort("page_id", "ordinal").iter_rows(named=True):
        title, headings = row["title"] or "", [part for part in row["heading_path"] or () if part]
        if row["page_id"] not in about:
            about[row["page_id"]] = context_of("", read_units(row["text"] or "", headings, row["chunk_id"], title))[0]
        releases = (part for part in headings[1:] if _RELEASE.search(part.casefold()))
        found[row["chunk_id"]] = " ".join([about[row["page_id"]], title, *headings[:1], *releases])
    return found


def same_place(one: str, other: str, said: frozenset[str]) -> bool:
    """Tell whether two pages speak of the same release or record.

    Their titles name the same numbers, or one names more of the same; a number that only one of them names must be said in
    the sentence or question itself.
    """
    a, b = numbers(one), numbers(other)
    return bool(a & b and (a <= b or b <= a)) or a ^ b <= said


@lru_cache(maxsize=50_000)
def names_any(text: str, answers: tuple[str, ...]) -> bool:
    """Tell whether a text names any of some answers."""
    return any(mentions(text, form) for form in answers)


def one_answer(one: Claim, other: Claim) -> bool:
    """Tell whether two answers are one: equal, or the same date, number or version in other signs."""
    return _read_alike(one.kind, one.answers, other.answers) and _read_alike(one.kind, other.answers, one.answers)


@lru_cache(maxsize=50_000)
def _read_alike(kind: str, gold: tuple[str, ...], said: tuple[str, ...]) -> bool:
    if same_answer(gold[0], list(gold[1:]), said[0], list(said[1:])):
        return True
    request = GradeRequest(question="", gold=gold[0], aliases=list(gold[1:]), answer_kind=kind, answer=said[0])
    return grade(request).label == "correct"
