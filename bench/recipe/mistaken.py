"""Prints what the wrong answers of a study's last cell are: another taught fact's answer, of the same page or of another (T6, E5).

    .venv/bin/python bench/recipe/mistaken.py STORE steps

STORE is the one that the study was run on, with its folder `study` beside it. What the cell's adapter was asked is on record there and is
not asked again.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import polars as pl
from cell import KEY, Bench
from facts import asked, drawn, half_of, worded
from studies import STUDIES

from alas_assets.evaluation.tokens import normalise
from alas_assets.synthesis.probes import build_probes


def main(store: Path, study: str) -> None:
    """Count and print.

    Raises:
        SystemExit: There is no such study, or its last cell was not trained on this store.
    """
    if study not in STUDIES:
        sys.exit(f"no study is called {study}; there are {', '.join(STUDIES)}")
    setting = STUDIES[study][-1]
    bench = Bench(store, 1, setting.domain or KEY)
    try:
        adapter = bench.folder / setting.name / "adapter"
        if not adapter.is_dir():
            sys.exit(f"{adapter} is not there: run bench/recipe/study.py {store} {study} first")
        pairs = half_of(bench.pairs, setting.half)
        pairs = pairs if setting.facts is None else drawn(pairs, setting.facts, setting.seed)
        taught = worded(pairs, setting.wordings, setting.gaps, setting.told)
        answers = bench.graded(build_probes(pl.concat([taught, asked(pairs)]), [], [], [], 0), adapter)
    finally:
        bench.worker.close()
    page = dict(taught.select("fact_id", "page_id").iter_rows())
    answered_so: dict[str, set[str]] = defaultdict(set)
    for fact, answer in taught.select("fact_id", "answer").iter_rows():
        answered_so[normalise(answer)].add(fact)
    wrong = answers.filter(pl.col("label") != "correct")
    others = [
        (page[fact], {page[other] for other in answered_so[normalise(said)]})
        for fact, said in wrong.select("fact_id", "answer").iter_rows()
    ]
    right = answers.group_by("fact_id").agg((pl.col("label") == "correct").sum().alias("right"), pl.len())
    by_right = right.group_by("right", "len").len("facts").sort("right", descending=True)
    print(f"{wrong.height} of {answers.height} held-out wordings wrong; {right.height} facts of {len(set(page.values()))} pages")
    print(f"word for word another taught fact's answer: {sum(bool(pages) for _, pages in others)}")
    print(f"of these a fact's of the same page: {sum(own in pages for own, pages in others)}")
    for got, of, facts in by_right.iter_rows():
        print(f"facts right in {got} of {of} wordings: {facts}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2])
