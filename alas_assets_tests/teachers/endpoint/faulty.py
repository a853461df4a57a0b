"""An OpenAI-compatible server over real sockets that answers, and fails in every way that servers fail, by plan.

It knows nothing of prompts: an answer is made from the text of the question. Run as a module it serves until it is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

FAULTS = ("busy", "busy_wait", "unavailable", "error", "reset", "drip", "truncated", "html", "broken", "empty", "length", "fenced")
"""Every fault that concerns one request; "length" and "fenced" are answers, though not good ones."""


@dataclass
class Seen:
    """One request as the server saw it."""

    at: float
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    fault: str


Plan = Callable[[int, dict[str, Any]], str]
"""What becomes of the request of that number: a fault's name, or "" for an answer."""


def mixed(share: float, seed: int, faults: Sequence[str] = FAULTS) -> Plan:
    """Return a plan that fails this share of all requests, evenly over the kinds."""
    drawn = random.Random(seed)
    return lambda _number, _body: drawn.choice(faults) if drawn.random() < share else ""


def always(fault: str) -> Plan:
    """Return a plan that never answers otherwise."""
    return lambda _number, _body: fault


def first(count: int, fault: str) -> Plan:
    """Return a plan that fails so many requests, and none after."""
    return lambda number, _body: fault if number < count else ""


@dataclass
class FaultServer:
    """The server; use it as a context manager, or `serve` it.

    Attributes:
        plan: What becomes of each request.
        latency: Seconds before an answer.
        models: Names that it knows.
        key: What the Authorization header must hold; empty: anything.
        schema: What becomes of a JSON schema: enforce, ignore, refuse.
        json_mode: What becomes of a request for any JSON.
        apis: Interfaces that it has.
        usage: Whether it counts tokens.
        counts: Makes what it counts, sent and received, from a request and an answer; None: a token for four characters.
        adds: What else stands in every answer, over what it would say there.
        echoes: Whether it repeats the Authorization header in the response's id and fingerprint.
        retry_after: What the header says.
        drip_seconds: Between two bytes of a slow answer.
        answer: Makes the text of an answer from a request.
        complaint: What it says to a request that is "bad".
        complaint_status: The status that it says it with.
        complaint_code: The code beside it.
        cuts: Makes what is left of an answer that has no room for all of it.
        ended: Its word for why an answer ended.
        refuses: Settings that its models do not take.
    """

    plan: Plan = lambda _number, _body: ""
    latency: float = 0.0
    models: tuple[str, ...] = ("tiny",)
    key: str = ""
    schema: str = "enforce"
    json_mode: str = "enforce"
    apis: tuple[str, ...] = ("chat", "responses")
    usage: bool = True
    counts: Callable[[dict[str, Any], str], tuple[int, int]] | None = None
    adds: dict[str, Any] = field(default_factory=dict)
    echoes: bool = False
    complaint: str = "This prompt cannot be used."
    complaint_status: int = 400
    complaint_code: str | None = None
    cuts: Callable[[dict[str, Any], str], str] | None = None
    ended: str | None = "stop"
    retry_after: str = "1"
    drip_seconds: float = 0.05
    answer: Callable[[dict[str, Any]], str] | None = None
    refuses: tuple[str, ...] = ()
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    knocks: list[Seen] = field(default_factory=list)
    running: int = 0
    most_running: int = 0

    # -- life -----------------------------------------------------------------------------------------------------
    def __enter__(self) -> FaultServer:
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        if not started.wait(10):
            raise RuntimeError("the fault server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(RuntimeError):  # it died, and its loop is closed
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def die(self) -> None:
        """Drop every connection and refuse all that follow; a plan calls it."""
        self._stop.set()

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self.serve(started.set))
        self._loop.close()

    async def serve(self, on_start: Callable[[], None] = lambda: None) -> None:
        """Serve until stopped."""
        self._stop = asyncio.Event()
        self._handlers: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        on_start()
        await self._stop.wait()
        server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    @property
    def url(self) -> str:
        """The base."""
        return f"http://127.0.0.1:{self.port}/v1"

    # -- what was seen ----------------------------------------------------------------------------------------------
    @property
    def asked(self) -> list[Seen]:
        """The requests for answers that were no probes."""
        return [s for s in self.seen if "birds" not in json.dumps(s.body)]

    @property
    def received(self) -> list[Seen]:
        """Every request, also those for the list of models."""
        return [*self.seen, *self.knocks]

    def most_in(self, window: float) -> int:
        """Return the most requests that arrived in any window of so many seconds."""
        return most_in([s.at for s in self.seen], window)

    # -- serving ----------------------------------------------------------------------------------------------------
    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._one(reader, writer):
                    pass
        finally:
            self._handlers.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in head[1:] if line)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        body = json.loads(raw) if raw else {}
        number = len(self.seen)
        fault = self.plan(number, body) if method == "POST" or self.plan(number, body) in ("key", "unavailable", "error") else ""
        (self.knocks if path.endswith("/models") else self.seen).append(Seen(time.monotonic(), path, headers, body, fault))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await self._reply(writer, path, headers, body, fault)
        finally:
            self.running -= 1

    async def _reply(self, writer: asyncio.StreamWriter, path: str, headers: dict[str, str], body: dict[str, Any], fault: str) -> bool:
        if path == "/stats":
            return await _send(writer, 200, {"at": [s.at for s in self.seen if s.path != "/stats"], "most_running": self.most_running})
        if fault == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            return False
        status = {"busy": 429, "busy_wait": 429, "unavailable": 503, "error": 500, "key": 401, "forbidden": 403, "quota": 429}.get(fault)
        wrong_key = self.key and headers.get("authorization") != f"Bearer {self.key}"
        if status or wrong_key:
            said = {
                "message": f"fault {fault or 'key'}; you sent {headers.get('authorization')}",
                "code": "insufficient_quota" if fault == "quota" else None,
            }
            return await _send(writer, status or 401, {"error": said}, {"Retry-After": self.retry_after} if fault == "busy_wait" else {})
        if path == "/v1/models":
            return await _send(writer, 200, {"data": [{"id": name} for name in self.models]})
        api = {"/v1/chat/completions": "chat", "/v1/responses": "responses"}.get(path, "")
        if api not in self.apis:
            return await _send(writer, 404, {"detail": "Not Found"})
        if refusal := self._refusal(body, fault):
            return await _send(writer, *refusal)
        await asyncio.sleep(self.latency)
        if fault == "html":
            return await _send(writer, 200, b"<!DOCTYPE html><html><body>Sign in</body></html>", {"Content-Type": "text/html"})
        answered = json.dumps(self._answered(body, api, fault) | self.adds | self._echo(headers)).encode()
        if fault == "broken":
            return await _send(writer, 200, answered[:-20] + b"}}")
        if fault == "truncated":
            return await _send(writer, 200, answered[: len(answered) // 2], {"Content-Length": str(len(answered))}, close=True)
        if fault == "drip":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answered))
            for byte in answered:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(self.drip_seconds)
            return True
        return await _send(writer, 200, answered)

    def _refusal(self, body: dict[str, Any], fault: str) -> tuple[int, dict[str, Any]] | None:
        if body.get("model") not in self.models:
            return 404, {"error": {"message": f"The model `{body.get('model')}` does not exist.", "code": "model_not_found"}}
        if fault == "filter":
            return 400, {"error": {"message": "The prompt was flagged.", "code": "content_filter"}}
        if fault == "bad":
            return self.complaint_status, {"error": {"message": self.complaint, "code": self.complaint_code}}
        for name in self.refuses:
            if name in body:
                instead = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
                return 400, {
                    "error": {"message": f"Unsupported parameter: '{name}'.{instead}", "code": "unsupported_parameter", "param": name}
                }
        kind = _form(body).get("type")
        if (kind == "json_schema" and self.schema == "refuse") or (kind == "json_object" and self.json_mode == "refuse"):
            return 400, {"error": {"message": "response_format is not supported", "param": "response_format"}}
        return None

    def _echo(self, headers: dict[str, str]) -> dict[str, str]:
        said = headers.get("authorization", "")
        return {"id": f"for {said}", "system_fingerprint": f"{'x' * 185} {said}"} if self.echoes else {}

    def _answered(self, body: dict[str, Any], api: str, fault: str) -> dict[str, Any]:
        form = _form(body)
        text = self.answer(body) if self.answer else f"answer to {user_text(body)[-40:]}"
        if form.get("type") == "json_schema" and self.schema == "enforce":
            text = json.dumps(_instance(form.get("schema") or form["json_schema"]["schema"]))
        elif form.get("type") == "json_object" and self.json_mode == "enforce":
            text = json.dumps({"said": text})
        if fault == "fenced":
            text = f"Sure, here it is:\n```json\n{text}\n```"
        whole, text = text, self.cuts(body, text) if self.cuts else text
        finish = "length" if fault == "length" or text != whole else self.ended
        sent, received = self.counts(body, text) if self.counts else (len(json.dumps(body)) // 4 + 1, len(text) // 4 + 1)
        if api == "chat":
            choices = [] if fault == "empty" else [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}]
            usage = {"prompt_tokens": sent, "completion_tokens": received}
            return {"id": "c", "model": body["model"], "choices": choices} | ({"usage": usage} if self.usage else {})
        message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
        usage = {"input_tokens": sent, "output_tokens": received}
        done: dict[str, Any] = {"status": "completed"}
        if finish == "length":
            done = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        return (
            {"id": "r", "model": body["model"], "output": [] if fault == "empty" else [message]}
            | done
            | ({"usage": usage} if self.usage else {})
        )


async def _send(
    writer: asyncio.StreamWriter, status: int, body: dict[str, Any] | bytes, headers: dict[str, str] | None = None, close: bool = False
) -> bool:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", "Content-Length": str(len(raw))} | (headers or {})
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + raw)
    await writer.drain()
    return not close


def _form(body: dict[str, Any]) -> dict[str, Any]:
    return body.get("response_format") or (body.get("text") or {}).get("format") or {}


def user_text(body: dict[str, Any]) -> str:
    """Return the question of a request."""
    return str(body["input"] if "input" in body else body["messages"][-1]["content"])


def _instance(schema: dict[str, Any]) -> Any:
    """Return a value that a schema allows."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        return {name: _instance(part) for name, part in schema.get("properties", {}).items()}
    return {"array": [], "integer": 1, "number": 1, "boolean": True}.get(schema.get("type", ""), "text")


def most_in(times: Sequence[float], window: float) -> int:
    """Return the most points in any window of so many seconds."""
    most, left = 0, 0
    ordered = sorted(times)
    for right, at in enumerate(ordered):
        while ordered[left] <= at - window:
            left += 1
        most = max(most, right - left + 1)
    return most


def kinds(server: FaultServer) -> Counter[str]:
    """Count what became of the requests."""
    return Counter(s.fault for s in server.seen)


def closed_port() -> Iterator[int]:
    """Give a port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def main() -> None:
    """Serve until killed; the first line printed is the base URL."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--share", type=float, default=0.0)
    parser.add_argument("--words", type=int, default=10)
    args = parser.parse_args()
    server = FaultServer(latency=args.latency, plan=mixed(args.share, 17), answer=lambda _: "word " * args.words)
    asyncio.run(server.serve(lambda: print(server.url, flush=True)))


if __name__ == "__main__":
    main()
