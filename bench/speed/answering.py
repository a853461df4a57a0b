"""How much faster a batch of questions is answered than the same questions one by one, in turns on one machine (E5).

    .venv/bin/python bench/speed/answering.py STORE [--domain KEY] [--rounds 5] [--questions 64]

STORE is a finished demo's, or one with a finished iteration of KEY; its probes and guards are asked, of the current adapter. One by one
is what a plain script does: `generate` on one unpadded prompt. Prints Markdown: medians, and the ratio with the range of the rounds' own
ratios.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from alas_assets.defs.resources import Alas
from alas_assets.provenance.store import Cell
from alas_assets.students.answering import Answerer, AskItem, Decoding
from alas_assets.students.chat import messages, prompt_tokens


def one_by_one(answerer: Any, questions: list[str], decoding: Decoding) -> list[str]:
    """Answer as a plain script would, with the same merged model."""
    model, tokenizer, stops = answerer._model, answerer._tokenizer, answerer._stops
    said = []
    for question in questions:
        ids = torch.tensor([prompt_tokens(tokenizer, messages(question))], device=answerer.device)
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=decoding.max_new_tokens,
                eos_token_id=stops,
                pad_token_id=tokenizer.pad_token_id,
            )
        said.append(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True).strip())
    return said


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("--domain", default="python-releases")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--questions", type=int, default=64)
    given = parser.parse_args()
    alas = Alas(home=str(given.store.resolve()))
    student, current = alas.student(alas.domain(given.domain)), alas.registry.current(given.domain)
    pointer = alas.store.pointer(Cell.of(given.domain, 0), "probes")
    if pointer is None or current is None:
        sys.exit(f"{given.store}: holds no probes or no current adapter of {given.domain}; run `make demo` first")
    questions = alas.store.read_table(pointer, "probes").sort("probe_id").head(given.questions)["question"].to_list()
    answerer, decoding = Answerer(student.folder), Decoding()
    adapter = alas.store.adapter(current)
    answerer.answer([AskItem(question=questions[0])], adapter, decoding)  # loads and merges
    one_by_one(answerer, questions[:1], decoding)
    batched, single, same = [], [], 0
    for _ in range(given.rounds):
        started = time.monotonic()
        together = answerer.answer([AskItem(question=question) for question in questions], adapter, decoding)
        batched.append(time.monotonic() - started)
        started = time.monotonic()
        alone = one_by_one(answerer, questions, decoding)
        single.append(time.monotonic() - started)
        same = sum(a.text == b for a, b in zip(together, alone, strict=True))
    ratios = sorted(b / a for a, b in zip(batched, single, strict=True))
    print(f"{len(questions)} questions, {given.rounds} rounds in turns, {answerer.precision}, {torch.get_num_threads()} threads\n")
    print("| one by one | in batches | ratio | same text |\n| --- | --- | --- | --- |")
    print(
        f"| {statistics.median(single):.1f} s | {statistics.median(batched):.1f} s | {statistics.median(ratios):.1f} "
        f"[{ratios[0]:.1f}-{ratios[-1]:.1f}] | {same} of {len(questions)} |"
    )


if __name__ == "__main__":
    main()
