"""Puts drawn or recorded rights and wrongs before the gate as an iteration would (G1). Which they are is `drawn`'s and `trained`'s."""

from __future__ import annotations

import polars as pl

from alas_assets.provenance.ids import probe_id
from alas_assets.records import ANSWER_SCHEMA, PROBE_SCHEMA, AdapterRef
from alas_assets.release.gate import decide

RHO, GAMMA = 0.10, 0.01


def probe(split: str, fact: int, wording: int) -> dict[str, object]:
    """Return one question (`PROBE_SCHEMA`); each fact is a group of its own."""
    name = f"{split}-{fact}"
    question = f"{name}, wording {wording}?"
    blank = {**dict.fromkeys(PROBE_SCHEMA.names()), "aliases": [], "rivals": []}
    shown = {"split": split, "fact_id": name, "fact_group": name, "topic": split, "question": question, "answer": name}
    return {**blank, **shown, "probe_id": probe_id(name, question)}


def promoted(rows: list[dict[str, object]], candidate: list[bool], previous: list[bool], seed: int) -> bool:
    """Let the gate judge a candidate against the adapter before it; guards are compared with the same answers as those of the base.

    Args:
        rows: The questions, from `probe`.
        candidate: Whether the candidate answers each of them right.
        previous: Whether the adapter before it does.
        seed: Of the bootstrap.
    """
    probes = pl.DataFrame(rows, schema=PROBE_SCHEMA)
    sft = AdapterRef(adapter_hash="S", kind="sft", trained=True, base_hash="b", rows_hash="r", probes_hash="P")
    decision = decide(
        domain="d",
        iteration=1,
        probes=probes,
        probes_hash="P",
        sft=sft,
        dpo=sft.model_copy(update={"kind": "dpo", "trained": False}),
        sft_answers=_answers(probes, "sft", "S", candidate),
        dpo_answers=ANSWER_SCHEMA.to_frame(),
        reference=pl.concat([_answers(probes, "base", "", previous), _answers(probes, "previous", "O", previous)]),
        current_before="O",
        seed_current="O",
        barred="",
        gamma=GAMMA,
        rho=RHO,
        seed=seed,
    )
    return decision.verdict == "promote"


def _answers(probes: pl.DataFrame, system: str, adapter: str, right: list[bool]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "probe_id": probes["probe_id"],
            "split": probes["split"],
            "system": [system] * probes.height,
            "adapter_hash": [adapter] * probes.height,
            "base_hash": ["b"] * probes.height,
            "label": ["correct" if ok else "incorrect" for ok in right],
        },
        schema={name: ANSWER_SCHEMA[name] for name in ("probe_id", "split", "system", "adapter_hash", "base_hash", "label")},
    )
