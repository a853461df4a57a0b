"""A bare TRL training, as one would write it by hand: what our training child is timed against (`training.py`).

    .venv/bin/python bench/speed/bare.py STUDENT_FOLDER ROWS.parquet OUTPUT_FOLDER RECIPE.json THREADS

Prints JSON: seconds of the training alone, last loss. Same rows in the same order, same LoRA, seed and settings; saved once, at the end.
"""

import json
import sys
import time
from pathlib import Path

import polars as pl
import torch
from datasets import Dataset
from peft import LoraConfig
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer  # pyright: ignore[reportPrivateImportUsage]


class InOrder(SFTTrainer):
    """Rows as they come."""

    def _get_train_sampler(self, train_dataset=None):  # noqa: ARG002 - the name is TRL's
        return SequentialSampler(self.train_dataset)  # pyright: ignore[reportArgumentType]


student, rows_file, output, recipe_file, threads = sys.argv[1:]
recipe = json.loads(Path(recipe_file).read_text(encoding="utf-8"))
torch.set_num_threads(int(threads))
bf16 = recipe["precision"] == "bf16"
rows = [
    {"prompt": [{"role": "user", "content": row["prompt"]}], "completion": [{"role": "assistant", "content": row["completion"]}]}
    for row in pl.read_parquet(rows_file).iter_rows(named=True)
]
model = AutoModelForCausalLM.from_pretrained(student, dtype=torch.bfloat16 if bf16 else torch.float32)
layers = range(model.config.num_hidden_layers - recipe["layers"], model.config.num_hidden_layers) if recipe["layers"] else None
trainer = InOrder(
    model=model,
    args=SFTConfig(
        output_dir=output,
        num_train_epochs=recipe["epochs"],
        learning_rate=recipe["learning_rate"],
        lr_scheduler_type=recipe["scheduler"],
        warmup_steps=recipe["warmup_steps"],
        per_device_train_batch_size=recipe["batch_size"],
        max_length=recipe["max_length"],
        gradient_checkpointing=False,
        use_cpu=not torch.cuda.is_available(),
        bf16=bf16,
        save_strategy="no",
        logging_steps=1,  # as our child: each step's loss is read
        report_to="none",
        disable_tqdm=True,
        seed=17,
    ),
    train_dataset=Dataset.from_list(rows),
    processing_class=AutoTokenizer.from_pretrained(student),
    peft_config=LoraConfig(
        r=recipe["rank"],
        lora_alpha=recipe["alpha"],
        target_modules=list(recipe["target_modules"]),
        layers_to_transform=list(layers) if layers else None,
        task_type="CAUSAL_LM",
    ),
)
started = time.monotonic()
trainer.train()
seconds = time.monotonic() - started
trainer.save_model(output)
losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
print(json.dumps({"train_seconds": seconds, "loss": losses[-1]}))
