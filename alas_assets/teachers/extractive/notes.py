"""Rules for terse notes: imperatives ("Add ..."), replacements ("use ... instead"), titles, labels, options in brackets.

Full sentences are read by `prose`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from alas_assets.records import AnswerKind
from alas_assets.teachers.extractive.answers import NAMES, NOUN, bare, kind_of, noun_for, noun_phrase
from alas_assets.teachers.extractive.asking import (
    Candidate,
    Page,
    about_object,
    about_subject,
    join,
    knowing_module,
    module_of,
    subject_wording,
    turned_pair,
    with_place,
)
from alas_assets.teachers.extractive.clauses import (
    Clause,
    conjuncts,
    imperative,
    in_sentence,
    lower_first,
    parse,
    passive_object,
    starts_badly,
    trim,
    without_parentheses,
)
from alas_assets.teachers.extractive.forms import Asked, Wording, vary
from alas_assets.teachers.extractive.prose import NOT_IN_PHRASE, phrase_answer
from alas_assets.teachers.extractive.reading import CODE, Unit
from alas_assets.teachers.extractive.slots import DATE, Slot, find_slots
from alas_assets.teachers.extractive.words import AUXILIARIES, BASE_OF, article, base_form


def rule_imperative(unit: Unit, page: Page) -> Iterator[Candidate]:
    """ "Add the `x` parameter to `f()`": which parameter was added to f()?"""
    turned = imperative(unit.text)
    if turned is None:
        return
    clause, named = turned
    clause, named = with_place(unit, clause), knowing_module(unit, named)
    text = without_parentheses(unit.text)
    what = re.search(
        rf"`{re.escape(named.names[0])}`(?: {NOUN})?, (?:an? )(?P<what>(?:new )?[a-z][a-z -]+? (?:for|that|which|marking|of|to"
        rf"|used)\b[^,.;:]+)",
        text,
    )
    if what and len(named.names) == 1:
        module = module_of(unit)
        if module and module in what["what"]:
            clause = turned[0]
        described = without_parentheses(what["what"]).strip()
        named = replace(named, noun=described, before="", after=f", {article(described)} {described},")
    asked = about_subject("added", clause, named, clause.subject[named.end :].strip(), page)
    if asked:
        yield Candidate("imperative", asked, unit.quote)
    again = turned_pair(named)
    if again and asked:
        other = about_subject("added", clause, again, clause.subject[named.end :].strip(), page)
        if other:
            yield Candidate("imperative-pair", other, unit.quote)
    for slot in find_slots(clause.rest, False):
        if slot.kind != "identifier" or clause.rest.startswith(("renamed to", "replaced", "exposed as", "moved to", "changed")):
            made = about_object("object", clause, slot, page)
            if made:
                yield Candidate("imperative-object", made, unit.quote)


def rule_passive_object(unit: Unit, page: Page) -> Iterator[Candidate]:
    """ "Changed the default to `x`": to which value was the default changed?"""
    clause = passive_object(unit.text)
    if clause is None:
        return
    for slot in find_slots(clause.rest, False):
        asked = about_object("object", clause, slot, page)
        if asked:
            yield Candidate("passive-object", asked, unit.quote)


def rule_allowed(unit: Unit, page: Page) -> Iterator[Candidate]:
    """ "Allow doing x via `f()`": via which function is doing x allowed?"""
    match = re.match(
        rf"Allow(?:ed|s)?\s+(?P<what>[a-z]+ing\s.+?)\s+(?P<how>(?:via|through|with|using|by)\s+(?:the )?{CODE}.*)$",
        without_parentheses(unit.text).rstrip("."),
    )
    if not match:
        return
    clause = Clause(match["what"], "", "is", f"allowed {trim(match['how'])}", imperative=True)
    for slot in find_slots(clause.rest, False):
        asked = about_object("object", clause, slot, page)
        if asked:
            yield Candidate("allowed", asked, unit.quote)


_TO_USE = re.compile(
    rf"(?:To|If you (?:want|need|wish) to) (?P<purpose>[a-z][^,;]+?),? (?:use|call|pass|set|write|choose) (?P<new>(?:the |a "
    rf"|an )?.*?{CODE}(?: {NOUN})?)(?=$|[,;:.]| (?:and|which|instead)\b)"
)
_IN_PLACE = re.compile(
    rf"(?:In place of|Instead of|For) (?P<old>{CODE}),? (?:use|call|write|substitute|choose|you (?:write|call"
    rf"|use)) (?P<new>{CODE})(?: (?P<rest>from|with|instead)\b.*)?(?=$|[,;:.])"
)


def rule_to_use(unit: Unit, page: Page) -> Iterator[Candidate]:
    """ "To do y, use `x`", "In place of `f()`, call `g()`": which one does y, which one replaces f()?"""
    text = without_parentheses(unit.text).rstrip(".")
    match = _TO_USE.match(text)
    if match:
        named = noun_phrase(match["new"])
        if named and len(named.names) == 1 and named.end == len(match["new"]):
            asked = about_subject("purpose", Clause(match["new"], "", "can", f"be used to {match['purpose']}"), named, "", page)
            if asked:
                yield Candidate("to-use", asked, unit.quote)
        return
    swap = _IN_PLACE.match(text)
    if swap and (not text.startswith("For ") or "substitute" in text):
        named = noun_phrase(swap["new"])
        if named and len(named.names) == 1:
            asked = about_subject("replacement", Clause(swap["new"], "", "should", f"be used instead of {swap['old']}"), named, "", page)
            if asked:
                yield Candidate("to-use", asked, unit.quote)


_USE_VERBS = {"use": "used", "set": "set", "pass": "passed", "call": "called", "run": "run"}


def rule_purpose(unit: Unit, page: Page) -> Iterator[Candidate]:
    """ "Use `x` to do y": which one can be used to do y?"""
    text = without_parentheses(unit.text).rstrip(".")
    match = re.match(r"(?:On [\w ]{2,20}, )?(Use|Set|Pass|Call|Run)\s+(?P<rest>.+)$", text, re.IGNORECASE)
    if not match or (not match[1][:1].isupper() and not text.startswith("On ")):
        return
    named = noun_phrase(match["rest"])
    if named is None or len(named.names) != 1:
        return
    purpose = match["rest"][named.end :].strip()
    if not re.match(r"(?:to (?!`|the\b|an?\b|[A-Z])|if you |when you )[a-z]", purpose) or purpose.startswith(("if", "when")):
        return
    past = _USE_VERBS[match[1].lower()]
    if past == "set" and named.noun == "constant":
        named = replace(named, noun="environment variable")
    clause = Clause(match["rest"][: named.end], "", "can", f"be {past} {trim(purpose)}")
    asked = about_subject("purpose", clause, named, "", page)
    if asked:
        yield Candidate("purpose", asked, unit.quote)


_TITLED = re.compile(r"^(?P<pep>PEP \d+)(?::| –| —) (?P<title>[A-Z][^:]{8,140}?)\.?$")


def rule_titled(unit: Unit, _page: Page) -> Iterator[Candidate]:
    """ "PEP 798: Unpacking in comprehensions": which PEP is titled so?"""
    match = _TITLED.match(unit.text)
    if not match:
        return
    title = match["title"].strip()
    words = [
        Wording(
            f"which PEP is {verb} “{title}”",
            f"the PEP that is {verb} “{title}”",
            f"___ is {verb} “{title}”",
            f"which PEP is {verb} “{title}”",
        )
        for verb in ("summed up as", "listed under the words")
    ]
    yield Candidate("titled", Asked("titled", match["pep"], "pep", "PEP", words[0], words[1], f"{match['pep']} is {title}"), unit.quote)


def rule_described(unit: Unit, page: Page) -> Iterator[Candidate]:
    """ "`--x`: Generates y": which option generates y? "`f()`: deprecated alias of `g()`": ..."""
    match = re.match(rf"(?P<name>(?:the )?{CODE})(?: \([^()]*\))?(?::| –| —| -)\s+(?P<what>.+)$", unit.text)
    if not match:
        return
    named = noun_phrase(match["name"])
    if named is None or len(named.names) != 1 or not named.noun:
        return
    what = without_parentheses(match["what"]).rstrip(".")
    first = re.match(r"[A-Za-z]+", what)
    word = first[0].lower() if first else ""
    if word in BASE_OF and not what.lower().startswith("use "):
        clause = Clause(match["name"], "", word, trim(what[len(word) :].strip()))
    elif re.match(r"(?:an? |the )?(?:deprecated |new |old )?(?:alias|synonym|name|shorthand|wrapper|replacement)\b", what, re.IGNORECASE):
        clause = Clause(
            match["name"], "", "is", what if re.match(r"(?:an?|the)\b", what, re.IGNORECASE) else f"a {what[0].lower()}{what[1:]}"
        )
        for slot in find_slots(clause.rest, False):
            made = about_object("object", clause, slot, page)
            if made:
                yield Candidate("described", made, unit.quote)
        return
    elif (
        re.match(r"(?:an? |the )?[a-z-]+(?: [a-z-]+){1,12}", what, re.IGNORECASE)
        and not re.match(r"[Uu]se\b|[Pp]refer\b", what)
        and ":" not in what
    ):
        if not re.search(r"\b(?:of|for|with|that|to|profiler|tracing)\b", what) or parse(what) is not None:
            return
        clause = Clause(match["name"], "", "is", f"described as “{trim(what)}”")
    else:
        return
    if not clause.rest:
        return
    asked = about_subject("described", clause, named, "", page)
    if asked:
        yield Candidate("described", asked, unit.quote)


_SINCE = re.compile(
    rf"(?P<old>(?:(?:the|The) )?(?:undocumented "
    rf"|deprecated )*(?:(?:{NOUN}) )?{NAMES}(?: (?:{NOUN}))?(?: of (?:the )?{CODE}(?: and {CODE})?(?: {NOUN})?)?"
    rf"(?: from {CODE})?),"
    r" (?:which (?:has been|have been|was|were) )?deprecated (?P<prep>since|in) (?P<version>[A-Z][\w.]* \d+(?:\.\d+)+)"
)


def rule_deprecated_since(unit: Unit, page: Page) -> Iterator[Candidate]:
    """ "Removed `f()`, deprecated since V": since which version had f() been deprecated?"""
    match = _SINCE.search(without_parentheses(unit.text))
    if not match:
        return
    named = noun_phrase(match["old"].replace("The ", "the "))
    if named is None:
        return
    old = re.sub(r"\b(?:undocumented|deprecated) ", "", match["old"].replace("The ", "the "))
    old = re.sub(rf" from {CODE}$", "", old)
    if (not old.startswith("`") and not old.startswith("the ")) or re.search(rf"^{CODE} [a-z]", old):
        old = f"the {old}"
    name = match["version"].split()[0]
    clause = Clause(old, "", "have" if named.plural else "has", f"been deprecated {match['prep']} {match['version']}", plural=named.plural)
    if match["prep"] == "in":
        clause = replace(clause, verb="were" if named.plural else "was", rest=f"deprecated in {match['version']}")
    start = clause.rest.index(match["version"])
    asked = about_object("object", clause, Slot(start, start + len(match["version"]), match["version"], "version", f"{name} version"), page)
    if asked:
        yield Candidate("deprecated-since", asked, unit.quote)


def rule_faster(unit: Unit, page: Page) -> Iterator[Candidate]:
    """ "`f()` is now up to 1.6x faster": how much faster is f() now?"""
    clause = parse(unit.text)
    if clause is None or starts_badly(unit.text):
        return
    for part in conjuncts(clause):
        match = re.match(
            r"(?P<adverb>now )?(?P<value>(?:up to |about |around |roughly |at least |over )?(?:\d[\d.]*(?:[-–]\d[\d.]*)?\s?(?:x|%"
            r"|times|percent)|two orders of magnitude|three times|twice as))"
            r" (?P<how>faster|slower|smaller|larger|quicker|cheaper)\b(?P<rest>.*)$",
            part.rest,
        )
        if not match:
            continue
        subject = in_sentence(part.subject, page.proper)
        now, tail = (match["adverb"] or "").strip(), trim(match["rest"].strip())
        tail = re.split(r"(?:^|\s)and\s", tail)[0].strip()
        how = match["how"]
        if part.verb in ("is", "are"):
            front = join("by how much" if how != "faster" else "how much", how, part.verb, subject, now, tail)
            stated = join(subject, part.verb)
        elif part.verb not in AUXILIARIES:
            front = join("how much", how, "do" if part.plural else "does", subject, part.adverb, base_form(part.verb), tail)
            stated = join(subject, part.adverb, part.verb)
        else:
            continue
        front = front.replace("by how much", "how much")
        plain = Wording(
            front,
            join("the factor by which", stated, now, how, tail),
            join(stated, now, "___", how, tail),
            join("how much", how, stated, now, tail),
        )
        varied = replace(plain, gap=join(stated, "___", how, tail), indirect=join("how much", how, stated, tail))
        yield Candidate("faster", Asked("quantity", match["value"], "quantity", "factor", plain, varied, part.text), unit.quote)


_USE = re.compile(r"(?:[Uu]se|[Pp]refer)\s+(?:the\s+)?(?P<new>.+?)\s*(?:\b(?:instead|directly)\b.*)?$")


_MAX_SUBSTITUTES = 2


def rule_replacement(unit: Unit, page: Page) -> Iterator[Candidate]:
    """ "`f()`: use `g()` instead", "`f()` is deprecated. Use `g()` instead.": which function should be used instead of f()?"""
    text = without_parentheses(unit.text).rstrip(".")
    quote = unit.quote
    direct = re.match(
        rf"(?:{CODE}:\s+(?={CODE}))?(?P<old>[^;:]+?)(?::|;|,| (?:is|are)(?: now)?(?: soft)? deprecated[,;:])\s+(?P<use>(?:[Uu]se"
        rf"|[Pp]refer)\s.+)$",
        text,
    )
    old_text, use = "", ""
    if direct and not re.search(r"\binstead of\b", text):
        old_text = re.sub(r"\s+(?:is|are|has been|have been)(?: now)?(?: soft)? deprecated.*$", "", direct["old"])
        use = direct["use"]
    elif other := re.match(
        rf"(?:{CODE}:\s+)?[Uu]se\s+(?P<new>(?:the )?{CODE}(?: {NOUN})?) instead of (?P<old>(?:the )?{CODE}(?: {NOUN})?)$", text
    ):
        old_text, use = other["old"], f"use {other['new']} instead"
    elif re.match(r"(?:Use|Prefer)\s", text) and unit.before is not None and re.search(r"\binstead\b", text):
        previous = unit.before
        turned = imperative(previous.text)
        if turned and re.match(r"(?:removed|deprecated)", turned[0].rest):
            old_text = turned[0].subject
        else:
            clause = parse(re.sub(rf"^{CODE}:\s+", "", previous.text))
            if clause is None or not re.search(r"\b(?:deprecated|removed|removal)\b", clause.rest):
                return
            old_text = clause.subject
        use = text
        quote = f"{previous.quote} {unit.quote}"
    old_text = re.sub(r"^(?:[Tt]he )?(?:undocumented |deprecated |existing )*", "", old_text)
    old = noun_phrase(old_text)
    if old is None or (old.end != len(old_text) and not re.match(r" of ", old_text[old.end :])):
        return
    codes = re.findall(CODE, use)
    masked = re.sub(CODE, "``", use)
    short = re.split(r";|, |\bfor\b|\bto\b", masked)[0].strip()
    for code in codes[: short.count("``")]:
        short = short.replace("``", code, 1)
    match = _USE.match(short)
    if not match:
        return
    new = match["new"].replace(" or ", " and ")
    target = noun_phrase(new)
    if target is None or target.end != len(new):
        return
    names = list(target.names)
    if len(names) > _MAX_SUBSTITUTES:
        return
    if target.noun == "function" and not target.after and noun_for(old.names[0]) == "method" and "." not in names[0]:
        target = replace(target, noun="method")
    if target.noun == "API":
        target = replace(target, noun="")
    if " and " not in old_text:
        old_text = re.sub(rf"({CODE}), ({CODE})$", r"\1 and \2", old_text)
    subject = old_text if re.fullmatch(NAMES, old_text) else f"the {old_text}"
    if len(names) == _MAX_SUBSTITUTES:
        first, second = names
        if not target.noun:
            return
        tail = f"instead of {subject}"
        words = [
            Wording(
                f"which {target.noun} besides `{first}` {verb} {tail}",
                f"the {target.noun} that besides `{first}` {verb} {tail}",
                f"`{first}` or ___ {verb} {tail}",
                f"which {target.noun} besides `{first}` {verb} {tail}",
            )
            for verb in ("should be used", "is recommended")
        ]
        yield Candidate("replacement", Asked("replacement", second, kind_of(second), target.noun, words[0], words[1], text), quote)
        return
    clause = Clause(match["new"], "", "should", f"be used instead of {subject}")
    asked = about_subject("replacement", clause, target, "", page)
    if asked:
        yield Candidate("replacement", asked, quote)


def rule_support(unit: Unit, _page: Page) -> Iterator[Candidate]:
    """ "Add t-string support to `pprint`", "Added support for x in `y`": for what was support added?"""
    text = without_parentheses(unit.text).rstrip(".")
    match = re.match(
        r"(?:Add|Added|Introduce|Introduced) support (?:for|of) (?P<what>.+?)(?: (?P<where>(?:in|to|by) (?:the )?[^,;]+))?$", text
    )
    if match:
        what = match["what"]
        where = match["where"] or (f"in the `{module_of(unit)}` module" if module_of(unit) else "")
        plain = re.sub(CODE, "code", what)
        if not where or not 2 <= len(plain.split()) <= 6 or NOT_IN_PHRASE.search(plain) or re.search(r"[,;:]", plain):
            return
        words = [
            Wording(
                f"for what was support {past} {where}",
                f"what support was {past} for {where}",
                f"support for ___ was {past} {where}",
                f"for what support was {past} {where}",
            )
            for past in ("added", "introduced")
        ]
        yield Candidate("support", Asked("phrase", phrase_answer(what), "phrase", "", words[0], words[1], text), unit.quote)
        return
    match = re.match(rf"(?:Add|Added) (?P<what>[\w-]+(?: [\w-]+)? support) to (?:the )?(?P<where>{CODE})(?: (?P<noun>{NOUN}))?$", text)
    if match:
        noun = match["noun"] or ("module" if bare(match["where"]) == module_of(unit) else noun_for(bare(match["where"])))
        if noun:
            words = [
                Wording(
                    f"to which {noun} was {match['what']} {past}",
                    f"the {noun} to which {match['what']} was {past}",
                    f"{match['what']} was {past} to ___",
                    f"to which {noun} {match['what']} was {past}",
                )
                for past in ("added", "newly added")
            ]
            yield Candidate("support", Asked("identifier", bare(match["where"]), "identifier", noun, words[0], words[1], text), unit.quote)


def rule_bracketed(unit: Unit, page: Page) -> Iterator[Candidate]:
    """ "... (PEP 831)." and "Measures x (`--mode cpu`)": which PEP, which option belongs to it?"""
    pep = re.match(r"(?P<say>[^()]{25,200}?) \((?P<pep>PEP \d+)\)\.?$", unit.text)
    if pep and not starts_badly(pep["say"]):
        clause = parse(pep["say"])
        if clause is not None and not clause.lead:
            statement = lower_first(clause.text, page.proper)
            words = [
                Wording(
                    f"which PEP is {verb} that {statement}",
                    f"the PEP that is {verb} that {statement}",
                    f"___ is {verb} that {statement}",
                    f"which PEP is {verb} that {statement}",
                )
                for verb in ("behind the change", "given for the statement")
            ]
            yield Candidate("bracketed", Asked("pep", pep["pep"], "pep", "PEP", words[0], words[1], unit.text), unit.quote)
    option = re.match(rf"(?P<label>[A-Z][\w /-]{{3,40}}) \((?P<code>{CODE})[^()]*\): (?P<verb>[A-Z][a-z]+) (?P<rest>.+)$", unit.text)
    if option and option["verb"].lower() in BASE_OF:
        name = bare(option["code"])
        noun = noun_for(name)
        if noun:
            clause = Clause(option["code"], "", option["verb"].lower(), trim(option["rest"]))
            words = [subject_wording(c, noun, page) for c in (clause, vary(clause))]
            yield Candidate("bracketed", Asked("identifier", name, "identifier", noun, words[0], words[1], unit.text), unit.quote)
        return
    tail = re.match(rf"(?:(?P<label>[A-Z][\w -]{{3,40}}): )?(?P<say>[A-Z][^():;]{{15,120}}?) \((?P<code>{CODE})\)\.?$", unit.text)
    if tail:
        name = bare(tail["code"])
        if noun_for(name) in ("command-line option", "environment variable"):
            noun = noun_for(name)
            words = [
                Wording(
                    f"which {noun} {verb} “{tail['say']}”",
                    f"the {noun} that {verb} “{tail['say']}”",
                    f"___ {verb} “{tail['say']}”",
                    f"which {noun} {verb} “{tail['say']}”",
                )
                for verb in ("goes with the description", "belongs to the words")
            ]
            yield Candidate("bracketed", Asked("identifier", name, "identifier", noun, words[0], words[1], unit.text), unit.quote)


_LABELS = re.compile(
    r"^(?P<label>Product|Severity|Status|Vendor|Language|Platform|Type|Category|Weakness|Location|Population|Capital|Founded"
    r"|Headquarters|Price|Duration|Format"
    r"|Default|Release date|Publication date|Base score|Model|Manufacturer|Funding|Sample size|Journal|Country|Currency|Area|Length"
    r"|Height|Weight)"
    r":\s+(?P<value>[^:;,]{2,60}?)\.?$"
)


def rule_labelled(unit: Unit, page: Page) -> Iterator[Candidate]:
    """ "Severity: High.", "Published 2026-02-05.", "The weakness type is CWE-125": what is the severity of the page's subject?"""
    owner = page.about
    if not owner or owner == "this page":
        return
    text = unit.text
    published = re.match(rf"(Published|Released|Updated|Modified|Founded|Announced)(?: on)?:? ({DATE.pattern})\.?$", text)
    if published:
        verb = published[1].lower()
        wordings = [
            Wording(
                f"on which date was {owner} {word}",
                f"the date on which {owner} was {word}",
                f"{owner} was {word} on ___",
                f"on which date {owner} was {word}",
            )
            for word in (verb, {"published": "made public", "released": "made available"}.get(verb, verb))
        ]
        yield Candidate("labelled", Asked("date", published[2], "date", "date", wordings[0], wordings[1], text), unit.quote)
        return
    match = _LABELS.match(text)
    weak = re.match(r"The (?P<label>[a-z]+(?: [a-z]+)?) is (?P<value>CWE-\d+)\b", text)
    found = match or weak
    if not found:
        return
    label, value = found["label"].lower(), found["value"]
    plain = Wording(
        f"what is the {label} of {owner}", f"the {label} of {owner}", f"the {label} of {owner} is ___", f"what the {label} of {owner} is"
    )
    varied = replace(plain, gap=f"for {owner}, the {label} is given as ___", indirect=f"which {label} is given for {owner}")
    if label == "product":
        plain = Wording(
            f"which product does {owner} concern",
            f"the product that {owner} concerns",
            f"{owner} concerns the product ___",
            f"which product {owner} concerns",
        )
        varied = Wording(
            f"which product is {owner} about",
            f"the product that {owner} is about",
            f"{owner} is about the product ___",
            f"which product {owner} is about",
        )
    kind: AnswerKind = "date" if DATE.fullmatch(value) else "phrase"
    yield Candidate("labelled", Asked("label", value, kind, label, plain, varied, text), unit.quote)
