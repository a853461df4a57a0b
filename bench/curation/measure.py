"""Measure curation: what becomes of the recorded pairs of a strong teacher, and how long 10,000 pairs take.

    python bench/curation/measure.py CORPORA TEACHER             # the recorded pairs, with the embedder; prints Markdown
    python bench/curation/measure.py CORPORA TEACHER --draw 40   # pairs of facts in one group, drawn by seed, for judging
    python bench/curation/measure.py CORPORA TEACHER --scale 8   # so many copies under other names, timed step by step; no embedder
    python bench/curation/measure.py CORPORA TEACHER --scale 8 --profile

CORPORA holds the pages that the pairs of TEACHER (JSON Lines) name.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import pstats
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
import recorded

from alas_assets.provenance.ids import chunk_id
from alas_assets.records import DraftFact, Phrasing, Topic
from alas_assets.students.catalog import prepare_student
from alas_assets.students.embedding import embed
from alas_assets.students.tokens import TokenCounter
from alas_assets.synthesis import curate as curation
from alas_assets.synthesis.curate import Limits, coverage, curate, reasons
from alas_assets.synthesis.leaks import find_leaks
from alas_assets.synthesis.probes import build_probes
from alas_assets.synthesis.questions import read_guards, read_replay
from alas_assets.synthesis.training_rows import at_risk
from alas_assets.synthesis.wording import code_words, hard_tokens

DATA = Path(__file__).parents[2] / "data"
SEED = 17
LIMITS = Limits(facts_per_topic=1000)
T = TypeVar("T")


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def curated(pairs: recorded.Recorded, count: Callable[[str], int], vectors: Callable[[list[str]], Any] | None) -> pl.DataFrame:
    """Curate with the tracked guard questions."""
    guards = read_guards(DATA / "guards" / "general.jsonl")
    return curate(
        pairs.drafts, pairs.rejected, pairs.chunks, pairs.topics, guards, count_tokens=count, teacher="recorded", iteration=0,
        limits=LIMITS, embed=vectors,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------- recorded pairs


def report(frame: pl.DataFrame, pairs: recorded.Recorded) -> None:
    """Print what became of the pairs."""
    facts = frame.unique("fact_id", maintain_order=True)
    accepted = frame.filter("accepted")
    print(f"{len(pairs.drafts)} pairs, {frame.height} rows; accepted {accepted['fact_id'].n_unique()} facts and {accepted.height} rows\n")
    whole = frame.group_by("fact_id").agg(pl.col("accepted").any()).filter(~pl.col("accepted"))["fact_id"].to_list()
    by_fact = Counter(row["reason"].split(": ")[0] for row in facts.iter_rows(named=True) if row["fact_id"] in whole)
    rows = [(name, count, by_fact.get(name, 0)) for name, count in reasons(frame).iter_rows()]
    print(table(["reason", "rows", "whole facts"], rows))
    sizes = Counter(facts.group_by("fact_group").len()["len"].to_list())
    print(f"\n{facts['fact_group'].n_unique()} groups of {facts.height} facts; groups by size: {dict(sorted(sizes.items()))}")
    covered = coverage(frame, pairs.chunks)
    print(f"{covered['covered'].sum()} of {covered['passages'].sum()} passages have an accepted pair")


def draw(frame: pl.DataFrame, n: int) -> None:
    """Print pairs of different facts that share a group, drawn by seed."""
    facts = frame.unique("fact_id", maintain_order=True).to_dicts()
    groups: dict[str, list[dict[str, Any]]] = {}
    for fact in facts:
        groups.setdefault(fact["fact_group"], []).append(fact)
    pairs = [(one, other) for members in groups.values() for i, other in enumerate(members) for one in members[:i]]
    for number, (one, other) in enumerate(random.Random(SEED).sample(pairs, min(n, len(pairs))), 1):
        mark = "twin" if one["fact_id"] in other["reason"] or other["fact_id"] in one["reason"] else "kin"
        print(f"{number}. [{mark}] {one['question']} -> {one['answer']}\n   {one['quote']}")
        print(f"   {other['question']} -> {other['answer']}\n   {other['quote']}")


# ---------------------------------------------------------------------------------------------- many pairs


def copies(pairs: recorded.Recorded, n: int) -> recorded.Recorded:
    """Return the pairs n times, each time on pages of their own where every name, number and version is another."""
    names = frozenset().union(*(code_words(text) for text in pairs.chunks["text"]))
    frames, drafts, topics = [], [], []
    for i in range(n):
        renamed = _Renamed(names, i)
        chunks = pairs.chunks.with_columns(
            *(pl.col(name).map_elements(renamed, return_dtype=pl.String) for name in ("text", "title")),
            *(pl.col(name).str.replace(recorded.SITE, f"{recorded.SITE}{i}/", literal=True) for name in ("url", "page_id")),
        )
        keys = {row["chunk_id"]: chunk_id(row["page_id"], row["text"], number) for number, row in enumerate(chunks.iter_rows(named=True))}
        lengths = pl.col("start") + pl.col("text").str.len_chars()
        frames.append(chunks.with_columns(pl.col("chunk_id").replace_strict(keys), lengths.alias("end")))
        drafts += [_renamed_draft(draft, renamed, keys, i) for draft in pairs.drafts]
        topics += [Topic(topic_id=f"{topic.topic_id} {i}", name=f"{topic.name} {i}") for topic in pairs.topics]
    return recorded.Recorded(drafts, [], pl.concat(frames), topics)


class _Renamed:
    def __init__(self, names: frozenset[str], i: int) -> None:
        self._names, self._i = names, i

    def __call__(self, text: str) -> str:
        if not self._i:
            return text
        hard = self._names | hard_tokens(text)
        return re.sub(r"\w+(?:[.\-/:+']\w+)*", lambda match: match[0] + (str(self._i) if match[0] in hard else ""), text)


def _renamed_draft(draft: DraftFact, renamed: _Renamed, keys: dict[str, str], i: int) -> DraftFact:
    phrasings = [Phrasing(text=renamed(p.text), template=p.template, role=p.role) for p in draft.phrasings]
    return draft.model_copy(
        update={
            "topic_id": f"{draft.topic_id} {i}",
            "chunk_id": keys[draft.chunk_id],
            "quote": renamed(draft.quote),
            "answer": renamed(draft.answer),
            "aliases": [renamed(alias) for alias in draft.aliases],
            "phrasings": phrasings,
        }
    )


def stand_in_vectors(texts: list[str]) -> np.ndarray:
    """Return one cheap vector of length 1 a text, from its words: as long as an embedder's, so that comparing costs the same."""
    rows = np.zeros((len(texts), 384), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in text.split():
            row[int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest()) % 384] += 1
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def timed(name: str, work: Callable[[], T], times: list[tuple[str, str]]) -> T:
    """Run and note the processor seconds: other work on the machine does not count."""
    started = time.process_time()
    result = work()
    times.append((name, f"{time.process_time() - started:.1f}"))
    return result


def scale(pairs: recorded.Recorded, n: int, count: Callable[[str], int], profile: bool) -> None:
    """Count the processor seconds of curation and the leak check of n copies."""
    many = copies(pairs, n)
    times: list[tuple[str, str]] = []
    profiler = cProfile.Profile()
    steps = {name: getattr(curation, name) for name in dir(curation) if re.match(r"_(check|group|weigh|reject|keep|cap|require)", name)}
    inner: Counter[str] = Counter()
    for name, step in steps.items():
        setattr(curation, name, _clocked(name, step, inner))
    if profile:
        profiler.enable()
    frame = timed("curation", lambda: curated(many, count, stand_in_vectors), times)
    probes = timed("probes", lambda: build_probes(frame, read_guards(DATA / "guards" / "general.jsonl"), [], [], 0), times)
    guards, replay = read_guards(DATA / "guards" / "general.jsonl"), read_replay(DATA / "replay" / "general.jsonl")
    rows = at_risk(frame, [], replay, guards)
    leaks = timed(f"leak check ({probes.height} questions, {rows.height} rows)", lambda: find_leaks(probes, rows), times)
    profiler.disable()
    print(f"{len(many.drafts)} pairs, {frame.height} rows, {many.chunks.height} passages; {len(leaks)} leaks\n")
    inside = [(f"of these, {name.strip('_').replace('_', ' ')}", f"{seconds:.1f}") for name, seconds in inner.most_common(9)]
    print(table(["step", "seconds"], [times[0], *inside, *times[1:]]))
    print()
    report(frame, many)
    if profile:
        pstats.Stats(profiler, stream=sys.stdout).sort_stats("tottime").print_stats(35)


def _clocked(name: str, step: Callable[..., Any], inner: Counter[str]) -> Callable[..., Any]:
    def run(*args: Any, **more: Any) -> Any:
        started = time.process_time()
        try:
            return step(*args, **more)
        finally:
            inner[name] += time.process_time() - started  # pyright: ignore[reportArgumentType]

    return run


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("--draw", type=int, default=0)
    parser.add_argument("--scale", type=int, default=0)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument(
        "--models", type=Path, default=Path(tempfile.gettempdir()) / "alas-bench-models", help="where the student is prepared"
    )
    parser.add_argument("--out", type=Path, default=None, help="write all rows here, as Parquet")
    options = parser.parse_args()
    pairs = recorded.read(options.corpora, options.teacher)
    count = TokenCounter(prepare_student("SmolLM2-135M-Instruct", "main", options.models).folder).count
    if options.scale:
        scale(pairs, options.scale, count, options.profile)
        return
    frame = curated(pairs, count, embed)
    if options.out:
        frame.write_parquet(options.out)
    if options.draw:
        draw(frame, options.draw)
    else:
        report(frame, pairs)


if __name__ == "__main__":
    main()
