"""Counts which facts of folders of HTML pages contradict each other, and which a second folder supports; each folder is a host.

Run: `python -m bench.consensus FOLDER [FOLDER ...]` from the clone; disputes go to standard output, the summary to standard error.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path

import polars as pl

from alas_assets.domains.config import Consensus
from alas_assets.hosts import site_of
from alas_assets.provenance.ids import short_id
from alas_assets.records import Topic
from alas_assets.retrieval.readers import Unreadable
from alas_assets.synthesis.consensus import Rules, dispute_table
from alas_assets.synthesis.curate import Limits, curate
from alas_assets.synthesis.wording import mentions
from alas_assets.teachers.extractive import ExtractiveTeacher
from bench.teacher.draw import passages


def read(folders: list[Path]) -> pl.DataFrame:
    """Return the passages of all pages, each folder on a host of its own."""
    found = []
    for number, folder in enumerate(folders):
        for path in sorted(folder.rglob("*.html")):
            url = f"http://host{number}.test/{path.relative_to(folder).as_posix()}"
            try:
                page = passages(path)
                # two folders may hold a page of one name and text
                ids = pl.Series("chunk_id", [short_id(url, chunk) for chunk in page["chunk_id"]], pl.String)
                found.append(page.with_columns(ids, pl.lit(url).alias("page_id"), pl.lit(url).alias("url")))
            except Unreadable as error:
                print(f"{path}: {error}", file=sys.stderr)
    if not found:
        raise SystemExit("no page could be read in these folders")
    return pl.concat(found)


def exchanged(chunks: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the pages as a liar on another host would publish them: each fact's answer is another of its kind."""
    facts = pairs.filter("accepted").unique("fact_id", maintain_order=True)
    rows = {row["chunk_id"]: dict(row) for row in chunks.iter_rows(named=True)}
    for kind in facts.partition_by("answer_kind", maintain_order=True):
        answers = kind["answer"].to_list()
        for number, fact in enumerate(kind.iter_rows(named=True)):
            others = (*answers[number:], *answers[:number])
            wrong = next((other for other in others if not mentions(fact["quote"], other) and not mentions(other, fact["answer"])), "")
            if not wrong:
                continue
            row = rows[fact["chunk_id"]]
            said = re.compile(r"\s+".join(re.escape(word) for word in fact["quote"].split()))
            lie = fact["quote"].replace(fact["answer"], wrong)
            row["text"] = said.sub(lambda _, lie=lie: lie, row["text"], count=1)
    for row in rows.values():
        row["chunk_id"] = short_id("liar", row["chunk_id"])
        row["page_id"] = row["url"] = row["url"].replace("://host", "://liar")
        row["end"] = row["start"] + len(row["text"])
    return pl.DataFrame(list(rows.values()), schema=chunks.schema)


def curated(chunks: pl.DataFrame, rules: Rules) -> tuple[pl.DataFrame, float]:
    """Return the pairs that the extractive teacher's drafts become, and the seconds that curation took."""
    topics, drafts, teacher = [], [], ExtractiveTeacher()
    for page in chunks.partition_by("page_id", maintain_order=True):
        topics.append(Topic(topic_id=page["page_id"][0], name=page["page_id"][0]))
        drafts += teacher.write_topic(topics[-1], page, 10**6, 6).facts
    started = time.monotonic()
    limits = Limits(facts_per_topic=10**6)
    count = {"count_tokens": lambda text: len(text.split()), "teacher": "bench", "iteration": 0, "limits": limits, "rules": rules}
    return curate(drafts, [], chunks, topics, [], **count), time.monotonic() - started


def main() -> None:
    """Read, curate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="+")
    parser.add_argument("--lie", action="store_true", help="add a host that states every accepted fact with another answer")
    options = parser.parse_args()
    chunks = read(options.folder)
    pairs, seconds = curated(chunks, Rules())
    if options.lie:
        honest = pairs.filter("accepted")
        without_caps = Consensus(max_share=1, max_per_url=10**6)  # so that the two-source rule is seen alone
        chunks = pl.concat([chunks, exchanged(chunks, pairs)])
        pairs, seconds = curated(chunks, Rules(without_caps, ("none.test",)))
        flagged = pairs.filter(pl.col("disputed_with").list.len() > 0)
        lies = pairs.filter(pl.col("url").str.contains("://liar") & pl.col("accepted"))
        hit = honest.unique("fact_id").with_columns(pl.col("fact_id").is_in(flagged["fact_id"].to_list()).alias("flagged"))
        print(hit.group_by("answer_kind").agg(pl.len().alias("facts"), pl.col("flagged").sum()).sort("facts"), file=sys.stderr)
        print(f"accepted of the liar's pages: {lies['fact_id'].n_unique()} facts", file=sys.stderr)
        for row in lies.unique("fact_id").to_dicts():
            print(json.dumps({key: row[key] for key in ("question", "answer", "quote", "url", "support")}, ensure_ascii=False))
    disputes = dispute_table(pairs)
    if not options.lie:
        for row in disputes.to_dicts():
            print(json.dumps(row, ensure_ascii=False))
    facts = pairs.unique("fact_id", maintain_order=True)
    accepted = pairs.filter("accepted").unique("fact_id")
    print(
        f"{chunks['page_id'].n_unique()} pages on {len({site_of(url) for url in chunks['page_id']})} domains, {facts.height} facts, "
        f"{accepted.height} accepted; {disputes.height} disputes; by support {dict(sorted(Counter(facts['support']).items()))}; "
        f"curated in {seconds:.1f} s",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
