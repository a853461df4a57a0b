"""A stand-in for a model hub that speaks its wire format over a real socket: repositories, preupload, LFS, commits, paths' hashes.

It can be told to lose or change bytes. Nothing here is a hub's own code.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

TOKEN = "hf_stand_in_token"


class Hub:
    """What the hub holds, and what it was asked."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.tokens: set[str] = set()
        self.damages = ""  # a file whose bytes arrive changed
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length") or 0))
                path = self.path.partition("?")[0]
                hub.requests.append((self.command, path))
                if not path.startswith("/upload/"):
                    hub.tokens.add(self.headers.get("authorization", ""))
                status, body = hub.reply(self.command, path, raw, self.headers)
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                if status == 404:
                    self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = _do

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, repo: str, *, private: bool, **files: bytes) -> None:
        """Put a repository there."""
        self.repos[repo] = {"private": private, "files": {name.replace("__", "."): data for name, data in files.items()}, "lfs": set()}

    def reply(self, method: str, path: str, raw: bytes, headers: Any) -> tuple[int, Any]:
        if path.startswith("/upload/") and method == "PUT":
            self.objects[path.removeprefix("/upload/")] = raw
            return 200, {}
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"error": "Invalid credentials"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path == "/api/repos/create":
            asked = json.loads(raw)
            name = f"{asked['organization']}/{asked['name']}"
            self.add(name, private=asked.get("visibility") == "private")
            return 200, {"url": f"{self.url}/{name}", "name": name}
        if found := re.match(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch\Z", path):
            objects = json.loads(raw)["objects"]
            actions = [{**one, "actions": {"upload": {"href": f"{self.url}/upload/{one['oid']}"}}} for one in objects]
            return 200, {"transfer": "basic", "objects": actions}
        found = re.match(r"/api/models/([^/]+/[^/]+)(?:/(preupload|commit|paths-info)/[^/]+)?\Z", path)
        if not found or found[1] not in self.repos:
            return 404, {"error": "Repository not found"}
        return self._of_repo(found[1], found[2], raw)

    def _of_repo(self, name: str, what: str | None, raw: bytes) -> tuple[int, Any]:
        repo = self.repos[name]
        if what is None:
            siblings = [{"rfilename": file} for file in repo["files"]]
            return 200, {"id": name, "private": repo["private"], "siblings": siblings, "sha": "0" * 40, "tags": []}
        if what == "preupload":
            files = json.loads(raw)["files"]
            modes = [
                {"path": one["path"], "uploadMode": "lfs" if one["size"] > 10_000 else "regular", "shouldIgnore": False} for one in files
            ]
            return 200, {"files": modes}
        if what == "commit":
            for line in raw.splitlines():
                self._apply(repo, json.loads(line))
            return 200, {"success": True, "commitOid": "c" * 40, "commitUrl": f"{self.url}/{name}/commit/{'c' * 40}", "hookOutput": ""}
        wanted = parse_qs(raw.decode())["paths"]
        return 200, [self._said_of(repo, path) for path in wanted if path in repo["files"]]

    def _apply(self, repo: dict[str, Any], line: dict[str, Any]) -> None:
        value = line["value"]
        if line["key"] == "file":
            data = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            data = self.objects[value["oid"]]
            repo["lfs"].add(value["path"])
        else:
            if line["key"] == "deletedFile":
                repo["files"].pop(value["path"])
            return
        repo["files"][value["path"]] = data + b"!" if value["path"] == self.damages else data

    @staticmethod
    def _said_of(repo: dict[str, Any], path: str) -> dict[str, Any]:
        data = repo["files"][path]
        said = {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
        if path in repo["lfs"]:
            said["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return said


@contextmanager
def hub() -> Iterator[Hub]:
    """Run a stand-in hub on loopback."""
    running = Hub()
    try:
        yield running
    finally:
        running.server.shutdown()
        running.server.server_close()
