"""The teacher that needs no model: it turns sentences that carry a fact into questions by rule, on any English page.

It is honest about what it is: right and few rather than many and doubtful. The rules are
in `rules`, the wordings in `forms`, the refusals in `checks`, the syllabus in `syllabus`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import polars as pl

from alas_assets.provenance.ids import fold, sha256_hex
from alas_assets.records import RULES, Category, Difficulty, DraftFact, PageOutline, RejectedDraft, Topic, TopicScore
from alas_assets.teachers.extractive import gaps, syllabus
from alas_assets.teachers.extractive.answers import aliases
from alas_assets.teachers.extractive.asking import Candidate, Page, relabel
from alas_assets.teachers.extractive.checks import Sentences, refuse, setting_of, unaskable
from alas_assets.teachers.extractive.forms import Setting, contains, phrase
from alas_assets.teachers.extractive.reading import CODE, Unit, clean, is_credit, read_units
from alas_assets.teachers.extractive.rules import candidates
from alas_assets.teachers.protocol import Assignment, Grade, GradeRequest, Written

_PER_SENTENCE = 2
_MIN_PROBES = 2


@dataclass(frozen=True)
class _Reading:
    """One page as it is read: its sentences, what it is about, its passages' folded text."""

    units: tuple[Unit, ...]
    sentences: Sentences
    page: Page
    place: tuple[str, str]
    texts: dict[str, str]

    @cached_property
    def sections(self) -> dict[str, list[Unit]]:
        """The sentences under each heading, at whatever level, by its plain words."""
        found: dict[str, list[Unit]] = defaultdict(list)
        for unit in self.units:
            for heading in {clean(part) for part in unit.headings}:
                found[heading].append(unit)
        return found


_Read = Callable[[pl.DataFrame], _Reading]


class _ReadOnce:
    """Reads each page once, as long as the passages that are handed over of it are the same."""

    def __init__(self, read: _Read) -> None:
        self._read = read
        self._readings: dict[str, tuple[pl.DataFrame, _Reading]] = {}

    def __call__(self, page: pl.DataFrame) -> _Reading:
        """Return the reading of a page's passages."""
        before = self._readings.get(page["page_id"][0])
        if before is None or not before[0].equals(page):
            before = self._readings[page["page_id"][0]] = (page, self._read(page))
        return before[1]


class ExtractiveTeacher:
    """Writes cited question-answer facts from Markdown passages by rule (P1, S1, S2, S4, E2, V1)."""

    name = "extractive"
    version = "1"
    judges: tuple[str, ...] = (RULES,)

    def __init__(self, context: str = "", seed: int = 17) -> None:
        """Set where questions are placed.

        Args:
            context: Words that place a question, such as "In Python 3.15"; empty: taken from each page's title.
            seed: Fixes which facts are taken where a topic has more than asked for.
        """
        self.context = " ".join(context.split()).rstrip(",")
        self.seed = seed

    def plan(self, description: str, seed_topics: Sequence[str], outlines: Sequence[PageOutline]) -> list[Topic]:
        """Propose one topic per page and per section that looks like content (P1)."""
        return syllabus.plan(description, seed_topics, outlines)

    def revise(self, weak: Sequence[Topic], mastered: Sequence[Topic], scores: Sequence[TopicScore]) -> list[Topic]:
        """Propose remediation for weak topics and advanced subtopics of mastered ones (V1)."""
        return syllabus.revise(weak, mastered, scores)

    def grade_as(self, judge: str, requests: Sequence[GradeRequest]) -> list[Grade]:  # noqa: ARG002 - there is one judge only
        """Grade answers deterministically, one grade for each request, in order (E2, E3)."""
        from alas_assets.evaluation.grading import grade

        return [grade(request) for request in requests]

    def write(self, assignments: Sequence[Assignment], max_pairs: int, phrasings: int) -> list[Written]:
        """Write cited facts on every assignment, one result each, in order (S1, S2, S4)."""
        read = _ReadOnce(self._read)  # a page has a topic for each of its sections
        return [self._write_topic(one.topic, one.passages, max_pairs, phrasings, read) for one in assignments]

    def write_topic(self, topic: Topic, chunks: pl.DataFrame, max_pairs: int, phrasings: int) -> Written:
        """Write cited facts for one topic from its passages.

        Args:
            topic: The topic; `heading` restricts it to one section of its pages.
            chunks: The passages of the topic's pages (`CHUNK_SCHEMA`).
            max_pairs: At most this many facts; where more are found, the seed decides which, and the others are rejected drafts. An
                advanced topic asks for what was not taught yet, and only curation knows what was: its facts are all handed on, in the
                order in which the seed would take them, and curation keeps to the budget.
            phrasings: Training phrasings per fact; one `mine` and two or three `probe` phrasings come on top.
        """
        return self._write_topic(topic, chunks, max_pairs, phrasings, self._read)

    def _write_topic(self, topic: Topic, chunks: pl.DataFrame, max_pairs: int, phrasings: int, read: _Read) -> Written:
        facts: list[DraftFact] = []
        rejected: list[RejectedDraft] = []
        if chunks.is_empty():
            return Written(facts=[], rejected=[])
        pages = chunks.sort("page_id", "ordinal", "chunk_id").partition_by("page_id", maintain_order=True)
        for page in pages:
            self._write_page(topic, read(page), phrasings, facts, rejected)
        if len(facts) > max(max_pairs, 0):
            order = sorted(facts, key=lambda fact: sha256_hex(f"{self.seed}|{fact.quote}|{fact.answer}"))
            if topic.origin == "advanced" and max_pairs > 0:
                return Written(facts=order, rejected=rejected)
            beyond = {id(fact) for fact in order[max(max_pairs, 0) :]}
            rejected += [_over_the_budget(fact) for fact in facts if id(fact) in beyond]
            facts = [fact for fact in facts if id(fact) not in beyond]
        return Written(facts=facts, rejected=rejected)

    def _read(self, chunks: pl.DataFrame) -> _Reading:
        units: list[Unit] = []
        for row in chunks.iter_rows(named=True):
            headings = [part for part in (row["heading_path"] or []) if part]
            units += read_units(row["text"] or "", headings, row["chunk_id"], row["title"] or "", len(units))
        place = context_of(self.context, units)
        return _Reading(
            units=tuple(units),
            sentences=Sentences(units),
            page=Page(proper=_proper_words(units), about=place[0]),
            place=place,
            texts={row["chunk_id"]: fold(row["text"] or "") for row in chunks.iter_rows(named=True)},
        )

    def _write_page(self, topic: Topic, reading: _Reading, phrasings: int, facts: list[DraftFact], rejected: list[RejectedDraft]) -> None:
        wanted = clean(topic.heading) if topic.heading else ""
        taken: set[tuple[str, str]] = set()
        for unit in reading.sections.get(wanted, []) if wanted else reading.units:
            reason = unaskable(unit)
            if reason:
                if not is_credit(unit.quote):
                    rejected.append(_reject(topic, unit, unit.quote, reason))
                continue
            found: list[DraftFact] = []
            reasons: list[str] = []
            for candidate in chain(candidates(unit, reading.page), gaps.candidates(unit)):
                if len(found) == _PER_SENTENCE or (found and candidate.rule == "gap"):
                    break
                if fold(candidate.quote) not in reading.texts[unit.chunk_id]:
                    reasons.append("the quote is not one piece of the passage")
                    continue
                made = _draft(topic, relabel(unit), candidate, reading, phrasings)
                if isinstance(made, str):
                    reasons.append(made)
                elif (fold(made.quote), made.answer.lower()) not in taken:
                    taken.add((fold(made.quote), made.answer.lower()))
                    found.append(made)
            facts += found
            if not found:
                rejected.append(_reject(topic, unit, unit.quote, reasons[0] if reasons else "no rule finds a fact in it"))


def _draft(topic: Topic, unit: Unit, candidate: Candidate, reading: _Reading, phrasings: int) -> DraftFact | str:
    asked = candidate.asked
    said = f"{asked.plain.front} {asked.plain.gap} {asked.varied.front} {asked.varied.gap}"
    others = [alias for alias in aliases(asked.answer, asked.kind) if not contains(said, alias)]
    forbidden = [asked.answer, *others]
    reason = refuse(asked, unit, candidate.quote, reading.sentences, forbidden)
    if reason:
        return reason
    gap = candidate.rule == "gap"
    setting = gaps.setting(unit, reading.place[0]) if gap else Setting(*setting_of(unit, asked, *reading.place))
    made = phrase(asked, setting, forbidden, phrasings)
    roles = [phrasing.role for phrasing in made]
    if roles.count("train") < min(phrasings, 4) or roles.count("mine") < 1 or roles.count("probe") < _MIN_PROBES:
        return "too few ways to ask without naming the answer"
    return DraftFact(
        topic_id=topic.topic_id,
        chunk_id=unit.chunk_id,
        quote=candidate.quote,
        answer=asked.answer,
        aliases=others,
        answer_kind=asked.kind,
        category=_category(asked.shape),
        difficulty=_difficulty(unit),
        rationale=f"Stated in the sentence itself; rule {candidate.rule}.",
        phrasings=made,
    )


def _reject(topic: Topic, unit: Unit, text: str, reason: str) -> RejectedDraft:
    return RejectedDraft(topic_id=topic.topic_id, chunk_id=unit.chunk_id, text=text, reason=reason)


def _over_the_budget(fact: DraftFact) -> RejectedDraft:
    text = f"{fact.phrasings[0].text} / {fact.answer} / {fact.quote}"
    return RejectedDraft(topic_id=fact.topic_id, chunk_id=fact.chunk_id, text=text, reason="over the topic's budget of pairs")


def _category(shape: str) -> Category:
    return "application" if shape == "replacement" else "factual"


def _difficulty(unit: Unit) -> Difficulty:
    words = len(unit.text.split())
    return "Easy" if words <= 14 else "Medium" if words <= 28 else "Hard"


def _proper_words(units: Sequence[Unit]) -> frozenset[str]:
    found: set[str] = set()
    for unit in units:
        text = re.sub(CODE, "x", unit.text)
        found.update(re.findall(r"(?<=[a-z,] )[A-Z][a-z]+\b", text))
        found.update(f"={word}" for word in re.findall(r"\b[a-z]{2,}\b", text))
    return frozenset(found)


_RELEASE = re.compile(
    r"\b(?:[Ww]hat'?s [Nn]ew [Ii]n|[Cc]hanges [Ii]n|[Rr]elease notes for|[Nn]otable changes [Ii]n|[Cc]hangelog (?:for|of)|[Uu]pgrading to"
    r"|[Pp]orting to)"
    r" ([A-Z][\w.+-]*(?: [A-Z][\w+-]*)*,? v?\d+(?:\.\d+)*)\b"
)
_PRODUCT = re.compile(r"\b([A-Z][\w+-]*(?: [A-Z][\w+-]*)? v?\d+(?:\.\d+)+)\b")
_RECORD_ID = re.compile(r"((?:CVE|GHSA|RFC|PEP|ISO)[- ]\d[\w-]*)")


def context_of(context: str, units: Sequence[Unit]) -> tuple[str, str]:
    """Return what a page is about, as a noun phrase and as an adverbial.

    Args:
        context: The configured words, or "".
        units: The page's sentences; where the title does not say, the first ones may ("What's new in Python 3.15").
    """
    if context:
        match = re.match(r"(In|For|On|At|With|Under|Within|As of|According to)\s+(.+)$", context)
        if match:
            return match[2], match[1].lower() + " " + match[2]
        return context, f"in {context}"
    titles = [clean(units[0].title), *(clean(part) for part in units[0].headings[:1])] if units else []
    for text in (*titles, *(unit.text for unit in units[:3])):
        found = _RELEASE.search(text)
        if found:
            return found[1], f"in {found[1]}"
    for text in titles:
        record = _RECORD_ID.match(text)
        if record:
            return record[1], f"for {record[1]}"
        found = _PRODUCT.search(text)
        if found:
            return found[1], f"in {found[1]}"
    for unit in units[:2]:
        found = _PRODUCT.match(unit.text) if len(unit.text.split()) < 9 else None
        if found:
            return found[1], f"in {found[1]}"
    for text in titles:
        subject = re.split(r"\s[—–|·]\s|\s-\s|:\s", text)[0].strip().rstrip(".")
        if subject:
            return f"“{subject}”", f"according to “{subject}”"
    return "this page", "on this page"
