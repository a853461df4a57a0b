"""One model process for all tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alas_assets.students.catalog import StudentRef
from alas_assets.students.client import ModelWorker


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelWorker]:
    with ModelWorker(tmp_path_factory.mktemp("worker") / "logs" / "worker.log") as running:
        yield running


@pytest.fixture(scope="session")
def tiny_ref(tiny_student: Path, worker: ModelWorker, tmp_path_factory: pytest.TempPathFactory) -> StudentRef:
    return worker.prepare(str(tiny_student), "main", tmp_path_factory.mktemp("models"))


def build_adapter(student: Path, folder: Path, seed: int = 0, loud: float = 0.5) -> Path:
    """Write a random LoRA adapter that really changes what the student says."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    base = AutoModelForCausalLM.from_pretrained(student)
    model = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"]))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=loud)
    model.save_pretrained(str(folder))
    return folder
