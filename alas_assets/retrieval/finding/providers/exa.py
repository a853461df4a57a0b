"""Exa through its official client, whose requests go through the address guard (R2). Extra: `exa`.

Tested by driving that client against a local server that speaks its format; the live API is not exercised.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from alas_assets.retrieval.finding.endpoint import Endpoint
from alas_assets.retrieval.finding.search import Access, Hit, SearchError, SearchProvider, hits_of

if TYPE_CHECKING:
    import httpx


class Exa:
    """Exa's search, links only."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def search(self, query: str, max_results: int, since: date | None) -> list[Hit]:
        """As `SearchProvider.search`; the age is asked for by day."""
        endpoint = Endpoint(self._access)

        async def talk() -> list[Any]:
            async with endpoint.httpx_client() as client:
                exa = _guarded(self._access, client)
                start = since.isoformat() if since else None
                try:
                    answer = await exa.search(query, contents=False, num_results=max_results, start_published_date=start)
                    return list(answer.results)
                except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:  # its client trusts the answer's form
                    raise SearchError("exa answered something that is not what its client reads") from error

        results = endpoint.ask(talk)
        return hits_of((one.url, one.title, "", one.published_date) for one in results)


def open_with(access: Access) -> SearchProvider:
    """Return the provider.

    Raises:
        SearchError: Its client is not installed.
    """
    try:
        import exa_py  # noqa: F401 (is it there?)
    except ImportError as error:
        raise SearchError("exa-py is not installed: pip install 'alas-assets[exa]'", final=True) from error
    return Exa(access)


def _guarded(access: Access, transport: httpx.AsyncClient) -> Any:
    """Return Exa's client with our transport in place of the one that it would make."""
    from exa_py import AsyncExa

    class Guarded(AsyncExa):
        @property
        def client(self) -> httpx.AsyncClient:
            return transport

    return Guarded(access.key, api_base=access.url)
