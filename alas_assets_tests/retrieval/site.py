"""A real local web site whose every answer a test decides; it remembers what was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from alas_assets.domains.config import Domain
from alas_assets.domains.sources import Sources

Answer = Callable[[BaseHTTPRequestHandler], None]


def page(title: str, body: str) -> bytes:
    """Return an HTML page whose article has this title and body."""
    return f"<!doctype html><html><head><title>{title}</title></head><body><main><h1>{title}</h1>{body}</main></body></html>".encode()


def say(body: bytes, content_type: str = "text/html; charset=utf-8", status: int = 200, **headers: str) -> Answer:
    """Answer with a fixed body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def go_to(target: str, status: int = 302) -> Answer:
    """Answer with a redirect."""
    return say(b"", status=status, Location=target.encode().decode("latin-1"))


def lead_to(target: str, seconds: int = 0) -> bytes:
    """Return the page that generators of static sites write where an address moved."""
    return (
        f'<!doctype html><html><head><title>Redirecting&hellip;</title><link rel="canonical" href="{target}">'
        f'<script>location="{target}"</script><meta http-equiv="refresh" content="{seconds}; url={target}"></head>'
        f'<body><h1>Redirecting&hellip;</h1><a href="{target}">Click here if you are not redirected.</a></body></html>'
    ).encode()


class Site:
    """Routes by path, and the paths asked for, in order."""

    def __init__(self, port: int, connections: list[str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.routes: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.connections = connections

    @property
    def paths(self) -> list[str]:
        """What was asked for, robots.txt apart."""
        return [path for path, _ in self.asked if path != "/robots.txt"]

    def sources(self, **changes: Any) -> Sources:
        """Settings that let this site be fetched quickly."""
        given: dict[str, Any] = {
            "seed_urls": (f"{self.url}/",),
            "private_hosts": (f"127.0.0.1:{self.port}",),
            "delay_seconds": 0,
            "timeout_seconds": 10,
        }
        return Sources(**(given | changes))

    def domain(self, **changes: Any) -> Domain:
        """A domain that lives on this site."""
        return Domain(
            key="little-site",
            title="A little site",
            description="Pages that a test serves from this machine.",
            sources=self.sources(**changes),
        )


@contextmanager
def serving() -> Iterator[Site]:
    """Serve on a free port of 127.0.0.1 until the block ends."""
    connections: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.asked.append((self.path, dict(self.headers)))
            site.routes.get(self.path, say(b"not here", status=404))(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> Any:
            request = super().get_request()
            connections.append(str(request[1]))
            return request

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # the client hung up, as many tests want it to

    server = Server(("127.0.0.1", 0), Handler)
    site = Site(server.server_port, connections)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
