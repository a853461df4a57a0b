"""How far held-out wordings lie from the trained ones: what looking up the nearest trained wording would answer (T6, E1).

    .venv/bin/python bench/recipe/lookup.py STORE

Nothing is trained and no student is asked: every held-out wording gets the answer of the trained wording whose sentence embedding is
nearest to its own. Writes `lookup.md`: what a student does beyond that it does by what the words mean.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
from cell import CVES, KEY, Bench
from facts import TRAINED, Half, asked, drawn, half_of, worded
from shown import rate

from alas_assets.evaluation.tokens import normalise

TABLE = Path(__file__).with_name("lookup.md")
DRAW = 17
ROWS: tuple[tuple[str, Half, int | None, int, bool], ...] = (
    *((KEY, "choose", 100, wordings, False) for wordings in range(1, TRAINED + 1)),
    (KEY, "choose", 100, TRAINED, True),
    *((KEY, "report", None, wordings, False) for wordings in range(1, TRAINED + 1)),
    (KEY, "report", None, TRAINED, True),
    (CVES, "both", None, TRAINED, False),
)
"""Domain, half, facts (None: all), questions trained on, and whether the recorded sentence is trained on too."""


def found(bench: Bench, taught: pl.DataFrame, questions: pl.DataFrame) -> int:
    """Return of how many questions the nearest trained wording has the same answer."""
    trained, held = (np.asarray(bench.embed(table["question"].to_list())) for table in (taught, questions))
    nearest = (held / np.linalg.norm(held, axis=1, keepdims=True)) @ (trained / np.linalg.norm(trained, axis=1, keepdims=True)).T
    said = taught["answer"].gather(nearest.argmax(1))
    return sum(normalise(one) == normalise(gold) for one, gold in zip(said, questions["answer"], strict=True))


def main(store: Path) -> None:
    """Look everything up and write the table."""
    lines = [
        "# What a lookup would answer",
        "",
        "Written by `lookup.py`: each held-out wording gets the answer of the nearest trained wording, by the domain's sentence embedder.",
        "The same facts and wordings as in `results.md`; Wilson 95 % intervals.",
        "",
        "| facts | trained wordings | right | n |",
        "|---|---|---|---|",
    ]
    benches = {key: Bench(store, 1, key) for key in (KEY, CVES)}
    try:
        for key, half, count, wordings, told in ROWS:
            pairs = half_of(benches[key].pairs, half)
            pairs = pairs if count is None else drawn(pairs, count, DRAW)
            taught, questions = worded(pairs, wordings, 0, told), asked(pairs)
            facts = f"{taught['fact_id'].n_unique()} of {key}, half `{half}`"
            trained = f"{wordings} question{'s' if wordings > 1 else ''}{' and the sentence that answers' if told else ''}"
            lines.append(f"| {facts} | {trained} | {rate(found(benches[key], taught, questions), questions.height)} | {questions.height} |")
    finally:
        for bench in benches.values():
            bench.worker.close()
    TABLE.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
