"""The door in front of a backend: one stable model name, and behind it whatever the registry says is current (G4, G5).

What is current is looked up at each request. A new adapter is prepared while the old one goes on answering; a retired one answers no more
from the moment that the registry says so. Requests are read by `serving.requests`, computed by `serving.backend`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx2
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from alas_assets.release.identity import ReleaseError
from alas_assets.serving.backend import IDLE_SECONDS, Backend, BackendError, Prepared
from alas_assets.serving.requests import MAX_BYTES, ChatRequest, Refused, read_request
from alas_assets.serving.stops import Stops
from alas_assets.students.answering import Decoding
from alas_assets.students.chat import markers_of

log = logging.getLogger(__name__)

ADAPTER_HEADER = "x-alas-adapter"
BASE = "base"
"""What stands for the base student where an adapter's hash would be."""
LOOK_SECONDS = 2.0
_RETRY_SECONDS, _RETRY_MOST_SECONDS = 30.0, 3600.0
_RESTARTS, _RESTART_WINDOW = 3, 300.0
_AT_ONCE = 64
_PATIENCE_SECONDS = 900.0
_HEALTH_SECONDS = 10.0
_T = TypeVar("_T")
_PATHS = "there are POST /v1/chat/completions, GET /v1/models and GET /health"


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


class Current(Protocol):
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


class Door:
    """Serves one domain.

    Args:
        name: The model's name to clients: the domain's key.
        current: What the store says.
        backend: Who computes.
        told: Errors of `current` whose message already says cause and remedy.
        say: Gets a line for the person at the terminal when something changes.
        patience: Seconds after which a backend that says nothing, to nobody, is taken for hung and started again.
        retry: Seconds after which an adapter that could not be served is tried again; ten times as many, twice that the next time and so
            on up to an hour, where it could not be loaded even alone, for which the old model has to stop answering.
    """

    def __init__(
        self,
        name: str,
        current: Current,
        backend: Backend,
        *,
        told: tuple[type[Exception], ...] = (ReleaseError,),
        say: Callable[[str], None] = log.info,
        patience: float = _PATIENCE_SECONDS,
        retry: float = _RETRY_SECONDS,
    ) -> None:
        self.name = name
        self._source, self._backend, self._told, self._say = current, backend, told, say
        self._serving: Prepared | None = None
        self._task: asyncio.Task[None] | None = None
        self._failed, self._retry = _Failed(), retry
        self._restarts: list[float] = []
        self._broken = ""
        self._open = 0
        self._patience, self._heard, self._hung = patience, time.monotonic(), False
        self._client = httpx2.AsyncClient(timeout=httpx2.Timeout(None, connect=10, read=patience), trust_env=False)
        self._loading = asyncio.Lock()

    def app(self) -> Starlette:
        """Return the application; its life is that of the door's watch, not of the backend, which whoever starts it also ends."""
        routes = [
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/models", self._models),
            Route("/v1/models/{model:path}", self._model),
            Route("/health", self._health),
        ]

        @asynccontextmanager
        async def living(_: Starlette) -> AsyncIterator[None]:
            watch = asyncio.create_task(self._watch())
            try:
                yield
            finally:
                for task in (watch, self._task):
                    if task is not None:
                        task.cancel()
                        with contextlib.suppress(asyncio.CancelledError):
                            await task
                await self._client.aclose()

        return Starlette(routes=routes, lifespan=living, exception_handlers={Refused: _refuse, 404: _no_such_path, 405: _no_such_method})

    # -- what answers -------------------------------------------------------------------------------------------
    async def _answering(self) -> Prepared:
        """Return what answers now; where another is wanted, see to it that it comes.

        Raises:
            Refused: Nothing may answer, or nothing can yet.
        """
        wanted = await self._wanted()
        serving = self._serving
        if serving is None or serving.adapter != wanted.adapter:
            self._see_to(wanted)
        if serving is not None and (serving.adapter == wanted.adapter or not await self._is_retired(serving)):
            if not self._backend.alive or self._hung:
                raise self._unavailable(wanted)
            return serving
        raise self._unavailable(wanted)

    async def _wanted(self) -> Wanted:
        try:
            wanted = await asyncio.to_thread(self._source.wanted)
        except self._told as error:
            wanted = Wanted("", refusal=str(error))
        if wanted.refusal:
            raise Refused(503, wanted.refusal, "service_unavailable")
        return wanted

    async def _is_retired(self, prepared: Prepared) -> bool:
        return bool(prepared.adapter) and await asyncio.to_thread(self._source.retired, prepared.adapter)

    def _unavailable(self, wanted: Wanted) -> Refused:
        what = f"adapter {wanted.adapter[:12]}" if wanted.adapter else "the base student"
        if self._broken:
            return Refused(503, self._broken, "service_unavailable")
        if self._down:
            return Refused(503, f"{self._backend.name} ended or hung and is started again; ask again in a moment", "service_unavailable", 5)
        if self._failed.bars(wanted.adapter or BASE):
            return Refused(503, f"{what} of {self.name} cannot be served: {self._failed.why}", "service_unavailable", int(_RETRY_SECONDS))
        return Refused(503, f"{what} of {self.name} is being prepared; ask again in a moment", "service_unavailable", 2)

    @property
    def _down(self) -> bool:
        """Whether a backend that has answered has to be started again."""
        return self._serving is not None and not self._broken and (self._hung or not self._backend.alive)

    def _see_to(self, wanted: Wanted) -> None:
        """Begin to prepare an adapter unless that is under way, or has just failed."""
        just_failed = self._failed.bars(wanted.adapter or BASE)
        if not self._broken and not just_failed and (self._task is None or self._task.done()):
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
                    if self._hung or not self._backend.alive:
                        await self._start(prepared)
                    await self._load(prepared)
            if (await self._wanted()).adapter != wanted.adapter:  # rolled back or promoted meanwhile: the next look sees to the other
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
            await self._backend.unload(self._client, prepared)

    async def _watch(self) -> None:
        """Look for another adapter without being asked, keep the current one in memory, start a dead backend again."""
        touched = time.monotonic()
        while True:
            try:
                wanted, serving = await self._wanted(), self._serving
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
        last = self._backend.last_words()
        how = f"said nothing for {self._patience:.0f} s" if self._hung else "ended"
        if len(self._restarts) > _RESTARTS:
            self._broken = (
                f"{self._backend.name} ended or hung {len(self._restarts)} times within {_RESTART_WINDOW / 60:.0f} minutes and stays down; "
                f"see its log {self._backend.log}, then start `alas serve {self.name}` again"
            )
            await asyncio.to_thread(self._backend.stop)
            raise BackendError(f"{self._broken}\n{last}")
        self._say(f"{self.name}: {self._backend.name} {how}; it is started again. Its last words:\n{last}")
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
            if self._backend.alive and not isinstance(error, httpx2.TransportError):
                raise
            what, last = f"{self._backend.name} ended as it loaded a second model", self._backend.last_words()
            self._say(f"{self.name}: {what}; it is started again with that one alone. Its last words:\n{last}")
            self._serving = None  # a question to the old one would have the backend load it too
            try:
                await self._start(prepared)
                await self._load(prepared)
            except BaseException as alone:
                self._serving = before
                await asyncio.to_thread(self._backend.stop)  # the watch starts it again with the old one
                if isinstance(alone, (BackendError, httpx2.TransportError)):
                    raise _NotEvenAlone(f"it could not be loaded beside the old one nor alone: {alone or repr(alone)}") from alone
                raise

    async def _start(self, prepared: Prepared) -> None:
        await asyncio.to_thread(self._backend.stop)
        await self._backend.start(prepared)
        self._heard = time.monotonic()

    async def _load(self, prepared: Prepared) -> None:
        """Have a model in the backend's memory, and find out whether the backend hangs.

        Raises:
            BackendError: It is not in memory.
            httpx2.TransportError: The backend does not answer.
        """
        try:
            await self._backend.load(self._client, prepared)
        except httpx2.TimeoutException as error:
            self._hung = self._silent()
            raise BackendError(f"{self._backend.name} does not answer when it is to load a model; its log: {self._backend.log}") from error
        self._hung, self._heard = False, time.monotonic()

    def _silent(self) -> bool:
        """Tell whether the backend has said nothing to anybody for too long; one that is only busy answers others meanwhile."""
        return time.monotonic() - self._heard >= self._patience

    # -- requests -----------------------------------------------------------------------------------------------
    async def _chat(self, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused(415, "send the request as application/json")
        read = read_request(await _body(request), self.name, Decoding())
        if self._open >= _AT_ONCE:
            raise Refused(503, f"{_AT_ONCE} requests are open already; ask again in a moment", "service_unavailable", 2)
        self._open += 1
        keeps_its_place = False
        try:
            response = await self._answered(request, read)
            keeps_its_place = isinstance(response, _Stream)  # until it has ended
        except httpx2.TransportError as error:
            raise self._lost(error) from error
        finally:
            if not keeps_its_place:
                self._open -= 1
        return response

    async def _answered(self, request: Request, read: ChatRequest) -> Response:
        prepared = await self._answering()
        asked = read.without_markers(await asyncio.to_thread(_markers, prepared.folder))
        if why := await asyncio.to_thread(self._source.fits, asked):
            raise Refused(400, why)
        headers = {ADAPTER_HEADER: prepared.adapter or BASE}
        if asked.stream:
            return await self._streamed(request, asked, prepared, headers)
        url = f"{self._backend.url}/v1/chat/completions"
        reply = await _unless_gone(request, self._client.post(url, json=self._backend.body(asked, prepared)))
        self._heard = time.monotonic()
        body = self._checked(reply.status_code, reply.content, prepared)
        await self._still_allowed(prepared)
        for choice in body["choices"]:
            _cut(choice, "message", Stops(asked.more.get("stop", ())))
        return JSONResponse({**body, "model": self.name}, headers=headers)

    async def _streamed(self, request: Request, asked: ChatRequest, prepared: Prepared, headers: dict[str, str]) -> _Stream:
        context = self._client.stream("POST", f"{self._backend.url}/v1/chat/completions", json=self._backend.body(asked, prepared))
        reply = await _unless_gone(request, context.__aenter__())
        try:
            if reply.status_code != 200:
                self._checked(reply.status_code, await reply.aread(), prepared)
        except BaseException:
            await context.__aexit__(None, None, None)
            raise

        stops = Stops(asked.more.get("stop", ()))  # one, as there is one choice: `requests` takes no other n

        async def pieces() -> AsyncIterator[str]:
            looked = time.monotonic()
            try:
                async for line in reply.aiter_lines():
                    self._heard = time.monotonic()
                    if line.startswith("data:") and line[5:].strip() != "[DONE]":
                        if time.monotonic() - looked > LOOK_SECONDS:  # it reads more than whether an adapter was retired
                            await self._wanted()
                            looked = time.monotonic()
                        await self._not_retired(prepared)
                        piece = self._piece(line[5:], prepared)
                        for choice in piece["choices"]:
                            _cut(choice, "delta", stops)
                        yield f"data: {json.dumps(piece)}\n\n"
                if rest := stops.rest():  # of a backend that ends without a finish_reason
                    last = {"index": 0, "delta": {"content": rest}, "finish_reason": None}
                    yield f"data: {json.dumps({'object': 'chat.completion.chunk', 'model': self.name, 'choices': [last]})}\n\n"
                yield "data: [DONE]\n\n"
            except Refused as refused:
                yield f"data: {json.dumps(_error(refused))}\n\n"
            except httpx2.TransportError as error:
                yield f"data: {json.dumps(_error(self._lost(error)))}\n\n"

        async def ended() -> None:
            self._open -= 1
            await context.__aexit__(None, None, None)

        return _Stream(pieces(), ended, headers)

    async def _still_allowed(self, prepared: Prepared) -> None:
        """Hold an answer back whose adapter was taken down while it was computed.

        Raises:
            Refused: It was, or nothing may answer any more.
        """
        await self._wanted()
        await self._not_retired(prepared)

    async def _not_retired(self, prepared: Prepared) -> None:
        if await self._is_retired(prepared):
            raise Refused(503, f"the model of this answer was taken down; {self.name} answers again in a moment", "service_unavailable", 2)

    def _checked(self, status: int, raw: bytes, prepared: Prepared) -> dict[str, Any]:
        """Return a backend's reply, or say what was wrong with it.

        Raises:
            Refused: It is no answer.
        """
        try:
            body: Any = json.loads(raw)
        except ValueError:
            body = None
        choices = body.get("choices") if isinstance(body, dict) else None
        if status == 200 and isinstance(choices, list) and choices and all(isinstance(choice, dict) for choice in choices):
            return body
        words = json.dumps(body)[:500] if body is not None else f"{len(raw)} bytes that are no JSON"
        words = words.replace(str(prepared.folder), self.name)  # where things lie is nobody's business
        if 400 <= status < 500 and status != 404:
            raise Refused(400, f"{self._backend.name} did not take the request: {words}")
        raise Refused(502, f"{self._backend.name} failed with status {status}: {words}; its log: {self._backend.log.name}", "server_error")

    def _piece(self, raw: str, prepared: Prepared) -> dict[str, Any]:
        try:
            piece: Any = json.loads(raw)
        except ValueError:
            piece = None
        choices = piece.get("choices") if isinstance(piece, dict) and "error" not in piece else None
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            words = str(piece.get("error") if isinstance(piece, dict) else raw)[:500].replace(str(prepared.folder), self.name)
            raise Refused(502, f"{self._backend.name} broke off: {words}", "server_error")
        return {**piece, "model": self.name}

    def _lost(self, error: Exception) -> Refused:
        log.warning("%s: %s does not answer (%r); log %s", self.name, self._backend.name, error, self._backend.log)
        if isinstance(error, httpx2.ReadTimeout):
            if not self._silent():
                return Refused(503, f"{self._backend.name} has too much to do; ask again later", "service_unavailable", int(_RETRY_SECONDS))
            self._hung = True
        words = self._broken or f"{self._backend.name} does not answer; it is started again, ask again in a moment"
        return Refused(503, words, "service_unavailable", 5)

    # -- what is here -------------------------------------------------------------------------------------------
    async def _models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [await self._described()]})

    async def _model(self, request: Request) -> Response:
        if request.path_params["model"] != self.name:
            raise Refused(404, f'the one model that is here is "{self.name}"', "not_found_error")
        return JSONResponse(await self._described())

    async def _described(self) -> dict[str, Any]:
        entry: dict[str, Any] = {"id": self.name, "object": "model", "created": 0, "owned_by": "alas"}
        try:
            prepared = await self._answering()
        except Refused as refused:
            return {**entry, "alas": {"answers": False, "why": refused.words}}
        about = {
            "answers": True,
            "adapter": prepared.adapter or BASE,
            "iteration": prepared.iteration,
            "weights_sha256": prepared.weights,
            "release_hash": prepared.manifest,
            "precision": prepared.precision,
            "backend": self._backend.name,
        }
        return {**entry, "alas": about}

    async def _health(self, _: Request) -> Response:
        prepared = await self._answering()
        try:
            status = (await self._client.get(f"{self._backend.url}/health", timeout=_HEALTH_SECONDS)).status_code
        except httpx2.TransportError as error:
            raise Refused(503, f"{self._backend.name} does not answer ({type(error).__name__})", "service_unavailable", 5) from error
        if status != 200:
            raise Refused(503, f"{self._backend.name} says of itself that it is not well (status {status})", "service_unavailable", 5)
        return JSONResponse({"status": "ok", "adapter": prepared.adapter or BASE})


class _Stream(StreamingResponse):
    """A stream that calls `ended` when it is over, however it went.

    Its pieces cannot see to that themselves: where the client leaves before the first, nobody asks for them, and nothing in them runs.
    """

    def __init__(self, pieces: AsyncIterator[str], ended: Callable[[], Coroutine[Any, Any, None]], headers: dict[str, str]) -> None:
        super().__init__(pieces, media_type="text/event-stream", headers=headers)
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._ended()


@lru_cache(maxsize=8)
def _markers(folder: Path) -> re.Pattern[str]:
    return markers_of(folder)


async def _unless_gone(request: Request, call: Coroutine[Any, Any, _T]) -> _T:
    """Return what a call returns, or end it when the client has left: nobody reads the answer, and it would hold a place and the model.

    Raises:
        Refused: The client has left.
    """

    async def leaves() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    calling, leaving = asyncio.ensure_future(call), asyncio.ensure_future(leaves())
    try:
        await asyncio.wait({calling, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not calling.done():
            raise Refused(499, "the client has left")
        return calling.result()
    finally:
        for task in (calling, leaving):
            task.cancel()


def _told_of(prepared: Prepared) -> str:
    if not prepared.adapter:
        return "no adapter is current, so the base student, which was taught nothing,"
    return f"adapter {prepared.adapter} of iteration {prepared.iteration}"


async def _body(request: Request) -> bytes:
    """Read a body up to the limit, whatever length it states.

    Raises:
        Refused: It is longer.
    """
    read = bytearray()
    try:
        async for part in request.stream():
            read += part
            if len(read) > MAX_BYTES:
                raise Refused(413, f"the body is longer than {MAX_BYTES} bytes")
    except ClientDisconnect as error:
        raise Refused(400, "the body broke off") from error
    return bytes(read)


def _cut(choice: dict[str, Any], part: str, stops: Stops) -> None:
    """Leave a stop string, and what comes after it, out of a choice of a backend's reply."""
    is_last = part == "message" or bool(choice.get("finish_reason"))
    said = choice.get(part)
    content = said.get("content") if isinstance(said, dict) else None
    given = stops.take(content) if isinstance(content, str) else ""
    if is_last:
        given += stops.rest()
    if given or isinstance(content, str):
        choice[part] = {**(said or {}), "content": given}
    if stops.met and is_last:
        choice["finish_reason"] = "stop"


def _error(refused: Refused) -> dict[str, Any]:
    return {"error": {"message": refused.words, "type": refused.kind, "code": refused.status, "param": None}}


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    headers = {"retry-after": str(error.retry_after)} if error.retry_after else {}
    return JSONResponse(_error(error), status_code=error.status, headers=headers)


async def _no_such_path(request: Request, _: Exception) -> Response:
    return await _refuse(request, Refused(404, f"{_PATHS} here", "not_found_error"))


async def _no_such_method(request: Request, error: Exception) -> Response:
    reply = await _refuse(request, Refused(405, f"{request.method} is not understood here; {_PATHS}"))
    reply.headers.update(getattr(error, "headers", None) or {})  # names the methods that are
    return reply
