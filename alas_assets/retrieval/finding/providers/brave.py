"""Brave Search: plain `GET /res/v1/web/search`, since the only client package is from 2024 (R2).

Tested against a local server that speaks this format; the live API is not exercised.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from alas_assets.retrieval.finding.endpoint import Endpoint, items
from alas_assets.retrieval.finding.search import Access, Hit, SearchProvider, hits_of

_MOST = 20


class Brave:
    """The web search of Brave's API."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def search(self, query: str, max_results: int, since: date | None) -> list[Hit]:
        """As `SearchProvider.search`; the age is asked for by day."""
        asked = {"q": query, "count": str(min(max_results, _MOST)), "text_decorations": "false", "result_filter": "web"}
        if since is not None:
            asked["freshness"] = f"{since.isoformat()}to{datetime.now(UTC).date().isoformat()}"
        endpoint = Endpoint(self._access, {422: f"is the key in {self._access.key_env} right?"})
        answer = endpoint.ask(lambda: endpoint.get_json("/res/v1/web/search", asked, {"X-Subscription-Token": self._access.key}))
        if isinstance(answer, dict) and answer.get("type") == "search" and "web" not in answer:  # so it says that it found nothing
            return []
        return hits_of(
            (item.get("url"), item.get("title"), item.get("description"), item.get("page_age")) for item in items(answer, "web", "results")
        )


def open_with(access: Access) -> SearchProvider:
    """Return the provider."""
    return Brave(access)
