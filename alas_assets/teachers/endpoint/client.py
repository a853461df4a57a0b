"""Asking an OpenAI-compatible endpoint: one retry loop, one deadline, a bounded rate, a hard cap, answers stored before use (S11, O4, O5).

What is asked is `teachers.llm`'s. What a fault means is `faults`', what may be sent when `pace`'s, what was paid for `ledger`'s.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpx2
import openai
from openai import AsyncOpenAI
from pydantic import SecretStr

from alas_assets.domains.config import Budget, TeacherSettings
from alas_assets.provenance.redaction import redact
from alas_assets.teachers.endpoint.budget import Cap, Overrun
from alas_assets.teachers.endpoint.calls import EndpointError, ModelCall, ModelReply
from alas_assets.teachers.endpoint.capabilities import Abilities, ProbeError, is_settled, probe, settled
from alas_assets.teachers.endpoint.faults import Fault, fault_of
from alas_assets.teachers.endpoint.ledger import NO_CELL, AttemptRow, CallRow, Ledger, failed_reply, now, reply_of
from alas_assets.teachers.endpoint.pace import SKEW, Circuit, RequestPace, TokenPace, Width
from alas_assets.teachers.endpoint.prices import Cost, cost_of
from alas_assets.teachers.endpoint.replay import Replay
from alas_assets.teachers.endpoint.transport import CONNECT_SECONDS, open_client, request_options
from alas_assets.teachers.endpoint.wire import (
    DEFAULT_URL,
    FORM_SETTINGS,
    Answer,
    Api,
    Dialect,
    MalformedError,
    Question,
    answer_bound,
    body,
    call_key,
    endpoint_url,
    identity,
    path,
    prompt_bound,
    read_answer,
)

T = TypeVar("T")

_POLL_SECONDS = 0.05
_REPLAYED_AT_ONCE = 400
_NO_KEY = SecretStr("")
_LEAST_SECRET = 8
"""Characters of a key that is one: local servers are given placeholders such as `EMPTY`, which no text needs to lose."""
_BUSY_PATIENCE = 6  # times as long as an outage: a quota by the minute comes back
_MESSAGE_SHOWN = 340
"""Characters of a fault's or a refusal's words that are kept."""
_KNOCKS = 2
_SAME_REFUSALS = 5
"""Calls refused, and none ever answered, after which it is not the calls."""


@dataclass(frozen=True)
class Tuning:
    """How faults are waited for; the defaults suit real endpoints, tests take smaller ones.

    Attributes:
        window: Seconds over which requests and tokens are limited.
        skew: Seconds that a request may take longer to the server than another.
        patience: Seconds of nothing but outages after which the endpoint is down.
        first_wait: Seconds before the second attempt; twice as long before each further one.
        longest_wait: Seconds between two attempts at most, where the server does not ask for more.
        longest_retry_after: Seconds that a server may ask to wait; more is cut to this.
        knock: Seconds that the endpoint has to answer when it is asked for its models, to see whether it is up.
    """

    window: float = 60.0
    skew: float = SKEW
    patience: float = 20.0
    first_wait: float = 0.5
    longest_wait: float = 8.0
    longest_retry_after: float = 60.0
    knock: float = 10.0


@dataclass
class Progress:
    """The running total of one endpoint object.

    Attributes:
        calls: Answered and paid for.
        replayed: Taken from the ledger.
        failed: Ended without an answer.
        faults: Attempts that gave none.
        tokens: Sent and received.
        money: Cost of what has a known price.
        unpriced: Calls of unknown price.
        currency: Of the money.
    """

    calls: int = 0
    replayed: int = 0
    failed: int = 0
    faults: int = 0
    tokens: int = 0
    money: float = 0.0
    unpriced: int = 0
    currency: str = "USD"

    @property
    def shown(self) -> str:
        """One line for a progress bar."""
        money = f"{self.money:.4f} {self.currency}" if not self.unpriced else "cost unknown"
        return f"{self.calls} calls, {self.replayed} replayed, {self.failed} failed, {self.tokens:,} tokens, {money}"


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
    url = endpoint_url(settings)
    _check_url(url, "teacher.url" if settings.url else "OPENAI_BASE_URL")
    ledger = Ledger(ledger_path)
    if settings.replay:
        return Replay(ledger, settings, url, cell)
    key = SecretStr(os.environ.get(settings.key_env, "").strip())
    _check_key(key, settings.key_env, url)
    if log and not key and "key_env" in settings.model_fields_set:
        log(f"teacher: {settings.key_env} (teacher.key_env) is not set in the environment, so calls go without a key")
    return Endpoint(settings, budget, ledger, url=url, key=key, cell=cell, log=log, on_progress=on_progress, tuning=tuning)


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
        settings: The domain file's `[teacher]`.
        budget: The domain file's `[budget]`.
        ledger: Where answers are found and stored.
        url: The endpoint's base.
        key: What goes into the Authorization header; empty: no header is sent.
        cell: Domain and iteration that pay.
        log: Told in words of what people should know.
        on_progress: Told of the running total.
        tuning: How faults are waited for.

    Raises:
        EndpointError: A cap in money is set and a model's price is unknown.
    """

    def __init__(
        self,
        settings: TeacherSettings,
        budget: Budget,
        ledger: Ledger,
        *,
        url: str,
        key: SecretStr = _NO_KEY,
        cell: tuple[str, int] | None = None,
        log: Callable[[str], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        tuning: Tuning | None = None,
    ) -> None:
        self.settings = settings
        self.ledger = ledger
        self.url = url.rstrip("/")
        self.endpoint = identity(url)
        self.cell = cell or NO_CELL
        self.tuning = tuning or Tuning()
        self.progress = Progress(currency=budget.currency)
        self._key = key
        self._log = log or (lambda _: None)
        self._on_progress = on_progress or (lambda _: None)
        self._cap = Cap.of(budget, self.cell)
        self._requests = RequestPace(settings.requests_per_minute, self.tuning.window, self.tuning.skew)
        self._tokens = TokenPace(settings.tokens_per_minute, self.tuning.window, self.tuning.skew)
        self._width = Width(settings.concurrency)
        self._circuit = Circuit(self.tuning.patience, self.tuning.first_wait, self.tuning.longest_wait)
        self._busy = Circuit(_BUSY_PATIENCE * self.tuning.patience, self.tuning.first_wait, self.tuning.longest_wait)
        self._abilities: dict[str, Abilities] = {}
        self._dialects: dict[str, Dialect] = {}
        self._costs: dict[str, Cost | None] = {}
        self._overruns: dict[str, Overrun] = {}
        self._refusals: set[str] = set()
        self._not_before = 0.0
        self._batches = threading.Lock()
        self._cap.check_prices((model, self._cost(model)) for model in dict.fromkeys(_models(settings)))
        self._price_earlier_calls()

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
        known = self._known_abilities(model)
        if known is None:
            with self._batches:
                known = _run(self._probed(model))
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
            batch = _Batch(self, calls, on_reply)
            batch.replay()
            if batch.missing:
                _run(batch.send())
            return batch.replies()

    # -- what is known ------------------------------------------------------------------------------------------
    def _known_abilities(self, model: str) -> Abilities | None:
        if model not in self._abilities:
            found = None if is_settled(self.settings) else self.ledger.abilities(self.endpoint, model)
            if (known := settled(self.settings, found)) is None:
                return None
            self._abilities[model] = known
        return self._abilities[model]

    async def _probed(self, model: str) -> Abilities:
        async with _session(self) as session:
            return await session.probe(model)

    def _cost(self, model: str) -> Cost | None:
        if model not in self._costs:
            self._costs[model] = cost_of(model, self.url, self.settings.prices, self.progress.currency)
        return self._costs[model]

    def _price_earlier_calls(self) -> None:
        """Let calls that were paid for before their price was stated count against the cap too."""
        for model in dict.fromkeys(_models(self.settings)):
            if (cost := self._cost(model)) is not None and self.ledger.path.exists():
                self.ledger.price(self.cell, model, cost)

    @property
    def _is_healthy(self) -> bool:
        return self._circuit.healthy and self._busy.healthy

    @property
    def _is_down(self) -> bool:
        return self._circuit.is_open or self._busy.is_open

    def _clean(self, text: str) -> str:
        return redact(text, (self._key.get_secret_value(),) if len(self._key) >= _LEAST_SECRET else ())

    def _error(self, message: str) -> EndpointError:
        return EndpointError(self._clean(message))


def _models(settings: TeacherSettings) -> Iterator[str]:
    yield settings.model
    yield from (name for name in (settings.planner, *settings.judges) if name)


def _run(work: Awaitable[T]) -> T:
    """Run a coroutine from code that is not asynchronous, also where a loop runs already (a notebook)."""

    async def main() -> T:
        return await work

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(main())
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(asyncio.run(main()))
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that asked
            failed.append(error)

    thread = threading.Thread(target=run, name="teacher endpoint")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


# ------------------------------------------------------------------------------------------------ one batch


class _StoppedError(Exception):
    """Another call of the batch has found that none makes sense any more."""


class _Batch:
    """The calls of one `ask`: which are in the ledger, which are equal, which are to be sent."""

    def __init__(self, endpoint: Endpoint, calls: Sequence[ModelCall], on_reply: Callable[[int, ModelReply], None] | None) -> None:
        self._endpoint = endpoint
        self._calls = calls
        self._on_reply = on_reply
        self._replies: list[ModelReply | None] = [None] * len(calls)
        self._places: dict[str, list[int]] = {}
        for place, call in enumerate(calls):
            self._places.setdefault(call_key(call, endpoint.endpoint), []).append(place)
        self.missing: list[str] = []

    def replay(self) -> None:
        """Answer what is in the ledger."""
        endpoint = self._endpoint
        for part in _parts(list(self._places), _REPLAYED_AT_ONCE):
            stored = endpoint.ledger.get(part)
            endpoint.ledger.replayed(endpoint.cell, list(stored))
            for key in part:
                if key in stored:
                    endpoint.progress.replayed += 1
                    self._deliver(key, reply_of(stored[key], replayed=True))
                else:
                    self.missing.append(key)

    async def send(self) -> None:
        """Send what is not, as many at a time as may be, and raise what stopped it once nothing is under way."""
        async with _session(self._endpoint) as session:
            for model in dict.fromkeys(self._calls[self._places[key][0]].model for key in self.missing):
                await session.probe(model)
            keys = iter(self.missing)
            workers = min(self._endpoint.settings.concurrency, len(self.missing))
            await asyncio.gather(*(self._work(session, keys) for _ in range(workers)))
            if session.stopped_by is not None:
                raise session.stopped_by
            session.tell()

    def replies(self) -> list[ModelReply]:
        """Return the replies in order."""
        return [reply for reply in self._replies if reply is not None]

    async def _work(self, session: _Session, keys: Iterator[str]) -> None:
        for key in keys:
            if session.stopped.is_set():
                return
            try:
                self._deliver(key, await session.reply(self._question(key)))
            except _StoppedError:
                return
            except Exception as error:  # noqa: BLE001 - raised by `send` once the calls under way are stored
                session.stop(error)
                return

    def _question(self, key: str) -> Question:
        call = self._calls[self._places[key][0]]
        form = self._endpoint._abilities[call.model].form_for(call)
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
        self._endpoint._on_progress(replace(self._endpoint.progress))


def _parts(keys: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


@asynccontextmanager
async def _session(endpoint: Endpoint) -> AsyncIterator[_Session]:
    settings = endpoint.settings
    async with open_client(endpoint.url, endpoint._key, settings.concurrency, settings.deadline_seconds) as client:
        yield _Session(endpoint, client)


class _Session:
    """One connection pool and event loop; what must outlive it is the endpoint's."""

    def __init__(self, endpoint: Endpoint, client: AsyncOpenAI) -> None:
        self._endpoint = endpoint
        self._client = client
        self._options = request_options(endpoint._key)
        self._one_at_a_time = asyncio.Lock()
        self._in_line = asyncio.Lock()
        self._faults: Counter[str] = Counter()
        self._jitter = random.Random(17)  # noqa: S311 - spreads retries, decides nothing
        self._silent: bool | None = None
        self.stopped = asyncio.Event()
        self.stopped_by: Exception | None = None

    def stop(self, error: Exception) -> None:
        """Let no further call go; the first reason counts."""
        if self.stopped_by is None:
            self.stopped_by = error
        self.stopped.set()

    def tell(self) -> None:
        """Say what went wrong on the way, if anything did."""
        if self._faults:
            named = ", ".join(f"{kind} {count}" for kind, count in sorted(self._faults.items()))
            self._endpoint._log(f"teacher {self._endpoint.endpoint}: {self._faults.total()} attempts gave no answer ({named})")

    async def probe(self, model: str) -> Abilities:
        """Return what the endpoint can do for a model, asking it if nobody has."""
        endpoint = self._endpoint
        known = endpoint._known_abilities(model)
        if known is None:
            try:
                known = await probe(endpoint.settings, model, endpoint.endpoint, self._probe)
            except ProbeError as error:
                problem = error.fault
            else:
                endpoint.ledger.put_abilities(endpoint.endpoint, model, known.as_dict())
                endpoint._abilities[model] = known
                return known
            await self._raise_if_final(problem, model)
            raise endpoint._error(
                f"{endpoint.endpoint} could not be asked what it can do: it {problem.message}; "
                "set teacher.api and teacher.answers to skip these probes"
            )
        return known

    async def _probe(self, question: Question, api: Api) -> CallRow | Fault:
        found = self._earlier(question) or await self._finish(question, api)
        if isinstance(found, Fault) and self._endpoint._is_down:
            raise ProbeError(found)
        return found

    async def reply(self, question: Question) -> ModelReply:
        """Send a call to the end of its retries.

        Raises:
            EndpointError: No further call makes sense.
            BudgetSpentError: The cap is reached.
        """
        endpoint = self._endpoint
        if (earlier := self._earlier(question)) is not None:
            return reply_of(earlier, replayed=True)
        found = await self._finish(question, endpoint._abilities[question.model].api)
        if isinstance(found, CallRow):
            return reply_of(found, replayed=False)
        await self._raise_if_final(found, question.model)
        endpoint.progress.failed += 1
        return failed_reply(question.key, found.kind, found.message, replayed=False)

    # -- one call -----------------------------------------------------------------------------------------------
    def _earlier(self, question: Question) -> CallRow | None:
        """Return the answer that the ledger holds by now, because another process was faster, and record its use."""
        endpoint = self._endpoint
        earlier = endpoint.ledger.get([question.key]).get(question.key)
        if earlier is not None:
            endpoint.ledger.replayed(endpoint.cell, [question.key])
            endpoint.progress.replayed += 1
        return earlier

    async def _finish(self, question: Question, api: Api) -> CallRow | Fault:
        """Attempt a call until it is answered, fails for good, or has had its attempts."""
        endpoint = self._endpoint
        used = 0
        while True:
            found, counts = await self._in_turn(question, api, last=used + 1 >= endpoint.settings.attempts)
            if isinstance(found, CallRow):
                return found
            if found.kind == "setting" and found.scope == "transient":
                continue
            used += counts
            if found.scope != "transient" or used >= endpoint.settings.attempts or endpoint._is_down:
                return found
            await self._sleep(self._pause(found, used))

    def _learn(self, question: Question, sent_as: Dialect, fault: Fault) -> Fault:
        """Ask a model otherwise after it refused a setting; the fault passes if there is another way.

        A probe asks whether a form is refused, so that refusal is its answer.
        """
        model, learnt = question.model, sent_as.without(fault.setting)
        if learnt == sent_as or (question.purpose == "probe" and fault.setting in FORM_SETTINGS):
            return fault
        if self._endpoint._dialects.get(model, Dialect()) == sent_as:
            self._endpoint._dialects[model] = learnt
            self._endpoint._log(f"teacher {model}: takes no {fault.setting}; asked without it from now on")
        return replace(fault, scope="transient")

    def _pause(self, fault: Fault, used: int) -> float:
        tuning = self._endpoint.tuning
        pause = min(tuning.longest_wait, tuning.first_wait * 2 ** max(0, used - 1)) * self._jitter.uniform(0.5, 1.0)
        return max(pause, min(fault.wait or 0.0, tuning.longest_retry_after))

    async def _in_turn(self, question: Question, api: Api, last: bool) -> tuple[CallRow | Fault, bool]:
        """Attempt a call once, alone while it is not known that the endpoint is up; also tell whether the attempt counts."""
        endpoint = self._endpoint
        if not endpoint._is_healthy:
            async with self._one_at_a_time:
                self._check()
                if not endpoint._is_healthy:
                    at = time.monotonic()
                    await self._sleep(max(endpoint._circuit.wait(at), endpoint._busy.wait(at)))
                    found = await self._attempt(question, api, last, alone=True)
                    if isinstance(found, Fault) and question.purpose != "probe":
                        await self._stop_if_final(found, question.model)  # before the next one takes its turn
                    # nobody answers the door: that is not this call's fault, and the circuit ends it
                    return found, not (isinstance(found, Fault) and found.kind == "connection")
        return await self._attempt(question, api, last), True

    async def _stop_if_final(self, fault: Fault, model: str) -> None:
        try:
            await self._raise_if_final(fault, model)
        except EndpointError as error:
            self.stop(error)
            raise

    async def _attempt(self, question: Question, api: Api, last: bool, alone: bool = False) -> CallRow | Fault:
        """Send a call once, within its turn, and store what came of it; `alone`: to find out whether the endpoint is up."""
        endpoint = self._endpoint
        cost = endpoint._cost(question.model)
        overrun = endpoint._overruns.setdefault(question.model, Overrun())
        aside, reservation = await self._reserved(question, cost, overrun)
        bound, money_bound = sum(aside), cost(*aside) if cost else 0.0
        try:
            await self._turn(bound)
        except BaseException:
            overrun.out -= 1
            endpoint.ledger.release(reservation)
            raise
        dialect = endpoint._dialects.get(question.model, Dialect())
        started = time.monotonic()
        took = 0
        try:
            found = await self._sent(question, api, dialect)
            latency = time.monotonic() - started
            if isinstance(found, Answer):
                row = self._row(question, found, cost, latency)
                took = row.tokens
                self._note_success(row)
                stored = endpoint.ledger.put(row, reservation)
                overrun.learn(aside, (row.prompt_tokens, row.completion_tokens))
                return stored
            took = bound if found.billed else 0
            if found.setting:
                found = self._learn(question, dialect, found)
            self._note_fault(found, question, latency)
            waited_for = found.kind == "setting" or (found.kind == "connection" and alone)
            ends = found.scope != "transient" or (last and not waited_for)
            self._store_fault(found, question, latency, ends, (took, money_bound if found.billed else 0.0), reservation)
            return found
        finally:
            endpoint._tokens.end(time.monotonic(), bound, took)
            endpoint._width.running -= 1
            overrun.out -= 1

    async def _sent(self, question: Question, api: Api, dialect: Dialect) -> Answer | Fault:
        deadline = self._endpoint.settings.deadline_seconds
        if not self._endpoint._circuit.proven and await self._is_silent():
            return Fault(
                "silent", "endpoint", f"answers nothing, not even GET /models within {self._endpoint.tuning.knock:g} s, asked twice"
            )
        try:
            async with asyncio.timeout(deadline):
                response = await self._client.post(
                    path(api), body=body(question, api, dialect), cast_to=httpx2.Response, options=self._options
                )
            return read_answer(response.content, api)
        except (openai.OpenAIError, TimeoutError, MalformedError) as error:
            fault = fault_of(error, deadline)
        # outside of the except block: no error is chained to an exception whose text may repeat the key
        return replace(fault, message=self._endpoint._clean(fault.message)[:_MESSAGE_SHOWN])

    async def _is_silent(self) -> bool:
        """Tell whether the endpoint answers nothing at all, found out once, before anything is sent that costs.

        A call may think for minutes, a list of models takes no thought. It is asked for first, not once a call is late: a server that does
        one thing at a time lists nothing while it thinks or loads its model.
        """
        if self._silent is None:
            self._silent = await self._lists_nothing() and await self._lists_nothing()
        return self._silent

    async def _lists_nothing(self) -> bool:
        try:
            async with asyncio.timeout(self._endpoint.tuning.knock):
                await self._client.get("/models", cast_to=httpx2.Response, options=self._options)
        except (TimeoutError, openai.APITimeoutError):
            return True
        except openai.OpenAIError:
            return False  # it answered, or refused the connection: what that means is for the calls to find out
        return False

    def _row(self, question: Question, answer: Answer, cost: Cost | None, latency: float) -> CallRow:
        endpoint = self._endpoint
        said = answer.text + answer.refusal
        # None or 0 for what is there: the server does not count
        sent = answer.prompt_tokens or prompt_bound(question)
        received = answer.completion_tokens or (answer_bound(said) if said or answer.completion_tokens is None else 0)
        counted = (sent, received) == (answer.prompt_tokens, answer.completion_tokens)
        request = {
            "system": endpoint._clean(question.system),
            "user": endpoint._clean(question.user),
            "schema": question.schema,
            "form": question.form,
            "max_tokens": question.max_tokens,
            "temperature": question.temperature,
        }
        notes = answer.meta | ({"refusal": answer.refusal} if answer.refusal else {})
        meta = {name: endpoint._clean(value)[:_MESSAGE_SHOWN] if isinstance(value, str) else value for name, value in notes.items()}
        return CallRow(
            key=question.key,
            endpoint=endpoint.endpoint,
            model=question.model,
            purpose=question.purpose,
            item=endpoint._clean(question.item),
            prompt=question.prompt,
            attempt=question.attempt,
            request=json.dumps(request, ensure_ascii=False, separators=(",", ":")),
            text=endpoint._clean(answer.text),
            finish="filtered" if answer.refusal else answer.finish,
            meta=json.dumps(meta, ensure_ascii=False, separators=(",", ":")),
            prompt_tokens=sent,
            completion_tokens=received,
            estimated=not counted,
            money=cost(sent, received) if cost else None,
            currency=endpoint.progress.currency,
            latency=latency,
            at=now(),
            domain=endpoint.cell[0],
            iteration=endpoint.cell[1],
        )

    def _store_fault(
        self, fault: Fault, question: Question, latency: float, ends: bool, charged: tuple[int, float], reservation: int | None
    ) -> None:
        endpoint = self._endpoint
        endpoint.ledger.put_attempt(
            AttemptRow(
                key=question.key,
                model=question.model,
                purpose=question.purpose,
                item=endpoint._clean(question.item),
                kind=fault.kind,
                scope=fault.scope,
                message=fault.message,
                status=fault.status,
                last=ends,
                latency=latency,
                domain=endpoint.cell[0],
                iteration=endpoint.cell[1],
                charged_tokens=charged[0],
                charged_money=charged[1],
            ),
            reservation,
        )

    # -- what an outcome says of the endpoint ---------------------------------------------------------------------
    def _note_success(self, row: CallRow) -> None:
        endpoint = self._endpoint
        endpoint._circuit.answered()
        endpoint._busy.answered()
        endpoint._width.widen()
        endpoint._refusals.clear()
        endpoint.progress.calls += 1
        endpoint.progress.tokens += row.tokens
        endpoint.progress.money += row.money or 0.0
        endpoint.progress.unpriced += row.money is None

    def _note_fault(self, fault: Fault, question: Question, latency: float) -> None:
        endpoint, at = self._endpoint, time.monotonic()
        self._faults[fault.kind] += 1
        endpoint.progress.faults += 1
        if fault.is_outage:
            endpoint._circuit.failed(at, latency, question.key, connection=fault.kind == "connection")
        if fault.kind == "busy":
            endpoint._busy.failed(at, latency, question.key, connection=False)
            endpoint._width.narrow(at)
        if fault.wait:
            wait = min(fault.wait, endpoint.tuning.longest_retry_after)
            endpoint._not_before = max(endpoint._not_before, at + wait)
        if fault.scope == "call":
            endpoint._refusals.add(question.key)

    async def _raise_if_final(self, fault: Fault, model: str) -> None:
        """Raise if a call's end shows that no further call makes sense."""
        endpoint = self._endpoint
        name, where = endpoint.settings.key_env, endpoint.endpoint
        if fault.kind == "key":
            held = f"is the key in {name} right?" if endpoint._key else f"{name} is not set"
            raise endpoint._error(f"{where} refuses the key: it {fault.message}; {held} (teacher.key_env)")
        if fault.kind == "silent":
            raise endpoint._error(f"{where} is down: it {fault.message}; run again when it is up (teacher.url)")
        if fault.kind == "quota":
            raise endpoint._error(f"{where}: the account's quota is spent: it {fault.message}; what was answered is kept, run again later")
        unsure = fault.kind in ("address", "refused") and not endpoint._circuit.proven
        if fault.kind == "model" or unsure:
            offers = await self._offers()
            if fault.kind == "model" or (offers and model not in offers):
                known = (
                    f"it offers {', '.join(offers[:12])}{' and others' if len(offers) > 12 else ''}"
                    if offers
                    else "it does not say what it offers"
                )
                raise endpoint._error(f"{where} does not know the model {model!r}; {known} (teacher.model, planner or judges)")
        if fault.kind == "address":
            raise endpoint._error(
                f"{where} has no such interface: it {fault.message}; teacher.url must be the base, such as http://127.0.0.1:8000/v1"
            )
        if endpoint._is_down:
            raise endpoint._error(self._down(fault))
        if not endpoint._circuit.proven and len(endpoint._refusals) >= _SAME_REFUSALS:
            raise endpoint._error(f"{where} refused the first {len(endpoint._refusals)} calls and answered none: it {fault.message}")

    def _down(self, fault: Fault) -> str:
        endpoint = self._endpoint
        circuit, what = (endpoint._circuit, "is down") if endpoint._circuit.is_open else (endpoint._busy, "takes no more calls")
        return (
            f"{endpoint.endpoint} {what}: no answer in {circuit.seconds:.0f} s and {circuit.outages} attempts, at last: {fault.message}; "
            "what was answered is kept, run again when it is up (teacher.url)"
        )

    async def _offers(self) -> list[str]:
        """Return the names of the models that the endpoint lists, none where it does not."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                response = await self._client.get("/models", cast_to=httpx2.Response, options=self._options)
            listed = json.loads(response.content)["data"]
            return [self._endpoint._clean(str(model["id"]))[:100] for model in listed]
        except (openai.OpenAIError, TimeoutError, ValueError, KeyError, TypeError, RecursionError):
            return []  # the list is advice in an error message; that there is none is said there

    # -- waiting --------------------------------------------------------------------------------------------------
    def _check(self) -> None:
        if self.stopped.is_set():
            raise _StoppedError

    async def _sleep(self, seconds: float) -> None:
        """Sleep, and wake up at once where the batch is stopped."""
        self._check()
        if seconds > 0:
            try:
                await asyncio.wait_for(self.stopped.wait(), seconds)
            except TimeoutError:
                return
            raise _StoppedError

    async def _reserved(self, question: Question, cost: Cost | None, overrun: Overrun) -> tuple[tuple[int, int], int | None]:
        """Set a call's upper bound aside, waiting for others to be settled where that may make room, and count it as out.

        Returns:
            What is set aside for prompt and answer, as last learnt, and the reservation; None where there is no cap.

        Raises:
            BudgetSpentError: There is no room.
        """
        endpoint = self._endpoint
        while True:
            aside = overrun.bounds(prompt_bound(question), question.max_tokens)
            if not endpoint._cap.any:
                overrun.out += 1
                return aside, None
            if overrun.free:
                tokens, money = sum(aside), cost(*aside) if cost else 0.0
                reservation, others = endpoint._cap.reserve(endpoint.ledger, tokens, money)
                if reservation is not None:
                    overrun.out += 1
                    return aside, reservation
                if not others:
                    raise endpoint._cap.spent_error(endpoint.ledger.spent(endpoint.cell), tokens, money)
            await self._sleep(_POLL_SECONDS)

    async def _turn(self, bound: int) -> None:
        """Wait until a request may go, one after the other, and count it."""
        endpoint = self._endpoint
        async with self._in_line:
            while True:
                self._check()
                at = time.monotonic()
                wait = max(
                    endpoint._not_before - at,
                    endpoint._requests.wait(at),
                    endpoint._tokens.wait(at, bound),
                    0.0 if endpoint._width.free else _POLL_SECONDS / 5,
                )
                if wait <= 0:
                    break
                await self._sleep(wait)
            endpoint._requests.sent(time.monotonic())
            endpoint._tokens.begin(bound)
            endpoint._width.running += 1
