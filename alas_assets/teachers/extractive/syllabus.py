"""Topics from page titles and headings, and what follows after an iteration: remediation and advanced subtopics.

Proposing only; merging, ordering and budget are the planner's work. Everything is deterministic (P1, V1).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from alas_assets.provenance.ids import page_id, short_id
from alas_assets.records import Difficulty, PageOutline, Topic, TopicScore
from alas_assets.teachers.extractive.reading import clean

_NOT_CONTENT = re.compile(
    r"^(?:contents|table of contents|navigation|references?|see also|credits?|external links|related(?: \w+)?|share|comments?"
    r"|footnotes?|notes|search"
    r"|about|sources?|bibliography|further reading|licen[cs]e|copyright|acknowledge?ments?|feedback|subscribe|menu|on this page"
    r"|newsletter)$",
    re.IGNORECASE,
)
_HARD = re.compile(
    r"\b(?:C API|ABI|internals?|JIT|interpreter|compiler|memory|security|vulnerab\w+|CVSS|weakness|porting|optimi[sz]ations?)\b",
    re.IGNORECASE,
)
_MEDIUM = re.compile(r"\b(?:deprecat\w+|remov\w+|pending|soft|build|changes?|improved?|affected)\b", re.IGNORECASE)


def short_title(title: str) -> str:
    """Return a page title without the site's name after its first separator."""
    text = clean(title)
    return re.split(r"\s[—–|·]\s", text)[0].strip()[:120] or "Untitled page"


def _difficulty(name: str, depth: int) -> Difficulty:
    if _HARD.search(name):
        return "Hard"
    if _MEDIUM.search(name) or depth > 1:
        return "Medium"
    return "Easy"


def plan(_description: str, seed_topics: Sequence[str], outlines: Sequence[PageOutline]) -> list[Topic]:
    """Propose one overview topic per page and one per section that looks like content (P1).

    Args:
        _description: The domain in words; a rule can make nothing of it, a model may.
        seed_topics: Topics the owner named; pages that match one come first.
        outlines: What is known of each page, in the site's own order, which is kept.
    """
    wanted = [set(re.findall(r"\w{3,}", topic.lower())) for topic in seed_topics]
    ranked: list[tuple[tuple[int, int], PageOutline]] = []
    for index, outline in enumerate(outlines):
        words = set(re.findall(r"\w{3,}", f"{outline.title} {' '.join(outline.headings)}".lower()))
        hits = max((len(words & want) for want in wanted), default=0)
        ranked.append(((-hits, index), outline))
    topics: list[Topic] = []
    names: set[str] = set()
    seen_urls: set[str] = set()
    for _, outline in sorted(ranked, key=lambda item: item[0]):
        url = page_id(outline.url)
        if url in seen_urls:
            continue
        seen_urls.add(url)
        title = short_title(outline.title)
        overview = _unique(title, names)
        topics.append(
            Topic(
                topic_id=short_id("topic", url, ""),
                name=overview,
                summary=outline.summary or f"What the page {title!r} says as a whole.",
                objectives=[f"State the facts that {title!r} gives outside its sections"]
                if outline.headings
                else [f"State the facts that {title!r} gives"],
                difficulty=_difficulty(title, 1),
                urls=[outline.url],
            )
        )
        done: set[str] = set()
        for heading in outline.headings:
            text = clean(heading)
            if not text or _NOT_CONTENT.match(text) or text.lower() in done or text == title:
                continue
            done.add(text.lower())
            topics.append(
                Topic(
                    topic_id=short_id("topic", url, text),
                    name=_unique(f"{text} ({title})", names),
                    summary=f"The section {text!r} of {title!r}.",
                    prerequisites=[overview],
                    objectives=[f"Recall what {title!r} states on {text}", f"Name the versions, names and numbers given on {text}"],
                    difficulty=_difficulty(text, 2),
                    urls=[outline.url],
                    heading=text,
                )
            )
    return topics


def _unique(name: str, names: set[str]) -> str:
    candidate, count = name, 2
    while candidate.lower() in names:
        candidate, count = f"{name} ({count})", count + 1
    names.add(candidate.lower())
    return candidate


def revise(weak: Sequence[Topic], mastered: Sequence[Topic], scores: Sequence[TopicScore]) -> list[Topic]:
    """Propose remediation for weak topics, then advanced subtopics of mastered ones (V1).

    Remediation asks for the same section again, weakest first. A mastered topic that is not advanced already and whose
    score leaves no doubt spawns one advanced subtopic: the facts of the same section that were not asked for yet.
    """
    by_id = {score.topic_id: score for score in scores}
    proposed: list[Topic] = []

    def accuracy(topic: Topic) -> float:
        return by_id[topic.topic_id].accuracy if topic.topic_id in by_id else 0.0

    for topic in sorted(weak, key=lambda t: (accuracy(t), t.name)):
        score = by_id.get(topic.topic_id)
        seen = f" {score.correct} of {score.n} were right." if score else ""
        base = re.sub(r"^Remediation: ", "", topic.name)
        proposed.append(
            topic.model_copy(
                update={
                    "topic_id": short_id("remediation", topic.topic_id),
                    "name": f"Remediation: {base}",
                    "summary": f"{topic.summary}{seen}".strip(),
                    "objectives": [f"Answer again what was wrong on {base}", *topic.objectives[:1]],
                    "origin": "remediation",
                    "parent": topic.topic_id,
                }
            )
        )
    for topic in sorted(mastered, key=lambda t: t.name):
        if topic.origin == "advanced" or topic.heading is None:
            continue
        base = re.sub(r"^Remediation: ", "", topic.name)
        proposed.append(
            topic.model_copy(
                update={
                    "topic_id": short_id("advanced", topic.topic_id),
                    "name": f"Advanced: {base}",
                    "summary": f"Facts of the same section that were not asked for yet. {topic.summary}".strip(),
                    "prerequisites": [topic.name],
                    "objectives": [f"State the remaining facts on {base}"],
                    "difficulty": "Hard",
                    "origin": "advanced",
                    "parent": topic.topic_id,
                }
            )
        )
    return proposed
