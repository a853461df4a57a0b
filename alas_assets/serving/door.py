"""The door in front of a backend: one stable model name, and behind it whatever the registry says is current (G4, G5).

Routes, answers and streams. Requests are read by `serving.requests`; which model answers, and whether the backend lives, is `current`'s.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from alas_assets.serving.backend import Prepared
from alas_assets.serving.current import BASE, LOOK_SECONDS, CurrentModel, Source
from alas_assets.serving.requests import MAX_BYTES, ChatRequest, Refused, read_request
from alas_assets.serving.stops import Stops
from alas_assets.students.answering import Decoding
from alas_assets.students.chat import markers_of

ADAPTER_HEADER = "x-alas-adapter"
_AT_ONCE = 64
_HEALTH_SECONDS = 10.0
_T = TypeVar("_T")
_PATHS = "there are POST /v1/chat/completions, GET /v1/models and GET /health"


class Door:
    """Serves one domain.

    Args:
        model: What answers.
        source: What the store says; the door asks it whether a request fits.
    """

    def __init__(self, model: CurrentModel, source: Source) -> None:
        self.name = model.name
        self._model, self._source, self._backend = model, source, model.backend
        self._open = 0

    def app(self) -> Starlette:
        """Return the application; its life is that of the model's watch, not of the backend, which whoever starts it also ends."""
        routes = [
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/models", self._models),
            Route("/v1/models/{model:path}", self._described_by_name),
            Route("/health", self._health),
        ]

        @asynccontextmanager
        async def living(_: Starlette) -> AsyncIterator[None]:
            async with self._model.living():
                yield

        return Starlette(routes=routes, lifespan=living, exception_handlers={Refused: _refuse, 404: _no_such_path, 405: _no_such_method})

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
            raise self._model.lost(error) from error
        finally:
            if not keeps_its_place:
                self._open -= 1
        return response

    async def _answered(self, request: Request, read: ChatRequest) -> Response:
        prepared = await self._model.ready()
        asked = read.without_markers(await asyncio.to_thread(_markers, prepared.folder))
        if why := await asyncio.to_thread(self._source.fits, asked):
            raise Refused(400, why)
        headers = {ADAPTER_HEADER: prepared.adapter or BASE}
        if asked.stream:
            return await self._streamed(request, asked, prepared, headers)
        url = f"{self._backend.url}/v1/chat/completions"
        reply = await _unless_gone(request, self._model.client.post(url, json=self._backend.body(asked, prepared)))
        self._model.heard()
        body = self._checked(reply.status_code, reply.content, prepared)
        await self._model.require_allowed(prepared)
        for choice in body["choices"]:
            _cut(choice, "message", Stops(asked.more.get("stop", ())))
        return JSONResponse({**body, "model": self.name}, headers=headers)

    async def _streamed(self, request: Request, asked: ChatRequest, prepared: Prepared, headers: dict[str, str]) -> _Stream:
        context = self._model.client.stream("POST", f"{self._backend.url}/v1/chat/completions", json=self._backend.body(asked, prepared))
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
                    self._model.heard()
                    if line.startswith("data:") and line[5:].strip() != "[DONE]":
                        if time.monotonic() - looked > LOOK_SECONDS:  # it reads more than whether an adapter was retired
                            await self._model.wanted()
                            looked = time.monotonic()
                        await self._model.require_standing(prepared)
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
                yield f"data: {json.dumps(_error(self._model.lost(error)))}\n\n"

        async def ended() -> None:
            self._open -= 1
            await context.__aexit__(None, None, None)

        return _Stream(pieces(), ended, headers)

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
        raise Refused(
            502,
            f"{self._backend.name} failed with status {status}: {words}; its log: {self._backend.log.name}",
            "server_error",
        )

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

    # -- what is here -------------------------------------------------------------------------------------------
    async def _models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [await self._described()]})

    async def _described_by_name(self, request: Request) -> Response:
        if request.path_params["model"] != self.name:
            raise Refused(404, f'the one model that is here is "{self.name}"', "not_found_error")
        return JSONResponse(await self._described())

    async def _described(self) -> dict[str, Any]:
        entry: dict[str, Any] = {"id": self.name, "object": "model", "created": 0, "owned_by": "alas"}
        try:
            prepared = await self._model.ready()
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
        prepared = await self._model.ready()
        try:
            status = (await self._model.client.get(f"{self._backend.url}/health", timeout=_HEALTH_SECONDS)).status_code
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
