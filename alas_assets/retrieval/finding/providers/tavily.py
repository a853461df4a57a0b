"""Tavily through its official client, whose requests go through the address guard (R2). Extra: `tavily`.

Tested by driving that client against a local server that speaks its format; the live API is not exercised.
"""

from __future__ import annotations

from datetime import date

from alas_assets.retrieval.finding.endpoint import Endpoint, items
from alas_assets.retrieval.finding.search import Access, Hit, SearchError, SearchProvider, hits_of

_ADVICE = {432: "the plan's limit is reached", 433: "the limit of what is paid by use is reached"}


class Tavily:
    """Tavily's search, basic depth, links only."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def search(self, query: str, max_results: int, since: date | None) -> list[Hit]:
        """As `SearchProvider.search`; the age is asked for by day."""
        from tavily import AsyncTavilyClient

        endpoint = Endpoint(self._access, _ADVICE)

        async def talk() -> object:
            async with endpoint.httpx_client() as client:
                tavily = AsyncTavilyClient(self._access.key, api_base_url=self._access.url, client=client)
                try:
                    return await tavily.search(query, max_results=max_results, start_date=since.isoformat() if since else None)  # pyright: ignore[reportArgumentType] (None is its default)
                except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:  # its client trusts the answer's form
                    raise SearchError("tavily answered something that is not what its client reads") from error

        answer = endpoint.ask(talk)
        return hits_of(
            (item.get("url"), item.get("title"), item.get("content"), item.get("published_date")) for item in items(answer, "results")
        )


def open_with(access: Access) -> SearchProvider:
    """Return the provider.

    Raises:
        SearchError: Its client is not installed.
    """
    try:
        import tavily  # noqa: F401 (is it there?)
    except ImportError as error:
        raise SearchError("tavily-python is not installed: pip install 'alas-assets[tavily]'", final=True) from error
    return Tavily(access)
