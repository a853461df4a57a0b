"""DuckDuckGo through `ddgs`, opt-in: it scrapes a results page as a browser would, and breaks often (R2). Extra: `duckduckgo`.

Unverified: its client has no address to set, so it is not tested against a server that speaks its format. It brings its own HTTP stack,
so the address guard does not cover the search itself; what it finds is fetched through the guard like anything else.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from alas_assets.retrieval.finding.search import Access, Hit, SearchError, SearchProvider, hits_of

_RANGES = ((1, "d"), (7, "w"), (31, "m"), (366, "y"))


class DuckDuckGo:
    """The results page of DuckDuckGo."""

    def __init__(self, access: Access) -> None:
        self._seconds = max(1, int(access.seconds))

    def search(self, query: str, max_results: int, since: date | None) -> list[Hit]:
        """As `SearchProvider.search`; the age is asked for by day, week, month or year, and no hit states its date."""
        from ddgs import DDGS
        from ddgs.exceptions import DDGSException

        days = (datetime.now(UTC).date() - since).days if since else None
        limit = next((name for longest, name in _RANGES if days is not None and days <= longest), None)
        try:
            results = DDGS(timeout=self._seconds).text(query, backend="duckduckgo", timelimit=limit, max_results=max_results)
        except DDGSException as error:
            raise SearchError(
                f"duckduckgo found nothing or refused, which its client does not tell apart ({type(error).__name__})"
            ) from error
        return hits_of((one.get("href"), one.get("title"), one.get("body"), "") for one in results)


def open_with(access: Access) -> SearchProvider:
    """Return the provider.

    Raises:
        SearchError: Its client is not installed.
    """
    try:
        import ddgs  # noqa: F401 (is it there?)
    except ImportError as error:
        raise SearchError("ddgs is not installed: pip install 'alas-assets[duckduckgo]'", final=True) from error
    return DuckDuckGo(access)
