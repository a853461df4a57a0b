"""Asset `promotion`: the gate's decision, and the registry entry where it promotes (G1-G4). The rule is `release.gate`."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import polars as pl
from pydantic import BaseModel

from alas_assets.defs import show
from alas_assets.defs.earlier import standing_facts
from alas_assets.defs.resources import Alas
from alas_assets.defs.steps import Made, Step, loop_asset
from alas_assets.evaluation.scoreboard import current_answers
from alas_assets.partitions import cells
from alas_assets.provenance.ids import content_hash
from alas_assets.provenance.store import LAST_ITERATION, Cell
from alas_assets.records import AdapterRef, GateDecision, Seed
from alas_assets.release.gate import decide
from alas_assets.release.registry import Entry


def promoted_here(alas: Alas, cell: Cell, seed: Seed) -> Entry | None:
    """Return the promotion that this very cell may take back: it is in force, over what the cell's seed found, and the cell the newest."""
    newest = alas.registry.newest(cell.domain)
    own = newest is not None and newest.iteration == cell.number and newest.previous == seed.inherited.current_adapter
    return newest if own and is_newest(alas, cell) else None


def still_applied(alas: Alas, cell: Cell, seed: Seed, decision: GateDecision) -> bool:
    """Tell whether the registry is as a decision left it, or changed by a person, a takedown or a later iteration since (G4).

    It is not where this cell was made again meanwhile and decided otherwise; the decision, if it holds again, is then to be applied again.
    """
    if not is_newest(alas, cell):
        return True
    if promoted_here(alas, cell, seed):
        return decision.verdict == "promote" and alas.registry.current(cell.domain) == decision.candidate
    return decision.verdict != "promote" or not alas.registry.taken_back_by_the_gate(cell.domain)


def is_newest(alas: Alas, cell: Cell) -> bool:
    """Tell whether no later iteration of the domain was opened."""
    return cell.number == LAST_ITERATION or alas.store.pointer(Cell.of(cell.domain, cell.number + 1), "curriculum_seed") is None


def why_barred(alas: Alas, cell: Cell) -> str:
    """Say why an iteration may promote nothing, whatever its candidate can do; "" where it may (G4).

    What a person rolled back stays out until that person or another says otherwise: were the gate to decide anew, on a candidate that
    was trained again or by a changed rule, it would undo what was done on purpose.
    """
    if not is_newest(alas, cell):
        return f"a later iteration of {cell.domain} was opened, only the newest may change what is current"
    undone = alas.registry.standing_rollback(cell.domain)
    if undone and not undone.run_id and undone.iteration == cell.number:
        by, reason = f" by {undone.by}" if undone.by else "", f" ({undone.reason})" if undone.reason else ""
        return (
            f"what iteration {cell.iteration} promoted was rolled back{by} on {undone.at[:10]}{reason}, so nothing of it is promoted "
            f"again: `alas rollback {cell.domain} --undo` takes that back, the next iteration is free to promote"
        )
    return ""


@loop_asset("3", kinds={"json"})
def promotion(
    context: dg.AssetExecutionContext,
    alas: Alas,
    curriculum_seed: Seed,
    documents: pl.DataFrame,
    probes: pl.DataFrame,
    baseline_scores: pl.DataFrame,
    sft_adapter: AdapterRef,
    dpo_adapter: AdapterRef,
    judge_scores: pl.DataFrame,
    dpo_judge_scores: pl.DataFrame,
) -> dg.MaterializeResult[GateDecision]:
    """Promote the better candidate if it beats the current model and no guard falls; otherwise keep what is there."""
    step = Step(context, alas)
    cell, domain = step.cell, step.domain

    def make(key: str) -> Made[GateDecision]:
        own = promoted_here(alas, cell, curriculum_seed)
        before = curriculum_seed.inherited.current_adapter if own else alas.registry.current(cell.domain)
        decision = decide(
            domain=cell.domain,
            iteration=cell.number,
            # after a takedown all standing facts are taught anew, so all of them decide
            probes=probes.with_columns(pl.col("split").replace("earlier", "probe")) if curriculum_seed.retrain else probes,
            probes_hash=step.inputs()["probes"],
            sft=sft_adapter,
            dpo=dpo_adapter,
            sft_answers=judge_scores,
            dpo_answers=dpo_judge_scores,
            reference=baseline_scores,
            current_before=before,
            seed_current=curriculum_seed.inherited.current_adapter,
            barred=why_barred(alas, cell),
            gamma=domain.thresholds.gamma,
            rho=domain.thresholds.rho,
            seed=domain.seed,
            earlier_facts=standing_facts(alas, cell, curriculum_seed, documents),
        )
        if decision.verdict == "promote" and decision.candidate:
            alas.registry.promote(
                cell.domain,
                decision.candidate,
                iteration=cell.number,
                decision_hash=content_hash(decision.model_dump(mode="json")),
                run_id=context.run_id,
                at=datetime.now(UTC).isoformat(timespec="seconds"),
                previous=before,
            )
        elif own:  # this cell promoted a candidate before and has now, made again, decided otherwise
            alas.registry.rollback(cell.domain, expected=own, run_id=context.run_id)
        return Made(decision)

    def applied(decision: BaseModel) -> bool:
        return isinstance(decision, GateDecision) and still_applied(alas, cell, curriculum_seed, decision)

    def describe(decision: GateDecision) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "verdict": decision.verdict,
            "rule": decision.rule,
            "reason": decision.reason,
            "candidate": f"{decision.candidate_system} {(decision.candidate or '')[:16]}" if decision.candidate else "none",
            "current_before": (decision.current_before or "base student")[:16],
            "current_after": (decision.current_after or "base student")[:16],
        }
        now = current_answers(decision, baseline_scores, judge_scores, dpo_judge_scores)
        urls = {probe: url for probe, url in probes.select("probe_id", "url").iter_rows() if url}
        shown["wrong_answers_of_the_current_model"] = show.answers(now.filter(pl.col("label") != "correct"), urls, "", rows=60)
        if test := decision.test:
            shown |= {
                "gain": f"{100 * test.gain:+.1f} points [{100 * test.ci_low:.1f}, {100 * test.ci_high:.1f}], n = {test.n}",
                "better_and_worse": f"{test.wins} better, {test.losses} worse, p = {test.p_value:.2g}",
            }
        if decision.guards:
            shown["guards"] = show.table(pl.DataFrame([guard.model_dump() for guard in decision.guards]), asset="promotion")
        return shown

    settings = {"gamma": domain.thresholds.gamma, "rho": domain.thresholds.rho, "seed": domain.seed}
    return step.run(GateDecision, make, describe, settings=settings, still_good=applied)


@dg.asset_check(asset=promotion, partitions_def=cells, description="The candidate, if there is one, was promoted; if not, why.")
def candidate_promoted(context: dg.AssetCheckExecutionContext, promotion: GateDecision) -> dg.AssetCheckResult:
    """Turn the gate's reason into a check that a reader understands (G1, G3)."""
    return dg.AssetCheckResult(
        passed=promotion.verdict == "promote" or promotion.candidate is None,  # an iteration that found nothing new trains none
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{promotion.verdict}: {promotion.reason}",
    )
