"""What a domain's next iteration would be (`alas estimate`), and what a dry run found (`alas run --dry-run`). Changes nothing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import polars as pl

from alas_assets.defs.curriculum import inherited, read_differently, seed_of
from alas_assets.defs.earlier import earlier_pairs, earlier_tables
from alas_assets.defs.lineage import closed_because, finished, last_opened, opened_cells
from alas_assets.defs.qa import guards_of, neighbours_of
from alas_assets.defs.resources import Alas
from alas_assets.defs.steps import StageError
from alas_assets.domains.config import Domain
from alas_assets.planning.syllabus import plan_curriculum
from alas_assets.provenance.changes import pages_for
from alas_assets.provenance.store import Cell, StoreError
from alas_assets.records import AdapterRef, Curriculum, PageOutline, Seed
from alas_assets.retrieval.finding.gather import key_of, with_key
from alas_assets.retrieval.study import survey
from alas_assets.retrieval.watch import look
from alas_assets.students.catalog import folder_at_hand, title_of
from alas_assets.synthesis.curate import ALREADY_TAUGHT
from alas_assets.synthesis.training_rows import amount_of
from alas_assets.teachers.extractive import ExtractiveTeacher
from alas_assets.teachers.protocol import NOT_STUDIED
from alas_assets.training.spec import Recipe
from alas_assets.training.suiting import require_suiting
from alas_assets.wording import how_long

CHARS_OF_A_FACT = {"extractive": 500, "openai": 170}
"""Characters of text to an accepted fact where a domain has no iteration to go by: by rule 540 and 372 in the demo's two iterations and 547
on 148 CVE records, by a strong model 167 on the Python 3.15 pages."""


@dataclass(frozen=True)
class Outlook:
    """What is to be expected of an iteration.

    Attributes:
        figures: Name to value, in the order in which they are shown.
        failures: What could not be read, a line each, the sources that the domain file names first.
        readable: At least one page can be studied.
    """

    figures: dict[str, object]
    failures: list[str]
    readable: bool


def coming_seed(alas: Alas, domain: str) -> Seed:
    """Return the seed of the iteration that `alas run` would work on next: the newest where it is unfinished, else the one after it.

    Raises:
        StageError: An iteration before it has no revision.
        StoreError: A file of the store is damaged.
    """
    newest = last_opened(alas, domain)
    cell = Cell.of(domain, 0) if newest is None else newest
    if newest and (finished(alas, newest) or closed_because(alas, newest)):
        cell = Cell.of(domain, newest.number + 1)
    pointer = alas.store.pointer(cell, "curriculum_seed")
    if pointer is not None:
        return alas.store.read_record(Seed, pointer)
    return seed_of(alas, cell, "estimate", pages_for(alas.store.root, cell, opened=False))


def estimate_iteration(alas: Alas, domain_key: str) -> Outlook:
    """Say what the next iteration would read, write and train; it surveys the pages, searching where the domain does, and no more.

    Raises:
        StageError: An iteration before it has no revision, or the recipe does not suit the student, as far as that is here already.
        StoreError: A file of the store is damaged.
    """
    domain, seed = alas.domain(domain_key), coming_seed(alas, domain_key)
    folder = folder_at_hand(domain.student.model, domain.student.revision, alas.store.models)
    if folder is not None:
        try:
            require_suiting(alas.recipe(domain), folder, domain.student.model)
        except (OSError, ValueError) as error:
            raise StageError(f"recipe {domain.student.recipe}: {error}") from error
    looks = look(domain, alas.store, None)
    watched = [one.page for one in looks if one.digest and one.entries is None]
    outlines, failures = survey(domain, alas.store, also=[*seed.changed_pages, *watched])
    lines = failure_lines(alas, domain_key, [*failures, *((one.url, one.reason) for one in looks if one.digest is None)])
    surveyed = {"iteration": f"{seed.iteration:03d}", "pages surveyed": len(outlines), "pages not readable": len(lines)}
    if not outlines:
        return Outlook(surveyed, lines, readable=False)
    plan = plan_curriculum(
        seed,
        # by rule, also where a model will plan: an estimate costs nothing
        ExtractiveTeacher(context=domain.context, seed=domain.seed).plan(domain.description, seed.seed_topics, outlines),
        embed=None,
        changed=read_differently(alas, seed, outlines),
        min_topics=domain.budget.min_topics,
        max_topics=domain.budget.max_topics,
    )
    pages = [page for page in outlines if page.url in {url for topic in plan.topics for url in topic.urls}]
    most = len(plan.topics) * domain.budget.pairs_per_topic
    facts = min(most, round(sum(page.text_chars for page in pages) / chars_of_a_fact(alas, domain)))
    earlier = earlier_pairs(alas, seed)
    known = pl.concat([table.filter("accepted")["fact_id"] for table in earlier]).n_unique() if earlier else 0
    figures = surveyed | {
        "pages changed": len(plan.changed_pages),
        "topics": f"{len(plan.topics)} now, {len(plan.deferred)} later",
        "pages to study": len(pages),
        "facts": f"about {facts}, at most {most}",
    }
    if facts or seed.retrain:
        training = training_of(
            alas.recipe(domain),
            facts,
            domain.thresholds.phrasings,
            known,
            fresh=bool(seed.retrain) or domain.student.accumulate == "fresh",
        )
        less = "; less, since rows are packed" if alas.recipe(domain).packing else ""
        figures |= {"SFT, then": training.words, "time of SFT alone": training_time(alas, domain, training.steps) + less}
    else:
        figures["SFT, then"] = "none: nothing new is expected"
    figures |= teacher_figures(alas, domain, Cell.of(domain_key, seed.iteration), len(outlines), len(plan.topics), pages)
    return Outlook(figures, lines, readable=True)


def chars_of_a_fact(alas: Alas, domain: Domain) -> float:
    """Return how many characters of text give an accepted fact: as in the domain's iterations so far, or as with such a teacher elsewhere.

    Raises:
        StoreError: A table of an earlier iteration is damaged or gone.
    """
    chars = facts = 0
    newest = last_opened(alas, domain.key)
    for iteration in range(newest.number + 1 if newest else 0):
        cell = Cell.of(domain.key, iteration)
        written, read = alas.store.pointer(cell, "qa_pairs"), alas.store.pointer(cell, "documents")
        if written is None or read is None:
            continue
        more, given = yield_of(alas.store.read_table(read), alas.store.read_table(written))
        chars, facts = chars + more, facts + given
    return chars / facts if facts else max(chars, CHARS_OF_A_FACT[domain.teacher.kind])


def yield_of(fetches: pl.DataFrame, pairs: pl.DataFrame) -> tuple[int, int]:
    """Return how many characters of text were put to the teacher, and how many facts were accepted of them.

    Pages whose passages stand as they did, or that the teacher never answered on, say nothing of what a page gives.

    Args:
        fetches: What an iteration read (`FETCH_SCHEMA`).
        pairs: What was written of it (`QA_SCHEMA`).
    """
    said = pairs.filter(~pl.col("reason").str.starts_with(NOT_STUDIED) & ~pl.col("reason").str.starts_with(ALREADY_TAUGHT))
    put = _by_page(fetches, pairs).filter(pl.col("page_id").is_in(said["page_id"].unique().to_list()))
    return int(put["text_chars"].sum()), int(put["facts"].sum())


@dataclass(frozen=True)
class Training:
    """How much a recipe trains.

    Attributes:
        steps: Optimiser steps; at most so many where rows are packed.
        words: The same for a reader, with rows and replay.
    """

    steps: int
    words: str


def training_of(recipe: Recipe, facts: int, phrasings: int, known: int, *, fresh: bool = False) -> Training:
    """Say how much a recipe trains on so many new facts.

    Args:
        recipe: The student's.
        facts: New ones.
        phrasings: Wordings of each that are trained on; those with a gap stand in more rows, which is not counted.
        known: Earlier facts, which are rehearsed.
        fresh: Whether a new adapter is trained, which is taught all that is known in all its wordings.
    """
    rehearsed = known * (phrasings if fresh else recipe.rehearsal_per_fact)
    if recipe.rehearsal_most is not None and not fresh:
        rehearsed = min(rehearsed, round(recipe.rehearsal_most * facts * phrasings))
    rows = facts * phrasings + rehearsed
    amount = amount_of(
        lambda _: rows,
        rows_per_fact=phrasings if facts else 0,
        passes=recipe.passes,
        min_sights=recipe.min_sights,
        min_steps=recipe.min_steps,
        batch_size=recipe.batch_size * recipe.gradient_accumulation,
        replay_share=recipe.replay_share,
    )
    total, size = rows * amount.passes + amount.replays, recipe.batch_size * recipe.gradient_accumulation
    steps = ceil(total * recipe.epochs / size)
    again = f", {recipe.epochs:g} times over" if recipe.epochs != 1 else ""
    words = f"about {total:,} rows, {amount.replays:,} of them replay{again}: {steps:,} steps of {size} rows"
    if recipe.packing:
        words += f" if each were a sequence, and far fewer once rows are packed into sequences of {recipe.max_length:,} tokens"
    return Training(steps, words)


def training_time(alas: Alas, domain: Domain, steps: int) -> str:
    """Say how long so many steps take at the pace of all trainings of this student with this recipe in the store, of whatever domain.

    Trainings elsewhere say nothing about this machine, and those of another recipe nothing about its steps.

    Raises:
        StoreError: The record or the manifest of a training is damaged.
    """
    alike = (title_of(domain.student.model), alas.recipe(domain).model_dump(mode="json"))
    paces = {
        str(cell): training.seconds / (training.steps - training.resumed_from)
        for folder in sorted((alas.store.root / "cells").glob("*"))
        for cell in opened_cells(alas, folder.name)
        if (pointer := alas.store.pointer(cell, "sft_adapter"))
        and (training := alas.store.read_record(AdapterRef, pointer)).steps > training.resumed_from
        and _made_with(alas, training) == alike
    }
    if not paces:
        return "not known before a first training of this student with this recipe in this store"
    low, high = min(paces.values()), max(paces.values())
    if len(paces) == 1:
        return f"about {how_long(steps * low)}, at the {low:.2g} s a step of {next(iter(paces))}"
    return f"{how_long(steps * low)} to {how_long(steps * high)}, at the {low:.2g} to {high:.2g} s a step of {', '.join(paces)}"


def _made_with(alas: Alas, training: AdapterRef) -> tuple[object, object]:
    """Return which student was trained, and with which recipe; nothing where the adapter's folder is gone, as after a takedown."""
    path = alas.store.adapters / training.adapter_hash / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return manifest["base"]["name"], manifest["recipe"]
    except FileNotFoundError:
        return None, None
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); materialise the adapter of that cell again") from error


def teacher_figures(alas: Alas, domain: Domain, cell: Cell, surveyed: int, topics: int, pages: Sequence[PageOutline]) -> dict[str, object]:
    """Return what the teacher's calls of one iteration would come to if every topic gave all its pairs and nothing is asked again (O5)."""
    if domain.teacher.kind == "extractive":
        return {"teacher": "extractive: no model, no key, costs nothing"}
    from alas_assets.teachers.endpoint.prices import cost_of
    from alas_assets.teachers.endpoint.wire import endpoint_url, identity
    from alas_assets.teachers.llm.expected import expected

    settings = domain.teacher
    chars = [page.text_chars for page in pages]
    systems = 4 + (alas.registry.current(domain.key) is not None)  # base, rag and two candidates, and what is current
    earlier = earlier_tables(alas, inherited(alas, cell).probe_hashes, "probes")
    standing = sum(table.filter(pl.col("split") == "probe").height for table in earlier)
    if not settings.rule_splits:
        standing += len(guards_of(alas, domain)) + len(neighbours_of(alas, domain))
    work = expected(
        settings,
        surveyed=surveyed,
        page_chars=chars,
        topics=topics,
        budget=domain.budget,
        phrasings=domain.thresholds.phrasings,
        systems=systems,
        standing=standing,
    )
    figures: dict[str, object] = {"teacher": f"{settings.model} at {identity(endpoint_url(settings))}"}
    for purpose, part in work.items():
        figures[f"{purpose} calls"] = f"{part.calls}: {part.sent:,} tokens sent, {part.received:,} received"
    sent, received = sum(part.sent for part in work.values()), sum(part.received for part in work.values())
    cap = f" of {domain.budget.tokens:,} allowed" if domain.budget.tokens else ""
    figures["teacher tokens, about"] = f"{sent + received:,}{cap}, exam and what is asked again apart"
    costs = [
        (cost_of(part.model, endpoint_url(settings), settings.prices, domain.budget.currency), part) for part in work.values() if part.calls
    ]
    if any(cost is None for cost, _ in costs):
        unpriced = sorted({part.model for cost, part in costs if cost is None})
        figures["cost, about"] = f"unknown: no price of {', '.join(unpriced)} (teacher.prices)"
    else:
        money = sum(cost(part.sent, part.received) for cost, part in costs if cost is not None)
        cap = f" of {domain.budget.money:g} allowed" if domain.budget.money else ""
        figures["cost, about"] = f"{money:.2f} {domain.budget.currency}{cap}"
    return figures


def failure_lines(alas: Alas, domain_key: str, failures: Sequence[tuple[str, str]]) -> list[str]:
    """Return what could not be read, each address once: those that the domain file names first, with the key that does."""
    sources = alas.domain(domain_key).sources
    distinct = dict(failures)
    named = [url for url in distinct if key_of(url, sources)]
    linked = [url for url in distinct if url not in named]
    return [with_key(url, distinct[url], sources) for url in (*named, *linked)]


def unread_lines(alas: Alas, cell: Cell) -> list[str]:
    """Return what an iteration could not read, as far as it came."""
    failures: list[tuple[str, str]] = []
    if plan := alas.store.pointer(cell, "curriculum"):
        read = alas.store.read_record(Curriculum, plan)
        failures += [*read.failed_urls, *read.unread_sources]
    if fetches := alas.store.pointer(cell, "documents"):
        failures += alas.store.read_table(fetches).filter(~pl.col("ok")).select("requested_url", "reason").iter_rows()
    return failure_lines(alas, cell.domain, failures)


def facts_by_page(alas: Alas, cell: Cell) -> pl.DataFrame:
    """Return what each page that was read gave, in the order of reading: page_id, url, text_chars, passages, facts (accepted), rejected.

    A page gives facts only where its passages were put to the teacher: those that stand as they did in an earlier iteration were not.
    """
    fetches, written = alas.store.pointer(cell, "documents"), alas.store.pointer(cell, "qa_pairs")
    if fetches is None or written is None:
        counts = {"text_chars": pl.Int64, "passages": pl.Int32, "facts": pl.UInt32, "rejected": pl.UInt32}
        return pl.DataFrame(schema={"page_id": pl.String, "url": pl.String, **counts})
    return _by_page(alas.store.read_table(fetches), alas.store.read_table(written))


def _by_page(fetches: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    facts = pairs.unique(["fact_id", "accepted"])
    counted = facts.group_by("page_id").agg(facts=pl.col("accepted").sum(), rejected=(~pl.col("accepted")).sum())
    read = fetches.filter("ok").join(counted, on="page_id", how="left", maintain_order="left")
    pages = read.with_columns(pl.col("facts", "rejected").fill_null(0))
    return pages.select("page_id", pl.col("final_url").alias("url"), "text_chars", pl.col("chunks").alias("passages"), "facts", "rejected")
