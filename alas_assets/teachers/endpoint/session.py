"""Sending calls: one retry loop, one deadline, a bounded rate, a hard cap, answers stored before use (S11, O4).

What outlives a session is `state`'s, what an outcome says of the endpoint `health`'s, which calls are sent at all `client`'s.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx2
import openai
from openai import AsyncOpenAI

from alas_assets.teachers.endpoint.budget import Overrun
from alas_assets.teachers.endpoint.calls import EndpointError, ModelReply
from alas_assets.teachers.endpoint.capabilities import Abilities, ProbeError, probe
from alas_assets.teachers.endpoint.faults import Fault, fault_of
from alas_assets.teachers.endpoint.health import Health
from alas_assets.teachers.endpoint.ledger import AttemptRow, CallRow, failed_reply, now, reply_of
from alas_assets.teachers.endpoint.prices import Cost
from alas_assets.teachers.endpoint.state import State
from alas_assets.teachers.endpoint.transport import open_client, request_options
from alas_assets.teachers.endpoint.wire import (
    FORM_SETTINGS,
    Answer,
    Api,
    Dialect,
    MalformedError,
    Question,
    answer_bound,
    body,
    path,
    prompt_bound,
    read_answer,
)

_POLL_SECONDS = 0.05
_MESSAGE_SHOWN = 340
"""Characters of a fault's or a refusal's words that are kept."""


class StoppedError(Exception):
    """Another call of the batch has found that none makes sense any more."""


@asynccontextmanager
async def open_session(state: State) -> AsyncIterator[Session]:
    """Give a session whose connections are closed at its end."""
    settings = state.settings
    async with open_client(state.url, state.key, settings.concurrency, settings.deadline_seconds) as client:
        yield Session(state, client)


class Session:
    """Sends the calls of one batch; `open_session` makes one.

    Args:
        state: What outlives it.
        client: Its connections.
    """

    def __init__(self, state: State, client: AsyncOpenAI) -> None:
        self._state = state
        self._client = client
        self._options = request_options(state.key)
        self._one_at_a_time = asyncio.Lock()
        self._in_line = asyncio.Lock()
        self._jitter = random.Random(17)  # noqa: S311 - spreads retries, decides nothing
        self.health = Health(state, client, self._options)
        self.stopped = asyncio.Event()
        self.stopped_by: Exception | None = None

    def stop(self, error: Exception) -> None:
        """Let no further call go; the first reason counts."""
        if self.stopped_by is None:
            self.stopped_by = error
        self.stopped.set()

    async def probe(self, model: str) -> Abilities:
        """Return what the endpoint can do for a model, asking it if nobody has."""
        state = self._state
        known = state.known_abilities(model)
        if known is None:
            try:
                known = await probe(state.settings, model, state.endpoint, self._probe)
            except ProbeError as error:
                problem = error.fault
            else:
                if known.is_clear:
                    state.ledger.put_abilities(state.endpoint, model, known.as_dict())
                state.abilities[model] = known
                return known
            await self.health.raise_if_final(problem, model)
            raise state.error(
                f"{state.endpoint} could not be asked what it can do: it {problem.message}; "
                "set teacher.api and teacher.answers to skip these probes"
            )
        return known

    async def _probe(self, question: Question, api: Api) -> CallRow | Fault:
        found = self._earlier(question) or await self._finish(question, api)
        if isinstance(found, Fault) and self._state.is_down:
            raise ProbeError(found)
        return found

    async def reply(self, question: Question) -> ModelReply:
        """Send a call to the end of its retries.

        Raises:
            EndpointError: No further call makes sense.
            BudgetSpentError: The cap is reached.
        """
        state = self._state
        if (earlier := self._earlier(question)) is not None:
            return reply_of(earlier, replayed=True)
        found = await self._finish(question, state.abilities[question.model].api)
        if isinstance(found, CallRow):
            return reply_of(found, replayed=False)
        await self.health.raise_if_final(found, question.model)
        state.progress.failed += 1
        return failed_reply(question.key, found.kind, found.message, replayed=False)

    # -- one call -----------------------------------------------------------------------------------------------
    def _earlier(self, question: Question) -> CallRow | None:
        """Return the answer that the ledger holds by now, because another process was faster, and record its use."""
        state = self._state
        earlier = state.ledger.get([question.key]).get(question.key)
        if earlier is not None:
            state.ledger.replayed(state.cell, [question.key])
            state.progress.replayed += 1
        return earlier

    async def _finish(self, question: Question, api: Api) -> CallRow | Fault:
        """Attempt a call until it is answered, fails for good, or has had its attempts."""
        state = self._state
        used = 0
        while True:
            found, counts = await self._in_turn(question, api, last=used + 1 >= state.settings.attempts)
            if isinstance(found, CallRow):
                return found
            if found.kind == "setting" and found.scope == "transient":
                continue
            used += counts
            if found.scope != "transient" or used >= state.settings.attempts or state.is_down:
                return found
            await self._sleep(self._pause(found, used))

    def _learn(self, question: Question, sent_as: Dialect, fault: Fault) -> Fault:
        """Ask a model otherwise after it refused a setting; the fault passes if there is another way.

        A probe asks whether a form is refused, so that refusal is its answer.
        """
        model, learnt = question.model, sent_as.without(fault.setting)
        if learnt == sent_as or (question.purpose == "probe" and fault.setting in FORM_SETTINGS):
            return fault
        if self._state.dialects.get(model, Dialect()) == sent_as:
            self._state.dialects[model] = learnt
            self._state.log(f"teacher {model}: takes no {fault.setting}; asked without it from now on")
        return replace(fault, scope="transient")

    def _pause(self, fault: Fault, used: int) -> float:
        """Return seconds before the next attempt, after so many.

        Who is busy and does not say how long may mean a quota by the minute: all pauses of a call together are then as long as its window.
        """
        tuning = self._state.tuning
        pause = min(tuning.longest_wait, tuning.first_wait * 2 ** max(0, used - 1)) * self._jitter.uniform(0.5, 1.0)
        if fault.kind == "busy" and fault.wait is None:
            pause = max(pause, tuning.window * 2.0 ** (used - 1) / (2.0 ** (self._state.settings.attempts - 1) - 1))
        return max(pause, min(fault.wait or 0.0, tuning.longest_retry_after))

    async def _in_turn(self, question: Question, api: Api, last: bool) -> tuple[CallRow | Fault, bool]:
        """Attempt a call once, alone while it is not known that the endpoint is up; also tell whether the attempt counts."""
        state = self._state
        if not state.is_healthy:
            async with self._one_at_a_time:
                self._check()
                if not state.is_healthy:
                    at = time.monotonic()
                    await self._sleep(max(state.circuit.wait(at), state.busy.wait(at)))
                    found = await self._attempt(question, api, last, alone=True)
                    if isinstance(found, Fault) and question.purpose != "probe":
                        await self._stop_if_final(found, question.model)  # before the next one takes its turn
                    # nobody answers the door: that is not this call's fault, and the circuit ends it
                    return found, not (isinstance(found, Fault) and found.kind == "connection")
        return await self._attempt(question, api, last), True

    async def _stop_if_final(self, fault: Fault, model: str) -> None:
        try:
            await self.health.raise_if_final(fault, model)
        except EndpointError as error:
            self.stop(error)
            raise

    async def _attempt(self, question: Question, api: Api, last: bool, alone: bool = False) -> CallRow | Fault:
        """Send a call once, within its turn, and store what came of it; `alone`: to find out whether the endpoint is up."""
        state = self._state
        cost = state.cost(question.model)
        overrun = state.overruns.setdefault(question.model, Overrun())
        aside, reservation = await self._reserved(question, cost, overrun)
        bound, money_bound = sum(aside), cost(*aside) if cost else 0.0
        try:
            await self._turn(bound)
        except BaseException:
            overrun.out -= 1
            state.ledger.release(reservation)
            raise
        dialect = state.dialects.get(question.model, Dialect())
        took = 0
        try:
            silence = await self.health.silence()
            started = time.monotonic()  # the list of models is no part of a call's latency
            found = silence or await self._sent(question, api, dialect)
            latency = time.monotonic() - started
            if isinstance(found, Answer):
                row = self._row(question, found, cost, latency)
                took = row.tokens
                self.health.note_success(row)
                stored = state.ledger.put(row, reservation)
                overrun.learn(aside, (row.prompt_tokens, row.completion_tokens))
                return stored
            took = bound if found.billed else 0
            if found.setting:
                found = self._learn(question, dialect, found)
            found = self.health.weighed(found, question.model)
            self.health.note_fault(found, question, latency)
            waited_for = found.kind == "setting" or (found.kind == "connection" and alone)
            ends = found.scope != "transient" or (last and not waited_for)
            self._store_fault(found, question, latency, ends, (took, money_bound if found.billed else 0.0), reservation)
            return found
        finally:
            state.tokens.end(time.monotonic(), bound, took)
            state.width.running -= 1
            overrun.out -= 1

    async def _sent(self, question: Question, api: Api, dialect: Dialect) -> Answer | Fault:
        deadline = self._state.settings.deadline_seconds
        try:
            async with asyncio.timeout(deadline):
                response = await self._client.post(
                    path(api), body=body(question, api, dialect), cast_to=httpx2.Response, options=self._options
                )
            return read_answer(response.content, api)
        except (openai.OpenAIError, TimeoutError, MalformedError) as error:
            fault = fault_of(error, deadline)
        # outside of the except block: no error is chained to an exception whose text may repeat the key
        return replace(fault, message=self._state.clean(fault.message)[:_MESSAGE_SHOWN])

    def _row(self, question: Question, answer: Answer, cost: Cost | None, latency: float) -> CallRow:
        state = self._state
        said = answer.text + answer.refusal
        # None or 0 for what is there: the server does not count
        sent = answer.prompt_tokens or prompt_bound(question)
        received = answer.completion_tokens or (answer_bound(said) if said or answer.completion_tokens is None else 0)
        counted = (sent, received) == (answer.prompt_tokens, answer.completion_tokens)
        request = {
            "system": state.clean(question.system),
            "user": state.clean(question.user),
            "schema": question.schema,
            "form": question.form,
            "max_tokens": question.max_tokens,
            "temperature": question.temperature,
        }
        notes = answer.meta | ({"refusal": answer.refusal} if answer.refusal else {})
        meta = {name: state.clean(value)[:_MESSAGE_SHOWN] if isinstance(value, str) else value for name, value in notes.items()}
        return CallRow(
            key=question.key,
            endpoint=state.endpoint,
            model=question.model,
            purpose=question.purpose,
            item=state.clean(question.item),
            prompt=question.prompt,
            attempt=question.attempt,
            request=json.dumps(request, ensure_ascii=False, separators=(",", ":")),
            text=state.clean(answer.text),
            finish="filtered" if answer.refusal else answer.finish,
            meta=json.dumps(meta, ensure_ascii=False, separators=(",", ":")),
            prompt_tokens=sent,
            completion_tokens=received,
            estimated=not counted,
            money=cost(sent, received) if cost else None,
            currency=state.progress.currency,
            latency=latency,
            at=now(),
            domain=state.cell[0],
            iteration=state.cell[1],
        )

    def _store_fault(
        self, fault: Fault, question: Question, latency: float, ends: bool, charged: tuple[int, float], reservation: int | None
    ) -> None:
        state = self._state
        state.ledger.put_attempt(
            AttemptRow(
                key=question.key,
                model=question.model,
                purpose=question.purpose,
                item=state.clean(question.item),
                kind=fault.kind,
                scope=fault.scope,
                message=fault.message,
                status=fault.status,
                last=ends,
                latency=latency,
                domain=state.cell[0],
                iteration=state.cell[1],
                charged_tokens=charged[0],
                charged_money=charged[1],
            ),
            reservation,
        )

    # -- waiting --------------------------------------------------------------------------------------------------
    def _check(self) -> None:
        if self.stopped.is_set():
            raise StoppedError

    async def _sleep(self, seconds: float) -> None:
        """Sleep, and wake up at once where the batch is stopped."""
        self._check()
        if seconds > 0:
            try:
                await asyncio.wait_for(self.stopped.wait(), seconds)
            except TimeoutError:
                return
            raise StoppedError

    async def _reserved(self, question: Question, cost: Cost | None, overrun: Overrun) -> tuple[tuple[int, int], int | None]:
        """Set a call's upper bound aside, waiting for others to be settled where that may make room, and count it as out.

        Returns:
            What is set aside for prompt and answer, as last learnt, and the reservation; None where there is no cap.

        Raises:
            BudgetSpentError: There is no room.
        """
        state = self._state
        while True:
            aside = overrun.bounds(prompt_bound(question), question.max_tokens)
            if not state.cap.any:
                overrun.out += 1
                return aside, None
            if overrun.free:
                tokens, money = sum(aside), cost(*aside) if cost else 0.0
                reservation, others = state.cap.reserve(state.ledger, tokens, money)
                if reservation is not None:
                    overrun.out += 1
                    return aside, reservation
                if not others:
                    raise state.cap.spent_error(state.ledger.spent(state.cell), tokens, money)
            await self._sleep(_POLL_SECONDS)

    async def _turn(self, bound: int) -> None:
        """Wait until a request may go, one after the other, and count it."""
        state = self._state
        async with self._in_line:
            while True:
                self._check()
                at = time.monotonic()
                wait = max(
                    state.not_before - at,
                    state.requests.wait(at),
                    state.tokens.wait(at, bound),
                    0.0 if state.width.free else _POLL_SECONDS / 5,
                )
                if wait <= 0:
                    break
                await self._sleep(wait)
            state.requests.sent(time.monotonic())
            state.tokens.begin(bound)
            state.width.running += 1
