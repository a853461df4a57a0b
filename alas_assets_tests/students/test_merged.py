"""The configuration of a model that is written down, for readers of two generations."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, Gemma3TextConfig, LlamaConfig, Phi3Config, PreTrainedConfig, Qwen3Config

from alas_assets.students.merged import edit_json, rope_of_version_4

SMALL: dict[str, Any] = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 6, "max_position_embeddings": 131072}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


def saved(config: PreTrainedConfig, folder: Path) -> dict[str, Any]:
    config.save_pretrained(folder)
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("config", "keys"),
    [
        (LlamaConfig(**SMALL, rope_theta=500000.0, rope_scaling={**LLAMA3}), {"rope_theta": 500000.0, "rope_scaling": LLAMA3}),
        (Qwen3Config(**SMALL, rope_theta=1e6, rope_scaling={**YARN}), {"rope_theta": 1e6, "rope_scaling": YARN}),
        (LlamaConfig(**SMALL, rope_theta=1e5), {"rope_theta": 1e5}),
        (Phi3Config(**SMALL), {"rope_theta": 10000.0, "partial_rotary_factor": 1.0}),
        (Gemma3TextConfig(**SMALL), {"rope_theta": 1e6, "rope_local_base_freq": 1e4}),
    ],
    ids=["llama3", "yarn", "default", "partial", "two kinds of layers"],
)
def test_rotary_positions_are_written_for_both_and_read_as_they_were(config: Any, keys: dict[str, Any], tmp_path: Path) -> None:
    assert rope_of_version_4(saved(config, tmp_path)) == keys
    edit_json(tmp_path / "config.json", keys)
    assert AutoConfig.from_pretrained(tmp_path).rope_parameters == config.rope_parameters


def test_what_version_4_could_not_say_is_told_apart() -> None:
    assert rope_of_version_4({"rope_parameters": {"rope_type": "proportional", "rope_theta": 1e6}}) is None
    assert rope_of_version_4({"rope_parameters": {"full_attention": {"rope_theta": 1.0}, "sliding_attention": {"rope_theta": 2.0}}}) is None
    assert rope_of_version_4({"model_type": "gpt2"}) == {}
