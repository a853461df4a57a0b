"""A sentence as one clause: subject, adverb, finite verb, rest; release-note imperatives become passive clauses.

Reading and turning of clauses only; which part is asked for is decided in `rules`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from alas_assets.teachers.extractive.answers import NOUN, Named, noun_phrase
from alas_assets.teachers.extractive.reading import CODE
from alas_assets.teachers.extractive.words import (
    ADVERBS,
    AMBIGUOUS_NOUNS,
    AUXILIARIES,
    BASE_OF,
    BASES,
    LEADS,
    PAST_OF,
    PRONOUNS,
    SUBORDINATORS,
    base_form,
    is_finite,
    plural_noun,
    word_set,
)

_TOKEN = re.compile(rf"{CODE}(?:'s)?|\([^()]*\)|[\w][\w'./+&#-]*|[^\w\s]")
_PAREN = re.compile(r"\s+\((?:[^()]|\([^()]*\))*\)(?=[\s.,;:]|$)")
_CUT = re.compile(
    r"\s*(?:;|\s[–—]\s|:\s|,\s+(?:which|who|where|so|but|although|though|making|allowing|meaning|enabling|rather than|instead of"
    r"|instead|because|since"
    r"|as|while|whereas|see|use|prefer|for example|for instance|such as|e\.g|i\.e|including|even|regardless|note|it|this|they|these"
    r"|and (?:it|they|this|is"
    r"|are|has|have|will|can|now|therefore|thus)|not only|not|with the|deprecated|leading|resulting|causing|mirroring|matching"
    r"|beginning|starting|following|one|each|both|none|all|usually|mostly|typically|named|thanks to|lest|provided|an idea"
    r"|a decision|for the sake|hence|once|after|until|where|namely|such that|(?:on|in|of|for|from|with|by) which|\w+ ones?"
    r"|among them|unless|if|when|independent|except)\b)"
)


@dataclass(frozen=True)
class Clause:
    """One main clause; `subject + adverb + verb + rest` reads as a sentence."""

    subject: str
    adverb: str
    verb: str
    rest: str
    lead: str = ""
    """An adverbial that came first: "On Windows"."""
    plural: bool = False
    imperative: bool = False
    """It was an imperative list item ("Add ...") in the text."""

    @property
    def predicate(self) -> str:
        """The clause without its subject."""
        return " ".join(part for part in (self.adverb, self.verb, self.rest) if part)

    @property
    def text(self) -> str:
        """The clause as a statement."""
        return f"{self.subject} {self.predicate}"


def without_parentheses(text: str) -> str:
    """Drop parenthetical remarks; calls inside code spans stay."""
    parts = re.split(f"({CODE})", text)
    keep = {f"\x00{i}\x00": part for i, part in enumerate(parts) if i % 2}
    masked = "".join(f"\x00{i}\x00" if i % 2 else part for i, part in enumerate(parts))
    for _ in range(3):
        masked = _PAREN.sub("", masked)
    for mark, part in keep.items():
        masked = masked.replace(mark, part)
    return " ".join(masked.split())


_NO_ARTICLE = re.compile(
    rf"\b(from|to|in|of|for|on|by|with|via|through|calling|using|than) ({CODE} (?:function|method|class|module|type|parameter"
    rf"|constructor|attribute|macro|argument|object|option)\b)"
)


def with_articles(text: str) -> str:
    """Put the article that terse notes leave out: "removed from `f()` function" gets its "the"."""
    return _NO_ARTICLE.sub(r"\1 the \2", text)


def trim(rest: str) -> str:
    """Cut what follows a clause's own statement: relative clauses, asides, second sentences after a semicolon."""
    codes: list[str] = []

    def hide(match: re.Match[str]) -> str:
        codes.append(match[0])
        return f"`{len(codes) - 1}`"

    masked = re.sub(CODE, hide, rest)
    cut = _CUT.search(masked)
    if cut and cut.start() > 0:
        masked = masked[: cut.start()]
    for again in re.finditer(r",\s+and\s+", masked):
        words = re.findall(r"[\w`'.-]+", masked[again.end() :])[:6]
        if (words and words[0] in ("so", "when", "if")) or _second_clause(words):
            masked = masked[: again.start()]
            break
    gapped = re.search(r"[a-z]{2,},\s+and\s+`\d+`(?! [a-z]+s\b)", masked)
    if gapped and not re.search(r"`\d+`,\s", masked[: gapped.start()]):
        masked = masked[: masked.index(",", gapped.start())]
    second = re.search(r",\s+and\s+`\d+`(?:\s+and\s+`\d+`)?\s+(?:now\s+)?([a-z]+)\b", masked)
    if second and (second[1] in AUXILIARIES or second[1] in BASES or second[1] in BASE_OF):
        masked = masked[: second.start()]
    masked = masked.strip().rstrip(".,;:!?").strip()
    return re.sub(r"`(\d+)`", lambda m: codes[int(m[1])], masked)


def _second_clause(words: list[str]) -> bool:
    """Say whether the words after ", and" open a clause of their own rather than the last item of a list."""
    for index, word in enumerate(words):
        if word in ("that", "which", "who", "to", "for", "with", "of"):
            return False
        if word in AUXILIARIES or (index and word in BASE_OF and is_finite(word, False, False)):
            return True
    return False


def split_lead(text: str) -> tuple[str, str]:
    """Split a leading adverbial ("On Windows, ...") from its sentence."""
    first = text.split(" ", 1)[0]
    if first not in LEADS:
        return "", text
    masked = re.sub(CODE, lambda m: "x" * len(m[0]), text)
    comma = masked.find(", ")
    if comma < 0 or comma > 140:
        return "", text
    after = text[comma + 2 :]
    if re.match(r"(?:and|or|which|such|including|e\.g)\b", after):
        return "", text
    return text[:comma], after


def parse(text: str) -> Clause | None:
    """Read a declarative sentence as one clause; None if its main verb cannot be told by rule."""
    text = without_parentheses(text).rstrip(".!").strip()
    lead, body = split_lead(text)
    if not lead and re.match(
        r"(?:If|When|While|Unless|Because|Since|Although|In|On|For|From|At|By|With|Without|Until|Once|After|Before|During)\s", body
    ):
        return None
    opener = re.match(r"([A-Z][a-z]+) (?!for\b|of\b|to\b)", body)
    if opener and (
        opener[1].lower() in BASES or opener[1].lower() in PAST_OF or opener[1].lower() in ("allowed", "ensure", "make", "fixed")
    ):
        return None  # an instruction or a past participle without its auxiliary
    if re.fullmatch(rf"(?:When|If|Once|While) (?:\w+|{CODE})", lead):
        return None
    tokens = list(_TOKEN.finditer(body))
    skip_relative = 0
    depth_comma = False
    for index, token in enumerate(tokens[:22]):
        word = token[0]
        previous = tokens[index - 1][0] if index else ""
        if word in ("that", "which", "who") and index:
            skip_relative += 1
            continue
        if word in (";", ":", "–", "—") or (word in SUBORDINATORS and word not in ("that", "which", "who", "than")):
            return None
        if word == ",":
            depth_comma = True
            continue
        if index == 0:
            continue
        before_adverb = index - 1
        while before_adverb > 0 and tokens[before_adverb][0] in ADVERBS:
            before_adverb -= 1
        adverb_words = [t[0] for t in tokens[before_adverb + 1 : index]]
        if index >= 2 and previous == "longer" and tokens[index - 2][0] == "no":
            adverb_words = ["no", "longer"]
            before_adverb = index - 3
        after_adverb = bool(adverb_words)
        head = tokens[before_adverb][0] if before_adverb >= 0 else ""
        after_name = head.startswith("`") or (
            before_adverb >= 1 and tokens[before_adverb - 1][0].startswith("`") and bool(re.fullmatch(NOUN, head))
        )
        if skip_relative and word in BASES and previous in ("that", "which", "who"):
            skip_relative -= 1  # the plural verb of the relative clause: "functions that take a timeout"
            continue
        if not is_finite(word, after_name, after_adverb):
            continue
        if word in PAST_OF and adverb_words == ["no", "longer"]:
            return None
        following = tokens[index + 1][0] if index + 1 < len(tokens) else ""
        if word in ("calls", "uses", "returns") and following.endswith("ing"):
            continue
        if word in BASES and not after_adverb and (following in BASES or following in BASE_OF or following in AUXILIARIES):
            continue  # a noun that looks like a verb: "tools with x support include y"
        if word in AUXILIARIES and previous in ("and", "or"):
            return None
        if previous in ("to", "and", "or", "not", ",") and word not in AUXILIARIES and not after_adverb:
            continue
        if (
            word in PAST_OF
            and not after_adverb
            and any(
                t[0] in AUXILIARIES
                or (t[0] in BASE_OF and t[0] not in PAST_OF)
                or (t[0] in BASES and t[0] not in AMBIGUOUS_NOUNS and n < 4 and tokens[index + n][0] not in ("to", "and", "or"))
                for n, t in enumerate(tokens[index + 1 :])
            )
        ):
            continue  # a participle: "the method added in 3.2 is ..."
        if word in PAST_OF and not after_adverb and tokens[index + 1 : index + 2] and tokens[index + 1][0] == "by":
            return None
        if previous in ("of", "in", "for", "with", "the", "a", "an", "on", "by", "new", "as", "at") or (previous == "to"):
            continue
        if skip_relative:
            skip_relative -= 1
            continue
        start = tokens[before_adverb + 1].start() if after_adverb else token.start()
        subject = body[:start].strip()
        subject = re.sub(
            r"(?<=[`\w]),\s+(?:which|who|deprecated|for|an?|the|formerly|once|now|known|such as|added|including|together)\b[^,]*,$",
            "",
            subject,
        )
        closed = subject.endswith(",") and ("`" in subject or re.search(r"\b(?:that|which|who)\b", subject))
        if not subject or (subject.endswith(",") and not closed):
            return None
        if depth_comma and not re.search(r",\s.*(?:\band\b|\bor\b|,$)", subject):
            return None
        rest = trim(body[token.end() :])
        plural = (
            word in ("are", "were", "have", "do")
            or (word not in AUXILIARIES and word not in PAST_OF and base_form(word) == word)
            or (word not in ("is", "was", "has", "does") and (bool(re.search(r"\band\b", subject)) or plural_noun(_head(subject))))
        )
        if not rest:
            return None
        return Clause(subject, " ".join(adverb_words), word, rest, lead, plural)
    return None


def _head(subject: str) -> str:
    """Return the head noun of a subject, roughly: the last word before its first preposition or relative clause."""
    core = re.split(r"\s(?:of|in|for|with|on|to|from|by|that|which|who|at|using|without|used|and)\s", re.sub(CODE, "name", subject))[0]
    return core.split()[-1] if core.split() else ""


_IMPERATIVES = {
    "add": "added",
    "introduce": "introduced",
    "remove": "removed",
    "deprecate": "deprecated",
    "undeprecate": "undeprecated",
    "rename": "renamed",
    "change": "changed",
    "expose": "exposed",
    "restore": "restored",
    "replace": "replaced",
    "drop": "dropped",
    "move": "moved",
    "implement": "implemented",
    "promote": "promoted",
    "raise": "raised",
    "upgrade": "upgraded",
    "update": "updated",
}
_PAST = {past: past for past in _IMPERATIVES.values()}
_PREPOSITIONS = "to|in|for|as|on|from|into|with|of|by|at|that|which|when|if|so|where|used|using|instead|via|without|containing|on"


def imperative(text: str) -> tuple[Clause, Named] | None:
    """Turn "Add the `x` parameter to `f()`" into "the `x` parameter was added to `f()`".

    Returns:
        The passive clause and its subject's names; None if the sentence is no such imperative.
    """
    text = without_parentheses(re.sub(r"^PEP \d+:\s+", "", text)).rstrip(".!").strip()
    match = re.match(r"([A-Z][a-z]+)\s+", text)
    if not match:
        return None
    word = match[1].lower()
    past = _IMPERATIVES.get(word) or _PAST.get(word)
    if past is None or past == "raised":
        return None
    body = text[match.end() :]
    named = noun_phrase(body)
    if named is None:
        return None
    tail = body[named.end :].lstrip()
    owner = re.match(
        rf"(?:of (?:the )?{CODE}(?:(?:, | and ){CODE})*(?: (?:{NOUN}))?|(?:removed|deprecated|introduced|added) in [A-Z]\w+ [\d.]+\d)"
        rf"(?=$|[,;:]| (?:and|in|to|for|from|as|on|which)\b)",
        tail,
    )
    beside = re.match(r"and (?:the |an? )", tail)
    second = noun_phrase(tail, 4) if beside else None
    company = ""
    if owner:
        tail = tail[owner.end() :].lstrip()
    elif second is not None:
        company = f"together with {tail[4 : second.end]}"
        tail = tail[second.end :].lstrip()
    rest = "" if tail.startswith((",", ";", ":")) else trim(tail)
    if rest and not re.match(rf"(?:{_PREPOSITIONS})\b", rest):
        return None
    if len(named.names) > 1:
        rest = re.split(r"\s*\b(?:which|that|who)\b", rest)[0]
    verb = "were" if named.plural else "was"
    rest = " ".join(part for part in (past, company, rest) if part)
    subject = body[: named.end] + (f" {owner[0]}" if owner else "")
    return Clause(subject, "", verb, rest, "", named.plural, True), named


def passive_object(text: str) -> Clause | None:
    """Turn an imperative about something unnamed ("Changed the MIME type for ... to `x`") into a passive clause."""
    text = without_parentheses(text).rstrip(".!").strip()
    match = re.match(
        r"(Change|Changed|Rename|Renamed|Replace|Replaced|Update|Updated|Upgrade|Upgraded|Expose|Exposed|Move|Moved)\s+(.+)$", text
    )
    if not match:
        return None
    past = _IMPERATIVES.get(match[1].lower()) or match[1].lower()
    found = re.match(r"(.+?)\s+((?:from\s+.+?\s+)?(?:to|with|as|by)\s+.+)$", match[2])
    if not found or len(found[1].split()) > 14:
        return None
    plural = plural_noun(_head(found[1]))
    return Clause(found[1], "", "were" if plural else "was", f"{past} {trim(found[2])}", "", plural, True)


def conjuncts(clause: Clause) -> list[Clause]:
    """Split "is deprecated and will be removed in V" into one clause for each verb group, the subject repeated."""
    masked = re.sub(CODE, lambda m: "x" * len(m[0]), clause.rest)
    parts: list[Clause] = []
    start = 0
    verb, adverb = clause.verb, clause.adverb
    for match in re.finditer(r",?\s+and\s+(?:(now|then|also)\s+)?(is|are|was|were|will|has|have|can|must)\s+", masked):
        rest = clause.rest[start : match.start()].strip()
        if rest:
            parts.append(replace(clause, verb=verb, adverb=adverb, rest=trim(rest)))
        verb, adverb, start = match[2], match[1] or "", match.end()
    tail = clause.rest[start:].strip()
    if tail:
        parts.append(replace(clause, verb=verb, adverb=adverb, rest=trim(tail)))
    # "is deprecated and slated for removal in V": the auxiliary is shared
    shared: list[Clause] = []
    for part in parts:
        match = re.match(r"(.*?)\s+and\s+((?:slated|scheduled|planned|set|due)\b.*)$", part.rest)
        if match and part.verb in ("is", "are", "was", "were"):
            shared += [replace(part, rest=trim(match[1])), replace(part, rest=trim(match[2]))]
        else:
            shared.append(part)
    return [part for part in shared if part.rest]


def ending(clause: Clause) -> Clause:
    """Say "stop working" where an activity, not a thing, "will be removed"."""
    if re.match(r"[A-Z]?[a-z]+ing\b", clause.subject) and clause.verb == "will" and clause.rest.startswith("be removed"):
        return replace(clause, rest="stop working" + clause.rest[len("be removed") :])
    return clause


_FUNCTION_WORDS = word_set(
    """
    the a an in on at for from by with to of as since until after before when if while through via during without within under over
    between all any some no most many more each every both new old code support calls functions methods modules names types files
    users tools threads options values
    """
)
_COMMON_ENDING = re.compile(r"(?:ing|tions?|ments?|ed|ly|able|ible|ity|ness|ors|ers|ies|ure|ures|ical|ive|less|ful|ance|ence|ages?)$")


def lower_first(text: str, proper: frozenset[str]) -> str:
    """Lower the first letter of a clause that moves inside a question, unless the word may be a name.

    Args:
        text: The clause.
        proper: Words that the page writes with a capital inside sentences, and "=word" for words it writes without.
    """
    word = re.match(r"[A-Za-z][\w'-]*", text)
    if not word or word[0] in proper:
        return text
    first = word[0]
    after = re.match(r" ([a-z][\w-]*)", text[word.end() :])
    follows = bool(after) and not is_finite(after[1], False, False)
    common = follows or first in LEADS or first.lower() in _FUNCTION_WORDS or f"={first.lower()}" in proper or _COMMON_ENDING.search(first)
    if common and re.fullmatch(r"[A-Z][a-z'-]*|A", first):
        return text[0].lower() + text[1:]
    return text


_UNDETERMINED = re.compile(rf"{CODE}(?: (?!and\b|or\b|is\b)[a-z][a-z-]*)+$")
_PERFECT = re.compile(
    r"(?:now |not |also |no longer |already |finally |never |always |therefore )*"
    r"(?:been|become|begun|given|gone|grown|had|learnt|lost|made|taken|come|run|set|put|\w+ed)\b"
)


def in_sentence(subject: str, proper: frozenset[str]) -> str:
    """Return a subject as it stands inside a sentence: no capital, and an article where a terse note leaves it out."""
    text = lower_first(subject, proper)
    return f"the {text}" if _UNDETERMINED.fullmatch(text) else text


def invert(clause: Clause, proper: frozenset[str]) -> str:
    """Return the clause in question order without a question word: "does `f()` now raise ..."."""
    subject = in_sentence(clause.subject, proper)
    if clause.verb in ("has", "have") and not _PERFECT.match(clause.rest):
        helper = "do" if clause.verb == "have" else "does"
        return " ".join(part for part in (helper, subject, clause.adverb, "have", clause.rest) if part)
    if clause.verb in AUXILIARIES:
        return " ".join(part for part in (clause.verb, subject, clause.adverb, clause.rest) if part)
    helper = "did" if clause.verb in PAST_OF and clause.verb not in BASES else "do" if clause.plural else "does"
    return " ".join(part for part in (helper, subject, clause.adverb, base_form(clause.verb), clause.rest) if part)


_BARE_SUBJECT = re.compile(
    r"(?:The|An?) (?:method|function|class|module|parameter|argument|option|attribute|exception|flag|issue|vulnerability|flaw"
    r"|change|feature|fix|bug|value"
    r"|type|object|page|record|article|study|paper|team|company|patch|problem|error|warning|behaviou?r|default|result|results"
    r"|answer|filter|attacker|file|list"
    r"|command|tool|script|program|user|release|version|update|property|name|system|code|authors?|researchers?) (?!of\b|for\b|in\b"
    r"|to\b|that\b|`)[a-z]"
)


def starts_badly(text: str) -> str:
    """Return why a sentence cannot stand on its own, or ""."""
    if re.search(
        r"\b(?:from then on|such (?!as\b|that\b)[a-z]+|for that purpose|which ones|in that (?:case|sense)|that way"
        r"|by contrast|in return|there is|there are|instead of (?:it|them))\b",
        text,
    ):
        return "points back at the text before it"
    if _BARE_SUBJECT.match(text):
        return "is about something that only the text before it names"
    first = re.match(r"[\w'-]+", text)
    word = first[0].lower() if first else ""
    if re.match(r"(?:All|Most|Many|Some) (?:of|had|have|are|were|is|do|will|can)\b", text):
        return "counts things that only the text before it names"
    if word in PRONOUNS:
        return f"starts with {first[0] if first else ''!r}, which the sentence alone does not explain"
    if word in SUBORDINATORS and word not in ("when", "if", "while", "although", "because", "unless", "once", "though"):
        return "is a fragment"
    return ""
