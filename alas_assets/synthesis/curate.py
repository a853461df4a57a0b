"""Turns a teacher's drafts into the table of pairs: what may be trained on, and beside it everything else with its reason.

Every step is one small function that marks facts or phrasings and never removes them. Writing drafts is `teachers`',
comparing wordings is `synthesis.wording`, finding a quote and the id of its fact is `synthesis.passages`.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from math import ceil
from typing import Any

import polars as pl
from pydantic import Field

from alas_assets.provenance import ids
from alas_assets.provenance.redaction import private_parts, redact
from alas_assets.records import QA_SCHEMA, DraftFact, Record, RejectedDraft, Topic
from alas_assets.students.answering import Decoding
from alas_assets.synthesis.aliases import says_something, states_answer, usable_aliases
from alas_assets.synthesis.claims import Claim, Finding, places
from alas_assets.synthesis.consensus import Candidate, Rules, over_the_caps, spread, weigh
from alas_assets.synthesis.disputed import DISPUTED, earlier_claims, lost_rows
from alas_assets.synthesis.duplicates import Embed, Statement, find_kinship, groups
from alas_assets.synthesis.hostile import steering
from alas_assets.synthesis.leaks import same_question
from alas_assets.synthesis.passages import Passages
from alas_assets.synthesis.questions import GuardQuestion
from alas_assets.synthesis.quotes import explain_missing, shown
from alas_assets.synthesis.standing import SAYS_THE_SAME
from alas_assets.synthesis.wording import (
    NearIndex,
    WordingIndex,
    clean,
    mentions,
    normalise,
    same_answer,
)

ALREADY_TAUGHT = "already taught"
"""How the reason starts why a fact of an earlier iteration is no new one."""


class Limits(Record):
    """What a pair may be (S1, S4, S7). Lengths in characters, tokens by the student's tokenizer."""

    facts_per_topic: int = Field(default=10, ge=1, description="pairs per topic (S1); phrasings of one fact count once")
    min_train: int = Field(default=2, ge=1, description="training phrasings a fact needs")
    min_probe: int = Field(default=2, ge=1, description="held-out phrasings a fact needs")
    question_chars: int = 400
    answer_chars: int = 160
    quote_chars: int = 1200
    answer_tokens: int = Field(default=Decoding().max_new_tokens, description="tokens after which a student's answer is cut")
    pair_tokens: int = Field(default=160, description="absolute cap on question and answer together")
    longest_share: float = Field(default=0.01, ge=0, lt=1, description="share of the longest training rows dropped (S7)")
    longest_from: int = Field(default=200, description="rows below which the longest share is not dropped")


@dataclass
class _Phrase:
    role: str
    template: str
    question: str
    tokens: int | None = None
    reason: str = ""


@dataclass
class _Fact:
    draft: DraftFact
    topic: Topic | None
    chunk: dict[str, Any] | None
    quote: str
    answer: str
    aliases: list[str]
    phrases: list[_Phrase]
    fact_id: str
    group: str = ""
    saying: str = ""  # shared by facts of the same answer that rest on the same statement
    start: int | None = None
    end: int | None = None
    reason: str = ""
    private: bool = False  # some of its texts hold personal data or a secret, and must be redacted
    verified: bool = False  # the quote stands in the passage and gives the answer
    finding: Finding | None = None  # what other sources say of it

    @property
    def live(self) -> list[_Phrase]:
        """The phrasings that nothing speaks against so far."""
        return [] if self.reason else [p for p in self.phrases if not p.reason]

    @property
    def forms(self) -> Set[str]:
        """Every form in which the answer counts as given."""
        return _forms(self.answer, self.aliases)


def curate(
    drafts: Sequence[DraftFact],
    rejected: Sequence[RejectedDraft],
    chunks: pl.DataFrame,
    topics: Sequence[Topic],
    guards: Sequence[GuardQuestion],
    *,
    count_tokens: Callable[[str], int],
    teacher: str,
    iteration: int,
    earlier_fact_ids: Set[str] = frozenset(),
    known_fact_ids: Set[str] = frozenset(),
    taken_fact_ids: Set[str] = frozenset(),
    limits: Limits | None = None,
    earlier_qa: Sequence[pl.DataFrame] = (),
    retired_facts: Set[str] = frozenset(),
    rules: Rules | None = None,
    embed: Embed | None = None,
) -> pl.DataFrame:
    """Return one row per phrasing, accepted and rejected side by side with the first reason found (S2, S4, S7, S8, S10, R7).

    Args:
        drafts: Facts as the teacher wrote them; hostile input.
        rejected: What the teacher itself could not use; becomes rows too.
        chunks: Stored passages (`CHUNK_SCHEMA`), each text a slice [start:end] of the stored page text.
        topics: The iteration's topics; a draft for another is rejected.
        guards: All guard and neighbour questions; a phrasing near one is rejected.
        count_tokens: Tokens of a text by the student's tokenizer.
        teacher: Who wrote the drafts.
        iteration: The iteration they were written in.
        earlier_fact_ids: Facts that earlier iterations taught and that are still taught; they come back only in a remediation topic.
        known_fact_ids: Facts that earlier iterations found known to the student; they too come back only in a remediation topic.
        taken_fact_ids: Facts that this iteration teaches from other drafts; they come back in no topic.
        limits: What a pair may be.
        earlier_qa: Pair tables of earlier iterations; keeps template roles and held-out wordings apart across them, and their
            accepted facts count as what their page says.
        retired_facts: Earlier facts that their page states no more; they neither support nor contradict.
        rules: Whose word is enough and what a disagreement does; by default every host is primary.
        embed: Vectors of length 1 for texts; without it facts that say the same in other words are not found.

    Returns:
        `QA_SCHEMA`, in the order of drafts, then of rejected drafts, then of earlier facts that lose a dispute; `qa_id` is unique.
    """
    limits, rules = limits or Limits(), rules or Rules()
    documents = Passages.of(chunks)
    by_id = {topic.topic_id: topic for topic in topics}
    facts = [_open(draft, by_id, documents) for draft in drafts]
    _check_structure(facts, limits)
    _check_content(facts)
    _check_quotes(facts, documents)
    _check_answers(facts)
    twins = _group(facts, documents, earlier_qa, retired_facts, embed)
    lost = _weigh(facts, chunks, earlier_claims(earlier_qa, retired_facts), rules)
    _reject_known(facts, taken_fact_ids, twins, ALREADY_TAUGHT)
    once = [fact for fact in facts if fact.topic and fact.topic.origin != "remediation"]
    _reject_known(once, earlier_fact_ids, twins, ALREADY_TAUGHT)
    _reject_known(once, known_fact_ids, twins, "found known before")
    _reject_repeated(facts)
    _check_giveaways(facts)
    _check_guards(facts, guards)
    _check_template_roles(facts, _roles_of(earlier_qa))
    _check_tokens(facts, count_tokens, limits)
    _check_ambiguity(facts)
    _check_wording(facts, earlier_qa)
    _require_phrasings(facts, limits)
    _keep_one_of_twins(facts, twins, rules)
    _keep_one_of_equal_questions(facts, rules)
    _require_phrasings(facts, limits)
    _cap_topics(facts, limits)
    _cap_sources(facts, rules)
    rows = [row for fact in facts for row in _fact_rows(fact, teacher, iteration)]
    rows += [_rejected_row(draft, by_id, documents, teacher, iteration) for draft in rejected]
    rows += lost_rows(lost, earlier_qa, retired_facts, iteration)
    _make_ids_unique(rows)
    return pl.DataFrame(rows, schema=QA_SCHEMA)


def reasons(frame: pl.DataFrame) -> pl.DataFrame:
    """Return how many rows were rejected for each reason, most frequent first; details after the colon are left out (S10)."""
    return (
        frame.filter(~pl.col("accepted"))
        .select(pl.col("reason").str.split(": ").list.first().alias("reason"))
        .group_by("reason")
        .agg(pl.len().cast(pl.Int64).alias("rows"))
        .sort(["rows", "reason"], descending=[True, False])
    )


def coverage(frame: pl.DataFrame, chunks: pl.DataFrame) -> pl.DataFrame:
    """Return per source URL how many of its passages have an accepted pair, and their share as a fraction (S10)."""
    covered = frame.filter(pl.col("accepted"))["chunk_id"].unique().to_list()
    return (
        chunks.with_columns(pl.col("chunk_id").is_in(covered).alias("covered"))
        .group_by("url")
        .agg(pl.len().cast(pl.Int64).alias("passages"), pl.col("covered").sum().cast(pl.Int64))
        .with_columns((pl.col("covered") / pl.col("passages")).alias("share"))
        .sort("url")
    )


# ---------------------------------------------------------------------------------------------- opening


def _open(draft: DraftFact, topics: Mapping[str, Topic], documents: Passages) -> _Fact:
    chunk = documents.chunks.get(draft.chunk_id)
    quote, answer = ids.fold(clean(draft.quote)), ids.fold(clean(draft.answer))
    aliases = dict.fromkeys(ids.fold(clean(alias)) for alias in draft.aliases)
    phrases = [_Phrase(p.role, ids.fold(clean(p.template)), ids.fold(clean(p.text))) for p in draft.phrasings]
    return _Fact(
        draft=draft,
        topic=topics.get(draft.topic_id),
        chunk=chunk,
        quote=quote,
        answer=answer,
        aliases=[alias for alias in aliases if alias and alias != answer],
        phrases=phrases,
        fact_id=documents.fact_id(draft),
    )


# ---------------------------------------------------------------------------------------------- facts


def _check_structure(facts: list[_Fact], limits: Limits) -> None:
    for fact in facts:
        if fact.topic is None:
            fact.reason = "unknown topic"
        elif not fact.phrases:
            fact.reason = "no phrasings"
        elif not fact.quote or len(fact.quote) > limits.quote_chars:
            fact.reason = "no quote" if not fact.quote else "quote too long"
        elif not fact.answer or len(fact.answer) > limits.answer_chars:
            fact.reason = "no answer" if not fact.answer else "answer too long"
        elif any(_has_control(text) for text in (fact.quote, fact.answer, *fact.aliases)):
            fact.reason = "control characters"
        for phrase in fact.phrases:
            if not phrase.question or len(phrase.question) > limits.question_chars:
                phrase.reason = "no question" if not phrase.question else "question too long"
            elif not phrase.template:
                phrase.reason = "no template named"
            elif _has_control(phrase.question + phrase.template):
                phrase.reason = "control characters"


def _check_content(facts: list[_Fact]) -> None:
    """Reject what holds personal data, a secret, or words to the model (S9): in a phrasing that one, anywhere else the fact."""
    for fact in facts:
        stated = (fact.quote, fact.answer, *fact.aliases)
        everything = "\n".join((*stated, fact.draft.rationale, *(phrase.question for phrase in fact.phrases)))
        fact.private = bool(private_parts(everything))
        fact.reason = fact.reason or _unfit("\n".join(stated), fact.private) or next(filter(None, map(_spoken, stated)), "")
        for phrase in fact.phrases:
            phrase.reason = phrase.reason or _unfit(phrase.question, fact.private) or _spoken(phrase.question)


def _unfit(text: str, private: bool) -> str:
    parts = private_parts(text) if private else []
    return f"personal data or a secret: {parts[0].kind}" if parts else ""


def _spoken(text: str) -> str:
    found = steering(text)
    return f"speaks to the model: {found}" if found else ""


def _has_control(text: str) -> bool:
    return any(unicodedata.category(c) == "Cc" for c in text)


def _check_quotes(facts: list[_Fact], documents: Passages) -> None:
    for fact in facts:
        if fact.reason:
            continue
        chunk = fact.chunk
        place = documents.locate(fact.quote, chunk["chunk_id"]) if chunk is not None else None
        if chunk is None or place is None:
            fact.reason = _why_missing(fact.quote, documents)
        elif chunk["end"] - chunk["start"] != len(chunk["text"]):
            fact.reason = "stored passage and its offsets disagree"
        else:
            fact.start, fact.end = chunk["start"] + place[0], chunk["start"] + place[1]
            fact.quote = documents.slice(chunk["chunk_id"], place)


def _why_missing(quote: str, documents: Passages) -> str:
    """Tell the three ways apart in which a quote can fail; only the second and third are a careless teacher's."""
    seen = shown(quote)
    if seen and seen in documents.everything:
        other = next((key for key in documents.chunks if documents.locate(quote, key) is not None), None)
        return f"quote from another passage: {other}" if other else "quote cuts a word"
    if explain_missing(seen, documents.everything) == "stitched":
        return "quote stitched together"
    return "quote in no document"


def _check_answers(facts: list[_Fact]) -> None:
    """Hold every answer against its quote (S2), and leave out aliases that are no answer."""
    for fact in facts:
        if fact.reason:
            continue
        fact.aliases = usable_aliases(fact.answer, fact.aliases, fact.quote)
        fact.verified = states_answer(fact.quote, fact.answer, fact.aliases)
        if not fact.verified:
            telling = any(map(says_something, (fact.answer, *fact.aliases)))
            fact.reason = "answer not in the quote" if telling else "answer says nothing by itself"


def _group(
    facts: list[_Fact], documents: Passages, earlier: Sequence[pl.DataFrame], retired: Set[str], embed: Embed | None
) -> Mapping[str, Set[str]]:
    """Give facts that say the same, or ask one relation from both ends, one group, and return the twins of each (S5).

    Facts of earlier iterations keep their group and hand it on.
    """
    own = {fact.fact_id: _statement(fact, documents) for fact in facts if fact.verified and any(p.question for p in fact.phrases)}
    before, fixed = _earlier_statements(earlier, retired | own.keys())
    compared = [*before, *own.values()]
    kinship = find_kinship(compared, embed)
    keys = [statement.key for statement in compared]
    group = groups((*kinship.twins, *kinship.restated, *kinship.reversed), keys, fixed)
    said = groups((*kinship.twins, *kinship.restated), keys)
    for fact in facts:
        fact.group, fact.saying = group.get(fact.fact_id, fact.fact_id), said.get(fact.fact_id, fact.fact_id)
    twins: dict[str, set[str]] = defaultdict(set)
    for one, other in kinship.twins:
        twins[one].add(other)
        twins[other].add(one)
    return twins


def _statement(fact: _Fact, documents: Passages) -> Statement:
    chunk = documents.chunks[fact.draft.chunk_id]
    return Statement(
        key=fact.fact_id,
        text=(chunk["page_id"], chunk["text_sha256"]),
        span=(fact.start or 0, fact.end or 0),
        quote=fact.quote,
        answer=fact.answer,
        aliases=tuple(fact.aliases),
        questions=tuple(phrase.question for phrase in fact.phrases if phrase.question),
        passage=chunk["text"],
    )


def _earlier_statements(tables: Sequence[pl.DataFrame], left_out: Set[str]) -> tuple[list[Statement], dict[str, str]]:
    """Return the accepted facts of earlier pair tables, and the group of each."""
    found: dict[str, Statement] = {}
    fixed: dict[str, str] = {}
    for table in tables:
        for (key,), rows in table.filter("accepted").group_by("fact_id", maintain_order=True):
            row = rows.row(0, named=True)
            fixed.setdefault(row["fact_id"], row["fact_group"])
            if key in left_out or row["fact_id"] in found:
                continue
            found[row["fact_id"]] = Statement(
                key=row["fact_id"],
                text=(row["page_id"], row["text_sha256"]),
                span=(row["quote_start"], row["quote_end"]),
                quote=row["quote"],
                answer=row["answer"],
                aliases=tuple(row["aliases"] or ()),
                questions=tuple(rows["question"]),
            )
    return list(found.values()), fixed


def _weigh(facts: list[_Fact], chunks: pl.DataFrame, earlier: Sequence[Claim], rules: Rules) -> dict[str, Finding]:
    """Hold every verified fact against what other sources say (R7); one that is rejected for another reason is still evidence.

    Returns the findings of those, of this iteration and of earlier ones, that lose a dispute.
    """
    verified = [fact for fact in facts if fact.verified and fact.chunk is not None]
    place = places(chunks)
    findings = weigh([_claim(fact, place) for fact in verified], chunks, earlier, rules)
    for fact in verified:
        fact.finding = findings[fact.fact_id]
        fact.reason = fact.reason or fact.finding.reason
    return {fact_id: finding for fact_id, finding in findings.items() if finding.reason.startswith(DISPUTED)}


def _claim(fact: _Fact, place: Mapping[str, str]) -> Claim:
    return Claim(
        fact_id=fact.fact_id,
        page=fact.chunk["page_id"] if fact.chunk else "",
        quote=fact.quote,
        answer=fact.answer,
        aliases=tuple(fact.aliases),
        kind=fact.draft.answer_kind,
        questions=tuple(phrase.question for phrase in fact.phrases if phrase.question),
        place=place[fact.draft.chunk_id],
    )


def _reject_known(facts: list[_Fact], known: Set[str], twins: Mapping[str, Set[str]], reason: str) -> None:
    for fact in facts:
        if fact.reason:
            continue
        if fact.fact_id in known:
            fact.reason = reason
        elif same := sorted(twins.get(fact.fact_id, set()) & known):
            fact.reason = f"{reason}: {SAYS_THE_SAME} {same[0]}"


def _reject_repeated(facts: list[_Fact]) -> None:
    seen: set[str] = set()
    for fact in facts:
        if not fact.reason and fact.fact_id in seen:
            fact.reason = "repeated fact"
        elif not fact.reason:
            seen.add(fact.fact_id)


# ---------------------------------------------------------------------------------------------- phrasings


def _check_giveaways(facts: list[_Fact]) -> None:
    for fact in facts:
        for phrase in fact.live:
            if any(mentions(phrase.question, text) for text in (fact.answer, *fact.aliases)):
                phrase.reason = "question contains the answer"


def _check_guards(facts: list[_Fact], guards: Sequence[GuardQuestion]) -> None:
    index = NearIndex([guard.question for guard in guards])
    for fact in facts:
        for phrase in fact.live:
            near = index.find(phrase.question)
            if near:
                phrase.reason = f"near a guard question: {clean(guards[near[0]].id)[:80]}"


def _roles_of(earlier: Sequence[pl.DataFrame]) -> dict[str, str]:
    roles: dict[str, str] = {}
    for frame in earlier:
        for row in frame.filter(pl.col("accepted")).select("template", "role").iter_rows(named=True):
            roles.setdefault(row["template"], row["role"])
    return roles


def _check_template_roles(facts: list[_Fact], roles: dict[str, str]) -> None:
    """Hold every template to the role it was first used in, over all facts (E1, S4)."""
    for fact in facts:
        for phrase in fact.live:
            role = roles.setdefault(phrase.template, phrase.role)
            if role != phrase.role:
                phrase.reason = f"template has another role: {role}"


def _check_tokens(facts: list[_Fact], count_tokens: Callable[[str], int], limits: Limits) -> None:
    """Refuse facts that no student can say, apply the absolute cap to phrasings, and drop the longest share of the training side (S7).

    Probes are not trained on, so their length costs nothing; dropping them would cost the fact. The phrasings of one fact
    are about equally long, so a fact also keeps its shortest `min_train`: what is too long to train at all is over the cap.
    """
    for fact in (fact for fact in facts if not fact.reason):
        shortest = min(map(count_tokens, (fact.answer, *fact.aliases)))
        if shortest > limits.answer_tokens:
            fact.reason = f"answer longer than a student can say: {shortest} tokens, {limits.answer_tokens} at most"
    live = [(fact, phrase) for fact in facts for phrase in fact.live]
    for fact, phrase in live:
        phrase.tokens = count_tokens(phrase.question) + count_tokens(fact.answer)
        if phrase.tokens > limits.pair_tokens:
            phrase.reason = f"over the token cap: {phrase.tokens}"
    trained = [(fact, phrase) for fact, phrase in live if phrase.role != "probe" and not phrase.reason]
    if len(trained) < limits.longest_from:
        return
    trained.sort(key=lambda item: item[1].tokens or 0)
    longest = trained[ceil(len(trained) * (1 - limits.longest_share)) - 1][1].tokens or 0
    for fact, phrase in reversed(trained):
        if (phrase.tokens or 0) <= longest:
            break
        if phrase.role != "train" or sum(p.role == "train" for p in fact.live) > limits.min_train:
            phrase.reason = f"among the longest rows: {phrase.tokens}"


def _check_ambiguity(facts: list[_Fact]) -> None:
    """Reject a question that verified facts answer differently; a fact rejected for another reason is still evidence.

    Not so one that a primary host outvotes, and a dispute stays the reason of its facts.
    """
    asked: dict[str, list[tuple[_Fact, _Phrase]]] = defaultdict(list)
    for fact in facts:
        if fact.verified and not (fact.finding and fact.finding.outvoted):
            for phrase in (p for p in fact.phrases if p.question):
                asked[normalise(phrase.question)].append((fact, phrase))
    for group in asked.values():
        first = group[0][0]
        if all(same_answer(first.answer, first.aliases, fact.answer, fact.aliases) for fact, _ in group[1:]):
            continue
        for fact, phrase in group:
            if not (fact.finding and fact.finding.reason):
                phrase.reason = phrase.reason or "ambiguous question"


def _check_wording(facts: list[_Fact], earlier_qa: Sequence[pl.DataFrame]) -> None:
    """Reject a probe worded like a training row with its answer, and a training row worded like an earlier probe (S8)."""
    earlier = [row for frame in earlier_qa for row in frame.filter(pl.col("accepted")).iter_rows(named=True)]
    probes = _Asked([_asked_before(row) for row in earlier if row["role"] == "probe"])
    for fact in facts:
        for phrase in fact.live:
            if phrase.role != "probe" and probes.same(fact, probes.index.held_by(phrase.question), phrase.question):
                phrase.reason = "worded like an earlier probe"
    own = [(phrase.question, fact.group, fact.forms) for fact in facts for phrase in fact.live if phrase.role != "probe"]
    train = _Asked([*own, *(_asked_before(row) for row in earlier if row["role"] != "probe")])
    for fact in facts:
        for phrase in fact.live:
            if phrase.role == "probe" and train.same(fact, train.index.holding(phrase.question), phrase.question):
                phrase.reason = "probe worded like a training row"


def _asked_before(row: Mapping[str, Any]) -> tuple[str, str, Set[str]]:
    return row["question"], row["fact_id"], _forms(row["answer"], row["aliases"] or ())


def _forms(answer: str, aliases: Iterable[str]) -> Set[str]:
    return {normalise(text) for text in (answer, *aliases)}


class _Asked:
    """Questions with their fact and the forms of its answer, searched by wording."""

    def __init__(self, asked: list[tuple[str, str, Set[str]]]) -> None:
        self._asked = asked
        self.index = WordingIndex([question for question, _, _ in asked])

    def same(self, fact: _Fact, places: list[int], question: str) -> bool:
        """Tell whether one of the questions at these places asks what this question of the fact asks."""
        forms = fact.forms
        for place in places:
            other, its_fact, its_forms = self._asked[place]
            same_fact = its_fact in (fact.fact_id, fact.group)
            if (same_fact or forms & its_forms) and same_question(question, other, same_fact):
                return True
        return False


def _require_phrasings(facts: list[_Fact], limits: Limits) -> None:
    for fact in facts:
        if fact.reason:
            continue
        train = sum(p.role == "train" for p in fact.live)
        probe = sum(p.role == "probe" for p in fact.live)
        if train < limits.min_train or probe < limits.min_probe:
            fact.reason = f"too few phrasings: {train} train, {probe} probe"


def _order_of_precedence(facts: list[_Fact], rules: Rules) -> list[_Fact]:
    live = {fact.fact_id: fact for fact in facts if not fact.reason}
    return [live[key] for key in spread(_candidates(live.values()), {fact.fact_id: fact.saying for fact in live.values()}, rules)]


def _keep_one_of_twins(facts: list[_Fact], twins: Mapping[str, Set[str]], rules: Rules) -> None:
    """Of facts that ask the same and answer the same, teach one (S5)."""
    kept: set[str] = set()
    for fact in _order_of_precedence(facts, rules):
        if same := sorted(twins.get(fact.fact_id, set()) & kept):
            fact.reason = f"{SAYS_THE_SAME} another fact: {same[0]}"
        else:
            kept.add(fact.fact_id)


def _keep_one_of_equal_questions(facts: list[_Fact], rules: Rules) -> None:
    seen: set[str] = set()
    for fact in _order_of_precedence(facts, rules):
        for phrase in fact.live:
            key = normalise(phrase.question)
            if key in seen:
                phrase.reason = "duplicate question"
            seen.add(key)


def _cap_topics(facts: list[_Fact], limits: Limits) -> None:
    taken: dict[str, int] = defaultdict(int)
    for fact in facts:
        if fact.reason:
            continue
        taken[fact.draft.topic_id] += 1
        if taken[fact.draft.topic_id] > limits.facts_per_topic:
            fact.reason = "over the topic's budget of pairs"


def _cap_sources(facts: list[_Fact], rules: Rules) -> None:
    live = [fact for fact in facts if not fact.reason]
    dropped = over_the_caps(_candidates(live), rules)
    for fact in live:
        fact.reason = dropped.get(fact.fact_id, "")


def _candidates(facts: Iterable[_Fact]) -> list[Candidate]:
    return [Candidate(fact.fact_id, fact.chunk["page_id"], fact.finding.support) for fact in facts if fact.chunk and fact.finding]


# ---------------------------------------------------------------------------------------------- rows


def _fact_rows(fact: _Fact, teacher: str, iteration: int) -> list[dict[str, Any]]:
    draft, shown = fact.draft, redact if fact.private else str
    shared = {
        **_source(fact.chunk, draft.chunk_id),
        "fact_id": fact.fact_id,
        "fact_group": fact.group,
        "topic_id": clean(draft.topic_id),
        "topic": clean(fact.topic.name) if fact.topic else "",
        "answer": shown(fact.answer),
        "aliases": [shown(alias) for alias in fact.aliases],
        "answer_kind": draft.answer_kind,
        "category": draft.category,
        "difficulty": draft.difficulty,
        "rationale": shown(clean(draft.rationale)),
        "quote": shown(fact.quote),
        "quote_start": fact.start,
        "quote_end": fact.end,
        "teacher": clean(teacher),
        "iteration": iteration,
        "support": fact.finding.support if fact.finding else None,
        "disputed_with": list(fact.finding.disputed_with) if fact.finding else [],
    }
    phrases = fact.phrases or [_Phrase("", "", "")]  # a fact without phrasings is still seen
    return [
        {
            **shared,
            "qa_id": ids.qa_id(fact.fact_id, phrase.question),
            "role": phrase.role,
            "template": phrase.template,
            "question": shown(phrase.question),
            "tokens": phrase.tokens,
            "accepted": not (phrase.reason or fact.reason),
            "reason": phrase.reason or fact.reason,
        }
        for phrase in phrases
    ]


def _rejected_row(draft: RejectedDraft, topics: Mapping[str, Topic], documents: Passages, teacher: str, iteration: int) -> dict[str, Any]:
    topic = topics.get(draft.topic_id)
    return {
        **_source(documents.chunks.get(draft.chunk_id), draft.chunk_id),
        "qa_id": ids.short_id("rejected", draft.topic_id, draft.chunk_id, draft.text),
        "fact_id": "",
        "fact_group": "",
        "topic_id": clean(draft.topic_id),
        "topic": clean(topic.name) if topic else "",
        "role": "",
        "template": "",
        "question": redact(ids.fold(clean(draft.text))),
        "answer": "",
        "aliases": [],
        "quote": "",
        "teacher": clean(teacher),
        "accepted": False,
        "reason": redact(ids.fold(clean(draft.reason)))[:200] or "rejected by the teacher",
        "iteration": iteration,
        "disputed_with": [],
    }


def _source(chunk: Mapping[str, Any] | None, chunk_id: str) -> dict[str, Any]:
    columns = ("page_id", "url", "text_sha256", "body_sha256", "retrieved_at")
    return {"chunk_id": clean(chunk_id), **({name: chunk[name] for name in columns} if chunk else {})}


def _make_ids_unique(rows: list[dict[str, Any]]) -> None:
    """Give a repeated pair an id of its own, so that a join on `qa_id` never doubles; the accepted row keeps the plain one."""
    taken = {row["qa_id"] for row in rows if row["accepted"]}
    count: dict[str, int] = defaultdict(int)
    for row in rows:
        key = row["qa_id"]
        if row["accepted"]:
            continue
        while row["qa_id"] in taken:
            count[key] += 1
            row["qa_id"] = ids.short_id("repeat", key, str(count[key]))
        taken.add(row["qa_id"])
