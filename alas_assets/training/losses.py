"""The loss of SFT with a drift penalty: cross entropy on facts, KL(base || student) on replay (T2, T3).

Tensors in, a scalar out; the order of rows, the optimiser and the process are `trainers`'. Imports torch.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.nn import functional
from transformers import DynamicCache, PreTrainedModel

from alas_assets.students.decoding import WORTH_SHARING, attends_only

IGNORED = -100  # the label of a token that is no part of an answer


def shared_prefix(ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor) -> int:
    """Return how many leading tokens all rows have in common: a chat template's opening, the same in every question.

    Padding and answers are never part of it; the last common token is left to the rows, as it predicts their first own.

    Args:
        ids: Token ids, rows x tokens, padded on the right.
        mask: 1 where there is a token, 0 where there is padding; same shape.
        labels: -100 where a token is no part of an answer; same shape.
    """
    alike = (ids == ids[:1]).all(0) & (mask == 1).all(0) & (labels == IGNORED).all(0)
    common = int(alike.long().cumprod(0).sum())
    return max(0, common - 1)


def hidden_after(body: Any, ids: torch.Tensor, mask: torch.Tensor, prefix: int, noise: torch.Tensor | None = None) -> torch.Tensor:
    """Return the last hidden states of all tokens after a shared prefix, rows x (tokens - prefix) x width.

    The prefix is computed once, not once per row. Attention looks back only, so nothing else changes: gradients of all
    rows flow into the one prefix. A model that remembers more than keys and values is computed in full.

    Args:
        body: The model without its head.
        ids: Token ids, rows x tokens, padded on the right.
        mask: 1 where there is a token; same shape.
        prefix: Tokens that all rows share (`shared_prefix`).
        noise: Added to the embeddings of the tokens after the prefix, rows x (tokens - prefix) x width.
    """
    if prefix >= WORTH_SHARING and attends_only(body):
        past = DynamicCache()
        body(input_ids=ids[:1, :prefix], past_key_values=past, use_cache=True)
        past.batch_repeat_interleave(len(ids))
        own = _embedded(body, ids[:, prefix:], noise)
        return body(**own, attention_mask=mask, past_key_values=past, use_cache=True).last_hidden_state
    padded = None if noise is None else functional.pad(noise, (0, 0, prefix, 0))
    return body(**_embedded(body, ids, padded), attention_mask=mask, use_cache=False).last_hidden_state[:, prefix:]


def _embedded(body: Any, ids: torch.Tensor, noise: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """Return what a model takes for these tokens: their ids, or their embeddings with noise."""
    return {"input_ids": ids} if noise is None else {"inputs_embeds": body.get_input_embeddings()(ids) + noise}


def embedding_noise(mask: torch.Tensor, rows: torch.Tensor, width: int, alpha: float) -> torch.Tensor:
    """Return uniform noise for the embeddings of some rows, as long as in NEFTune (Jain et al. 2023): alpha / sqrt(tokens x width) at most.

    Args:
        mask: 1 where there is a token, rows x tokens.
        rows: True for the rows that get noise.
        width: Of an embedding.
        alpha: Its size.
    """
    tokens = mask.sum(1).clamp(min=1)
    size = (alpha / torch.sqrt(tokens * width)) * rows
    return (torch.rand(*mask.shape, width) * 2 - 1) * (size[:, None] * mask)[..., None]


def facts_and_drift(
    core: PreTrainedModel,
    as_base: AbstractContextManager[Any],
    batch: dict[str, torch.Tensor],
    replay: torch.Tensor,
    weight: float,
    noise_alpha: float = 0.0,
) -> torch.Tensor:
    """Return cross entropy on the answers of fact rows plus `weight` x KL(base || student) on the tokens of replay rows.

    Cross entropy on the base's own greedy answers fixes one token where the base has a distribution; the divergence
    keeps the whole of it, questions included, and so holds skills that no replay prompt asks for (T2). Where the rows
    open alike, the opening is left out of the mean: there every row says the same.

    Args:
        core: The causal model that carries the adapter.
        as_base: While it is open, `core` answers as the base model.
        batch: `input_ids`, `attention_mask`, `labels`, each rows x tokens, padded on the right.
        replay: True for replay rows, one per row.
        weight: Nats per token are multiplied by it.
        noise_alpha: Size of the noise on the embeddings of fact rows (`embedding_noise`); 0: none.
    """
    ids, mask, labels = batch["input_ids"], batch["attention_mask"], batch["labels"]
    body: Any = getattr(core, core.base_model_prefix)
    head: Any = core.get_output_embeddings()
    prefix = 0 if core.is_activation_checkpointing else shared_prefix(ids, mask, labels)
    noise = embedding_noise(mask[:, prefix:], ~replay, core.config.hidden_size, noise_alpha) if noise_alpha else None
    hidden = hidden_after(body, ids, mask, prefix, noise)[:, :-1]
    targets = labels[:, prefix + 1 :]
    present = mask[:, prefix + 1 :] == 1
    on_facts = (targets != IGNORED) & ~replay[:, None]
    on_replay = present & replay[:, None]
    loss = hidden.new_zeros((), dtype=torch.float32)
    if bool(on_facts.any()):
        loss = loss + functional.cross_entropy(head(hidden[on_facts]).float(), targets[on_facts])
    if bool(on_replay.any()):
        ours = head(hidden[on_replay]).float().log_softmax(-1)
        with torch.no_grad(), as_base:
            base = hidden_after(body, ids[replay], mask[replay], prefix)[:, :-1]
            theirs = head(base[on_replay[replay]]).float().log_softmax(-1)
        loss = loss + weight * functional.kl_div(ours, theirs, log_target=True, reduction="batchmean")
    return loss
