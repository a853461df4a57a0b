"""SearXNG, self-hosted and keyless: `GET /search?format=json` (R2). Tested against a local server that speaks this format."""

from __future__ import annotations

from datetime import UTC, date, datetime

from alas_assets.retrieval.finding.endpoint import Endpoint, items
from alas_assets.retrieval.finding.search import Access, Hit, SearchProvider, hits_of

_ADVICE = {403: "its JSON answers are off; add `json` to search.formats in its settings.yml"}
_RANGES = ((1, "day"), (31, "month"), (366, "year"))


class SearXNG:
    """An instance, reached by its address."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def search(self, query: str, max_results: int, since: date | None) -> list[Hit]:  # noqa: ARG002 (it cannot be told how many)
        """As `SearchProvider.search`; it gives a page of about 20 hits, and its engines that know no time range ignore it."""
        asked = {"q": query, "format": "json", "pageno": "1"}
        if since is not None and (window := _range((datetime.now(UTC).date() - since).days)):
            asked["time_range"] = window
        endpoint = Endpoint(self._access, _ADVICE)
        answer = endpoint.ask(lambda: endpoint.get_json("/search", asked, {}))
        return hits_of(
            (item.get("url"), item.get("title"), item.get("content"), item.get("publishedDate")) for item in items(answer, "results")
        )


def open_with(access: Access) -> SearchProvider:
    """Return the provider."""
    return SearXNG(access)


def _range(days: int) -> str:
    """Return the narrowest time range that covers so many days, "" where none does."""
    return next((name for longest, name in _RANGES if days <= longest), "")
