"""What `promotion` does to the registry when an iteration is made again: no more than its newest decision says (G4)."""

from pathlib import Path

from alas_assets.evaluation.scoreboard import current_answers
from alas_assets.records import GateDecision
from alas_assets_tests.harness import Harness
from alas_assets_tests.released import adapter_of, released


def run_with(harness: Harness, gamma: str) -> GateDecision:
    """Run the cell with another least gain, so that the gate decides anew, and return what it said."""
    path = harness.settings.home / "domains" / "quill.toml"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("gamma")]
    path.write_text("\n".join([*lines, f"gamma = {gamma}"] if gamma else lines), encoding="utf-8")
    outcome = harness.run("quill")
    assert outcome.success, outcome.failures
    assert "sft_adapter" not in harness.redone()
    return harness.store.read_record(GateDecision, harness.pointers("quill")["promotion"], "promotion")


def test_an_older_iteration_that_is_made_again_takes_nothing_back(quill: Harness, tmp_path: Path) -> None:
    harness = released(quill, tmp_path)
    promoted = adapter_of(harness)
    harness.opened("quill", 1)
    decision = run_with(harness, "0.02")
    assert harness.alas.registry.current("quill") == promoted
    assert decision.verdict != "promote"
    assert decision.current_after == promoted
    tables = (
        harness.store.read_table(harness.pointers("quill")[name], name) for name in ("baseline_scores", "judge_scores", "dpo_judge_scores")
    )
    assert set(current_answers(decision, *tables)["adapter_hash"]) == {promoted}


def test_the_newest_iteration_made_again_takes_its_promotion_back_and_an_old_decision_does_not_bring_it_back_unasked(
    quill: Harness, tmp_path: Path
) -> None:
    harness = released(quill, tmp_path)
    assert run_with(harness, "0.02").verdict != "promote"  # this student learned nothing
    assert harness.alas.registry.current("quill") is None
    decision = run_with(harness, "")  # the decision that promoted it by hand is on record for these settings
    assert decision.current_after is harness.alas.registry.current("quill") is None
