"""Telling people what went wrong or stands still: to the log, and to a webhook where one is set (O2, U3).

Sending only. What is worth telling is `defs.reporting`'s; the webhook's address is a secret and never shown.
"""

from __future__ import annotations

import logging
from typing import Literal
from urllib.parse import urlsplit

from alas_assets.records import Record

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0


class Notice(Record):
    """One thing that somebody should know; `text` alone is what chat services show."""

    kind: Literal["failure", "stale", "not promoted", "closed"]
    domain: str
    iteration: str = ""
    run_id: str = ""
    text: str


def tell(notice: Notice, webhook: str) -> str:
    """Log a notice and post it to the webhook as JSON, if there is one.

    Args:
        notice: What to say.
        webhook: An http(s) URL that accepts a POST; empty for the log alone.

    Returns:
        Why the webhook did not take it, or "" where it did or none is set. A notice that cannot be delivered stops nothing.
    """
    log.warning("%s: %s", notice.kind, notice.text)
    if not webhook:
        return ""
    problem = _post(notice, webhook)
    if problem:
        log.warning("%s", problem)
    return problem


def _post(notice: Notice, webhook: str) -> str:
    import httpx2  # not at module level: the definitions need none of it

    host = "its address"
    try:
        host = urlsplit(webhook).hostname or host
        answer = httpx2.post(webhook, json=notice.model_dump(), timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:  # the last where no host can be made of it
        return f"the webhook at {host} (ALAS_WEBHOOK_URL) did not answer: {type(error).__name__}"
    if answer.is_success:
        return ""
    return f"the webhook at {host} (ALAS_WEBHOOK_URL) answered {answer.status_code}"
