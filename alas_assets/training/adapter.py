"""The adapter folder (T5): its manifest, model card and configuration, so written that equal trainings give equal bytes.

Neither times nor paths are content. What is trained is `sft` and `dpo`; where the folder is stored is the parent's.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
from safetensors import SafetensorError

from alas_assets.provenance.store import write_atomic
from alas_assets.students.answering import trained_on_another
from alas_assets.students.chat import TEMPLATE_FILE, load_tokenizer, own_template
from alas_assets.training.checkpoints import why_unreadable
from alas_assets.training.spec import TrainingSpec

MANIFEST = "manifest.json"
WEIGHTS = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"
_PACKAGES = ("accelerate", "peft", "safetensors", "tokenizers", "torch", "transformers", "trl")
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    TEMPLATE_FILE,
)
_LOSS_DIGITS = 4


class ModelFilesError(RuntimeError):
    """A base model or adapter folder is missing or damaged; the message names it and says what to do."""


class SavingError(RuntimeError):
    """A folder could not be written, mostly because the disk is full; the message names it."""


@contextmanager
def saving(folder: Path, hint: str) -> Iterator[None]:
    """Turn every way in which torch, safetensors and Python say "disk full" into one line.

    Raises:
        SavingError: Naming the folder, the reason and `hint`.
    """
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = (
            error.strerror if isinstance(error, OSError) and error.strerror else (str(error).strip().splitlines() or ["no reason given"])[0]
        )
        raise SavingError(f"cannot write to {folder}: {reason}; {hint}") from error


def check_base(spec: TrainingSpec) -> None:
    """Check the base model's files without loading them.

    Raises:
        ModelFilesError: The folder, its configuration or weights are missing, or a weights file is damaged.
    """
    folder = Path(spec.student_folder)
    remedy = "prepare the student again"
    if not (folder / "config.json").is_file():
        raise ModelFilesError(f"base model {spec.student_name}: {folder / 'config.json'} is missing; {remedy}")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelFilesError(f"base model {spec.student_name}: no safetensors file in {folder}; {remedy}")
    for path in weights:
        if reason := why_unreadable(path):
            raise ModelFilesError(f"base model {spec.student_name}: {path} is damaged ({reason}); {remedy}")


def check_init_adapter(spec: TrainingSpec) -> None:
    """Check the adapter that training goes on from: whole, trained on the same student, and of the recipe's shape.

    Raises:
        ModelFilesError: It is missing, damaged, of another student, or has another rank, scale or layers than the recipe.
    """
    if spec.init_adapter is None:
        return
    folder = Path(spec.init_adapter)
    remedy = "materialise the adapter that it comes from again"
    try:
        config: dict[str, Any] = json.loads((folder / _CONFIG).read_bytes())
        shape = (config["r"], config["lora_alpha"], sorted(config["target_modules"]), _listed(config.get("layers_to_transform")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFilesError(f"adapter {folder}: {_CONFIG} is missing or damaged; {remedy}") from error
    if reason := why_unreadable(folder / WEIGHTS):
        raise ModelFilesError(f"adapter {folder}: {WEIGHTS} is missing or damaged ({reason}); {remedy}")
    if why := trained_on_another(folder, spec.student_name, spec.base_hash):
        raise ModelFilesError(why)
    if spec.kind != "sft":
        return
    recipe, count = spec.recipe, _layer_count(spec)
    layers = shape[3] if count is None else _listed(recipe.adapted_layers(count))
    wanted = (recipe.rank, recipe.alpha, sorted(recipe.target_modules), layers)
    if shape != wanted:
        raise ModelFilesError(
            f"adapter {folder} has {_shown(*shape)}, unlike the recipe ({_shown(*wanted)}); use the recipe it was trained with, or "
            'accumulate = "fresh"'
        )


def _listed(layers: int | Sequence[int] | None) -> list[int] | None:
    return None if layers is None else [layers] if isinstance(layers, int) else sorted(layers)


def _layer_count(spec: TrainingSpec) -> int | None:
    """Return how many decoder layers the student has, by its configuration; None where that does not say it in a way known here."""
    config: dict[str, Any] = json.loads((Path(spec.student_folder) / "config.json").read_bytes())
    text = config.get("text_config") or config
    return next((int(text[key]) for key in ("num_hidden_layers", "n_layer", "num_layers", "n_layers") if text.get(key)), None)


def _shown(rank: int, alpha: int, modules: Sequence[str], layers: Sequence[int] | None) -> str:
    which = "all layers" if layers is None else f"layers {', '.join(map(str, layers))}"
    return f"rank {rank}, alpha {alpha}, {which}, modules {', '.join(modules)}"


def start_manifest(
    spec: TrainingSpec, rows: pl.DataFrame, *, left_out: Sequence[str], dev: Sequence[str], precision: str, device: str, threads: int
) -> dict[str, Any]:
    """Write the manifest, without results yet, to the working folder and return it.

    This comes before the first optimiser step, so that nobody can choose the probes after seeing what was learned (E1).

    Args:
        spec: The specification.
        rows: The rows that are trained on.
        left_out: Ids of rows longer than the recipe's max_length.
        dev: Ids of rows whose loss is only measured.
        precision: Of the frozen base weights.
        device: Type of the device that trains.
        threads: CPU threads.
    """
    id_column, kind_column = ("row_id", "kind") if spec.kind == "sft" else ("pair_id", "category")
    manifest: dict[str, Any] = {
        "kind": spec.kind,
        "cell": spec.cell,
        "base": {"name": spec.student_name, "revision": spec.student_revision, "hash": spec.base_hash},
        "init_adapter": spec.init_adapter_hash,
        "rows_hash": spec.rows_hash,
        "row_ids": rows[id_column].to_list(),
        "left_out": list(left_out),
        "dev_row_ids": list(dev),
        "counts": dict(sorted(Counter(rows[kind_column].to_list()).items())),
        "probes_hash": spec.probes_hash,
        "recipe": spec.recipe.model_dump(mode="json"),
        "beta": spec.beta,
        "seed": spec.seed,
        "threads": threads,
        "device": device,
        "precision": precision,
        "packages": {name: version(name) for name in _PACKAGES},
        "spec_hash": spec.spec_hash,
        "extra": spec.extra,
    }
    with saving(spec.work_dir, "free some space and run again"):
        write_atomic(spec.work_dir / MANIFEST, _json(manifest))
    return manifest


def write_adapter(
    spec: TrainingSpec,
    manifest: dict[str, Any],
    save_weights: Callable[[Path], None],
    *,
    steps: int,
    tokens: int,
    losses: Sequence[tuple[int, float]],
    measured: dict[str, float],
) -> None:
    """Write the finished adapter folder; it appears under `spec.output_dir` whole or not at all.

    Args:
        spec: The specification.
        manifest: What `start_manifest` returned.
        save_weights: Writes weights and adapter_config.json into the folder it is given.
        steps: Optimiser steps done.
        tokens: Tokens seen, padding left out.
        losses: (step, loss) of every logged step.
        measured: Figures for the manifest, such as DPO's log-probabilities before and after.

    Raises:
        SavingError: The disk is full or not writable.
    """
    output = Path(spec.output_dir)
    made = output.with_name(f".{output.name}.part")
    done = manifest | {
        "steps": steps,
        "tokens": tokens,
        "loss_history": [[step, round(loss, _LOSS_DIGITS)] for step, loss in losses],
        "measured": {name: round(value, _LOSS_DIGITS) for name, value in sorted(measured.items())},
    }
    template = load_tokenizer(Path(spec.student_folder)).get_chat_template()
    with saving(output, "the checkpoints are kept; free some space and run again"):
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        try:
            save_weights(made)
            _settle_config(made / _CONFIG, spec.student_name)
            for name in _TOKENIZER_FILES:
                if (Path(spec.student_folder) / name).is_file():
                    shutil.copyfile(Path(spec.student_folder) / name, made / name)
            if template != own_template(made):  # its rows were written with another than the student's own
                (made / TEMPLATE_FILE).write_text(template, encoding="utf-8")
            (made / "README.md").write_text(model_card(done), encoding="utf-8")
            (made / MANIFEST).write_bytes(_json(done))
            if output.exists():
                shutil.rmtree(output)
            os.replace(made, output)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def model_card(manifest: dict[str, Any]) -> str:
    """Return the README.md of an adapter: what it is, what it learned from, what it cannot do."""
    base, recipe = manifest["base"], manifest["recipe"]
    how = "supervised fine-tuning on question-answer pairs" if manifest["kind"] == "sft" else "DPO on its own wrong answers"
    counts = ", ".join(f"{n} {kind}" for kind, n in manifest["counts"].items())
    return f"""---
library_name: peft
base_model: {json.dumps(base["name"])}
tags: [lora, alas, {manifest["kind"]}]
---

# LoRA adapter for {base["name"]}, cell {manifest["cell"]}

Made by {how}. Load it on the base model it was trained on (revision {base["revision"] or "not stated"}, hash `{base["hash"][:16]}`)
and ask with the chat template in this folder, without a system message.

- Rows: {len(manifest["row_ids"])} ({counts}), hash `{manifest["rows_hash"][:16]}`; ids, recipe and losses: `manifest.json`.
- LoRA rank {recipe["rank"]}, alpha {recipe["alpha"]}; {manifest["steps"]} steps, {manifest["tokens"]} tokens, seed {manifest["seed"]}.
- The probes that judge it were fixed before the first step (hash `{manifest["probes_hash"][:16]}`).

## Limits

It knows what its rows say, as old as their pages are, and answers with the same confidence where it knows nothing. It may have
forgotten things that the base model knew; the gate's guard questions show how many. Outside its domain use the base model.
"""


def _settle_config(path: Path, student_name: str) -> None:
    """Replace the local path by the student's name and sort what PEFT keeps as sets, which come out in any order."""
    config: dict[str, Any] = json.loads(path.read_bytes())
    config["base_model_name_or_path"] = student_name
    settled = {
        key: sorted(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else value for key, value in config.items()
    }
    path.write_bytes(_json(settled))


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()
