"""A recipe that does not suit a student is refused from the student's files, and by the child that would train."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, Phi3Config

from alas_assets.training.loading import lora_config
from alas_assets.training.spec import Recipe, RecipeError, read_result
from alas_assets.training.suiting import linear_layers, require_suiting
from alas_assets_tests.training.factory import make_spec, run_child, tiny_recipe, train_rows


@pytest.fixture(scope="module")
def phi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student whose queries, keys and values are one layer."""
    folder = tmp_path_factory.mktemp("phi")
    small: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    AutoModelForCausalLM.from_config(Phi3Config(vocab_size=300, pad_token_id=0, **small)).save_pretrained(folder)
    return folder


def test_layers_that_a_student_does_not_have_are_refused_with_those_it_has(phi: Path) -> None:
    said = (
        r"target_modules: student phi has no layer q_proj, k_proj, v_proj, gate_proj, up_proj; its linear layers are "
        r"down_proj, gate_up_proj, o_proj, qkv_proj: name"
    )
    with pytest.raises(RecipeError, match=said):
        require_suiting(tiny_recipe(), phi, "phi")
    with pytest.raises(RecipeError, match=said):
        lora_config(tiny_recipe(), AutoModelForCausalLM.from_pretrained(phi), "phi")
    own = tiny_recipe(target_modules=("qkv_proj", "o_proj", "gate_up_proj", "mlp.down_proj"))
    require_suiting(own, phi, "phi")
    assert lora_config(own, AutoModelForCausalLM.from_pretrained(phi), "phi").target_modules == set(own.target_modules)


def test_the_child_refuses_in_one_line(phi: Path, tiny_student: Path, tmp_path: Path) -> None:
    for path in tiny_student.glob("tokenizer*"):
        (phi / path.name).write_bytes(path.read_bytes())
    spec = make_spec("sft", tmp_path, phi, train_rows(8))
    assert run_child(spec).returncode == 1
    result = read_result(spec.result_path)
    assert result is not None
    assert result.error.startswith("target_modules: student Tiny-Student has no layer q_proj")


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"final_logit_softcapping": 30.0}, True),
        ({"logit_scale": 0.0625}, True),
        ({"text_config": {"logits_scaling": 8.0}}, True),
        ({"final_logit_softcapping": None, "logits_scaling": 1.0}, False),
    ],
)
def test_the_drift_penalty_is_refused_where_scores_are_changed_after_the_last_layer(
    tiny_student: Path, tmp_path: Path, change: dict[str, Any], refused: bool
) -> None:
    config = json.loads((tiny_student / "config.json").read_text(encoding="utf-8")) | change
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes((tiny_student / "model.safetensors").read_bytes())
    require_suiting(tiny_recipe(), tmp_path, "capped")
    penalised = tiny_recipe(replay_kl=1.0)
    if not refused:
        require_suiting(penalised, tmp_path, "capped")
        return
    with pytest.raises(RecipeError, match=r"replay_kl: student capped changes its scores .* set replay_kl = 0"):
        require_suiting(penalised, tmp_path, "capped")


def test_shipped_target_modules_suit_the_tiny_student(tiny_student: Path) -> None:
    assert set(Recipe.model_fields["target_modules"].default) <= linear_layers(tiny_student)
