"""Running a trainer: live loss, resume from the newest valid checkpoint, an end on request, and what is known afterwards (T3, T4).

What is trained, and on which rows in which order, is `trainers`.
"""

from __future__ import annotations

import math
import time
import warnings
from pathlib import Path
from typing import Any

from transformers import EarlyStoppingCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from typing_extensions import override

from alas_assets.training.checkpoints import drop_invalid_checkpoints, newest_valid_checkpoint, step_of
from alas_assets.training.child import Interrupted, Session, TrainingError
from alas_assets.training.trainers import SteadyDpo, SteadySft
from alas_assets.wording import how_long

_TELL_SECONDS = 5.0
_TELLING_STEPS = 5
"""Steps from which on their pace says when a training ends."""


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
        if not self.session.should_stop():
            return
        if self.session.processes > 1:  # another may have looked a moment earlier, and now waits for this one in the next step
            raise Interrupted
        control.should_save = control.should_training_stop = True

    @override
    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float] | None = None, **kwargs: Any
    ) -> None:
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            raise TrainingError(f"the loss is {loss} at step {state.global_step}; lower the recipe's learning_rate or warm_learning_rate")
        now = time.monotonic()
        if state.global_step in (1, state.max_steps) or now - self.told >= _TELL_SECONDS:
            self.told = now
            rate = (int(state.num_input_tokens_seen) - self.tokens_before) / max(now - self.started, 1e-9)
            left = time_left(state.global_step - self.steps_before, state.max_steps - state.global_step, now - self.started)
            self.session.tell(f"step {state.global_step}/{state.max_steps}: loss {loss:.4f}, {rate:.0f} tokens/s{left}")


class Patience(EarlyStoppingCallback):
    """Early stopping whose count survives a kill (T3, T4).

    The checkpoint has the count; transformers restores it only together with the control of an interrupted run, which says stop.
    """

    @override
    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        super().on_train_begin(args, state, control, **kwargs)
        kept: Any = state.stateful_callbacks
        if own := (kept or {}).get(type(self).__name__):
            self.early_stopping_patience_counter = int(own["attributes"]["early_stopping_patience_counter"])


def time_left(done: int, to_do: int, seconds: float) -> str:
    """Return how long a training still takes, for the end of a line; "" while too little is done to say, and where nothing is left.

    Args:
        done: Optimiser steps that this process has taken.
        to_do: Steps that are left.
        seconds: What the steps done took. The first one fills caches that the others use.
    """
    if done < _TELLING_STEPS or not to_do:
        return ""
    return f", about {how_long(to_do * seconds / done)} left"


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


def quiet() -> None:
    """Silence progress bars, which would fill the step's log, and a warning that nobody here can act on."""
    from datasets.utils.logging import disable_progress_bar
    from transformers.utils import logging

    disable_progress_bar()
    logging.disable_progress_bar()
    # TRL 1.16 still passes the old name on; nothing of ours can change that
    warnings.filterwarnings("ignore", message=".*gradient_checkpointing` is deprecated.*", category=FutureWarning)
