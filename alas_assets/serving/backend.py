"""The servers that compute: a process on a loopback port of its own, watched, and ended with us (G5).

Two kinds: `transformers serve`, which is given merged folders, and vLLM, which is given adapters. What clients see is `serving.door`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2

from alas_assets.release.environment import bare_environment
from alas_assets.release.identity import DTYPES, ReleaseError
from alas_assets.serving.requests import ChatRequest
from alas_assets.students.answering import Precision
from alas_assets.students.chat import adapter_template

HOST = "127.0.0.1"
START_SECONDS = 300.0
IDLE_SECONDS = 180
"""After so long without a request `transformers serve` drops a model; the door asks for the current one more often."""
_TAIL_BYTES = 2_000


class BackendError(ReleaseError):
    """The server that computes is not there, or does not do what it should; the message has its log."""


@dataclass(frozen=True)
class Prepared:
    """A model that is ready to be given to a backend.

    Attributes:
        adapter: The adapter's hash; "" for the base student.
        iteration: The iteration that promoted it; -1 for the base student.
        folder: What the backend loads: a merged folder, or the adapter's.
        weights: SHA-256 of the weights' file.
        manifest: Hash of the folder's `release.json`; "" where there is none.
        precision: What it computes in.
        device: Where evaluation computed.
        stops: Ids of the tokens that end an answer.
        pad: Id of the padding token.
    """

    adapter: str
    iteration: int
    folder: Path
    weights: str
    manifest: str
    precision: Precision
    device: str
    stops: tuple[int, ...]
    pad: int


class Backend(ABC):
    """One server process and how it is talked to.

    Args:
        log: Takes what it prints.
    """

    name: str

    def __init__(self, log: Path) -> None:
        self.log = log
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    # -- what differs -------------------------------------------------------------------------------------------
    @abstractmethod
    def command(self, port: int, prepared: Prepared) -> list[str]:
        """Return the command that listens on a loopback port.

        Raises:
            BackendError: The program is not installed; the message says how to get it.
        """

    @abstractmethod
    def model_name(self, prepared: Prepared) -> str:
        """Return what the backend calls a model."""

    @abstractmethod
    async def load(self, client: httpx2.AsyncClient, prepared: Prepared) -> None:
        """Have a model in memory; at once where it is there already.

        Raises:
            BackendError: It cannot be loaded.
            httpx2.TransportError: The backend does not answer.
        """

    @abstractmethod
    async def unload(self, client: httpx2.AsyncClient, prepared: Prepared) -> None:
        """Let go of a model that is not to answer again."""

    def body(self, request: ChatRequest, prepared: Prepared) -> dict[str, Any]:
        """Return what the backend is asked."""
        return {
            "model": self.model_name(prepared),
            "messages": request.messages,
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "stream": request.stream,
            **request.more,
        }

    def environment(self) -> Mapping[str, str]:
        """Return variables that the command needs."""
        return {}

    # -- the process --------------------------------------------------------------------------------------------
    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    async def start(self, prepared: Prepared) -> None:
        """Start the process on a free port and wait until it answers.

        Raises:
            BackendError: It did not come up; the message has its last words.
        """
        self.stop()
        port = free_port()
        command = self.command(port, prepared)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        # the wrapper ends the server, and all that it starts, when we are gone, however we went
        wrapper = [sys.executable, "-m", "alas_assets.training.launch", "--log", str(self.log), "--grace", "3", "--", *command]
        self._process = subprocess.Popen(
            wrapper,
            env=bare_environment(**self.environment()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is the door's, which ends both
        )
        url, deadline = f"http://{HOST}:{port}", asyncio.get_running_loop().time() + START_SECONDS
        async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
            while self.alive and asyncio.get_running_loop().time() < deadline:
                with contextlib.suppress(httpx2.TransportError):
                    if (await client.get(f"{url}/health")).status_code == 200:
                        self.url = url
                        return
                await asyncio.sleep(0.2)
        why = f"did not answer within {START_SECONDS:.0f} s" if self.alive else "ended before it answered"
        self.stop()
        raise BackendError(f"{self.name} {why}; its log {self.log}:\n{self.last_words()}")

    def stop(self) -> None:
        """End the process and everything that it started."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def last_words(self) -> str:
        """Return the end of what this process wrote to its log."""
        try:
            with self.log.open("rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(max(self._log_start, log.tell() - _TAIL_BYTES))
                return log.read().decode("utf-8", "replace").strip() or "(empty)"
        except OSError as error:
            return f"(cannot be read: {error})"


class TransformersBackend(Backend):
    """`transformers serve`: a model is named by its folder, loaded at first use and dropped when idle."""

    name = "transformers serve"

    def command(self, port: int, prepared: Prepared) -> list[str]:
        """Return the command; see the class."""
        program = Path(sys.executable).with_name("transformers")
        if not program.is_file() or find_spec("fastapi") is None:
            raise BackendError("serving needs `transformers serve` and fastapi: pip install 'alas-assets[serve]'")
        device = "cuda:0" if prepared.device == "cuda" else prepared.device
        options = ["--host", HOST, "--port", str(port), "--device", device, "--dtype", "auto", "--model-timeout", str(IDLE_SECONDS)]
        return [str(program), "serve", *options]

    def model_name(self, prepared: Prepared) -> str:
        """Return the folder."""
        name = str(prepared.folder)
        if "@" in name or ":" in name:
            raise BackendError(
                f"`transformers serve` cannot load from {name}: '@' and ':' mean something else to it; move the store (ALAS_HOME)"
            )
        return name

    def body(self, request: ChatRequest, prepared: Prepared) -> dict[str, Any]:
        """Return what the backend is asked; it samples only where a generation configuration says so."""
        body = super().body(request, prepared)
        if request.temperature > 0:
            sampled = {"do_sample": True, "temperature": request.temperature, "max_new_tokens": request.max_tokens}
            body["generation_config"] = json.dumps({**sampled, "eos_token_id": list(prepared.stops), "pad_token_id": prepared.pad})
        return body

    async def load(self, client: httpx2.AsyncClient, prepared: Prepared) -> None:
        """Load a folder, following the progress that the server streams until it says that the model is ready."""
        last: dict[str, Any] = {}
        asked = {"model": self.model_name(prepared)}
        async with client.stream("POST", f"{self.url}/load_model", json=asked) as reply:
            async for line in reply.aiter_lines():
                if line.startswith("data:"):
                    last = json.loads(line[5:])
        if last.get("status") != "ready":
            why = last.get("message") or f"status {last.get('status', reply.status_code)}"
            raise BackendError(f"{self.name} cannot load {prepared.folder}: {why}; its log: {self.log}")

    async def unload(self, client: httpx2.AsyncClient, prepared: Prepared) -> None:
        """Do nothing: nobody asks for the folder any more, and it is dropped when it was idle long enough."""


class VllmBackend(Backend):
    """`vllm serve` with the base student, to which adapters are added while it runs.

    Never run against a real vLLM, which could not be installed where this was written: the wire is tested against a stand-in.

    Args:
        log: Takes what it prints.
        base: The base student's folder, or its name on a hub.
        max_rank: The largest rank that it is to take (`export.vllm_rank`).
        program: The command; `vllm` on the path by default.
    """

    name = "vllm serve"
    _BASE = "base"

    def __init__(self, log: Path, base: str, max_rank: int, program: tuple[str, ...] = ()) -> None:
        super().__init__(log)
        self._base, self._rank, self._program = base, max_rank, program

    def command(self, port: int, prepared: Prepared) -> list[str]:
        """Return the command; see the class."""
        program = list(self._program)
        if not program:
            found = shutil.which("vllm")
            if found is None:
                raise BackendError(
                    "--with vllm needs the command `vllm` on the path: pip install vllm, in an environment of its own if need be"
                )
            program = [found]
        options = ["--host", HOST, "--port", str(port), "--served-model-name", self._BASE, "--dtype", DTYPES[prepared.precision]]
        template = self.log.with_suffix(".jinja")  # vLLM would ask with the base's own, which may be another than evaluation's, or none
        template.parent.mkdir(parents=True, exist_ok=True)
        template.write_text(adapter_template(prepared.folder), encoding="utf-8")
        options += ["--chat-template", str(template)]
        return [*program, "serve", self._base, *options, "--enable-lora", "--max-lora-rank", str(self._rank)]

    def environment(self) -> Mapping[str, str]:
        """Let adapters be loaded at run time; the port is loopback's and the door hands none of these calls on."""
        return {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}

    def model_name(self, prepared: Prepared) -> str:
        """Return the adapter's hash, which is the name it was loaded under."""
        return prepared.adapter or self._BASE

    async def load(self, client: httpx2.AsyncClient, prepared: Prepared) -> None:
        """Add the adapter, unless the server has it already."""
        listed = await client.get(f"{self.url}/v1/models")
        names = {one.get("id") for one in listed.json().get("data", [])} if listed.status_code == 200 else set()
        if self.model_name(prepared) in names:
            return
        asked = {"lora_name": self.model_name(prepared), "lora_path": str(prepared.folder)}
        reply = await client.post(f"{self.url}/v1/load_lora_adapter", json=asked)
        if reply.status_code != 200:
            raise BackendError(f"{self.name} cannot load {prepared.folder}: {reply.status_code} {reply.text[:500]}; its log: {self.log}")

    async def unload(self, client: httpx2.AsyncClient, prepared: Prepared) -> None:
        """Take the adapter away."""
        if prepared.adapter:
            reply = await client.post(f"{self.url}/v1/unload_lora_adapter", json={"lora_name": prepared.adapter}, timeout=60)
            if reply.status_code not in (200, 404):
                raise BackendError(f"{self.name} did not let go of adapter {prepared.adapter[:12]}: {reply.status_code} {reply.text[:200]}")


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
