"""What an endpoint object keeps from one batch to the next: limits, what was learnt of models, what was spent, whether it is up (S11).

Nothing here sends or waits; who does is `session`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydantic import SecretStr

from alas_assets.domains.config import Budget, TeacherSettings
from alas_assets.provenance.redaction import redact
from alas_assets.teachers.endpoint.budget import Cap, Overrun
from alas_assets.teachers.endpoint.calls import EndpointError
from alas_assets.teachers.endpoint.capabilities import Abilities, is_settled, settled
from alas_assets.teachers.endpoint.ledger import NO_CELL, Ledger
from alas_assets.teachers.endpoint.pace import SKEW, Circuit, RequestPace, TokenPace, Width
from alas_assets.teachers.endpoint.prices import Cost, cost_of
from alas_assets.teachers.endpoint.wire import Dialect, identity

_LEAST_SECRET = 8
"""Characters of a key that is one: local servers are given placeholders such as `EMPTY`, which no text needs to lose."""
_BUSY_PATIENCE = 6  # times as long as an outage: a quota by the minute comes back


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


class State:
    """What one endpoint object knows and has counted; its sessions read and change it, one batch at a time.

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
        key: SecretStr,
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
        self.key = key
        self.log = log or (lambda _: None)
        self.on_progress = on_progress or (lambda _: None)
        self.cap = Cap.of(budget, self.cell)
        self.requests = RequestPace(settings.requests_per_minute, self.tuning.window, self.tuning.skew)
        self.tokens = TokenPace(settings.tokens_per_minute, self.tuning.window, self.tuning.skew)
        self.width = Width(settings.concurrency)
        self.circuit = Circuit(self.tuning.patience, self.tuning.first_wait, self.tuning.longest_wait)
        self.busy = Circuit(_BUSY_PATIENCE * self.tuning.patience, self.tuning.first_wait, self.tuning.longest_wait)
        self.abilities: dict[str, Abilities] = {}
        self.dialects: dict[str, Dialect] = {}
        self.overruns: dict[str, Overrun] = {}
        self.refusals: set[str] = set()
        self.has_answered = False
        self.not_before = 0.0
        self._costs: dict[str, Cost | None] = {}
        self.cap.check_prices((model, self.cost(model)) for model in dict.fromkeys(_models(settings)))
        self._price_earlier_calls()

    def known_abilities(self, model: str) -> Abilities | None:
        """Return what is known of a model without asking it, None where nothing is."""
        if model not in self.abilities:
            found = None if is_settled(self.settings) else self.ledger.abilities(self.endpoint, model)
            if (known := settled(self.settings, found)) is None:
                return None
            self.abilities[model] = known
        return self.abilities[model]

    def cost(self, model: str) -> Cost | None:
        """Return what prices a model's calls, None where its price is unknown."""
        if model not in self._costs:
            self._costs[model] = cost_of(model, self.url, self.settings.prices, self.progress.currency)
        return self._costs[model]

    def _price_earlier_calls(self) -> None:
        """Let calls that were paid for before their price was stated count against the cap too."""
        for model in dict.fromkeys(_models(self.settings)):
            if (cost := self.cost(model)) is not None and self.ledger.path.exists():
                self.ledger.price(self.cell, model, cost)

    @property
    def is_healthy(self) -> bool:
        """Whether many calls may be sent at a time."""
        return self.circuit.healthy and self.busy.healthy

    @property
    def is_down(self) -> bool:
        """Whether no call is sent any more."""
        return self.circuit.is_open or self.busy.is_open

    def clean(self, text: str) -> str:
        """Return a text without the key, and without half a surrogate pair, which is valid JSON and which no table takes."""
        return redact(
            text.encode("utf-8", "replace").decode("utf-8"), (self.key.get_secret_value(),) if len(self.key) >= _LEAST_SECRET else ()
        )

    def error(self, message: str) -> EndpointError:
        """Return an error that does not show the key."""
        return EndpointError(self.clean(message))


def _models(settings: TeacherSettings) -> Iterator[str]:
    yield settings.model
    yield from (name for name in (settings.planner, *settings.judges) if name)
