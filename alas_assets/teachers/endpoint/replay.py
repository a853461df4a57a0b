"""Answering from the ledger alone, so that an iteration can be gone through again, and tests use answers that were really given (O4, O7).

Nothing is sent here, and nothing paid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from alas_assets.domains.config import TeacherSettings
from alas_assets.teachers.endpoint.calls import EndpointError, ModelCall, ModelReply
from alas_assets.teachers.endpoint.capabilities import Abilities, settled
from alas_assets.teachers.endpoint.ledger import NO_CELL, Ledger, failed_reply, reply_of
from alas_assets.teachers.endpoint.wire import call_key, identity


class Replay:
    """Answers from a ledger alone: an iteration can be gone through again without the endpoint (`teacher.replay`).

    Args:
        ledger: The ledger.
        settings: The domain file's `[teacher]`.
        url: The endpoint that the recorded calls went to.
        cell: Who asks.
    """

    def __init__(self, ledger: Ledger, settings: TeacherSettings, url: str, cell: tuple[str, int] | None = None) -> None:
        self.ledger = ledger
        self.settings = settings
        self.endpoint = identity(url)
        self._cell = cell or NO_CELL

    def ask(self, calls: Sequence[ModelCall], on_reply: Callable[[int, ModelReply], None] | None = None) -> list[ModelReply]:
        """Answer every call from the ledger, in order; one that failed when it was recorded fails again, with the same words.

        Raises:
            EndpointError: Calls are not in the ledger; it names them.
        """
        keys = [call_key(call, self.endpoint) for call in calls]
        stored = self.ledger.get(keys)
        failed = self.ledger.failed(key for key in keys if key not in stored)
        missing = [place for place, key in enumerate(keys) if key not in stored and key not in failed]
        if missing:
            named = "; ".join(f"{calls[m].purpose} {calls[m].item[:60]!r} ({calls[m].model}, {keys[m][:12]})" for m in missing[:5])
            raise EndpointError(
                f"{self.ledger.path}: {len(missing)} of {len(calls)} calls to {self.endpoint} are not in the ledger: {named}"
                f"{' and others' if len(missing) > 5 else ''}; run without teacher.replay to record them, or import them"
            )
        self.ledger.replayed(self._cell, list(dict.fromkeys(keys)))
        replies = [
            reply_of(stored[key], replayed=True)
            if key in stored
            else failed_reply(key, failed[key].kind, failed[key].message, replayed=True)
            for key in keys
        ]
        for place, reply in enumerate(replies):
            if on_reply:
                on_reply(place, reply)
        return replies

    def abilities(self, model: str) -> Abilities:
        """Return what the endpoint could do for a model when it was recorded.

        Raises:
            EndpointError: That is neither in the ledger nor set.
        """
        known = settled(self.settings, self.ledger.abilities(self.endpoint, model))
        if known is None:
            raise EndpointError(
                f"{self.ledger.path}: what {self.endpoint} can do for {model!r} is not in the ledger; set teacher.api and teacher.answers"
            )
        return known

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()
