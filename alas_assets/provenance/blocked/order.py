"""The record of a takedown, how far it is, and what it blocks from then on (A3).

One folder for each under `takedowns/` in the store. Only addresses and hashes are kept, never content. What is removed is `removal.plan`'s
to find and `removal.purge`'s to carry out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from filelock import FileLock, Timeout
from pydantic import Field, ValidationError

from alas_assets.hosts import host_and_port
from alas_assets.provenance.blocked.documents import folder_name, split_source
from alas_assets.provenance.blocked.marks import Marks
from alas_assets.provenance.ids import page_id, safe_name, sha256_hex, short_id
from alas_assets.provenance.store import Cell, StoreError, write_atomic
from alas_assets.records import Record

TAKEN_DOWN = "taken down on"
"""How the reason begins for which a blocked page is not read."""
MAX_SOURCE = 2083
MAX_WORDS = 2000
_SAFE = "/:@!$&'()*+,;=~-._"
_SLASH = re.compile("%2f", re.IGNORECASE)
By = Literal["page", "host"]


class TakedownError(RuntimeError):
    """A takedown cannot be ordered or carried out; the message says why and what to do."""


class AddressError(TakedownError):
    """What was given as a source cannot be an address."""


class RetiredAdapter(Record):
    """An adapter that learned from the source, or was trained from one that did."""

    adapter_hash: str
    domain: str
    cell: str
    kind: str
    facts: int = Field(description="facts of the source among its own training rows")
    rows: int = Field(description="training rows that hold them")
    trained_from: str = Field(default="", description="an affected adapter that it was trained from, where its own rows hold nothing of it")
    because: str = Field(default="", description="why it counts as affected where neither can be known")


class Share(Record):
    """What of one domain goes, in numbers."""

    domain: str
    since: str = Field(default="", description="the first iteration that read it or planned with it")
    surveyed: int = Field(default=0, description="addresses that surveys, plans or looks know and that no iteration studied")
    readings: int = 0
    passages: int = 0
    facts: int = 0
    taught: int = Field(default=0, description="of these, facts of which a pair was accepted")
    pairs: int = Field(default=0, description="rows of pairs, each phrasing one, in whatever iteration; rejected ones are among them")
    probes: int = 0
    answers: int = 0
    shown: int = Field(default=0, description="answers that passages of the source were shown for")
    training_rows: int = 0
    adapters: int = 0
    current_before: str | None = None
    current_after: str | None = None

    @property
    def to_retrain(self) -> bool:
        """Whether a model learned from the source, so that the next iteration is trained again from the base."""
        return self.adapters > 0


class Step(Record):
    """A step that was carried out, and what it came to."""

    name: str
    at: str
    did: dict[str, int] = Field(default_factory=dict)


class Order(Record):
    """A takedown: who ordered it, what it blocks, and which steps are done."""

    id: str
    source: str
    by: By
    reason: str
    ordered_by: str
    at: str
    salt: str
    shares: list[Share] = Field(default_factory=list)
    retired: list[RetiredAdapter] = Field(default_factory=list)
    pages: int = Field(default=0, description="distinct bodies that were stored of it")
    kept_facts: int = Field(default=0, description="facts that other sources state too: theirs stay")
    kept_by: list[str] = Field(default_factory=list, description="those other sources")
    addresses: list[str] = Field(default_factory=list, description="salted hashes of addresses that are read no more")
    limited_to: list[str] = Field(default_factory=list, description="domains whose folder's document is meant; empty: all of the name")
    spared: list[str] = Field(default_factory=list, description="salted hashes of other folders, whose document of that name stays")
    hosts: list[str] = Field(default_factory=list, description="salted hashes of hosts that are read no more")
    bodies: list[str] = Field(default_factory=list, description="SHA-256 of bodies that are refused from whatever address")
    texts: list[str] = Field(default_factory=list, description="SHA-256 of texts that are refused from whatever address")
    answers: list[str] = Field(default_factory=list, description="ids of the answers that are removed, which are hashes themselves")
    steps: list[Step] = Field(default_factory=list)
    carried_out: str = Field(default="", description="when the last step was done; empty while it is under way")

    @property
    def done(self) -> set[str]:
        """The names of the steps that are done."""
        return {step.name for step in self.steps}

    @property
    def domains(self) -> list[str]:
        """The domains that it touches."""
        return [share.domain for share in self.shares]

    @property
    def note(self) -> str:
        """What stands where content was."""
        return f"[{TAKEN_DOWN} {self.at[:10]}, takedown {self.id}]"

    @property
    def refusal(self) -> str:
        """Why an address of it is not read."""
        return f"{TAKEN_DOWN} {self.at[:10]} by {self.ordered_by}; see takedown-{self.id} among the store's reports"

    def covers(self, domain: str) -> bool:
        """Tell whether a domain's readings of the address are meant, by its key or its folder's name."""
        return not self.limited_to or domain in self.limited_to or domain in map(safe_name, self.limited_to)

    def facts_of(self, domain: str) -> int:
        """Return how many facts of a domain it retires."""
        return sum(share.facts for share in self.shares if share.domain == domain)


def kind_of(source: str) -> By:
    """Tell whether a source is a page's URL or a host."""
    return "page" if "://" in source else "host"


def takedown_id(source: str) -> str:
    """Return the id of a source's takedown: the same however the address is written that means the same page."""
    return short_id("takedown", normal(source) if "://" in source else host_key(source))


def normal(url: str) -> str:
    """Return an address in the one form that is compared: http and https alike, without a usual port, a fragment or a last slash."""
    return _form(url, _spelled)


def _form(url: str, spelled: Callable[[str], str]) -> str:
    found = host_and_port(url)
    try:
        parts = urlsplit(page_id(url))
    except ValueError:
        return url
    if found is None:
        return page_id(url)
    path = spelled(parts.path).rstrip("/")
    return f"{host_key(parts.netloc.rpartition('@')[2])}{path}{'?' + parts.query if parts.query else ''}"


def _spelled(path: str) -> str:
    """Return a path with each byte written in one way, also where the bytes are no UTF-8; a slash that is escaped parts nothing."""
    return "%2F".join(quote(unquote_to_bytes(part), safe=_SAFE) for part in _SLASH.split(path))


def _spelled_by_letters(path: str) -> str:
    """Return a path in the form under which older records hold it: bytes that are no UTF-8 are all one letter."""
    return quote(unquote(path), safe=_SAFE)


def host_of(url: str) -> str:
    """Return a URL's host as it is compared; "" where it has none."""
    try:
        return host_key(urlsplit(url).netloc.rpartition("@")[2])
    except ValueError:
        return ""


def host_key(host: str) -> str:
    """Return a host as it is compared: lower case, in ASCII, a port only where it is not a usual one."""
    found = host_and_port(f"http://{host}")
    if found is None:
        return host.lower()
    name, port = found
    return name if port in (80, 443) else f"{name}:{port}"


def salted(order_salt: str, text: str) -> str:
    """Return the hash under which an address is kept."""
    return sha256_hex(f"{order_salt}\0{text}")


# ------------------------------------------------------------------------------------------------ on disk


def folder_of(root: Path) -> Path:
    """Return where takedowns are kept."""
    return root / "takedowns"


def order_file(root: Path, order_id: str) -> Path:
    """Return where a takedown's record lies."""
    return folder_of(root) / order_id / "order.json"


def report_files(root: Path, order_id: str) -> tuple[Path, Path]:
    """Return where a takedown's report lies, as JSON and as HTML."""
    return root / "reports" / f"takedown-{order_id}.json", root / "reports" / f"takedown-{order_id}.html"


def read_order(root: Path, order_id: str) -> Order | None:
    """Return a takedown's record, also one whose source had another id while hosts were spelled otherwise; None where there is none.

    Raises:
        StoreError: It is damaged. Nothing is read from anywhere until it is restored: what it blocks is not known.
    """
    path = order_file(root, order_id)
    try:
        state = path.stat()
        return _parsed(path, state.st_ino, state.st_mtime_ns, state.st_size)
    except FileNotFoundError:
        return next((order for order in orders(root) if takedown_id(order.source) == order_id), None)
    except (OSError, ValidationError) as error:
        raise StoreError(f"{path}: the record of a takedown cannot be read ({str(error)[:200]}); restore it from a copy") from error


@lru_cache(maxsize=256)
def _parsed(path: Path, *_: int) -> Order:
    """Read a record once for each state of its file: whoever follows many answers asks for it at every one."""
    return Order.model_validate_json(path.read_bytes())


def orders(root: Path) -> list[Order]:
    """Return every takedown of a store, oldest first.

    Raises:
        StoreError: The record of one is damaged.
    """
    folder = folder_of(root)
    names = sorted(path.parent.name for path in folder.glob("*/order.json")) if folder.is_dir() else []
    return sorted((order for name in names if (order := read_order(root, name))), key=lambda order: (order.at, order.id))


def write_order(root: Path, order: Order) -> None:
    """Keep a takedown's record."""
    write_atomic(order_file(root, order.id), order.model_dump_json(indent=1).encode())


def read_marks(root: Path, order_id: str) -> Marks:
    """Return what the removed content is recognised by.

    Raises:
        StoreError: It is gone or damaged.
    """
    path = folder_of(root) / order_id / "marks.json"
    try:
        return Marks.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise StoreError(
            f"{path}: cannot be read ({str(error)[:200]}); restore it from a copy: without it nothing can be searched"
        ) from error


def write_marks(root: Path, order_id: str, marks: Marks) -> None:
    """Keep what the removed content is recognised by."""
    write_atomic(folder_of(root) / order_id / "marks.json", marks.model_dump_json().encode())


def deleted_run(found: Iterable[Order], cell: Cell, made_at: str) -> str:
    """Return the takedown that deleted the run which made something of a cell; "" where none did.

    Args:
        found: The store's takedowns.
        cell: The cell.
        made_at: When it was made, ISO 8601 in UTC.
    """
    for order in found:
        read = any(share.domain == cell.domain and share.since <= cell.iteration for share in order.shares)
        if read and made_at < (order.carried_out or order.at):
            return order.id
    return ""


def under_way(root: Path, domain: str) -> Order | None:
    """Return a takedown that touches a domain and is not carried out to its end."""
    return next((order for order in orders(root) if not order.carried_out and domain in order.domains), None)


def unfinished_words(order: Order) -> str:
    """Say why nothing else may go on, and what to do."""
    return f"takedown {order.id} of {order.source[:200]} is not carried out to its end; give `alas takedown` with that source again"


@contextmanager
def one_at_a_time(root: Path) -> Iterator[None]:
    """Hold the store for one takedown.

    Raises:
        TakedownError: Another process is at one.
    """
    path = folder_of(root) / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise TakedownError("another process is at a takedown in this store; wait for it, then give the command again") from error
    try:
        yield
    finally:
        lock.release()


# ------------------------------------------------------------------------------------------------ what is blocked


class Blocked:
    """The addresses, bodies and texts that takedowns block; what `Fetcher` and `Extractor` ask before anything is read.

    Args:
        root: The store's folder.

    Raises:
        StoreError: The record of a takedown is damaged.
    """

    def __init__(self, root: Path) -> None:
        self._orders = orders(root)
        # a record holds hashes, of hosts as they were spelled when it was made; its source is compared as hosts are spelled now
        self._sources = {order.id: normal(order.source) if order.by == "page" else host_key(order.source) for order in self._orders}

    def address(self, url: str) -> str:
        """Return why an address is not read; "" where nothing blocks it."""
        if not self._orders:
            return ""
        form, host = normal(url), host_of(url)
        forms = {form, _form(url, _spelled_by_letters)} if "%" in url else {form}
        for order in self._orders:
            named = self._sources[order.id] == (form if order.by == "page" else host)
            known = any(salted(order.salt, one) in order.addresses for one in forms)
            if named or known or salted(order.salt, host) in order.hosts:
                return order.refusal
        return ""

    def document(self, url: str, root: Path) -> str:
        """Return why a document of a folder is not read; "" where nothing blocks it, or what blocks it means another folder's."""
        for order in self._orders:
            address, domain = split_source(order.source)
            if domain and normal(url) == normal(address) and salted(order.salt, folder_name(root)) not in order.spared:
                return order.refusal
        return self.address(url)

    def body(self, sha256: str) -> str:
        """Return why a body is refused whatever its address; "" where it is not."""
        return next((f"the same page was {order.refusal}" for order in self._orders if sha256 in order.bodies), "")

    def text(self, sha256: str) -> str:
        """Return why a text is refused whatever its address; "" where it is not."""
        return next((f"the same text was {order.refusal}" for order in self._orders if sha256 in order.texts), "")


def now() -> str:
    """Return the time as records hold it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
