"""Asking a model for cited pairs on many topics at once, and turning its answers into drafts (S1-S4).

Whether a quote stands in its passage and a pair may be trained on is decided by `synthesis.curate`, never here: a wrong citation
stays as the model gave it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import Self

from alas_assets.evaluation import tokens, values
from alas_assets.records import AnswerKind, Category, DraftFact, RejectedDraft, Topic
from alas_assets.synthesis.sense import stem
from alas_assets.synthesis.wording import hard_tokens, mentions, normalise, words
from alas_assets.synthesis.writing import NO_PASSAGE
from alas_assets.teachers.endpoint.calls import Asker, ModelCall
from alas_assets.teachers.llm.asking import Hooks, Task, ask_until_read, not_asked, simpler_form
from alas_assets.teachers.llm.citing import stretch
from alas_assets.teachers.llm.fences import Block, cut, line, pack, split
from alas_assets.teachers.llm.making import Making, shares
from alas_assets.teachers.llm.prompts import Form
from alas_assets.teachers.llm.reading import Reading, Rejected
from alas_assets.teachers.llm.reading.shapes import PARAPHRASE, WRITE, MoreWordings, WrittenPair
from alas_assets.teachers.llm.wordings import NO_SENTENCE, PROBES, Usable, assign, gapped, usable, wanted
from alas_assets.teachers.protocol import NOT_STUDIED, Assignment, Written
from alas_assets.wording import counted

MIX: Mapping[Category, float] = {"factual": 0.4, "conceptual": 0.2, "application": 0.2, "analysis": 0.1, "synthesis": 0.1}
"""The mix of categories that is asked for where the domain names none (S6)."""

NO_FACT = "no fact taken from this passage"
"""Why a passage has a row that the teacher was shown and read, and took nothing from: so it is known to be studied."""

_PASSAGES_PER_CALL = 200
PAIR_TOKENS = 120  # of a pair without its phrasings, as JSON
WORDING_TOKENS = 28
PARAPHRASES_PER_CALL = 10


@dataclass(frozen=True)
class Part:
    """A passage, or a piece of a long one, as a call shows it."""

    chunk_id: str
    title: str
    text: str

    def block(self, number: int) -> Block:
        """Return it as a numbered block."""
        return Block("passage", number, self.text, self.title)


@dataclass(frozen=True, kw_only=True)
class WriteTask(Task):
    """Some passages of a topic, of which pairs are to be made."""

    making: Making
    mix: tuple[tuple[Category, float], ...]
    topic: Topic
    parts: tuple[Part, ...]
    pairs: int
    phrasings: int

    def call(self) -> ModelCall:
        """Return the call."""
        counts = shares(self.pairs, [share for _, share in self.mix])
        mix = ", ".join(f"{count} {category}" for (category, _), count in zip(self.mix, counts, strict=True) if count)
        context = line(self.making.context, 200)
        return self.making.call(
            "write",
            WRITE,
            self.form,
            {
                "description": self.making.about,
                "context": f"Questions are placed by these words or by what they name: {context}" if context else "",
                "count": self.pairs,
                "mix": mix,
                "phrasings": self.phrasings,
                "held": min(PROBES, self.phrasings),
            },
            [_topic_block(self.topic), *(part.block(i) for i, part in enumerate(self.parts, start=1))],
            item=self.topic.name,
            attempt=self.attempt,
        )

    def simpler(self) -> Sequence[Self]:
        """Fewer pairs; then half the passages; then a simpler form."""
        attempt, fewer = self.attempt + 1, ceil(self.pairs / 2)
        if attempt == 1:
            return [replace(self, attempt=attempt, pairs=fewer)]
        if attempt == 2 and len(self.parts) > 1 and self.pairs > 1:
            middle = ceil(len(self.parts) / 2)
            return [replace(self, attempt=attempt, pairs=fewer, parts=half) for half in (self.parts[:middle], self.parts[middle:])]
        return [replace(self, attempt=attempt, pairs=fewer, form=simpler_form(self.form))]

    def smaller(self) -> Sequence[Self]:
        """Half the passages, or each half of the only one."""
        parts = self.parts
        if len(parts) == 1:
            whole = parts[0].block(1)
            # a little more than half fits into a piece, so that a cut before the middle leaves two
            parts = tuple(replace(parts[0], text=piece.text) for piece in split(whole, whole.size - 2 * len(whole.text) // 5))
        middle, attempt, pairs = ceil(len(parts) / 2), self.attempt + 1, ceil(self.pairs / 2)
        halves = (parts[:middle], parts[middle:])
        return [replace(self, attempt=attempt, pairs=pairs, parts=half) for half in halves] if len(parts) > 1 else []


def _topic_block(topic: Topic) -> Block:
    lines = [f"Name: {line(topic.name, 160)}"]
    if topic.summary.strip():
        lines.append(f"Summary: {line(topic.summary, 500)}")
    lines += [f"Objective: {line(objective, 160)}" for objective in topic.objectives[:5]]
    if topic.origin == "remediation":
        lines.append("State: the learner got this wrong before; the same facts may be asked again, in new words.")
    elif topic.origin == "advanced":
        lines.append("State: the plain facts are known; ask for those that are asked for less often.")
    return Block("topic", 1, "\n".join(lines))


# ------------------------------------------------------------------------------------------------ tasks


@dataclass(frozen=True)
class Plan:
    """What is asked for one assignment, and what of it is not asked at all."""

    tasks: list[WriteTask]
    unasked: list[RejectedDraft]


def tasks_for(assignment: Assignment, making: Making, mix: Mapping[Category, float], max_pairs: int, phrasings: int, form: Form) -> Plan:
    """Pack a topic's passages into calls and share its pairs among them by length.

    A call asks for no more pairs than its answer has tokens for; where a topic has more calls than pairs, calls that lie evenly over
    its passages are asked.
    """
    topic = assignment.topic
    parts = _parts(assignment, making.page_chars)
    if not parts or max_pairs < 1:
        reason = "no pair was asked for" if max_pairs < 1 else f"{NO_PASSAGE} lies under its heading"
        return Plan([], [RejectedDraft(topic_id=topic.topic_id, chunk_id="", text=topic.name, reason=reason)])
    per_call = max(1, making.max_tokens // (PAIR_TOKENS + WORDING_TOKENS * phrasings))
    packs = _packs(parts, making.page_chars, ceil(max_pairs / per_call))
    chosen = packs
    if len(packs) > max_pairs:
        chosen = [packs[i * len(packs) // max_pairs] for i in range(max_pairs)]
    counts = _at_least_one(shares(max_pairs, [sum(len(part.text) for part in pack_) for pack_ in chosen]))
    tasks = [
        WriteTask(
            form=form,
            making=making,
            mix=tuple(mix.items()),
            topic=topic,
            parts=tuple(pack_),
            pairs=min(count, per_call),
            phrasings=phrasings,
        )
        for pack_, count in zip(chosen, counts, strict=True)
    ]
    asked = {part.chunk_id for pack_ in chosen for part in pack_}
    left = list(dict.fromkeys(part.chunk_id for part in parts if part.chunk_id not in asked))
    reason = f"{NOT_STUDIED}, not shown: the topic has room for {max_pairs} pairs and more calls of page_chars than that"
    return Plan(tasks, [RejectedDraft(topic_id=topic.topic_id, chunk_id=chunk, text=topic.name, reason=reason) for chunk in left])


def _parts(assignment: Assignment, page_chars: int) -> list[Part]:
    wanted_heading = normalise(assignment.topic.heading or "")
    parts: list[Part] = []
    for row in assignment.passages.iter_rows(named=True):
        path = [heading for heading in row["heading_path"] or [] if heading]
        if wanted_heading and wanted_heading not in {normalise(heading) for heading in path}:
            continue
        title = " > ".join(dict.fromkeys([row["title"] or "", *path])).strip(" >")
        whole = Part(row["chunk_id"], title, row["text"] or "")
        parts += [replace(whole, text=piece.text) for piece in split(whole.block(1), page_chars)]
    return parts


def _packs(parts: Sequence[Part], page_chars: int, least: int) -> list[list[Part]]:
    """Pack passages into calls of at most `page_chars`, and into at least so many calls where there are passages enough."""
    blocks = [[part.block(i)] for i, part in enumerate(parts, start=1)]
    packs = pack(blocks, page_chars, _PASSAGES_PER_CALL)
    if len(packs) < least:
        packs = pack(blocks, page_chars, max(1, len(parts) // least))
    return [[parts[group[0].number - 1] for group in groups] for groups in packs]


def _at_least_one(counts: list[int]) -> list[int]:
    """Give every call a pair, taken from those that have most."""
    counts = list(counts)
    for i, count in enumerate(counts):
        if count == 0:
            counts[max(range(len(counts)), key=lambda j: (counts[j], -j))] -= 1
            counts[i] = 1
    return counts


# ------------------------------------------------------------------------------------------------ drafts


@dataclass
class _Pair:
    """A pair as written, with where it points and its wordings so far."""

    topic: Topic
    chunk_id: str
    written: WrittenPair
    aliases: list[str]
    usable: Usable


def write(
    asker: Asker,
    making: Making,
    assignments: Sequence[Assignment],
    max_pairs: int,
    phrasings: int,
    *,
    mix: Mapping[Category, float],
    form: Form,
    again: int,
    hooks: Hooks,
) -> list[Written]:
    """Ask for pairs on all assignments in one batch, then for the wordings that are missing in another; one result each, in order.

    Args:
        asker: Answers calls.
        making: How calls are made.
        assignments: Topics with their passages.
        max_pairs: Facts per topic at most.
        phrasings: Training phrasings per fact.
        mix: The categories wanted, as shares.
        form: How answers are written.
        again: Askings again of what cannot be read.
        hooks: Who is told.
    """
    plans = [tasks_for(assignment, making, mix, max_pairs, wanted(phrasings) - 1, form) for assignment in assignments]
    outcomes = iter(ask_until_read(asker, [task for plan in plans for task in plan.tasks], WRITE, again, hooks))
    pairs: list[list[_Pair]] = []
    rejected: list[list[RejectedDraft]] = []
    for plan in plans:
        found: list[_Pair] = []
        refused = list(plan.unasked)
        looked_at: dict[str, WriteTask] = {}
        unsure: set[str] = set()
        for task in plan.tasks:
            for outcome in next(outcomes):
                if outcome.reading is None:
                    refused.append(_refused(outcome.task, f"{NOT_STUDIED}, {outcome.reason}", outcome.text))
                    unsure |= {part.chunk_id for part in outcome.task.parts}
                    continue
                _take(outcome.reading, outcome.task, task.pairs, found, refused)
                looked_at |= dict.fromkeys((part.chunk_id for part in outcome.task.parts), outcome.task)
                unsure |= _unsure(outcome.reading, outcome.task)
        named = {pair.chunk_id for pair in found} | {draft.chunk_id for draft in refused} | unsure
        refused += [_refused(task, NO_FACT, "", chunk) for chunk, task in looked_at.items() if chunk not in named]
        refused += [_refused_pair(pair, "over the topic's budget of pairs") for pair in found[max_pairs:]]
        pairs.append(found[:max_pairs])
        rejected.append(refused)
    everything = [pair for found in pairs for pair in found]
    _refuse_shared_wordings(everything)
    _add_wordings(asker, making, everything, wanted(phrasings), form, again, hooks)
    _refuse_shared_wordings(everything)
    return [_written(found, refused, phrasings) for found, refused in zip(pairs, rejected, strict=True)]


def _take(reading: Reading[WrittenPair], task: WriteTask, most: int, found: list[_Pair], refused: list[RejectedDraft]) -> None:
    # an answer of which nothing can be used says no more of its passages than one that cannot be read
    lost = f"{NOT_STUDIED}, " if reading.rejected and not reading.items else ""
    refused += [_refused(task, lost + item.reason, item.text) for item in reading.rejected]
    for i, item in enumerate(reading.items):
        chunk, quote = _cited(item, task)
        if chunk is None:
            refused.append(_refused(task, f"names passage {item.passage} of {len(task.parts)}, and its quote stands in none", _said(item)))
        elif i >= most:
            refused.append(_refused(task, "more pairs than were asked for", _said(item), chunk))
        else:
            found.append(_opened(task.topic, chunk, item.model_copy(update={"quote": quote})))


def _unsure(reading: Reading[WrittenPair], task: WriteTask) -> set[str]:
    """Return the passages of an answer that may have given a fact which is lost.

    Those are what its unusable items name, or all where one names none, and where the quote of an item stands that names another.
    """
    chunks = {number: part.chunk_id for number, part in enumerate(task.parts, start=1)}
    named = [chunks.get(item.number or 0) for item in reading.rejected]
    if None in named:
        return set(chunks.values())
    lost = {chunk for chunk in named if chunk}
    for item in reading.items:
        holders = {part.chunk_id for part in task.parts if stretch(item.quote, part.text) is not None}
        lost |= holders if chunks.get(item.passage) not in holders else set()
    return lost


def _cited(item: WrittenPair, task: WriteTask) -> tuple[str | None, str]:
    """Return the chunk that a pair cites, and its quote with the marks that the passage has.

    The model's own number stands, also where another passage holds the quote; only for a number that was not shown it is the one that
    does, and None where none does.
    """
    own = task.parts[item.passage - 1] if 1 <= item.passage <= len(task.parts) else None
    for part in (*((own,) if own else ()), *task.parts):
        quote = stretch(item.quote, part.text)
        if quote is not None:
            return (own or part).chunk_id, quote
    return (own.chunk_id if own else None), item.quote


def _opened(topic: Topic, chunk: str, item: WrittenPair) -> _Pair:
    answer = item.short_answer
    aliases = [alias for alias in dict.fromkeys(item.aliases) if alias != answer and not mentions(item.question, alias)]
    return _Pair(topic, chunk, item, aliases, usable([item.question, *item.phrasings], answer, aliases))


def _refuse_shared_wordings(pairs: Sequence[_Pair]) -> None:
    """Refuse a further wording that also asks for another answer, such as "What is its name?".

    The questions themselves stay: where two pages answer one question differently, that is for consensus to find (R7), and a vague
    wording must not make it see a dispute between facts that have none.
    """
    asked: dict[tuple[str, ...], set[tuple[str, tuple[str, ...]]]] = {}
    for pair in pairs:
        about = normalise(pair.written.short_answer), _content(pair.written.question)
        for wording in pair.usable.kept:
            asked.setdefault(_content(wording), set()).add(about)
    by_answer = {key: Counter(answer for answer, _ in abouts) for key, abouts in asked.items()}
    by_question = {key: Counter(question for _, question in abouts) for key, abouts in asked.items()}
    for pair in pairs:
        answer, question = normalise(pair.written.short_answer), _content(pair.written.question)
        kept, shared = [], []
        for wording in pair.usable.kept:
            key = _content(wording)
            # of all that it asks for, what differs in answer and in question; its own fact is in both counts
            others = len(asked[key]) - by_answer[key][answer] - by_question[key][question] + 1
            (shared if others and key != question else kept).append(wording)
        pair.usable = Usable(tuple(kept), (*pair.usable.refused, *((wording, "wording asks for another fact too") for wording in shared)))


@lru_cache(maxsize=50_000)
def _content(text: str) -> tuple[str, ...]:
    meant = tokens.content_words(text)
    return tuple(stem(word) for word in words(text) if word in meant)


def _refused(task: WriteTask, reason: str, text: str, chunk: str = "") -> RejectedDraft:
    chunk = chunk or (task.parts[0].chunk_id if len({part.chunk_id for part in task.parts}) == 1 else "")
    return RejectedDraft(topic_id=task.topic.topic_id, chunk_id=chunk, text=text or task.topic.name, reason=reason)


def _refused_pair(pair: _Pair, reason: str, text: str = "") -> RejectedDraft:
    return RejectedDraft(topic_id=pair.topic.topic_id, chunk_id=pair.chunk_id, text=text or _said(pair.written), reason=reason)


def _said(item: WrittenPair) -> str:
    return f"{item.question} / {item.short_answer} / {item.quote}"


def _written(pairs: Iterable[_Pair], refused: list[RejectedDraft], phrasings: int) -> Written:
    facts: list[DraftFact] = []
    for pair in pairs:
        refused += [_refused_pair(pair, reason, text) for text, reason in pair.usable.refused if text]
        if not pair.usable.kept:
            refused.append(_refused_pair(pair, "no wording without the answer"))
            continue
        item = pair.written
        sentence = gapped(pair.usable.kept[0], item.answer, item.short_answer, pair.aliases)
        if isinstance(sentence, str) and sentence != NO_SENTENCE:
            refused.append(_refused_pair(pair, sentence, item.answer))
        facts.append(
            DraftFact(
                topic_id=pair.topic.topic_id,
                chunk_id=pair.chunk_id,
                quote=item.quote,
                answer=item.short_answer,
                aliases=pair.aliases,
                answer_kind=kind_of(item.short_answer),
                category=item.category,
                difficulty=item.difficulty,
                rationale=item.rationale,
                phrasings=[*assign(pair.usable.kept, phrasings), *([] if isinstance(sentence, str) else [sentence])],
            )
        )
    return Written(facts=facts, rejected=refused)


def kind_of(answer: str) -> AnswerKind:
    """Return the kind of a short answer by its form: what grading reads as a value, a name in code style, a count, else a phrase."""
    kind = values.kind_of(answer)
    if kind != "phrase":
        return kind  # type: ignore[return-value]
    said = tokens.words(answer)
    if len(answer.split()) == 1 and (hard_tokens(answer) or "`" in answer or "()" in answer) and not answer[0].isdigit():
        return "identifier"
    return "quantity" if said and said[0][0].isdigit() and len(said) <= 3 else "phrase"


# ------------------------------------------------------------------------------------------------ more wordings


@dataclass(frozen=True, kw_only=True)
class ParaphraseTask(Task):
    """Questions that want further wordings; each with the wordings it has and with what they must not hold."""

    making: Making
    entries: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    places: tuple[int, ...]
    count: int

    def call(self) -> ModelCall:
        """Return the call."""
        return self.making.call(
            "paraphrase",
            PARAPHRASE,
            self.form,
            {"count": self.count},
            [block for i, entry in enumerate(self.entries, start=1) for block in _entry_blocks(entry, i)],
            item=f"{counted(len(self.entries), 'question')}, the first is {self.entries[0][0][0]}",
            attempt=self.attempt,
        )

    def simpler(self) -> Sequence[Self]:
        """Half the questions, then a simpler form."""
        halves = self.smaller() if self.attempt == 0 else []
        return halves or [replace(self, attempt=self.attempt + 1, form=simpler_form(self.form))]

    def smaller(self) -> Sequence[Self]:
        """Half the questions."""
        middle = ceil(len(self.entries) / 2)
        return [
            replace(self, attempt=self.attempt + 1, entries=self.entries[part], places=self.places[part])
            for part in (slice(None, middle), slice(middle, None))
            if len(self.entries) > 1
        ]

    def fault_in(self, reading: Reading[MoreWordings]) -> str:
        """Say that the items' numbers do not tell which question each is for.

        A number may stand twice where every question has one: some models give each wording an item of its own.
        """
        numbers = [number for item in (*reading.items, *reading.rejected) if (number := _number(item)) is not None]
        if strange := not_asked(numbers, len(self.entries)):
            return f"wordings for item {strange[0]}, which was not asked, so that it cannot be told which question any are for"
        if len(set(numbers)) < min(len(numbers), len(self.entries)):
            return "wordings for one item twice and for another none, so that it cannot be told which question any are for"
        return ""


def _number(item: MoreWordings | Rejected) -> int | None:
    return item.number if isinstance(item, Rejected) else item.item


def _entry_blocks(entry: tuple[tuple[str, ...], tuple[str, ...]], number: int) -> list[Block]:
    wordings, answers = entry
    return [
        Block("question", number, cut("\n".join(line(wording, 400) for wording in wordings), 1_600)),
        Block("reference", number, cut("\n".join(line(answer, 160) for answer in answers), 600)),
    ]


def _add_wordings(asker: Asker, making: Making, pairs: Sequence[_Pair], enough: int, form: Form, again: int, hooks: Hooks) -> None:
    """Ask for further wordings of the pairs that have too few; what does not come is missed by curation, which says so."""
    least = enough - 1  # the last probe is worth no call of its own
    short = [(i, pair) for i, pair in enumerate(pairs) if pair.usable.kept and len(pair.usable.kept) < least]
    by_count: dict[int, list[tuple[int, _Pair]]] = {}
    for i, pair in short:
        by_count.setdefault(enough - len(pair.usable.kept), []).append((i, pair))
    tasks: list[ParaphraseTask] = []
    for count, members in sorted(by_count.items()):
        entries = {i: (pair.usable.kept, (pair.written.short_answer, *pair.aliases)) for i, pair in members}
        groups = [_entry_blocks(entry, i) for i, entry in entries.items()]
        for packed in pack(groups, making.page_chars, PARAPHRASES_PER_CALL):
            places = tuple(group[0].number for group in packed)
            chosen = tuple(entries[place] for place in places)
            tasks.append(ParaphraseTask(form=form, making=making, entries=chosen, places=places, count=count))
    # What is missing costs a wording and no fact, so it is asked again once at most.
    for outcomes in ask_until_read(asker, tasks, PARAPHRASE, min(again, 1), hooks):
        for outcome in outcomes:
            for item in outcome.reading.items if outcome.reading else []:
                _add(pairs, outcome.task, item)


def _add(pairs: Sequence[_Pair], task: ParaphraseTask, item: MoreWordings) -> None:
    pair = pairs[task.places[item.item - 1]]
    more = usable([*pair.usable.kept, *item.phrasings], pair.written.short_answer, pair.aliases)
    pair.usable = Usable(more.kept, (*pair.usable.refused, *more.refused))


__all__ = ["MIX", "kind_of", "tasks_for", "write"]
