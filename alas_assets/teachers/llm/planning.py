"""Asking a model for topics, from the outlines of pages (P1), and for what follows an iteration (V1).

Merging, order, memory and budget are `planning.syllabus`' and `planning.convergence`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Self

from alas_assets.provenance.ids import page_id, short_id
from alas_assets.records import PageOutline, Topic, TopicScore
from alas_assets.synthesis.wording import normalise
from alas_assets.teachers.endpoint.calls import Asker, ModelCall
from alas_assets.teachers.llm.asking import Hooks, Task, Trouble, ask_until_read, simpler_form
from alas_assets.teachers.llm.fences import Block, cut, line, pack
from alas_assets.teachers.llm.making import Making, shares
from alas_assets.teachers.llm.prompts import Form
from alas_assets.teachers.llm.reading import Reading
from alas_assets.teachers.llm.reading.shapes import PLAN, REVISE, NextTopic, PlannedTopic
from alas_assets.wording import counted

PAGES_PER_CALL = 40
TOPICS_PER_CALL = 40
_PAGE_CHARS = 3_000
_HEADINGS = 60
_TOPIC_CHARS = 1_500
_SEEDS = 30


@dataclass(frozen=True, kw_only=True)
class PlanTask(Task):
    """The outlines of some pages, of which topics are to be made."""

    making: Making
    seeds: tuple[str, ...]
    pages: tuple[PageOutline, ...]
    topics: int

    def call(self) -> ModelCall:
        """Return the call."""
        seeds = "; ".join(self.seeds)
        return self.making.call(
            "plan",
            PLAN,
            self.form,
            {
                "description": self.making.about,
                "seeds": f"Topics that its owner asked for: {seeds}. Plan those first that these pages can teach." if seeds else "",
                "count": self.topics,
            },
            [_page_block(page, i, self.making.page_chars) for i, page in enumerate(self.pages, start=1)],
            item=f"{counted(len(self.pages), 'page')}, the first is {self.pages[0].title}",
            attempt=self.attempt,
        )

    def simpler(self) -> Sequence[Self]:
        """Fewer topics; then half the pages; then a simpler form."""
        attempt, fewer = self.attempt + 1, max(1, self.topics // 2)
        if attempt == 1:
            return [replace(self, attempt=attempt, topics=fewer)]
        if attempt == 2 and len(self.pages) > 1:
            middle = ceil(len(self.pages) / 2)
            return [replace(self, attempt=attempt, topics=fewer, pages=half) for half in (self.pages[:middle], self.pages[middle:])]
        return [replace(self, attempt=attempt, topics=fewer, form=simpler_form(self.form))]

    def smaller(self) -> Sequence[Self]:
        """Half the pages."""
        middle, fewer = ceil(len(self.pages) / 2), max(1, self.topics // 2)
        halves = (self.pages[:middle], self.pages[middle:])
        return [replace(self, attempt=self.attempt + 1, topics=fewer, pages=half) for half in halves if len(self.pages) > 1]


def _page_block(page: PageOutline, number: int, page_chars: int) -> Block:
    lines = [f"Title: {line(page.title, 200)}"]
    if page.summary.strip():
        lines.append(f"Summary: {line(page.summary, 500)}")
    if page.headings:
        more = len(page.headings) - _HEADINGS
        lines += ["Headings:", *(f"- {line(heading, 120)}" for heading in page.headings[:_HEADINGS])]
        lines += [f"(and {more} more)"] if more > 0 else []
    return Block("page", number, cut("\n".join(lines), min(_PAGE_CHARS, max(page_chars - 100, 200))))


def plan(
    asker: Asker,
    making: Making,
    seed_topics: Sequence[str],
    outlines: Sequence[PageOutline],
    *,
    min_topics: int,
    form: Form,
    again: int,
    hooks: Hooks,
) -> list[Topic]:
    """Ask for topics, in several calls where the outlines are many, and join them (P1).

    Topics of one name are one. Pages of which no topic could be made are not lost: each becomes one topic named after its title, where
    nothing can be read as well as where the item that names them is refused. A page that no item names is left out: the planner saw it.

    Args:
        asker: Answers calls.
        making: How calls are made.
        seed_topics: What the owner named.
        outlines: What is known of each page.
        min_topics: Topics asked for over all calls.
        form: How answers are written.
        again: Askings again of what cannot be read.
        hooks: Who is told.
    """
    pages = list({page_id(outline.url): outline for outline in reversed(outlines)}.values())[::-1]
    groups = [[_page_block(page, i, making.page_chars)] for i, page in enumerate(pages)]
    sizes = [len(group) for group in pack(groups, making.page_chars, PAGES_PER_CALL)]
    seeds = tuple(line(topic, 100) for topic in seed_topics[:_SEEDS] if topic.strip())
    counts = shares(max(min_topics, len(sizes)), sizes)
    tasks, at = [], 0
    for size, count in zip(sizes, counts, strict=True):
        tasks.append(
            PlanTask(form=form, making=making, seeds=seeds, pages=tuple(pages[at : at + size]), topics=max(1, count, ceil(size / 4)))
        )
        at += size
    joined: dict[str, Topic] = {}
    for outcomes in ask_until_read(asker, tasks, PLAN, again, hooks):
        for outcome in outcomes:
            for topic in _topics(outcome.reading, outcome.task, hooks):
                key = normalise(topic.name)
                joined[key] = _united(joined[key], topic) if key in joined else topic
    return [topic.model_copy(update={"topic_id": _topic_id(topic)}) for topic in joined.values()]


def _topics(reading: Reading[PlannedTopic] | None, task: PlanTask, hooks: Hooks) -> list[Topic]:
    """Return what one answer comes to: its topics, and a whole-page topic for each page that would be lost with what cannot be used."""
    if reading is None:
        return [_whole_page(page) for page in task.pages]
    made = [(item, _topic(item, task, hooks)) for item in reading.items]
    topics = [topic for _, found in made for topic in found]
    if not topics:
        return [_whole_page(page) for page in task.pages]
    refused = {number for item, found in made if not found for number in item.pages}
    refused |= {number for item in reading.rejected for number in item.pages}
    named = {url for topic in topics for url in topic.urls}
    lost = [page for number, page in enumerate(task.pages, start=1) if number in refused and page.url not in named]
    return [*topics, *(_whole_page(page) for page in lost)]


def _topic(item: PlannedTopic, task: PlanTask, hooks: Hooks) -> list[Topic]:
    numbers = list(dict.fromkeys(item.pages))
    if any(not 1 <= number <= len(task.pages) for number in numbers):
        if hooks.trouble is not None:
            reason = f"unusable item: names a page that was not shown, of {len(task.pages)}"
            hooks.trouble(Trouble(purpose="plan", item=item.name, attempt=task.attempt, reason=reason, text=item.model_dump_json()))
        return []
    pages = [task.pages[number - 1] for number in numbers]
    return [
        Topic(
            topic_id="",
            name=line(item.name, 160),
            summary=line(item.summary, 600),
            prerequisites=[line(name, 160) for name in item.prerequisites],
            objectives=[line(objective, 400) for objective in item.objectives],
            difficulty=item.difficulty,
            urls=[page.url for page in pages],
            heading=_heading(item.name, pages),
        )
    ]


def _heading(name: str, pages: Sequence[PageOutline]) -> str | None:
    """Return the section that a topic of one page is named after, so that it is written from that section alone."""
    if len(pages) != 1:
        return None
    found = [heading for heading in pages[0].headings if normalise(heading) == normalise(name)]
    return found[0] if len(found) == 1 else None


def _whole_page(page: PageOutline) -> Topic:
    name = line(page.title, 160) or page.url
    return Topic(
        topic_id="", name=name, summary=f"What the page {name!r} says.", objectives=[f"State the facts of {name!r}"], urls=[page.url]
    )


def _united(one: Topic, other: Topic) -> Topic:
    urls = list(dict.fromkeys([*one.urls, *other.urls]))
    return one.model_copy(update={"urls": urls, "heading": one.heading if urls == one.urls else None})


def _topic_id(topic: Topic) -> str:
    return short_id("topic", *sorted(page_id(url) for url in topic.urls), normalise(topic.name))


# ------------------------------------------------------------------------------------------------ revision


@dataclass(frozen=True, kw_only=True)
class ReviseTask(Task):
    """Some topics with how they fared."""

    making: Making
    topics: tuple[tuple[Topic, bool, TopicScore | None], ...]
    """Each topic, whether it is weak, and its score."""

    def call(self) -> ModelCall:
        """Return the call."""
        return self.making.call(
            "revise",
            REVISE,
            self.form,
            {"description": self.making.about},
            [_score_block(entry, i, self.making.page_chars) for i, entry in enumerate(self.topics, start=1)],
            item=f"{counted(len(self.topics), 'topic')}, the first is {self.topics[0][0].name}",
            attempt=self.attempt,
        )

    def simpler(self) -> Sequence[Self]:
        """Half the topics, then a simpler form."""
        halves = self.smaller() if self.attempt < 2 else []
        return halves or [replace(self, attempt=self.attempt + 1, form=simpler_form(self.form))]

    def smaller(self) -> Sequence[Self]:
        """Half the topics."""
        middle = ceil(len(self.topics) / 2)
        halves = (self.topics[:middle], self.topics[middle:])
        return [replace(self, attempt=self.attempt + 1, topics=half) for half in halves if len(self.topics) > 1]


def _score_block(entry: tuple[Topic, bool, TopicScore | None], number: int, page_chars: int) -> Block:
    topic, weak, score = entry
    right = f", {score.correct} of {score.n} right" if score else ""
    lines = [f"Name: {line(topic.name, 160)}", f"State: {'weak' if weak else 'mastered'}{right}"]
    if topic.summary.strip():
        lines.append(f"Summary: {line(topic.summary, 400)}")
    lines += [f"Objective: {line(objective, 160)}" for objective in topic.objectives[:5]]
    return Block("topic", number, cut("\n".join(lines), min(_TOPIC_CHARS, max(page_chars - 100, 200))))


def revise(
    asker: Asker,
    making: Making,
    weak: Sequence[Topic],
    mastered: Sequence[Topic],
    scores: Sequence[TopicScore],
    *,
    form: Form,
    again: int,
    hooks: Hooks,
) -> list[Topic]:
    """Ask for remediation of weak topics, weakest first, and for advanced subtopics of mastered ones (V1).

    A topic that is advanced already is not taken further. What cannot be read is no proposal; the loop then repeats the weak topic.
    """
    by_id: Mapping[str, TopicScore] = {score.topic_id: score for score in scores}

    def accuracy(topic: Topic) -> float:
        return by_id[topic.topic_id].accuracy if topic.topic_id in by_id else 0.0

    entries = [(topic, True, by_id.get(topic.topic_id)) for topic in sorted(weak, key=lambda t: (accuracy(t), t.name))]
    entries += [(t, False, by_id.get(t.topic_id)) for t in sorted(mastered, key=lambda t: t.name) if t.origin != "advanced" and t.urls]
    groups = [[_score_block(entry, i, making.page_chars)] for i, entry in enumerate(entries)]
    tasks, at = [], 0
    for size in [len(group) for group in pack(groups, making.page_chars, TOPICS_PER_CALL)]:
        tasks.append(ReviseTask(form=form, making=making, topics=tuple(entries[at : at + size])))
        at += size
    proposed: dict[str, Topic] = {}
    for outcomes in ask_until_read(asker, tasks, REVISE, again, hooks):
        for outcome in outcomes:
            for item in outcome.reading.items if outcome.reading else []:
                topic = _next_topic(item, outcome.task, hooks)
                if topic is not None:
                    proposed.setdefault(topic.topic_id, topic)
    return sorted(proposed.values(), key=lambda topic: topic.origin != "remediation")


def _next_topic(item: NextTopic, task: ReviseTask, hooks: Hooks) -> Topic | None:
    reason = ""
    if not 1 <= item.topic <= len(task.topics):
        reason = f"unusable item: follows from a topic that was not shown, of {len(task.topics)}"
    elif task.topics[item.topic - 1][1] != (item.kind == "remediation"):
        reason = f"unusable item: {item.kind} for a topic that is {'weak' if item.kind == 'advanced' else 'mastered'}"
    if reason:
        if hooks.trouble is not None:
            hooks.trouble(Trouble(purpose="revise", item=item.name, attempt=task.attempt, reason=reason, text=item.model_dump_json()))
        return None
    topic = task.topics[item.topic - 1][0]
    told = {
        "name": line(item.name, 160),
        "summary": line(item.summary, 600),
        "objectives": [line(objective, 400) for objective in item.objectives],
        "parent": topic.topic_id,
        "origin": item.kind,
    }
    if item.kind == "remediation":
        return topic.model_copy(update={"topic_id": short_id("remediation", topic.topic_id), **told})
    advanced = {"topic_id": short_id("advanced", topic.topic_id, normalise(item.name)), "prerequisites": [topic.name], "difficulty": "Hard"}
    return topic.model_copy(update={**advanced, **told})
