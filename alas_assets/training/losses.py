"""The loss of SFT with a drift penalty: cross entropy on facts, KL(base || student) on replay (T2, T3).

Tensors in, a scalar out; the order of rows, the optimiser and the process are `trainers`'. Imports torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.nn import functional
from transformers import DynamicCache, PreTrainedModel

IGNORED = -100  # the label of a token that is no part of an answer
_BLOCK = 32  # rows that the base model computes together
_WORTH_SHARING = 8  # tokens; below, a second forward pass costs more than it saves


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


def hidden_after(body: Any, ids: torch.Tensor, mask: torch.Tensor, prefix: int) -> torch.Tensor:
    """Return the last hidden states of all tokens after a shared prefix, rows x (tokens - prefix) x width.

    The prefix is computed once, not once per row. Attention looks back only, so nothing else changes: gradients of all
    rows flow into the one prefix. A model that remembers more than keys and values is computed in full.
    """
    if prefix >= _WORTH_SHARING and _attends_only(body):
        past = DynamicCache()
        body(input_ids=ids[:1, :prefix], past_key_values=past, use_cache=True)
        past.batch_repeat_interleave(len(ids))
        return body(input_ids=ids[:, prefix:], attention_mask=mask, past_key_values=past, use_cache=True).last_hidden_state
    return body(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state[:, prefix:]


def _attends_only(body: Any) -> bool:
    """Tell whether keys and values are all that a model keeps of earlier tokens; recurrent and hybrid models keep a state."""
    layers = set(getattr(body.config, "layer_types", None) or ["full_attention"])
    return layers <= {"full_attention", "sliding_attention"} and not getattr(body, "_is_stateful", False)


class BaseStates:
    """What the base model makes of replay rows, each computed once: they come again in later passes, and the base does not change.

    Rows are computed in blocks that the training as a whole fixes, not in the batch that happens to ask first: the last bits depend on what
    is computed together, and a training that was killed asks in another order when it goes on. Kept are the last hidden states, tokens x
    width of a row: for a few hundred rows of fifty tokens some ten megabytes.

    Args:
        rows: Token ids of every replay row of the training, in any order; a row that is not among them is computed alone.
    """

    def __init__(self, rows: Iterable[Sequence[int]] = ()) -> None:
        self._kept: dict[tuple[int, ...], torch.Tensor] = {}
        keys = sorted({tuple(row) for row in rows}, key=lambda row: (len(row), row))
        blocks = [keys[start : start + _BLOCK] for start in range(0, len(keys), _BLOCK)]
        self._block_of = {key: block for block in blocks for key in block}

    @torch.no_grad()
    def of(self, core: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the hidden states of all tokens of these rows one after the other, padding left out; `core` answers as the base now."""
        keys = [tuple(row[present == 1].tolist()) for row, present in zip(ids, mask, strict=True)]
        for key in keys:
            if key not in self._kept:
                self._compute(core, self._block_of.get(key, [key]), ids.device)
        return torch.cat([self._kept[key] for key in keys])

    def _compute(self, core: PreTrainedModel, block: list[tuple[int, ...]], device: torch.device) -> None:
        width = max(map(len, block))
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in block], device=device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in block], device=device)
        hidden = hidden_after(_body(core), ids, mask, 0)
        self._kept |= {row: states[: len(row)] for row, states in zip(block, hidden, strict=True)}


def facts_and_drift(
    core: PreTrainedModel,
    as_base: AbstractContextManager[Any],
    batch: dict[str, torch.Tensor],
    replay: torch.Tensor,
    weight: float,
    base: BaseStates | None = None,
    every: int = 1,
    step: int = 0,
) -> torch.Tensor:
    """Return cross entropy on the answers of fact rows plus `weight` x KL(base || student) on the tokens of replay rows.

    Cross entropy on the base's own greedy answers fixes one token where the base has a distribution; the divergence
    keeps the whole of it, questions included, and so holds skills that no replay prompt asks for (T2). Where the rows
    open alike, the opening is left out of the mean: there every row says the same. Facts and replay go through the model apart, each as
    wide as its own longest row.

    Args:
        core: The causal model that carries the adapter.
        as_base: While it is open, `core` answers as the base model.
        batch: `input_ids`, `attention_mask`, `labels`, each rows x tokens, padded on the right.
        replay: True for replay rows, one per row.
        weight: Nats per token are multiplied by it.
        base: What is kept of the base model between batches; None keeps nothing.
        every: Only every n-th token of a replay row is scored over the vocabulary.
        step: Optimiser steps so far; it and the row's place say with which token that begins, so that in time all have their turn.
    """
    prefix = 0 if core.is_activation_checkpointing else shared_prefix(batch["input_ids"], batch["attention_mask"], batch["labels"])
    loss = torch.zeros((), dtype=torch.float32, device=batch["input_ids"].device)
    if not bool(replay.all()):
        loss = loss + _on_facts(core, _rows(batch, ~replay), prefix)
    if bool(replay.any()):
        loss = loss + weight * _drift(core, as_base, _rows(batch, replay), prefix, base or BaseStates(), every, step)
    return loss


def _rows(batch: dict[str, torch.Tensor], which: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return some rows of a batch, cut to their longest."""
    width = int(batch["attention_mask"][which].sum(1).max())
    return {name: batch[name][which][:, :width] for name in ("input_ids", "attention_mask", "labels")}


def _body(core: PreTrainedModel) -> Any:
    return getattr(core, core.base_model_prefix)


def _on_facts(core: PreTrainedModel, rows: dict[str, torch.Tensor], prefix: int) -> torch.Tensor:
    targets = rows["labels"][:, prefix + 1 :]
    head: Any = core.get_output_embeddings()
    hidden = hidden_after(_body(core), rows["input_ids"], rows["attention_mask"], prefix)[:, :-1]
    answered = targets != IGNORED
    return functional.cross_entropy(head(hidden[answered]).float(), targets[answered])


def _drift(
    core: PreTrainedModel,
    as_base: AbstractContextManager[Any],
    rows: dict[str, torch.Tensor],
    prefix: int,
    base: BaseStates,
    every: int,
    step: int,
) -> torch.Tensor:
    ids, mask = rows["input_ids"], rows["attention_mask"]
    head: Any = core.get_output_embeddings()
    predicts = functional.pad(mask[:, prefix + 1 :] == 1, (prefix, 1))  # positions whose next token is the row's own
    row, at = (torch.arange(size, device=ids.device) for size in ids.shape)
    some = predicts & ((row[:, None] + at - prefix + step) % every == 0)
    predicts = some if bool(some.any()) else predicts  # short rows may have no such token
    ours = head(hidden_after(_body(core), ids, mask, prefix)[predicts[:, prefix:]]).float().log_softmax(-1)
    with torch.no_grad(), as_base:  # the head too: it may carry the adapter
        theirs = head(base.of(core, ids, mask)[predicts[mask == 1]]).float().log_softmax(-1)
    return functional.kl_div(ours, theirs, log_target=True, reduction="batchmean")
