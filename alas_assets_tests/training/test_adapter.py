"""The adapter folder and what is checked around it, without a training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from alas_assets.students.chat import PLAIN_TEMPLATE, load_tokenizer
from alas_assets.training.adapter import ModelFilesError, check_init_adapter, start_manifest, write_adapter
from alas_assets_tests.tiny import family_student, without_template
from alas_assets_tests.training.factory import make_spec, tiny_recipe, train_rows


def written(student: Path, root: Path) -> Path:
    """Write an adapter of this student whose weights are of no account."""
    rows = train_rows(4)
    spec = make_spec("sft", root, student, rows)
    manifest = start_manifest(spec, rows, left_out=[], dev=[], precision="fp32", device="cpu", threads=1)

    def save(folder: Path) -> None:
        (folder / "adapter_config.json").write_text("{}", encoding="utf-8")

    write_adapter(spec, manifest, save, steps=1, tokens=1, losses=[], measured={})
    return Path(spec.output_dir)


def test_an_adapter_brings_the_template_that_its_rows_were_written_with(tiny_student: Path, tmp_path: Path) -> None:
    bare, thinks = without_template(tiny_student, tmp_path / "bare"), family_student(tiny_student, tmp_path / "thinks", "qwen3")
    assert (written(bare, tmp_path / "a") / "chat_template.jinja").read_text(encoding="utf-8") == PLAIN_TEMPLATE
    found = (written(thinks, tmp_path / "b") / "chat_template.jinja").read_text(encoding="utf-8")
    assert found == load_tokenizer(thinks).chat_template
    assert found.startswith("{% set enable_thinking = false %}\n")


@pytest.mark.parametrize("in_a_file", [True, False])
def test_a_students_own_template_stays_where_it_is(tiny_student: Path, tmp_path: Path, in_a_file: bool) -> None:
    student = tiny_student if in_a_file else without_template(tiny_student, tmp_path / "old", in_config=True)
    assert (written(student, tmp_path / "a") / "chat_template.jinja").is_file() == in_a_file


@pytest.mark.parametrize(
    ("trained", "recipe", "why"),
    [
        (None, {}, ""),
        ([1], {"layers": 1}, ""),
        ([1, 0], {"layers": 2}, ""),
        ([0], {"layers": (0,)}, ""),
        (None, {"layers": 1}, "all layers, .* unlike the recipe .*layers 1,"),
        ([0], {"layers": 1}, "layers 0, .* unlike the recipe .*layers 1,"),
        ([1], {}, "layers 1, .* unlike the recipe .*all layers,"),
        ([1], {"layers": 1, "rank": 8}, "rank 4, .* unlike the recipe .rank 8,"),
    ],
)
def test_training_goes_on_only_from_an_adapter_of_the_same_layers(
    tiny_student: Path, tmp_path: Path, trained: list[int] | None, recipe: dict[str, Any], why: str
) -> None:
    before, own = tmp_path / "before", tiny_recipe(**recipe)
    before.mkdir()
    shape = {"r": 4, "lora_alpha": own.alpha, "target_modules": list(own.target_modules), "layers_to_transform": trained}
    (before / "adapter_config.json").write_text(json.dumps(shape), encoding="utf-8")
    save_file({"a": np.zeros(2, np.float32)}, before / "adapter_model.safetensors")
    spec = make_spec("sft", tmp_path, tiny_student, train_rows(4), recipe=own, init_adapter=str(before))
    if not why:
        check_init_adapter(spec)
        return
    with pytest.raises(ModelFilesError, match=why):
        check_init_adapter(spec)


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_training_goes_on_only_from_an_adapter_of_the_same_student(tiny_student: Path, tmp_path: Path, kind: str) -> None:
    before, own = tmp_path / "before", tiny_recipe()
    before.mkdir()
    shape = {"r": own.rank, "lora_alpha": own.alpha, "target_modules": list(own.target_modules)}
    (before / "adapter_config.json").write_text(json.dumps(shape), encoding="utf-8")
    save_file({"a": np.zeros(2, np.float32)}, before / "adapter_model.safetensors")
    spec = make_spec(kind, tmp_path, tiny_student, train_rows(4), recipe=own, init_adapter=str(before))
    (before / "manifest.json").write_text(json.dumps({"base": {"name": "Tiny-Student", "hash": spec.base_hash}}), encoding="utf-8")
    check_init_adapter(spec)
    (before / "manifest.json").write_text(json.dumps({"base": {"name": "A-Twin", "hash": "c" * 64}}), encoding="utf-8")
    with pytest.raises(ModelFilesError, match=r"was trained on student A-Twin .* and Tiny-Student .* `alas rollback DOMAIN --to-base`"):
        check_init_adapter(spec)
    (before / "manifest.json").write_text(json.dumps({"base": {"name": "Tiny-Student", "hash": "c" * 64}}), encoding="utf-8")
    with pytest.raises(
        ModelFilesError, match=r"its files changed, or this version of alas asks it otherwise .* `alas rollback DOMAIN --to-base`"
    ):
        check_init_adapter(spec)
