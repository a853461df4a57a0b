"""Finds evaluation wording that training would see (S8); its findings feed a blocking asset check.

Finding only: curation and row building keep leaks out beforehand with the same rules, so a finding is a defect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal

import polars as pl

from alas_assets.records import Record
from alas_assets.synthesis.questions import GuardQuestion, ReplayPrompt
from alas_assets.synthesis.wording import NearIndex, WordingIndex, differ_in_identity, normalise, shared_wording

Kind = Literal["equals a training row", "shares a training row's wording", "near a replay prompt", "guard near a training row"]


class Leak(Record):
    """One evaluation question that training would see."""

    kind: Kind
    probe_id: str
    split: str
    question: str
    row_id: str
    row_kind: str
    prompt: str
    share: float

    def words(self, files: Mapping[str, Path]) -> str:
        """Return what leaks where, and what to change where a person wrote the question.

        Args:
            files: The file that the questions of a split are read from; splits that curation makes have none.
        """
        change = f" (change the question in {files[self.split]})" if self.split in files else ""
        return f"{self.question!r} {self.kind}: {self.prompt!r}{change}"


def same_question(probe: str, prompt: str, same_fact: bool) -> bool:
    """Tell whether a probe and a training prompt of like wording and answer ask the same (S8).

    They do not if they only share the answer and differ in an identifier or number: one sentence pattern about `foo` and
    about `bar`, both new in 3.15.
    """
    return same_fact or not differ_in_identity(probe, prompt)


def usable_replay(prompts: Sequence[ReplayPrompt], guards: Sequence[GuardQuestion], asked: Iterable[str] = ()) -> list[ReplayPrompt]:
    """Return the replay prompts that are nearly no question of an evaluation.

    Args:
        prompts: All there are.
        guards: Guard and neighbour questions.
        asked: The questions of probes (`held_out`).
    """
    # the prompts and not the questions, of which every iteration adds more until the caches of `wording` no longer hold them
    index = NearIndex([prompt.prompt for prompt in prompts])
    near = {i for question in chain((guard.question for guard in guards), asked) for i in index.find(question)}
    return [prompt for i, prompt in enumerate(prompts) if i not in near]


def held_out(pairs: Iterable[pl.DataFrame]) -> list[str]:
    """Return the questions of pair tables (`QA_SCHEMA`) that probes may ask, in this iteration or a later one."""
    return [question for table in pairs for question in table.filter(pl.col("accepted") & (pl.col("role") == "probe"))["question"]]


def find_leaks(probes: pl.DataFrame, rows: pl.DataFrame) -> list[Leak]:
    """Return every leak between evaluation and training, in the order of the probes (S8).

    Args:
        probes: `PROBE_SCHEMA`; splits `guard` and `neighbour` are held to near-equality, the others to wording.
        rows: `TRAIN_ROW_SCHEMA`, the exact rows, or `training_rows.at_risk` before they are built.

    A probe may resemble a row of another fact with another answer (two versions of one sentence): that row teaches
    nothing about the probe's answer. Equality after normalisation is a leak whatever the answer.
    """
    prompts = list(rows.unique(["row_id", "prompt"], maintain_order=True).iter_rows(named=True))
    leaks: list[Leak] = []
    is_guard = pl.col("split").is_in(["guard", "neighbour"])
    leaks += _probe_leaks(probes.filter(~is_guard), prompts)
    leaks += _guard_leaks(probes.filter(is_guard), prompts)
    return leaks


def _probe_leaks(probes: pl.DataFrame, prompts: list[dict[str, str]]) -> list[Leak]:
    replay = [p for p in prompts if p["kind"] == "replay"]
    replay_index = NearIndex([p["prompt"] for p in replay])
    index = WordingIndex([prompt["prompt"] for prompt in prompts])
    leaks: list[Leak] = []
    for probe in probes.iter_rows(named=True):
        answers = {normalise(answer) for answer in (probe["answer"], *probe["aliases"])}
        for i in index.holding(probe["question"]):
            prompt = prompts[i]
            same_fact = probe["fact_id"] == prompt["fact_id"]
            if normalise(prompt["prompt"]) == normalise(probe["question"]):
                leaks.append(_leak("equals a training row", probe, prompt, 1.0))
                continue
            same_answer = prompt["kind"] != "replay" and (same_fact or normalise(prompt["completion"]) in answers)
            if same_answer and same_question(probe["question"], prompt["prompt"], same_fact):
                share = shared_wording(probe["question"], prompt["prompt"])
                leaks.append(_leak("shares a training row's wording", probe, prompt, share))
        near = [replay[i] for i in replay_index.find(probe["question"])]
        leaks += [
            _leak("near a replay prompt", probe, prompt, shared_wording(probe["question"], prompt["prompt"]))
            for prompt in near
            if normalise(prompt["prompt"]) != normalise(probe["question"])  # equal ones are reported above
        ]
    return leaks


def _guard_leaks(guards: pl.DataFrame, prompts: list[dict[str, str]]) -> list[Leak]:
    index = NearIndex([prompt["prompt"] for prompt in prompts])
    return [
        _leak("guard near a training row", guard, prompts[i], shared_wording(guard["question"], prompts[i]["prompt"]))
        for guard in guards.iter_rows(named=True)
        for i in index.find(guard["question"])
    ]


def _leak(kind: Kind, probe: dict[str, str], prompt: dict[str, str], share: float) -> Leak:
    return Leak(
        kind=kind,
        probe_id=probe["probe_id"],
        split=probe["split"],
        question=probe["question"],
        row_id=prompt["row_id"],
        row_kind=prompt["kind"],
        prompt=prompt["prompt"],
        share=share,
    )
