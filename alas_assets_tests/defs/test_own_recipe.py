"""A recipe of your own, from the store's `recipes.toml`, really trains, and changing it trains again (T6, U3)."""

import json
from pathlib import Path
from typing import Any

from alas_assets.defs.outlook import training_time
from alas_assets.records import AdapterRef
from alas_assets.training.spec import load_recipe
from alas_assets_tests.harness import Harness


def trained_with(harness: Harness, **changes: float) -> dict[str, Any]:
    """Run the cell with a recipe of one's own that changes the tests' one, and return what the adapter's manifest says of it."""
    lines = ["[mine]", 'based_on = "tiny-test"', *(f"{name} = {value}" for name, value in changes.items())]
    harness.settings.own_recipes.write_text("\n".join(lines), encoding="utf-8")
    outcome = harness.run("quill")
    assert outcome.success, outcome.failures
    adapter = harness.store.read_record(AdapterRef, harness.pointers("quill")["sft_adapter"], "sft_adapter").adapter_hash
    manifest: dict[str, Any] = json.loads((harness.store.adapters / adapter / "manifest.json").read_text(encoding="utf-8"))
    return manifest["recipe"]


def test_a_recipe_of_ones_own_trains_with_what_it_changes_and_again_when_it_is_changed(quill: Harness, tmp_path: Path) -> None:
    harness = quill.copied(tmp_path)
    path = harness.settings.home / "domains" / "quill.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('recipe = "tiny-test"', 'recipe = "mine"'), encoding="utf-8")
    ships = load_recipe("tiny-test")
    first = trained_with(harness, learning_rate=0.03, rank=2)
    assert (first["learning_rate"], first["rank"], first["alpha"]) == (0.03, 2, ships.alpha)
    assert "sft_adapter" in harness.redone()
    assert trained_with(harness, learning_rate=0.03, rank=2) == first
    assert "sft_adapter" not in harness.redone()
    assert training_time(harness.alas, harness.alas.domain("quill"), 60).endswith("s a step of quill|000")
    second = trained_with(harness, learning_rate=0.03, rank=4)
    assert "sft_adapter" in harness.redone()
    assert second["rank"] == ships.rank
