"""Greedy decoding of several prompts at once that computes nothing twice and nothing for nobody (E5).

The opening that all prompts have in common is computed once, and an answer that has ended takes no further part. Which questions go
together, and what becomes of the tokens, is `students.answering`'s. Imports torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache

WORTH_SHARING = 8
"""Tokens; for a shorter opening, computing it apart costs more than it saves."""


def attends_only(body: Any) -> bool:
    """Tell whether keys and values are all that a model keeps of earlier tokens; recurrent and hybrid models keep a state."""
    layers = set(getattr(body.config, "layer_types", None) or ["full_attention"])
    return layers <= {"full_attention", "sliding_attention"} and not getattr(body, "_is_stateful", False)


def can_decode(model: Any) -> bool:
    """Tell whether `greedy` fits a model: it keeps only keys and values, and takes positions and the last token's logits alone."""
    return attends_only(model) and {"position_ids", "logits_to_keep"} <= set(inspect.signature(model.forward).parameters)


def common_opening(prompts: Sequence[list[int]]) -> int:
    """Return how many leading tokens all prompts share, the last token of each left out: it predicts the first answer token."""
    shortest, longest = min(prompts), max(prompts)  # of all in order, these two differ first
    most = min(map(len, prompts)) - 1
    return next((at for at in range(most) if shortest[at] != longest[at]), most)


@torch.inference_mode()
def greedy(model: Any, prompts: Sequence[list[int]], stops: Sequence[int], most: int) -> list[list[int]]:
    """Return the answer's tokens to each prompt, without the stop token that ended it.

    Args:
        model: A causal model (`can_decode`).
        prompts: Token ids, none empty.
        stops: Tokens that end an answer.
        most: Tokens after which an answer is cut.
    """
    device, count = model.device, len(prompts)
    opening = common_opening(prompts) if count > 1 else 0
    cache = DynamicCache(config=model.config)
    if opening >= WORTH_SHARING:
        model(input_ids=torch.tensor([prompts[0][:opening]], device=device), past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.batch_repeat_interleave(count)
    else:
        opening = 0
    width = max(map(len, prompts)) - opening
    own = [prompt[opening:] for prompt in prompts]
    feed = torch.tensor([[0] * (width - len(tokens)) + tokens for tokens in own], device=device)
    mask = torch.tensor([[1] * opening + [0] * (width - len(tokens)) + [1] * len(tokens) for tokens in own], device=device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, opening:]
    ends = torch.tensor(list(stops), device=device)
    answers: list[list[int]] = [[] for _ in prompts]
    asked = list(range(count))  # the prompts that are still being answered, as the rows of all tensors
    for _ in range(most):
        out = model(input_ids=feed, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)
        best = out.logits[:, -1].argmax(-1)
        going = ~torch.isin(best, ends)
        asked = [prompt for prompt, on in zip(asked, going.tolist(), strict=True) if on]
        if not asked:
            break
        if len(asked) < len(best):
            best, mask, positions = best[going], mask[going], positions[going]
            cache.batch_select_indices(going)
        for prompt, token in zip(asked, best.tolist(), strict=True):
            answers[prompt].append(token)
        feed, positions = best[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(asked), 1)], dim=1)
    return answers
