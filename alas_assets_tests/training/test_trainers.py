"""What our changes to the trainers must not change: the loss, and the same order after a resume."""

from pathlib import Path

import pytest


def test_scoring_only_the_answers_gives_the_loss_and_gradients_of_scoring_everything(
    tiny_student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import AutoModelForCausalLM
    from trl.trainer import utils as trl_utils

    from alas_assets.training.loading import prepare_torch

    original = trl_utils._use_triton
    ids = torch.arange(3, 63).reshape(2, 30)
    labels = ids.clone()
    labels[:, :22] = -100
    outcomes = []
    for ours in (False, True):
        model = AutoModelForCausalLM.from_pretrained(tiny_student, dtype=torch.float32)
        trl_utils.add_fused_lm_head(model)
        monkeypatch.setattr(trl_utils, "_use_triton", original)
        if ours:
            prepare_torch(1)
        assert trl_utils._use_triton(torch.device("cpu")) is ours
        loss = model(input_ids=ids, labels=labels, fused_lm_head=True).loss
        loss.backward()
        outcomes.append((loss.item(), model.model.layers[0].mlp.up_proj.weight.grad))
    assert outcomes[0][0] == pytest.approx(outcomes[1][0], rel=1e-6)
    assert torch.allclose(outcomes[0][1], outcomes[1][1], atol=1e-7)


def test_an_epoch_is_shuffled_by_seed_and_number_alone() -> None:
    import torch

    from alas_assets.training.trainers import LengthGrouped

    lengths = [10 + i % 37 for i in range(100)]
    one, other = LengthGrouped(lengths, 8, seed=3), LengthGrouped(lengths, 8, seed=3)
    first = list(one)
    torch.manual_seed(99)
    assert list(other) == first
    other.set_epoch(1)
    assert list(other) != first
    assert sorted(list(other)) == list(range(100))
    spread = [max(lengths[i] for i in batch) - min(lengths[i] for i in batch) for batch in (first[k : k + 8] for k in range(8, 96, 8))]
    assert sum(spread) / len(spread) < 20  # of 36: rows of like length share a batch


@pytest.mark.parametrize(
    ("done", "to_do", "seconds", "said"),
    [
        (1, 100, 60.0, ""),  # the first step also fills the caches
        (10, 0, 60.0, ""),
        (10, 20, 40.0, ", about 80 s left"),
        (10, 100, 60.0, ", about 10 min left"),
    ],
)
def test_a_training_says_how_long_it_still_takes_once_its_pace_is_known(done: int, to_do: int, seconds: float, said: str) -> None:
    from alas_assets.training.running import time_left

    assert time_left(done, to_do, seconds) == said
