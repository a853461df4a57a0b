"""What `promotion` does to the registry when an iteration is made again: no more than its newest decision says (G4)."""

import re
from pathlib import Path

from alas_assets.defs.promotion import why_barred
from alas_assets.evaluation.scoreboard import current_answers
from alas_assets.provenance.store import Cell
from alas_assets_tests.harness import Harness
from alas_assets_tests.released import adapter_of, decided_anew, released


def test_an_older_iteration_that_is_made_again_takes_nothing_back(quill: Harness, tmp_path: Path) -> None:
    harness = released(quill, tmp_path)
    promoted = adapter_of(harness)
    harness.opened("quill", 1)
    decision = decided_anew(harness, "0.02")
    assert harness.alas.registry.current("quill") == promoted
    assert decision.verdict != "promote"
    assert decision.current_after == promoted
    tables = (
        harness.store.read_table(harness.pointers("quill")[name], name) for name in ("baseline_scores", "judge_scores", "dpo_judge_scores")
    )
    assert set(current_answers(decision, *tables)["adapter_hash"]) == {promoted}


def test_what_a_person_rolled_back_is_not_promoted_again_by_a_new_decision_until_that_is_taken_back(quill: Harness, tmp_path: Path) -> None:
    harness = released(quill, tmp_path)
    alas, zero = harness.alas, Cell("quill", "000")
    assert why_barred(alas, zero) == ""
    alas.registry.rollback("quill", by="Ada", reason="it says odd things")
    barred = why_barred(alas, zero)
    assert "iteration 000" in barred
    assert re.search(r"rolled back by Ada on \d{4}-\d\d-\d\d \(it says odd things\)", barred)
    assert why_barred(alas, Cell("quill", "001")) == ""
    alas.registry.undo_rollback("quill")
    assert why_barred(alas, zero) == ""
    alas.registry.rollback("quill", run_id="the gate's own")
    assert why_barred(alas, zero) == ""


def test_the_newest_iteration_made_again_takes_its_promotion_back_and_an_old_decision_does_not_bring_it_back_unasked(
    quill: Harness, tmp_path: Path
) -> None:
    harness = released(quill, tmp_path)
    assert decided_anew(harness, "0.02").verdict != "promote"  # this student learned nothing
    assert harness.alas.registry.current("quill") is None
    decision = decided_anew(harness, "")  # the decision that promoted it by hand is on record for these settings
    assert decision.current_after is harness.alas.registry.current("quill") is None
