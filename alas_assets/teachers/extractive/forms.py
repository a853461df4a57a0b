"""The wordings of a question: templates, what each is for (train, mine or probe), and what fills them.

A template has one role for all facts (spec S4, E1): a wording that is ever used for a probe is never trained on.
Which part of a sentence is asked for is decided in `rules`; whether the result is unambiguous in `checks`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from alas_assets.records import AnswerKind, Phrasing, Role
from alas_assets.teachers.extractive.clauses import Clause, with_articles
from alas_assets.teachers.extractive.words import AUXILIARIES


@dataclass(frozen=True)
class Wording:
    """The clause forms of one question; each is a piece of a sentence without capital and full stop."""

    front: str
    """Direct question: "in which Python version will `f()` be removed"."""
    relative: str
    """What is asked for as a noun phrase: "the Python version in which `f()` will be removed"."""
    gap: str
    """The statement with the answer left out: "`f()` will be removed in ___"."""
    indirect: str
    """Indirect question: "in which Python version `f()` will be removed"."""


@dataclass(frozen=True)
class Setting:
    """Where a question belongs: the words that place it."""

    about: str
    """A noun phrase: "Python 3.15", "the tarfile module of Python 3.15"."""
    adverbial: str
    """The same as an adverbial: "in Python 3.15"."""


@dataclass(frozen=True)
class Asked:
    """One question about one fact, before it is put into templates."""

    shape: str
    answer: str
    kind: AnswerKind
    noun: str
    plain: Wording
    varied: Wording
    """The same in other words, for probes."""
    statement: str


@dataclass(frozen=True)
class Template:
    """One wording frame; `{form}` names come from `Wording` and `Setting`, a leading capital in the name capitalises."""

    name: str
    role: Role
    form: str
    pattern: str
    short: str
    """The pattern for a question that names its setting itself."""


TEMPLATES: tuple[Template, ...] = (
    Template("setting-first", "train", "plain", "{Adverbial}, {front}?", "{Front}?"),
    Template("name-it", "train", "plain", "Going by what is said about {about}, name {relative}.", "Name {relative}."),
    Template("fill-blank", "train", "plain", "Fill in the blank for {about}: {gap}.", "Fill in the blank: {gap}."),
    Template("reading", "train", "plain", "I am reading about {about}. {Front}?", "Here is something to look up. {Front}?"),
    Template("notes-say", "train", "plain", "According to the notes on {about}, {front}?", "According to the notes, {front}?"),
    Template("state", "train", "plain", "With regard to {about}, state {relative}.", "State {relative}."),
    Template("answer-this", "train", "plain", "Answer this about {about}: {front}?", "Answer this: {front}?"),
    Template(
        "please-give",
        "train",
        "plain",
        "Please give {relative}, as stated in the notes on {about}.",
        "Please give {relative}, as stated in the notes.",
    ),
    Template("about-colon", "mine", "plain", "Question on {about}: {front}?", "Question: {front}?"),
    Template(
        "wants-to-know",
        "probe",
        "varied",
        "Somebody wants to know {indirect}. What would you answer from the notes on {about}?",
        "Somebody wants to know {indirect}. What would you answer?",
    ),
    Template(
        "missing-piece",
        "probe",
        "varied",
        "Put the missing piece into this line from a text about {about}: {gap}.",
        "Put the missing piece into this line: {gap}.",
    ),
    Template(
        "left-out",
        "probe",
        "varied",
        "One thing was left out here: {gap}. What was it, if this is about {about}?",
        "One thing was left out here: {gap}. What was it?",
    ),
)
ROLES: dict[str, Role] = {template.name: template.role for template in TEMPLATES}

_PLAIN_CODE = re.compile(r"`([^`\n]+)`")


def show_code(text: str) -> str:
    """Drop the backticks around names that can be told from English words without them."""

    def plain(match: re.Match[str]) -> str:
        name = match[1]
        if re.search(r"\s", name) or re.fullmatch(r"[a-z]+|[A-Z][a-z]+|\W+|.", name) or re.search(r"[.,;:?!]$", name):
            return match[0]
        return name

    return _PLAIN_CODE.sub(plain, text)


def _capital_word(text: str) -> str:
    first = re.match(r"[^\s`]+", text)
    if not first or not re.fullmatch(r"[a-z][a-z'-]*,?", first[0]):
        return text
    return text[0].upper() + text[1:]


def fill(template: Template, asked: Asked, setting: Setting) -> str:
    """Return the question a template makes."""
    wording = asked.plain if template.form == "plain" else asked.varied
    fields = {
        "front": wording.front,
        "Front": _capital_word(wording.front),
        "relative": wording.relative,
        "gap": wording.gap,
        "Gap": _capital_word(wording.gap),
        "indirect": wording.indirect,
        "about": setting.about,
        "About": _capital_word(setting.about),
        "Adverbial": _capital_word(setting.adverbial),
    }
    pattern = template.short if contains(wording.front, setting.about) else template.pattern
    text = re.sub(r"\{(\w+)\}", lambda m: fields[m[1]], pattern)
    return " ".join(show_code(with_articles(text)).split())


def contains(text: str, answer: str) -> bool:
    """Say whether an answer stands in a text as a whole token, whatever its case."""
    core = answer.strip("`")
    if not core:
        return False
    before = r"(?<![\w.])" if core[:1].isdigit() else r"(?<!\w)"
    after = r"(?![\w]|\.\d)" if core[-1:].isdigit() else r"(?!\w)"
    return re.search(before + re.escape(core) + after, text, re.IGNORECASE) is not None


def phrase(asked: Asked, setting: Setting, forbidden: Sequence[str], count: int) -> list[Phrasing]:
    """Return a fact's phrasings: `count` for training, one for mining, the rest probes; those that name an answer are left out."""
    found: list[Phrasing] = []
    seen: set[str] = set()
    used = {"train": 0, "mine": 0, "probe": 0}
    limits = {"train": count, "mine": 1, "probe": 3}
    for template in TEMPLATES:
        if used[template.role] >= limits[template.role]:
            continue
        text = fill(template, asked, setting)
        if any(contains(text, word) for word in forbidden) or text.lower() in seen:
            continue
        seen.add(text.lower())
        used[template.role] += 1
        found.append(Phrasing(text=text, template=f"{template.name}/{template.form}", role=template.role))
    return found


_SYNONYMS = {
    "raises": "throws",
    "raise": "throw",
    "requires": "needs",
    "require": "need",
    "provides": "offers",
    "provide": "offer",
    "uses": "relies on",
    "use": "rely on",
    "shows": "displays",
    "show": "display",
    "causes": "triggers",
    "contains": "holds",
    "returns": "gives back",
    "return": "give back",
    "enables": "turns on",
    "permits": "allows",
    "creates": "makes",
    "ignores": "disregards",
    "detects": "recognizes",
    "generates": "produces",
    "generate": "produce",
}


def vary(clause: Clause) -> Clause:
    """Return the same statement in other words, as far as that is safe by rule."""
    verb, adverb, rest = clause.verb, clause.adverb, clause.rest
    be = "are" if clause.plural else "is"
    have = "have" if clause.plural else "has"
    passive = re.match(r"(?:now )?(added|introduced|removed|dropped)\b ?(.*)$", rest)
    if verb in ("was", "were") and passive:
        tail = passive[2]
        if passive[1] in ("added", "introduced"):
            tail = re.sub(r"^to (?=`|the\b|an?\b|[A-Z])", "for ", tail)
            verb, rest = "became", f"available {tail}".strip()
        else:
            verb, rest = be, f"gone {tail}".strip() if tail.startswith("from") else f"no longer part of it {tail}".strip()
            if not tail.startswith("from"):
                verb, rest = clause.verb, clause.rest
    elif verb == "will" and rest.startswith("be removed"):
        verb, rest = be, "scheduled to go away" + rest[len("be removed") :]
    elif verb in ("has", "have") and rest.startswith("been deprecated since"):
        verb, rest = have, "been marked as deprecated since" + rest[len("been deprecated since") :]
    elif verb in ("has", "have") and rest.startswith("been removed"):
        verb, rest = be, "gone" + rest[len("been removed") :]
    elif verb == "should" and rest.startswith("be used instead of"):
        verb, rest = be, "the recommended substitute for" + rest[len("be used instead of") :]
    elif adverb == "now" and verb in ("supports", "support"):
        verb, adverb, rest = have, "", f"gained support for {rest}" if not rest.startswith(("that", "to")) else f"gained support {rest}"
    elif adverb == "now" and verb in ("accepts", "accept"):
        verb, adverb, rest = "can", "", f"now take {rest}"
    elif verb == "must" and not clause.plural and not rest.startswith(("not", "also")):
        verb = "has to"
    elif (
        verb in _SYNONYMS
        and verb not in AUXILIARIES
        and not re.match(r"(?:to|for|by|in|of|on|up|off|out|through|down|over|away|back)\b", rest)
    ):
        verb = _SYNONYMS[verb]
    if adverb == "now":
        adverb = ""
    rest = _shorten(rest)
    for old, new in (
        (r"\bin order to\b", "to"),
        (r"\binstead of\b", "rather than"),
        (r"\bvia\b", "through"),
        (r"\bsuch as\b", "like"),
        (r"\ballowed for\b", "permitted for"),
    ):
        rest = re.sub(old, new, rest)
    return replace(clause, verb=verb, adverb=adverb, rest=rest)


def _shorten(rest: str) -> str:
    cut = re.search(r"\s(?:in order to|so that|to (?:prevent|avoid|conform|ensure|improve|make sure))\s", rest)
    if cut and len(re.findall(r"\w{3,}", rest[: cut.start()])) >= 5:
        return rest[: cut.start()]
    return rest
