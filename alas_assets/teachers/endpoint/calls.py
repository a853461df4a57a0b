"""What is asked of a model and what comes back: the shapes that `endpoint` and `llm` share. No network here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from pydantic import Field

from alas_assets.records import Record

Purpose = Literal["plan", "write", "paraphrase", "judge", "revise"]
"""What a call is for; every purpose may have a model of its own."""


class ModelCall(Record):
    """One question to a model; everything in it but `item` and `json_answer`, which the prompt says, is part of its content key (O4)."""

    purpose: Purpose
    model: str
    item: str = Field(description="what it is about, for people: a topic, a page, a batch of answers")
    system: str
    user: str
    prompt: str = Field(description="name, version and hash of the prompt text it was made from")
    answer_schema: dict[str, Any] | None = Field(default=None, description="JSON schema of the answer; sent where the server takes one")
    json_answer: bool = Field(
        default=False, description="the prompt asks for JSON without a schema; JSON mode is asked for where it is used"
    )
    max_tokens: int = Field(ge=1, description="tokens the answer may have")
    temperature: float = Field(default=0.0, ge=0)
    attempt: int = Field(default=0, ge=0, description="which asking this is: asked again, it is another call")


class ModelReply(Record):
    """What a model said, redacted: live and replayed alike it is the only form that the loop sees (O7)."""

    key: str = Field(description="content key of the call in the ledger")
    text: str = ""
    finish: Literal["stop", "length", "filtered", "none"] = Field(
        default="none", description="why the model stopped; only an answer that ended by itself may be read"
    )
    finish_word: str = Field(default="", description="the server's own word for why, where it is not known what it means")
    failure: str = Field(default="", description="why there is no answer, in words; empty where there is one")
    replayed: bool = Field(default=False, description="it was in the ledger: nothing was sent and nothing paid")

    @property
    def complete(self) -> bool:
        """Whether there is an answer and it is not cut off."""
        return not self.failure and self.finish == "stop"


_TOO_LONG = re.compile(
    r"answered 4(?:00|13|22)\b.*(?:context (?:length|window|size|limit)"
    r"|(?:prompt|input|request(?: entity)?|payload) (?:is )?too (?:long|large)"
    r"|too many (?:input )?tokens|exceeds the maximum number of tokens|longer than the maximum model length"
    r"|range of input length should be|`inputs` (?:tokens|must have))"
    r"|answered 429\b.*request too large",
    re.IGNORECASE | re.DOTALL,
)
"""What servers say of a prompt that the model, or the account's limit for one call, has no room for: those that people run themselves, and
the vendors'. A limit by the minute that is spent answers 429 too, and passes; a request that is larger than all of it never does."""


def is_too_long(failure: str) -> bool:
    """Whether a call failed for the length of its prompt, so that a shorter one may be answered."""
    return _TOO_LONG.search(failure) is not None


class EndpointError(RuntimeError):
    """No further call makes sense: the endpoint is down, refuses the key, or does not know the model. Names the setting and the remedy."""


class BudgetSpentError(RuntimeError):
    """The next call could pass the cap of tokens or money (O5); what was paid for is in the ledger. Names the cap and what was spent."""


class Asker(Protocol):
    """Answers calls; `endpoint.client.Endpoint` over the network or `endpoint.replay.Replay` from a ledger."""

    def ask(self, calls: Sequence[ModelCall], on_reply: Callable[[int, ModelReply], None] | None = None) -> list[ModelReply]:
        """Answer every call, one reply each, in order; many run at a time.

        A call that fails for itself alone (faults to the end of its retries, refused content) is a reply with its `failure`.

        Args:
            calls: What to ask.
            on_reply: Told of each reply with its place, as it comes.

        Raises:
            EndpointError: No further call makes sense.
            BudgetSpentError: The cap is reached.
        """
        ...
