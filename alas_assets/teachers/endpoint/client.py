"""Answering a teacher's calls over an OpenAI-compatible endpoint: who is asked, and which calls of a batch are sent at all (S11, O4, O5).

What is asked is `teachers.llm`'s. How a call is sent is `session`'s, what is kept between batches `state`'s.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from alas_assets.blocking import run_blocking
from alas_assets.domains.config import Budget, TeacherSettings
from alas_assets.teachers.endpoint.calls import EndpointError, ModelCall, ModelReply
from alas_assets.teachers.endpoint.capabilities import Abilities
from alas_assets.teachers.endpoint.ledger import Ledger, reply_of
from alas_assets.teachers.endpoint.replay import Replay
from alas_assets.teachers.endpoint.session import Session, StoppedError, open_session
from alas_assets.teachers.endpoint.state import Progress, State, Tuning
from alas_assets.teachers.endpoint.wire import DEFAULT_URL, Question, call_key, endpoint_url

_REPLAYED_AT_ONCE = 400


def open_endpoint(
    settings: TeacherSettings,
    budget: Budget,
    ledger_path: Path,
    cell: tuple[str, int] | None = None,
    log: Callable[[str], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    tuning: Tuning | None = None,
) -> Endpoint | Replay:
    """Return what answers a teacher's calls: the endpoint, or the ledger alone where `teacher.replay` is set.

    The key is read from the environment now, and stays in the client's Authorization header and the list of what is redacted.

    Args:
        settings: The domain file's `[teacher]`.
        budget: The domain file's `[budget]`.
        ledger_path: `<home>/teacher.sqlite`.
        cell: Domain and iteration that pay; None for neither.
        log: Told in words of what people should know.
        on_progress: Told of the running total after every reply.
        tuning: How faults are waited for.

    Raises:
        EndpointError: The address or key cannot be used, or a cap in money cannot be kept because a price is unknown.
    """
    if settings.replay:
        return Replay(Ledger(ledger_path), settings, _checked_url(settings), cell)
    url, key = checked_access(settings)
    if log and (note := without_key(settings, key)):
        log(f"teacher: {note}")
    ledger = Ledger(ledger_path)
    return Endpoint(State(settings, budget, ledger, url=url, key=key, cell=cell, log=log, on_progress=on_progress, tuning=tuning))


def checked_access(settings: TeacherSettings) -> tuple[str, SecretStr]:
    """Return an endpoint's address and key; nothing is sent.

    Raises:
        EndpointError: One of them cannot be used; the message names the key of the domain file.
    """
    url, key = _checked_url(settings), SecretStr(os.environ.get(settings.key_env, "").strip())
    _check_key(key, settings.key_env, url)
    return url, key


def without_key(settings: TeacherSettings, key: SecretStr) -> str:
    """Say that the variable that a domain file names holds no key; "" where it does, or where none is named."""
    named = not key and "key_env" in settings.model_fields_set
    return f"{settings.key_env} (teacher.key_env) is not set in the environment, so calls go without a key" if named else ""


def _checked_url(settings: TeacherSettings) -> str:
    url = endpoint_url(settings)
    _check_url(url, "teacher.url" if settings.url else "OPENAI_BASE_URL")
    return url


def _check_url(url: str, where: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise EndpointError(f"{where} is not an http(s) URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise EndpointError(
            f"{where}: no user name, password or query may stand in the address of {parts.hostname}, where logs and tables would show "
            "it; the key belongs in the environment variable that teacher.key_env names"
        )


def _check_key(key: SecretStr, name: str, url: str) -> None:
    if not key and urlsplit(url).hostname == urlsplit(DEFAULT_URL).hostname:
        raise EndpointError(f"{name} is not set, and {urlsplit(url).hostname} answers nobody without a key (teacher.key_env)")
    if not all("!" <= character <= "~" for character in key.get_secret_value()):
        raise EndpointError(f"{name} holds characters that no key has, such as a space or a line break (teacher.key_env)")


class Endpoint:
    """An `Asker` over the network; `open_endpoint` makes one.

    Several threads may ask; their batches follow each other, so that the limits hold. `on_reply` must not ask again.

    Args:
        state: Whom to ask, who pays, and what is known so far.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self.settings = state.settings
        self.ledger = state.ledger
        self.url = state.url
        self.endpoint = state.endpoint
        self.progress = state.progress
        self._batches = threading.Lock()

    def __repr__(self) -> str:
        return f"Endpoint({self.endpoint!r}, model={self.settings.model!r})"

    def close(self) -> None:
        """Close the ledger's file."""
        self.ledger.close()

    def abilities(self, model: str) -> Abilities:
        """Return what the endpoint can do for a model, probing it if nobody has.

        Raises:
            EndpointError: It cannot be found out.
            BudgetSpentError: The cap leaves no room for a probe.
        """
        known = self._state.known_abilities(model)
        if known is None:
            with self._batches:
                known = run_blocking(self._probed(model))
        return known

    def ask(self, calls: Sequence[ModelCall], on_reply: Callable[[int, ModelReply], None] | None = None) -> list[ModelReply]:
        """Answer every call, one reply each, in order; many run at a time, and equal ones are sent once.

        Where the batch must stop, the calls under way are waited for and stored before the error is raised.

        Args:
            calls: What to ask.
            on_reply: Told of each reply with its place, as it comes.

        Raises:
            EndpointError: No further call makes sense.
            BudgetSpentError: The cap is reached.
        """
        with self._batches:
            batch = _Batch(self._state, calls, on_reply)
            batch.replay()
            if batch.missing:
                run_blocking(batch.send())
            return batch.replies()

    async def _probed(self, model: str) -> Abilities:
        async with open_session(self._state) as session:
            return await session.probe(model)


class _Batch:
    """The calls of one `ask`: which are in the ledger, which are equal, which are to be sent."""

    def __init__(self, state: State, calls: Sequence[ModelCall], on_reply: Callable[[int, ModelReply], None] | None) -> None:
        self._state = state
        self._calls = calls
        self._on_reply = on_reply
        self._replies: list[ModelReply | None] = [None] * len(calls)
        self._places: dict[str, list[int]] = {}
        for place, call in enumerate(calls):
            self._places.setdefault(call_key(call, state.endpoint), []).append(place)
        self.missing: list[str] = []

    def replay(self) -> None:
        """Answer what is in the ledger."""
        state = self._state
        for part in _parts(list(self._places), _REPLAYED_AT_ONCE):
            stored = state.ledger.get(part)
            state.ledger.replayed(state.cell, list(stored))
            for key in part:
                if key in stored:
                    state.progress.replayed += 1
                    self._deliver(key, reply_of(stored[key], replayed=True))
                else:
                    self.missing.append(key)

    async def send(self) -> None:
        """Send what is not, as many at a time as may be, and raise what stopped it once nothing is under way."""
        async with open_session(self._state) as session:
            for model in dict.fromkeys(self._calls[self._places[key][0]].model for key in self.missing):
                await session.probe(model)
            keys = iter(self.missing)
            workers = min(self._state.settings.concurrency, len(self.missing))
            await asyncio.gather(*(self._work(session, keys) for _ in range(workers)))
            if session.stopped_by is not None:
                raise session.stopped_by
            session.health.tell()

    def replies(self) -> list[ModelReply]:
        """Return the replies in order."""
        return [reply for reply in self._replies if reply is not None]

    async def _work(self, session: Session, keys: Iterator[str]) -> None:
        for key in keys:
            if session.stopped.is_set():
                return
            try:
                self._deliver(key, await session.reply(self._question(key)))
            except StoppedError:
                return
            except Exception as error:  # noqa: BLE001 - raised by `send` once the calls under way are stored
                session.stop(error)
                return

    def _question(self, key: str) -> Question:
        call = self._calls[self._places[key][0]]
        form = self._state.abilities[call.model].form_for(call)
        return Question(
            key=key,
            purpose=call.purpose,
            model=call.model,
            item=call.item,
            system=call.system,
            user=call.user,
            prompt=call.prompt,
            schema=call.answer_schema,
            form=form,
            max_tokens=call.max_tokens,
            temperature=call.temperature,
            attempt=call.attempt,
        )

    def _deliver(self, key: str, reply: ModelReply) -> None:
        for place in self._places[key]:
            self._replies[place] = reply
            if self._on_reply:
                self._on_reply(place, reply)
        self._state.on_progress(replace(self._state.progress))


def _parts(keys: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
