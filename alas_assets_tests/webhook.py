"""A webhook over real HTTP at a secret address, which can be down: then nobody listens on its port."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from alas_assets_tests.harness import free_port

SECRET = "/hooks/T0P-SECRET"


class Webhook:
    """What notices are posted to; down until `up`."""

    def __init__(self) -> None:
        self.port = free_port()
        self.statuses = [200]
        """What it answers one after the other; the last from then on."""
        self.seconds = 0.0
        """How long it takes for an answer."""
        self.asked = 0
        """How many posts came, answered or not."""
        self.posts: list[dict[str, Any]] = []
        """Every notice that was answered, whatever the answer."""
        self.taken: list[str] = []
        """The texts of those that it took."""
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where it is, or will be."""
        return f"http://127.0.0.1:{self.port}{SECRET}"

    def up(self) -> None:
        """Listen."""
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                notice = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = 404 if self.path != SECRET else hook.statuses.pop(0) if len(hook.statuses) > 1 else hook.statuses[0]
                hook.asked += 1
                time.sleep(hook.seconds)
                hook.posts.append(notice)
                if status == 200:
                    hook.taken.append(notice["text"])
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def down(self) -> None:
        """Listen no longer."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@contextmanager
def webhook() -> Iterator[Webhook]:
    """Make one that is down, and end it with the block."""
    hook = Webhook()
    try:
        yield hook
    finally:
        hook.down()
