"""Supervised fine-tuning in a process of its own: `python -m alas_assets.training.sft SPEC.json` (T1-T5).

A straight line: rows, student, trainer, train, save. What surrounds it is `child`, what DPO shares is `loading`, `trainers` and `running`.
"""

from __future__ import annotations

import sys
from math import ceil
from pathlib import Path
from typing import Any

from alas_assets.students.chat import load_tokenizer, markers_of, training_example
from alas_assets.training.adapter import MANIFEST, check_base, check_init_adapter, start_manifest, write_adapter
from alas_assets.training.child import Session, TrainingError, run_child
from alas_assets.training.rows import read_dev_rows, read_rows, split_dev
from alas_assets.training.spec import Recipe
from alas_assets.training.suiting import require_plain_scores


def train(session: Session) -> None:
    """Train one adapter on question-answer rows, loss on the answers only."""
    # rows and files: everything that can be wrong is found before the slow imports
    spec, recipe = session.spec, session.spec.recipe
    batch_size = session.share(recipe.batch_size)
    rows = read_rows(spec)
    check_base(spec)
    check_init_adapter(spec)
    require_plain_scores(recipe, Path(spec.student_folder), spec.student_name)
    if spec.dev_file:
        dev = read_dev_rows(Path(spec.dev_file))
    else:
        rows, dev = split_dev(rows, recipe.dev_share, spec.seed)
    if recipe.early_stopping_patience and dev.is_empty():
        raise TrainingError("early_stopping_patience is set, but no fact has a phrasing to spare for dev rows; raise dev_share or unset it")

    with session.phase("import"):
        from datasets import Dataset
        from peft.helpers import disable_input_dtype_casting
        from trl.trainer.sft_config import SFTConfig

        from alas_assets.training import loading, running, trainers

    with session.phase("load"):
        running.quiet()
        threads = loading.prepare_torch(spec.threads)
        device, precision = loading.choose_precision(recipe)
        tokenizer, markers = load_tokenizer(Path(spec.student_folder)), markers_of(Path(spec.student_folder))
        rows, left_out = loading.fitting(tokenizer, rows, recipe.max_length, markers)
        dev, dev_left_out = loading.fitting(tokenizer, dev, recipe.max_length, markers)
        left_out += dev_left_out
        if rows.is_empty():
            raise TrainingError(f"all {len(left_out)} rows are longer than max_length {recipe.max_length}; raise it in the recipe")
        examples, dev_examples = (
            [training_example(row["prompt"], row["completion"], markers=markers) for row in table.iter_rows(named=True)]
            for table in (rows, dev)
        )
        kinds = [{"replay": kind == "replay"} for kind in rows["kind"]] if recipe.replay_kl else [{}] * rows.height
        model = loading.load_student(spec, precision)
        warm = loading.load_adapter(model, spec) if spec.init_adapter else None
        stopping = bool(recipe.early_stopping_patience)
        trainer = trainers.SteadySft(
            model=warm or model,
            args=SFTConfig(
                **trainers.common_arguments(session, precision, device),
                num_train_epochs=recipe.epochs,
                learning_rate=recipe.peak_rate(warm=warm is not None),
                per_device_train_batch_size=batch_size,
                per_device_eval_batch_size=batch_size,
                gradient_accumulation_steps=recipe.gradient_accumulation,
                max_length=recipe.max_length,
                packing=recipe.packing,
                label_smoothing_factor=recipe.label_smoothing,
                eval_strategy="steps" if dev_examples else "no",
                eval_steps=recipe.save_steps,
                load_best_model_at_end=stopping,
                metric_for_best_model="eval_loss" if stopping else None,
                greater_is_better=False if stopping else None,
            ),
            train_dataset=Dataset.from_list([example | kind for example, kind in zip(examples, kinds, strict=True)]),
            eval_dataset=Dataset.from_list(dev_examples) if dev_examples else None,
            processing_class=tokenizer,
            peft_config=None if warm else loading.lora_config(recipe, model, spec.student_name),
            callbacks=[running.Patience(recipe.early_stopping_patience)] if recipe.early_stopping_patience else None,
        )
        trainer.follow(recipe)
        packed = _packed(recipe, trainer.train_dataset) if recipe.packing else ""
        session.facts |= {"rows": rows.height, "precision": precision, "device": device}
        manifest = start_manifest(
            spec, rows, left_out=left_out, dev=dev["row_id"].to_list(), precision=precision, device=device, threads=threads
        )
        session.tell(
            f"sft of {spec.cell}: {rows.height} rows, {len(left_out)} too long, {dev.height} dev{packed}, {precision} on {device}, "
            "manifest written"
        )

    adapted: Any = trainer.model
    # PEFT casts every input of an adapter to fp32, and autocast casts it back: bf16 either way, and time for nothing
    with session.phase("train"), disable_input_dtype_casting(adapted, active=precision == "bf16"):
        running.run_training(trainer, session, spec.work_dir / MANIFEST)

    with session.phase("save"):
        if session.main:
            dev_losses = [float(entry["eval_loss"]) for entry in trainer.state.log_history if "eval_loss" in entry]
            session.facts["measured"] = {"dev_loss_last": dev_losses[-1], "dev_loss_best": min(dev_losses)} if dev_losses else {}
            write_adapter(
                spec,
                manifest,
                lambda folder: trainers.save_weights(trainer.model, folder),
                steps=session.facts["steps"],
                tokens=session.facts["tokens"],
                losses=session.facts["loss_history"],
                measured=session.facts["measured"],
            )


def _packed(recipe: Recipe, sequences: Any) -> str:
    """Return what packing makes of the rows, for the line that is told.

    Raises:
        TrainingError: It leaves fewer optimiser steps than the recipe asks for: the rows were counted as if each were a sequence.
    """
    rows_of_a_step = recipe.batch_size * recipe.gradient_accumulation
    steps = ceil(ceil(len(sequences) / rows_of_a_step) * recipe.epochs)
    if steps < recipe.min_steps:
        raise TrainingError(
            f"packing makes {len(sequences)} sequences of all rows, so {steps} optimiser steps where min_steps asks for "
            f"{recipe.min_steps}; set packing = false in the recipe"
        )
    return f", packed into {len(sequences)} sequences: {steps} steps"


if __name__ == "__main__":
    sys.exit(run_child("sft", train, sys.argv[1:]))
