"""Preference optimisation of an SFT adapter in a process of its own: `python -m alas_assets.training.dpo SPEC.json` (D3).

A straight line: pairs, SFT candidate, trainer, train, measure, save. What surrounds it is `child`; too few pairs are
the parent's business, which then sends the SFT candidate on.
"""

from __future__ import annotations

import sys
from pathlib import Path

from alas_assets.students.chat import load_tokenizer, markers_of, preference_example
from alas_assets.training.adapter import MANIFEST, check_base, check_init_adapter, start_manifest, write_adapter
from alas_assets.training.child import Session, TrainingError, run_child
from alas_assets.training.rows import read_rows


def train(session: Session) -> None:
    """Train the SFT adapter further on chosen and rejected answers, with an SFT term on the chosen ones."""
    # pairs and files: everything that can be wrong is found before the slow imports
    spec, recipe = session.spec, session.spec.recipe.dpo
    if spec.init_adapter is None:
        raise TrainingError("init_adapter is not set; DPO goes on from the SFT candidate")
    batch_size = session.share(recipe.batch_size)
    pairs = read_rows(spec)
    check_base(spec)
    check_init_adapter(spec)

    with session.phase("import"):
        from datasets import Dataset
        from trl.trainer.dpo_config import DPOConfig

        from alas_assets.training import loading, running, trainers

    with session.phase("load"):
        running.quiet()
        threads = loading.prepare_torch(spec.threads)
        device, precision = loading.choose_precision(spec.recipe)
        tokenizer, markers = load_tokenizer(Path(spec.student_folder)), markers_of(Path(spec.student_folder))
        examples = [preference_example(row["question"], row["chosen"], row["rejected"], markers) for row in pairs.iter_rows(named=True)]
        fitting = [loading.fits(tokenizer, example, recipe.max_length) for example in examples]
        left_out = [pair_id for pair_id, fit in zip(pairs["pair_id"], fitting, strict=True) if not fit]
        examples = [example for example, fit in zip(examples, fitting, strict=True) if fit]
        pairs = pairs.filter(fitting)
        if pairs.is_empty():
            raise TrainingError(f"all {len(left_out)} pairs are longer than max_length {recipe.max_length}; raise it in the recipe")
        arguments = DPOConfig(
            **trainers.common_arguments(session, precision, device),
            num_train_epochs=recipe.epochs,
            learning_rate=recipe.learning_rate,
            per_device_train_batch_size=batch_size,
            per_device_eval_batch_size=2 * recipe.batch_size,
            max_length=recipe.max_length,
            beta=spec.beta,
            loss_type=list(recipe.loss_type),
            loss_weights=list(recipe.loss_weights),
            precompute_ref_log_probs=True,
            precompute_ref_batch_size=2 * recipe.batch_size,
        )
        dataset = trainers.shared_dataset(examples, session, arguments) if session.processes > 1 else Dataset.from_list(examples)
        trainer = trainers.SteadyDpo(
            model=loading.load_adapter(loading.load_student(spec, precision), spec),
            args=arguments,
            train_dataset=dataset,
            eval_dataset=dataset,  # the pairs themselves
            processing_class=tokenizer,
        )
        session.facts |= {"rows": pairs.height, "precision": precision, "device": device}
        manifest = start_manifest(spec, pairs, left_out=left_out, dev=[], precision=precision, device=device, threads=threads)
        session.tell(f"dpo of {spec.cell}: {pairs.height} pairs, {len(left_out)} too long, {precision} on {device}, manifest written")

    with session.phase("train"):
        before = trainer.evaluate()  # as after training, for TRL takes the mean of batches, whose last one may be short
        running.run_training(trainer, session, spec.work_dir / MANIFEST)
        after = trainer.evaluate()
        measured = {
            "logps_chosen_before": float(before["eval_logps/chosen"]),
            "logps_rejected_before": float(before["eval_logps/rejected"]),
            "logps_chosen_after": float(after["eval_logps/chosen"]),
            "logps_rejected_after": float(after["eval_logps/rejected"]),
            "reward_margin_after": float(after["eval_rewards/margins"]),
            "reward_accuracy_after": float(after["eval_rewards/accuracies"]),
        }
        session.facts["measured"] = measured
        was, now = measured["logps_chosen_before"], measured["logps_chosen_after"]
        alarm = "; it FELL: the SFT term is too weak or the rate too high" if now < was else ""
        session.tell(f"log-probability of the chosen answers {was:.2f} -> {now:.2f}{alarm}")

    with session.phase("save"):
        if session.main:
            write_adapter(
                spec,
                manifest,
                lambda folder: trainers.save_weights(trainer.model, folder),
                steps=session.facts["steps"],
                tokens=session.facts["tokens"],
                losses=session.facts["loss_history"],
                measured=measured,
            )
            trainers.drop_shared_dataset(session)


if __name__ == "__main__":
    sys.exit(run_child("dpo", train, sys.argv[1:]))
