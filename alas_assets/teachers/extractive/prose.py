"""Rules for full sentences: a name in the subject, a slot in the predicate, a plain phrase as subject or object.

Terse notes are read by `notes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from alas_assets.teachers.extractive.answers import Named, kind_of, noun_phrase
from alas_assets.teachers.extractive.asking import (
    Candidate,
    Page,
    about_object,
    about_subject,
    object_wording,
    subject_wording,
    turned_pair,
)
from alas_assets.teachers.extractive.clauses import Clause, conjuncts, ending, imperative, lower_first, parse, starts_badly
from alas_assets.teachers.extractive.forms import Asked, Wording, vary
from alas_assets.teachers.extractive.reading import CODE, Unit
from alas_assets.teachers.extractive.slots import Slot, find_slots
from alas_assets.teachers.extractive.words import AUXILIARIES, BASE_OF, BASES, PAST_OF, base_form, singular_verb, word_set

_KNOWN_THINGS = word_set(
    """
    interpreter compiler kernel linker debugger garbage optimizer installer runtime stdlib documentation
    """
)
"""What a page may call by one word without having introduced it."""


def rule_declarative(unit: Unit, page: Page) -> Iterator[Candidate]:
    """ "`f()` now raises `E`": which function now raises E, which exception does f() now raise?"""
    text = re.sub(r"^PEP \d+:\s+", "", unit.text)
    quote = unit.quote
    label = re.match(rf"(?:{CODE}|[A-Za-z ]+):\s+(?=[A-Z`a-z])", text)
    if (label and re.match(r"[a-z]|It\b|This\b", text[label.end() :])) or text.endswith((":", "?")):
        return
    if label:
        text = text[label.end() :]
    resolved = _resolve(unit, text)
    if resolved:
        text, quote = resolved
    if starts_badly(text):
        return
    text = re.sub(r", deprecated since [A-Z]\w* [\d.]+,", "", text)
    clause = parse(text)
    if clause is None:
        return
    bare_subject = re.fullmatch(r"[Tt]he ([a-z]+)", clause.subject)
    if bare_subject and bare_subject[1] not in _KNOWN_THINGS:
        return
    if clause.rest.startswith("until "):
        return
    vague = re.match(r"(?:less|more|better|worse|rather|quite|very)\b", clause.rest)
    named = noun_phrase(clause.subject)
    parts = conjuncts(clause)
    if clause.verb in ("is", "are", "was") and re.match(r"The [a-z]", clause.subject) and not clause.lead:
        named_all = noun_phrase(clause.rest)
        if named_all and len(named_all.names) == 1 and named_all.end == len(clause.rest) and not named_all.plural:
            yield from _identity(clause, named_all, quote, page)
    negative = vague or re.match(r"not\b", clause.rest) or clause.verb == "cannot"
    if (
        named
        and not negative
        and (named.end == len(clause.subject) or re.match(r" (?:of|in|to|for|from|on)\s", clause.subject[named.end :] + " "))
    ):
        asked = about_subject("subject", clause, named, clause.subject[named.end :].strip(), page)
        if asked and not resolved:
            yield Candidate("subject", asked, quote)
    for part in map(ending, parts):
        for slot in find_slots(part.rest, part.verb not in AUXILIARIES or part.verb in ("has", "have")):
            if part.verb in ("has", "have") and slot.start == 0 and part.adverb != "now" and "new " not in part.rest[: slot.end]:
                continue  # it may have others of the kind
            asked = about_object("object", part, slot, page)
            if asked:
                yield Candidate("object", asked, quote)
    again = turned_pair(named) if named and not resolved and not negative and named.end == len(clause.subject) else None
    if again:
        other = about_subject("subject", clause, again, "", page)
        if other:
            yield Candidate("subject-pair", other, quote)
    if vague:
        return
    if named is None:
        yield from _phrases(clause, parts, quote, page)
    elif not resolved:
        yield from _object_phrase(parts, quote, page)


def _identity(clause: Clause, named: Named, quote: str, page: Page) -> Iterator[Candidate]:
    """ "The class that does the collecting is `x`": what is the class that does the collecting?"""
    subject = lower_first(clause.subject, page.proper)
    plain = Wording(f"what {clause.verb} {subject}", subject, f"{subject} {clause.verb} ___", f"what {subject} {clause.verb}")
    name = named.names[0]
    yield Candidate("identity", Asked("identity", name, kind_of(name), "", plain, plain, clause.text), quote)


_GENERIC_HEADS = word_set(
    """
    support code option options thing things change changes feature features method function it result results section following class
    list use work version versions output value values behavior behaviour part parts way ways number problem issue issues reason
    reasons example examples page article document documentation note notes user users everything something nothing others default
    defaults names name data type types file files text vulnerability flaw attacker attackers one update updates release releases team
    people calls call removal error errors exception exceptions solution warning warnings message messages list attribute attributes
    """
)
NOT_IN_PHRASE = re.compile(
    r"(?:^|\s)(?:this|that|these|those|it|its|they|their|them|which|who|same|other|others|no|none|each|both|some|many|several|most"
    r"|all|any|such|following"
    r"|former|latter|first|second|new|more|less|here|there|and|or|we|our|you|your|various|certain|if|when|one|an? (?:number|set"
    r"|list|lot|variety|series)"
    r"|affected|above|below|previous|current|existing|corresponding|similar|another|its|currently|only|itself|associated|returned"
    r"|resulting|actual|particular"
    r"|respective|proxy|supporting|next|last|once|also|previously|every)(?=\s|$)",
    re.IGNORECASE,
)


def phrase_answer(text: str) -> str:
    """Return a phrase as an answer: without its article and code style."""
    return re.sub(r"^(?:the|an?)\s+", "", text.strip(), flags=re.IGNORECASE).replace("`", "")


def _phrases(clause: Clause, parts: list[Clause], quote: str, page: Page) -> Iterator[Candidate]:
    """Ask for a subject that is a plain phrase: what is now accepted in match literal patterns?"""
    subject = clause.subject
    words = re.sub(CODE, "code", subject).split()
    head = re.split(r"\s(?:of|in|for|to|from|with|on)\s", re.sub(CODE, "code", subject))[0].split()[-1].lower()
    fine = (
        2 <= len(words) <= 6
        and not re.match(r"not\b", clause.rest)
        and clause.verb != "cannot"
        and head not in _GENERIC_HEADS
        and not NOT_IN_PHRASE.search(re.sub(CODE, "code", subject))
        and not re.match(r"[A-Z]?[a-z]+ing\b", subject)
        and "," not in subject
        and "'s" not in subject
        and bool(re.search(r"`|\d|\s[A-Z]|\bnow\b|\bno longer\b", f" {clause.predicate}"))
    )
    identifier = re.fullmatch(r"(?:The )?(PEP \d+|CVE-\d{4}-\d+)", subject)
    if identifier and not re.match(r"not\b", clause.rest):
        kind = kind_of(identifier[1])
        noun = "PEP" if kind == "pep" else "CVE record"
        both = [subject_wording(c, noun, page) for c in (clause, vary(clause))]
        yield Candidate("subject", Asked("subject", identifier[1], kind, noun, both[0], both[1], clause.text), quote)
    elif fine and not re.match(r"(?:where|what|how|when|who)\b|until ", clause.rest):
        words_ = []
        for one in (clause, vary(clause)):
            lead = f" {lower_first(one.lead, page.proper)}" if one.lead else ""
            single = replace(one, verb=singular_verb(one.verb))
            asked = f"what {single.predicate}{lead}"
            words_.append(Wording(asked, asked, f"___ {one.predicate}{lead}", asked))
        answer = phrase_answer(subject)
        if len(answer.split()) < 2:
            return
        yield Candidate("subject-phrase", Asked("phrase", answer, "phrase", "", words_[0], words_[1], clause.text), quote)
    yield from _object_phrase(parts, quote, page)


_OBJECT = re.compile(
    r"^(?P<object>(?:(?!(?:in|for|to|from|with|on|by|as|at|when|if|while|via|instead|during|using|without|after|before|since"
    r"|because|unless|under|through"
    r"|over|within|rather|until|between|among|that|which|whether|how|what|where|into|and|or"
    r"|not)\b)[\w`'./()*@+#-]+\s?){1,5})(?P<rest>(?:\s|$).*|$)"
)


def _object_phrase(parts: list[Clause], quote: str, page: Page) -> Iterator[Candidate]:
    """Ask for a direct object that is a plain phrase: what does setlocale() now support?"""
    for part in parts[:1]:
        if part.verb in AUXILIARIES or (part.verb not in BASE_OF and part.verb not in BASES and part.verb not in PAST_OF):
            continue
        if base_form(part.verb) not in _TRANSITIVE:
            continue
        match = _OBJECT.match(part.rest)
        if not match:
            continue
        found = match["object"].strip()
        after = match["rest"].strip()
        plain = re.sub(CODE, "code", found)
        head = plain.split()[-1].lower()
        if (len(phrase_answer(found).split()) < 2 and not found.startswith("`")) or head in _GENERIC_HEADS or NOT_IN_PHRASE.search(plain):
            continue
        if (
            (after and not re.match(r"(?:when|if|while|unless|because|in order to|at|on|during|as|via|in|by default)\b", after))
            or found.count("`") % 2
            or re.search(r"(?:^[a-z]+ing\b|(?:[a-z]ed|[a-z]ing|spent|given|held|made|found|known|taken|seen|kept|set)$)", plain)
        ):
            continue
        slot = Slot(0, len(match["object"].rstrip()), phrase_answer(found), "phrase", "")
        asked = object_wording(part, slot, page)
        varied = vary(part)
        again = object_wording(varied, slot, page) if varied.rest == part.rest and varied.verb not in AUXILIARIES else asked
        if asked and again:
            yield Candidate("object-phrase", Asked("phrase", slot.answer, "phrase", "", asked, again, part.text), quote)


_TRANSITIVE = word_set(
    """
    support accept return use require provide raise emit suggest reject include contain need produce generate preserve skip ignore
    receive publish affect detect convert normalize validate verify enforce display show print replace acquire release target restore
    enable disable cause trigger introduce expose offer store represent measure capture exceed reach affect
    """
)


def _resolve(unit: Unit, text: str) -> tuple[str, str] | None:
    """Put the name from the sentence before in place of "This call", "The method", "It"; the quote then holds both sentences."""
    match = re.match(
        r"(?:(?:This|The) (?:call|function|method|class|option|attribute|parameter|module|exception|type|flag|constant)"
        r"|It)(?= (?:now |also |will |can |must )*[a-z]+\b)",
        text,
    )
    if not match or unit.before is None or starts_badly(unit.before.text):
        return None
    before = parse(re.sub(r"^PEP \d+:\s+", "", unit.before.text))
    name: Named | None = None
    if before is not None:
        name = noun_phrase(before.subject)
        if name is None or name.end != len(before.subject):
            return None
    else:
        turned = imperative(unit.before.text)
        name = turned[1] if turned else None
    if name is None or len(name.names) != 1 or name.plural:
        return None
    subject = f"`{name.names[0]}`"
    return subject + text[match.end() :], f"{unit.before.quote} {unit.quote}"
