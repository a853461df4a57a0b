"""The connection to an endpoint: the openai client over a transport of ours that bounds what is read, and where the key may go (O7).

What is sent and when is `session`'s.
"""

from __future__ import annotations

import urllib.request
from urllib.parse import urlsplit

import httpx2
from openai import AsyncOpenAI, Omit, RequestOptions
from pydantic import SecretStr

MAX_BODY = 16_000_000
"""Decoded bytes of one response; an answer has some thousand."""

CONNECT_SECONDS = 10.0


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Reads every response to its end or to `MAX_BODY` decoded bytes, whichever comes first, also those of errors."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and return its response, read and decoded."""
        response = await self._inner.handle_async_request(request)
        response.request = request
        read = bytearray()
        try:
            async for piece in response.aiter_bytes():
                read += piece
                if len(read) > MAX_BODY:
                    raise httpx2.ReadError(f"the response is longer than {MAX_BODY:,} bytes")
        finally:
            await response.aclose()
        kept = [(n, v) for n, v in response.headers.items() if n.lower() not in ("content-encoding", "content-length", "transfer-encoding")]
        return httpx2.Response(response.status_code, headers=kept, content=bytes(read), request=request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


def _proxy_for(url: str) -> str | None:
    """Return the proxy of the environment for an https address.

    A tunnel to an https address sees neither key nor prompts. To a plain http address a proxy would see both, and such addresses are
    servers of one's own: they are connected to directly, whatever the environment says.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urllib.request.getproxies().get("https")


def open_client(url: str, key: SecretStr, connections: int, deadline: float) -> AsyncOpenAI:
    """Return a client that makes one attempt, follows nothing, and sends the key in its Authorization header alone.

    Args:
        url: The endpoint's base.
        key: Empty: the requests must be made with `request_options`.
        connections: At a time.
        deadline: Seconds of one attempt.
    """
    transport = httpx2.AsyncHTTPTransport(
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections), proxy=_proxy_for(url)
    )
    return AsyncOpenAI(
        api_key=key.get_secret_value() or "none",
        base_url=url,
        max_retries=0,
        timeout=httpx2.Timeout(deadline, connect=min(CONNECT_SECONDS, deadline)),
        # no .netrc and no proxy but the one above; a redirect could lead the key elsewhere
        http_client=httpx2.AsyncClient(transport=BoundedTransport(transport), trust_env=False, follow_redirects=False),
    )


def silence_of(url: str, seconds: float) -> str:
    """Say that an endpoint does not answer when it is asked for its list of models; "" where it answers, whatever it says.

    Args:
        url: The endpoint's base; no key is sent.
        seconds: How long it has.
    """
    try:
        with (
            httpx2.Client(trust_env=False, follow_redirects=False, proxy=_proxy_for(url), timeout=seconds) as client,
            client.stream("GET", f"{url}/models"),
        ):
            return ""
    except httpx2.HTTPError as error:
        return f"{url} does not answer ({str(error) or type(error).__name__})"


def request_options(key: SecretStr) -> RequestOptions:
    """Return what every request is made with: nothing, or that no Authorization header is sent where there is no key."""
    return {} if key.get_secret_value() else {"headers": {"Authorization": Omit()}}
