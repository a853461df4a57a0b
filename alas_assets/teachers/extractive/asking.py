"""Builds questions from a clause: for a name in its subject, or for a part of its predicate.

What is asked for is chosen by the rules in `notes` and `prose`; into which sentences the pieces go is `forms`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from alas_assets.teachers.extractive.answers import Named, kind_of, noun_for
from alas_assets.teachers.extractive.clauses import Clause, in_sentence, invert, lower_first
from alas_assets.teachers.extractive.forms import Asked, Wording, vary
from alas_assets.teachers.extractive.reading import CODE, Unit
from alas_assets.teachers.extractive.slots import Slot, find_slots
from alas_assets.teachers.extractive.words import AUXILIARIES, BASES, singular_verb


@dataclass(frozen=True)
class Candidate:
    """A question that a rule proposes for a sentence."""

    rule: str
    asked: Asked
    quote: str


@dataclass(frozen=True)
class Page:
    """What the rules know of the page around a sentence."""

    proper: frozenset[str]
    """Words written with a capital inside sentences: names; and "=word" for words written without."""
    about: str = ""
    """What the page is about, as far as its title says."""


Rule = Callable[[Unit, Page], Iterator[Candidate]]


def join(*parts: str) -> str:
    """Join the parts of a sentence that are not empty."""
    return " ".join(part for part in parts if part)


def subject_wording(clause: Clause, noun: str, page: Page, frame: tuple[str, str] = ("", ""), remainder: str = "") -> Wording:
    """Ask for the name inside a clause's subject.

    Args:
        clause: The clause.
        noun: What such a name is called: "function"; "" asks "what".
        page: What is known of the page.
        frame: What stands before and after the name in its noun phrase.
        remainder: What follows the noun phrase inside the subject: "of `C`".
    """
    before, after = frame
    lead = f" {lower_first(clause.lead, page.proper)}" if clause.lead else ""
    predicate = clause.predicate + lead
    tail = f" {remainder}" if remainder else ""
    det = lower_first(before.strip(), page.proper)
    if not re.match(r"(?:the|an?|its)\b", det) and (after.strip() or det):
        det = join("the", det)
    head = join(det, "___") + after
    front = f"which {noun}{tail} {predicate}" if noun else f"what {predicate}"
    return Wording(front, f"the {noun}{tail} that {predicate}" if noun else front, f"{head}{tail} {predicate}", front)


_MAX_LIST = 4


def _listed(names: tuple[str, ...]) -> str:
    codes = [f"`{name}`" for name in names]
    return codes[0] if len(codes) == 1 else f"{', '.join(codes[:-1])} and {codes[-1]}"


def about_subject(shape: str, clause: Clause, named: Named, remainder: str, page: Page) -> Asked | None:
    """Ask for the one name in the subject; of several names ask for the last, given the others."""
    answer, count = named.names[-1], len(named.names)
    if count > _MAX_LIST or (not named.noun and (remainder or count > 1)):
        return None
    if count == 1:
        if named.plural:
            return None
        words = [subject_wording(c, named.noun, page, (named.before, named.after), remainder) for c in (clause, vary(clause))]
        return Asked(shape, answer, kind_of(answer), named.noun, words[0], words[1], clause.text)
    if re.fullmatch(r"(?:now )?(?:soft )?(?:deprecated|removed|gone|public|private)", clause.rest) and not clause.imperative:
        return None
    others = _listed(named.names[:-1])
    if re.search(rf"\band (?:{'|'.join(sorted(BASES))})\b", re.sub(CODE, "x", clause.rest)) and not clause.imperative:
        return None  # a second plural verb would stay behind
    single = replace(clause, verb=singular_verb(clause.verb), plural=False)
    if clause.imperative:
        past, _, tail = clause.rest.partition(" ")
        plain = replace(single, rest=join(past, f"together with {others}", tail))
        varied = vary(replace(single, rest=join(past, tail)))
        head, _, end = varied.rest.partition(" ")
        varied = replace(varied, rest=join(head, f"along with {others}", end))
        words = [subject_wording(c, named.noun, page, remainder=remainder) for c in (plain, varied)]
        return Asked(shape, answer, kind_of(answer), named.noun, words[0], words[1], clause.text)
    words = []
    for one, many, like in ((single, clause, f", like {others},"), (vary(single), vary(clause), f", similar to {others},")):
        tail = f" {remainder}" if remainder else ""
        words.append(
            Wording(
                front=f"which {named.noun}{tail}{like} {one.predicate}",
                relative=f"the {named.noun}{tail} that{like} {one.predicate}",
                gap=f"{others.replace(' and ', ', ')} and ___{tail} {many.predicate}",
                indirect=f"which {named.noun}{tail}{like} {one.predicate}",
            )
        )
    return Asked(shape, answer, kind_of(answer), named.noun, words[0], words[1], clause.text)


def turned_pair(named: Named) -> Named | None:
    """Return a pair of names the other way round, so that the first can be asked for as well."""
    if len(named.names) != 2 or not named.noun:
        return None
    first, second = named.names
    noun = named.noun if named.after.strip() or named.before.strip() else noun_for(first)
    return replace(named, names=(second, first), noun=noun) if noun else None


_FRONTABLE = (
    "in",
    "since",
    "from",
    "by",
    "with",
    "at",
    "on",
    "to",
    "under",
    "for",
    "until",
    "after",
    "before",
    "via",
    "through",
    "into",
    "using",
)


def about_object(shape: str, clause: Clause, slot: Slot, page: Page) -> Asked | None:
    """Ask for a part of a clause's predicate."""
    plain = object_wording(clause, slot, page)
    if plain is None:
        return None
    other = vary(clause)
    again = [s for s in find_slots(other.rest, other.verb not in AUXILIARIES) if s.answer == slot.answer and s.noun == slot.noun]
    varied = object_wording(other, again[0], page) if again else plain
    return Asked(shape, slot.answer, slot.kind, slot.noun, plain, varied or plain, clause.text)


def object_wording(clause: Clause, slot: Slot, page: Page) -> Wording | None:
    """Ask for a slot inside a clause's predicate; None where the question would come out crooked."""
    before, after = clause.rest[: slot.start].rstrip(), clause.rest[slot.end :].strip()
    subject = in_sentence(clause.subject, page.proper)
    lead = lower_first(clause.lead, page.proper)
    preposition = re.search(r"(?:^|\s)(\w+)$", before)
    gap = join(subject, clause.adverb, clause.verb, before, slot.gap, after, lead)
    if slot.noun and slot.noun.split()[-1] in re.findall(r"[a-z]+", subject.split(" of ")[0]) and slot.wh == "which":
        slot = replace(slot, noun="")  # "which class is the class of ..." asks for one thing twice
    wh = f"{slot.wh} {slot.noun}" if slot.noun else "what"
    noun = f"the number of {slot.noun}" if slot.wh == "how many" else f"the {slot.noun}"
    piped = ""
    if preposition and preposition[1] in _FRONTABLE:
        piped = preposition[1]
        before = before[: preposition.start()].rstrip()
    elif (
        preposition and preposition[1] in ("as", "of", "than", "between", "like", "except", "about", "against", "over", "within") and after
    ):
        return None
    hole = join(before, after)
    question = invert(replace(clause, rest=hole), page.proper)
    statement = join(subject, clause.adverb, clause.verb, hole)
    if not slot.noun:
        if piped:
            before = join(before, piped)
            if after or piped in ("in", "on", "at", "since", "until", "under", "before", "after"):
                return None
            hole = join(before, after)
            question = invert(replace(clause, rest=hole), page.proper)
            statement = join(subject, clause.adverb, clause.verb, hole)
        indirect = join("what", statement, lead)
        return Wording(join("what", question, lead), indirect, gap, indirect)
    if piped:
        if slot.wh == "how many":
            return None
        return Wording(
            front=join(piped, wh, question, lead),
            relative=join(noun, piped, "which", statement, lead),
            gap=gap,
            indirect=join(piped, wh, statement, lead),
        )
    return Wording(
        front=join(wh, question, lead), relative=join(noun, "that", statement, lead), gap=gap, indirect=join(wh, statement, lead)
    )


def relabel(unit: Unit) -> Unit:
    """Move a module named before a colon ("`logging`: the `warn()` method ...") from the sentence to its labels."""
    match = re.match(r"(`[a-z_][a-z0-9_.]*`):\s+(?=(?:the|an?|[A-Z][a-z]+|`[^`]+`)\s)", unit.text)
    if not match or re.match(r"(?:Use|Prefer|use|prefer)\b", unit.text[match.end() :]):
        return unit
    rest = unit.text[match.end() :]
    return replace(unit, text=rest[0].upper() + rest[1:] if rest[:1].islower() else rest, labels=(*unit.labels, match[1]))


def module_of(unit: Unit) -> str:
    """Return the module that the nearest label or heading names, or ""."""
    for name in (*reversed(unit.labels), *reversed(unit.headings[-1:])):
        plain = name.strip("`").removesuffix(" module").strip("`")
        if re.fullmatch(r"[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*", plain) and ("`" in name or name in unit.headings):
            return plain
    return ""


def knowing_module(unit: Unit, named: Named) -> Named:
    """Call a name a module where the heading above it is that module."""
    return replace(named, noun="module") if not named.noun and named.names == (module_of(unit),) else named


def with_place(unit: Unit, clause: Clause) -> Clause:
    """Give "X was added" a place when its sentence leaves that to the heading."""
    module = module_of(unit)
    past, _, rest = clause.rest.partition(" ")
    placed = re.match(r"(?:to (?:the|an?|[A-Z]\w*)|in|for|from|on|to \w+(?: \w+)? to)\b|to `", rest) or " of " in clause.subject
    if module and past in ("added", "introduced", "removed", "deprecated", "undeprecated", "restored") and not placed:
        where = {"removed": "from", "deprecated": "in", "undeprecated": "in", "restored": "in"}.get(past, "to")
        return replace(clause, rest=join(past, where, f"the `{module}` module", rest))
    return clause


def clauses_of(unit: Unit) -> list[Unit]:
    """Return the further main clauses of a sentence, after its semicolons, as sentences that cite the whole."""
    masked = re.sub(CODE, lambda m: "x" * len(m[0]), unit.text)
    found = []
    cuts = [match.end() for match in re.finditer(r";\s+(?:and\s+|but\s+)?", masked)]
    for start, end in zip(cuts, [*(match.start() for match in list(re.finditer(r";", masked))[1:]), len(unit.text)], strict=False):
        text = unit.text[start:end].strip()
        if len(text.split()) > 4:
            found.append(replace(unit, text=text[0].upper() + text[1:] if text[0].islower() else text, before=None))
    return found
