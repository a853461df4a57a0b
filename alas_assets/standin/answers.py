"""What the stand-in answers to each task, as plain data: plans, pairs, phrasings, grades and revisions from recorded pairs, by rule.

How an answer is written is `standin.forms`, how a prompt is read `standin.reading`. Equal prompts get equal answers.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from alas_assets.evaluation.grading import grade
from alas_assets.evaluation.values import kind_of
from alas_assets.provenance.ids import fold
from alas_assets.standin.matching import Library, Standing
from alas_assets.standin.pairs import RecordedPair
from alas_assets.standin.reading import Block, Prompt, UnreadablePromptError
from alas_assets.synthesis.wording import normalise
from alas_assets.teachers.protocol import GradeRequest

STRICT = "strict"
"""A model whose name ends so grades a partial answer as incorrect: a second judge that does not always agree with the first."""

_PAIRS_PER_TOPIC = 10
_NAMED = 3
_LARGEST = 10_000
_FORM_COSTS = 1.5  # XML takes so much more room than JSON
_NAME_CHARS = 90
_SAID = "What the page says of"
_MISSED = "What was missed of"
_FURTHER = "What else there is to know of"
_SAYS = re.compile(rf"^\s*(?:(?:name|summary|objective|state)\s*:\s*)?(?:(?:{_MISSED}|{_FURTHER}):? )?(?:{_SAID} )?", re.IGNORECASE)
_ALSO = re.compile(r"\s*also right:", re.IGNORECASE)
_RIGHT_OF = re.compile(r"(\d{1,6}) (?:of|out of|/) (\d{1,6})")

Answer = dict[str, Any]


def answer(library: Library, prompt: Prompt, model: str = "", room: int | None = None) -> Answer:
    """Return the answer to a prompt, in the shape that its task has.

    Args:
        library: The recorded pairs.
        prompt: What is asked.
        model: Who is asked.
        room: Characters that the answer may have; a plan is kept to it by larger topics, as far as every page has one.

    Raises:
        UnreadablePromptError: The prompt shows nothing of what its task is about.
    """
    if prompt.task == "plan":
        return _plan(library, prompt, room)
    if prompt.task == "write":
        return _write(library, prompt)
    if prompt.task == "paraphrase":
        return _paraphrase(library, prompt)
    if prompt.task == "judge":
        return _judge(library, prompt, strict=model.endswith(STRICT))
    return _revise(prompt)


def _shown(prompt: Prompt, kind: str) -> dict[int, Block]:
    blocks = prompt.numbered(kind)
    if not blocks:
        raise UnreadablePromptError(f"task {prompt.task}: the prompt shows no {kind}")
    return blocks


# ---------------------------------------------------------------------------------------------- planning


def _plan(library: Library, prompt: Prompt, room: int | None) -> Answer:
    outlines = _shown(prompt, "page")
    pages = library.recognise(outlines)
    wanted = prompt.count("topics", 0)
    size = _PAIRS_PER_TOPIC
    plan = _topics(library, outlines, pages, size)
    while len(plan) < wanted and size > 1:
        size -= 1
        plan = _topics(library, outlines, pages, size)
    while room is not None and size < _LARGEST and len(json.dumps(plan)) * _FORM_COSTS > room:
        size *= 2
        plan = _topics(library, outlines, pages, size)
    return {"topics": plan}


def _topics(library: Library, outlines: dict[int, Block], pages: dict[int, str], size: int) -> list[Answer]:
    plan: list[Answer] = []
    names: set[str] = set()
    for number, block in outlines.items():
        title = _title(block)
        recorded = library.pages[pages[number]] if number in pages else []
        before: list[str] = []
        for subjects, pairs in _grouped(recorded, block, size) or [([], [])]:
            name = _unused(_name(subjects) or title, title, number, names)
            plan.append(
                {
                    "name": name,
                    "summary": f"{_SAID} {', '.join(subjects)}" if subjects else f"{_SAID} {title}",
                    "prerequisites": before[-1:],
                    "objectives": [f"{_SAID} {subject}" for subject in subjects[:_NAMED] or [title]],
                    "difficulty": _commonest([pair.difficulty for pair in pairs]) or "Medium",
                    "pages": [number],
                }
            )
            before.append(name)
    return plan


def _title(block: Block) -> str:
    line = next((line for line in block.text.split("\n") if line.strip()), "")
    line = re.sub(r"^\s*(?:(?:title|name)\s*:|#+)\s*", "", line, flags=re.IGNORECASE)
    return fold(line)[:_NAME_CHARS] or f"Page {block.number}"


def _grouped(pairs: Sequence[RecordedPair], outline: Block, size: int) -> list[tuple[list[str], list[RecordedPair]]]:
    """Return a page's recorded topics in groups of about so many pairs; one that is a heading of the page stays alone."""
    by_topic: dict[str, list[RecordedPair]] = {}
    for pair in pairs:
        by_topic.setdefault(pair.topic, []).append(pair)
    headings = {_bare(line) for line in outline.text.split("\n")} if size < _LARGEST else set()
    groups: list[tuple[list[str], list[RecordedPair]]] = []
    open_group: tuple[list[str], list[RecordedPair]] | None = None
    for topic, own in by_topic.items():
        if _bare(topic) in headings:
            groups.append(([topic], list(own)))
            continue
        if open_group is None or len(open_group[1]) + len(own) > size:
            open_group = ([], [])
            groups.append(open_group)
        open_group[0].append(topic)
        open_group[1].extend(own)
    return groups


def _bare(line: str) -> str:
    return normalise(re.sub(r"^[\s#*+>-]+", "", line))


def _name(subjects: Sequence[str]) -> str:
    more = f" and {len(subjects) - _NAMED} more" if len(subjects) > _NAMED else ""
    return ", ".join(subjects[:_NAMED])[:_NAME_CHARS] + more


def _unused(name: str, title: str, number: int, names: set[str]) -> str:
    for candidate in (name, f"{name} ({title})", f"{name} (page {number})"):
        if normalise(candidate) not in names:
            names.add(normalise(candidate))
            return candidate
    tries = sum(other.startswith(normalise(name)) for other in names)
    names.add(normalise(f"{name} (page {number}, {tries})"))
    return f"{name} (page {number}, {tries})"


def _commonest(values: Sequence[str]) -> str:
    return Counter(values).most_common(1)[0][0] if values else ""


# ---------------------------------------------------------------------------------------------- writing


def _write(library: Library, prompt: Prompt) -> Answer:
    passages = _shown(prompt, "passage")
    found = library.standing(list(passages.values()))
    subjects = {subject for block in prompt.of("topic") for subject in _subjects(block)}
    named = [one for one in found if normalise(one.pair.topic) in subjects]
    count = prompt.count("pairs", _PAIRS_PER_TOPIC)
    phrasings = prompt.count(r"(?:other |further )?(?:ways|phrasings)", 100)
    return {"pairs": [_pair(one, phrasings) for one in _spread(named or found)[:count]]}


def _subjects(topic: Block) -> set[str]:
    """Return the recorded topics that a topic may be made of: its own plans name them in a list, others as the whole of a line."""
    lines = [_SAYS.sub("", line) for line in topic.text.split("\n")]
    return {normalise(part) for line in lines for part in (line, *line.split(", "))}


def _spread(found: Sequence[Standing]) -> list[Standing]:
    """Order pairs so that each quote is used once before any is used again."""
    used: Counter[str] = Counter()
    places: list[tuple[int, int]] = []
    for i, one in enumerate(found):
        places.append((used[one.quote], i))
        used[one.quote] += 1
    return [found[i] for _, i in sorted(places)]


def _pair(one: Standing, phrasings: int) -> Answer:
    pair = one.pair
    return {
        "passage": one.passage,
        "question": pair.question,
        "answer": pair.answer,
        "short_answer": pair.short_answer,
        "aliases": list(pair.aliases),
        "category": pair.category,
        "difficulty": pair.difficulty,
        "rationale": pair.rationale,
        "quote": one.quote,
        "phrasings": list(pair.phrasings[:phrasings]),
    }


def _paraphrase(library: Library, prompt: Prompt) -> Answer:
    questions, references = _shown(prompt, "question"), prompt.numbered("reference")
    count = prompt.count(r"(?:other |further )?(?:ways|phrasings)", 100)
    items: list[Answer] = []
    for number, block in questions.items():
        known = [line for line in block.text.split("\n") if line.strip()]
        reference = references[number].text if number in references else ""
        pair = next((found for line in known if (found := library.asking(line, reference))), None)
        told = {normalise(line) for line in known}
        further = [text for text in pair.asked if normalise(text) not in told] if pair else []
        if further[:count]:  # an item that nothing is known for is left out, as no empty list is an answer
            items.append({"item": number, "phrasings": further[:count]})
    return {"items": items}


# ---------------------------------------------------------------------------------------------- grading


def _judge(library: Library, prompt: Prompt, strict: bool) -> Answer:
    answers, questions, references = _shown(prompt, "answer"), prompt.numbered("question"), prompt.numbered("reference")
    grades: list[Answer] = []
    for number, block in answers.items():
        question = fold(questions[number].text) if number in questions else ""
        reference = references[number].text if number in references else ""
        right = _right_answers(library, question, reference)
        verdict = grade(
            GradeRequest(
                question=question,
                gold=right[0] if right else "",
                aliases=right[1:],
                answer_kind=kind_of(right[0]) if right else "phrase",
                answer=block.text,
            )
        )
        label = "incorrect" if verdict.label == "failed" or (strict and verdict.label == "partial") else verdict.label
        error = "" if label == "correct" else verdict.error_type or "other"
        grades.append({"item": number, "label": label, "error_type": error, "explanation": verdict.explanation})
    return {"grades": grades}


def _right_answers(library: Library, question: str, reference: str) -> list[str]:
    """Return what counts as right: what the reference says, and what is recorded for the question if the two agree."""
    given = [fold(part) for line in reference.split("\n") for part in _ALSO.sub("", line).split("; " if _ALSO.match(line) else "\n")]
    pair = library.asking(question, reference)
    recorded = [pair.short_answer, *pair.aliases] if pair else []
    return [text for text in dict.fromkeys((*recorded, *given)) if text]


# ---------------------------------------------------------------------------------------------- revising


def _revise(prompt: Prompt) -> Answer:
    topics: list[Answer] = []
    names: set[str] = {normalise(_title(block)) for block in prompt.of("topic")}
    for number, block in _shown(prompt, "topic").items():
        name = _title(block)
        mastered = _is_mastered(block)
        told = re.search(r"^summary:\s*(\S.*)$", block.text, re.IGNORECASE | re.MULTILINE)
        topics.append(
            {
                "topic": number,
                "kind": "advanced" if mastered else "remediation",
                "name": _unused(f"{name}, {'in more depth' if mastered else 'once more'}", name, number, names),
                "summary": f"{_FURTHER if mastered else _MISSED}: {told[1] if told else name}",
                "objectives": [f"{_FURTHER if mastered else _MISSED} {name}"],
            }
        )
    return {"topics": topics}


def _is_mastered(block: Block) -> bool:
    """Tell whether a topic is said to be mastered, or, where nothing is said, nine of ten answers were right."""
    told = re.search(r"\b(weak|mastered)\b", block.text.split("\n", 1)[-1], re.IGNORECASE)
    if told:
        return told[1].lower() == "mastered"
    score = _RIGHT_OF.search(block.text)
    return score is not None and int(score[2]) > 0 and int(score[1]) / int(score[2]) >= 0.9
