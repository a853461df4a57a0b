"""Fetching pages over HTTP: polite, bounded, guarded, and every attempt is a row with its reason (R3-R6).

What a page says is `retrieval.extract`; which addresses may be reached is `retrieval.address`.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path

import httpcore2
import httpx2
from protego import Protego

from alas_assets.blocking import run_blocking
from alas_assets.domains.sources import MAX_CONNECTIONS, Sources
from alas_assets.hosts import covers
from alas_assets.provenance.blocked.order import Blocked
from alas_assets.provenance.ids import sha256_hex
from alas_assets.provenance.store import ArtifactStore
from alas_assets.retrieval.address import LAST_PORT, AddressRefusedError, GuardedBackend, GuardedTransport, Resolver, resolve
from alas_assets.retrieval.http_cache import CacheEntry, HttpCache
from alas_assets.retrieval.readers.decoding import decoded
from alas_assets.retrieval.readers.onward import MOST_CHARACTERS, leads_on

NOT_IN_TIME = "not read within the"
"""How the reason begins for which a page is given up when the time for all pages is over."""
ROBOT_NAME = "alas-assets"
USER_AGENT = f"{ROBOT_NAME}/0.1 (keeps a small language model current; obeys robots.txt)"
ACCEPTED_TYPES = (
    *("text/html", "application/xhtml+xml", "text/plain", "text/markdown", "text/x-markdown", "text/x-rst", "text/prs.fallenstein.rst"),
    *("application/json", "application/pdf"),
)
_ACCEPT = "text/html,application/xhtml+xml,text/markdown;q=0.9,text/x-rst;q=0.8,text/plain;q=0.8,application/json;q=0.5,*/*;q=0.1"
_ENCODINGS = ("gzip", "deflate")  # both decode in 32 KiB; a brotli or zstd sender chooses how many MiB the reader must hold
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
_MAX_URL = 2083
_MAX_ROBOTS_BYTES = 500 * 1024
_MAX_VALIDATOR = 2048  # servers refuse requests with a header of more than some thousand bytes
_MAX_CRAWL_DELAY = 30.0
_RETRIES = 2
_RETRIED = {408, 429, 500, 502, 503, 504, 522, 524}
_SNIFFED = 4096
_BINARY_BYTES = frozenset(range(32)) - {9, 10, 12, 13, 27}
_HTML_TYPES = ("", "text/html", "application/xhtml+xml")
_MOST_ONWARD_BYTES = 4 * MOST_CHARACTERS  # a character has four bytes at most
_PDF, _PDF_MARK = "application/pdf", b"%PDF-"
_UNREAD_TEXT_FORMATS = (_PDF_MARK, b"{\\rtf", b"%!PS")


@dataclass(frozen=True)
class Fetched:
    """One attempt at one URL; its body, where there is one, lies in the store's `pages` under `body_sha256`."""

    requested_url: str
    final_url: str
    ok: bool
    status: int | None
    reason: str  # why it failed, in words; "" when ok
    from_cache: bool  # the server said 304: the stored body is still right
    retrieved_at: datetime  # of this attempt
    body_retrieved_at: datetime  # when this very body was first received
    etag: str = ""
    last_modified: str = ""
    content_type: str = ""
    body_sha256: str = ""
    body_bytes: int = 0

    @property
    def host(self) -> str:
        """The final URL's host, with its port if one is named."""
        with suppress(httpx2.InvalidURL):
            return httpx2.URL(self.final_url).netloc.decode("ascii")
        return ""


Arrived = Callable[[Fetched], None]
"""Is told a result the moment it is there."""


class _PageFailure(Exception):
    """Ends one URL's attempt; carries the reason a person reads."""

    def __init__(self, reason: str, status: int | None = None, url: str = "") -> None:
        super().__init__(reason)
        self.reason, self.status, self.url = reason, status, url


class _Transient(_PageFailure):
    """No answer at all: worth another try."""

    def __init__(self, url: httpx2.URL, words: str) -> None:
        super().__init__(f"no answer from {url}: {words}")
        self.words = words


@dataclass
class _Answer:
    status: int
    headers: httpx2.Headers
    body: bytes


@dataclass
class _Host:
    """What is known of one host and port; its locks belong to one event loop."""

    per_host: int
    slot: asyncio.Semaphore = field(init=False)
    line: asyncio.Lock = field(default_factory=asyncio.Lock)
    robots_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    robots: Protego | None = None
    robots_problem: _PageFailure | None = None
    next_start: float = 0.0
    delay: float = 0.0

    def __post_init__(self) -> None:
        self.slot = asyncio.Semaphore(self.per_host)

    def in_new_loop(self) -> _Host:
        """Return what is still true in the next batch; a robots.txt that could not be had is asked for again."""
        return _Host(self.per_host, robots=self.robots, next_start=self.next_start, delay=self.delay)


class Fetcher:
    """Fetches URLs under one domain's `Sources` settings; pauses and rules of hosts hold from one batch to the next.

    Args:
        sources: Hosts, limits and delays.
        store: Where bodies are kept; the cache of validators lies in it too.
        resolver: Turns names into addresses.
    """

    def __init__(self, sources: Sources, store: ArtifactStore, *, resolver: Resolver = resolve) -> None:
        self.sources = sources
        self.store = store
        self._resolver = resolver
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hosts: dict[str, _Host] = {}

    def fetch_many(
        self, urls: Iterable[str], deadline: float | None = None, wanted: Wanted | None = None, arrived: Arrived | None = None
    ) -> list[Fetched]:
        """Fetch each distinct URL once, in parallel over hosts; results are in the order of first mention.

        A page that fails is a result with its reason, never an exception.

        Args:
            urls: What to fetch.
            deadline: Seconds for all of them together, waiting for a busy host included; None for no more than each one's own.
            wanted: What kind of document they are meant to be; pages where nothing is said.
            arrived: Told each result when it is there, so that work on it can begin while others are on their way.

        Raises:
            OSError: The store cannot be written (disk full, no permission).
            StoreError: The cache of validators cannot be written.
        """
        return run_blocking(self.fetch_all(list(urls), deadline, wanted, arrived))

    async def fetch_all(
        self, urls: Sequence[str], deadline: float | None = None, wanted: Wanted | None = None, arrived: Arrived | None = None
    ) -> list[Fetched]:
        """As `fetch_many`, for code that runs in an event loop."""
        wanted = wanted or PAGES
        backend = GuardedBackend(self.sources.private_hosts, self._resolver)
        client = httpx2.AsyncClient(
            transport=GuardedTransport(backend, MAX_CONNECTIONS),
            headers={"User-Agent": USER_AGENT, "Accept": wanted.accept, "Accept-Encoding": ", ".join(_ENCODINGS)},
            timeout=httpx2.Timeout(self.sources.timeout_seconds),
            follow_redirects=False,
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
        )
        async with client:
            with HttpCache.opened(self.store.root / "http_cache.sqlite") as cache:
                session = _Session(self, client, cache, wanted, self._known_hosts())
                return list(await asyncio.gather(*(_within(deadline, session, url, arrived) for url in dict.fromkeys(urls))))

    def _known_hosts(self) -> dict[str, _Host]:
        """Return the hosts of the running loop, whose batches share them, with what earlier loops learned."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._hosts = loop, {key: host.in_new_loop() for key, host in self._hosts.items()}
        return self._hosts


async def _within(deadline: float | None, session: _Session, url: str, arrived: Arrived | None) -> Fetched:
    """Fetch a URL, or say that the time for all was over before it came."""
    try:
        page = await asyncio.wait_for(session.fetch(url), deadline)
    except TimeoutError:
        now = datetime.now(UTC)
        page = Fetched(url, url, False, None, f"{NOT_IN_TIME} {deadline:g} s that were left for all pages", False, now, now)
    if arrived is not None:
        arrived(page)
    return page


class _Session:
    """One batch: the state that must not outlive its event loop."""

    def __init__(self, fetcher: Fetcher, client: httpx2.AsyncClient, cache: HttpCache, wanted: Wanted, hosts: dict[str, _Host]) -> None:
        self._sources = fetcher.sources
        self._store = fetcher.store
        self._blocked = Blocked(fetcher.store.root)
        self._cache = cache
        self._client = client
        self._wanted = wanted
        self._all = asyncio.Semaphore(MAX_CONNECTIONS)
        self._hosts = hosts

    async def fetch(self, requested: str) -> Fetched:
        now = datetime.now(UTC)
        blank = Fetched(requested, requested, False, None, "", False, now, now)
        try:
            return await self._follow(blank)
        except _PageFailure as failure:
            final = failure.url or requested
            reason = failure.reason if final == requested else f"redirected to {final}: {failure.reason}"
            return replace(blank, final_url=final, status=failure.status, reason=reason)

    async def _follow(self, blank: Fetched) -> Fetched:
        budget = _Budget(self._sources.timeout_seconds)
        target, seen = blank.requested_url, []
        while True:
            try:
                url = self._checked(target)
                entry = await self._usable(str(url))
                answer = await self._ask(url, entry, budget)
                if answer.status in _REDIRECTS:
                    onward = _location(url, answer)
                elif not (onward := await asyncio.to_thread(self._leads_on, str(url), answer, entry)):
                    return await self._result(blank, str(url), answer, entry)
                seen.append(str(url))
                target = _next_hop(onward, answer.status, seen)
            except _PageFailure as failure:
                failure.url = failure.url or target
                raise

    def _leads_on(self, url: str, answer: _Answer, entry: CacheEntry | None) -> str:
        """Return where a page sends its reader on to by itself, as a redirect that a file must write; "" for a page to read.

        Such a page is not kept, as no redirect is.
        """
        body, content_type = answer.body, answer.headers.get("content-type", "")
        if answer.status == 304 and entry is not None:
            body, content_type = (self._store.pages / entry.body_sha256).read_bytes(), entry.content_type
        kind = content_type.partition(";")[0].strip().lower()
        if not self._wanted.is_page or kind not in _HTML_TYPES or len(body) > _MOST_ONWARD_BYTES:
            return ""
        return leads_on(decoded(body, content_type, html=True), url)

    def _checked(self, target: str) -> httpx2.URL:
        """Refuse what must never be requested, before anything is resolved or sent."""
        if len(target) > _MAX_URL:
            raise _PageFailure(f"the URL is longer than {_MAX_URL} characters")
        try:
            url = httpx2.URL(target).copy_with(fragment=None)
            host_name = url.host  # read here, since reading it decodes a name that holds "xn--" and may find it is none
        except (httpx2.InvalidURL, ValueError, UnicodeError) as error:
            raise _PageFailure(f"{target} is not a URL: {error}") from error
        if url.scheme not in ("http", "https") or not host_name:
            raise _PageFailure(f"only http and https URLs are fetched, not {url.scheme or 'this'}:")
        if url.port is not None and not 0 < url.port <= LAST_PORT:
            raise _PageFailure(f"the URL's port is not one of 1 to {LAST_PORT}")
        if url.userinfo:
            raise _PageFailure("the URL carries a user name or password; such URLs are not fetched")
        if refusal := self._blocked.address(str(url)):
            raise _PageFailure(refusal)
        host, port = _host_and_port(url)
        if any(covers(entry, host, port) for entry in self._sources.deny_hosts):
            raise _PageFailure(f"{host} is in sources.deny_hosts")
        if self._sources.allow_hosts and not any(covers(entry, host, port) for entry in self._sources.allow_hosts):
            raise _PageFailure(f"{host} is not in sources.allow_hosts")
        return url

    async def _usable(self, url: str) -> CacheEntry | None:
        """Return the URL's last answer, with what it can be asked about by, if there is any such and its body is still whole."""
        entry = self._cache.get(url)
        if entry is not None:
            entry = replace(entry, etag=_sendable(entry.etag), last_modified=_sendable(entry.last_modified))
        if entry is None or not (entry.etag or entry.last_modified):
            return None
        body = await asyncio.to_thread(_whole_body, self._store.pages / entry.body_sha256)
        if body is None or self._wanted.problem(body, entry.content_type):  # it may have been fetched as another kind
            return None
        return entry

    async def _ask(self, url: httpx2.URL, entry: CacheEntry | None, budget: _Budget) -> _Answer:
        host = self._host(url)
        if self._wanted.obeys_robots:
            await self._ask_robots(url, host)
        headers = {}
        if entry is not None and entry.etag:
            headers["If-None-Match"] = entry.etag
        if entry is not None and entry.last_modified:
            headers["If-Modified-Since"] = entry.last_modified
        return await self._retried(url, headers, host, budget, self._sources.max_bytes, cut=False)

    def _host(self, url: httpx2.URL) -> _Host:
        host, port = _host_and_port(url)
        key = f"{host}:{port}"
        if key not in self._hosts:
            per_host, delay = self._sources.pace(next((own for own in self._sources.hosts if covers(own.host, host, port)), None))
            self._hosts[key] = _Host(per_host, delay=delay)
        return self._hosts[key]

    async def _ask_robots(self, url: httpx2.URL, host: _Host) -> None:
        """Read the host's robots.txt once; refuse what it disallows, and everything where it cannot be had (RFC 9309)."""
        async with host.robots_lock:
            if host.robots is None and host.robots_problem is None:
                try:
                    host.robots = await self._read_robots(url, host)
                except _PageFailure as failure:
                    host.robots_problem = failure
                else:
                    delay = host.robots.crawl_delay(ROBOT_NAME)
                    if delay is not None:
                        host.delay = max(host.delay, min(float(delay), _MAX_CRAWL_DELAY))
        if isinstance(host.robots_problem, _Transient):  # the host is down: say so of the page that was asked for
            raise _PageFailure(f"no answer from {url}: {host.robots_problem.words}")
        if host.robots_problem is not None:
            raise _PageFailure(host.robots_problem.reason, host.robots_problem.status)
        if host.robots is None or not host.robots.can_fetch(str(url), ROBOT_NAME):
            raise _PageFailure(f"robots.txt of {url.netloc.decode()} disallows {url.path}")

    async def _read_robots(self, page: httpx2.URL, host: _Host) -> Protego:
        budget = _Budget(self._sources.timeout_seconds)
        target, hops = str(page.copy_with(raw_path=b"/robots.txt")), 0
        while True:
            url = self._checked(target)
            answer = await self._retried(url, {}, self._host(url) if hops else host, budget, _MAX_ROBOTS_BYTES, cut=True)
            if answer.status in _REDIRECTS and hops < _MAX_REDIRECTS:
                target, hops = _location(url, answer), hops + 1
                continue
            break
        if answer.status >= 500:
            raise _PageFailure(f"{url} answered {answer.status}, so nothing on that host is fetched", answer.status)
        rules = answer.body.decode("utf-8-sig", "replace") if answer.status == 200 else ""
        try:
            return Protego.parse(rules)
        except Exception as error:  # a foreign parser on foreign text: whatever it raises means the rules are not known
            raise _PageFailure(f"{url} cannot be read ({type(error).__name__}), so nothing on that host is fetched") from error

    async def _retried(self, url: httpx2.URL, headers: dict[str, str], host: _Host, budget: _Budget, limit: int, *, cut: bool) -> _Answer:
        for attempt in range(_RETRIES + 1):
            last = attempt == _RETRIES
            try:
                answer = await self._once(url, headers, host, budget, limit, cut=cut)
                if answer.status not in _RETRIED or last or budget.left <= 0:
                    return answer
                asked = _retry_after(answer.headers)
            except _Transient:
                if last or budget.left <= 0:
                    raise
                asked = 0.0
            backoff = max(host.delay, 0.05) * 2**attempt
            await asyncio.sleep(min(max(backoff, asked), self._sources.timeout_seconds))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _once(self, url: httpx2.URL, headers: dict[str, str], host: _Host, budget: _Budget, limit: int, *, cut: bool) -> _Answer:
        """Send one request when the host's turn has come; waiting for the turn does not count against the deadline."""
        async with self._turn(host):
            started = time.monotonic()
            try:
                async with asyncio.timeout(budget.left):
                    return await self._read(url, headers, limit, cut=cut)
            except AddressRefusedError as error:
                raise _PageFailure(str(error)) from error
            except TimeoutError as error:
                raise _PageFailure(f"{url} did not answer in full within {budget} (sources.timeout_seconds)") from error
            except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
                raise _Transient(url, _network_words(error)) from error
            except httpx2.DecodingError as error:
                raise _PageFailure(f"{url} is not encoded as its Content-Encoding says: {error}") from error
            except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, httpcore2.UnsupportedProtocol, ValueError) as error:
                raise _PageFailure(f"{url} gave an answer that cannot be read: {type(error).__name__}: {error}") from error
            finally:
                budget.left -= time.monotonic() - started

    @asynccontextmanager
    async def _turn(self, host: _Host) -> AsyncIterator[None]:
        """Hold one of the host's connections; requests to it start one by one, its delay apart, however many may run at a time."""
        async with host.slot:
            async with host.line:
                await asyncio.sleep(max(0.0, host.next_start - time.monotonic()))
                await self._all.acquire()
                host.next_start = time.monotonic() + host.delay
            try:
                yield
            finally:
                self._all.release()

    async def _read(self, url: httpx2.URL, headers: dict[str, str], limit: int, *, cut: bool) -> _Answer:
        async with self._client.stream("GET", url, headers=headers) as response:
            body = bytearray()
            if response.status_code == 200:
                _refuse_encoding(url, response.headers)
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > limit:
                        if cut:
                            del body[limit:]
                            break
                        raise _PageFailure(f"{url} is larger than {limit:,} bytes decoded (sources.max_bytes)", 200)
            return _Answer(response.status_code, response.headers, bytes(body))

    async def _result(self, blank: Fetched, url: str, answer: _Answer, entry: CacheEntry | None) -> Fetched:
        """Turn a final answer into a row; a good body is stored before anything uses it."""
        now = datetime.now(UTC)
        if answer.status == 304 and entry is not None:
            return replace(
                blank,
                final_url=url,
                ok=True,
                status=304,
                from_cache=True,
                retrieved_at=now,
                body_retrieved_at=datetime.fromisoformat(entry.retrieved_at),
                etag=entry.etag,
                last_modified=entry.last_modified,
                content_type=entry.content_type,
                body_sha256=entry.body_sha256,
                body_bytes=entry.body_bytes,
            )
        if answer.status != 200:
            raise _PageFailure(f"{url} answered {answer.status} {httpx2.codes.get_reason_phrase(answer.status)}".rstrip(), answer.status)
        content_type = answer.headers.get("content-type", "")
        if not answer.body.strip():
            raise _PageFailure(f"{url} answered 200 with an empty page", 200)
        if problem := self._wanted.problem(answer.body, content_type):
            raise _PageFailure(f"{url} is {problem}", 200)
        if refusal := self._blocked.body(sha256_hex(answer.body)):
            raise _PageFailure(refusal, 200)
        # On a thread, since syncing a file takes longer than much else here and other pages need not wait for it.
        digest = await asyncio.to_thread(self._store.put_bytes, self._store.pages, answer.body)
        earlier = self._cache.get(url)
        received = earlier.retrieved_at if earlier is not None and earlier.body_sha256 == digest else now.isoformat()
        kept = CacheEntry(
            url=url,
            etag=_sendable(answer.headers.get("etag", "")),
            last_modified=_sendable(answer.headers.get("last-modified", "")),
            content_type=content_type,
            body_sha256=digest,
            body_bytes=len(answer.body),
            retrieved_at=received,
        )
        self._cache.put(kept)
        return replace(
            blank,
            final_url=url,
            ok=True,
            status=200,
            retrieved_at=now,
            body_retrieved_at=datetime.fromisoformat(received),
            etag=kept.etag,
            last_modified=kept.last_modified,
            content_type=content_type,
            body_sha256=digest,
            body_bytes=kept.body_bytes,
        )


@dataclass
class _Budget:
    """The seconds one URL may still spend on the network, redirects and retries included."""

    total: float
    left: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.total

    def __str__(self) -> str:
        return f"{self.total:g} s"


def _refuse_encoding(url: httpx2.URL, headers: httpx2.Headers) -> None:
    for encoding in headers.get("content-encoding", "").lower().split(","):
        if encoding.strip() not in ("", "identity", *_ENCODINGS):
            raise _PageFailure(f"{url} is encoded as {encoding.strip()[:40]}, which was not asked for", 200)


def _sendable(validator: str) -> str:
    """Return a validator as it is, or "" for one that no request can carry: its page is then asked for in full each time."""
    return validator if validator.isascii() and len(validator) <= _MAX_VALIDATOR else ""


def _whole_body(path: Path) -> bytes | None:
    body = path.read_bytes() if path.is_file() else b""
    return body if sha256_hex(body) == path.name else None


def unreadable_kind(body: bytes, content_type: str) -> str:
    """Say what a body is if it is nothing we read, by its bytes first and its declared type second; "" if it may be read."""
    head = body[:_SNIFFED]
    declared = content_type.partition(";")[0].strip().lower()
    if declared == _PDF:
        return "" if head.startswith(_PDF_MARK) else f"declared as {_PDF} and is none"
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))  # UTF-16 text is full of zero bytes
    binary = not wide and any(byte in _BINARY_BYTES for byte in head)
    if binary or head.lstrip().startswith(_UNREAD_TEXT_FORMATS):
        said = f", although it is declared as {declared}" if declared in ACCEPTED_TYPES else ""
        return f"{_binary_name(body)}{said}"
    if declared and declared not in ACCEPTED_TYPES:
        return f"of type {declared[:80]}"
    return ""


def _no_page(body: bytes, content_type: str) -> str:
    problem = unreadable_kind(body, content_type)
    return f"{problem}; only HTML, plain text, Markdown, reStructuredText, PDF and JSON are read" if problem else ""


@dataclass(frozen=True)
class Wanted:
    """What kind of document is asked for."""

    accept: str  # the Accept header
    problem: Callable[[bytes, str], str]  # says of a body and its declared type why it cannot be used; "" if it can
    obeys_robots: bool = True
    is_page: bool = False  # what sends its reader on to another page is followed there


PAGES = Wanted(_ACCEPT, _no_page, is_page=True)
DATA = Wanted(
    "application/atom+xml,application/rss+xml,application/xml,text/xml,application/json;q=0.9,text/csv;q=0.8,text/plain;q=0.7,*/*;q=0.1",
    lambda _body, _content_type: "",
)
"""Feeds, sitemaps and indexes: servers declare them as all sorts of types, so the reader of each says what it cannot use."""


def _binary_name(body: bytes) -> str:
    import puremagic  # not at module level: it reads its tables at import

    try:
        best = puremagic.magic_string(body[:65536])[0]
    except (puremagic.PureError, ValueError, IndexError):
        return "a binary file"
    return f"a binary file ({best.mime_type or best.name or best.extension})"


def _host_and_port(url: httpx2.URL) -> tuple[str, int]:
    return url.raw_host.decode("ascii").lower().rstrip("."), url.port or (443 if url.scheme == "https" else 80)


def _location(url: httpx2.URL, answer: _Answer) -> str:
    location = answer.headers.get("location", "")
    if not location:
        raise _PageFailure(f"{url} answered {answer.status} without saying where to go", answer.status)
    try:
        return str(url.join(location).copy_with(fragment=None))
    except (httpx2.InvalidURL, ValueError, UnicodeError) as error:
        raise _PageFailure(f"{url} redirects to {location[:200]!r}, which is not a URL", answer.status) from error


def _next_hop(target: str, status: int, seen: list[str]) -> str:
    if target in seen:
        raise _PageFailure(f"the redirects go round in a circle, back to {target}", status)
    if len(seen) > _MAX_REDIRECTS:
        raise _PageFailure(f"more than {_MAX_REDIRECTS} redirects", status)
    return target


def _retry_after(headers: httpx2.Headers) -> float:
    try:
        return max(0.0, float(headers.get("retry-after", "0")))
    except ValueError:
        return 0.0  # an HTTP date: our own backoff applies


def _network_words(error: BaseException) -> str:
    """Say a network error in words; the cause chain ends in the operating system's own."""
    known = {
        errno.ECONNREFUSED: "connection refused",
        errno.ECONNRESET: "connection reset",
        errno.EHOSTUNREACH: "no route to the host",
        errno.ENETUNREACH: "the network is unreachable",
    }
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, OSError) and current.errno in known:
            return known[current.errno]
        current = current.__cause__ or current.__context__
    if isinstance(error, httpcore2.TimeoutException):
        return "timed out"
    return str(error) or type(error).__name__
