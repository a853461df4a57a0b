"""What a training's process says of errors that nobody expected: one line, and what to do where that is known."""

import pytest
import torch

from alas_assets.training.child import in_words


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
def test_a_memory_that_is_full_names_the_settings_that_need_less(error: Exception) -> None:
    said = in_words(error)
    assert said.startswith("the memory is full; in a recipe of your own lower batch_size, and raise gradient_accumulation by as much")
    assert "gradient_checkpointing = true" in said
    assert "\n" not in said


def test_any_other_error_is_its_kind_and_its_first_line() -> None:
    assert in_words(KeyError("x")) == "unexpected KeyError: 'x'"
    assert in_words(RuntimeError("first\nsecond")) == "unexpected RuntimeError: first"
