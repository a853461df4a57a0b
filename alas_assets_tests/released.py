"""A store with a current adapter: the finished cell of the tiny student, whose candidate is promoted by hand."""

from pathlib import Path

from alas_assets.provenance.ids import content_hash
from alas_assets.provenance.store import Cell
from alas_assets.records import AdapterRef, GateDecision, RevisedCurriculum
from alas_assets_tests.harness import Harness

CELL = Cell("quill", "000")


def released(harness: Harness, folder: Path) -> Harness:
    """Copy a harness's store and make its SFT candidate current, as a gate would that found it better."""
    copy = harness.copied(folder)
    store = copy.store
    pointers = copy.pointers("quill")
    adapter = store.read_record(AdapterRef, pointers["sft_adapter"], "sft_adapter").adapter_hash
    decided = store.read_record(GateDecision, pointers["promotion"], "promotion").model_copy(
        update={"verdict": "promote", "candidate": adapter, "candidate_system": "sft", "current_before": None, "current_after": adapter}
    )
    old, revision = store.pointer(CELL, "promotion"), store.pointer(CELL, "revised_curriculum")
    assert old is not None
    assert revision is not None
    made = store.put(CELL, "promotion", decided, input_key=old.input_key, inputs=old.inputs, run_id=old.run_id)
    inputs = {**revision.inputs, "promotion": made.hash}  # the iteration stays finished
    revised = store.read_record(RevisedCurriculum, revision)
    store.put(CELL, "revised_curriculum", revised, input_key=revision.input_key, inputs=inputs, run_id=revision.run_id)
    copy.alas.registry.promote(
        "quill",
        adapter,
        iteration=0,
        decision_hash=content_hash(decided.model_dump(mode="json")),
        run_id="r",
        at="2026-01-01T00:00:00+00:00",
        previous=None,
    )
    return copy


def adapter_of(harness: Harness) -> str:
    """Return the current adapter's hash."""
    current = harness.alas.registry.current("quill")
    assert current is not None
    return current


def decided_anew(harness: Harness, gamma: str) -> GateDecision:
    """Run the cell with another least gain ("" for none of its own), so that the gate decides anew, and return what it said."""
    path = harness.settings.home / "domains" / "quill.toml"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("gamma")]
    path.write_text("\n".join([*lines, f"gamma = {gamma}"] if gamma else lines), encoding="utf-8")
    outcome = harness.run("quill")
    assert outcome.success, outcome.failures
    assert "sft_adapter" not in harness.redone()
    return harness.store.read_record(GateDecision, harness.pointers("quill")["promotion"], "promotion")
