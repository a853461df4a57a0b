"""Asset `documents`: pages fetched, read and stored as chunks in LanceDB (R3, R6). The work is in `retrieval`."""

from functools import partial

import dagster as dg
import polars as pl

from alas_assets.defs import columns, show
from alas_assets.defs.resources import Alas
from alas_assets.defs.steps import Made, StageError, Step, clear_failures, loop_asset
from alas_assets.links import page_link
from alas_assets.partitions import cells
from alas_assets.provenance.store import Cell, StoreError
from alas_assets.records import CHUNK_SCHEMA, FETCH_SCHEMA, Curriculum, Seed
from alas_assets.retrieval.store import ChunkStore
from alas_assets.retrieval.study import (
    LEAST_COVERAGE,
    coverage,
    coverage_problem,
    found_all_gone,
    had_nothing_to_read,
    may_be_read_later,
    study,
    yield_problem,
)
from alas_assets.wording import counted

VOLATILE = ("retrieved_at", "from_cache", "etag", "last_modified", "status", "found_by")


def cell_tags(alas: Alas, cell: Cell) -> list[str]:
    """Return the tags of all that the domain has read up to this cell."""
    cells_so_far = [Cell.of(cell.domain, number) for number in range(cell.number + 1)]
    return [earlier.tag for earlier in cells_so_far if alas.store.pointer(earlier, "documents")]


def chunk_store(alas: Alas, domain: str) -> ChunkStore:
    """Return the domain's passages."""
    return ChunkStore(alas.store.lance, domain, alas.domain(domain).student.embedder)


def chunks_of(alas: Alas, cell: Cell) -> pl.DataFrame:
    """Read the cell's passages as they were when `documents` was made."""
    return chunk_store(alas, cell.domain).read_cell(cell.tag)


def _earlier_fetches(alas: Alas, cell: Cell) -> list[pl.DataFrame]:
    """Return what the iterations fetched that a cell takes over, oldest first."""
    pointer = alas.store.pointer(cell, "curriculum_seed")
    hashes = alas.store.read_record(Seed, pointer).inherited.document_hashes if pointer else []
    return [alas.store.read_table(digest, "documents") for digest in hashes]


def missed(alas: Alas, cell: Cell, plan: Curriculum) -> list[tuple[str, str]]:
    """Return (url, reason) of what a plan that found nothing new may have missed: pages and sources that could not be read.

    Those that are gone, and those that the iteration before could not read either, be it closed as failed, are none of them: who waits for
    them brings the domain never up to date.
    """
    pointer = alas.store.pointer(Cell.of(cell.domain, cell.number - 1), "curriculum") if cell.number else None
    before = alas.store.read_record(Curriculum, pointer) if pointer else None
    known = {url for url, _ in (*before.failed_urls, *before.unread_sources)} if before else set()
    failed = dict([*plan.failed_urls, *plan.unread_sources])
    return [(url, reason) for url, reason in failed.items() if url not in known and may_be_read_later(reason)]


def without_page(alas: Alas, cell: Cell, plan: Curriculum) -> list[str]:
    """Return the names of the topics of a plan that had nothing to read, without those of which the iteration before read nothing either.

    As with what is `missed`, that one may be closed as failed: who waits for a page that nobody has brings the domain never up to date.
    """
    before = Cell.of(cell.domain, cell.number - 1) if cell.number else None
    planned, read = (alas.store.pointer(before, asset) if before else None for asset in ("curriculum", "documents"))
    unread = {topic.topic_id for topic in alas.store.read_record(Curriculum, planned).topics} if planned else set()
    if read:
        unread -= set(alas.store.read_table(read, "documents").filter("ok")["topic_ids"].explode())
    return [topic.name for topic in plan.topics if topic.topic_id not in unread]


@loop_asset("3", kinds={"lancedb", "parquet"}, pool="lancedb")
def documents(context: dg.AssetExecutionContext, alas: Alas, curriculum: Curriculum) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per fetched page, failed ones too; the passages lie in LanceDB under this cell's tag. None where nothing is new."""
    step = Step(context, alas)
    domain, store, cell = step.domain, step.store, step.cell
    embed = partial(alas.embed, domain)

    def without_passages() -> None:
        """Put down that the cell has no passage, which is another thing than passages that are gone."""
        empty = pl.DataFrame(schema=CHUNK_SCHEMA)
        chunk_store(alas, cell.domain).write_cell(cell.tag, empty, [], len(embed([domain.description])[0]))

    def make(_: str) -> Made[pl.DataFrame]:
        earlier = _earlier_fetches(alas, cell)
        studied = study(
            curriculum.topics,
            domain,
            store,
            embed=embed,
            embedder=domain.student.embedder,
            tag=cell.tag,
            found_by=curriculum.found_by,
            earlier=earlier,
        )
        fetched = studied.fetches.filter("ok")
        if earlier and had_nothing_to_read(studied.fetches):
            if nowhere := without_page(alas, cell, curriculum):
                raise StageError(
                    f"no page is known of {', '.join(nowhere[:3])}{f' and {len(nowhere) - 3} more' if len(nowhere) > 3 else ''}: the plan "
                    f"names none and no search found one. Name one in sources.seed_urls, or close the iteration with "
                    f"`alas abandon {cell.domain}`: the next one goes on without"
                )
            if unread := missed(alas, cell, curriculum):
                named = "; ".join(f"{url}: {reason}" for url, reason in unread[:3])
                raise StageError(
                    f"nothing that could be read is new, and {counted(len(unread), 'page')} could not be read: {named}. Run the iteration "
                    f"again when they can be, or close it with `alas abandon {cell.domain}`: the next one goes on without them"
                )
            without_passages()
        elif earlier and found_all_gone(studied.fetches):  # what a topic to be taught again was taught from is no more
            without_passages()
        elif fetched.is_empty() or studied.chunks.is_empty():
            raise StageError(yield_problem(studied.fetches, studied.chunks) or f"no page of {cell} gave any text")
        blobs = tuple(sorted({f"pages/{sha}" for sha in fetched["body_sha256"]} | {f"texts/{sha}" for sha in fetched["text_sha256"]}))
        return Made(studied.fetches, blobs=blobs, volatile=VOLATILE, final=fetched.height == studied.fetches.height)

    def describe(fetches: pl.DataFrame) -> dict[str, object]:
        linked = fetches.with_columns(
            pl.col("body_sha256").map_elements(page_link, return_dtype=pl.String).alias("stored_page"),
        )
        failed = fetches.filter(~pl.col("ok"))
        shares = coverage(fetches)
        return {
            "pages": fetches.filter("ok").height,
            "failed": failed.height,
            "chunks": int(fetches["chunks"].sum() or 0),
            "hosts": show.counts(fetches, "host"),
            "found_by": show.counts(fetches.with_columns(pl.col("found_by").str.extract(r"^(\w+)", 1)), "found_by"),
            "words_kept": show.percent(int(shares["kept_words"].sum()) / max(1, int(shares["page_words"].sum()))),
            "coverage": show.table(shares, rows=20),
            "dagster/row_count": fetches.height,
            **columns.described("documents", FETCH_SCHEMA),
            "fetches": show.table(
                linked,
                ["final_url", "title", "found_by", "status", "reason", "chunks", "retrieved_at", "stored_page"],
                rows=20,
                asset="documents",
            ),
        }

    def still_good(fetches: pl.DataFrame) -> bool:
        try:
            passages = chunks_of(alas, cell)
        except StoreError:
            return False
        # As many passages may be those of other texts: the cell's tag moves with whatever was read last.
        texts = set(fetches.filter(pl.col("chunks") > 0)["text_sha256"])
        return passages.height == int(fetches["chunks"].sum() or 0) and set(passages["text_sha256"]) == texts

    settings = {
        "sources": domain.sources.what(),
        "embedder": domain.student.embedder,
    }
    result = step.run(pl.DataFrame, make, describe, settings=settings, still_good=still_good)
    with clear_failures():
        # One question is to find what every iteration read, also after the domain's embedder was changed, or set back to one with which
        # this step has nothing else to do. After the reading, which sets a damaged table aside, and which may fail.
        chunk_store(alas, cell.domain).embed_anew(cell_tags(alas, cell), embed)
    return result


@dg.asset_check(asset=documents, partitions_def=cells, description="Enough pages could be read; if not, the likely cause.")
def enough_pages(context: dg.AssetCheckExecutionContext, alas: Alas, documents: pl.DataFrame) -> dg.AssetCheckResult:
    """Name the likely cause when too few pages gave text (R6)."""
    from alas_assets.partitions import cell_of

    if had_nothing_to_read(documents):
        return dg.AssetCheckResult(
            passed=True, severity=dg.AssetCheckSeverity.WARN, description="no page was to be read: nothing is new that has one"
        )
    problem = yield_problem(documents, chunks_of(alas, cell_of(context.partition_key)))
    return dg.AssetCheckResult(
        passed=problem is None,
        severity=dg.AssetCheckSeverity.WARN,
        description=problem or f"{documents.filter('ok').height} of {documents.height} pages read",
    )


@dg.asset_check(asset=documents, partitions_def=cells, description="The words that pages show a reader reached the passages.")
def pages_kept_whole(context: dg.AssetCheckExecutionContext, documents: pl.DataFrame) -> dg.AssetCheckResult:
    """Name the pages of which much was lost between page and passages (R2)."""
    problem = coverage_problem(documents)
    return dg.AssetCheckResult(
        passed=problem is None,
        severity=dg.AssetCheckSeverity.WARN,
        description=problem or f"every page of {context.partition_key} kept at least {LEAST_COVERAGE:.0%} of the words it shows",
    )
