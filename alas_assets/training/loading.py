"""What a training starts from: the machine's precision and threads, the frozen student, an adapter on it, the rows that fit (T1, T2).

Imports torch, so only the child process imports this. How training then goes is `trainers`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import torch
from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.pytorch_utils import Conv1D
from trl.trainer import utils as trl_utils

from alas_assets.students.chat import training_example
from alas_assets.training.adapter import ModelFilesError
from alas_assets.training.spec import Recipe, TrainingSpec
from alas_assets.training.suiting import require_layers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}


def prepare_torch(threads: int) -> int:
    """Fix threads and algorithms, so that equal specifications give equal bytes on one CPU; return the threads used.

    On a GPU the backward pass of attention adds up in no fixed order, so bytes may differ there.
    """
    if threads:
        torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010 - a debugging aid that costs time
    # TRL scores every position on CPUs and only the labelled ones on GPUs; the loss is the same, a third of the time is not
    setattr(trl_utils, "_use_triton", lambda _device: True)  # noqa: B010
    return torch.get_num_threads()


def choose_precision(recipe: Recipe) -> tuple[str, str]:
    """Return (device type, precision of the base weights): bf16 only where the hardware computes in it."""
    if torch.cuda.is_available():
        device, able = "cuda", torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        device, able = "cpu", bool(_BF16_FLAGS & _cpu_flags())
    return device, ("bf16" if able else "fp32") if recipe.precision == "auto" else recipe.precision


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()  # not Linux: fp32 is right everywhere
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())


def load_student(spec: TrainingSpec, precision: str) -> PreTrainedModel:
    """Load the frozen base model.

    Raises:
        ModelFilesError: Its files do not make a model.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    try:
        return AutoModelForCausalLM.from_pretrained(
            spec.student_folder,
            dtype=dtype,
            # on CPUs, at the length of a question and its answer, plain attention is a seventh faster than SDPA
            attn_implementation="sdpa" if torch.cuda.is_available() else "eager",
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise ModelFilesError(
            f"base model {spec.student_name} in {spec.student_folder} cannot be loaded ({reason}); prepare the student again"
        ) from error


def load_adapter(model: PreTrainedModel, spec: TrainingSpec) -> PeftModel:
    """Put the adapter that training goes on from onto the base, trainable; its weights stay fp32 on a bf16 base.

    Raises:
        ModelFilesError: It does not fit the base.
    """
    try:
        return PeftModel.from_pretrained(model, str(spec.init_adapter), is_trainable=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise ModelFilesError(
            f"adapter {spec.init_adapter} does not load onto {spec.student_name} ({reason}); train it again on this base"
        ) from error


def lora_config(recipe: Recipe, model: PreTrainedModel, name: str) -> LoraConfig:
    """Return the shape of a fresh adapter.

    Args:
        recipe: The recipe.
        model: The base model.
        name: What it is called.

    Raises:
        RecipeError: The recipe names a layer that the model does not have.
    """
    linear = (torch.nn.Linear, Conv1D)
    require_layers(recipe, (path.rpartition(".")[2] for path, layer in model.named_modules() if isinstance(layer, linear)), name)
    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=list(recipe.target_modules),
        layers_to_transform=recipe.adapted_layers(int(model.config.num_hidden_layers)),
        task_type="CAUSAL_LM",
    )


def fits(tokenizer: PreTrainedTokenizerBase, example: dict[str, list[dict[str, str]]], max_length: int) -> bool:
    """Tell whether a prompt with its longest answer fits; TRL would cut or drop a longer one without a word."""
    answers = [example[key] for key in ("completion", "chosen", "rejected") if key in example]
    lengths = [len(_tokens(tokenizer, example["prompt"] + answer)) for answer in answers]
    return max(lengths) <= max_length


def fitting(
    tokenizer: PreTrainedTokenizerBase, rows: pl.DataFrame, max_length: int, markers: re.Pattern[str]
) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows whose prompt and answer fit, and the ids of the others; `markers` are the student's."""
    fit = [
        fits(tokenizer, training_example(row["prompt"], row["completion"], markers=markers), max_length)
        for row in rows.select("prompt", "completion").iter_rows(named=True)
    ]
    return rows.filter(fit), [row_id for row_id, ok in zip(rows["row_id"], fit, strict=True) if not ok]


def _tokens(tokenizer: PreTrainedTokenizerBase, chat: list[dict[str, str]]) -> Sequence[int]:
    return tokenizer.apply_chat_template(chat, tokenize=True, return_dict=False)  # pyright: ignore[reportReturnType]
