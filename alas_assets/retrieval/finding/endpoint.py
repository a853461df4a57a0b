"""Speaking HTTP with a search provider through the address guard: one deadline, bounded answers, every fault in words (R5).

What is sent and what an answer means is the provider's module. robots.txt is not asked: an API is no crawled page.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import httpcore2
import httpx2

from alas_assets.blocking import run_blocking
from alas_assets.retrieval.address import AddressRefusedError, GuardedBackend, GuardedTransport
from alas_assets.retrieval.fetch import USER_AGENT
from alas_assets.retrieval.finding.search import Access, SearchError

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

MAX_ANSWER = 2_000_000
_LONGEST_WAIT = 10.0
_ENCODED = ("content-encoding", "content-length", "transfer-encoding")


class Endpoint:
    """One query's way to a provider; use it within `ask`, which bounds its time.

    Args:
        access: Where, as whom, and how long.
        advice: What to tell where a status is answered, by status.
    """

    def __init__(self, access: Access, advice: dict[int, str] | None = None) -> None:
        self.access = access
        self._advice = advice or {}
        self._transport = GuardedTransport(GuardedBackend(access.private_hosts, access.resolver), max_connections=2)

    def ask(self, talk: Callable[[], Awaitable[T]]) -> T:
        """Run a conversation within the deadline, and close the connections after it.

        Raises:
            SearchError: It took too long, failed, or was answered with a fault.
        """
        return run_blocking(self._within(talk))

    async def get_json(self, path: str, query: dict[str, str], headers: dict[str, str]) -> Any:
        """Send a GET request and return the JSON that is answered.

        Raises:
            SearchError: The answer is a fault, or no JSON.
        """
        url = httpx2.URL(f"{self.access.url}{path}", params=query)
        answered = await self._answer(
            httpx2.Request("GET", url, headers={"Accept": "application/json", "User-Agent": USER_AGENT} | headers)
        )
        try:
            return json.loads(answered.content)
        except (ValueError, RecursionError) as error:
            raise SearchError(f"{self.access.name} answered something that is not JSON") from error

    def httpx_client(self) -> httpx.AsyncClient:
        """Return a client for providers' own libraries, which speak through `httpx`; each request goes through the guard all the same."""
        import httpx

        endpoint = self

        class Guarded(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                sent = httpx2.Request(request.method, str(request.url), headers=request.headers.raw, content=await request.aread())
                answered = await endpoint._answer(sent)
                return httpx.Response(answered.status_code, headers=answered.headers.raw, content=answered.content)

        return httpx.AsyncClient(transport=Guarded(), base_url=self.access.url, trust_env=False, timeout=self.access.seconds)

    async def _within(self, talk: Callable[[], Awaitable[T]]) -> T:
        name = self.access.name
        try:
            async with asyncio.timeout(self.access.seconds):
                return await talk()
        except TimeoutError as error:
            raise SearchError(f"{name} did not answer in full within {self.access.seconds:g} s (sources.timeout_seconds)") from error
        except AddressRefusedError as error:
            raise SearchError(str(error), final=True) from error
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError, httpx2.HTTPError, OSError) as error:
            raise SearchError(f"no answer from {name} at {self.access.url} ({type(error).__name__})") from error
        finally:
            await self._transport.aclose()

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, once more where the provider asks to come again soon, and return its answer, decoded and bounded.

        Raises:
            SearchError: Another status than 200, or too large an answer.
        """
        answered = await self._once(request)
        if answered.status_code == 429 and (wait := _retry_after(answered)) <= _LONGEST_WAIT:
            await asyncio.sleep(wait)
            answered = await self._once(request)
        if answered.status_code != 200:
            raise self._fault(answered)
        return answered

    async def _once(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._transport.handle_async_request(request)
        response.request = request
        body = bytearray()
        try:
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > MAX_ANSWER:
                    raise SearchError(f"{self.access.name} answered more than {MAX_ANSWER:,} bytes")
        finally:
            await response.aclose()
        headers = [(name, value) for name, value in response.headers.items() if name.lower() not in _ENCODED]
        return httpx2.Response(response.status_code, headers=headers, content=bytes(body), request=request)

    def _fault(self, answered: httpx2.Response) -> SearchError:
        status, key_env = answered.status_code, self.access.key_env
        words = {
            401: f"is the key in {key_env} right?" if key_env else "it wants a key",
            402: "its quota is spent",
            403: f"the key in {key_env} may not do this" if key_env else "it refuses the request",
            429: "its quota is spent"
            + (f"; it asks to come again after {answered.headers['retry-after'][:40]}" if "retry-after" in answered.headers else ""),
        } | self._advice
        said = f"{self.access.name} answered {status} {httpx2.codes.get_reason_phrase(status)}".rstrip()
        if status in range(300, 400):
            words[status] = "it redirects, which is not followed: set sources.search.url to where it leads"
        return SearchError(f"{said}: {words[status]}" if status in words else said, final=status in words)


def items(answer: Any, *path: str) -> list[dict[str, Any]]:
    """Return the results that lie under a path of an answer.

    Raises:
        SearchError: The answer has another form.
    """
    for name in path:
        answer = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(answer, list):
        raise SearchError(f"the answer has no list {'.'.join(path)}; is sources.search.url the right address?")
    return [item for item in answer if isinstance(item, dict)]


def _retry_after(answered: httpx2.Response) -> float:
    """Return the seconds to wait, infinity where none are named as a number."""
    try:
        wait = float(answered.headers.get("retry-after", "inf"))
    except ValueError:
        return math.inf
    return wait if wait >= 0 else math.inf
