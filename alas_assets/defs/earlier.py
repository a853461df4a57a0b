"""What earlier iterations of a domain taught, as pages read since and people leave it (O2, S13, V1).

Reading stored state only; what it is used for is decided by the assets.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import polars as pl

from alas_assets.defs.documents import cell_tags, chunk_store
from alas_assets.defs.lineage import taught_before
from alas_assets.defs.resources import Alas
from alas_assets.provenance.store import Cell
from alas_assets.records import CHUNK_SCHEMA, Curriculum, Seed, Topic, as_pairs
from alas_assets.retrieval.open_book import passages_again
from alas_assets.review.earlier import corrected, on_earlier, standing, still_taught
from alas_assets.review.pairs import Decision, Reviewed
from alas_assets.synthesis.disputed import lost_since
from alas_assets.synthesis.standing import latest_texts, no_longer_stated


def earlier_tables(alas: Alas, hashes: list[str], asset: str) -> list[pl.DataFrame]:
    """Read inherited tables by the content hashes that the seed carries."""
    tables = [alas.store.read_table(digest, asset) for digest in hashes]
    return [as_pairs(table) for table in tables] if asset == "qa_pairs" else tables


def earlier_pairs(alas: Alas, seed: Seed, qa_pairs: pl.DataFrame | None = None) -> list[pl.DataFrame]:
    """Return the pairs of earlier iterations, oldest first; what a person rejected or corrected since is accepted no more.

    Args:
        alas: The resource.
        seed: The iteration's seed, which names them.
        qa_pairs: The iteration's own pairs, where they are made: what was decided last took effect in them.
    """
    own = [] if qa_pairs is None else [as_pairs(qa_pairs)]
    earlier = earlier_tables(alas, seed.inherited.qa_hashes, "qa_pairs")
    return standing([*earlier, *own])[: len(earlier)]


def earlier_readings(alas: Alas, seed: Seed) -> list[pl.DataFrame]:
    """Return the fetches of earlier iterations, oldest first."""
    return earlier_tables(alas, seed.inherited.document_hashes, "documents")


def retired_facts(alas: Alas, seed: Seed, documents: pl.DataFrame) -> frozenset[str]:
    """Return the earlier facts that their page, read again here or since they were taught, no longer states (O2)."""
    earlier = earlier_tables(alas, seed.inherited.qa_hashes, "qa_pairs")
    return no_longer_stated(earlier, latest_texts([*earlier_readings(alas, seed), documents]), partial(stored_text, alas))


def stored_text(alas: Alas, sha: str) -> str:
    """Return a stored text by its hash."""
    return (alas.store.texts / sha).read_text(encoding="utf-8")


def standing_facts(alas: Alas, cell: Cell, seed: Seed, documents: pl.DataFrame) -> frozenset[str]:
    """Return the earlier facts that their page still states, that no person rejected and that lost no dispute since (G2)."""
    pointer = alas.store.pointer(cell, "qa_pairs")
    own = [as_pairs(alas.store.read_table(pointer))] if pointer else []
    tables = standing([*earlier_tables(alas, seed.inherited.qa_hashes, "qa_pairs"), *own])
    earlier = tables[: len(tables) - len(own)]
    taught = {fact for table in earlier for fact in table.filter("accepted")["fact_id"].unique()}
    retired = retired_facts(alas, seed, documents)
    return frozenset(taught) - retired - lost_since(tables, retired)


@dataclass(frozen=True)
class Cited:
    """What pairs were written from.

    Attributes:
        chunks: The passages (`CHUNK_SCHEMA`).
        topics: The topics, as they were planned last.
    """

    chunks: pl.DataFrame
    topics: list[Topic]


def cited_by(alas: Alas, cell: Cell, pairs: pl.DataFrame) -> Cited:
    """Return what pairs of an iteration, or of those before it, were written from in whatever iteration; what is gone is not among it."""
    chunks, named = sorted(set(pairs["chunk_id"]) - {""}), set(pairs["topic_id"])
    if not chunks:
        return Cited(CHUNK_SCHEMA.to_frame(), [])
    passages = passages_again(chunks, chunk_store(alas, cell.domain), cell_tags(alas, cell))
    return Cited(passages, [topic for topic in planned_before(alas, cell) if topic.topic_id in named])


@dataclass(frozen=True)
class Corrections(Cited):
    """What people decided on earlier iterations' pairs and no iteration has taken up yet, and what those pairs were written from.

    Attributes:
        reviewed: Corrected facts as drafts, and what is set aside.
    """

    reviewed: Reviewed


def corrections_of(alas: Alas, cell: Cell, earlier: list[pl.DataFrame], decisions: list[Decision], retired: Collection[str]) -> Corrections:
    """Return what an iteration has to take up of people's decisions on earlier pairs; a fact that its page states no more needs none.

    Args:
        alas: The resource.
        cell: The iteration.
        earlier: The pairs of those before it (`earlier_pairs`).
        decisions: What people decided in the domain.
        retired: Facts that their page states no more.
    """
    taught = still_taught(earlier).filter(~pl.col("fact_id").is_in(list(retired)))
    waiting = on_earlier(decisions, taught, earlier)
    cited = cited_by(alas, cell, taught.filter(pl.col("fact_id").is_in([decision.fact_id for decision in waiting])))
    return Corrections(cited.chunks, cited.topics, corrected(taught, cited.chunks, waiting, decisions))


def planned_before(alas: Alas, cell: Cell) -> list[Topic]:
    """Return the topics of earlier iterations, each as it was planned last."""
    pointers = [alas.store.pointer(one, "curriculum") for one in taught_before(alas, cell)]
    plans = [alas.store.read_record(Curriculum, pointer) for pointer in pointers if pointer]
    return list({topic.topic_id: topic for plan in plans for topic in plan.topics}.values())
