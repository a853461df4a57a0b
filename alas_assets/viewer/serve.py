"""Serves the sample site and the viewer on loopback, and lets several commands share one server.

A shared server lives while somebody holds a lease: an open connection, which the kernel closes when its holder dies.
What is served is `viewer.app`.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from starlette.types import ASGIApp, Receive, Scope, Send

from alas_assets.settings import Settings, load_settings
from alas_assets.viewer.app import IDENTITY, create_site_app, create_viewer_app, identity

HOST = "127.0.0.1"
LEASE = f"{IDENTITY}/lease"
SITE_SETTING = "ALAS_SITE_PORT"
VIEWER_SETTING = "ALAS_VIEWER_PORT"
_ANSWER_SECONDS = 3.0
_FIRST_LEASE_SECONDS = 60.0


class ServeError(RuntimeError):
    """The sites cannot be served; the message says what to change."""


class PortError(ServeError):
    """A port is taken by something else; the message names the setting to change."""


# ---------------------------------------------------------------------------------------------- using a server


@dataclass(frozen=True)
class _Place:
    port: int
    setting: str
    serves: str
    folder: Path


def ensure_port_free(port: int, setting_name: str) -> None:
    """Check that a loopback port can be listened on.

    Args:
        port: The TCP port.
        setting_name: The variable or option that chooses it.

    Raises:
        PortError: Something listens there already, or the port may not be used.
    """
    _listen(port, setting_name).close()


@contextmanager
def running(settings: Settings, start_seconds: float = 60.0) -> Iterator[None]:
    """Serve the sample site and the viewer while the block runs, in a process of their own.

    A server of the same site and store that another command started is shared; it ends with its last user, also when
    that is killed.

    Raises:
        PortError: A port is taken by something else, or by a server of another folder.
        ServeError: The site's folder is missing or the server did not come up in `start_seconds`.
    """
    if not settings.site.is_dir():
        raise ServeError(f"{settings.site}: no such folder; ALAS_DATA must name the data folder that holds the sample site")
    if settings.site_port == settings.viewer_port:
        raise PortError(f"{SITE_SETTING} and {VIEWER_SETTING} are both {settings.site_port}; give them different ports")
    places = [
        _Place(settings.site_port, SITE_SETTING, "site", settings.site),
        _Place(settings.viewer_port, VIEWER_SETTING, "store", settings.home),
    ]
    with tempfile.TemporaryFile() as log, ExitStack() as leases:
        started = _share_or_start(places, leases, log, start_seconds)
        try:
            yield
        finally:
            leases.close()
            _await_end(started, places)


def _share_or_start(places: list[_Place], leases: ExitStack, log: IO[bytes], seconds: float) -> list[subprocess.Popen[bytes]]:
    deadline = time.monotonic() + seconds
    started: list[subprocess.Popen[bytes]] = []
    wanted = list(places)
    while wanted:
        wanted = [place for place in wanted if not _try_lease(place, leases)]
        free = [place for place in wanted if _answer(place) is None]
        if free and all(child.poll() is not None for child in started):
            if len(started) >= 3:  # each ended before it answered; a lost race for the port costs one at most
                break
            started.append(_start(free, log))
        if time.monotonic() > deadline:
            break
        if wanted:
            time.sleep(0.05)
    if not wanted:
        return started
    for child in started:
        child.terminate()
        child.wait()
    log.seek(0)
    why = log.read().decode("utf-8", "replace").strip()[-500:]
    raise ServeError(
        f"the server of port {wanted[0].port} ({wanted[0].setting}) did not answer within {seconds:.0f} s: {why or 'no message'}"
    )


def _try_lease(place: _Place, leases: ExitStack) -> bool:
    """Hold a place if it is served as it should be; False where nothing listens there.

    Raises:
        PortError: It is served by something else.
    """
    answer = _answer(place)
    if answer is None:
        return False
    if answer != identity(place.serves, place.folder):
        what = f"{answer['serves']} {answer.get('folder')}" if answer.get("alas") else "something that is not ours"
        raise PortError(
            f"port {place.port} is taken by {what}, but {place.serves} {place.folder} is to be served there; "
            f"stop what listens on it, or give {place.setting} another port"
        )
    connection = http.client.HTTPConnection(HOST, place.port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", LEASE)
        response = connection.getresponse()
        if response.status != 200 or not response.readline():
            raise ConnectionError("the server is ending")
    except (OSError, http.client.HTTPException):
        connection.close()
        return False
    leases.callback(connection.close)
    leases.callback(response.close)
    return True


def _answer(place: _Place) -> dict[str, Any] | None:
    """Return what listens on a port says of itself; {} if it is not one of ours, None if nothing listens."""
    connection = http.client.HTTPConnection(HOST, place.port, timeout=_ANSWER_SECONDS)
    try:
        connection.connect()
    except ConnectionRefusedError:
        return None
    except OSError:
        return {}
    try:
        connection.request("GET", IDENTITY)
        raw = json.loads(connection.getresponse().read(10_000))
        return raw if isinstance(raw, dict) and raw.get("alas") == 1 and "serves" in raw else {}
    except (ConnectionResetError, http.client.RemoteDisconnected):
        return None  # one of ours that is just ending; if it is another's, the port is still taken when we try it
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    finally:
        connection.close()


def _start(places: list[_Place], log: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "alas_assets.viewer.serve", "--until-unused"]
    for place in places:
        option = "site" if place.serves == "site" else "store"
        command += [f"--{option}", str(place.folder), "--site-port" if option == "site" else "--port", str(place.port)]
    # a session of its own: Ctrl-C in one terminal must not end the server that another command shares
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _await_end(started: list[subprocess.Popen[bytes]], places: list[_Place]) -> None:
    """Wait until our server has ended, unless somebody else still holds it."""
    begun = time.monotonic()
    while any(child.poll() is None for child in started) and time.monotonic() < begun + 10:
        # our own lease may count for a moment after it was closed
        if time.monotonic() > begun + 1 and any(_holders(place) for place in places):
            return
        time.sleep(0.02)


def _holders(place: _Place) -> int:
    connection = http.client.HTTPConnection(HOST, place.port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", f"{LEASE}s")
        return int(connection.getresponse().read(20))
    except (OSError, ValueError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


# ---------------------------------------------------------------------------------------------- being the server


class _Shared:
    """Sends each request to the site of the port it came in on, and counts who holds the server."""

    def __init__(self, apps: dict[int, ASGIApp]) -> None:
        self._apps = apps
        self.leases = 0
        self.leased = False
        self.ending = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        server = scope.get("server")
        app = self._apps.get(server[1]) if server else None
        if scope["type"] != "http" or app is None:
            return
        if scope["path"] == LEASE and scope["method"] == "GET":
            await self._hold(receive, send)
        elif scope["path"] == f"{LEASE}s":
            await _say(send, 200, str(self.leases))
        else:
            await app(scope, receive, send)

    async def _hold(self, receive: Receive, send: Send) -> None:
        if self.ending:
            await _say(send, 503, "ending")
            return
        self.leases += 1
        self.leased = True
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"held\n", "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            self.leases -= 1


async def _say(send: Send, status: int, words: str) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": words.encode()})


def _listen(port: int, setting: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(100)  # only listening tells: two may bind where neither listens yet
    except (OSError, OverflowError) as error:
        listener.close()
        in_use = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        taken = "is in use" if in_use else f"cannot be used ({error})"
        raise PortError(f"port {port} on {HOST} {taken}; stop what listens on it, or give {setting} another port") from error
    return listener


async def _serve(shared: _Shared, sockets: list[socket.socket], until_unused: bool) -> None:
    import uvicorn

    config = uvicorn.Config(
        shared, log_level="warning", access_log=False, lifespan="off", ws="none", server_header=False, timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)

    async def end_when_unused() -> None:
        started = time.monotonic()
        while shared.leases or not (shared.leased or time.monotonic() - started > _FIRST_LEASE_SECONDS):
            await asyncio.sleep(0.05)
        shared.ending = server.should_exit = True

    watch = asyncio.create_task(end_when_unused()) if until_unused else None
    await server.serve(sockets=sockets)
    if watch is not None:
        watch.cancel()


def main(argv: list[str] | None = None) -> int:
    """Serve until interrupted; the exit code is 1 where a port or folder cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m alas_assets.viewer.serve", description="Serve the sample site and a store on loopback."
    )
    parser.add_argument("--site", type=Path, help="folder of the sample site")
    parser.add_argument("--site-port", type=int, default=8315)
    parser.add_argument("--store", type=Path, help="folder of the store")
    parser.add_argument("--port", type=int, default=8316, help="port of the store's viewer")
    parser.add_argument("--until-unused", action="store_true", help="end when no command holds the server any more")
    given = parser.parse_args(argv)
    if given.site is None and given.store is None:
        parser.error("give --site, --store or both")
    apps: dict[int, ASGIApp] = {}
    sockets: list[socket.socket] = []
    try:
        if given.site is not None:
            sockets.append(_listen(given.site_port, SITE_SETTING))
            apps[given.site_port] = create_site_app(given.site)
        if given.store is not None:
            sockets.append(_listen(given.port, VIEWER_SETTING))
            apps[given.port] = create_viewer_app(given.store, load_settings().lance)
    except (PortError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    asyncio.run(_serve(_Shared(apps), sockets, given.until_unused))
    return 0


if __name__ == "__main__":
    sys.exit(main())
