"""Calls and endpoints for these tests; the waits are short, the sockets real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alas_assets.domains.config import Budget, TeacherSettings
from alas_assets.teachers.endpoint.calls import ModelCall
from alas_assets.teachers.endpoint.client import Endpoint, open_endpoint
from alas_assets.teachers.endpoint.state import Progress, Tuning

CELL = ("python-releases", 0)
QUICK = Tuning(window=0.5, patience=0.8, first_wait=0.02, longest_wait=0.2, longest_retry_after=0.2)
"""Gives up soon: for endpoints that are down."""
PATIENT = Tuning(window=0.5, patience=60.0, first_wait=0.02, longest_wait=0.2, longest_retry_after=0.2)
"""For endpoints that are up, however busy the machine is."""


def call(number: int, **changes: Any) -> ModelCall:
    """Return a writer's call that is like no other."""
    given: dict[str, Any] = {
        "purpose": "write",
        "model": "tiny",
        "item": f"topic {number}",
        "system": "Task: write",
        "user": f"question number {number}",
        "prompt": "writer@1",
        "max_tokens": 100,
    }
    return ModelCall(**given | changes)


def calls(count: int, **changes: Any) -> list[ModelCall]:
    return [call(number, **changes) for number in range(count)]


Opener = Callable[..., Endpoint]


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """Return a function that opens an endpoint on a server's URL with its own or the test's ledger."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def opened(
        url: str,
        budget: Budget | None = None,
        tuning: Tuning = PATIENT,
        ledger: str = "teacher.sqlite",
        cell: tuple[str, int] | None = CELL,
        log: Callable[[str], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        **settings: Any,
    ) -> Endpoint:
        given = {"api": "chat", "answers": "xml", "deadline_seconds": 10.0, "concurrency": 20} | settings
        made = open_endpoint(
            TeacherSettings(kind="openai", url=url, **({"model": "tiny"} | given)),
            budget or Budget(),
            tmp_path / ledger,
            cell,
            log=log,
            on_progress=on_progress,
            tuning=tuning,
        )
        return made  # type: ignore[return-value]

    return opened
