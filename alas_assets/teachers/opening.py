"""Opens the teacher that a domain file names, and says what decides its answers. What teachers do is in their own packages."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from alas_assets.domains.config import Domain
from alas_assets.teachers.protocol import Teacher

if TYPE_CHECKING:
    from alas_assets.teachers.llm import Trouble
    from alas_assets.teachers.llm.prompts import Form

TOLD_EVERY_SECONDS = 5.0


def open_teacher(
    domain: Domain,
    ledger: Path,
    cell: tuple[str, int] | None = None,
    log: Callable[[str], None] | None = None,
    on_trouble: Callable[[Trouble], None] | None = None,
) -> Teacher:
    """Return the domain's teacher; nothing is sent before it is first asked (P1, S1, E2, V1).

    Args:
        domain: The domain.
        ledger: Where paid answers are found and kept (O4).
        cell: Domain and iteration that pay; None for neither.
        log: Told of the running total every few seconds, and of what people should know (O5).
        on_trouble: Told of every answer of a model, or part of one, that cannot be used (S10).

    Raises:
        EndpointError: The endpoint's address or key cannot be used, or a cap in money cannot be kept because a price is unknown.
    """
    from alas_assets.teachers.extractive import ExtractiveTeacher

    if domain.teacher.kind == "extractive":
        return ExtractiveTeacher(context=domain.context, seed=domain.seed)
    from alas_assets.teachers.endpoint.client import open_endpoint
    from alas_assets.teachers.llm import Hooks, LanguageModelTeacher
    from alas_assets.teachers.llm.writing import MIX

    told = log or (lambda _: None)
    asker = open_endpoint(domain.teacher, domain.budget, ledger, cell, log=told, on_progress=_now_and_then(told))

    @cache
    def form_of(model: str) -> Form:
        found = asker.abilities(model)
        told(f"teacher {model}: {found.shown}")
        return found.answers

    return LanguageModelTeacher(
        asker,
        domain.teacher,
        form_of=form_of,
        description=domain.description,
        context=domain.context,
        min_topics=domain.budget.min_topics,
        mix=domain.mix.shares or MIX,
        hooks=Hooks(trouble=on_trouble),
    )


def decides(domain: Domain, *purposes: Literal["plan", "write", "judge", "revise"]) -> dict[str, Any]:
    """Return what a teacher's work for these purposes depends on: its settings and, where a model is asked, prompts and reading (O4)."""
    found = domain.teacher.what(*purposes)
    if domain.teacher.kind == "extractive":
        return found
    from alas_assets.teachers.endpoint.wire import endpoint_url, identity
    from alas_assets.teachers.llm.prompts import prompt_versions
    from alas_assets.teachers.llm.reading import READING_VERSION

    found["url"] = identity(endpoint_url(domain.teacher))  # where it comes from the environment, another server's answers are others
    read = [name for purpose in purposes for name in (("write", "paraphrase") if purpose == "write" else (purpose,))]
    if "write" in purposes:
        found |= {"description": domain.description, "mix": domain.mix.shares}
    return {**found, "prompts": {name: prompt_versions()[name] for name in read}, "reading": READING_VERSION}


def decides_a_verdict(domain: Domain) -> dict[str, Any]:
    """Return what one verdict depends on, answer, judge and neighbours in a call apart: under the same none is asked for again (O4).

    How replies are read is no part of it: a reply that could not be read gave no verdict, and those that could stay paid for.
    """
    found = {**decides(domain, "judge"), "judge": None, "page_chars": None}
    found.pop("reading", None)
    return found


def _now_and_then(log: Callable[[str], None]) -> Callable[[Any], None]:
    """Return a listener that passes the running total on, but not with every call."""
    last = time.monotonic()

    def listen(progress: Any) -> None:
        nonlocal last
        if time.monotonic() - last >= TOLD_EVERY_SECONDS:
            last = time.monotonic()
            log(f"teacher: {progress.shown}")

    return listen
