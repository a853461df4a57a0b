"""From a stored page to its text: starts the sandboxed workers, times every page, and remembers what it read (R2, R6).

How a page is read is `retrieval.readers`, in the process of `retrieval.extract_worker`; nothing here parses foreign bytes.
"""

from __future__ import annotations

import json
import os
import queue
import select
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

import psutil
from pydantic import Field, ValidationError

from alas_assets.provenance.blocked.order import Blocked
from alas_assets.provenance.ids import sha256_hex, short_id
from alas_assets.provenance.store import ArtifactStore, write_atomic
from alas_assets.records import Record
from alas_assets.retrieval.fetch import Fetched

EXTRACTOR_VERSION = "6"
"""Part of the key under which a reading is remembered: raise it when the worker's output changes."""
_WORKER = Path(__file__).with_name("extract_worker.py")
_MAX_ANSWER = 64 << 20
_START_SECONDS = 60.0
_MOST_READERS = 8
_AT_WORK = 0.5


class Extracted(Record):
    """What a page says, or why it gives nothing (`reason`)."""

    title: str = ""
    authors: list[str] = Field(default_factory=list)
    published_at: str = Field(default="", description="ISO 8601; empty where the page does not say")
    canonical_url: str = Field(default="", description="as the page declares it; never identity (R3)")
    licence: str = ""
    text: str = Field(default="", description="Markdown")
    links: list[str] = Field(default_factory=list, description="absolute targets of the article's links, in order")
    page_words: int = Field(default=0, description="words that the page shows, navigation and hidden parts apart")
    kept_words: int = Field(default=0, description="of these, words in `text`")
    link_words: int = Field(default=0, description="words of the article that are link texts")
    how: str = Field(default="", description="what the text was taken from: an element or extractor of HTML, or a format")
    reason: str = Field(default="", description="why there is no text; empty when there is")


class _TooLongError(Exception):
    """A worker's answer is larger than any that is taken."""


class Extractor:
    """Reads pages in child processes, each restarted when it hangs or dies; use as a context manager.

    Args:
        store: Holds the bodies (`pages`) and what was read before.
        seconds: One page's limit.
        readers: Pages read at a time, each in a process of its own that starts when there is work for it; 0: one per core, at most 8.
    """

    def __init__(self, store: ArtifactStore, seconds: float = 30.0, readers: int = 1) -> None:
        self.store = store
        self._blocked = Blocked(store.root)
        count = readers or min(os.cpu_count() or 1, _MOST_READERS)
        self._readers = [_Reader(seconds) for _ in range(count)]
        # The last one used is the next one asked, so that a few pages one after the other start one process.
        self._idle: queue.LifoQueue[_Reader] = queue.LifoQueue()
        for reader in self._readers:
            self._idle.put(reader)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="reader")

    def __enter__(self) -> Extractor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for reader in self._readers:
            reader.kill()  # whoever leaves early does not wait for the pages at hand
        self._threads.shutdown()
        for reader in self._readers:
            reader.stop()

    def submit(self, page: Fetched) -> Future[Extracted]:
        """Begin to read a fetched page, as soon as a reader is free."""
        return self._threads.submit(self.extract, page)

    def extract(self, page: Fetched) -> Extracted:
        """Read one fetched page; a page that cannot be read is a result with its reason, never an exception."""
        key = short_id("extract", EXTRACTOR_VERSION, page.body_sha256, page.final_url, page.content_type)
        memory = self.store.root / "extracts" / f"{key}.json"
        try:
            return self._allowed(Extracted.model_validate_json(memory.read_bytes()))
        except (OSError, ValidationError):
            pass  # not read before, or the memory is damaged: read it
        reader = self._idle.get()
        try:
            found = reader.ask(self.store.pages / page.body_sha256, page.final_url, page.content_type)
        finally:
            self._idle.put(reader)
        found = self._allowed(found)
        if not found.reason:
            write_atomic(memory, found.model_dump_json().encode())
        return found

    def _allowed(self, found: Extracted) -> Extracted:
        """Return what was read, or why it is refused: a takedown blocks the same text under whatever address (A3)."""
        refusal = self._blocked.text(sha256_hex(found.text)) if found.text else ""
        return Extracted(reason=refusal) if refusal else found


class _Reader:
    """One child process and the pipes to it; asked by one thread at a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.worker: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def kill(self) -> None:
        """End the process amid its page; whoever asked gets a result that says so."""
        worker = self.worker
        if worker is not None:
            worker.kill()

    def ask(self, path: Path, url: str, content_type: str) -> Extracted:
        """Have one stored body read."""
        try:
            worker = self._started()
        except TimeoutError:
            self.stop()
            return Extracted(reason=f"the extractor did not start within {_START_SECONDS:g} s; {url} was not read")
        assert worker.stdin is not None
        assert worker.stdout is not None
        request = json.dumps({"path": str(path), "url": url, "content_type": content_type}) + "\n"
        worked = _processor_seconds(worker.pid)
        try:
            worker.stdin.write(request.encode())
            worker.stdin.flush()
            line = _read_line(worker.stdout.fileno(), time.monotonic() + self._seconds)
        except TimeoutError:
            worked = _processor_seconds(worker.pid) - worked
            self.stop()
            return Extracted(reason=f"{url} could not be read within {self._seconds:g} s; {_why_late(worked, self._seconds)}")
        except _TooLongError:
            self.stop()  # what it still says would be taken for the answer about the next page
            return Extracted(reason=f"{url} gives more than the {_MAX_ANSWER >> 20} MiB of text and links that are taken of one page")
        except OSError:
            line = b""
        if not line:
            return Extracted(reason=f"the extractor died on {url} ({self._last_words()})")
        try:
            return Extracted.model_validate_json(line)
        except ValidationError as error:
            self.stop()
            return Extracted(reason=f"the extractor gave no usable answer for {url} ({error.error_count()} faults)")

    def _started(self) -> subprocess.Popen[bytes]:
        """Return the process, its imports done, which are no page's fault.

        Raises:
            TimeoutError: It did not come up.
        """
        if self.worker is None or self.worker.poll() is not None:
            self.stop()
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed in stop)
            self.worker = subprocess.Popen(
                [sys.executable, "-I", str(_WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={"PATH": os.defpath, "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"},
            )
            assert self.worker.stdout is not None
            _read_line(self.worker.stdout.fileno(), time.monotonic() + _START_SECONDS)
        return self.worker

    def _last_words(self) -> str:
        """Say how the worker ended, with the last line it wrote."""
        worker, errors = self.worker, self._errors
        code = None
        with suppress(subprocess.TimeoutExpired):  # it closed its pipe and lives on; `stop` ends it
            code = worker.wait(timeout=10) if worker is not None else None
        said = ""
        if errors is not None:
            errors.seek(0)
            lines = errors.read()[-4000:].decode("utf-8", "replace").strip().splitlines()
            said = f": {lines[-1][:300]}" if lines else ""
        self.stop()
        return f"exit code {code}{said}"

    def stop(self) -> None:
        """End the process and close what leads to it."""
        if self.worker is not None:
            for pipe in (self.worker.stdin, self.worker.stdout):
                if pipe is not None:
                    with suppress(OSError):  # it may have died with a request unread
                        pipe.close()
            self.worker.kill()
            self.worker.wait()
            self.worker = None
        if self._errors is not None:
            self._errors.close()
            self._errors = None


def _processor_seconds(pid: int) -> float:
    """Return how long a process has worked so far; 0 where it is gone."""
    try:
        spent = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return spent.user + spent.system


def _why_late(worked: float, seconds: float) -> str:
    """Tell a page that is too heavy from a machine that is too busy: of its limit, a reader at work uses most as processor time."""
    if worked >= _AT_WORK * seconds:
        return "its markup is too heavy"
    return f"its reader got {worked:.1f} s of processor time in them, so the machine was too busy; the next run reads it again"


def _read_line(pipe: int, until: float) -> bytes:
    """Read one line from a pipe; empty where the other end closed.

    Raises:
        TimeoutError: The line was not complete in time.
        _TooLongError: It is longer than an answer may be.
    """
    parts = bytearray()
    while not parts.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            raise TimeoutError
        piece = os.read(pipe, 1 << 16)
        if not piece:
            return b""
        parts += piece
        if len(parts) > _MAX_ANSWER:
            raise _TooLongError
    return bytes(parts)
