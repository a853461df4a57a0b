"""What is asked of a search provider, and whose pages come first (R1). Pure functions; asking is `finding.search`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import TypeVar

from alas_assets.domains.config import Domain
from alas_assets.domains.sources import SearchSettings, Sources
from alas_assets.hosts import covers, host_and_port
from alas_assets.provenance.ids import fold

T = TypeVar("T")

MAX_QUERY = 300
_NOT_KEYWORDS = re.compile(r"[^\w.+#/:' -]+")


def topic_queries(topic: str, domain: Domain, search: SearchSettings, today: date) -> list[str]:
    """Return the distinct queries for one topic, from the domain's templates.

    Args:
        topic: Its name; what is no word, number or sign of an identifier is left out.
        domain: Its `context`, or else its title, places the topic.
        search: Holds the templates.
        today: Gives `{year}`.
    """
    words = {"topic": _keywords(topic), "context": _keywords(domain.context or domain.title), "year": str(today.year)}
    queries = []
    for template in search.templates:
        # Filled in one pass: a placeholder inside a topic's name is not a placeholder.
        filled = re.sub(r"\{(\w+)\}", lambda name: words.get(name[1], ""), template)
        queries.append(fold(filled)[:MAX_QUERY].strip())
    return [query for query in dict.fromkeys(queries) if query]


def survey_queries(domain: Domain, search: SearchSettings, today: date) -> list[str]:
    """Return the queries for a domain before it has topics: for its seed topics, or for its title where it names none."""
    topics = domain.seed_topics or (domain.title,)
    return list(dict.fromkeys(query for topic in topics for query in topic_queries(topic, domain, search, today)))


def oldest(search: SearchSettings, today: date) -> date | None:
    """Return the day before which nothing is wanted, or None for any age."""
    return today - timedelta(days=search.since_days) if search.since_days else None


def primary_first(items: Iterable[T], primary_hosts: Sequence[str], url: Callable[[T], str]) -> list[T]:
    """Put what lies on hosts of primary documentation first; otherwise the order stays (R1)."""
    return sorted(items, key=lambda item: not lies_on(url(item), primary_hosts))


def may_be_read(url: str, sources: Sources) -> bool:
    """Tell whether a domain's lists of hosts let a page be read; the fetcher holds them, and the address guard, in any case (R5)."""
    return not lies_on(url, sources.deny_hosts) and (not sources.allow_hosts or lies_on(url, sources.allow_hosts))


def lies_on(url: str, hosts: Sequence[str]) -> bool:
    """Tell whether a URL lies on one of the hosts; a host's name covers its subdomains, `host:port` only itself."""
    found = host_and_port(url)
    return found is not None and any(covers(entry, *found) for entry in hosts)


def _keywords(text: str) -> str:
    return fold(_NOT_KEYWORDS.sub(" ", text))
