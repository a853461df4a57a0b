"""Whether an endpoint is worth another call: what each outcome says of it, and the one clear error once it is not (S11).

It may be asked for its list of models here. What a single fault means is `faults`', the counting `pace`'s, who sends calls `session`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import replace

import httpx2
import openai
from openai import AsyncOpenAI, RequestOptions

from alas_assets.teachers.endpoint.faults import Fault
from alas_assets.teachers.endpoint.ledger import CallRow
from alas_assets.teachers.endpoint.state import State
from alas_assets.teachers.endpoint.transport import CONNECT_SECONDS
from alas_assets.teachers.endpoint.wire import Question

_SAME_REFUSALS = 5
"""Calls refused, and none answered, after which it is not the calls."""
_OF_THE_TEXT = ("filtered", "long")
"""Kinds of refusals that are of a call's own text: pages may all be flagged, or too long at first, at an endpoint that answers others."""


class Health:
    """How one session finds its endpoint.

    Args:
        state: What outlives the session; outcomes are counted there.
        client: The session's connections.
        options: What every request is made with.
    """

    def __init__(self, state: State, client: AsyncOpenAI, options: RequestOptions) -> None:
        self._state = state
        self._client = client
        self._options = options
        self._faults: Counter[str] = Counter()
        self._silent: bool | None = None

    def tell(self) -> None:
        """Say what went wrong on the way, if anything did."""
        if self._faults:
            named = ", ".join(f"{kind} {count}" for kind, count in sorted(self._faults.items()))
            self._state.log(f"teacher {self._state.endpoint}: {self._faults.total()} attempts gave no answer ({named})")

    async def silence(self) -> Fault | None:
        """Return the fault of an endpoint that answers nothing at all, found out once, before anything is sent that costs.

        A call may think for minutes, a list of models takes no thought. It is asked for first, not once a call is late: a server that does
        one thing at a time lists nothing while it thinks or loads its model.
        """
        if self._state.circuit.proven:
            return None
        if self._silent is None:
            self._silent = await self._lists_nothing() and await self._lists_nothing()
        message = f"answers nothing, not even GET /models within {self._state.tuning.knock:g} s, asked twice"
        return Fault("silent", "endpoint", message) if self._silent else None

    async def _lists_nothing(self) -> bool:
        try:
            async with asyncio.timeout(self._state.tuning.knock):
                await self._client.get("/models", cast_to=httpx2.Response, options=self._options)
        except (TimeoutError, openai.APITimeoutError):
            return True
        except openai.OpenAIError:
            return False  # it answered, or refused the connection: what that means is for the calls to find out
        return False

    def note_success(self, row: CallRow) -> None:
        """Count an answer."""
        state = self._state
        state.circuit.answered()
        state.busy.answered()
        state.width.widen()
        # a probe has no system text and no page: that it is answered does not say that a call will be
        state.has_answered |= row.purpose != "probe"
        state.progress.calls += 1
        state.progress.tokens += row.tokens
        state.progress.money += row.money or 0.0
        state.progress.unpriced += row.money is None

    def weighed(self, fault: Fault, model: str) -> Fault:
        """Return a fault as it is meant here: 403 from where the model has answered before is about the call and not about the key.

        So a firewall that takes offence at one page stops nothing else. What was answered in earlier runs counts: a page that is refused
        may be all that is left to ask.
        """
        if fault.kind == "key" and fault.status == 403 and self._state.ledger.has_answer(self._state.endpoint, model):
            return replace(fault, kind="forbidden", scope="call")
        return fault

    def note_fault(self, fault: Fault, question: Question, latency: float) -> None:
        """Count an attempt of some seconds that gave none."""
        state, at = self._state, time.monotonic()
        self._faults[fault.kind] += 1
        state.progress.faults += 1
        if fault.is_outage:
            state.circuit.failed(at, latency, question.key, connection=fault.kind == "connection")
        if fault.kind == "busy":
            state.busy.failed(at, latency, question.key, connection=False)
            state.width.narrow(at)
        if fault.wait:
            wait = min(fault.wait, state.tuning.longest_retry_after)
            state.not_before = max(state.not_before, at + wait)
        if fault.scope == "call" and question.purpose != "probe" and fault.kind not in _OF_THE_TEXT:
            state.refusals.add(question.key)

    async def raise_if_final(self, fault: Fault, model: str) -> None:
        """Do nothing, unless a call's end shows that no further call makes sense.

        Raises:
            EndpointError: It does; the error says why, and what to do.
        """
        state = self._state
        name, where = state.settings.key_env, state.endpoint
        if fault.kind == "key":
            held = f"is the key in {name} right?" if state.key else f"{name} is not set"
            raise state.error(f"{where} refuses the key: it {fault.message}; {held} (teacher.key_env)")
        if fault.kind == "silent":
            raise state.error(f"{where} is down: it {fault.message}; run again when it is up (teacher.url)")
        if fault.kind == "quota":
            raise state.error(
                f"{where}: the account's quota or balance is spent: it {fault.message}; what was answered is kept, run again later"
            )
        unsure = fault.kind in ("address", "refused") and not state.circuit.proven
        if fault.kind == "model" or unsure:
            offers = await self._offers()
            if fault.kind == "model" or (offers and model not in offers):
                known = (
                    f"it offers {', '.join(offers[:12])}{' and others' if len(offers) > 12 else ''}"
                    if offers
                    else "it does not say what it offers"
                )
                raise state.error(f"{where} does not know the model {model!r}; {known} (teacher.model, planner or judges)")
        if fault.kind == "address":
            raise state.error(
                f"{where} has no such interface: it {fault.message}; teacher.url must be the base, such as http://127.0.0.1:8000/v1"
            )
        if state.is_down:
            raise state.error(self._down(fault))
        if not state.has_answered and len(state.refusals) >= _SAME_REFUSALS:
            key = f"; is the key in {name} still right (teacher.key_env)?" if fault.kind == "forbidden" else ""
            raise state.error(f"{where} refused the first {len(state.refusals)} calls and answered none: it {fault.message}{key}")

    def _down(self, fault: Fault) -> str:
        state = self._state
        circuit, what = (state.circuit, "is down") if state.circuit.is_open else (state.busy, "takes no more calls")
        return (
            f"{state.endpoint} {what}: no answer in {circuit.seconds:.0f} s and {circuit.outages} attempts, at last: {fault.message}; "
            "what was answered is kept, run again when it is up (teacher.url)"
        )

    async def _offers(self) -> list[str]:
        """Return the names of the models that the endpoint lists, none where it does not."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                response = await self._client.get("/models", cast_to=httpx2.Response, options=self._options)
            listed = json.loads(response.content)["data"]
            return [self._state.clean(str(model["id"]))[:100] for model in listed]
        except (openai.OpenAIError, TimeoutError, ValueError, KeyError, TypeError, RecursionError):
            return []  # the list is advice in an error message; that there is none is said there
