"""Draws facts that the extractive teacher accepts from a folder of HTML pages, with all their phrasings, for judging.

Run: `python bench/teacher/draw.py FOLDER --n 50 --seed 7 --out drawn.jsonl`; the summary goes to standard error.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from alas_assets.provenance.ids import fold
from alas_assets.records import CHUNK_SCHEMA, DraftFact, Topic
from alas_assets.retrieval.chunk import split
from alas_assets.retrieval.readers import Unreadable, read_page
from alas_assets.synthesis.wording import jaccard, word_set
from alas_assets.teachers.extractive import ExtractiveTeacher


def passages(path: Path) -> pl.DataFrame:
    """Return one page's passages as the retrieval step would store them."""
    page = read_page(path.read_bytes(), path.resolve().as_uri(), "text/html")
    text = page["text"]
    rows = [
        {
            "chunk_id": chunk.chunk_id,
            "page_id": path.name,
            "url": path.name,
            "title": page["title"],
            "heading_path": list(chunk.heading_path),
            "ordinal": chunk.ordinal,
            "text": chunk.text,
            "start": chunk.start,
            "end": chunk.end,
            "text_sha256": "",
            "body_sha256": "",
            "retrieved_at": None,
        }
        for chunk in split(text, path.name)
    ]
    return pl.DataFrame(rows, schema=CHUNK_SCHEMA)


def accepted(folder: Path, context: str) -> Iterator[tuple[str, DraftFact]]:
    """Yield every fact the teacher accepts, page by page."""
    teacher = ExtractiveTeacher(context)
    refused: Counter[str] = Counter()
    for path in sorted(folder.rglob("*.html")):
        try:
            chunks = passages(path)
        except Unreadable as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            continue
        written = teacher.write_topic(Topic(topic_id="draw", name=path.stem, urls=[path.name]), chunks, 10**6, 6)
        texts = {row["chunk_id"]: fold(row["text"]) for row in chunks.iter_rows(named=True)}
        for fact in written.facts:
            if fold(fact.quote) not in texts[fact.chunk_id]:
                raise SystemExit(f"{path.name}: a quote is not in its passage: {fact.quote!r}")
            yield path.relative_to(folder).as_posix(), fact
        refused.update(draft.reason for draft in written.rejected)
    print("refused: " + ", ".join(f"{count} {reason}" for reason, count in refused.most_common()), file=sys.stderr)


def overlaps(facts: list[DraftFact]) -> list[float]:
    """Return each probe's word overlap with the nearest training phrasing of its fact, answers excluded."""
    found = []
    for fact in facts:
        answer = word_set(fact.answer)
        train = [word_set(p.text) - answer for p in fact.phrasings if p.role == "train"]
        found += [max(jaccard(word_set(p.text) - answer, own) for own in train) for p in fact.phrasings if p.role == "probe"]
    return sorted(found)


def main() -> None:
    """Draw and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--context", default="", help='words that place a question, such as "In Python 3.15"; empty: from each page')
    parser.add_argument("--without", default="", help='leave out the facts of this rule, such as "gap"')
    parser.add_argument("--only", default="", help="keep only the facts of this rule")
    parser.add_argument("--out", type=Path, default=None, help="JSONL file; default: standard output")
    options = parser.parse_args()
    found = [
        item
        for item in accepted(options.folder, options.context)
        if not item[1].rationale.endswith(f"rule {options.without}.")
        and (not options.only or item[1].rationale.endswith(f"rule {options.only}."))
    ]
    shares = overlaps([fact for _, fact in found])
    middle = shares[len(shares) // 2] if shares else 0.0
    kinds = Counter(fact.answer_kind for _, fact in found)
    print(
        f"{len(found)} facts accepted {dict(kinds)}; median overlap of a probe with its nearest training row {middle:.2f}", file=sys.stderr
    )
    order = sorted(
        found, key=lambda item: hashlib.sha256(f"{options.seed}|{item[0]}|{item[1].quote}|{item[1].answer}".encode()).hexdigest()
    )
    lines = []
    for name, fact in order[: options.n]:
        questions = [{"role": p.role, "template": p.template, "text": p.text} for p in fact.phrasings]
        lines.append(
            json.dumps(
                {
                    "page": name,
                    "sentence": fact.quote,
                    "answer": fact.answer,
                    "kind": fact.answer_kind,
                    "rule": fact.rationale,
                    "questions": questions,
                },
                ensure_ascii=False,
            )
        )
    text = "\n".join(lines) + "\n"
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
