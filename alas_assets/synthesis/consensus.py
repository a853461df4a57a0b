"""What independent sources say of a fact: how many state it, which contradict it, and whether it may be taught (R7).

Pure: claims and passages in, findings out. Whether one draft is sound is `synthesis.curate`'s; what a source is, `hosts`'.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from alas_assets.domains.config import Consensus
from alas_assets.hosts import covers, host_and_port, site_of
from alas_assets.records import as_pairs
from alas_assets.synthesis.claims import Claim, Finding
from alas_assets.synthesis.contradiction import disputes
from alas_assets.synthesis.disputed import DISPUTED
from alas_assets.synthesis.support import supporters

_SHOWN = 160  # characters of a quote in a reason; the row itself holds it whole


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
    sites = supporters(weighed, chunks, earlier)
    return {claim.fact_id: _finding(claim, len(sites[claim.fact_id]), against[claim.fact_id], rules) for claim in weighed}


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
