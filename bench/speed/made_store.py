"""Makes a store of many iterations of one domain through the project's own writers, without teacher, student or network.

Every iteration reads five new pages and one old page again, of ten passages each, and has 40 facts in seven wordings, 100 questions that
five systems answer, an exam, and an adapter trained on its facts and on four rows of every earlier one. What is written depends on the
iteration's number alone; vectors are sums of words' own. What is timed is `iterations.py`.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel

from alas_assets.defs.curriculum import seed_of
from alas_assets.defs.resources import Alas
from alas_assets.defs.revision import scored_cells
from alas_assets.provenance import ids
from alas_assets.provenance.store import Cell, Pointer, table_hash, write_atomic
from alas_assets.records import (
    ANSWER_SCHEMA,
    CHUNK_SCHEMA,
    FETCH_SCHEMA,
    PROBE_SCHEMA,
    QA_SCHEMA,
    TRAIN_ROW_SCHEMA,
    AdapterRef,
    Curriculum,
    GateDecision,
    RevisedCurriculum,
    Topic,
)
from alas_assets.retrieval.store import ChunkStore

DOMAIN = "many"
DOMAIN_FILE = """
title = "Many iterations"
description = "Functions that exist in this measurement only, as pages that exist nowhere describe them."
freshness_hours = 0.017
exam_file = "many.jsonl"
[sources]
seed_urls = ["http://many.example/index.html"]
[budget]
max_iterations = 1000
"""
PAGES, PASSAGES, FACTS_OF_A_PAGE = 5, 10, 8
FACTS = PAGES * FACTS_OF_A_PAGE
WORDINGS = {"train": ("What does {} return?", "Name what {} returns.", "{} returns what?", "With an empty queue {} gives what?"),
            "mine": ("When the queue is empty, what comes from {}?",),
            "probe": ("Which value does {} give back?", "What is handed back by {}?")}  # fmt: skip
SYLLABLES = ("ba", "co", "du", "fe", "gi", "ho", "ju", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo")
FILLER = [f"{one}{other}n" for one in SYLLABLES for other in SYLLABLES]
START = datetime(2026, 1, 1, tzinfo=UTC)

Row = dict[str, Any]
_vectors: dict[str, np.ndarray] = {}


def embed(texts: list[str]) -> list[list[float]]:
    """Return a vector of 384 numbers for each text, near that of a text with the same words."""
    for word in {word for text in texts for word in text.lower().split()}:
        if word not in _vectors:
            _vectors[word] = np.random.default_rng(zlib.crc32(word.encode())).normal(size=384)
    sums = [np.sum([_vectors[word] for word in text.lower().split()], axis=0) for text in texts]
    return [(vector / np.linalg.norm(vector)).tolist() for vector in sums]


def coined(number: int) -> str:
    """Return a word of its own for each number below 65,536."""
    return "".join(SYLLABLES[(number >> shift) % 16] for shift in (12, 8, 4, 0))


def page_url(iteration: int, page: int) -> str:
    return f"http://many.example/{iteration:03d}/{page}.html"


def fact(number: int) -> Row:
    """Return a fact: where it stands, what its page says, and its ids."""
    iteration, place = divmod(number, FACTS)
    page, passage = divmod(place, FACTS_OF_A_PAGE)
    name, answer, url = coined(number), coined(30_000 + number), page_url(iteration, page)
    quote = f"The function {name} of module {coined(50_000 + number // 10)} now returns {answer} when its queue is empty."
    return {"name": name, "answer": answer, "url": url, "quote": quote, "passage": passage, "fact_id": ids.fact_id(url, quote, answer),
            "topic_id": f"topic-{iteration:03d}-{page}", "topic": f"module page {page} of {iteration:03d}"}  # fmt: skip


def passages_of(iteration: int, page: int, again: int | None = None) -> tuple[str, list[Row]]:
    """Return a page's text and passages; read again by a later iteration, a line that is no passage has come."""
    url, draw = page_url(iteration, page), Random(f"{iteration} {page}")
    text, rows = "", []
    for number in range(PASSAGES):
        said = fact(iteration * FACTS + page * FACTS_OF_A_PAGE + number)["quote"] if number < FACTS_OF_A_PAGE else "Nothing new here."
        passage = f"{said} {' '.join(draw.choices(FILLER, k=60))}."
        rows.append({"chunk_id": ids.chunk_id(url, passage), "page_id": url, "url": url, "title": f"Page {page}", "text": passage,
                     "heading_path": [f"Page {page}", f"Part {number}"], "ordinal": number, "start": len(text),
                     "end": len(text) + len(passage)})  # fmt: skip
        text += passage + "\n"
    return text + (f"Revised in {again}.\n" if again is not None else ""), rows


class ManyIterations:
    """A store that grows by one iteration at a time.

    Args:
        home: An empty folder, or one that this class filled.
    """

    def __init__(self, home: Path) -> None:
        self.alas = Alas(home=str(home))
        self.store = self.alas.store
        write_atomic(home / "domains" / f"{DOMAIN}.toml", DOMAIN_FILE.encode())
        self._exam = [fact(number) for number in range(0, FACTS, 2)]
        asked = [
            {"id": f"e{n}", "question": _exam_question(one), "answer": one["answer"], "page": _page(one)}
            for n, one in enumerate(self._exam)
        ]
        write_atomic(home / "exams" / f"{DOMAIN}.jsonl", "\n".join(map(ids.canonical_json, asked)).encode())
        self.count = len(scored_cells(self.alas, DOMAIN))
        taught = [self.store.pointer(Cell.of(DOMAIN, number), "qa_pairs") for number in range(self.count)]
        rows = [_training_rows(self.store.read_table(pointer), "rehearsal") for pointer in taught if pointer]
        self._rehearsal = pl.concat([TRAIN_ROW_SCHEMA.to_frame(), *rows])

    def add(self) -> None:
        """Write the next iteration, from its seed to its revision, and make its adapter current."""
        cell, before = Cell.of(DOMAIN, self.count), self.alas.registry.current(DOMAIN)
        at = START + timedelta(hours=self.count)
        self._put(cell, "curriculum_seed", seed_of(self.alas, cell, "measured", ()))
        self._put(cell, "curriculum", self._curriculum(cell))
        chunks = self._read(cell, at)
        pairs = self._pairs(cell, chunks)
        self._put(cell, "qa_pairs", pairs)
        asked = self._probes(cell, pairs)
        probes = self._put(cell, "probes", asked)
        sft = self._adapter(cell, pairs, probes.hash, before or "")
        self._put(cell, "sft_adapter", sft)
        self._put(cell, "dpo_adapter", sft.model_copy(update={"kind": "dpo", "trained": False, "reason": "nothing to correct"}))
        baseline = [self._answers(cell, asked, "base", "", 0.0), self._answers(cell, asked, "rag", "", 0.5, chunks["chunk_id"].to_list())]
        baseline += [self._answers(cell, asked, "previous", before, 0.2)] if before else []
        self._put(cell, "baseline_scores", pl.concat(baseline))
        self._put(cell, "judge_scores", self._answers(cell, asked, "sft", sft.adapter_hash, 0.8))
        self._put(cell, "dpo_judge_scores", self._answers(cell, asked, "dpo", sft.adapter_hash, 0.8))
        decision = GateDecision(domain=DOMAIN, iteration=cell.number, verdict="promote", reason="better", candidate=sft.adapter_hash,
                                candidate_system="sft", current_before=before, current_after=sft.adapter_hash)  # fmt: skip
        decided = self._put(cell, "promotion", decision)
        self.alas.registry.promote(DOMAIN, sft.adapter_hash, iteration=cell.number, decision_hash=decided.hash, run_id="bench",
                                   at=at.isoformat(), previous=before)  # fmt: skip
        exam = pl.concat([self._answers(cell, self._exam_probes(), system, adapter, share)
                          for system, adapter, share in (("base", "", 0.0), ("current", sft.adapter_hash, 0.5))])  # fmt: skip
        self._put(cell, "exam_scores", exam)
        revised = RevisedCurriculum(domain=DOMAIN, iteration=cell.number, decision="continue", reason="more to learn", accuracy=0.8,
                                    mastered=[fact(cell.number * FACTS)["topic"]])  # fmt: skip
        self._put(cell, "revised_curriculum", revised)
        self.count += 1

    def _put(self, cell: Cell, asset: str, value: pl.DataFrame | BaseModel) -> Pointer:
        return self.store.put(cell, asset, value, input_key=ids.content_hash([asset, str(cell)]), inputs={}, run_id=f"run-{cell}")

    def _curriculum(self, cell: Cell) -> Curriculum:
        facts = [fact(cell.number * FACTS + page * FACTS_OF_A_PAGE) for page in range(PAGES)]
        topics = [Topic(topic_id=one["topic_id"], name=one["topic"], urls=[one["url"]]) for one in facts]
        return Curriculum(domain=DOMAIN, iteration=cell.number, topics=topics)

    def _read(self, cell: Cell, at: datetime) -> pl.DataFrame:
        """Store the pages of an iteration, one of them an old one that reads differently, and their passages."""
        pages = [(cell.number, page, None) for page in range(PAGES)]
        pages += [(cell.number // 2, cell.number % PAGES, cell.number)] if cell.number else []
        fetches, passages = [], []
        for iteration, page, again in pages:
            text, rows = passages_of(iteration, page, again)
            url, text_sha = page_url(iteration, page), self.store.put_bytes(self.store.texts, text.encode())
            read = {"text_sha256": text_sha, "body_sha256": self.store.put_bytes(self.store.pages, text.encode()), "retrieved_at": at}
            passages += [row | read for row in rows]
            fetches.append({**dict.fromkeys(("requested_url", "final_url", "page_id"), url), **read, "host": "many.example", "ok": True,
                            "status": 200, "reason": "", "title": f"Page {page}", "text_chars": len(text), "chunks": PASSAGES})  # fmt: skip
        chunks = pl.DataFrame(passages, schema=CHUNK_SCHEMA)
        self.keep_passages(cell, chunks)
        self._put(cell, "documents", pl.DataFrame([dict.fromkeys(FETCH_SCHEMA.names()) | row for row in fetches], schema=FETCH_SCHEMA))
        return chunks

    def passages(self) -> ChunkStore:
        """Return the domain's passages."""
        return ChunkStore(self.store.lance, DOMAIN, self.alas.domain(DOMAIN).student.embedder)

    def keep_passages(self, cell: Cell, chunks: pl.DataFrame) -> None:
        """Store an iteration's passages under its tag."""
        passages = self.passages()
        passages.tag_cell(cell.tag, chunks["chunk_id"].to_list(), passages.upsert(chunks, embed))

    def _pairs(self, cell: Cell, chunks: pl.DataFrame) -> pl.DataFrame:
        passages = {(row["url"], row["ordinal"]): row for row in chunks.to_dicts()}
        rows = []
        for number in range(cell.number * FACTS, (cell.number + 1) * FACTS):
            one = fact(number)
            passage = passages[one["url"], one["passage"]]
            shared = {name: passage[name] for name in ("chunk_id", "page_id", "url", "text_sha256", "body_sha256", "retrieved_at")}
            shared |= {name: one[name] for name in ("fact_id", "topic_id", "topic", "answer", "quote")}
            shared |= {"fact_group": one["fact_id"], "aliases": [], "answer_kind": "identifier", "iteration": cell.number, "review": "",
                       "teacher": "bench", "disputed_with": [], "support": 1, "category": "factual", "difficulty": "Easy",
                       "quote_start": passage["start"], "quote_end": passage["start"] + len(one["quote"])}  # fmt: skip
            asked = [(role, wording.format(one["name"]), "") for role, wordings in WORDINGS.items() for wording in wordings]
            asked.append(("train", f"What is {one['name']} about?", "answer not in the quote"))
            rows += [shared | {"qa_id": ids.qa_id(one["fact_id"], question), "role": role, "question": question, "template": role,
                               "accepted": not reason, "reason": reason} for role, question, reason in asked]  # fmt: skip
        return pl.DataFrame([dict.fromkeys(QA_SCHEMA.names()) | row for row in rows], schema=QA_SCHEMA)

    def _probes(self, cell: Cell, pairs: pl.DataFrame) -> pl.DataFrame:
        """Return 60 probes of 30 facts, 20 of earlier iterations where there are any, and 20 general questions."""
        rows = [row | {"split": "probe"} for row in pairs.filter(pl.col("role") == "probe").head(60).to_dicts()]
        draw = Random(cell.number)
        for one in (fact(draw.randrange(cell.number * FACTS)) for _ in range(20 if cell.number else 0)):
            question = WORDINGS["probe"][0].format(one["name"])
            rows.append(one | {"split": "earlier", "question": question, "qa_id": ids.qa_id(one["fact_id"], question)})
        rows += [{"split": "guard", "fact_id": f"general-{n}", "question": f"What is general question {n}?", "answer": f"general {n}"}
                 for n in range(20)]  # fmt: skip
        return _probe_table(rows, cell.number)

    def _exam_probes(self) -> pl.DataFrame:
        rows = [{"split": "exam", "fact_id": f"e{n}", "question": _exam_question(one), "answer": one["answer"], "topic": _page(one)}
                for n, one in enumerate(self._exam)]  # fmt: skip
        return _probe_table(rows, -1)

    def _adapter(self, cell: Cell, pairs: pl.DataFrame, probes_hash: str, before: str) -> AdapterRef:
        """Keep the training rows of an iteration and a folder with the adapter's manifest; both name what they are made from."""
        rows = pl.concat([_training_rows(pairs, "fact"), self._rehearsal])
        self._rehearsal = pl.concat([self._rehearsal, _training_rows(pairs, "rehearsal")])
        rows_hash = table_hash(rows)
        path = self.store.training_rows_path("sft", rows_hash)
        path.parent.mkdir(parents=True, exist_ok=True)
        rows.write_parquet(path)
        made = self.store.work("sft_adapter", rows_hash)
        domain = self.alas.domain(DOMAIN)
        manifest = {"base": {"name": domain.student.model}, "recipe": self.alas.recipe(domain).model_dump(mode="json"),
                    "init_adapter": before, "rows_hash": rows_hash}  # fmt: skip
        write_atomic(made / "manifest.json", ids.canonical_json(manifest).encode())
        return AdapterRef(adapter_hash=self.store.put_folder(self.store.adapters, made), kind="sft", trained=True, base_hash="base",
                          rows_hash=rows_hash, probes_hash=probes_hash, steps=100 + cell.number, seconds=60.0)  # fmt: skip

    def _answers(
        self, cell: Cell, asked: pl.DataFrame, system: str, adapter: str, right: float, chunks: Sequence[str] = ()
    ) -> pl.DataFrame:
        """Return a system's graded answers, about this share of them right; beside each question stood two of the passages, if any."""
        draw, rows = Random(f"{cell} {system}"), []
        for row in asked.iter_rows(named=True):
            ok = draw.random() < right
            beside = draw.sample(chunks, 2) if chunks else []
            context = ids.content_hash(beside) if beside else ""
            label, error = ("correct", "") if ok else ("incorrect", "off topic")
            rows.append(
                {name: row[name] for name in ("probe_id", "split", "fact_id", "topic_id", "topic", "category", "difficulty", "question")}
                | {"answer_id": ids.answer_id(row["probe_id"], system, "base", adapter, context, {"of": str(cell)}), "system": system,
                   "gold": row["answer"], "answer": row["answer"] if ok else coined(draw.randrange(60_000)), "label": label,
                   "error_type": error, "explanation": "", "token_f1": float(ok), "judge": "rules", "base_hash": "base",
                   "adapter_hash": adapter, "context_hash": context, "context_chunks": beside, "iteration": cell.number,
                   "rule_label": label, "rule_explanation": "", "verdicts": []}
            )  # fmt: skip
        return pl.DataFrame(rows, schema=ANSWER_SCHEMA)


def _training_rows(pairs: pl.DataFrame, kind: str) -> pl.DataFrame:
    taught = pairs.filter("accepted", pl.col("role") == "train")
    shown = (pl.col("question").alias("prompt"), pl.col("answer").alias("completion"))
    return taught.select(pl.col("qa_id").alias("row_id"), pl.lit(kind).alias("kind"), "fact_id", *shown)


def _exam_question(one: Row) -> str:
    return f"If its queue is empty, the function {one['name']} of its module returns which word now?"


def _page(one: Row) -> str:
    return one["url"].removeprefix("http://many.example/")


def _probe_table(rows: list[Row], iteration: int) -> pl.DataFrame:
    blank = dict.fromkeys(PROBE_SCHEMA.names(), "") | {"aliases": [], "rivals": [], "answer_kind": "identifier", "overlap": None}
    full = [blank | {name: value for name, value in row.items() if name in PROBE_SCHEMA} for row in rows]
    for row in full:
        row |= {"probe_id": ids.probe_id(f"{row['split']}:{row['fact_id']}", row["question"]), "iteration": iteration}
    return pl.DataFrame(full, schema=PROBE_SCHEMA).unique("probe_id", maintain_order=True)
