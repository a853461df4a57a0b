"""Telling people what went wrong or stands still: to the log, and to a webhook where one is set (O2, U3).

A notice is kept in the store before it is sent, so that a webhook that is down, or a tick that ends early, loses none. What is worth
telling is `defs.reporting`'s; the webhook's address is a secret: it is neither kept nor shown.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from filelock import FileLock, Timeout
from pydantic import BeforeValidator, Field, ValidationError

from alas_assets.provenance.store import StoreError, write_atomic
from alas_assets.records import Record

if TYPE_CHECKING:
    import httpx2

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
ROOM = 500
"""Notices that may wait; what finds no room stays with who told it."""
LONGEST = 4000
"""Characters of a notice's text, so that no webhook refuses it for its length and the file stays small."""
LATE = timedelta(minutes=10)
"""After which a notice's text says of when it is: what it tells may hold no longer."""
_LOCK_SECONDS = 10
_OF_THIS_NOTICE = (400, 413, 422)
"""Answers that are about what was posted; every other refusal, and no answer, are about the webhook, which would take no other notice."""
_REFUSALS = 3
"""Refusals one after the other with which a tick ends all the same: a webhook that takes nothing may give that answer to everything."""
GIVEN_UP = timedelta(days=1)
"""How long a notice that is refused for what it is goes on being posted."""


def _sendable(text: str) -> str:
    """Return a text as JSON in UTF-8 can hold it: an error message may carry half a character, and nothing after it would be sent."""
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


_Text = Annotated[str, BeforeValidator(_sendable)]


class Notice(Record):
    """One thing that somebody should know; `text` alone is what chat services show."""

    kind: Literal["failure", "stale", "not promoted", "closed"]
    domain: _Text
    iteration: str = ""
    run_id: str = ""
    text: _Text
    id: str = Field(default_factory=lambda: uuid.uuid4().hex, description="tells a receiver that it was sent this one before")
    at: datetime = Field(default_factory=lambda: datetime.now(UTC), description="when this was found")


class _Kept(Record):
    waiting: list[Notice] = Field(default_factory=list, description="not delivered yet, oldest first")
    known: dict[str, dict[str, list[str]]] = Field(
        default_factory=dict, description="who tells, to what it told of, to the keys of all that it found there the last time"
    )
    refused: dict[str, datetime] = Field(
        default_factory=dict, description="id of a waiting notice, to when it was first refused for itself"
    )

    def without(self, notice: str) -> _Kept:
        """Return what is kept once a notice is gone."""
        refused = {one: at for one, at in self.refused.items() if one != notice}
        return self.model_copy(update={"waiting": [one for one in self.waiting if one.id != notice], "refused": refused})


class Outbox:
    """The notices that wait for the webhook, with what was told already: one file of the store, replaced as a whole.

    A notice leaves it once the webhook took it. Only a process that is killed between the two sends it again, under the same `id`.

    Args:
        home: The store.
        webhook: An http(s) URL that accepts a POST; empty for the log alone.
    """

    def __init__(self, home: Path, webhook: str) -> None:
        self._folder = home / "notices"
        self._file = self._folder / "outbox.json"
        self._webhook = webhook

    def add(self, teller: str, found: Mapping[str, Mapping[str, Notice] | None]) -> tuple[list[Notice], set[str]]:
        """Log what is news, and keep it for the webhook if one is set.

        Args:
            teller: Who tells.
            found: For everything that it tells of, all that is to be told as it stands, by keys; None where that cannot be said now. A key
                that was there the last time is no news; one that was gone meanwhile is.

        Returns:
            The news, and the keys for which there was no room: they are news again the next time.

        Raises:
            StoreError: The file is damaged, or another process keeps it locked.
            OSError: It cannot be written; nothing of this was kept.
        """
        news: list[Notice] = []
        left: set[str] = set()

        def added(kept: _Kept) -> _Kept:
            before, now = kept.known.get(teller, {}), {}
            for about, notices in found.items():
                if notices is None:
                    now[about] = before.get(about, [])
                    continue
                fresh = [key for key in notices if key not in before.get(about, [])]
                taken = fresh[: max(0, ROOM - len(kept.waiting) - len(news))] if self._webhook else fresh
                news.extend(notices[key] for key in taken)
                over = set(fresh[len(taken) :])
                left.update(over)
                now[about] = [key for key in notices if key not in over]
            waiting = [*kept.waiting, *news] if self._webhook else kept.waiting
            return kept.model_copy(update={"waiting": waiting, "known": {**kept.known, teller: now}})

        self._update(added)
        for notice in news:
            log.warning("%s: %s", notice.kind, notice.text)
        return news, left

    def deliver(self, seconds: float) -> str:
        """Post what waits, oldest first, until the webhook does not take one or the time is over.

        Args:
            seconds: After which no further one is begun.

        Returns:
            What became of it, in words for a tick; "" where nothing waits.

        Raises:
            StoreError: The file is damaged, or another process keeps it locked.
            OSError: It cannot be written; nothing was sent.
        """
        if not self._read().waiting:
            return ""
        if not self._webhook:
            return self._standing("ALAS_WEBHOOK_URL is not set; set it where Dagster runs, and they are delivered")
        try:
            with FileLock(self._folder / "delivery.lock", timeout=0):
                return self._deliver(time.monotonic() + seconds)
        except Timeout:
            return self._standing("another tick is delivering them")

    def _deliver(self, until: float) -> str:
        kept = self._update(lambda kept: kept, anyway=True)  # where this cannot be written, what was sent could not be noted
        sent, problem, refusals = 0, "", 0
        for notice in sorted(kept.waiting, key=lambda one: one.id in kept.refused):  # so that those refused before hold up no other
            if time.monotonic() > until:
                problem = problem or "the webhook is slow; in the next tick"
                break
            status, refusal = _post(notice, self._webhook)
            if not refusal:
                self._update(lambda kept, sent=notice.id: kept.without(sent))
                sent, refusals = sent + 1, 0
                continue
            problem, refusals = refusal, refusals + 1
            if status in _OF_THIS_NOTICE:
                self._refused(notice, refusal)
            if status not in _OF_THIS_NOTICE or refusals == _REFUSALS:
                break
        said = f"{sent} delivered" if sent else ""
        if not problem:
            return said
        log.warning("%s", problem)
        return "; ".join(part for part in (self._standing(problem), said) if part)

    def _refused(self, notice: Notice, refusal: str) -> None:
        """Note that a notice is refused for what it is, and after a day of that leave it to the log."""
        now = datetime.now(UTC)
        since = self._read().refused.get(notice.id, now)
        if now - since > GIVEN_UP:
            log.error("%s to this for more than a day; it is posted no more: %s", refusal, notice.text)
            self._update(lambda kept: kept.without(notice.id))
        else:
            self._update(lambda kept: kept.model_copy(update={"refused": {notice.id: since, **kept.refused}}))

    def _standing(self, why: str) -> str:
        waiting = self._read().waiting
        if not waiting:
            return ""
        notices = "1 notice waits" if len(waiting) == 1 else f"{len(waiting)} notices wait"
        full = f" (there is no room for more than {ROOM})" if len(waiting) >= ROOM else ""
        return f"{notices} since {waiting[0].at:%Y-%m-%d %H:%M} UTC{full}: {why}"

    def _read(self) -> _Kept:
        try:
            return _Kept.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return _Kept()
        except ValidationError as error:
            raise StoreError(f"{self._file}: damaged; delete it: what waited in it is in the log only, what stands is told anew") from error

    def _update(self, change: Callable[[_Kept], _Kept], *, anyway: bool = False) -> _Kept:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._file.with_suffix(".lock"), timeout=_LOCK_SECONDS):
                before = self._read()
                after = change(before)
                if anyway or after != before:
                    write_atomic(self._file, after.model_dump_json(indent=1).encode())
                return after
        except Timeout as error:
            raise StoreError(f"{self._file}: locked for {_LOCK_SECONDS} s by another process; the next tick tries again") from error


def _post(notice: Notice, webhook: str) -> tuple[int, str]:
    """Post a notice as JSON; return the status of the answer, 0 without one, and why the webhook did not take it, "" where it did."""
    import httpx2  # not at module level: the definitions need none of it

    host = "its address"
    content = notice.model_dump(mode="json")
    if datetime.now(UTC) - notice.at > LATE:
        content["text"] += f" (of {notice.at:%Y-%m-%d %H:%M} UTC)"
    try:
        host = urlsplit(webhook).hostname or host
        address = httpx2.URL(webhook)
        with _unlogged(address):
            answer = httpx2.post(address, json=content, timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:  # the last where no host can be made of it
        return 0, f"the webhook at {host} (ALAS_WEBHOOK_URL) did not answer: {type(error).__name__}"
    return answer.status_code, "" if answer.is_success else f"the webhook at {host} (ALAS_WEBHOOK_URL) answered {answer.status_code}"


@contextmanager
def _unlogged(address: httpx2.URL) -> Iterator[None]:
    """Keep an address out of httpx2's log, which names the URL of every request."""
    secret = address.raw_path.decode()

    def shows_nothing(record: logging.LogRecord) -> bool:
        return secret not in record.getMessage()

    client_log = logging.getLogger("httpx2")
    client_log.addFilter(shows_nothing)
    try:
        yield
    finally:
        client_log.removeFilter(shows_nothing)
