"""Which addresses are public, and that the address that was judged is the one connected to (R5); the ways in are in test_security."""

from __future__ import annotations

import socket
import threading
from functools import partial
from typing import Any

import pytest

from alas_assets.provenance.store import ArtifactStore
from alas_assets.retrieval.address import is_public, resolve
from alas_assets.retrieval.fetch import Fetcher
from alas_assets_tests.retrieval.site import Site, page, say


@pytest.mark.security("address")
@pytest.mark.parametrize("answers", [["93.184.215.14", "127.0.0.1"], ["127.0.0.1", "93.184.215.14"], ["93.184.215.14", "::1"], []])
def test_one_private_dns_answer_among_public_ones_refuses_the_host(answers: list[str], site: Site, store: ArtifactStore) -> None:
    async def mixed(host: str, port: int) -> list[str]:
        return answers

    fetched = Fetcher(site.sources(private_hosts=()), store, resolver=mixed).fetch_many([f"http://mixed.example:{site.port}/"])[0]
    assert not fetched.ok
    assert site.connections == []


@pytest.mark.security("address")
def test_a_name_that_turns_private_at_its_second_lookup_is_never_followed_there(site: Site, store: ArtifactStore) -> None:
    """The address that was judged is the one connected to: each connection asks once, and each answer is judged."""
    lookups: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        lookups.append(host)
        return ["240.0.0.1"] if len(lookups) == 1 else ["127.0.0.1"]

    fetched = Fetcher(site.sources(private_hosts=(), timeout_seconds=2), store, resolver=rebinding).fetch_many(
        [f"http://rebind.example:{site.port}/"]
    )
    assert not fetched[0].ok
    assert site.connections == []


def test_an_allowed_private_host_is_reached_by_its_pinned_address_and_under_its_own_name(site: Site, store: ArtifactStore) -> None:
    async def to_here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    site.routes["/"] = say(page("Here", "<p>A page on this machine.</p>"))
    sources = site.sources(private_hosts=(f"docs.internal:{site.port}",))
    fetched = Fetcher(sources, store, resolver=to_here).fetch_many([f"http://docs.internal:{site.port}/"])[0]
    assert fetched.ok, fetched.reason
    assert site.asked[-1][1]["Host"] == f"docs.internal:{site.port}"


@pytest.mark.security("address")
def test_an_allowed_port_does_not_open_the_other_ports_of_a_host(site: Site, store: ArtifactStore) -> None:
    fetched = Fetcher(site.sources(private_hosts=("127.0.0.1:1",)), store).fetch_many([site.url])[0]
    assert "sources.private_hosts" in fetched.reason
    assert site.connections == []


@pytest.mark.security("address")
def test_proxy_variables_do_not_lead_around_the_guard(site: Site, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, site.url)
    fetched = Fetcher(site.sources(private_hosts=(), timeout_seconds=3), store).fetch_many(["http://10.1.2.3/"])[0]
    assert not fetched.ok
    assert site.connections == []


def test_names_whose_servers_do_not_answer_keep_no_other_from_being_looked_up_and_are_not_waited_for(
    site: Site, store: ArtifactStore
) -> None:
    """No name server of this machine can be made to hang, so names that end in .dead.example are looked up by what does."""
    over, ended = threading.Event(), list[str]()

    def hanging(host: str, *given: Any, **named: Any) -> Any:
        if host.endswith(".dead.example"):
            over.wait(60)
            ended.append(host)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return socket.getaddrinfo(host, *given, **named)

    site.routes["/"] = say(page("Here", "<p>A page on this machine.</p>"))
    sources = site.sources(private_hosts=(f"localhost:{site.port}",), timeout_seconds=5)
    urls = [*(f"http://{number}.dead.example/" for number in range(20)), f"http://localhost:{site.port}/"]
    try:
        *dead, good = Fetcher(sources, store, resolver=partial(resolve, look_up=hanging)).fetch_many(urls)
        assert ended == []
    finally:
        over.set()
    assert good.ok, good.reason
    assert all("within 5 s" in one.reason for one in dead)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_public_addresses_pass(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "192.0.0.8", "192.88.99.1", "ff02::1", "2001:db8::1", "3fff::1"),
        *("fec0::1", "64:ff9b:1::808:808", "::", "fe80::1%lo", "x", ""),
    ],
)
def test_multicast_reserved_and_broken_addresses_do_not_pass(address: str) -> None:
    assert not is_public(address)
