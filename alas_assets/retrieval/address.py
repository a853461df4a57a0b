"""The address guard: which addresses may be connected to, decided on the address that is then used (R5).

Only the guard lives here. What is requested, how often and how much of it is `retrieval.fetch`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import httpcore2
import httpx2

Resolver = Callable[[str, int], Awaitable[list[str]]]
"""Turns a host name and port into addresses."""

LAST_PORT = 65535

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Not public either, but global to some versions of `ipaddress`: site-local, local NAT64, documentation, protocol assignments, 6to4 relays.
_NEVER = [ipaddress.ip_network(net) for net in ("fec0::/10", "64:ff9b:1::/48", "3fff::/20", "192.0.0.0/24", "192.88.99.0/24")]


class AddressRefusedError(Exception):
    """A host resolves to an address that may not be fetched; the message says which and what to set."""


async def resolve(host: str, port: int, look_up: Callable[..., Sequence[Any]] = socket.getaddrinfo) -> list[str]:
    """Return the addresses the system's resolver gives for a host.

    Each name is looked up in a thread of its own that nobody waits for longer than for the answer: in the few threads that asyncio shares
    out, names whose servers do not answer would keep every other from being looked up, and the loop from ending.

    Args:
        host: A name, or an address, which is returned as it is.
        port: The port that will be connected to.
        look_up: Looks a name up, as `socket.getaddrinfo` does.

    Raises:
        OSError: The name does not resolve.
    """
    with suppress(ValueError):
        return [str(ipaddress.ip_address(host))]
    answer: Future[list[str]] = Future()

    def settle() -> None:
        answer.set_running_or_notify_cancel()  # from here on whoever gives up waiting cannot cancel what is settled below
        try:
            answer.set_result([str(one[4][0]) for one in look_up(host, port, type=socket.SOCK_STREAM)])
        except Exception as error:  # noqa: BLE001 (it is raised again where the name was asked for)
            answer.set_exception(error)

    threading.Thread(target=settle, name="resolver", daemon=True).start()
    return list(dict.fromkeys(await asyncio.wrap_future(answer)))


def is_public(address: str) -> bool:
    """Tell whether an address is on the public internet; IPv4 carried inside IPv6 is judged as the IPv4 it reaches."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if inner is None and parsed in _NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None and not is_public(str(inner)):
            return False
    if any(parsed in network for network in _NEVER):
        return False
    return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified)


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens TCP connections only to addresses that passed the guard, and to exactly those.

    The check sits below the connection pool, so no redirect, retry or robots.txt request can go round it. The name is resolved
    once for a connection and the connection goes to that answer, so a second DNS answer is never asked for; TLS still uses the name.
    """

    def __init__(self, private_hosts: Collection[str], resolver: Resolver = resolve) -> None:
        self._private = {host.lower().rstrip(".") for host in private_hosts}
        self._resolver = resolver
        self._inner: httpcore2.AsyncNetworkBackend = httpcore2.AnyIOBackend()  # pyright: ignore[reportAttributeAccessIssue]

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Resolve, check every answer, connect to the first that accepts.

        Raises:
            AddressRefusedError: At least one answer is not public and the host is not in `private_hosts`.
            httpcore2.ConnectError: The name does not resolve, the port is none, or nothing accepts.
        """
        if not 0 < port <= LAST_PORT:  # the operating system's own error would end every other request too
            raise httpcore2.ConnectError(f"{port} is not a port")
        name = host.lower().rstrip(".")
        try:
            addresses = await self._resolver(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"the name {host} does not resolve") from error
        if not addresses:
            raise httpcore2.ConnectError(f"the name {host} does not resolve")
        refused = [address for address in addresses if not is_public(address)]
        if refused and name not in self._private and f"{name}:{port}" not in self._private:
            raise AddressRefusedError(
                f"{host} leads to {refused[0]}, which is not a public address; if it is meant, add {name}:{port} to sources.private_hosts"
            )
        for address in addresses[:-1]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002 (the base class's signature)
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore2.AsyncNetworkStream:
        """Refuse: pages never come from a local socket.

        Raises:
            AddressRefusedError: Always.
        """
        raise AddressRefusedError(f"{path} is a local socket")

    async def sleep(self, seconds: float) -> None:
        """Wait, for the pool's own retries."""
        await asyncio.sleep(seconds)


class _Body(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self):
        async for piece in self._stream:
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


class GuardedTransport(httpx2.AsyncBaseTransport):
    """An httpx2 transport over a connection pool whose only way out is a `GuardedBackend`; proxy variables have no say."""

    def __init__(self, backend: GuardedBackend, max_connections: int) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(), max_connections=max_connections, network_backend=backend
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request.

        Raises:
            AddressRefusedError: The guard refused the host.
            httpcore2.NetworkError: No answer, or a broken one.
        """
        url = request.url
        answer = await self._pool.handle_async_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()
