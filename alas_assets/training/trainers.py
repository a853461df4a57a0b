"""TRL's trainers as SFT and DPO here need them: their arguments, a repeatable order of rows, small checkpoints, the drift penalty (T1, T3).

Imports torch, so only the child process imports this. What they start from is `loading`, how they are run `running`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import Sampler, SequentialSampler
from transformers import Trainer, TrainingArguments
from transformers.trainer_pt_utils import get_length_grouped_indices
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.sft_trainer import SFTTrainer
from typing_extensions import override

from alas_assets.training.adapter import WEIGHTS, saving
from alas_assets.training.child import Session, TrainingError
from alas_assets.training.losses import BaseStates, facts_and_drift
from alas_assets.training.spec import Recipe

_SHARED = "pairs"


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
        with self.accelerator.autocast():  # accelerate wraps the model's own forward, which this loss goes around
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


def save_weights(model: Any, folder: Path) -> None:
    """Write the trained adapter's weights and configuration into a folder."""
    model.save_pretrained(str(folder), selected_adapters=["default"], save_embedding_layers=False, safe_serialization=True)
    if not (folder / WEIGHTS).is_file():
        raise OSError(f"{WEIGHTS} was not written")
