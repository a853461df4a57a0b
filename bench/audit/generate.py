"""Make a store of the size that an audit must bear: 50 cells, 100,000 pairs, 1,000,000 passages; nothing was read or trained.

Used by `measure.py`. Tables have the shapes of `records` and are stored as the assets store them. Passages are there as `documents` counts
them: an audit follows ids through the tables and does not open LanceDB.
"""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from alas_assets.provenance.ids import sha256_hex, short_id
from alas_assets.provenance.store import ArtifactStore, Cell, table_hash, write_atomic
from alas_assets.records import ANSWER_SCHEMA, FETCH_SCHEMA, PROBE_SCHEMA, QA_SCHEMA, AdapterRef, GateDecision

DOMAIN = "large"
CELLS, PAIRS, PASSAGES = 50, 100_000, 1_000_000
PAGES = 200  # a cell
PHRASINGS = 10  # a fact
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def url_of(cell: int, page: int) -> str:
    """Return the address of a page."""
    return f"https://docs.example/{cell:03d}/{page:04d}.html"


def generate(home: Path) -> ArtifactStore:
    """Write the store and return it."""
    store = ArtifactStore(home)
    for number in range(CELLS):
        _cell(store, Cell.of(DOMAIN, number))
    return store


def _cell(store: ArtifactStore, cell: Cell) -> None:
    texts = [_text(store, cell, page) for page in range(PAGES)]
    pairs = _pairs(cell, texts)
    probes = pairs.filter(pl.col("role") == "probe")
    adapter = hashlib.sha256(str(cell).encode()).hexdigest()
    tables = {"documents": _fetches(cell, texts), "qa_pairs": pairs, "probes": _probes(probes)}
    tables |= {"baseline_scores": _answers(cell, probes, "base", ""), "judge_scores": _answers(cell, probes, "sft", adapter)}
    tables["dpo_judge_scores"] = _answers(cell, probes, "dpo", adapter)
    for asset, table in tables.items():
        store.put(cell, asset, table, input_key=f"{cell}-{asset}", inputs={}, run_id=f"run-{cell}")
    rows = pairs.filter(pl.col("role") == "train").select("fact_id", "question")
    buffer = io.BytesIO()
    rows.write_parquet(buffer)
    rows_hash = table_hash(rows)
    write_atomic(store.training_rows_path("sft", rows_hash), buffer.getvalue())
    before = hashlib.sha256(str(Cell.of(DOMAIN, cell.number - 1)).encode()).hexdigest() if cell.number else None
    write_atomic(store.adapters / adapter / "manifest.json", json.dumps({"init_adapter": before}).encode())
    ref = AdapterRef(adapter_hash=adapter, kind="sft", trained=True, base_hash="b", rows_hash=rows_hash, probes_hash="p")
    store.put(cell, "sft_adapter", ref, input_key=f"{cell}-sft", inputs={}, run_id=f"run-{cell}")
    skipped = ref.model_copy(update={"kind": "dpo", "trained": False})
    store.put(cell, "dpo_adapter", skipped, input_key=f"{cell}-dpo", inputs={}, run_id=f"run-{cell}")
    decision = GateDecision(
        domain=DOMAIN, iteration=cell.number, verdict="promote", reason="", candidate=adapter, current_before=before, current_after=adapter
    )
    store.put(cell, "promotion", decision, input_key=f"{cell}-promotion", inputs={}, run_id=f"run-{cell}")


def _text(store: ArtifactStore, cell: Cell, page: int) -> str:
    sentences = [f"In section {n} of page {page} of release {cell.number} the value is item-{cell.number}-{page}-{n}." for n in range(40)]
    text = "\n".join(sentences)
    return store.put_bytes(store.texts, text.encode())


def _fetches(cell: Cell, texts: list[str]) -> pl.DataFrame:
    rows = [
        {**dict.fromkeys(FETCH_SCHEMA.names()), "requested_url": url_of(cell.number, page), "final_url": url_of(cell.number, page)}
        | {"page_id": url_of(cell.number, page), "host": "docs.example", "ok": True, "status": 200, "reason": "", "text_sha256": sha}
        | {"body_sha256": sha, "title": f"Page {page}", "chunks": PASSAGES // CELLS // PAGES, "retrieved_at": _read_at(cell)}
        for page, sha in enumerate(texts)
    ]
    return pl.DataFrame(rows, schema=FETCH_SCHEMA)


def _read_at(cell: Cell) -> datetime:
    return BEGUN + timedelta(days=cell.number)


def _pairs(cell: Cell, texts: list[str]) -> pl.DataFrame:
    rows = []
    for fact in range(PAIRS // CELLS // PHRASINGS):
        page, section = fact % PAGES, fact // PAGES
        quote = f"In section {section} of page {page} of release {cell.number} the value is item-{cell.number}-{page}-{section}."
        fact_id = short_id("fact", url_of(cell.number, page), quote)
        for phrasing in range(PHRASINGS):
            role = "probe" if phrasing >= PHRASINGS - 3 else "train"
            question = f"Wording {phrasing}: what is the value in section {section} of page {page} of release {cell.number} of the docs?"
            rows.append(
                {**dict.fromkeys(QA_SCHEMA.names()), "qa_id": short_id("qa", fact_id, question), "fact_id": fact_id, "fact_group": fact_id}
                | {"topic_id": f"t{page}", "topic": f"Page {page}", "role": role, "template": f"w{phrasing}", "question": question}
                | {"answer": f"item-{cell.number}-{page}-{section}", "aliases": [], "quote": quote, "chunk_id": short_id("chunk", fact_id)}
                | {"quote_start": section * len(quote), "quote_end": (section + 1) * len(quote), "page_id": url_of(cell.number, page)}
                | {"url": url_of(cell.number, page), "text_sha256": texts[page], "body_sha256": texts[page], "accepted": True, "reason": ""}
                | {"retrieved_at": _read_at(cell), "iteration": cell.number, "disputed_with": [], "review": "", "category": "factual"}
            )
    return pl.DataFrame(rows, schema=QA_SCHEMA)


def _probes(pairs: pl.DataFrame) -> pl.DataFrame:
    rows = [
        {**dict.fromkeys(PROBE_SCHEMA.names()), "probe_id": row["qa_id"], "split": "probe"}
        | {name: row[name] for name in ("fact_id", "question", "answer", "url", "chunk_id", "topic")}
        for row in pairs.iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema=PROBE_SCHEMA)


def _answers(cell: Cell, pairs: pl.DataFrame, system: str, adapter: str) -> pl.DataFrame:
    rows = [
        {**dict.fromkeys(ANSWER_SCHEMA.names()), "answer_id": sha256_hex(f"{cell}{system}{row['qa_id']}")[:20], "probe_id": row["qa_id"]}
        | {"system": system, "split": "probe", **{name: row[name] for name in ("fact_id", "topic", "question")}}
        | {
            "gold": row["answer"],
            "answer": "something else",
            "label": "incorrect",
            "error_type": "other",
            "explanation": "does not hold it",
        }
        | {"judge": "rules", "base_hash": "b", "adapter_hash": adapter, "context_hash": "", "context_chunks": [], "iteration": cell.number}
        | {"rule_label": "incorrect", "rule_explanation": "", "verdicts": []}
        for row in pairs.iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema=ANSWER_SCHEMA)
