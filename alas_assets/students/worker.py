"""The child process in which models live: `python -m alas_assets.students.worker` (spec E5, O7).

Reads one JSON request a line on stdin and writes one JSON reply a line; `students.client` is its only caller. Libraries
are imported by the first operation that needs them, so embedding does not pay for answering.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

Emit = Callable[[dict[str, Any]], None]


class Worker:
    """Carries out requests one after the other and keeps what it loaded for the next."""

    def __init__(self) -> None:
        """Load nothing yet."""
        self._answerer: Any = None
        self._answerer_key: tuple[str, str] | None = None

    def handle(self, request: dict[str, Any], emit: Emit) -> Any:
        """Carry out one request and return its JSON result.

        Raises:
            ValueError: The operation is unknown.
        """
        operation, arguments = request["op"], request["args"]
        if operation == "prepare":
            return self._prepare(**arguments)
        if operation == "embed":
            return self._embed(**arguments)
        if operation == "answer":
            return self._answer(emit=emit, **arguments)
        if operation == "merge":
            return self._merge(**arguments)
        if operation == "margins":
            return self._margins(**arguments)
        raise ValueError(f"unknown operation {operation!r}")

    def _prepare(self, model: str, revision: str, models_dir: str) -> dict[str, Any]:
        from alas_assets.students.catalog import prepare_student

        return prepare_student(model, revision, Path(models_dir)).model_dump()

    def _embed(self, texts: list[str], embedder: str) -> list[list[float]]:
        from alas_assets.students.embedding import embed

        return embed(texts, embedder).tolist()

    def _answer(
        self, student: dict[str, Any], items: list[dict[str, Any]], adapter: str | None, decoding: dict[str, Any], emit: Emit
    ) -> list[dict[str, Any]]:
        from alas_assets.students.answering import AskItem, Decoding

        answers = self._student(student).answer(
            [AskItem(**item) for item in items],
            self._adapter(student, adapter),
            Decoding(**decoding),
            lambda done, total: emit({"progress": [done, total]}),
        )
        return [answer.model_dump() for answer in answers]

    def _merge(self, student: dict[str, Any], adapter: str | None, folder: str | None) -> dict[str, Any]:
        answerer = self._student(student)
        answerer.save_merged(self._adapter(student, adapter), Path(folder) if folder is not None else None)
        return {"precision": answerer.precision, "device": answerer.device}

    def _margins(
        self, student: dict[str, Any], said: list[dict[str, Any]], adapter: str | None, decoding: dict[str, Any]
    ) -> list[dict[str, Any]]:
        from alas_assets.students.answering import AskItem, Decoding

        texts = [(AskItem(**one["item"]), one["text"]) for one in said]
        found = self._student(student).margins(texts, self._adapter(student, adapter), Decoding(**decoding))
        return [one.model_dump() for one in found]

    @staticmethod
    def _adapter(student: dict[str, Any], adapter: str | None) -> Path | None:
        from alas_assets.students.answering import AdapterError, trained_on_another

        if adapter is None:
            return None
        if why := trained_on_another(Path(adapter), student["name"], student["base_hash"]):
            raise AdapterError(why)
        return Path(adapter)

    def _student(self, student: dict[str, Any]) -> Any:
        from alas_assets.students.answering import Answerer

        key = (student["folder"], student["base_hash"])
        if key != self._answerer_key:
            self._answerer, self._answerer_key = None, None  # the old student's memory is free before the new one loads
            self._answerer = Answerer(student["folder"])
            self._answerer_key = key
        return self._answerer


def _read_requests(source: TextIO, requests: queue.SimpleQueue[str]) -> None:
    """Pass lines on; at the end of stdin the parent is gone or done, so leave at once, even amid a request."""
    for line in source:
        requests.put(line)
    os._exit(0)


def main() -> None:
    """Serve requests until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides and closes stdin
    replies = os.fdopen(os.dup(1), "w", encoding="ascii", buffering=1)
    os.dup2(2, 1)  # whatever a library prints goes to the log and cannot corrupt a reply
    sys.stdout = sys.stderr
    source = os.fdopen(os.dup(0), "r", encoding="utf-8", newline="\n")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)  # a library that asks a question on stdin gets no answer instead of a request
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(source, requests), daemon=True).start()
    worker = Worker()
    while True:
        request = json.loads(requests.get())

        def emit(message: dict[str, Any], number: int = request["id"]) -> None:
            replies.write(json.dumps({"id": number, **message}) + "\n")
            replies.flush()

        try:
            emit({"result": worker.handle(request, emit)})
        except Exception as error:  # noqa: BLE001 - the parent raises it again; this process serves on
            traceback.print_exc()
            emit({"error": str(error) or repr(error), "type": type(error).__name__})


if __name__ == "__main__":
    main()
