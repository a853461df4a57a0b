# ruff: noqa: SIM905 - word lists read better as text
"""What independent sources say of a fact: how many state it, which contradict it, and whether it may be taught (R7).

Pure: claims and passages in, findings out. Whether one draft is sound is `synthesis.curate`'s; what a source is, `domains.hosts`'.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import combinations, pairwise

import polars as pl

from alas_assets.domains.config import Consensus
from alas_assets.domains.hosts import LOCAL, covers, host_and_port, site_of
from alas_assets.evaluation.grading import grade
from alas_assets.records import as_pairs
from alas_assets.synthesis.disputed import DISPUTED, says
from alas_assets.synthesis.wording import GAP, carries_identity, hard_tokens, mentions, names_in_order, same_answer, whole, words
from alas_assets.teachers.extractive.reading import clean, read_units
from alas_assets.teachers.extractive.teacher import context_of
from alas_assets.teachers.protocol import GradeRequest

_STATED = 0.6  # share of content words that a sentence and a claim have in common where the one states the other
_SHOWN = 160  # characters of a quote in a reason; the row itself holds it whole
_NOT = "not"
_STOP = frozenset(
    "a an the is are was were be been being has have had do does did will would in on at of for with as and or that which this these "
    "those it its there now also since than then so when".split()
)
_DENIALS = frozenset("not no never neither nor cannot without unless except".split())
_TURNS = frozenset("by from to into before after until under over more less least most only instead may might could should can".split())
_VALUES = frozenset({"version", "date", "quantity"})
_ENDING = re.compile(r"(?<=[a-z]{3})(?:ing|ed|es|e|s)$")
_RELEASE = re.compile(r"\d+\.\d|[a-z]-\d{4}-\d")


@dataclass(frozen=True)
class Claim:
    """One fact as one page states it.

    Attributes:
        fact_id: Its id.
        page: The final URL that was fetched. What a page declares as its canonical URL is no evidence (R3).
        quote: The sentence.
        answer: What the sentence answers.
        aliases: Other forms of the answer.
        kind: The answer's kind.
        questions: All its phrasings.
        place: What the sentence is about beyond its words (`places`).
    """

    fact_id: str
    page: str
    quote: str
    answer: str
    aliases: tuple[str, ...]
    kind: str
    questions: tuple[str, ...]
    place: str

    @property
    def answers(self) -> tuple[str, ...]:
        """The answer and its aliases."""
        return (self.answer, *self.aliases)

    @property
    def site(self) -> str:
        """The registrable domain, which counts as one source."""
        return site_of(self.page)

    @property
    def host(self) -> str:
        """The host as people read it."""
        found = host_and_port(self.page)
        return found[0] if found else LOCAL


@dataclass(frozen=True)
class Rules:
    """How facts are weighed.

    Attributes:
        settings: The domain file's `[consensus]`.
        primary_hosts: Hosts whose word is enough, subdomains included; None: every host.
    """

    settings: Consensus = field(default_factory=Consensus)
    primary_hosts: tuple[str, ...] | None = None

    def is_primary(self, url: str) -> bool:
        """Tell whether a URL's host is primary; a page without a host is a file of the user's own."""
        found = host_and_port(url)
        if self.primary_hosts is None or found is None:
            return True
        return any(covers(entry, *found) for entry in self.primary_hosts)


@dataclass(frozen=True)
class Finding:
    """What was found about a fact.

    Attributes:
        support: Independent registrable domains with a page that states it, its own included.
        disputed_with: Facts of other pages that answer its question differently, sorted.
        reason: Why it may not be taught; "" if it may.
        outvoted: It stands against a primary host that is believed; its answer makes no question ambiguous.
    """

    support: int
    disputed_with: tuple[str, ...] = ()
    reason: str = ""
    outvoted: bool = False


def weigh(claims: Sequence[Claim], chunks: pl.DataFrame, earlier: Sequence[Claim] = (), rules: Rules | None = None) -> dict[str, Finding]:
    """Count who states each claim, find who contradicts it, and say which may not be taught; the order of claims is irrelevant (R7).

    Args:
        claims: Facts whose quote was found and gives the answer.
        chunks: All passages that were read (`CHUNK_SCHEMA`); a page supports a claim though nobody drafted that sentence.
        earlier: What earlier iterations found and its page still states (`earlier_claims`).
        rules: By default every host is primary.

    Returns:
        A finding for the id of every claim, and of every earlier one that may be taught no more, since it loses a dispute.
    """
    rules = rules or Rules()
    against: dict[str, list[Claim]] = defaultdict(list)
    for one, other in disputes([*claims, *earlier]):
        against[one.fact_id].append(other)
        against[other.fact_id].append(one)
    own = {claim.fact_id for claim in claims}
    lost = [one for one in earlier if one.fact_id not in own and _lost_to(one, against[one.fact_id], rules)]
    weighed = [*claims, *lost]
    sites = _support(weighed, chunks, earlier)
    return {claim.fact_id: _finding(claim, len(sites[claim.fact_id]), against[claim.fact_id], rules) for claim in weighed}


def earlier_claims(tables: Sequence[pl.DataFrame], retired: Set[str] = frozenset()) -> list[Claim]:
    """Return what earlier pair tables say, oldest first, without what its page states no more.

    That is their accepted facts, and those that a dispute kept out: what two pages disagree on is settled by neither being left out.
    """
    found: dict[str, Claim] = {}
    for table in tables:
        for (fact_id,), rows in says(table).group_by("fact_id", maintain_order=True):
            row = rows.row(0, named=True)
            if fact_id in retired:
                continue
            questions = tuple(rows["question"])
            found[str(fact_id)] = Claim(
                fact_id=str(fact_id),
                page=row["page_id"],
                quote=row["quote"],
                answer=row["answer"],
                aliases=tuple(row["aliases"] or ()),
                kind=row["answer_kind"],
                questions=questions,
                place=_place_of(row["quote"], questions, row["topic"] or ""),
            )
    return list(found.values())


def _place_of(quote: str, questions: Sequence[str], topic: str) -> str:
    """Return what stands for the page's title, which no table holds: what questions name beyond the sentence, and the topic's releases.

    All questions, since a teacher may name the release in one of them only.
    """
    named = frozenset().union(*map(hard_tokens, questions)) - hard_tokens(quote)
    releases = {word for word in words(topic) if _RELEASE.search(word)}
    return " ".join(sorted(named | releases))


def places(chunks: pl.DataFrame) -> dict[str, str]:
    """Return for each passage what it is about beyond its words, from its page's own title, headings and first sentences.

    That is the release or record that the page names, its title, and each section heading that names another.
    """
    about: dict[str, str] = {}
    found: dict[str, str] = {}
    for row in chunks.sort("page_id", "ordinal").iter_rows(named=True):
        title, headings = row["title"] or "", [part for part in row["heading_path"] or () if part]
        if row["page_id"] not in about:
            about[row["page_id"]] = context_of("", read_units(row["text"] or "", headings, row["chunk_id"], title))[0]
        releases = (part for part in headings[1:] if _RELEASE.search(part.casefold()))
        found[row["chunk_id"]] = " ".join([about[row["page_id"]], title, *headings[:1], *releases])
    return found


def dispute_table(pairs: pl.DataFrame, earlier: Sequence[pl.DataFrame] = ()) -> pl.DataFrame:
    """Return one row per disagreement, both quotes and both URLs side by side, for people to read (U1).

    Args:
        pairs: This iteration's pairs (`QA_SCHEMA`).
        earlier: Pair tables of earlier iterations, where the other side may stand.
    """
    columns = ["fact_id", "question", "answer", "quote", "url"]
    facts = {row["fact_id"]: row for table in (*earlier, pairs) for row in table.select(columns).unique("fact_id", keep="first").to_dicts()}
    seen: set[frozenset[str]] = set()
    rows = []
    for fact_id, others in as_pairs(pairs).select("fact_id", "disputed_with").unique("fact_id", keep="first", maintain_order=True).rows():
        for other in others or ():
            pair = frozenset((fact_id, other))
            if pair in seen or other not in facts:
                continue
            seen.add(pair)
            one, two = facts[fact_id], facts[other]
            rows.append(
                {
                    "question": one["question"],
                    "answer": one["answer"],
                    "quote": one["quote"],
                    "url": one["url"],
                    "other_answer": two["answer"],
                    "other_quote": two["quote"],
                    "other_url": two["url"],
                    "same_domain": site_of(one["url"]) == site_of(two["url"]),
                }
            )
    texts = ["question", "answer", "quote", "url", "other_answer", "other_quote", "other_url"]
    return pl.DataFrame(rows, schema={**dict.fromkeys(texts, pl.String), "same_domain": pl.Boolean})


# ---------------------------------------------------------------------------------------------- verdicts


def _finding(claim: Claim, support: int, against: Sequence[Claim], rules: Rules) -> Finding:
    others = sorted(against, key=lambda other: other.fact_id)
    ids = tuple(other.fact_id for other in others)
    primary = rules.is_primary(claim.page)
    if lost := _lost_to(claim, others, rules):
        outvoted = rules.settings.disputed == "primary" and not primary and any(rules.is_primary(other.page) for other in lost)
        return Finding(support, ids, _disputed(claim, lost), outvoted)
    key, needed = ("min_support_primary", rules.settings.min_support_primary) if primary else ("min_support", rules.settings.min_support)
    if support < needed:
        remedy = "" if primary else f", and {claim.host} is not in sources.primary_hosts"
        return Finding(support, ids, f"too little support: {support} registrable domains state it, consensus.{key} is {needed}{remedy}")
    return Finding(support, ids)


def _lost_to(claim: Claim, others: Sequence[Claim], rules: Rules) -> list[Claim]:
    primary = rules.is_primary(claim.page)
    return [other for other in others if not _wins(primary, rules.is_primary(other.page), rules.settings.disputed)]


def _wins(primary: bool, other_primary: bool, setting: str) -> bool:
    return setting == "keep" or (setting == "primary" and primary and not other_primary)


def _disputed(claim: Claim, others: Sequence[Claim]) -> str:
    first = others[0]
    ordered = sorted((claim, first), key=lambda side: (side.page, side.quote))  # both rows read alike, and count as one reason
    sides = [f"{side.host} says “{_cut(side.quote)}” ({side.page})" for side in ordered]
    within = "two pages of one domain: " if claim.site == first.site else ""
    more = f", and {len(others) - 1} more" if len(others) > 1 else ""
    return f"{DISPUTED}{within}{', '.join(sides)}{more}"


def _cut(quote: str) -> str:
    return quote if len(quote) <= _SHOWN else quote[: _SHOWN - 1] + "…"


# ---------------------------------------------------------------------------------------------- caps


@dataclass(frozen=True)
class Candidate:
    """A fact that nothing else speaks against."""

    fact_id: str
    page: str
    support: int


def over_the_caps(candidates: Sequence[Candidate], rules: Rules) -> dict[str, str]:
    """Return the facts that are too many for their page or their domain, with the reason; primary hosts have no cap.

    Facts with more support stay first. A domain may give `max_share` of all that is accepted in the end, and one fact in any
    case: where fewer than 1 / `max_share` sources stand behind a domain, no share of them could be kept.
    """
    dropped: dict[str, str] = {}
    others = sorted((c for c in candidates if not rules.is_primary(c.page)), key=lambda c: (-c.support, c.fact_id))
    pages: dict[str, int] = defaultdict(int)
    sites: dict[str, list[Candidate]] = defaultdict(list)
    for one in others:
        pages[one.page] += 1
        if pages[one.page] > rules.settings.max_per_url:
            dropped[one.fact_id] = f"over the page's share: consensus.max_per_url is {rules.settings.max_per_url}"
        else:
            sites[site_of(one.page)].append(one)
    limit = _limit([len(facts) for facts in sites.values()], len(candidates) - len(others), rules.settings.max_share)
    for site, facts in sites.items():
        for one in facts[limit:]:
            dropped[one.fact_id] = f"over the source's share: {site} may give {limit} (consensus.max_share {rules.settings.max_share:.0%})"
    return dropped


def _limit(counts: Sequence[int], free: int, share: float) -> int:
    """Return the most facts of one domain that are no more than the share of what is left once all are cut to that."""
    total = free + sum(counts)
    while True:
        limit = max(1, int(share * total + 1e-9))
        left = free + sum(min(count, limit) for count in counts)
        if left == total:
            return limit
        total = left


def spread(candidates: Sequence[Candidate], groups: Mapping[str, str], rules: Rules) -> list[str]:
    """Return the fact ids in the order in which they may take a question that several ask.

    Of facts that say the same, one of a primary host comes first, else one of the domain that leads the fewest groups so far:
    what ten pages state must not all be credited to the first of them. Everything else keeps its order.

    Args:
        candidates: In the order of the drafts.
        groups: The fact group of each fact id.
        rules: Which hosts are primary.
    """
    members: dict[str, list[Candidate]] = defaultdict(list)
    for one in candidates:
        members[groups[one.fact_id]].append(one)
    led: dict[str, int] = defaultdict(int)
    heads = []
    for group in members.values():
        head = min(group, key=lambda one: (not rules.is_primary(one.page), 0 if rules.is_primary(one.page) else led[site_of(one.page)]))
        led[site_of(head.page)] += 1
        heads.append(head.fact_id)
    first = set(heads)
    return [*heads, *(one.fact_id for one in candidates if one.fact_id not in first)]


# ---------------------------------------------------------------------------------------------- support


@dataclass(frozen=True)
class _Sentence:
    site: str
    text: str
    place: str

    @cached_property
    def stems(self) -> tuple[str, ...]:
        return content_stems(self.text)

    @cached_property
    def own(self) -> frozenset[str]:
        return frozenset(self.stems)


def _support(claims: Sequence[Claim], chunks: pl.DataFrame, earlier: Sequence[Claim]) -> dict[str, set[str]]:
    """Return the domains that state each claim: in a sentence of theirs, or by the same answer to the same question."""
    found = {claim.fact_id: {claim.site} for claim in claims}
    known = {claim.site for claim in (*claims, *earlier)} | {site_of(page) for page in chunks["page_id"].unique()}
    if len(known) < 2:
        return found
    stated = _Statements([*_sentences(chunks), *(_Sentence(claim.site, clean(claim.quote), claim.place) for claim in earlier)])
    asked: dict[tuple[object, ...], list[Claim]] = defaultdict(list)
    for claim in (*claims, *earlier):
        for question in set(map(_content, claim.questions)):
            asked[question].append(claim)
    for claim in claims:
        sites = found[claim.fact_id]
        sites |= stated.sites(claim)
        for question in set(map(_content, claim.questions)):
            sites |= {
                other.site
                for other in asked[question]
                if _one_answer(claim, other) and _same_place(claim.place, other.place, _numbers(" ".join(claim.questions)))
            }
    return found


def _sentences(chunks: pl.DataFrame) -> Iterable[_Sentence]:
    place = places(chunks)
    for row in chunks.iter_rows(named=True):
        headings = [part for part in row["heading_path"] or () if part]
        for unit in read_units(row["text"] or "", headings, row["chunk_id"], row["title"] or ""):
            yield _Sentence(site_of(row["page_id"]), unit.text, place[row["chunk_id"]])


class _Statements:
    """Sentences, searched for those that state a claim."""

    def __init__(self, sentences: Sequence[_Sentence]) -> None:
        self._holders: dict[str, list[_Sentence]] = defaultdict(list)
        self._near: dict[str, list[_Sentence]] = defaultdict(list)
        for sentence in sentences:
            for word in sentence.own:
                self._holders[word].append(sentence)
            for word in sentence.own.union(content_stems(sentence.place), _release_words(sentence.place)):
                self._near[word].append(sentence)

    def sites(self, claim: Claim) -> set[str]:
        """Return the domains with a sentence that states the claim; it must hold the rarest word of an answer.

        Each word of the claim must stand in the sentence or its place (`_states`), so only those near the claim's rarest word are read:
        "high" stands in as many sentences as there are claims with that answer.
        """
        said = content_stems(clean(claim.quote))
        near = min((self._near.get(word, []) for word in said), key=len, default=[])
        rare = {min(stems, key=lambda word: len(self._holders.get(word, ()))) for stems in map(content_stems, claim.answers) if stems}
        return {sentence.site for sentence in near if not rare.isdisjoint(sentence.own) and _states(sentence, claim)}


def _states(sentence: _Sentence, claim: Claim) -> bool:
    """Tell whether a sentence says all that a claim says, and little else.

    Every content word of the claim must stand in the sentence in the same order, or else in the title above it; and both must
    hold the same words that turn a sentence round: "A replaced B" is not stated by "B replaced A", nor by "A was replaced by B"
    or "A may replace B". Only the release that the page is on may be named anywhere. A synonym costs support and never adds it.
    """
    quote = clean(claim.quote)
    said, own, around = content_stems(quote), sentence.own, set(content_stems(sentence.place))
    anywhere = _release_words(sentence.place) - {word for form in claim.answers for word in content_stems(form)}
    return (
        len(own.intersection(said)) >= _STATED * len(own)
        and _in_order([word for word in said if word not in anywhere and (word in own or word not in around)], sentence.stems)
        and _names_any(sentence.text, claim.answers)
        and carries_identity(f"{sentence.text} {sentence.place}", quote)
        and _turns(quote) == _turns(sentence.text)
        and _same_place(claim.place, sentence.place, _numbers(quote))
    )


def _release_words(place: str) -> set[str]:
    """Return the numbers that a place names, and the word before each: python, 3.15."""
    found = words(place)
    return {stem(word) for pair in pairwise(found) if pair[1][0].isdigit() for word in pair}


def _in_order(wanted: Sequence[str], stems: Sequence[str]) -> bool:
    rest = iter(stems)
    return all(word in rest for word in wanted)  # `in` reads on from where the word before was found


# ---------------------------------------------------------------------------------------------- disagreement


def disputes(claims: Sequence[Claim]) -> list[tuple[Claim, Claim]]:
    """Return every two claims of different pages that answer one question differently, ordered by their ids.

    Only what can have but one right answer is a question here, and where the sentence of either side names the other's answer
    too, both may be right.
    """
    by_question: dict[tuple[object, ...], dict[str, Claim]] = defaultdict(dict)
    for claim in claims:
        denials = _turns(_frame(claim)).count(_NOT)  # "is not 9" does not contradict "is 7"
        for asked in {_content(_frame(claim)), *map(_content, claim.questions)}:
            by_question[claim.kind, denials, *asked][claim.fact_id] = claim
    found: dict[tuple[str, str], tuple[Claim, Claim]] = {}
    for same in by_question.values():
        for one, other in _of_one_place(sorted(same.values(), key=lambda claim: claim.fact_id)):
            if (one.fact_id, other.fact_id) not in found and _contradict(one, other):
                found[one.fact_id, other.fact_id] = (one, other)
    return [found[key] for key in sorted(found)]


def _of_one_place(claims: Sequence[Claim]) -> Iterator[tuple[Claim, Claim]]:
    """Yield, some of them twice, the pairs that can be `_same_place`; thousands of records may share one sentence.

    Their places share a number, or each says in its own sentence all numbers of its place.
    """
    alike: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        numbers = _numbers(claim.place)
        for number in numbers:
            alike[number].append(claim)
        if numbers <= _numbers(_frame(claim)):
            alike[""].append(claim)
    for group in alike.values():
        yield from combinations(group, 2)


@lru_cache(maxsize=50_000)
def _frame(claim: Claim) -> str:
    """Return the claim's sentence with a gap where the answer stands: what it answers, in its own words."""
    quote = clean(claim.quote)
    for form in claim.answers:
        if mentions(quote, form):
            # not in other words: of "in Widget 4.2 the pool has 2 workers" the release is no answer
            return re.sub(whole(form.strip("`") or form), GAP, quote, flags=re.IGNORECASE)
    return quote


def _contradict(one: Claim, other: Claim) -> bool:
    return (
        one.page != other.page
        and _same_place(one.place, other.place, _numbers(_frame(one)) & _numbers(_frame(other)))
        and _has_one_answer(one, bool(_numbers(one.place) & _numbers(other.place)))
        and not _one_answer(one, other)
        and not _names_any(other.quote, one.answers)
        and not _names_any(one.quote, other.answers)
    )


@lru_cache(maxsize=50_000)
def _names_any(text: str, answers: tuple[str, ...]) -> bool:
    return any(mentions(text, form) for form in answers)


def _has_one_answer(claim: Claim, same_release: bool) -> bool:
    """Tell whether a sentence with a gap says of one thing what only one answer can fill.

    A value may be that of the release; a name must be said of something else that is named, and not be one of several that a
    release can add, remove or take.
    """
    frame = _frame(claim)
    names_something = bool(hard_tokens(frame) - {GAP})
    if claim.kind in _VALUES:
        return same_release or names_something
    return names_something and not any(stem(word) in _OPEN for word in words(frame))


def _one_answer(one: Claim, other: Claim) -> bool:
    """Tell whether two answers are one: equal, or the same date, number or version in other signs."""
    return _read_alike(one.kind, one.answers, other.answers) and _read_alike(one.kind, other.answers, one.answers)


@lru_cache(maxsize=50_000)
def _read_alike(kind: str, gold: tuple[str, ...], said: tuple[str, ...]) -> bool:
    if same_answer(gold[0], list(gold[1:]), said[0], list(said[1:])):
        return True
    request = GradeRequest(question="", gold=gold[0], aliases=list(gold[1:]), answer_kind=kind, answer=said[0])
    return grade(request).label == "correct"


# ---------------------------------------------------------------------------------------------- words


@lru_cache(maxsize=50_000)
def _content(text: str) -> tuple[object, ...]:
    """Return what a question or statement asks, whatever its articles and tense.

    The order counts: "which function replaced `f`" and "which function `f` replaced" have the same words.
    """
    return content_stems(text), _names(text)


@lru_cache(maxsize=50_000)
def content_stems(text: str) -> tuple[str, ...]:
    """Return the stems of the words of a text that carry meaning, in their order."""
    return tuple(stem(word) for word in words(text) if word not in _STOP)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in names_in_order(text) if name not in _STOP)


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Return a word without its inflection: removes, removed and removing are one."""
    return _ENDING.sub("", word)


_OPEN = frozenset(
    stem(word)
    for word in (
        "accept add allow deprecated dropped example exposed fixed gain get got improve include introduce new provide remove support "
        "update".split()
    )
)
"""Words of sentences that are true of many things at once: what a release adds, what a function accepts."""


def _turns(text: str) -> tuple[str, ...]:
    """Return the words that turn a sentence round, in their order; every denial is one."""
    found = (_NOT if word in _DENIALS or word.endswith("n't") else word for word in words(text))
    return tuple(word for word in found if word == _NOT or word in _TURNS)


def denies(text: str) -> bool:
    """Tell whether a text holds a denial: not, no, never, isn't."""
    return _NOT in _turns(text)


@lru_cache(maxsize=50_000)
def _numbers(text: str) -> frozenset[str]:
    return frozenset(word for word in words(text) if any(char.isdigit() for char in word))


def _same_place(one: str, other: str, said: frozenset[str]) -> bool:
    """Tell whether two pages speak of the same release or record.

    Their titles name the same numbers, or one names more of the same; a number that only one of them names must be said in
    the sentence or question itself.
    """
    a, b = _numbers(one), _numbers(other)
    return bool(a & b and (a <= b or b <= a)) or a ^ b <= said
