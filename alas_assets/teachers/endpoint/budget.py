"""The hard cap of a cell: an upper bound is set aside before a call is sent, and settled after it (O5).

What was spent stands in the ledger, over all runs of the cell and all processes; here is kept only how far a model passes its bounds.

The cap is kept exactly where the server keeps to `max_tokens`. One that does not (uncounted reasoning, a limit that it does not know)
can pass the cap by this much at most: the calls that were out when one first took more than any before it, each by what it took beyond
what was set aside for it. Those are `FIRST` calls at the start and after each such call, one more for each answer that stayed within
its bounds since, and never more than `teacher.concurrency`; per process, as others learn for themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from alas_assets.domains.config import Budget
from alas_assets.teachers.endpoint.calls import BudgetSpentError, EndpointError
from alas_assets.teachers.endpoint.ledger import Ledger, Spent
from alas_assets.teachers.endpoint.prices import Cost

FIRST = 4
"""Calls to one model that may be out at a time under a cap while it is not known whether it keeps to its bounds."""
_MARGIN = 1.25
"""How much more than what a model took beyond its limit is set aside from then on: the next answer may be longer still."""


@dataclass
class Overrun:
    """How far one model goes beyond what was asked of it, and so how many calls to it may be out under a cap.

    Attributes:
        factor: Tokens that the server counts in a prompt, for each that we reckon with.
        extra: Tokens of an answer beyond `max_tokens`.
        width: Calls that may be out.
        out: Calls that are out.
    """

    factor: float = 1.0
    extra: int = 0
    width: int = FIRST
    out: int = 0

    @property
    def free(self) -> bool:
        """Whether another call may be sent."""
        return self.out < self.width

    def bounds(self, sent: int, received: int) -> tuple[int, int]:
        """Return what to set aside for a prompt of at most so many tokens and an answer that is asked to have no more than so many."""
        return ceil(sent * self.factor), received + self.extra

    def learn(self, aside: tuple[int, int], took: tuple[int, int]) -> None:
        """Take note of what a call took, of prompt and answer, against what was set aside for it."""
        if took[0] <= aside[0] and took[1] <= aside[1]:
            self.width += 1
            return
        self.width = FIRST
        if took[0] > aside[0]:
            self.factor *= took[0] / max(1, aside[0] - 1)  # what was set aside was rounded up
        if took[1] > aside[1]:
            self.extra = ceil(_MARGIN * (self.extra + took[1] - aside[1]))


@dataclass(frozen=True)
class Cap:
    """What one cell may spend, and on what side of it the next call would fall.

    Attributes:
        tokens: Sent and received; 0: no cap.
        money: 0: no cap.
        currency: Of the money.
        cell: Who pays.
    """

    tokens: int
    money: float
    currency: str
    cell: tuple[str, int]

    @classmethod
    def of(cls, budget: Budget, cell: tuple[str, int]) -> Cap:
        """Return the cap that a domain file sets."""
        return cls(budget.tokens, budget.money, budget.currency, cell)

    @property
    def any(self) -> bool:
        """Whether there is one at all."""
        return bool(self.tokens or self.money)

    def check_prices(self, costs: Iterable[tuple[str, Cost | None]]) -> None:
        """Refuse a cap in money where a price is unknown: it could not be kept.

        Raises:
            EndpointError: A model has no known price.
        """
        if not self.money:
            return
        for model, cost in costs:
            if cost is None:
                raise EndpointError(
                    f"budget.money is {self.money:g} {self.currency}, but the price of model {model!r} is unknown, so the cap could not be "
                    f"kept: state it under [[teacher.prices]] (model, input and output per million tokens, in {self.currency}), "
                    "install the extra `prices` for list prices in USD, or cap budget.tokens instead"
                )

    def reserve(self, ledger: Ledger, tokens: int, money: float) -> tuple[int | None, bool]:
        """Set an upper bound aside; returns the reservation or None, and whether others are under way (`Ledger.reserve`)."""
        return ledger.reserve(self.cell, tokens, money, self._fits)

    def _fits(self, spent: Spent, tokens: int, money: float) -> bool:
        return (not self.tokens or spent.tokens + spent.perhaps_tokens + tokens <= self.tokens) and (
            not self.money or spent.money + spent.perhaps_money + money <= self.money
        )

    def spent_error(self, spent: Spent, tokens: int, money: float) -> BudgetSpentError:
        """Return the error that says which cap is reached, what was spent, and what to do."""
        by_tokens = bool(self.tokens) and spent.tokens + spent.perhaps_tokens + tokens > self.tokens
        if by_tokens:
            cap, used = f"budget.tokens = {self.tokens:,}", f"{spent.tokens:,} tokens are spent"
            perhaps = f", {spent.perhaps_tokens:,} more may have been billed by attempts that were cut off" if spent.perhaps_tokens else ""
            needs = f"the next call may take {tokens:,}"
        else:
            cap, used = f"budget.money = {self.money:g} {self.currency}", f"{spent.money:.4f} {self.currency} is spent"
            perhaps = f", {spent.perhaps_money:.4f} more may have been billed by attempts that were cut off" if spent.perhaps_money else ""
            needs = f"the next call may cost {money:.4f}"
        name = "budget.tokens" if by_tokens else "budget.money"
        who = f"{self.cell[0]} {self.cell[1]:03d}: " if self.cell[0] else ""
        return BudgetSpentError(
            f"{who}the cap {cap} is reached: {used}{perhaps}, and {needs}. Every answer paid for is kept; "
            f"raise {name} in the domain file and run again: nothing is paid twice"
        )
