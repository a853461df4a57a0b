"""A store made by hand: one page, one fact that it states, and in each iteration an adapter that learned it; no student and no loop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from alas_assets.provenance.ids import fact_id, page_id
from alas_assets.provenance.store import ArtifactStore, Cell, table_hash
from alas_assets.records import FETCH_SCHEMA, AdapterRef, as_answers
from alas_assets_tests.evaluation.tables import answers, pairs, probe, probes

DOMAIN = "quill"
URL = "http://quill.test/pens"
QUOTE = "The new nib ships profiling in two parts."
TEXT = f"Pens. {QUOTE} More of it later."
QUESTION = "What does the new nib ship?"
GOLD = "profiling"
FACT = fact_id(page_id(URL), QUOTE, GOLD)


def store_with_a_fact(root: Path, iterations: int = 1) -> ArtifactStore:
    """Return a store whose first iteration read the page and wrote the pair; every one has an adapter trained on it."""
    store, read = ArtifactStore(root / "store"), datetime(2026, 1, 1, tzinfo=UTC)
    text = store.put_bytes(store.texts, TEXT.encode())
    body = store.put_bytes(store.pages, TEXT.encode())
    at = {"page_id": page_id(URL), "text_sha256": text, "body_sha256": body, "retrieved_at": read}
    nothing = dict.fromkeys(FETCH_SCHEMA.names())
    fetched = nothing | at | {"final_url": URL, "requested_url": URL, "ok": True, "status": 200, "title": "Pens", "reason": ""}
    put(store, 0, "documents", pl.DataFrame([fetched], schema=FETCH_SCHEMA))
    told = {"qa_id": "pair", "fact_id": FACT, "question": QUESTION, "answer": GOLD, "quote": QUOTE, "url": URL, "chunk_id": "chunk"}
    where = {"quote_start": TEXT.index(QUOTE), "quote_end": TEXT.index(QUOTE) + len(QUOTE), "reason": "", "review": "", "disputed_with": []}
    put(store, 0, "qa_pairs", pairs([at | told | where]))
    for number in range(iterations):
        trained(store, number)
    return store


def put(store: ArtifactStore, number: int, asset: str, value: pl.DataFrame | AdapterRef) -> None:
    store.put(Cell.of(DOMAIN, number), asset, value, input_key=f"{number} {asset}", inputs={}, run_id="r")


def adapter(number: int) -> str:
    """Return the hash of an iteration's adapter."""
    return f"{number:064x}"


def rows_file(store: ArtifactStore, number: int) -> Path:
    """Return the file of the rows that an iteration's adapter was trained on."""
    return store.training_rows_path("sft", table_hash(_rows(number)))


def _rows(number: int) -> pl.DataFrame:
    return pl.DataFrame({"fact_id": [FACT] * 3, "iteration": [number] * 3})


def trained(store: ArtifactStore, number: int) -> None:
    """Store an adapter that learned the fact, trained from the one of the iteration before."""
    rows = table_hash(_rows(number))
    made = AdapterRef(adapter_hash=adapter(number), kind="sft", trained=True, base_hash="b", rows_hash=rows, probes_hash="p")
    put(store, number, "sft_adapter", made)
    rows_file(store, number).parent.mkdir(exist_ok=True)
    _rows(number).write_parquet(rows_file(store, number))
    manifest = store.adapters / adapter(number) / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"init_adapter": adapter(number - 1) if number else ""}), encoding="utf-8")


def answered(number: int, said: str, label: str, **more: Any) -> dict[str, Any]:
    """Return what an iteration's adapter answered to the probe on the fact (a row of `ANSWER_SCHEMA`)."""
    asked = probes(probe(1, fact_id=FACT, question=QUESTION, answer=GOLD, iteration=number) | {"probe_id": "asked"})
    table = as_answers(answers(asked, "sft", [label], adapter(number)).drop("rule_label", "rule_explanation", "verdicts"))
    return table.row(0, named=True) | {"answer": said, "answer_id": f"answer-{number}", **more}


def judged(store: ArtifactStore, number: int, *rows: dict[str, Any]) -> None:
    """Store an iteration's graded answers."""
    put(store, number, "judge_scores", pl.DataFrame(list(rows), schema=as_answers(answers(probes(), "sft", [])).schema))


def damaged(raw: bytes) -> Iterator[bytes]:
    """Yield a Parquet file with each byte of its footer changed in turn; some of them have polars panic, which is no `Exception`."""
    for place in range(len(raw) - 8 - int.from_bytes(raw[-8:-4], "little"), len(raw)):
        for byte in (0, 255):
            yield raw[:place] + bytes([byte]) + raw[place + 1 :]
