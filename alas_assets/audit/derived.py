"""From a source to everything it taught: a page or a whole host, down to the adapters (spec A2).

Reading only, a join over ids in the stored tables; the other direction is `audit.trace`. Nothing is removed here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Set
from contextlib import closing
from typing import Literal

import polars as pl
from pydantic import Field

from alas_assets.audit.objections import decision_in_words, denials, waiting_decisions
from alas_assets.audit.overruled import Overruled, after_people
from alas_assets.audit.reading import ReadOnce
from alas_assets.audit.trace import ABOUT_FACTS, ANSWER_TABLES, EXAM, ROWS_GONE, TraceError, cells_of, facts_of_exam
from alas_assets.evaluation.agreement import item_key
from alas_assets.evaluation.exam import is_page
from alas_assets.provenance.blocked.documents import addresses_of, split_source
from alas_assets.provenance.blocked.order import Blocked, By, host_key, host_of, kind_of, normal
from alas_assets.provenance.store import ArtifactStore, Cell, StoreError
from alas_assets.records import QA_SCHEMA, AdapterRef, Record, as_answers, as_pairs
from alas_assets.release.closing import given_up
from alas_assets.retrieval.takedown import stored_passages
from alas_assets.review.said import Said, people_said
from alas_assets.synthesis.standing import SAYS_THE_SAME
from alas_assets.wording import counted

_FACT_ID = {"fact_id": pl.String}


class Reading(Record):
    """One attempt to read the source."""

    cell: str
    url: str
    page_id: str
    ok: bool
    status: int | None
    reason: str
    retrieved_at: str
    body_sha256: str
    text_sha256: str
    passages: int


class DerivedFact(Record):
    """A fact that was written from the source."""

    fact_id: str
    question: str
    answer: str
    quote: str
    url: str
    cells: list[str] = Field(description="iterations whose pairs state it, oldest first")
    accepted: int = Field(description="rows of it that were accepted, phrasings for probes included")
    standing: int = Field(description="of these, rows that no person rejected or corrected in a later iteration (S13)")
    overruled: list[Overruled] = Field(description="what people rejected or corrected of it, and what is taught instead, oldest first")
    waiting: list[str] = Field(default_factory=list, description="what people decided on it that no iteration took up so far (S13)")
    denied: list[str] = Field(default_factory=list, description="what people said of answers that speaks against what the fact says (A1)")
    rejected: int
    reasons: list[str] = Field(description="why rows were rejected, without repetition")
    also_stated_by: list[str] = Field(
        description="URLs outside the source with a fact that says the same, accepted or set aside for that alone (R7)"
    )


class DerivedProbes(Record):
    """Questions of one iteration that ask for facts of the source."""

    cell: str
    split: str
    probes: int


class DerivedAdapter(Record):
    """An adapter whose exact training rows hold facts of the source."""

    adapter_hash: str
    kind: str
    cell: str
    facts: int
    rows: int
    of_rows: int = Field(description="all rows that it was trained on")
    run_id: str
    because: str = Field(default="", description="why nobody can say whether it learned from the source; the numbers are 0 then")


class DerivedAnswers(Record):
    """What one system answered in one iteration to questions about facts of the source, or with its passages before it."""

    cell: str
    system: str
    asked: int
    correct: int
    shown: int = Field(description="of these and others, answers for which a passage was retrieved that a pair of the source names")


class DerivedExam(Record):
    """What one system answered in one iteration to exam questions that were matched to facts of the source by page and words (E8).

    No id leads from such a question to a fact, so these stand apart from the answers that one leads to.
    """

    cell: str
    system: str
    asked: int
    correct: int


class Derived(Record):
    """Everything that came from one page or one host, in every domain of the store."""

    source: str
    by: Literal["page", "host"]
    readings: list[Reading]
    unusable: int = Field(description="rejected rows of which not even a fact could be read")
    facts: list[DerivedFact]
    probes: list[DerivedProbes]
    adapters: list[DerivedAdapter]
    answers: list[DerivedAnswers]
    exam: list[DerivedExam]

    @property
    def taught(self) -> list[DerivedFact]:
        """The facts of which a pair was accepted, whatever people said of them since: adapters learned these."""
        return [fact for fact in self.facts if fact.accepted]

    @property
    def overruled(self) -> list[DerivedFact]:
        """The taught facts of which no pair stands any more, by word of a person."""
        return [fact for fact in self.taught if not fact.standing]

    @property
    def doubted(self) -> list[DerivedFact]:
        """The taught facts that a person's word speaks against which no iteration took up so far."""
        return [fact for fact in self.taught if fact.waiting or (fact.standing and fact.denied)]

    @property
    def learned(self) -> int:
        """How many adapters are known to have learned from it."""
        return len({adapter.adapter_hash for adapter in self.adapters if not adapter.because})


def derived_from(store: ArtifactStore, source: str, domains: Set[str] | None = None) -> Derived:
    """Return everything that was derived from a page or a host (A2).

    Args:
        store: The artifact store.
        source: A page's URL, as it was asked for or where it was found; or a host, with its port if that is not the usual one. Before
            the host of a folder's document the domain may stand whose folder is meant.
        domains: The domains whose readings count; None: that which the source names, else all.

    Raises:
        TraceError: No iteration tried to read the source, or a takedown removed it; the message names it, or pages that were read.
        StoreError: A table on the way is damaged or gone.
    """
    store, every_cell = ReadOnce.over(store), sorted(cells_of(store), key=str)
    by, named = kind_of(source), split_source(source)[1]
    domains = domains or ({named} if named else None)
    cells = [cell for cell in every_cell if domains is None or cell.domain in domains]
    readings = [reading for cell in cells for reading in _readings(store, cell, source, by)]
    if not readings:
        if refusal := Blocked(store.root).address(source if by == "page" else f"http://{source}"):
            raise TraceError(f"{source!r} was {refusal}: what came from it was removed, and it is read no more")
        if kept := _fetched_only(store, source, by):
            raise TraceError(
                f"{source!r} was fetched to plan with ({kept} addresses) and never studied, so nothing was taught from it; what was "
                "fetched is kept until `alas takedown` removes it and blocks the address; `deny_hosts` of a domain file keeps a host out. "
                f"{_what_was_read(store, cells)}"
            )
        raise TraceError(f"nothing was read from {source!r}; {_what_was_read(store, cells)}")
    pages = sorted({reading.page_id for reading in readings if reading.page_id})
    pairs = _pairs(store, every_cell)
    is_own = pl.col("page_id").is_in(pages) & pl.col("cell").is_in(list(map(str, cells)))
    own = pairs.filter(is_own)
    supports = pl.col("accepted") | pl.col("reason").str.contains(SAYS_THE_SAME, literal=True)
    written = own.filter(pl.col("fact_id") != "")  # replay rows and guards have no fact either
    fact_ids, chunk_ids = written["fact_id"].unique().to_list(), set(own.filter(pl.col("chunk_id") != "")["chunk_id"])
    read_in = {reading.cell.partition("|")[0] for reading in readings}
    aside = {cell for domain in read_in for cell in given_up(store, domain)}
    for domain in read_in:
        chunk_ids |= stored_passages(store.lance, domain, pages)  # also those on which no pair was written
    return Derived(
        source=source,
        by=by,
        readings=readings,
        unusable=own.height - written.height,
        facts=_with_objections(store, _facts(written, pairs.filter(supports & ~is_own), aside), read_in),
        probes=list(_probes(store, cells, fact_ids)),
        adapters=list(_adapters(store, cells, fact_ids, read_in)),
        answers=list(_answers(store, cells, fact_ids, sorted(chunk_ids))),
        exam=list(_exam(store, cells, pairs, fact_ids)),
    )


def readings_of(table: pl.DataFrame, source: str, by: By) -> pl.DataFrame:
    """Return the rows of a `documents` table that are readings of a source, however its address is written."""
    form, names = (normal, ("requested_url", "final_url", "page_id")) if by == "page" else (host_key, ("host",))
    spelled = form(split_source(source)[0])
    written = {name: [one for one in table[name].drop_nulls().unique().to_list() if one and form(one) == spelled] for name in names}
    return table.filter(pl.any_horizontal(pl.col(name).is_in(found).fill_null(value=False) for name, found in written.items()))


def _tables(store: ArtifactStore, cells: list[Cell], asset: str) -> Iterator[tuple[Cell, pl.DataFrame]]:
    for cell in cells:
        pointer = store.pointer(cell, asset)
        if pointer is not None:
            yield cell, store.read_table(pointer)


def _readings(store: ArtifactStore, cell: Cell, source: str, by: By) -> Iterator[Reading]:
    for _, table in _tables(store, [cell], "documents"):
        for row in readings_of(table, source, by).iter_rows(named=True):
            yield Reading(
                cell=str(cell),
                url=row["final_url"] or row["requested_url"],
                page_id=row["page_id"] or "",
                ok=row["ok"],
                status=row["status"],
                reason=row["reason"],
                retrieved_at=row["retrieved_at"].isoformat() if row["retrieved_at"] else "",
                body_sha256=row["body_sha256"] or "",
                text_sha256=row["text_sha256"] or "",
                passages=row["chunks"] or 0,
            )


def _fetched_only(store: ArtifactStore, source: str, by: By) -> int:
    """Return how many pages of a source the cache of fetched addresses holds."""
    path = store.root / "http_cache.sqlite"
    if not path.is_file():
        return 0
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            keys = [key for (key,) in connection.execute("SELECT url FROM http WHERE body_sha256 IS NOT NULL")]
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}; see to its disk and permissions, or remove the file") from error
    form, spelled = (normal, normal(source)) if by == "page" else (host_of, host_key(source))
    return sum(any(form(url) == spelled for url in addresses_of(key)) for key in keys)


def _what_was_read(store: ArtifactStore, cells: list[Cell]) -> str:
    urls = sorted({url for _, table in _tables(store, cells, "documents") for url in table.filter("ok")["final_url"]})
    if not urls:
        return f"no page was read yet in {store.root}"
    were = "was" if len(urls) == 1 else "were"
    return f"{counted(len(urls), 'page')} {were} read, such as {urls[0]}; `documents` in the UI lists them"


def _pairs(store: ArtifactStore, cells: list[Cell]) -> pl.DataFrame:
    """Return all pairs of all iterations, each with its cell."""
    tables = [as_pairs(table).with_columns(pl.lit(str(cell)).alias("cell")) for cell, table in _tables(store, cells, "qa_pairs")]
    return pl.concat([QA_SCHEMA.to_frame().with_columns(pl.lit("").alias("cell")), *tables])


def _facts(own: pl.DataFrame, others: pl.DataFrame, aside: Set[str]) -> list[DerivedFact]:
    """Return the facts in the order in which they were first written; cells set `aside` took up nothing of what people decided."""
    elsewhere = dict(others.group_by("fact_group").agg(pl.col("url").unique().sort()).iter_rows())
    facts = own.group_by("fact_id", maintain_order=True).agg(
        *(pl.col(name).first() for name in ("question", "answer", "quote", "url", "fact_group")),
        pl.col("cell").unique(maintain_order=True).alias("cells"),
        pl.col("accepted").sum(),
        (~pl.col("accepted")).sum().alias("rejected"),
        pl.col("reason").filter(pl.col("reason") != "").unique(maintain_order=True).alias("reasons"),
    )
    left = after_people(own.filter(~pl.col("cell").is_in(list(aside))))
    return [
        DerivedFact(
            **fact,
            standing=left.standing.get(fact["fact_id"], 0),
            overruled=left.overruled.get(fact["fact_id"], []),
            also_stated_by=elsewhere.get(group, []),
        )
        for fact, group in zip(facts.drop("fact_group").to_dicts(), facts["fact_group"], strict=True)
    ]


def _with_objections(store: ArtifactStore, facts: list[DerivedFact], domains: Set[str]) -> list[DerivedFact]:
    """Return the facts with what people hold against them, in whatever domain read the source."""
    ids = {fact.fact_id for fact in facts}
    waiting = [waiting_decisions(store, domain, ids) for domain in sorted(domains)]
    denied = [denials(store, domain, ids) for domain in sorted(domains)]
    return [
        fact.model_copy(
            update={
                "waiting": [decision_in_words(one) for decided in waiting for one in decided.get(fact.fact_id, [])],
                "denied": [word for words in denied for word in words.get(fact.fact_id, [])],
            }
        )
        for fact in facts
    ]


def _probes(store: ArtifactStore, cells: list[Cell], fact_ids: list[str]) -> Iterator[DerivedProbes]:
    for cell, table in _tables(store, cells, "probes"):
        found = table.filter(pl.col("fact_id").is_in(fact_ids)).group_by("split").len().sort("split")
        for split, probes in found.iter_rows():
            yield DerivedProbes(cell=str(cell), split=split, probes=probes)


def _adapters(store: ArtifactStore, cells: list[Cell], fact_ids: list[str], domains: set[str]) -> Iterator[DerivedAdapter]:
    """Yield the adapters whose rows hold the facts, and of the domains that read the source those whose rows are gone."""
    for cell in cells:
        for asset in ("sft_adapter", "dpo_adapter"):
            pointer = store.pointer(cell, asset)
            ref = store.read_record(AdapterRef, pointer) if pointer else None
            if pointer is None or ref is None or not ref.trained:
                continue
            gone = not store.training_rows_path(ref.kind, ref.rows_hash).is_file()
            rows = pl.DataFrame(schema=_FACT_ID) if gone else store.read_training_rows(ref.kind, ref.rows_hash, [*_FACT_ID])
            found = rows.filter(pl.col("fact_id").is_in(fact_ids))
            if found.height or (gone and cell.domain in domains):
                yield DerivedAdapter(
                    adapter_hash=ref.adapter_hash,
                    kind=ref.kind,
                    cell=str(cell),
                    facts=found["fact_id"].n_unique(),
                    rows=found.height,
                    of_rows=rows.height,
                    run_id=store.first_made(pointer).run_id,
                    because=ROWS_GONE if gone else "",
                )


def _as_people_say(rows: pl.DataFrame, said: Mapping[str, Said]) -> pl.DataFrame:
    """Return answers with a person's label in the place of the grade, where a person gave one."""
    if not said:
        return rows
    items = [item_key(*item) for item in rows.select("question", "gold", "answer").iter_rows()]
    labels = [said[item].label if item in said else label for item, label in zip(items, rows["label"], strict=True)]
    return rows.with_columns(pl.Series("label", labels, dtype=pl.String))


def _answers(store: ArtifactStore, cells: list[Cell], fact_ids: list[str], chunk_ids: list[str]) -> Iterator[DerivedAnswers]:
    about = pl.col("split").is_in(ABOUT_FACTS) & pl.col("fact_id").is_in(fact_ids)
    shown = pl.col("context_chunks").list.eval(pl.element().is_in(chunk_ids)).list.any().fill_null(value=False)
    for cell in cells:
        tables = [as_answers(table) for asset in ANSWER_TABLES for _, table in _tables(store, [cell], asset)]
        if not tables:
            continue
        rows = pl.concat(tables).unique("answer_id", maintain_order=True).with_columns(shown.alias("shown"))
        rows = _as_people_say(rows, people_said(store.root, cell.domain))
        found = (
            rows.filter(about | pl.col("shown"))
            .group_by("system", maintain_order=True)
            .agg(about.sum().alias("asked"), (about & (pl.col("label") == "correct")).sum().alias("correct"), pl.col("shown").sum())
        )
        for row in found.iter_rows(named=True):
            yield DerivedAnswers(cell=str(cell), **row)


def _exam(store: ArtifactStore, cells: list[Cell], pairs: pl.DataFrame, fact_ids: list[str]) -> Iterator[DerivedExam]:
    tables = [(cell, as_answers(table).filter(pl.col("split").is_in(EXAM))) for cell, table in _tables(store, cells, "exam_scores")]
    pages = {page or "" for _, rows in tables for page in rows["topic"]}
    urls = [url for url in pairs["url"].unique().to_list() if url and any(is_page(page, url) for page in pages)]
    pairs = pairs.filter("accepted", pl.col("url").is_in(urls))  # no other is matched, and an exam asks of a few pages among hundreds
    for domain in sorted({cell.domain for cell, _ in tables}):
        written = pairs.filter(pl.col("cell").str.starts_with(f"{domain}|"))
        asked = [(cell, rows) for cell, rows in tables if cell.domain == domain]
        # the source's facts are few beside all others, and a question that fits none of them needs no search among those
        near = facts_of_exam([row for _, rows in asked for row in rows.to_dicts()], written.filter(pl.col("fact_id").is_in(fact_ids)))
        for cell, rows in asked:
            close = rows.filter(pl.col("probe_id").is_in(list(near)))
            matched = facts_of_exam(close.to_dicts(), written.filter(pl.col("cell") <= str(cell)))
            own = [probe for probe, fact in matched.items() if fact in fact_ids]
            yield from _examined(store, cell, close.filter(pl.col("probe_id").is_in(own)))


def _examined(store: ArtifactStore, cell: Cell, answers: pl.DataFrame) -> Iterator[DerivedExam]:
    found = _as_people_say(answers, people_said(store.root, cell.domain)).group_by("system", maintain_order=True)
    for row in found.agg(pl.len().alias("asked"), (pl.col("label") == "correct").sum().alias("correct")).iter_rows(named=True):
        yield DerivedExam(cell=str(cell), **row)
