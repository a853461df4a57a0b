"""The parts SFT and DPO share once torch is there: student, data order, checkpoints, live loss, resume (T1-T4).

Imported by `sft` and `dpo` only, inside the child process. The two mains are straight lines over these functions.
"""

from __future__ import annotations

import math
import shutil
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from torch.utils.data import Sampler, SequentialSampler
from transformers import AutoModelForCausalLM, PreTrainedModel, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_pt_utils import get_length_grouped_indices
from trl.trainer import utils as trl_utils
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.sft_trainer import SFTTrainer
from typing_extensions import override

from alas_assets.students.chat import training_example
from alas_assets.training.adapter import WEIGHTS, ModelFilesError, saving
from alas_assets.training.checkpoints import drop_invalid_checkpoints, newest_valid_checkpoint, step_of
from alas_assets.training.child import Interrupted, Session, TrainingError
from alas_assets.training.losses import BaseStates, facts_and_drift
from alas_assets.training.spec import Recipe, TrainingSpec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TELL_SECONDS = 5.0
_TELLING_STEPS = 5
"""Steps from which on their pace says when a training ends."""
_SHARED = "pairs"
_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}


def prepare_torch(threads: int) -> int:
    """Fix threads and algorithms, so that equal specifications give equal bytes on one machine; return the threads used."""
    if threads:
        torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010 - a debugging aid that costs time
    # TRL scores every position on CPUs and only the labelled ones on GPUs; the loss is the same, a third of the time is not
    setattr(trl_utils, "_use_triton", lambda _device: True)  # noqa: B010
    return torch.get_num_threads()


def choose_precision(recipe: Recipe) -> tuple[str, str]:
    """Return (device type, precision of the base weights): bf16 only where the hardware computes in it (facts 5.5)."""
    if torch.cuda.is_available():
        device, able = "cuda", torch.cuda.is_bf16_supported()
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


def lora_config(recipe: Recipe, model: PreTrainedModel) -> LoraConfig:
    """Return the shape of a fresh adapter."""
    layers: list[int] | None = None
    if isinstance(recipe.layers, int):
        count = int(model.config.num_hidden_layers)
        layers = list(range(max(0, count - recipe.layers), count))
    elif recipe.layers is not None:
        layers = list(recipe.layers)
    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=list(recipe.target_modules),
        layers_to_transform=layers,
        task_type="CAUSAL_LM",
    )


def fits(tokenizer: PreTrainedTokenizerBase, example: dict[str, list[dict[str, str]]], max_length: int) -> bool:
    """Tell whether a prompt with its longest answer fits; TRL would cut or drop a longer one without a word."""
    answers = [example[key] for key in ("completion", "chosen", "rejected") if key in example]
    lengths = [len(_tokens(tokenizer, example["prompt"] + answer)) for answer in answers]
    return max(lengths) <= max_length


def fitting(tokenizer: PreTrainedTokenizerBase, rows: pl.DataFrame, max_length: int) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows whose prompt and answer fit, and the ids of the others."""
    fit = [
        fits(tokenizer, training_example(row["prompt"], row["completion"]), max_length)
        for row in rows.select("prompt", "completion").iter_rows(named=True)
    ]
    return rows.filter(fit), [row_id for row_id, ok in zip(rows["row_id"], fit, strict=True) if not ok]


def _tokens(tokenizer: PreTrainedTokenizerBase, chat: list[dict[str, str]]) -> Sequence[int]:
    return tokenizer.apply_chat_template(chat, tokenize=True, return_dict=False)  # pyright: ignore[reportReturnType]


def common_arguments(session: Session, precision: str, device: str) -> dict[str, Any]:
    """Return the trainer arguments that SFT and DPO share."""
    spec, recipe = session.spec, session.spec.recipe
    return {
        "output_dir": str(spec.work_dir),
        "lr_scheduler_type": recipe.scheduler,
        "warmup_steps": recipe.warmup_steps,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "use_cpu": device == "cpu",
        "ddp_backend": "gloo" if device == "cpu" and session.processes > 1 else None,
        "ddp_find_unused_parameters": False if session.processes > 1 else None,
        # autocast on top of bf16 weights: the adapter's fp32 master weights are multiplied in bf16 too (1.15 times as fast)
        "bf16": precision == "bf16",
        "seed": spec.seed,
        "data_seed": spec.seed,
        "logging_steps": 1,  # a resumed run then logs the very same series
        "logging_nan_inf_filter": False,  # a broken loss must be seen
        "save_strategy": "steps",
        "save_steps": recipe.save_steps,
        "save_total_limit": 2,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": device == "cuda",
        "include_num_input_tokens_seen": "non_padding",
    }


def shared_dataset(examples: list[dict[str, Any]], session: Session, arguments: TrainingArguments) -> Dataset:
    """Return a dataset on disk: TRL computes the reference's log-probabilities once and all processes read its cache beside the rows."""
    folder = session.spec.work_dir / _SHARED
    with arguments.main_process_first(local=False):
        if session.main:
            shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
            Dataset.from_list(examples).save_to_disk(folder)
    return Dataset.load_from_disk(folder)


def drop_shared_dataset(session: Session) -> None:
    """Remove what `shared_dataset` wrote: it holds the pairs, and nothing names it."""
    shutil.rmtree(session.spec.work_dir / _SHARED, ignore_errors=True)


class LengthGrouped(Sampler[int]):
    """Rows of like length together, shuffled anew each epoch by (seed, epoch) alone (T3).

    transformers' own sampler draws from the global generator, so an epoch that is resumed in its middle would be
    shuffled differently from the one that was interrupted.
    """

    def __init__(self, lengths: list[int], batch_size: int, seed: int) -> None:
        """Take the tokens of each row, the rows of one optimiser step, and what fixes the order."""
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch's order; accelerate calls this at the start of each."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.lengths)

    @override
    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        return iter(get_length_grouped_indices(self.lengths, self.batch_size, generator=generator))


class _Steady(Trainer):
    """What both trainers need beyond TRL: a repeatable order, and small checkpoints whose failures are one line."""

    @override
    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows: Any = train_dataset if train_dataset is not None else self.train_dataset
        lengths = [_row_length(dict(row)) for row in rows]
        rows_of_a_step = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return LengthGrouped(lengths, rows_of_a_step, self.args.seed)

    @override
    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        # only the adapter in training: no tokenizer, no pickled arguments, no frozen "ref" copy
        if self.args.should_save:
            save_weights(self.model, Path(output_dir or str(self.args.output_dir)))

    @override
    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        target = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
        try:
            with saving(target, "earlier checkpoints are kept; free some space and run again"):
                Trainer._save_checkpoint(self, model, trial)  # TRL's adds a model card to every checkpoint
        except BaseException:
            if not (target / "trainer_state.json").is_file():
                shutil.rmtree(target, ignore_errors=True)
            raise


def _row_length(row: dict[str, Any]) -> int:
    if "input_ids" in row:
        return len(row["input_ids"])
    return len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"]))


class SteadySft(_Steady, SFTTrainer):
    """TRL's SFTTrainer, resumable to the bit; replay rows may hold the student to the base model instead of to an answer."""

    as_written = False
    replay_kl = 0.0
    replay_kl_every = 1

    def follow(self, recipe: Recipe) -> None:
        """Take the order of rows and the weight of the drift penalty from the recipe.

        Raises:
            TrainingError: The penalty is asked for with several processes or gradient accumulation, which it does not support.
        """
        self.as_written = recipe.order == "as-written"
        self.replay_kl, self.replay_kl_every = recipe.replay_kl, recipe.replay_kl_every
        if self.replay_kl:
            if self.args.world_size > 1 or self.args.gradient_accumulation_steps > 1 or recipe.packing:
                raise TrainingError(
                    "replay_kl needs one process, gradient_accumulation 1 and packing off; change the recipe, or set "
                    "ALAS_TRAINING_PROCESSES to 1"
                )
            rows: Any = self.train_dataset
            self.base_states = BaseStates(row["input_ids"] for row in rows if row["replay"])
            self.data_collator = _MarkReplay(self.data_collator)
            self._signature_columns = None

    @override
    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if self.replay_kl and self._signature_columns is not None and "replay" not in self._signature_columns:
            self._signature_columns = [*self._signature_columns, "replay"]

    @override
    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        if not self.as_written:
            return super()._get_train_sampler(train_dataset)
        rows: Any = train_dataset if train_dataset is not None else self.train_dataset
        return SequentialSampler(rows)

    @override
    def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None) -> Any:
        """Return TRL's loss, or with `replay_kl` the one of `losses`."""
        replay = inputs.pop("replay", None)
        if replay is None or not self.replay_kl:
            return super().compute_loss(model, inputs, return_outputs=return_outputs, num_items_in_batch=num_items_in_batch)
        peft = self.accelerator.unwrap_model(model)
        loss = facts_and_drift(
            peft.get_base_model(),
            peft.disable_adapter(),
            inputs,
            replay,
            self.replay_kl,
            self.base_states,
            self.replay_kl_every,
            self.state.global_step,
        )
        return (loss, None) if return_outputs else loss


class _MarkReplay:
    """TRL's collator, with a flag for each row: is it replay?"""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        replay = [bool(row.get("replay", False)) for row in rows]
        batch = self.inner([{name: value for name, value in row.items() if name != "replay"} for row in rows])
        return {**batch, "replay": torch.tensor(replay)}


class SteadyDpo(_Steady, DPOTrainer):
    """TRL's DPOTrainer, resumable to the bit."""


class _Watch(TrainerCallback):
    """Streams the loss, ends on request, and refuses to take a step before the manifest is there."""

    def __init__(self, session: Session, manifest: Path) -> None:
        self.session, self.manifest = session, manifest
        self.told = self.started = time.monotonic()
        self.tokens_before = self.steps_before = 0

    @override
    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.session.main and not self.manifest.is_file():
            raise TrainingError(f"{self.manifest} is not there; the probes must be fixed before the first step")
        self.started, self.tokens_before = time.monotonic(), int(state.num_input_tokens_seen)
        self.steps_before = state.global_step

    @override
    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.session.should_stop():
            control.should_save = control.should_training_stop = True

    @override
    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float] | None = None, **kwargs: Any
    ) -> None:
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            raise TrainingError(f"the loss is {loss} at step {state.global_step}; lower the recipe's learning_rate")
        now = time.monotonic()
        if state.global_step in (1, state.max_steps) or now - self.told >= _TELL_SECONDS:
            self.told = now
            rate = (int(state.num_input_tokens_seen) - self.tokens_before) / max(now - self.started, 1e-9)
            left = time_left(state.global_step - self.steps_before, state.max_steps - state.global_step, now - self.started)
            self.session.tell(f"step {state.global_step}/{state.max_steps}: loss {loss:.4f}, {rate:.0f} tokens/s{left}")


def time_left(done: int, to_do: int, seconds: float) -> str:
    """Return how long a training still takes, for the end of a line; "" while too little is done to say, and where nothing is left.

    Args:
        done: Optimiser steps that this process has taken.
        to_do: Steps that are left.
        seconds: What the steps done took. The first one fills caches that the others use.
    """
    if done < _TELLING_STEPS or not to_do:
        return ""
    left = to_do * seconds / done
    return f", about {left / 60:.0f} min left" if left >= 90 else f", about {left:.0f} s left"


def run_training(trainer: SteadySft | SteadyDpo, session: Session, manifest: Path) -> None:
    """Train, from the newest valid checkpoint of this specification where there is one, and fill the session's facts.

    Raises:
        Interrupted: Somebody asked to stop; a checkpoint of the last step is saved.
        SavingError: A checkpoint could not be written; earlier ones are kept.
        TrainingError: The loss is not a number.
    """
    folder = session.spec.work_dir
    if session.main:
        for line in drop_invalid_checkpoints(folder):
            session.tell(f"dropped {line}")
    checkpoint = newest_valid_checkpoint(folder)
    watch = _Watch(session, manifest)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(watch)
    if checkpoint is not None:
        session.tell(f"resuming from step {step_of(checkpoint)}")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if session.should_stop():
        raise Interrupted
    state, seconds = trainer.state, time.monotonic() - watch.started
    tokens = int(state.num_input_tokens_seen)
    session.facts |= {
        "steps": state.global_step,
        "resumed_from": step_of(checkpoint) if checkpoint else 0,
        "tokens": tokens,
        "tokens_per_second": round((tokens - watch.tokens_before) / max(seconds, 1e-9), 1),
        "loss_history": [(int(entry["step"]), float(entry["loss"])) for entry in state.log_history if "loss" in entry],
    }


def save_weights(model: Any, folder: Path) -> None:
    """Write the trained adapter's weights and configuration into a folder."""
    model.save_pretrained(str(folder), selected_adapters=["default"], save_embedding_layers=False, safe_serialization=True)
    if not (folder / WEIGHTS).is_file():
        raise OSError(f"{WEIGHTS} was not written")


def quiet() -> None:
    """Silence progress bars, which would fill the step's log, and a warning that nobody here can act on."""
    from datasets.utils.logging import disable_progress_bar
    from transformers.utils import logging

    disable_progress_bar()
    logging.disable_progress_bar()
    # TRL 1.16 still passes the old name on; nothing of ours can change that
    warnings.filterwarnings("ignore", message=".*gradient_checkpointing` is deprecated.*", category=FutureWarning)
