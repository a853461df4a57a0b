"""Whether held-out wordings can be recognised at all: a sentence embedder that learns which trained wordings ask the same (T6, E1).

    .venv/bin/python bench/recipe/recognised.py STORE

No student is asked. The domain's sentence embedder is trained on the wordings that students are trained on: of each fact in a batch two
wordings, some words left out, are to lie nearer to each other than to those of the batch's other facts. Every held-out wording then gets
the answer of the fact towards whose wordings together it points most nearly, or of the nearest single wording. Writes `recognised.md`.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import polars as pl
import torch
from cell import Bench
from facts import TRAINED, Half, asked, drawn, half_of, worded
from sentence_transformers import SentenceTransformer
from shown import rate
from torch.nn import functional

from alas_assets.evaluation.tokens import normalise
from alas_assets.students.embedding import embedder_folder

TABLE = Path(__file__).with_name("recognised.md")
DRAW = 17
HALVES: tuple[tuple[Half, int | None], ...] = (("choose", 100), ("report", None))
STEPS, EVERY = 160, 40
FACTS_OF_A_BATCH, RATE, HEAT, LEFT_OUT = 64, 2e-5, 0.05, 0.15  # set before anything was asked, and not changed since


def embedded(embedder: SentenceTransformer, texts: list[str]) -> np.ndarray:
    """Return unit vectors, texts x dimensions."""
    return np.asarray(embedder.encode(texts, normalize_embeddings=True, show_progress_bar=False, batch_size=64))


def found(embedder: SentenceTransformer, taught: pl.DataFrame, questions: pl.DataFrame) -> tuple[int, int]:
    """Return how many questions get the right answer: that of the nearest fact, and that of the nearest wording."""
    trained, held = embedded(embedder, taught["question"].to_list()), embedded(embedder, questions["question"].to_list())
    facts = taught["fact_id"].unique(maintain_order=True)
    centres = np.stack([trained[(taught["fact_id"] == fact).to_numpy()].mean(0) for fact in facts])
    answers = dict(taught.select("fact_id", "answer").iter_rows())
    by_fact = [answers[facts[int(i)]] for i in (held @ (centres / np.linalg.norm(centres, axis=1, keepdims=True)).T).argmax(1)]
    by_wording = taught["answer"].gather((held @ trained.T).argmax(1)).to_list()
    gold = [normalise(answer) for answer in questions["answer"]]
    first, second = (sum(normalise(one) == right for one, right in zip(said, gold, strict=True)) for said in (by_fact, by_wording))
    return first, second


def holed(question: str, draw: random.Random) -> str:
    """Leave words out."""
    return " ".join(word for word in question.split() if draw.random() >= LEFT_OUT) or question


def train_a_step(embedder: SentenceTransformer, optimizer: torch.optim.Optimizer, batch: pl.DataFrame, draw: random.Random) -> None:
    """Pull two wordings of each fact together, and those of facts with other answers apart."""
    questions: list[list[str]] = [draw.sample(own, 2) for own in batch["question"].to_list()]
    left, right = (
        functional.normalize(embedder(embedder.preprocess([holed(pair[side], draw) for pair in questions]))["sentence_embedding"], dim=-1)
        for side in (0, 1)
    )
    answers = [normalise(answer) for answer in batch["answer"]]
    alike = torch.tensor([[i != j and one == other for j, other in enumerate(answers)] for i, one in enumerate(answers)])
    near = (left @ right.T / HEAT).masked_fill(alike, -1e4)  # facts of one answer need not lie apart
    own = torch.arange(len(questions))
    loss = (functional.cross_entropy(near, own) + functional.cross_entropy(near.T, own)) / 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def rows_of(bench: Bench, half: Half, count: int | None) -> list[str]:
    """Train on one half's wordings and return a line of the table for every so many steps."""
    pairs = half_of(bench.pairs, half)
    pairs = pairs if count is None else drawn(pairs, count, DRAW)
    taught, questions = worded(pairs, TRAINED, 0, told=True), asked(pairs)
    torch.manual_seed(DRAW)
    draw = random.Random(DRAW)
    embedder = SentenceTransformer(str(embedder_folder(bench.domain.student.embedder) or bench.domain.student.embedder), device="cpu")
    facts = taught.group_by("fact_id", maintain_order=True).agg("question", pl.col("answer").first())
    facts = facts.filter(pl.col("question").list.len() > 1)
    optimizer = torch.optim.AdamW(embedder.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 20) * (1 - step / STEPS))
    lines = []
    for step in range(STEPS + 1):
        if step % EVERY == 0:
            embedder.eval()
            cells = [rate(right, questions.height) for right in found(embedder, taught, questions)]
            lines.append(f"| {taught['fact_id'].n_unique()} of half `{half}` | {step} | {cells[0]} | {cells[1]} | {questions.height} |")
            print(lines[-1], file=sys.stderr, flush=True)
            embedder.train()
        if step < STEPS:
            train_a_step(embedder, optimizer, facts[draw.sample(range(facts.height), min(FACTS_OF_A_BATCH, facts.height))], draw)
            schedule.step()
    return lines


def main(store: Path) -> None:
    """Train on both halves and write the table."""
    torch.set_num_threads(1)
    bench = Bench(store, 1)
    try:
        lines = [line for half, count in HALVES for line in rows_of(bench, half, count)]
    finally:
        bench.worker.close()
    head = [
        "# What a sentence embedder recognises that has learned which wordings ask the same",
        "",
        "Written by `recognised.py`; the wordings of `lookup.md` with the recorded sentence, the same held-out ones, Wilson 95 % "
        "intervals. The student is not asked.",
        "",
        "| facts | steps | by the nearest fact | by the nearest wording | n |",
        "|---|---|---|---|---|",
    ]
    TABLE.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
