"""The drift loss: sharing the common opening of a batch saves time and changes nothing else."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from peft.helpers import disable_input_dtype_casting
from transformers import AutoModelForCausalLM

from alas_assets.training.losses import IGNORED, BaseStates, facts_and_drift, hidden_after, shared_prefix

OPENING = list(range(5, 25))


def batch(rows: list[tuple[list[int], int]]) -> dict[str, torch.Tensor]:
    """Pad rows of (tokens, how many of the last are the answer)."""
    longest = max(len(tokens) for tokens, _ in rows)
    ids = [tokens + [0] * (longest - len(tokens)) for tokens, _ in rows]
    mask = [[1] * len(tokens) + [0] * (longest - len(tokens)) for tokens, _ in rows]
    labels = [[IGNORED] * (len(tokens) - n) + tokens[len(tokens) - n :] + [IGNORED] * (longest - len(tokens)) for tokens, n in rows]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": torch.tensor(labels)}


ROWS = [([*OPENING, 40, 41, 42, 43], 2), ([*OPENING, 50, 51], 1), ([*OPENING, 60, 61, 62, 63, 64, 65], 3), ([*OPENING, 70, 71, 72], 2)]
REPLAY = torch.tensor([False, True, False, True])


@pytest.fixture
def student(tiny_student: Path) -> Any:
    """The tiny student with an adapter whose B matrices are not zero, so that it differs from its base."""
    torch.manual_seed(3)
    base = AutoModelForCausalLM.from_pretrained(tiny_student, dtype=torch.float32, attn_implementation="eager")
    peft = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM"))
    for name, weight in peft.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    return peft


def plainly(
    peft: Any, rows: dict[str, torch.Tensor], replay: torch.Tensor, weight: float, opening: int, every: int = 1, step: int = 0
) -> torch.Tensor:
    """The same loss written down without any saving."""
    logits = peft(input_ids=rows["input_ids"], attention_mask=rows["attention_mask"]).logits.log_softmax(-1)
    with torch.no_grad(), peft.disable_adapter():
        base = peft(input_ids=rows["input_ids"], attention_mask=rows["attention_mask"]).logits.log_softmax(-1)
    answers, drift = [], []
    replays = replay.nonzero().flatten().tolist()
    for row in range(len(replay)):
        for at in range(rows["input_ids"].shape[1] - 1):
            if replay[row] and at >= opening - 1 and rows["attention_mask"][row, at + 1]:
                if (replays.index(row) + at - (opening - 1) + step) % every:
                    continue
                drift.append((base[row, at].exp() * (base[row, at] - logits[row, at])).sum())
            elif not replay[row] and rows["labels"][row, at + 1] != IGNORED:
                answers.append(-logits[row, at, rows["input_ids"][row, at + 1]])
    return torch.stack(answers).mean() + weight * torch.stack(drift).mean()


def gradients(peft: Any, loss: torch.Tensor) -> list[torch.Tensor]:
    peft.zero_grad()
    loss.backward()
    return [weight.grad.clone() for _, weight in peft.named_parameters() if weight.requires_grad]


@pytest.mark.parametrize(("every", "step"), [(1, 0), (1, 5), (2, 0), (2, 1), (3, 2)])
def test_loss_and_gradients_are_those_of_the_plain_formula(student: Any, every: int, step: int) -> None:
    rows = batch(ROWS)
    ours = facts_and_drift(student.get_base_model(), student.disable_adapter(), rows, REPLAY, 3.0, every=every, step=step)
    plain = plainly(student, rows, REPLAY, 3.0, len(OPENING), every, step)
    assert torch.allclose(ours, plain, rtol=1e-5)
    ours_grads, plain_grads = gradients(student, ours), gradients(student, plain)
    assert all(grad.any() for grad in ours_grads)
    for one, other in zip(ours_grads, plain_grads, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-6)


def test_without_peft_casting_inputs_not_a_bit_of_a_bf16_step_changes(tiny_student: Path) -> None:
    torch.manual_seed(3)
    base = AutoModelForCausalLM.from_pretrained(tiny_student, dtype=torch.bfloat16, attn_implementation="eager")
    peft: Any = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"))
    for name, weight in peft.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    found = []
    for active in (False, True):
        with disable_input_dtype_casting(peft, active=active), torch.autocast("cpu", dtype=torch.bfloat16):
            loss = facts_and_drift(peft.get_base_model(), peft.disable_adapter(), batch(ROWS), REPLAY, 3.0)
        found.append((loss.detach(), gradients(peft, loss)))
    assert torch.equal(found[0][0], found[1][0])
    assert all(torch.equal(one, other) for one, other in zip(found[0][1], found[1][1], strict=True))
    assert found[0][1][0].dtype == torch.float32  # the adapter's own weights stay as they were


def test_rows_too_short_for_the_next_token_to_score_are_scored_whole(student: Any) -> None:
    short = batch([([*OPENING, 40], 1), ([*OPENING, 50], 1)])
    both = torch.tensor([True, True])
    some, whole = (
        facts_and_drift(student.get_base_model(), student.disable_adapter(), short, both, 1.0, every=every, step=5) for every in (20, 1)
    )
    assert float(whole.detach()) > 0
    assert torch.equal(some, whole)


@pytest.mark.parametrize("replay", [torch.tensor([True] * 4), torch.tensor([False] * 4)])
def test_a_batch_of_one_kind_has_that_kind_of_loss_alone(student: Any, replay: torch.Tensor) -> None:
    rows = batch(ROWS)
    heavy, light = (facts_and_drift(student.get_base_model(), student.disable_adapter(), rows, replay, weight) for weight in (2.0, 1.0))
    assert light > 0
    assert torch.allclose(heavy, light * (2 if bool(replay.all()) else 1))


def test_the_drift_of_an_untouched_adapter_is_nothing(student: Any) -> None:
    for name, weight in student.named_parameters():
        if "lora_B" in name:
            torch.nn.init.zeros_(weight)
    loss = facts_and_drift(student.get_base_model(), student.disable_adapter(), batch(ROWS), torch.tensor([True] * 4), 1.0)
    assert abs(float(loss.detach())) < 1e-6


def test_the_opening_is_computed_once_not_once_per_row(student: Any) -> None:
    rows = batch(ROWS)
    body, seen = student.get_base_model().model, []
    body.embed_tokens.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].numel()))
    prefix = shared_prefix(rows["input_ids"], rows["attention_mask"], rows["labels"])
    after = hidden_after(body, rows["input_ids"], rows["attention_mask"], prefix)
    assert sum(seen) == prefix + 4 * (rows["input_ids"].shape[1] - prefix)
    whole = body(input_ids=rows["input_ids"], attention_mask=rows["attention_mask"]).last_hidden_state[:, prefix:]
    there = rows["attention_mask"][:, prefix:] == 1
    assert torch.allclose(after[there], whole[there], atol=1e-5)


def test_a_model_with_a_recurrent_state_is_computed_in_full(student: Any) -> None:
    rows = batch(ROWS)
    body, seen = student.get_base_model().model, []
    body.config.layer_types = ["linear_attention", "full_attention"]
    body.embed_tokens.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].numel()))
    hidden_after(body, rows["input_ids"], rows["attention_mask"], len(OPENING) - 1)
    assert seen == [rows["input_ids"].numel()]


@settings(deadline=None)
@given(
    st.lists(st.integers(5, 9), max_size=12),
    st.lists(st.tuples(st.lists(st.integers(5, 9), min_size=2, max_size=8), st.integers(1, 2)), min_size=1, max_size=5),
)
def test_every_answer_token_is_predicted_from_what_is_left_to_the_rows(opening: list[int], tails: list[tuple[list[int], int]]) -> None:
    rows = batch([([*opening, *tail], answer) for tail, answer in tails])
    prefix = shared_prefix(rows["input_ids"], rows["attention_mask"], rows["labels"])
    assert (rows["input_ids"][:, :prefix] == rows["input_ids"][:1, :prefix]).all()
    assert (rows["attention_mask"][:, : prefix + 1] == 1).all()
    assert (rows["labels"][:, 1 : prefix + 1] == IGNORED).all()  # nothing predicts the first token, shared or not
    assert prefix >= len(opening) - 1


def test_the_base_computes_every_replay_row_once_however_often_it_comes(student: Any) -> None:
    rows, core, base = batch(ROWS), student.get_base_model(), BaseStates(tokens for tokens, _ in ROWS)
    computed: list[int] = []
    core.model.register_forward_hook(lambda *_: computed.append(1))

    def drift(which: list[int], kept: BaseStates | None) -> torch.Tensor:
        some = {name: values[which] for name, values in rows.items()}
        return facts_and_drift(core, student.disable_adapter(), some, torch.tensor([True] * len(which)), 1.0, kept)

    first = drift([0, 2], base)
    with_base = len(computed)
    again = drift([0, 2], base)
    assert len(computed) - with_base == with_base - 1, "all rows were computed together, and the base is not asked again"
    assert torch.equal(first, again)
    assert torch.allclose(drift([3, 2, 0], base), drift([3, 2, 0], None), rtol=1e-5, atol=1e-6)
    gradient = gradients(student, drift([0, 2], base))
    assert all(torch.allclose(one, two, atol=1e-6) for one, two in zip(gradient, gradients(student, drift([0, 2], None)), strict=True))


def test_what_the_base_makes_of_a_row_does_not_depend_on_the_batch_that_asks_first(student: Any) -> None:
    rows, core = batch(ROWS), student.get_base_model()
    early, late = BaseStates(tokens for tokens, _ in ROWS), BaseStates(tokens for tokens, _ in reversed(ROWS))
    with student.disable_adapter():
        early.of(core, rows["input_ids"][:2], rows["attention_mask"][:2])
        late.of(core, rows["input_ids"][1:], rows["attention_mask"][1:])
        both = [states.of(core, rows["input_ids"], rows["attention_mask"]) for states in (early, late)]
    assert torch.equal(*both)
