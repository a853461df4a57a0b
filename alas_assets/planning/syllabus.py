"""From proposed topics to an ordered syllabus: merging, memory, prerequisites, budget (P1-P3, O5).

Pure: the teacher proposes, the embedder is handed in. What comes after an iteration is `planning.convergence`.
"""

from __future__ import annotations

import heapq
import math
import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from urllib.parse import urldefrag

from alas_assets.records import Curriculum, Seed, Topic
from alas_assets.wording import counted

MERGE_COSINE = 0.92
"""Similarity of two names from which they mean the same; lower values join neighbours such as two modules."""

_ROUNDING = 1e-9
"""By how much a matrix product may differ from an exact sum; what is so near the threshold is decided by that."""

Embed = Callable[[list[str]], list[list[float]]]

_NAME = re.compile(r"[^\W_]+(?:[.\-_][^\W_]+)*|\w+")
_CODE = re.compile(r"`([^`]+)`")
_AGAIN = ("remediation", "changed")
"""Origins of topics that are studied although they were covered before."""


def plan_curriculum(
    seed: Seed,
    proposed: Sequence[Topic],
    embed: Embed | None,
    *,
    changed: Collection[str] = (),
    min_topics: int,
    max_topics: int,
    threshold: float = MERGE_COSINE,
) -> Curriculum:
    """Order what is to be learned and cut it to the budget.

    Weak topics and those of changed pages come first, then what the revision left over, then what is proposed now; mastered and covered
    topics are left out, unless their page changed (P3, O2). A mastered topic is known by its name on pages that were read before; a
    page that is new is studied whatever its topics are called, since series of pages repeat their headings. An iteration that was
    opened by a change puts off what the revision left over: it studies the change, new pages and what is weak. Topics that mean the
    same are merged (P2). Prerequisites come before what needs them; the rest keeps the order of proposal. The budget takes whole pages,
    in that order, until the next page would exceed it, and at least one; a page cut in two would be fetched twice and leave facts
    behind that nobody asks for.

    Args:
        seed: Where the iteration starts.
        proposed: The teacher's topics.
        embed: Embeds topic names; None merges equal names only.
        changed: Pages that read differently from when they were last studied; those the seed names count too.
        min_topics: The least the domain asks for; a smaller `max_topics` is raised to it.
        max_topics: New topics at most; remediation comes on top.
        threshold: Cosine from which two names mean the same.

    Returns:
        The curriculum; `deferred` holds what is beyond the budget, `merged` and `broken_cycles` what was changed.
    """
    moved = {*changed, *seed.changed_pages}
    candidates = _remembered(seed, proposed, moved)
    put_off: list[Topic] = []
    if seed.changed_pages:
        left_over = {topic.topic_id for topic in seed.next_topics if topic.origin != "changed" and not _on(topic, moved)}
        put_off = [topic for topic in candidates if topic.topic_id in left_over]
        candidates = [topic for topic in candidates if topic.topic_id not in left_over]
    topics, merged = _merge(candidates, embed, threshold)
    renamed = {plain_name(dropped.name): kept.name for dropped, kept in merged}
    ordered, cycles = _order(topics, renamed)
    taken, deferred = _budget(ordered, max(min_topics, max_topics))
    return Curriculum(
        domain=seed.domain,
        iteration=seed.iteration,
        topics=taken,
        deferred=[*deferred, *put_off],
        merged=[(dropped.name, kept.name) for dropped, kept in merged],
        merged_ids=[(dropped.topic_id, kept.topic_id) for dropped, kept in merged],
        broken_cycles=cycles,
        changed_pages=sorted(moved),
    )


def shortage(curriculum: Curriculum, min_topics: int) -> str | None:
    """Say in words that a plan is shorter than the domain asks for (P1); None where it is not."""
    found = len(curriculum.topics)
    if found >= min_topics or curriculum.changed_pages:
        return None  # an iteration for a change studies what changed, however little that is
    said = f"{found} topics planned, the domain asks for at least {min_topics} (budget.min_topics)"
    if curriculum.deferred:
        return f"{said}: the next page alone has more topics than budget.max_topics leaves, {len(curriculum.deferred)} are deferred"
    if curriculum.iteration:
        return f"{said}: the rest was covered or mastered in earlier iterations; add pages to sources.seed_urls if more is wanted"
    if curriculum.failed_urls:
        return f"{said}: {counted(len(curriculum.failed_urls), 'page')} could not be surveyed, the first is {curriculum.failed_urls[0][0]}"
    return f"{said}: the pages give no more; add pages to sources.seed_urls or lower budget.min_topics"


# ------------------------------------------------------------------------------------------------ names


def plain_name(name: str) -> str:
    """Return a name without case, code marks and differences in white space."""
    return " ".join(unicodedata.normalize("NFKC", name).replace("`", "").casefold().split()).rstrip(".")


def _particulars(name: str) -> frozenset[str]:
    """Return what makes a name particular: numbers, versions, identifiers, words in code style (P2).

    Names that differ in one of these mean different things, however alike they look.
    """
    text = unicodedata.normalize("NFKC", name)
    coded = {word.casefold() for span in _CODE.findall(text) for word in _NAME.findall(span)}
    marked = {
        word.casefold() for word in _NAME.findall(text) if any(c.isdigit() or c in "._" for c in word) or any(c.isupper() for c in word[1:])
    }
    return frozenset(coded | marked)


# ------------------------------------------------------------------------------------------------ memory


def _remembered(seed: Seed, proposed: Sequence[Topic], changed: Collection[str]) -> list[Topic]:
    """Return weak, changed, left-over and new topics, each once, without what is mastered or covered and stands unchanged (P3)."""
    mastered = {plain_name(name) for name in seed.inherited.mastered}
    covered, read = set(seed.inherited.covered_topics), {urldefrag(url).url for url in seed.inherited.covered_urls}
    weak = [topic.model_copy(update={"origin": "remediation"}) for topic in seed.weak_topics]
    again = [topic.model_copy(update={"origin": "changed"}) for topic in proposed if topic.topic_id in covered and _on(topic, changed)]
    chosen: dict[str, Topic] = {}
    for topic in (*weak, *again, *seed.next_topics, *proposed):
        if topic.topic_id in chosen:
            continue
        known = plain_name(topic.name) in mastered and all(urldefrag(url).url in read for url in topic.urls)
        fresh = topic.topic_id not in covered and not known
        if topic.origin in _AGAIN or fresh or (topic.origin == "advanced" and topic.parent):
            chosen[topic.topic_id] = topic
    return list(chosen.values())


def _on(topic: Topic, pages: Collection[str]) -> bool:
    return any(urldefrag(url).url in pages for url in topic.urls)


# ------------------------------------------------------------------------------------------------ merging


def _merge(topics: list[Topic], embed: Embed | None, threshold: float) -> tuple[list[Topic], list[tuple[Topic, Topic]]]:
    """Merge topics that mean the same into the first of them (P2); return those that are left, and (dropped, kept) as they were.

    A topic studies one section at most, so topics on different sections stay apart: one of the two sections would be lost.
    """
    close = _close(topics, embed, threshold) if embed and len(topics) > 1 else lambda _: []
    by_name: dict[tuple[str | None, str], int] = {}
    result: dict[int, Topic] = {}
    merged: list[tuple[Topic, Topic]] = []
    for i, topic in enumerate(topics):
        name = topic.heading, plain_name(topic.name)
        twins = [k for k in (*close(i), by_name.get(name, i)) if k in result]
        if not twins:
            by_name[name] = i
            result[i] = topic
            continue
        merged.append((topic, topics[min(twins)]))
        result[min(twins)] = _joined(result[min(twins)], topic)
    return list(result.values()), merged


def _close(topics: Sequence[Topic], embed: Embed, threshold: float) -> Callable[[int], list[int]]:
    """Return what names, for a topic, the earlier ones that mean the same and may be merged: like it in section and in particulars."""
    import numpy as np

    vectors = _unit(embed([topic.name for topic in topics]))
    groups: dict[tuple[str | None, frozenset[str]], list[int]] = {}
    for i, topic in enumerate(topics):
        groups.setdefault((topic.heading, _particulars(topic.name)), []).append(i)
    placed = {i: (members, place) for members in groups.values() for place, i in enumerate(members)}
    rows = {members[0]: np.array([vectors[i] for i in members]) for members in groups.values()}

    def close(i: int) -> list[int]:
        members, place = placed[i]
        alike = rows[members[0]][:place] @ rows[members[0]][place]
        near = (members[k] for k in np.flatnonzero(alike >= threshold - _ROUNDING))
        return [k for k in near if math.fsum(a * b for a, b in zip(vectors[i], vectors[k], strict=True)) >= threshold]

    return close


def _unit(vectors: list[list[float]]) -> list[list[float]]:
    unit = []
    for vector in vectors:
        length = math.sqrt(math.fsum(value * value for value in vector)) or 1.0
        unit.append([value / length for value in vector])
    return unit


def _joined(kept: Topic, dropped: Topic) -> Topic:
    def union(ours: list[str], theirs: list[str]) -> list[str]:
        return list(dict.fromkeys([*ours, *theirs]))

    return kept.model_copy(
        update={
            "urls": union(kept.urls, dropped.urls),
            "objectives": union(kept.objectives, dropped.objectives),
            "prerequisites": union(kept.prerequisites, dropped.prerequisites),
        }
    )


# ------------------------------------------------------------------------------------------------ order


def _order(topics: list[Topic], renamed: dict[str, str]) -> tuple[list[Topic], list[list[str]]]:
    """Order by prerequisites, remediation and changes first, else as proposed; cycles are broken at their earliest topic (P2)."""
    by_name: dict[str, int] = {}
    for i, topic in enumerate(topics):
        by_name.setdefault(plain_name(topic.name), i)
    needs: list[set[int]] = []
    cycles: list[list[str]] = []
    for i, topic in enumerate(topics):
        wanted = {by_name[name] for raw in topic.prerequisites if (name := plain_name(renamed.get(plain_name(raw), raw))) in by_name}
        if i in wanted:
            cycles.append([topic.name])
        needs.append(wanted - {i})
    rank = [(topic.origin not in _AGAIN, i) for i, topic in enumerate(topics)]
    ready = [rank[i] for i in range(len(topics)) if not needs[i]]
    heapq.heapify(ready)
    waiting = {i for i in range(len(topics)) if needs[i]}
    ordered: list[Topic] = []
    while ready or waiting:
        if not ready:
            cycle = _cycle(waiting, needs, rank)
            cycles.append([topics[i].name for i in cycle])
            first = min(cycle, key=lambda i: rank[i])
            needs[first].discard(cycle[(cycle.index(first) + 1) % len(cycle)])
            if not needs[first]:
                waiting.discard(first)
                heapq.heappush(ready, rank[first])
            continue
        _, done = heapq.heappop(ready)
        ordered.append(topics[done])
        for i in sorted(waiting):
            needs[i].discard(done)
            if not needs[i]:
                waiting.discard(i)
                heapq.heappush(ready, rank[i])
    return ordered, cycles


def _cycle(waiting: set[int], needs: list[set[int]], rank: list[tuple[bool, int]]) -> list[int]:
    """Return one cycle among topics that all wait: each needs the next, the last needs the first."""
    path: list[int] = [min(waiting, key=lambda i: rank[i])]
    while True:
        step = min(needs[path[-1]], key=lambda i: rank[i])
        if step in path:
            return path[path.index(step) :]
        path.append(step)


# ------------------------------------------------------------------------------------------------ budget


def _budget(ordered: list[Topic], limit: int) -> tuple[list[Topic], list[Topic]]:
    """Take all remediation, then whole pages in order of their first topic until the next would exceed the limit; at least one.

    Remediation is on top: its pages are known and unchanged, and it must not starve an iteration of new facts.
    """
    pages: dict[str, list[str]] = {}
    taken = {topic.topic_id for topic in ordered if topic.origin == "remediation"}
    for topic in ordered:
        if topic.topic_id not in taken:
            pages.setdefault(topic.urls[0] if topic.urls else topic.topic_id, []).append(topic.topic_id)
    new = 0
    for topic_ids in pages.values():
        if new and new + len(topic_ids) > limit:
            break
        taken.update(topic_ids)
        new += len(topic_ids)
    return [t for t in ordered if t.topic_id in taken], [t for t in ordered if t.topic_id not in taken]
