"""A real local server that speaks a search provider's wire format, faults included, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from alas_assets.domains.sources import Sources

KEY = "k3y-c4nary-0123456789"
VARIABLE = "ALAS_TEST_SEARCH_KEY"


@dataclass
class Request:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Provider:
    """Answers every request with the next of its answers, and with the last one from then on."""

    url: str
    port: int
    answers: list[tuple[int, bytes, dict[str, str]]] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    drip: float = 0.0  # seconds between two bytes

    def answer(self, body: object, status: int = 200, **headers: str) -> None:
        """Add an answer; bytes as they are, anything else as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.append((status, raw, {name.replace("_", "-"): value for name, value in headers.items()}))

    def sources(self, provider: str, **changes: Any) -> Sources:
        """Settings that ask this server."""
        search = {"provider": provider, "url": self.url, "key_env": "" if provider == "searxng" else VARIABLE, **changes.pop("search", {})}
        given = {"private_hosts": [f"127.0.0.1:{self.port}"], "timeout_seconds": 10, "delay_seconds": 0, "search": search}
        return Sources.model_validate(given | changes)


@contextmanager
def providing() -> Iterator[Provider]:
    """Serve on a free port of 127.0.0.1 until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            provider.asked.append(
                Request(self.command, parts.path, dict(parse_qsl(parts.query)), headers, json.loads(sent) if sent else None)
            )
            status, body, extra = provider.answers[min(len(provider.asked), len(provider.answers)) - 1]
            self.send_response(status)
            for name, value in ({"Content-Type": "application/json", "Content-Length": str(len(body))} | extra).items():
                self.send_header(name, value)
            self.end_headers()
            if not provider.drip:
                self.wfile.write(body)
                return
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(provider.drip)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # the client hung up, as some tests want it to

    server = Server(("127.0.0.1", 0), Handler)
    provider = Provider(f"http://127.0.0.1:{server.server_port}", server.server_port)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
