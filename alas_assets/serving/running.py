"""Running the door: its port, its end, and the end of the backend with it (G5). What it answers is `serving.door`."""

from __future__ import annotations

import asyncio
import errno
import socket

import uvicorn

from alas_assets.release.identity import ReleaseError
from alas_assets.serving.backend import Backend
from alas_assets.serving.door import Door


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ReleaseError: The port is taken, or the host is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(100)  # only listening tells: two may bind where neither listens yet
    except (OSError, OverflowError) as error:
        listener.close()
        taken = "is in use" if isinstance(error, OSError) and error.errno == errno.EADDRINUSE else f"cannot be used ({error})"
        raise ReleaseError(
            f"port {port} on {host} {taken}; stop what listens on it, or give --port (or ALAS_SERVE_PORT) another"
        ) from error
    return listener


def run(door: Door, backend: Backend, listener: socket.socket) -> None:
    """Serve until interrupted, then end the backend.

    Raises:
        KeyboardInterrupt: Ctrl-C; everything has ended by then.
    """
    config = uvicorn.Config(
        door.app(), log_level="warning", access_log=False, ws="none", server_header=False, timeout_graceful_shutdown=5, lifespan="on"
    )
    try:
        asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
    finally:
        backend.stop()
        listener.close()
