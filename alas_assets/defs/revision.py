"""Assets `revised_curriculum` (per cell) and `scoreboard` (per domain), and the domain's heartbeat (V1, V2, E4, O3)."""

from typing import Any

import dagster as dg
import polars as pl

from alas_assets.audit.trace import ANSWER_TABLES
from alas_assets.automation import LeftToTheDaemon
from alas_assets.defs import show
from alas_assets.defs.auditing import wrong_answers
from alas_assets.defs.costs import teacher_costs
from alas_assets.defs.dead_runs import tag_process
from alas_assets.defs.earlier import earlier_pairs, planned_before
from alas_assets.defs.freshness import due_heartbeat
from alas_assets.defs.judging import exam_scores, exam_taught
from alas_assets.defs.lineage import made_cells
from alas_assets.defs.promotion import promotion as promotion_asset
from alas_assets.defs.resources import Alas
from alas_assets.defs.steps import Made, StageError, Step, clear_failures, documented_asset, loop_asset
from alas_assets.domains.config import Domain
from alas_assets.evaluation.plots import accuracy_png, topics_png
from alas_assets.evaluation.scoreboard import current_answers, iteration_rows, score_rows, summary
from alas_assets.partitions import cell_of, cells, domains
from alas_assets.planning.convergence import revise
from alas_assets.provenance.blocked.order import TAKEN_DOWN
from alas_assets.provenance.ids import content_hash
from alas_assets.provenance.store import Cell, table_hash
from alas_assets.records import SCOREBOARD_SCHEMA, AdapterRef, Curriculum, GateDecision, RevisedCurriculum, Seed, as_answers
from alas_assets.release.registry import Registry
from alas_assets.review.answers import human_labels, human_lines
from alas_assets.teachers.opening import decides


@loop_asset("5", kinds={"json"})
def revised_curriculum(
    context: dg.AssetExecutionContext,
    alas: Alas,
    curriculum_seed: Seed,
    curriculum: Curriculum,
    documents: pl.DataFrame,
    qa_pairs: pl.DataFrame,
    baseline_scores: pl.DataFrame,
    judge_scores: pl.DataFrame,
    dpo_judge_scores: pl.DataFrame,
    promotion: GateDecision,
) -> dg.MaterializeResult[RevisedCurriculum]:
    """What comes next, and why: weak topics again, new ones while there are any, or a stop (V1, V2)."""
    step = Step(context, alas)
    domain = step.domain

    def make(_: str) -> Made[RevisedCurriculum]:
        answers = current_answers(promotion, baseline_scores, judge_scores, dpo_judge_scores)
        return Made(
            revise(
                seed=curriculum_seed,
                curriculum=curriculum,
                answers=answers,
                promoted=promotion.verdict == "promote",
                qa=qa_pairs,
                earlier_qa=earlier_pairs(alas, curriculum_seed, qa_pairs),
                planned=planned_before(alas, step.cell),
                teacher=step.teacher,
                tau=domain.thresholds.tau,
                delta=domain.thresholds.delta,
                max_iterations=domain.budget.max_iterations,
            )
        )

    def describe(revised: RevisedCurriculum) -> dict[str, Any]:
        topics = pl.DataFrame([score.model_dump() for score in revised.topic_scores]) if revised.topic_scores else None
        shown: dict[str, Any] = {
            "decision": revised.decision,
            "reason": revised.reason,
            "accuracy": "not measured" if revised.accuracy is None else revised.accuracy,
            "mastered": len(revised.mastered),
            "remediation": dg.MetadataValue.json([topic.name for topic in revised.remediation]),
            "next_topics": len(revised.next_topics),
            "novel_facts": revised.novel_facts,
            **teacher_costs(step, "revise"),
        }
        if topics is not None:
            shown |= {
                "topic_scores": show.table(topics, ["name", "n", "correct", "accuracy"], rows=40, asset="revised_curriculum"),
                "accuracy_per_topic": show.picture(topics_png(revised.topic_scores), f"accuracy per topic, {step.cell}"),
            }
        return shown

    settings = {
        "tau": domain.thresholds.tau,
        "delta": domain.thresholds.delta,
        "max_iterations": domain.budget.max_iterations,
        "teacher": decides(domain, "revise"),
    }
    result = step.run(RevisedCurriculum, make, describe, settings=settings)
    if not unread_sources(domain, curriculum, documents) and (beat := due_heartbeat(alas, context.instance, step.cell)):
        context.log_event(beat)
    return result


def unread_sources(domain: Domain, curriculum: Curriculum, documents: pl.DataFrame) -> list[tuple[str, str]]:
    """Return (url, reason) of the sources that this iteration did not read again, neither in full nor by a 304 (O3).

    Those are what the domain file names, and the pages that changed; a watched page that is not there yet was looked for, which is enough.
    One that was taken down is none any more.
    """
    awaited = set(domain.sources.watch_urls) - set(domain.sources.seed_urls)
    named = set(domain.sources.named_urls) - awaited
    unread = {url: reason for url, reason in curriculum.failed_urls if url in named} | dict(curriculum.unread_sources)
    read_again = documents.filter(~pl.col("ok") & pl.col("page_id").is_in([*named, *curriculum.changed_pages]))
    found = unread | dict(read_again.select("final_url", "reason").iter_rows())
    return [(url, reason) for url, reason in found.items() if not reason.startswith(TAKEN_DOWN)]


@dg.asset_check(
    asset=revised_curriculum,
    additional_ins={"curriculum": dg.AssetIn("curriculum"), "documents": dg.AssetIn("documents")},
    partitions_def=cells,
    description="Every source was read again, so that the domain counts as current; if not, which were not.",
)
def sources_read(
    context: dg.AssetCheckExecutionContext, alas: Alas, curriculum: Curriculum, documents: pl.DataFrame
) -> dg.AssetCheckResult:
    """Name the sources on account of which the domain stays as old as it was (O3)."""
    domain = alas.domain(cell_of(context.partition_key).domain)
    unread = unread_sources(domain, curriculum, documents)
    names = "; ".join(f"{url}: {reason}" for url, reason in unread[:5])
    return dg.AssetCheckResult(
        passed=not unread,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(unread)} sources were not read, so {domain.key} does not count as current: {names}"
        if unread
        else f"all sources of {domain.key} were read",
    )


SCORED = ("promotion", "probes", "baseline_scores", "judge_scores", "dpo_judge_scores", "exam_scores", "sft_adapter", "dpo_adapter")


def scored_cells(alas: Alas, domain: str) -> list[Cell]:
    """Return the domain's cells whose iteration was judged to the end, in order."""
    return [cell for cell in made_cells(alas, domain) if all(alas.store.pointer(cell, asset) for asset in SCORED)]


def cell_rows(alas: Alas, cell: Cell) -> pl.DataFrame:
    """Return the scoreboard rows of one iteration, from its stored tables alone."""
    store = alas.store
    pointers = {asset: store.pointer(cell, asset) for asset in SCORED}
    missing = [asset for asset, pointer in pointers.items() if pointer is None]
    if missing:
        raise StageError(f"{', '.join(missing)} of {cell} is not there; materialise it first")
    found = {asset: pointer for asset, pointer in pointers.items() if pointer is not None}
    return iteration_rows(
        cell.domain,
        cell.number,
        decision=store.read_record(GateDecision, found["promotion"]),
        probes_hash=found["probes"].hash,
        sft=store.read_record(AdapterRef, found["sft_adapter"]),
        dpo=store.read_record(AdapterRef, found["dpo_adapter"]),
        baseline=store.read_table(found["baseline_scores"]),
        sft_answers=store.read_table(found["judge_scores"]),
        dpo_answers=store.read_table(found["dpo_judge_scores"]),
        exam=store.read_table(found["exam_scores"]),
    )


def _of_one_making(alas: Alas, cell: Cell) -> bool:
    """Tell whether the answers are to the probes and of the adapters that are there, which a cell that is being made again may lack."""
    found = {asset: pointer for asset in SCORED if (pointer := alas.store.pointer(cell, asset))}
    asked = {asset: found[asset].hash for asset in ("probes", "sft_adapter", "dpo_adapter") if asset in found}
    return all(one.inputs.get(asset, digest) == digest for one in found.values() for asset, digest in asked.items())


def domain_scoreboard(alas: Alas, domain: str) -> pl.DataFrame:
    """Return every iteration of a domain side by side (`SCOREBOARD_SCHEMA`), but one that is being made again and was not judged anew."""
    tables = [cell_rows(alas, cell) for cell in scored_cells(alas, domain) if _of_one_making(alas, cell)]
    return pl.concat(tables) if tables else SCOREBOARD_SCHEMA.to_frame()


def exam_with_a_pair(alas: Alas, domain: str) -> pl.DataFrame:
    """Return the newest iteration's exam scores over the questions whose fact has an accepted pair (`SCOREBOARD_SCHEMA`)."""
    cells = scored_cells(alas, domain)
    pointer = alas.store.pointer(cells[-1], "exam_scores") if cells else None
    if pointer is None:
        return SCOREBOARD_SCHEMA.to_frame()
    taught = sorted(exam_taught(alas, domain, cells[-1].number))
    return score_rows(domain, cells[-1].number, alas.store.read_table(pointer).filter(pl.col("fact_id").is_in(taught)))


def graded_answers(alas: Alas, cell: Cell) -> pl.DataFrame:
    """Return every graded answer of a judged cell (`ANSWER_SCHEMA`)."""
    pointers = [pointer for asset in ANSWER_TABLES if (pointer := alas.store.pointer(cell, asset))]
    tables = [as_answers(alas.store.read_table(pointer)) for pointer in pointers]
    return pl.concat(tables)


def human_agreement(alas: Alas, domain: str) -> list[str]:
    """Say how far judges and rules agree with the people who graded a domain's answers; empty where nobody did (E6)."""
    human = human_labels(alas.store.root, domain)
    if not human:
        return []
    return human_lines(pl.concat([graded_answers(alas, cell) for cell in scored_cells(alas, domain)]), human)


def newest_wrong_answers(alas: Alas, domain: str) -> pl.DataFrame | None:
    """Return the wrong answers of the newest judged iteration (`WRONG_SCHEMA`); None where nobody has looked yet."""
    cells = scored_cells(alas, domain)
    pointer = alas.store.pointer(cells[-1], "wrong_answers") if cells else None
    return alas.store.read_table(pointer) if pointer else None


def rolled_back(alas: Alas, domain: str) -> str | None:
    """Say that what is current is not what the newest gate made current, so that no score is taken for its; None where it is."""
    cells = scored_cells(alas, domain)
    pointer = alas.store.pointer(cells[-1], "promotion") if cells else None
    if pointer is None:
        return None
    judged, now = alas.store.read_record(GateDecision, pointer).current_after, alas.registry.current(domain)
    if judged == now:
        return None
    happened = _what_happened(alas.registry, domain, judged)
    return (
        f"{domain} {happened}: current is {(now or 'the base student')[:16]}, but `current` in the scores is "
        f"{(judged or 'the base student')[:16]}, which the gate made current"
    )


def _what_happened(registry: Registry, domain: str, judged: str | None) -> str:
    """Say, after a domain's name, why an adapter that the gate made current is so no more."""
    history, undone = registry.history(domain), registry.standing_rollback(domain)
    if takedown := next((entry.decision_hash for entry in history if judged in entry.retired), ""):
        return f"lost a model to takedown {takedown}"
    if undone:
        return f"was rolled back{f' by {undone.by}' if undone.by else ''}{f' ({undone.reason})' if undone.reason else ''}"
    return "has another model since" if history else "has no promotion on record any more"


@documented_asset(
    partitions_def=domains,
    group_name="loop",
    code_version="1",
    kinds={"parquet"},
    automation_condition=dg.AutomationCondition.any_deps_updated().since(
        dg.AutomationCondition.newly_requested() | dg.AutomationCondition.initial_evaluation()
    )
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
    & LeftToTheDaemon(),
    deps=[
        dg.AssetDep(asset, partition_mapping=dg.MultiToSingleDimensionPartitionMapping("domain"))
        for asset in (promotion_asset, exam_scores, wrong_answers)
    ],
)
def scoreboard(context: dg.AssetExecutionContext, alas: Alas) -> dg.MaterializeResult:
    """All iterations of a domain side by side: base, retrieval, previous, SFT, DPO, current; with intervals (E4, E5)."""
    tag_process(context.instance, context.run)
    with clear_failures():
        domain = alas.domain(context.partition_key)
        rows = domain_scoreboard(alas, domain.key)
        if rows.is_empty():
            raise StageError(f"no iteration of {domain.key} has been judged yet; run `alas run {domain.key}` first")
        inputs = {
            str(cell): (pointer.hash if (pointer := alas.store.pointer(cell, "promotion")) else "")
            for cell in scored_cells(alas, domain.key)
        }
        pointer = alas.store.put(
            Cell(domain.key, "000"), "scoreboard", rows, input_key=content_hash(inputs), inputs=inputs, run_id=context.run_id
        )
        people = human_agreement(alas, domain.key)
        found = newest_wrong_answers(alas, domain.key)
        wrong = found.filter("is_current") if found is not None else None
    with_a_pair = exam_with_a_pair(alas, domain.key)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(table_hash(rows)),
        metadata={
            "iterations": rows["iteration"].n_unique(),
            "newest_iteration": dg.MetadataValue.md("\n".join(f"- {line.strip()}" for line in [*summary(rows, with_a_pair), *people])),
            "before_and_after": show.picture(accuracy_png(rows), f"accuracy by iteration, {domain.key}"),
            "scores": show.table(rows.drop("domain"), rows=80),
            "wrong_answers_of_the_current_model": "wrong_answers of the newest iteration is not there; materialise it"
            if wrong is None
            else show.wrong_answers(wrong, rows=60),
            "dagster/row_count": rows.height,
            "dagster/column_schema": show.column_schema(SCOREBOARD_SCHEMA, "scoreboard"),
            "artifact": dg.MetadataValue.path(str(alas.store.artifact_path("scoreboard", pointer.hash, "parquet"))),
        },
    )
