"""Which model answers: brings what the store wants into the backend's memory, keeps it there, starts a dead backend again (G4, G5).

A new adapter is prepared while the old one goes on answering; a retired one answers no more from the moment that the registry says so. What
clients ask is `serving.door`'s, the process that computes `serving.backend`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import httpx2

from alas_assets.release.identity import ReleaseError
from alas_assets.serving.backend import IDLE_SECONDS, Backend, BackendError, Prepared
from alas_assets.serving.requests import ChatRequest, Refused

log = logging.getLogger(__name__)

BASE = "base"
"""What stands for the base student where an adapter's hash would be."""
LOOK_SECONDS = 2.0
_RETRY_SECONDS, _RETRY_MOST_SECONDS = 30.0, 3600.0
_RESTARTS, _RESTART_WINDOW = 3, 300.0
_PATIENCE_SECONDS = 900.0


class _NotEvenAlone(BackendError):
    """A model cannot be loaded even where it is the only one in the backend's memory; the old one had to make room for the attempt."""


@dataclass(frozen=True)
class _Failed:
    """The last adapter that could not be served.

    Attributes:
        adapter: Its hash, or `BASE`; "" where none has failed.
        why: The reason.
        until: When it is tried again, in seconds of the monotonic clock.
        alone: How often it could not be loaded even alone.
    """

    adapter: str = ""
    why: str = ""
    until: float = 0.0
    alone: int = 0

    def again(self, adapter: str, error: Exception, retry: float) -> _Failed:
        """Return the failure after another one: what takes the old model down with it waits longer, and longer each time.

        The first of these waits is as long as restarts are counted, or the backend would be taken for one that dies again and again.

        Args:
            adapter: The adapter that failed now, or `BASE`.
            error: What happened.
            retry: Seconds to wait where the old model goes on answering.
        """
        alone = (self.alone if adapter == self.adapter else 0) + isinstance(error, _NotEvenAlone)
        wait = min(_RESTART_WINDOW * retry / _RETRY_SECONDS * 2 ** min(alone - 1, 30), _RETRY_MOST_SECONDS) if alone else retry
        return _Failed(adapter, str(error) or repr(error), time.monotonic() + wait, alone)

    def bars(self, adapter: str) -> bool:
        """Tell whether an adapter has just failed and is not tried yet."""
        return adapter == self.adapter and time.monotonic() < self.until


@dataclass(frozen=True)
class Wanted:
    """What may answer now.

    Attributes:
        adapter: The current adapter's hash; "" for the base student.
        iteration: The iteration that promoted it; -1 for the base student.
        refusal: Why nothing may answer; "" where something may.
    """

    adapter: str
    iteration: int = -1
    refusal: str = ""


class Source(Protocol):
    """What the store says; the door calls it at each request, from a thread."""

    def wanted(self) -> Wanted:
        """Return what may answer now."""
        ...

    def retired(self, adapter: str) -> bool:
        """Tell whether a takedown took an adapter out for good."""
        ...

    def prepare(self, wanted: Wanted) -> Prepared:
        """Return what the backend is to load; may take minutes.

        Raises:
            ReleaseError: It cannot be prepared.
        """
        ...

    def fits(self, request: ChatRequest) -> str:
        """Return why a request is too long for the student; "" where it is not."""
        ...


class CurrentModel:
    """The model of one domain that answers, and how another takes its place.

    Args:
        name: The model's name to clients: the domain's key.
        source: What the store says.
        backend: Who computes.
        told: Errors of `source` whose message already says cause and remedy.
        say: Gets a line for the person at the terminal when something changes.
        patience: Seconds after which a backend that says nothing, to nobody, is taken for hung and started again.
        retry: Seconds after which an adapter that could not be served is tried again; ten times as many, twice that the next time and so
            on up to an hour, where it could not be loaded even alone, for which the old model has to stop answering.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        backend: Backend,
        *,
        told: tuple[type[Exception], ...] = (ReleaseError,),
        say: Callable[[str], None] = log.info,
        patience: float = _PATIENCE_SECONDS,
        retry: float = _RETRY_SECONDS,
    ) -> None:
        self.name, self.backend = name, backend
        self.client = httpx2.AsyncClient(timeout=httpx2.Timeout(None, connect=10, read=patience), trust_env=False)
        self._source, self._told, self._say = source, told, say
        self._serving: Prepared | None = None
        self._task: asyncio.Task[None] | None = None
        self._failed, self._retry = _Failed(), retry
        self._restarts: list[float] = []
        self._broken = ""
        self._patience, self._heard, self._hung = patience, time.monotonic(), False
        self._loading = asyncio.Lock()

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Watch the registry and the backend while the block runs; the backend is ended by whoever started this."""
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            for task in (watch, self._task):
                if task is not None:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
            await self.client.aclose()

    @property
    def is_changing(self) -> bool:
        """Whether another model is being prepared or loaded."""
        return self._task is not None and not self._task.done()

    # -- what requests ask --------------------------------------------------------------------------------------
    async def ready(self) -> Prepared:
        """Return what answers now; where another is wanted, see to it that it comes.

        Raises:
            Refused: Nothing may answer, or nothing can yet.
        """
        wanted = await self.wanted()
        serving = self._serving
        if serving is None or serving.adapter != wanted.adapter:
            self._see_to(wanted)
        if serving is not None and (serving.adapter == wanted.adapter or not await self._is_retired(serving)):
            if not self.backend.alive or self._hung:
                raise self._unavailable(wanted)
            return serving
        raise self._unavailable(wanted)

    async def wanted(self) -> Wanted:
        """Return what may answer now.

        Raises:
            Refused: Nothing may.
        """
        try:
            wanted = await asyncio.to_thread(self._source.wanted)
        except self._told as error:
            wanted = Wanted("", refusal=str(error))
        if wanted.refusal:
            raise Refused(503, wanted.refusal, "service_unavailable")
        return wanted

    async def require_allowed(self, prepared: Prepared) -> None:
        """Hold an answer back whose adapter was taken down while it was computed.

        Raises:
            Refused: It was, or nothing may answer any more.
        """
        await self.wanted()
        await self.require_standing(prepared)

    async def require_standing(self, prepared: Prepared) -> None:
        """Hold an answer back whose adapter was taken down; cheaper than to look at what may answer at all.

        Raises:
            Refused: It was.
        """
        if await self._is_retired(prepared):
            raise Refused(503, f"the model of this answer was taken down; {self.name} answers again in a moment", "service_unavailable", 2)

    def heard(self) -> None:
        """Note that the backend has said something: it does not hang."""
        self._heard = time.monotonic()

    def lost(self, error: Exception) -> Refused:
        """Return what a client is told whose request the backend did not answer, and find out whether it hangs."""
        log.warning("%s: %s does not answer (%r); log %s", self.name, self.backend.name, error, self.backend.log)
        if isinstance(error, httpx2.ReadTimeout):
            if not self._silent():
                return Refused(503, f"{self.backend.name} has too much to do; ask again later", "service_unavailable", int(_RETRY_SECONDS))
            self._hung = True
        words = self._broken or f"{self.backend.name} does not answer; it is started again, ask again in a moment"
        return Refused(503, words, "service_unavailable", 5)

    # -- what happens behind them -------------------------------------------------------------------------------
    async def _is_retired(self, prepared: Prepared) -> bool:
        return bool(prepared.adapter) and await asyncio.to_thread(self._source.retired, prepared.adapter)

    def _unavailable(self, wanted: Wanted) -> Refused:
        what = f"adapter {wanted.adapter[:12]}" if wanted.adapter else "the base student"
        if self._broken:
            return Refused(503, self._broken, "service_unavailable")
        if self._down:
            return Refused(503, f"{self.backend.name} ended or hung and is started again; ask again in a moment", "service_unavailable", 5)
        if self._failed.bars(wanted.adapter or BASE):
            return Refused(503, f"{what} of {self.name} cannot be served: {self._failed.why}", "service_unavailable", int(_RETRY_SECONDS))
        return Refused(503, f"{what} of {self.name} is being prepared; ask again in a moment", "service_unavailable", 2)

    @property
    def _down(self) -> bool:
        """Whether a backend that has answered has to be started again."""
        return self._serving is not None and not self._broken and (self._hung or not self.backend.alive)

    def _see_to(self, wanted: Wanted) -> None:
        """Begin to prepare an adapter unless that is under way, or has just failed."""
        just_failed = self._failed.bars(wanted.adapter or BASE)
        if not self._broken and not just_failed and not self.is_changing:
            self._task = asyncio.create_task(self._bring(wanted))

    async def _bring(self, wanted: Wanted) -> None:
        """Prepare an adapter, have it in the backend's memory, and let it answer from then on."""
        began, before = time.monotonic(), self._serving
        try:
            prepared = await asyncio.to_thread(self._source.prepare, wanted)
            async with self._loading:
                if before is not None and not await self._is_retired(before):
                    await self._restart()  # where it is down, the old one goes on, whatever becomes of the new one
                    await self._load_beside(prepared, before)
                else:
                    if self._hung or not self.backend.alive:
                        await self._start(prepared)
                    await self._load(prepared)
            if (await self.wanted()).adapter != wanted.adapter:  # rolled back or promoted meanwhile: the next look sees to the other
                await self._let_go(prepared)
                return
        except Refused:  # nothing may answer any more, which is said to whoever asks
            return
        except (*self._told, httpx2.TransportError, OSError) as error:
            self._failed = self._failed.again(wanted.adapter or BASE, error, self._retry)
            self._say(f"{self.name}: {wanted.adapter[:12] or 'the base student'} cannot be served: {self._failed.why}")
            return
        except Exception as error:  # a fault of ours: whoever asks is told, and the old model goes on
            log.exception("%s: %s cannot be served", self.name, wanted.adapter or BASE)
            self._failed = self._failed.again(wanted.adapter or BASE, RuntimeError(f"{type(error).__name__}: {error}"), self._retry)
            return
        self._serving, self._failed = prepared, _Failed()
        self._say(f"{self.name}: {_told_of(prepared)} answers, ready after {time.monotonic() - began:.1f} s")
        if before is not None and await self._is_retired(before):
            await self._let_go(before)

    async def _let_go(self, prepared: Prepared) -> None:
        """Have the backend unload a model that nobody asks for; one that stays only holds memory."""
        with contextlib.suppress(BackendError, httpx2.TransportError):
            await self.backend.unload(self.client, prepared)

    async def _watch(self) -> None:
        """Look for another adapter without being asked, keep the current one in memory, start a dead backend again."""
        touched = time.monotonic()
        while True:
            try:
                wanted, serving = await self.wanted(), self._serving
                if serving is not None and self._down and not await self._is_retired(serving):
                    async with self._loading:
                        await self._restart()
                elif serving is None or serving.adapter != wanted.adapter:
                    self._see_to(wanted)
                elif time.monotonic() - touched > IDLE_SECONDS / 3:
                    touched = time.monotonic()
                    async with self._loading:
                        await self._load(serving)
            except Refused:
                pass  # it is said to whoever asks
            except (BackendError, httpx2.TransportError) as error:
                self._say(f"{self.name}: {error}")
            except Exception:  # a fault of ours must not end the watch, without which nothing is started again
                log.exception("%s: the watch goes on", self.name)
            await asyncio.sleep(LOOK_SECONDS)

    async def _restart(self) -> None:
        """Start a backend that is down again, with the model that answered; whoever calls holds `_loading`.

        Raises:
            BackendError: It does not come up, or went down too often.
            httpx2.TransportError: It does not answer.
        """
        serving, now = self._serving, time.monotonic()
        if serving is None or not self._down:
            return
        self._restarts = [*(at for at in self._restarts if now - at < _RESTART_WINDOW), now]
        last = self.backend.last_words()
        how = f"said nothing for {self._patience:.0f} s" if self._hung else "ended"
        if len(self._restarts) > _RESTARTS:
            self._broken = (
                f"{self.backend.name} ended or hung {len(self._restarts)} times within {_RESTART_WINDOW / 60:.0f} minutes and stays down; "
                f"see its log {self.backend.log}, then start `alas serve {self.name}` again"
            )
            await asyncio.to_thread(self.backend.stop)
            raise BackendError(f"{self._broken}\n{last}")
        self._say(f"{self.name}: {self.backend.name} {how}; it is started again. Its last words:\n{last}")
        await self._start(serving)
        await self._load(serving)

    async def _load_beside(self, prepared: Prepared, before: Prepared) -> None:
        """Load a model beside the one that answers, or alone where the backend ends of that: both may be too much for its memory.

        Raises:
            BackendError: It is not in memory.
        """
        try:
            await self._load(prepared)
        except (BackendError, httpx2.TransportError) as error:
            if self.backend.alive and not isinstance(error, httpx2.TransportError):
                raise
            what, last = f"{self.backend.name} ended as it loaded a second model", self.backend.last_words()
            self._say(f"{self.name}: {what}; it is started again with that one alone. Its last words:\n{last}")
            self._serving = None  # a question to the old one would have the backend load it too
            try:
                await self._start(prepared)
                await self._load(prepared)
            except BaseException as alone:
                self._serving = before
                await asyncio.to_thread(self.backend.stop)  # the watch starts it again with the old one
                if isinstance(alone, (BackendError, httpx2.TransportError)):
                    raise _NotEvenAlone(f"it could not be loaded beside the old one nor alone: {alone or repr(alone)}") from alone
                raise

    async def _start(self, prepared: Prepared) -> None:
        await asyncio.to_thread(self.backend.stop)
        await self.backend.start(prepared)
        self._heard = time.monotonic()

    async def _load(self, prepared: Prepared) -> None:
        """Have a model in the backend's memory, and find out whether the backend hangs.

        Raises:
            BackendError: It is not in memory.
            httpx2.TransportError: The backend does not answer.
        """
        try:
            await self.backend.load(self.client, prepared)
        except httpx2.TimeoutException as error:
            self._hung = self._silent()
            raise BackendError(f"{self.backend.name} does not answer when it is to load a model; its log: {self.backend.log}") from error
        self._hung, self._heard = False, time.monotonic()

    def _silent(self) -> bool:
        """Tell whether the backend has said nothing to anybody for too long; one that is only busy answers others meanwhile."""
        return time.monotonic() - self._heard >= self._patience


def _told_of(prepared: Prepared) -> str:
    if not prepared.adapter:
        return "no adapter is current, so the base student, which was taught nothing,"
    return f"adapter {prepared.adapter} of iteration {prepared.iteration}"
