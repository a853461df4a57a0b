"""What a cell's teacher calls came to, as the UI shows it (O5, U1). Counting is the ledger's."""

from typing import Any

import polars as pl

from alas_assets.defs import show
from alas_assets.defs.steps import Step
from alas_assets.teachers.endpoint.ledger import Ledger, PurposeTotals, open_ledger

FAILURES_SHOWN = 20


def teacher_costs(step: Step, *purposes: str) -> dict[str, Any]:
    """Return the calls, tokens and money of a cell for these purposes, beside the whole cell's, and what failed.

    Empty for a teacher that asks no model. What was paid by an earlier run or cell shows as replayed; answers that could not be used,
    also where they were asked for again, are those of this run.
    """
    if step.domain.teacher.kind == "extractive":
        return {}
    cell, currency = (step.cell.domain, step.cell.number), step.domain.budget.currency
    with open_ledger(step.alas.ledger) as ledger:
        totals, spent = ledger.totals(cell), ledger.spent(cell)
        failed = _failures(ledger, cell, purposes)
    own = [one for one in totals if one.purpose in purposes]
    shown: dict[str, Any] = {
        "teacher_calls": sum(one.calls for one in own),
        "teacher_replayed": sum(one.replayed for one in own),
        "teacher_tokens": _tokens(own),
        "teacher_money": _money(own, currency),
        "teacher_tokens_of_the_cell": _against(spent.tokens, spent.perhaps_tokens, step.domain.budget.tokens, ",d"),
        "teacher_money_of_the_cell": _money(totals, currency)
        if not step.domain.budget.money
        else f"{_against(spent.money, spent.perhaps_money, step.domain.budget.money, ',.4f')} {currency}",
        "teacher": show.table(pl.DataFrame([cost_line(one, currency) for one in totals]), rows=9),
    }
    if failed.height:
        shown["teacher_failures"] = show.table(failed, rows=FAILURES_SHOWN)
    if step.troubles:
        troubles = pl.DataFrame([one.model_dump() for one in step.troubles])
        shown["teacher_answers_not_usable"] = len(step.troubles)
        shown["teacher_answers_not_usable_why"] = show.table(troubles, rows=FAILURES_SHOWN)
    return shown


def _failures(ledger: Ledger, cell: tuple[str, int], purposes: tuple[str, ...]) -> pl.DataFrame:
    rows = [one for one in ledger.failures(cell) if one.purpose in purposes]
    return pl.DataFrame([{"purpose": one.purpose, "item": one.item, "kind": one.kind, "why": one.message} for one in rows])


def _against(spent: float, perhaps: float, cap: float, form: str) -> str:
    """Return what counts against a cap: what was billed, and what cut-off attempts may have been."""
    doubtful = f" and perhaps {perhaps:{form}}" if perhaps else ""
    return f"{spent:{form}}{doubtful}{f' of {cap:{form}}' if cap else ''}"


def _tokens(totals: list[PurposeTotals]) -> int:
    return sum(one.prompt_tokens + one.completion_tokens for one in totals)


def _money(totals: list[PurposeTotals], currency: str) -> str:
    """Return the sum in words; what is unknown is said to be unknown (O5)."""
    whole = PurposeTotals(
        "all", calls=sum(t.calls for t in totals), money=sum(t.money for t in totals), unpriced=sum(t.unpriced for t in totals)
    )
    return whole.shown_money(currency)


def cost_line(one: PurposeTotals, currency: str) -> dict[str, Any]:
    """Return one purpose's calls, tokens, money and faults, named as people see them."""
    return {
        "purpose": one.purpose,
        "calls": one.calls,
        "replayed": one.replayed,
        "sent": one.prompt_tokens,
        "received": one.completion_tokens,
        "money": one.shown_money(currency),
        "cut_off": one.truncated,
        "failed": one.failed,
        "faults": ", ".join(f"{kind} {count}" for kind, count in one.faults.items()),
        "seconds (50, 90, 99 %)": " / ".join(f"{one.latency[p]:.1f}" for p in sorted(one.latency)),
    }
