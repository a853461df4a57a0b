"""The counted security cases (R5): addresses, bombs, slow servers, files, charsets and robots.txt that mean harm."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import brotli
import pytest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from alas_assets.provenance.store import ArtifactStore
from alas_assets.retrieval.extract import Extractor
from alas_assets.retrieval.fetch import Fetched, Fetcher
from alas_assets_tests.retrieval.site import Answer, Site, go_to, lead_to, page, say, serving

BODY = page("A page", "<p>Some words that anybody may read.</p>")

# ------------------------------------------------------------------------------------------------ addresses

WAYS_TO_THIS_MACHINE = [
    "http://127.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://127.0.0.2:{port}/",
    "http://127.255.255.254:{port}/",
    "http://localhost:{port}/",
    "http://localhost.:{port}/",
    "http://LOCALHOST:{port}/",
    "http://a.localhost:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.1:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://017700000001:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::ffff:0:127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://127。0。0。1:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://example.org@127.0.0.1:{port}/",
    "http://example.org:80@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@example.org/",
    "http://example.org\\@127.0.0.1:{port}/",
    "http://127.0.0.1%00.example.org:{port}/",
    "https://127.0.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/latest/meta-data/",
    "http://[64:ff9b::a9fe:a9fe]/latest/meta-data/",
    "http://10.0.0.1:{port}/",
    "http://172.16.0.1:{port}/",
    "http://192.168.0.1:{port}/",
    "http://100.64.0.1:{port}/",
    "http://[fc00::1]:{port}/",
    "http://[fd12:3456::1]:{port}/",
    "http://[fec0::1]:{port}/",
    "http://[fe80::1]:{port}/",
    "http://[2002:a00:1::]:{port}/",
]
_REFUSALS = ("not a public address", "user name or password", "not a URL", "does not resolve", "cannot be read")


class Listener:
    """Listens on every address of this machine and counts who comes; nobody should."""

    def __init__(self) -> None:
        both = socket.has_dualstack_ipv6()
        family, host = (socket.AF_INET6, "::") if both else (socket.AF_INET, "0.0.0.0")
        self._socket = socket.create_server((host, 0), family=family, dualstack_ipv6=both)
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]

    def connections(self) -> int:
        """Take what waits in the queue: the kernel answers a connection whether or not anybody accepts it."""
        count = 0
        while True:
            try:
                self._socket.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    running = Listener()
    yield running
    running.close()


def test_the_listener_sees_whoever_comes(listener: Listener) -> None:
    for host in ("127.0.0.1", "127.0.0.2", "localhost"):
        socket.create_connection((host, listener.port), timeout=5).close()
    assert listener.connections() == 3


def refused(got: Fetched, listener: Listener) -> bool:
    assert listener.connections() == 0
    assert any(words in got.reason for words in _REFUSALS), got.reason
    return not got.ok


@pytest.mark.security("address")
@pytest.mark.parametrize("written", WAYS_TO_THIS_MACHINE)
def test_a_private_address_is_refused_without_a_connection(written: str, site: Site, listener: Listener, store: ArtifactStore) -> None:
    assert refused(Fetcher(site.sources(), store).fetch_many([written.format(port=listener.port)])[0], listener)


@pytest.mark.security("address after a redirect")
@pytest.mark.parametrize("written", WAYS_TO_THIS_MACHINE)
def test_a_redirect_into_a_private_address_is_refused(written: str, site: Site, listener: Listener, store: ArtifactStore) -> None:
    """The site itself may be fetched under one name and port; every other way to this machine stays closed behind its redirect."""
    target = written.format(port=listener.port)
    site.routes |= {"/start": go_to(target), "/page": say(lead_to(target))}
    for start in ("/start", "/page"):
        assert refused(Fetcher(site.sources(), store).fetch_many([f"{site.url}{start}"])[0], listener)
    assert site.paths == ["/start", "/page"]


@pytest.mark.security("address after a redirect of robots.txt")
@pytest.mark.parametrize("written", WAYS_TO_THIS_MACHINE)
def test_a_robots_txt_that_redirects_into_a_private_address_closes_its_host(
    written: str, site: Site, listener: Listener, store: ArtifactStore
) -> None:
    site.routes |= {"/robots.txt": go_to(written.format(port=listener.port)), "/a": say(BODY)}
    assert refused(Fetcher(site.sources(), store).fetch_many([f"{site.url}/a"])[0], listener)
    assert site.paths == []


@pytest.mark.security("DNS answer")
@pytest.mark.parametrize("after_redirect", [False, True])
@pytest.mark.parametrize(
    "answers",
    [
        [["127.0.0.1"]],
        [["::1"]],
        [["10.1.2.3"]],
        [["240.0.0.1", "127.0.0.1"]],
        [["127.0.0.1", "93.184.215.14"]],
        [["93.184.215.14", "::ffff:127.0.0.1"]],
        [["93.184.215.14", "fd00::1"]],
        [["93.184.215.14", "0.0.0.0"]],
        [[]],
        [["not an address"]],
        [["127.0.0.1"], ["93.184.215.14"]],
    ],
    ids=lambda answers: "+".join(",".join(answer) or "none" for answer in answers) if isinstance(answers, list) else None,
)
def test_a_name_with_a_private_answer_is_refused(
    answers: list[list[str]], after_redirect: bool, site: Site, listener: Listener, store: ArtifactStore
) -> None:
    left = list(answers)

    async def resolver(host: str, port: int) -> list[str]:
        if host == "127.0.0.1":
            return [host]
        return left.pop(0) if len(left) > 1 else left[0]

    target = f"http://rebinding.example:{listener.port}/"
    site.routes["/start"] = go_to(target)
    url = f"{site.url}/start" if after_redirect else target
    assert refused(Fetcher(site.sources(), store, resolver=resolver).fetch_many([url])[0], listener)


# ------------------------------------------------------------------------------------------------ bombs


def _packed(pieces: Callable[[bytes], bytes], end: Callable[[], bytes]) -> bytes:
    zeros = bytes(1 << 20)
    return b"".join([pieces(zeros) for _ in range(200)]) + end()


def _bomb(encoding: str) -> bytes:
    """200 MB of zeros, packed."""
    if encoding in ("gzip", "deflate"):
        packer = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
        return _packed(packer.compress, packer.flush)
    if encoding == "gzip, gzip":
        return gzip.compress(_bomb("gzip"), 9)
    if encoding == "br":
        brotler = brotli.Compressor(quality=5, lgwin=24)
        return _packed(brotler.process, brotler.finish)
    return zstd.compress(bytes(200 << 20), options={zstd.CompressionParameter.window_log: 27})


def _endless(piece: bytes, encoding: str = "") -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Transfer-Encoding", "chunked")
        if encoding:
            handler.send_header("Content-Encoding", encoding)
        handler.end_headers()
        while True:
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

    return answer


def _endless_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    while True:
        handler.send_header("X-More", "x" * 1000)
        handler.flush_headers()


_TOO_LARGE, _UNASKED, _TOO_LONG = "(sources.max_bytes)", "which was not asked for", "(sources.timeout_seconds)"

BOMBS: dict[str, tuple[Callable[[], Answer], str]] = {
    "gzip": (lambda: say(_bomb("gzip"), Content_Encoding="gzip"), _TOO_LARGE),
    "gzip twice": (lambda: say(_bomb("gzip, gzip"), Content_Encoding="gzip, gzip"), _TOO_LARGE),
    "deflate": (lambda: say(_bomb("deflate"), Content_Encoding="deflate"), _TOO_LARGE),
    "brotli": (lambda: say(_bomb("br"), Content_Encoding="br"), _UNASKED),
    "zstd": (lambda: say(_bomb("zstd"), Content_Encoding="zstd"), _UNASKED),
    "brotli in gzip": (lambda: say(gzip.compress(_bomb("br")), Content_Encoding="BR, gzip"), _UNASKED),
    "endless chunked": (lambda: _endless(b"x" * 0x1000), _TOO_LARGE),
    "endless gzip members": (lambda: _endless(gzip.compress(bytes(1 << 16)), "gzip"), _TOO_LONG),  # only the first one is decoded
    "endless headers": (lambda: _endless_headers, "Receive buffer too long"),
}

_CHILD = """
import json, os, re, sys
from pathlib import Path
from alas_assets.domains.sources import Sources
from alas_assets.provenance.store import ArtifactStore
from alas_assets.retrieval.fetch import Fetcher

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

def fetched(sources):
    fetcher = Fetcher(Sources.model_validate(sources), ArtifactStore(Path(sys.argv[1])))
    return fetcher.fetch_many(fetcher.sources.seed_urls)[0]

cases = json.loads(sys.stdin.read())
honest = cases.pop("honest")
print(json.dumps(["honest", {"ok": fetched(honest).ok}]), flush=True)
for kind, sources in cases.items():
    if os.fork() == 0:  # from the same state for each, and a peak of its own
        fetched(honest)  # the code that any page needs is resident now
        start = peak()
        got = fetched(sources) if sources else b"x" * (32 << 20)
        said = {"ok": got.ok, "reason": got.reason} if sources else {}
        print(json.dumps([kind, said | {"mib": peak() - start}]), flush=True)
        os._exit(0)
    os.wait()
"""
_WHERE = ("page", "robots.txt")


@pytest.fixture(scope="module")
def bombed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What a process says that fetched an honest page and then, forked for each, the bombs: how far its resident memory rose at most."""
    cases: dict[str, Any] = {}
    with ExitStack() as sites:
        honest = sites.enter_context(serving())
        honest.routes["/"] = say(page("Honest", "<p>" + "An honest page. " * 20_000 + "</p>"))
        cases["honest"] = honest.sources().model_dump(mode="json")
        for kind, (bomb, _) in BOMBS.items():
            for where in _WHERE:
                site = sites.enter_context(serving())  # a host each, so that no robots.txt speaks for another's page
                site.routes |= (
                    {"/": bomb(), "/robots.txt": say(b"", status=404)} if where == "page" else {"/": say(BODY), "/robots.txt": bomb()}
                )
                cases[f"{kind}, {where}"] = site.sources(timeout_seconds=2 if kind == "endless gzip members" else 20).model_dump(
                    mode="json"
                )
        cases["a block of 32 MiB"] = None
        command = [sys.executable, "-c", _CHILD, str(tmp_path_factory.mktemp("bombs"))]
        folder = Path(__file__).parents[2]
        child = subprocess.run(command, input=json.dumps(cases).encode(), cwd=folder, capture_output=True, timeout=120, check=False)
    assert child.returncode == 0, child.stderr.decode()[-2000:]
    return dict(json.loads(line) for line in child.stdout.splitlines())


@pytest.mark.security("bomb")
@pytest.mark.parametrize("where", _WHERE)
@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_stopped_with_less_than_16_mib_of_memory(kind: str, where: str, bombed: dict[str, dict[str, Any]]) -> None:
    """At the default cap on a page's bytes."""
    assert bombed["honest"]["ok"], bombed["honest"]
    assert bombed["a block of 32 MiB"]["mib"] > 31, "the measure sees what a process holds"
    got = bombed[f"{kind}, {where}"]
    assert got["mib"] < 16, got
    if where == "page":
        assert not got["ok"], got
        assert BOMBS[kind][1] in got["reason"]


# ------------------------------------------------------------------------------------------------ slow servers


def _drip(handler: BaseHTTPRequestHandler, first: bytes, more: bytes) -> None:
    handler.wfile.write(first)
    for _ in range(200):
        handler.wfile.write(more)
        handler.wfile.flush()
        time.sleep(0.05)


SLOW: dict[str, Answer] = {
    "nothing": lambda handler: time.sleep(5),
    "status line": lambda handler: _drip(handler, b"HTTP/1.1 200 OK", b" "),
    "headers": lambda handler: _drip(handler, b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "body": lambda handler: _drip(handler, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
    "chunks": lambda handler: _drip(handler, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
}


@pytest.mark.security("slow server")
@pytest.mark.parametrize("kind", SLOW)
@pytest.mark.parametrize("where", ["page", "robots.txt"])
def test_a_server_that_drips_meets_the_total_deadline(kind: str, where: str, site: Site, store: ArtifactStore) -> None:
    site.routes["/a"] = SLOW[kind] if where == "page" else say(BODY)
    if where == "robots.txt":
        site.routes["/robots.txt"] = SLOW[kind]
    got = Fetcher(site.sources(timeout_seconds=1.5), store).fetch_many([f"{site.url}/a"])[0]
    assert not got.ok
    assert "within 1.5 s" in got.reason
    assert site.paths == (["/a"] if where == "page" else [])


# ------------------------------------------------------------------------------------------------ robots.txt


def _hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


ROBOTS: dict[str, tuple[Answer, bool]] = {
    "refuses all": (say(b"User-agent: *\nDisallow: /", "text/plain"), False),
    "refuses us by name": (say(b"User-agent: alas-assets\nDisallow: /\n\nUser-agent: *\nAllow: /", "text/plain"), False),
    "refuses after a byte order mark": (say("User-agent: *\nDisallow: /".encode("utf-8-sig"), "text/plain"), False),
    "fails with 500": (say(b"", status=500), False),
    "fails with 503": (say(b"", status=503), False),
    "hangs up": (_hang_up, False),
    "is not encoded as it says": (say(b"not gzip", Content_Encoding="gzip"), False),
    "is not there": (say(b"", status=404), True),
    "is forbidden": (say(b"", status=403), True),
    "goes round in a circle, which RFC 9309 takes for not there": (go_to("/robots.txt"), True),
    "is a web page": (say(BODY), True),
    "is binary": (say(bytes(range(256)) * 100, "application/octet-stream"), True),
    "has endless lines": (say(b"Disallow: " + b"a" * 400_000 + b"\nUser-agent: *\nAllow: /", "text/plain"), True),
    "asks for a thousand years between requests": (say(b"User-agent: *\nCrawl-delay: 31536000000", "text/plain"), True),
    "has rules that backtrack": (say(b"User-agent: *\nDisallow: /" + b"*a" * 300 + b"$", "text/plain"), True),
}


@pytest.mark.security("robots.txt")
@pytest.mark.parametrize("kind", ROBOTS)
def test_a_robots_txt_is_obeyed_or_its_host_is_left_alone(kind: str, site: Site, store: ArtifactStore) -> None:
    answer, allowed = ROBOTS[kind]
    site.routes |= {"/robots.txt": answer, "/a": say(BODY)}
    got = Fetcher(site.sources(timeout_seconds=5), store).fetch_many([f"{site.url}/a"])[0]
    assert got.ok is allowed, got.reason
    assert site.paths == (["/a"] if allowed else [])


# ------------------------------------------------------------------------------------------------ charsets and markup

_WORDS = "Grüße an alle, die café und naïve Wörter lesen können."

CHARSETS: dict[str, tuple[str, str, bool]] = {
    "utf-8 said to be latin-1": ("utf-8", "text/html; charset=iso-8859-1", False),
    "latin-1 said to be utf-8": ("latin-1", "text/html; charset=utf-8", False),
    "latin-1 said to be utf-16": ("latin-1", "text/html; charset=utf-16", False),
    "utf-16 with its mark, said to be utf-8": ("utf-16", "text/html; charset=utf-8", True),
    "an unknown charset": ("utf-8", "text/html; charset=x-unknown", True),
    "a charset that runs code elsewhere": ("utf-8", "text/html; charset=utf-7", False),
    "a charset that is no text": ("utf-8", "text/html; charset=zlib_codec", False),
    "none": ("utf-8", "text/html", True),
}


@pytest.mark.security("charset")
@pytest.mark.parametrize("kind", CHARSETS)
def test_a_wrong_charset_gives_text_or_a_reason(kind: str, site: Site, extractor: Extractor) -> None:
    encoding, content_type, right = CHARSETS[kind]
    html = f"<html><body><main><h1>Charset {kind}</h1><p>{_WORDS}</p></main></body></html>"
    site.routes["/a"] = say(html.encode(encoding), content_type)
    got = Fetcher(site.sources(), extractor.store).fetch_many([f"{site.url}/a"])[0]
    assert got.ok, got.reason
    found = extractor.extract(got)
    assert bool(found.text) != bool(found.reason)
    assert not right or _WORDS in found.text


MARKUP = {
    "100,000 nested tags": b"<div>" * 100_000 + b"words that nobody can reach down here",
    "100,000 nested lists": b"<ul><li>" * 100_000 + b"words",
    "100,000 open tables": b"<table><tr><td>" * 100_000,
    "one tag of a megabyte": b"<p " + b"a=b " * 250_000 + b">some words stand here, more than five",
    "entities of entities": b'<!DOCTYPE x [<!ENTITY a "words"><!ENTITY b "&a;&a;&a;&a;">]><p>&b;&b;&b; only these words are said here</p>',
    "an entity that is a file": b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><p>&f; these few words are said here</p>',
}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extractor]:
    with Extractor(ArtifactStore(tmp_path_factory.mktemp("strict")), seconds=5) as running:
        yield running


@pytest.mark.security("markup")
@pytest.mark.parametrize("kind", MARKUP)
def test_markup_that_means_harm_ends_as_text_or_a_reason_and_the_next_page_is_read(kind: str, site: Site, strict: Extractor) -> None:
    after = page("After", f"<p>This page is read after {kind}.</p>")
    site.routes |= {"/a": say(MARKUP[kind]), "/b": say(after)}
    bad, good = Fetcher(site.sources(), strict.store).fetch_many([f"{site.url}/a", f"{site.url}/b"])
    found = strict.extract(bad)
    assert bool(found.text) != bool(found.reason)
    assert "root:" not in found.text
    assert strict.extract(good).title == "After"
