"""Runs a real model behind a real OpenAI-compatible server: `transformers serve` with a local folder, on a free port of loopback.

The worst teacher there is. The server takes one call at a time, ignores `response_format` (it answers 200 with free text), and knows
one model, named as its folder. It needs fastapi (extra `serve`).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

START_SECONDS = 180


@dataclass(frozen=True)
class RealServer:
    """A running server.

    Attributes:
        url: Its base, for `teacher.url` and the client.
        model: The only model name that it knows.
        log: What it printed.
    """

    url: str
    model: str
    log: Path


@contextmanager
def real_server(student: Path, home: Path, threads: int = 1) -> Iterator[RealServer]:
    """Serve a student while the block runs.

    Args:
        student: Folder with safetensors, tokenizer and chat template.
        home: A folder for its log and its empty model cache.
        threads: CPU threads; one is fastest where other tests run beside it.
    """
    (home / "hub").mkdir(parents=True, exist_ok=True)  # without a cache folder the list of models is a server error
    port = _free_port()
    log = home / "server.log"
    environment = {
        **os.environ,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": str(threads),
    }
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(student), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--device", "cpu", "--dtype", "float32"]  # bf16 is several times slower on most CPUs
    with log.open("wb") as out, subprocess.Popen(command, env=environment, stdout=out, stderr=out) as server:
        try:
            _await_health(port, server, log)
            yield RealServer(f"http://127.0.0.1:{port}/v1", str(student), log)
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:  # it waits for the answer at hand
                server.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _await_health(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.2)
    raise RuntimeError(f"transformers serve did not come up:\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
