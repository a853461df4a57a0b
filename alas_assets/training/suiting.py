"""Whether a recipe suits a student, read from the student's files before anything is paid or loaded (T1, T2). No torch.

Which recipes there are is `spec`; what is trained is `sft`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from alas_assets.training.spec import Recipe, RecipeError

_AFTER_THE_HEAD = {"final_logit_softcapping": None, "logits_scaling": 1.0, "logit_scale": 1.0, "lm_head_multiplier": 1.0}
"""What some families do to the scores of the last layer, by its key in config.json, with the value that does nothing."""

_NO_TARGETS = {"embed_tokens", "lm_head", "wte", "wpe"}


def require_suiting(recipe: Recipe, student: Path, name: str) -> None:
    """Refuse a recipe that would train half of an adapter on this student, or hold it to scores that it does not give.

    Args:
        recipe: The recipe.
        student: The student's folder.
        name: What it is called.

    Raises:
        RecipeError: It does not suit; the message names the key, and what the student has.
        OSError: The student's config.json cannot be read.
        ValueError: It is damaged.
    """
    require_layers(recipe, linear_layers(student), name)
    require_plain_scores(recipe, student, name)


def require_layers(recipe: Recipe, there: Iterable[str], name: str) -> None:
    """Refuse target modules that are no layer of the student: PEFT adapts the others, and says nothing.

    Args:
        recipe: The recipe.
        there: The last parts of the names of the student's linear layers, those too of its head.
        name: What the student is called.

    Raises:
        RecipeError: At least one is none.
    """
    known = sorted(set(there) - _NO_TARGETS)
    missing = [module for module in recipe.target_modules if module.rpartition(".")[2] not in known]
    if missing:
        raise RecipeError(
            f"target_modules: student {name} has no layer {', '.join(missing)}; its linear layers are {', '.join(known) or 'unknown'}: "
            "name of these in a recipe of your own"
        )


def require_plain_scores(recipe: Recipe, student: Path, name: str) -> None:
    """Refuse the drift penalty for a student that changes its scores after the last layer, where `losses` takes them.

    Raises:
        RecipeError: `replay_kl` is set, and the student is one.
        OSError: The student's config.json cannot be read.
        ValueError: It is damaged.
    """
    if not recipe.replay_kl:
        return
    config: dict[str, Any] = json.loads((student / "config.json").read_bytes())
    for part in (config, config.get("text_config") or {}):
        for key, nothing in _AFTER_THE_HEAD.items():
            if part.get(key, nothing) not in (None, nothing):
                raise RecipeError(
                    f"replay_kl: student {name} changes its scores after the last layer ({key} = {part[key]}), which the penalty does not; "
                    "set replay_kl = 0 in a recipe of your own"
                )


def linear_layers(student: Path) -> set[str]:
    """Return the last parts of the names of a student's matrices, as its safetensors files name them.

    Raises:
        RecipeError: A file is damaged.
    """
    found: set[str] = set()
    for path in sorted(student.glob("*.safetensors")):
        try:
            with safe_open(str(path), framework="numpy") as stored:
                weights = [key for key in stored.keys() if key.endswith(".weight")]  # noqa: SIM118 - no dictionary
                found |= {key.split(".")[-2] for key in weights if len(stored.get_slice(key).get_shape()) == 2}
        except (OSError, SafetensorError) as error:
            raise RecipeError(f"{path} is damaged ({error}); prepare the student again") from error
    return found
