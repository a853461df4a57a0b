"""What went wrong with one attempt, in words and in kind: may it pass, does it concern this call alone, or every call (S11).

A fault is read off an exception of the client library; nothing here waits, retries or writes.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import openai

from alas_assets.teachers.endpoint.calls import is_too_long
from alas_assets.teachers.endpoint.wire import FORM_SETTINGS, MESSAGE_READ, MalformedError

Scope = Literal["transient", "call", "endpoint"]
"""transient: asked again it may pass. call: this call fails, others may not. endpoint: no further call makes sense."""


@dataclass(frozen=True)
class Fault:
    """Why one attempt gave no answer.

    Attributes:
        kind: One word for counting: connection, timeout, busy, server, body, empty, key, model, address, refused, forbidden, filtered,
            long, setting, quota, silent.
        scope: Whom it concerns.
        message: What happened, in words; not yet redacted.
        status: HTTP status, None where there was none.
        wait: Seconds after which the server asks to come again.
        billed: Whether the server may have done the work, and so may bill it.
        setting: Name of the setting that this model does not take.
    """

    kind: str
    scope: Scope
    message: str
    status: int | None = None
    wait: float | None = None
    billed: bool = False
    setting: str = ""

    @property
    def is_outage(self) -> bool:
        """Whether it is what a server that is down does; where nothing else comes back, it is."""
        return self.kind in ("connection", "timeout", "server", "body", "empty")


def fault_of(error: Exception, deadline: float) -> Fault:
    """Return what an exception of one attempt means.

    Args:
        error: From the client library, `TimeoutError` of the deadline, or `MalformedError`.
        deadline: Seconds that the attempt had.
    """
    if isinstance(error, MalformedError):
        return Fault("empty" if error.empty else "body", "transient", str(error), status=200, billed=True)
    if isinstance(error, openai.APIStatusError):
        return _of_status(error)
    if isinstance(error, (TimeoutError, openai.APITimeoutError)):
        connecting = "Connect" in type(error.__cause__).__name__
        if connecting:
            return Fault("connection", "transient", "no connection within 10 s")
        return Fault("timeout", "transient", f"no full answer within {deadline:g} s (teacher.deadline_seconds)", billed=True)
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__
        never_sent = "Connect" in type(cause).__name__
        words = f"no connection ({cause})" if never_sent else f"the connection broke off ({type(cause).__name__})"
        return Fault("connection" if never_sent else "body", "transient", words, billed=not never_sent)
    raise error  # not of the network: a defect of ours, which must not look like a fault of the endpoint


def _of_status(error: openai.APIStatusError) -> Fault:
    status, code, said = error.status_code, _field(error.body, "code"), _said(error)
    message = f"answered {status}: {said}"
    wait = retry_after(error.response.headers)
    if status == 429:
        if code in ("insufficient_quota", "billing_hard_limit_reached"):
            return Fault("quota", "endpoint", message, status)
        if is_too_long(message):
            return Fault("long", "call", message, status)
        return Fault("busy", "transient", message, status, wait)
    if status in (408, 409, 425) or status >= 500:
        return Fault("server", "transient", message, status, wait)
    if status == 402:
        return Fault("quota", "endpoint", message, status)
    if status == 403 and _MODERATED.search(said):
        return Fault("filtered", "call", message, status)
    if status in (401, 403) and code != "model_not_found":
        return Fault("key", "endpoint", message, status)
    if status in range(300, 400):
        return Fault("address", "endpoint", f"answered {status}, a redirect, which is not followed", status)
    if code == "model_not_found" or (status == 404 and "model" in said.lower()):
        return Fault("model", "endpoint", message, status)
    if status in (404, 405, 501):
        return Fault("address", "endpoint", message, status)
    if code in ("content_filter", "content_policy_violation"):
        return Fault("filtered", "call", message, status)
    if is_too_long(message):  # before settings: it may name the limit of the answer too
        return Fault("long", "call", message, status)
    if setting := _refused_setting(error.body, said):
        return Fault("setting", "call", message, status, setting=setting)
    return Fault("refused", "call", message, status)


_MODERATED = re.compile(r"\bmoderation\b|\b(?:input|prompt|content|request) (?:was|is|has been) flagged|content (?:filter|policy)", re.I)
"""What gateways say, with the status of a refused key, of a text that they pass to no model."""

_SETTINGS = ("temperature", *FORM_SETTINGS)


def _refused_setting(body: Any, said: str) -> str:
    """Return which of our settings a refusal names."""
    if "max_completion_tokens" in said:
        return "max_tokens"
    parameter = str(_field(body, "param") or "")
    for name in _SETTINGS:
        if parameter.startswith(name) or f"'{name}'" in said or f'"{name}"' in said or f"`{name}`" in said:
            return name
    return ""


def _field(body: Any, name: str) -> Any:
    return body.get(name) if isinstance(body, dict) else None


def _said(error: openai.APIStatusError) -> str:
    """Return what the server says, not yet shortened to what is shown."""
    message = _field(error.body, "message") or _field(error.body, "detail") or error.body
    return " ".join(str(message)[:MESSAGE_READ].split()) if message else "no reason given"


def retry_after(headers: Any) -> float | None:
    """Return the seconds a server asks to wait, from `retry-after-ms` or `retry-after` (seconds or a date); None where it does not say."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait = float(headers.get(name, "")) * scale
        except ValueError:
            continue
        if 0 <= wait < float("inf"):
            return wait
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
