"""Starts the stand-in as people do, as a process on a free port of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openai import OpenAI


@contextmanager
def stand_in(*arguments: str | Path) -> Iterator[str]:
    """Run the stand-in while the block runs, and give its base URL."""
    command = [sys.executable, "-m", "alas_assets.standin", *map(str, arguments), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            assert server.stdout is not None
            said = server.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+/v1", said)
            assert found, said + (server.stdout.read() if server.poll() is not None else "")
            yield found[0]
        finally:
            server.terminate()
            server.wait(20)


def client(url: str) -> OpenAI:
    return OpenAI(base_url=url, api_key="unused", max_retries=0, timeout=30)
