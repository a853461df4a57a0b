"""The gate: may a candidate become current? A paired test on the new probes, guard sets, and no way to fail open (G1-G3).

Decides only. What is current is `release.registry`; the numbers come from `evaluation.statistics`.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from alas_assets.evaluation.statistics import drop_bound, fact_counts, fact_gains, mcnemar, mean_drop_bound, paired_test, units_to_decide
from alas_assets.records import UNKNOWN, AdapterRef, GateDecision, GuardResult, PairedTest

ALPHA = 0.05
TOPIC_MIN = 10
"""Guard questions of one topic below which its fall is not judged by itself: 5 of 5 still means 57-100 %."""

CORRECTION_WORDINGS = 3
"""Held-out wordings of a changed fact that must all be answered right where too few facts changed for the paired test (G1)."""

_GUARDS = {"guard": "general skills", "neighbour": "neighbouring topics", "earlier": "facts of earlier iterations"}
_EPSILON = 1e-9


@dataclass(frozen=True)
class _Candidate:
    system: Literal["sft", "dpo"]
    ref: AdapterRef
    answers: pl.DataFrame


@dataclass(frozen=True)
class _Weighed:
    """What a rule came to.

    Attributes:
        verdict: Whether the candidate is to become current.
        reason: Why, in words and figures.
        rule: The paired test on the gain, or the rule for few changed facts.
        wanted: How many probes would decide; None where more of them would not, or it is decided.
    """

    verdict: Literal["promote", "keep", "undecided"]
    reason: str
    rule: Literal["gain", "correction"] = "gain"
    wanted: int | None = None


class _Refused(Exception):
    """The gate cannot weigh the candidate; the message is the decision's reason."""


def decide(
    *,
    domain: str,
    iteration: int,
    probes: pl.DataFrame,
    probes_hash: str,
    sft: AdapterRef,
    dpo: AdapterRef,
    sft_answers: pl.DataFrame,
    dpo_answers: pl.DataFrame,
    reference: pl.DataFrame,
    current_before: str | None,
    seed_current: str | None,
    barred: str,
    gamma: float,
    rho: float,
    seed: int,
    earlier_facts: Set[str] | None = None,
    alpha: float = ALPHA,
) -> GateDecision:
    """Decide whether the iteration's candidate becomes current (G1-G3, D4).

    The DPO candidate meets the gate only if it has more of the new probes right than the SFT one, else the SFT candidate does: no gain of
    DPO was shown (`bench/RESULTS.md`), so a tie speaks for the adapter it started from. The candidate is promoted if, on the same
    new probes, it beats what was current before (the base student at first) by at least `gamma`, the exact one-sided
    McNemar test holds over probes *and* over facts - wordings of one fact rise and fall together, so the first alone
    promotes too easily (measured with two equal candidates and correlated wordings: 15 % instead of 4.5 %) - and no
    guard set falls by more than `rho`. A set that should hold questions and does not, answers that are missing or of another
    student than the candidate's, and probes other than those fixed before training all refuse. A failed answer of the
    candidate is wrong; a failed answer of what it is compared with counts as right, so that no failure helps a candidate.

    Where too few facts changed for the test to decide even if all of them were won, the candidate is promoted as a
    *correction* if it answers every one of them right in all its held-out wordings, three at least, and every guard set either lost
    nothing or is bounded not to have fallen by more than `rho`: over whole facts, unless none lost more than half of its wordings, and
    over the wordings that each fact lost (`bench/gate/RESULTS.md` has that rule's error). Earlier facts that are only taught again
    are not changed facts: they count among the earlier ones. A candidate that fails is undecided: the revision plans its topics
    again, so its facts are taught and tested together with the next change.

    General skills are compared with the base student as well as with the previous adapter: against the previous one
    alone each iteration could lose up to `rho` again, and nobody would see the sum.

    Args:
        domain: The domain's key.
        iteration: The iteration's number.
        probes: All questions (`PROBE_SCHEMA`).
        probes_hash: Their content hash, which the manifests must name.
        sft: The SFT candidate; untrained where there was nothing to teach.
        dpo: The DPO candidate; untrained where DPO was skipped.
        sft_answers: Its graded answers (`ANSWER_SCHEMA`).
        dpo_answers: Its graded answers.
        reference: Graded answers of `base` and, where an adapter was current, `previous`.
        current_before: Adapter that is current now; None for the base student.
        seed_current: Adapter that was current when the iteration was opened.
        barred: Why this iteration may promote nothing, whatever its candidate can do (an older one, one that a person rolled back); ""
            where it may.
        gamma: Least gain, a fraction.
        rho: Most that a guard set may fall, a fraction.
        seed: Fixes the bootstrap.
        earlier_facts: Facts of earlier iterations that still hold; where some of them are not asked anew, an empty set of earlier
            probes refuses. None where they are not known, which refuses too.
        alpha: One-sided error of the test.
    """
    candidate = _choose(probes, sft, dpo, sft_answers, dpo_answers)
    test: PairedTest | None = None
    guards: list[GuardResult] = []
    try:
        chosen = _require_candidate(candidate, sft, probes_hash, current_before)
        _require_one_base(chosen, reference)
        other = _reference_answers(reference, "previous" if seed_current else "base", seed_current or "")
        test, facts = _test(probes, chosen.answers, other, seed)
        has_previous = seed_current is not None
        new = probes.filter(pl.col("split") == "probe")
        again = _taught_again(new, other, earlier_facts or frozenset())
        guards = _guards(
            probes,
            chosen.answers,
            other,
            reference,
            has_previous=has_previous,
            again=again,
            needs_earlier=has_previous and (earlier_facts is None or bool(earlier_facts - set(new["fact_id"]))),
            rho=rho,
            alpha=alpha,
        )
        whom = "the previous adapter" if seed_current else "the base student"
        asked = new["fact_group"].n_unique()
        weighed = _weigh(test, facts, guards, asked=asked, gamma=gamma, alpha=alpha, whom=whom)
        if weighed.verdict == "undecided" and _too_few(new, other, alpha):
            changed = new.filter(~pl.col("fact_group").is_in(list(again)))
            weighed = _correct(changed, chosen.answers, guards, rho=rho, seen=weighed.reason)
        weighed = replace(weighed, reason=weighed.reason + _failed_note(other))
        if weighed.verdict == "promote" and (veto := barred or _moved(seed_current, current_before)):
            weighed = replace(weighed, verdict="keep", reason=f"{veto} ({weighed.reason})")
    except _Refused as refusal:
        weighed = _Weighed("keep", str(refusal))
    return GateDecision(
        domain=domain,
        iteration=iteration,
        verdict=weighed.verdict,
        reason=weighed.reason,
        candidate=candidate.ref.adapter_hash if candidate else None,
        candidate_system=candidate.system if candidate else None,
        rule=weighed.rule,
        current_before=current_before,
        current_after=candidate.ref.adapter_hash if candidate and weighed.verdict == "promote" else current_before,
        test=test,
        guards=guards,
        probes_to_decide=weighed.wanted,
    )


def _moved(seed_current: str | None, current_before: str | None) -> str:
    """Say that something else became current since the iteration was opened; "" where nothing did."""
    if current_before == seed_current:
        return ""
    return (
        f"{_short(seed_current)} was current when this iteration was opened and {_short(current_before)} is now "
        "(a rollback, takedown or promotion meanwhile), so the comparison does not hold; open the next iteration"
    )


def _short(adapter: str | None) -> str:
    return f"adapter {adapter[:12]}" if adapter else "the base student"


def _choose(
    probes: pl.DataFrame, sft: AdapterRef, dpo: AdapterRef, sft_answers: pl.DataFrame, dpo_answers: pl.DataFrame
) -> _Candidate | None:
    """Return the candidate that meets the gate: SFT unless DPO was trained and has more of the new probes right (D4)."""
    if not sft.trained:
        return None
    first = _Candidate("sft", sft, sft_answers)
    if not dpo.trained or dpo.adapter_hash == sft.adapter_hash:
        return first
    ids = _ids(probes, "probe")
    second = _Candidate("dpo", dpo, dpo_answers)
    return second if sum(_right(dpo_answers, ids, failed=False)) > sum(_right(sft_answers, ids, failed=False)) else first


def _require_candidate(candidate: _Candidate | None, sft: AdapterRef, probes_hash: str, current_before: str | None) -> _Candidate:
    if candidate is None:
        raise _Refused("this iteration trained no candidate" + (f": {sft.reason}" if sft.reason else ""))
    ref = candidate.ref
    if ref.probes_hash != probes_hash:
        raise _Refused(
            f"the {candidate.system} adapter was trained with probes {ref.probes_hash[:12] or 'none'} fixed, these are {probes_hash[:12]}; "
            "materialise the adapter again"
        )
    strangers = sorted(set(candidate.answers["adapter_hash"]) - {ref.adapter_hash})
    if strangers:
        raise _Refused(
            f"the answers are of adapter {strangers[0][:12] or 'none'}, the candidate is {ref.adapter_hash[:12]}; "
            "materialise its scores again"
        )
    if ref.adapter_hash == current_before:
        raise _Refused("the candidate is what is current already")
    return candidate


def _require_one_base(candidate: _Candidate, reference: pl.DataFrame) -> None:
    """Refuse answers of another student than the candidate's: what a change of student wins or loses is no merit of an adapter."""
    for answers, asset in ((candidate.answers, "its scores"), (reference, "baseline_scores")):
        others = sorted(set(answers["base_hash"]) - {candidate.ref.base_hash})
        if others:
            raise _Refused(
                f"the {candidate.system} candidate was trained on student {candidate.ref.base_hash[:12]}, and answers that it is weighed "
                f"by are of {others[0][:12] or 'none'}; materialise {asset} again"
            )


def _reference_answers(reference: pl.DataFrame, system: str, adapter: str) -> pl.DataFrame:
    answers = reference.filter((pl.col("system") == system) & (pl.col("adapter_hash") == adapter))
    if answers.is_empty():
        raise _Refused(f"there is no answer of {_short(adapter)} to compare with; materialise baseline_scores again")
    return answers


def _ids(probes: pl.DataFrame, split: str) -> list[str]:
    return probes.filter(pl.col("split") == split)["probe_id"].to_list()


def _right(answers: pl.DataFrame, ids: list[str], *, failed: bool) -> list[bool]:
    """Tell for each probe whether it was answered right; `failed` is what a failed answer counts as, a missing one is wrong."""
    labels = dict(zip(answers["probe_id"], answers["label"], strict=True))
    return [failed if (label := labels.get(probe)) == "failed" else label == "correct" for probe in ids]


def _require(answers: pl.DataFrame, ids: list[str], whose: str) -> None:
    missing = set(ids) - set(answers["probe_id"])
    if missing:
        raise _Refused(
            f"{whose} did not answer {len(missing)} of {len(ids)} questions, the first is {min(missing)}; materialise its scores again"
        )


def _test(probes: pl.DataFrame, ours: pl.DataFrame, other: pl.DataFrame, seed: int) -> tuple[PairedTest, tuple[int, int]]:
    """Compare on the new probes; return the test and the numbers of facts that got better and worse."""
    new = probes.filter(pl.col("split") == "probe")
    if new.is_empty():
        raise _Refused("there is no new probe to decide on")
    ids = new["probe_id"].to_list()
    _require(ours, ids, "the candidate")
    _require(other, ids, "what it is compared with")
    mine, theirs, groups = _right(ours, ids, failed=False), _right(other, ids, failed=True), new["fact_group"].to_list()
    return paired_test(mine, theirs, groups, seed), fact_counts(mine, theirs, groups)


def _guards(
    probes: pl.DataFrame,
    ours: pl.DataFrame,
    other: pl.DataFrame,
    reference: pl.DataFrame,
    *,
    has_previous: bool,
    again: Set[str],
    needs_earlier: bool,
    rho: float,
    alpha: float,
) -> list[GuardResult]:
    """Compare every guard set, and every well-filled topic of it, with what came before (G2)."""
    results: list[GuardResult] = []
    known = pl.col("fact_group").is_in(list(again)) & (pl.col("split") == "probe")
    for split in _GUARDS:
        rows = probes.filter((pl.col("split") == split) | (known if split == "earlier" else False))
        if rows.is_empty():
            if split == "guard" or (split == "earlier" and needs_earlier):
                results.append(GuardResult(name=split, n=0, candidate_correct=0, other_correct=0, drop=1.0, allowed=rho, ok=False))
            continue
        compared = {split: other}
        if split == "guard" and has_previous:
            compared = {"guard (base)": _reference_answers(reference, "base", ""), "guard (previous)": other}
        ids = rows["probe_id"].to_list()
        _require(ours, ids, "the candidate")
        for name, answers in compared.items():
            _require(answers, ids, "what it is compared with")
            results.append(_guard(name, rows, ours, answers, rho, alpha))
            results += _fallen_topics(name, rows=rows, ours=ours, other=answers, rho=rho, alpha=alpha)
    return results


def _guard(name: str, rows: pl.DataFrame, ours: pl.DataFrame, other: pl.DataFrame, rho: float, alpha: float) -> GuardResult:
    ids, groups = rows["probe_id"].to_list(), rows["fact_group"].to_list()
    mine, theirs = _right(ours, ids, failed=False), _right(other, ids, failed=True)
    drop = (sum(theirs) - sum(mine)) / len(ids)
    drops = [-gain for gain in fact_gains(mine, theirs, groups)]
    won, lost = sum(1 for one in drops if one < -0.5), sum(1 for one in drops if one > 0.5)
    by_fact, by_wording = drop_bound(won, lost, len(drops), alpha), mean_drop_bound(drops, len(ids), alpha)
    return GuardResult(
        name=name,
        n=len(ids),
        candidate_correct=sum(mine),
        other_correct=sum(theirs),
        drop=drop,
        allowed=rho,
        facts_lost=lost,
        bound=max(by_fact, by_wording) if lost else by_wording,
        ok=drop <= rho + _EPSILON,
    )


def _fallen_topics(
    name: str, *, rows: pl.DataFrame, ours: pl.DataFrame, other: pl.DataFrame, rho: float, alpha: float
) -> list[GuardResult]:
    """Return the topics that fell by more than `rho` beyond chance; the error is shared among the topics looked at (G1)."""
    topics = [(topic, part) for (topic,), part in rows.group_by("topic", maintain_order=True) if part.height >= TOPIC_MIN]
    fallen: list[GuardResult] = []
    for topic, part in topics:
        ids = part["probe_id"].to_list()
        result = _guard(f"{name}: {topic}", part, ours, other, rho, alpha)
        pairs = list(zip(_right(ours, ids, failed=False), _right(other, ids, failed=True), strict=True))
        losses = sum(1 for a, b in pairs if b and not a)
        wins = sum(1 for a, b in pairs if a and not b)
        if len(topics) > 1 and not result.ok and mcnemar(losses, wins) < alpha / len(topics):
            fallen.append(result)
    return fallen


def _weigh(
    test: PairedTest, facts: tuple[int, int], guards: list[GuardResult], *, asked: int, gamma: float, alpha: float, whom: str
) -> _Weighed:
    """Weigh the gain and the guards; `asked` is how many facts the probes are about."""
    seen = f"{_points(test.gain)} on {test.n} probes against {whom}, {test.wins} better and {test.losses} worse, p = {test.p_value:.2g}"
    by_fact = mcnemar(*facts)
    seen += f" ({facts[0]} facts better and {facts[1]} worse, p = {by_fact:.2g})"
    bad = [guard for guard in guards if not guard.ok]
    if bad:
        return _Weighed("keep", "; ".join(_guard_words(guard) for guard in bad) + f"; gain: {seen}")
    proven = test.p_value < alpha and by_fact < alpha
    if proven and test.gain >= gamma - _EPSILON:
        return _Weighed("promote", f"{seen}; {_held_words(guards)}")
    if test.wins == test.losses == 0:
        return _Weighed("keep", f"the candidate answers every probe as {whom} does, right or wrong")
    if test.ci_high < gamma or proven:
        return _Weighed("keep", f"not better by {_points(gamma)}: {seen}")
    more, needed = _enough(facts, asked, test.n, gamma, alpha)
    return _Weighed("undecided", f"{seen}, which may be chance{more}", wanted=needed)


def _enough(facts: tuple[int, int], asked: int, probes: int, gamma: float, alpha: float) -> tuple[str, int | None]:
    """Return in words how many facts would decide, and how many probes these are in as many wordings as now.

    Counted in facts by the share of them that differ: wordings of one fact are not independent, and as many of them decide less.
    """
    better, worse = facts
    target = max((better - worse) / asked, gamma)
    needed = units_to_decide(target, (better + worse) / asked, alpha)
    if needed is None:
        return "", None
    needed = max(needed, asked + 1)
    wanted = round(needed * probes / asked)
    return f"; about {needed} facts, {wanted} probes, would decide if {100 * target:.0f} of 100 more get better than worse", wanted


def _taught_again(new: pl.DataFrame, other: pl.DataFrame, earlier_facts: Set[str]) -> frozenset[str]:
    """Return the groups of earlier facts that are asked anew and of which what came before knows something: no change of facts."""
    known = pl.Series("known", _right(other, new["probe_id"].to_list(), failed=True), dtype=pl.Boolean)
    rows = new.with_columns(known).filter(pl.col("known") & pl.col("fact_id").is_in(list(earlier_facts)))
    return frozenset(rows["fact_group"])


def _too_few(new: pl.DataFrame, other: pl.DataFrame, alpha: float) -> bool:
    """Tell whether so few facts can be won that winning all of them would prove nothing."""
    known = _right(other, new["probe_id"].to_list(), failed=True)
    winnable = {group for group, ok in zip(new["fact_group"], known, strict=True) if not ok}
    return mcnemar(len(winnable), 0) >= alpha


def _correct(changed: pl.DataFrame, ours: pl.DataFrame, guards: list[GuardResult], *, rho: float, seen: str) -> _Weighed:
    """Weigh few changed facts: all of them right in all held-out wordings, and nothing else lost (G1)."""
    right = pl.Series("right", _right(ours, changed["probe_id"].to_list(), failed=False), dtype=pl.Boolean)
    facts = changed.with_columns(right).group_by("fact_group").agg(pl.len().alias("wordings"), pl.col("right").all())
    again = "it is taught and tested again with the next change"
    if facts.is_empty():
        return _Weighed("undecided", f"only earlier facts were taught again: {seen}", "correction")
    what = f"{facts.height} changed facts are too few for the paired test, so it is judged as a correction"
    thin = facts.filter(pl.col("wordings") < CORRECTION_WORDINGS).height
    if thin:
        reason = f"{what}: {thin} have fewer than {CORRECTION_WORDINGS} held-out wordings; {again} ({seen})"
        return _Weighed("undecided", reason, "correction")
    missed = facts.filter(~pl.col("right")).height
    if missed:
        return _Weighed("undecided", f"{what}: {missed} are not answered right in all held-out wordings; {again} ({seen})", "correction")
    unproven = [guard for guard in guards if guard.bound > rho + _EPSILON]
    if unproven:
        worst = max(unproven, key=lambda guard: guard.bound)
        reason = (
            f"{what}: {worst.name} went from {worst.other_correct} to {worst.candidate_correct} of {worst.n} and may have fallen by up to "
            f"{100 * worst.bound:.1f} points where {100 * rho:.1f} are allowed; {again} ({seen})"
        )
        return _Weighed("undecided", reason, "correction")
    return _Weighed("promote", f"{what}: right in all {changed.height} held-out wordings, and {_bounded_words(guards)}", "correction")


def _bounded_words(guards: list[GuardResult]) -> str:
    worst = max(guards, key=lambda guard: guard.bound)
    if worst.bound <= 0:
        return "no guard set fell"
    return f"no guard set fell by more than {100 * worst.bound:.1f} points at 95 % ({worst.name}, n = {worst.n})"


def _points(share: float) -> str:
    return f"{100 * share:+.1f} points"


def _guard_words(guard: GuardResult) -> str:
    label = _GUARDS.get(guard.name.split(" ")[0].rstrip(":"), guard.name)
    if guard.n == 0:
        return f"the guard set of {label} is empty, so nothing shows that they are kept"
    return (
        f"{label} ({guard.name}) fell from {guard.other_correct} to {guard.candidate_correct} of {guard.n}, "
        f"{100 * guard.drop:.1f} points where {100 * guard.allowed:.1f} are allowed"
    )


def _held_words(guards: list[GuardResult]) -> str:
    worst = max(guards, key=lambda guard: guard.drop)
    return (
        f"no guard set fell by more than {100 * worst.allowed:.0f} points, the most is {100 * worst.drop:.1f} ({worst.name}, n = {worst.n})"
    )


def _failed_note(other: pl.DataFrame) -> str:
    failed = other.filter((pl.col("label") == "failed") & (pl.col("split") != UNKNOWN)).height
    return f"; {failed} failed answers of what it is compared with were counted as right" if failed else ""
