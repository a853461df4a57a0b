"""The gate promotes what is better, and nothing else (G1-G3, D4)."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.records import ANSWER_SCHEMA, AdapterRef, GateDecision
from alas_assets.release.gate import decide
from alas_assets_tests.evaluation.tables import answers, many, probe, probes

NONE = ANSWER_SCHEMA.to_frame()
NEW, GUARD, EARLIER = 40, 40, 20
FIRST = probes(*many(NEW), *many(GUARD, "guard"))
LATER = probes(*many(NEW), *many(GUARD, "guard"), *many(EARLIER, "earlier"))


def ref(kind: str, digest: str, trained: bool = True, probes_hash: str = "P") -> AdapterRef:
    return AdapterRef(
        adapter_hash=digest, kind=kind, trained=trained, reason="no new facts", base_hash="b", rows_hash="r", probes_hash=probes_hash  # type: ignore[arg-type]
    )  # fmt: skip


def right(new: int, guard: int = GUARD, earlier: int | None = None) -> list[bool | str]:
    """Return which answers are right: the first so many of each set."""
    result: list[bool | str] = [i < new for i in range(NEW)] + [i < guard for i in range(GUARD)]
    return result + ([i < earlier for i in range(EARLIER)] if earlier is not None else [])


def first(**more: Any) -> GateDecision:
    """Decide on a first iteration whose SFT candidate is right on 30 of 40 new probes and loses nothing."""
    asked = more.pop("asked", FIRST)
    sft = more.pop("sft_right", right(30))
    base = more.pop("base_right", right(2))
    arguments: dict[str, Any] = {
        "domain": "d", "iteration": 0, "probes": asked, "probes_hash": "P", "sft": ref("sft", "S"), "dpo": ref("dpo", "S", trained=False),
        "sft_answers": answers(asked, "sft", sft, "S"), "dpo_answers": NONE, "reference": answers(asked, "base", base),
        "current_before": None, "seed_current": None, "barred": "", "gamma": 0.01, "rho": 0.1, "seed": 17,
    }  # fmt: skip
    return decide(**{**arguments, **more})


def later(previous: list[bool | str], sft: list[bool | str], base: list[bool | str], **more: Any) -> GateDecision:
    """Decide on a second iteration, with the adapter O current."""
    reference = pl.concat([answers(LATER, "base", base), answers(LATER, "previous", previous, "O")])
    return first(asked=LATER, sft_right=sft, base_right=base, reference=reference, **({"current_before": "O", "seed_current": "O"} | more))


def test_a_candidate_that_learned_and_forgot_nothing_is_promoted() -> None:
    verdict = first()
    assert (verdict.verdict, verdict.current_after, verdict.candidate_system) == ("promote", "S", "sft")
    assert verdict.test is not None
    assert verdict.test.gain == pytest.approx(0.7)
    assert verdict.guards[0].ok
    assert first() == verdict


def test_the_dpo_candidate_meets_the_gate_only_if_it_has_more_right_and_was_not_skipped() -> None:
    for score, system in ((31, "dpo"), (30, "sft"), (29, "sft")):
        assert first(dpo=ref("dpo", "D"), dpo_answers=answers(FIRST, "dpo", right(score), "D")).candidate_system == system
    assert first(dpo=ref("dpo", "S", trained=False), dpo_answers=answers(FIRST, "dpo", right(40), "S")).candidate_system == "sft"


def test_a_guard_that_falls_by_more_than_rho_keeps_the_old_one() -> None:
    assert first(sft_right=right(30, guard=36)).verdict == "promote"
    verdict = first(sft_right=right(30, guard=35))
    assert (verdict.verdict, verdict.current_after) == ("keep", None)
    assert "general skills" in verdict.reason
    assert "12.5 points where 10.0 are allowed" in verdict.reason


def test_an_empty_probe_or_guard_set_fails_the_gate() -> None:
    no_guard = probes(*many(NEW))
    verdict = first(asked=no_guard, sft_right=right(30)[:NEW], base_right=right(2)[:NEW])
    assert verdict.verdict == "keep"
    assert "empty" in verdict.reason
    no_probe = probes(*many(GUARD, "guard"))
    verdict = first(asked=no_probe, sft_right=[True] * GUARD, base_right=[True] * GUARD)
    assert verdict.verdict == "keep"
    assert "no new probe" in verdict.reason
    reference = pl.concat([answers(FIRST, "base", right(2)), answers(FIRST, "previous", right(2), "O")])
    verdict = first(reference=reference, current_before="O", seed_current="O")
    assert verdict.verdict == "keep"
    assert "earlier iterations is empty" in verdict.reason


def test_failed_answers_never_help_a_candidate() -> None:
    base: list[bool | str] = ["failed"] * NEW + [True] * GUARD
    verdict = first(base_right=base)
    assert verdict.verdict == "keep"
    assert "40 failed answers" in verdict.reason
    failing: list[bool | str] = right(30)[:NEW] + ["failed"] * 5 + [True] * (GUARD - 5)
    assert first(sft_right=failing).verdict == "keep"
    lost: list[bool | str] = [True] * NEW + [True] * 20 + [False] * 20
    hidden: list[bool | str] = [False] * NEW + ["failed"] * GUARD
    assert first(sft_right=lost, base_right=hidden).verdict == "keep"


def test_answers_of_two_students_are_never_weighed_against_each_other() -> None:
    other = pl.lit("another student").alias("base_hash")
    for asset, more in (
        ("baseline_scores", {"reference": answers(FIRST, "base", right(2)).with_columns(other)}),
        ("its scores", {"sft_answers": answers(FIRST, "sft", right(30), "S").with_columns(other)}),
    ):
        verdict = first(**more)
        assert (verdict.verdict, verdict.current_after) == ("keep", None)
        assert "trained on student b, and answers that it is weighed by are of another stu" in verdict.reason
        assert f"materialise {asset} again" in verdict.reason


def test_missing_answers_other_probes_and_strange_adapters_are_refused() -> None:
    assert "did not answer 1 of 40" in first(sft_answers=answers(FIRST, "sft", right(30), "S").tail(-1)).reason
    assert "did not answer 1 of 40" in first(reference=answers(FIRST, "base", right(2)).tail(-1)).reason
    assert "no answer of the base student" in first(reference=NONE).reason
    assert "with probes OTHER fixed" in first(sft=ref("sft", "S", probes_hash="OTHER")).reason
    assert "of adapter S" in first(sft=ref("sft", "T")).reason
    for broken in ({"reference": NONE}, {"sft": ref("sft", "T")}, {"probes_hash": "Q"}):
        assert first(**broken).verdict == "keep"


def test_an_iteration_that_trained_nothing_keeps_what_is_there_and_says_so() -> None:
    verdict = first(sft=ref("sft", "none", trained=False), sft_answers=NONE)
    assert (verdict.verdict, verdict.candidate) == ("keep", None)
    assert "no new facts" in verdict.reason


def test_a_barred_cell_and_one_whose_start_is_no_longer_current_promote_nothing() -> None:
    older = first(barred="a later iteration was opened")
    assert older.verdict == "keep"
    assert older.reason.startswith("a later iteration was opened (+")
    assert older.test is not None
    rolled_back = later(right(2, earlier=15), right(30, earlier=15), right(0, earlier=0), current_before=None)
    assert (rolled_back.verdict, rolled_back.current_after) == ("keep", None)
    assert "rollback" in rolled_back.reason


def test_general_skills_are_compared_with_the_base_student_too() -> None:
    slow_loss = later(right(2, guard=37, earlier=15), right(30, guard=35, earlier=15), right(0, guard=40, earlier=0))
    assert slow_loss.verdict == "keep"
    assert "guard (base)" in slow_loss.reason
    assert [guard.name for guard in slow_loss.guards] == ["guard (base)", "guard (previous)", "earlier"]


def test_earlier_facts_must_not_be_forgotten() -> None:
    assert later(right(2, earlier=18), right(30, earlier=16), right(0, earlier=0)).verdict == "promote"
    verdict = later(right(2, earlier=18), right(30, earlier=15), right(0, earlier=0))
    assert verdict.verdict == "keep"
    assert "facts of earlier iterations" in verdict.reason


def test_a_topic_that_falls_beyond_chance_is_seen_behind_a_steady_average() -> None:
    rows = [*many(NEW), *[probe(i, "guard", topic=f"topic {i // 25}") for i in range(200)]]
    asked = probes(*rows)
    candidate = [i < 30 for i in range(NEW)] + [i >= 15 for i in range(200)]
    verdict = first(asked=asked, sft_right=candidate, base_right=[False] * NEW + [True] * 200)
    assert verdict.verdict == "keep"
    assert "guard: topic 0" in verdict.reason


def test_a_gain_that_may_be_chance_is_undecided_and_says_how_many_probes_would_decide() -> None:
    verdict = first(sft_right=right(5), base_right=right(2))
    assert verdict.verdict == "undecided"
    assert verdict.probes_to_decide is not None
    assert verdict.probes_to_decide > NEW
    assert f"{verdict.probes_to_decide} probes" in verdict.reason
    assert verdict.current_after is None


def test_how_many_would_decide_is_said_in_facts_of_which_more_wordings_are_no_more() -> None:
    def said(wordings: int) -> tuple[str, int]:
        rows = [probe(i, fact_id=f"f{i // wordings}", fact_group=f"f{i // wordings}") for i in range(20 * wordings)]
        kept = [True] * GUARD
        better, worse = [i // wordings < 3 for i in range(len(rows))], [i // wordings == 3 for i in range(len(rows))]
        verdict = first(asked=probes(*rows, *many(GUARD, "guard")), sft_right=better + kept, base_right=worse + kept)
        assert verdict.verdict == "undecided"
        assert verdict.probes_to_decide is not None
        return verdict.reason.split("about ")[1].split(" facts")[0], verdict.probes_to_decide

    assert said(1) == ("122", 122)
    assert said(3) == ("122", 366)


def test_a_candidate_that_answers_alike_or_worse_is_kept_out_for_good() -> None:
    assert first(sft_right=right(2)).verdict == "keep"
    assert first(sft_right=right(2), base_right=right(30)).verdict == "keep"


def test_many_wordings_of_one_fact_are_one_fact() -> None:
    asked = probes(*[probe(i, fact_group="one") for i in range(NEW)], *many(GUARD, "guard"))
    verdict = first(asked=asked)
    assert verdict.verdict == "undecided"
    assert "1 facts better and 0 worse" in verdict.reason


# ------------------------------------------------------------------------------------------------ few changed facts

WORDINGS, HELD = 3, 60


def corrected(facts: int, won: int, guard: int = HELD, earlier: int = HELD, wordings: int = WORDINGS, **more: Any) -> GateDecision:
    """Decide on an iteration with few changed facts, of whose wordings the first `won` are right; nothing was known of them before."""
    new = [probe(i, fact_group=f"fact {i // wordings}") for i in range(facts * wordings)]
    asked = probes(*new, *many(HELD, "guard"), *many(HELD, "earlier"))

    def said(n_new: int, n_guard: int, n_earlier: int) -> list[bool | str]:
        return [*[i < n_new for i in range(len(new))], *[i < n_guard for i in range(HELD)], *[i < n_earlier for i in range(HELD)]]

    reference = pl.concat([answers(asked, "base", said(0, HELD, 0)), answers(asked, "previous", said(0, HELD, HELD), "O")])
    arguments = {"reference": reference, "current_before": "O", "seed_current": "O", **more}
    return first(asked=asked, sft_right=said(won, guard, earlier), base_right=said(0, HELD, 0), **arguments)


def test_one_changed_fact_that_is_right_in_all_wordings_is_promoted_as_a_correction() -> None:
    verdict = corrected(facts=1, won=3)
    assert (verdict.verdict, verdict.rule, verdict.current_after) == ("promote", "correction", "S")
    assert "right in all 3 held-out wordings, and no guard set fell" in verdict.reason


def test_a_correction_with_one_wrong_wording_waits_for_the_next_change() -> None:
    verdict = corrected(facts=2, won=5)
    assert (verdict.verdict, verdict.rule, verdict.current_after) == ("undecided", "correction", "O")
    assert "1 are not answered right in all held-out wordings" in verdict.reason
    assert "tested again with the next change" in verdict.reason


def test_a_correction_needs_three_wordings_of_each_fact() -> None:
    verdict = corrected(facts=1, won=2, wordings=2)
    assert verdict.verdict == "undecided"
    assert "fewer than 3" in verdict.reason


def test_a_correction_must_be_shown_not_to_have_lost_earlier_facts_or_guards() -> None:
    for guard, earlier in ((HELD - 4, HELD), (HELD, HELD - 4)):  # 6.7 points less: within rho, but perhaps not in truth
        verdict = corrected(facts=1, won=3, guard=guard, earlier=earlier)
        assert verdict.verdict == "undecided"
        assert "went from 60 to 56 of 60 and may have fallen by up to" in verdict.reason
    assert corrected(facts=1, won=3).verdict == "promote"


def test_a_small_set_that_lost_nothing_holds_up_no_correction_and_one_lost_fact_does() -> None:
    for lost, verdict in ((0, "promote"), (1, "undecided")):
        asked = probes(*many(3, fact_group="changed"), *many(40, "guard"), *many(24, "earlier"))
        said = [True] * 43 + [i >= lost for i in range(24)]
        before: list[bool | str] = [False] * 3 + [True] * 64
        reference = pl.concat([answers(asked, "base", before), answers(asked, "previous", before, "O")])
        shared = {"asked": asked, "base_right": before, "reference": reference, "current_before": "O", "seed_current": "O"}
        assert first(sft_right=said, **shared).verdict == verdict


def few_earlier(lost: dict[int, int], facts: int = 10, wordings: int = 6) -> str:
    """Return the verdict on one changed fact that was learned, where few earlier facts lost so many wordings each."""
    earlier = [probe(i, "earlier", fact_group=f"earlier {i // wordings}") for i in range(facts * wordings)]
    asked = probes(*[probe(i, fact_group="changed") for i in range(3)], *many(40, "guard"), *earlier)
    said = [True] * 43 + [i % wordings >= lost.get(i // wordings, 0) for i in range(facts * wordings)]
    before: list[bool | str] = [False] * 3 + [True] * (40 + facts * wordings)
    reference = pl.concat([answers(asked, "base", before), answers(asked, "previous", before, "O")])
    return first(
        asked=asked, sft_right=said, base_right=before, reference=reference, current_before="O", seed_current="O"
    ).verdict  # fmt: skip


def test_a_few_wordings_lost_among_few_earlier_facts_hold_up_no_correction_and_a_lost_fact_does() -> None:
    assert few_earlier({2: 1, 7: 1}) == "promote"  # two of sixty wordings, every fact is still known
    assert few_earlier({2: 2}) == "promote"
    assert few_earlier({2: 4}) == "undecided"  # no more wordings than below, but a fact is lost
    assert few_earlier({1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1}) == "undecided"  # a tenth of all wordings


def test_enough_facts_are_decided_by_their_gain_and_never_as_a_correction() -> None:
    assert (corrected(facts=5, won=15).verdict, corrected(facts=5, won=15).rule) == ("promote", "gain")
    assert (corrected(facts=5, won=12).verdict, corrected(facts=5, won=12).rule) == ("undecided", "gain")


def test_an_empty_set_of_earlier_facts_is_allowed_where_none_of_them_stands() -> None:
    reference = pl.concat([answers(FIRST, "base", right(2)), answers(FIRST, "previous", right(2), "O")])
    inherited = {"reference": reference, "current_before": "O", "seed_current": "O"}
    assert first(**inherited, earlier_facts=frozenset()).verdict == "promote"
    assert first(**inherited, earlier_facts=frozenset({"stands"})).verdict == "keep"


def test_an_earlier_fact_that_is_taught_again_counts_among_the_earlier_ones_and_holds_up_no_correction() -> None:
    new = [probe(i, fact_id=f"fact {i // WORDINGS}", fact_group=f"fact {i // WORDINGS}") for i in range(2 * WORDINGS)]
    asked = probes(*new, *many(HELD, "guard"), *many(HELD, "earlier"))
    held: list[bool | str] = [True] * (2 * HELD)
    previous = answers(asked, "previous", [False] * 3 + [True, True, False] + held, "O")
    base: list[bool | str] = [False] * 6 + held
    reference = pl.concat([answers(asked, "base", base), previous])
    said: list[bool | str] = [True] * 3 + [True, True, False] + held  # the change is learned, the fact taught again no better
    shared = {"asked": asked, "sft_right": said, "base_right": base, "reference": reference, "current_before": "O", "seed_current": "O"}
    verdict = first(**shared, earlier_facts=frozenset({"fact 1"}))
    assert (verdict.verdict, verdict.rule) == ("promote", "correction")
    assert {guard.name: guard.n for guard in verdict.guards}["earlier"] == HELD + WORDINGS
    assert first(**shared, earlier_facts=frozenset({"another"})).verdict == "undecided"


def test_a_candidate_that_truly_fell_is_promoted_as_a_correction_in_at_most_one_trial_of_twenty() -> None:
    chance = random.Random(22)
    promoted = 0
    for _ in range(200):
        lost = 2 * sum(chance.random() < 0.1 for _ in range(HELD // 2))  # facts, as far as rho allows on average; two wordings each
        promoted += corrected(facts=1, won=3, earlier=HELD - lost).verdict == "promote"
    assert promoted <= 10 + 4


def test_a_gain_under_gamma_is_not_enough() -> None:
    verdict = first(gamma=0.8)
    assert verdict.verdict == "keep"
    assert "not better by +80.0 points" in verdict.reason


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**30))
def test_no_candidate_without_a_gain_is_ever_promoted(seed: int) -> None:
    chance = random.Random(seed)
    theirs = [chance.random() < 0.5 for _ in range(NEW)]
    ours = chance.sample(theirs, NEW)
    assert first(sft_right=[*ours, *[True] * GUARD], base_right=[*theirs, *[True] * GUARD]).verdict != "promote"


def test_equal_candidates_are_promoted_in_at_most_one_trial_of_twenty() -> None:
    """Both systems know each fact with the same chance, its wordings rise and fall together, two candidates try."""
    chance = random.Random(20)
    promoted = 0

    def one() -> list[bool | str]:
        result: list[bool | str] = []
        for _ in range(NEW // 2):
            knows = chance.random() < 0.6
            result += [knows != (chance.random() < 0.05) for _ in range(2)]
        return result + [True] * GUARD

    for trial in range(200):
        verdict = first(
            sft_right=one(), base_right=one(), dpo=ref("dpo", "D"), dpo_answers=answers(FIRST, "dpo", one(), "D"), seed=trial, gamma=0.0
        )
        promoted += verdict.verdict == "promote"
    assert promoted <= 10 + 4


def test_a_clear_gain_is_found_in_most_trials() -> None:
    chance = random.Random(21)
    promoted = 0
    for trial in range(50):
        sft: list[bool | str] = [chance.random() < 0.8 for _ in range(NEW)] + [True] * GUARD
        base: list[bool | str] = [chance.random() < 0.2 for _ in range(NEW)] + [True] * GUARD
        promoted += first(sft_right=sft, base_right=base, seed=trial).verdict == "promote"
    assert promoted >= 48


@settings(max_examples=20)
@given(st.integers(0, NEW), st.lists(st.sampled_from([True, False, "failed"]), min_size=20, max_size=20))
def test_unanswerable_questions_decide_nothing_however_they_are_answered(new: int, unknown: list[bool | str]) -> None:
    asked = probes(*many(NEW), *many(GUARD, "guard"), *many(len(unknown), "unknown"))
    with_unknown = first(asked=asked, sft_right=right(new) + unknown, base_right=right(2) + unknown[::-1])
    assert with_unknown == first(sft_right=right(new))
