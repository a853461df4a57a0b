"""Assets `baseline_scores`, `judge_scores`, `dpo_judge_scores` and `exam_scores` (E1-E8). Grading is `evaluation`."""

from typing import Any

import dagster as dg
import polars as pl

from alas_assets.defs import show
from alas_assets.defs.documents import cell_tags, chunk_store
from alas_assets.defs.resources import Alas
from alas_assets.defs.steps import Made, Step, loop_asset
from alas_assets.evaluation.answers import ask_all, grade_answers
from alas_assets.evaluation.exam import covered_by, exam_probes, read_exam
from alas_assets.evaluation.scoreboard import breakdown, score_rows
from alas_assets.partitions import cells
from alas_assets.provenance.ids import file_hash
from alas_assets.records import ANSWER_SCHEMA, AdapterRef, GateDecision, Seed, as_pairs
from alas_assets.retrieval.open_book import Contexts, find_contexts
from alas_assets.students.answering import Decoding

DECODING = Decoding()


def answers_of(step: Step, asked: pl.DataFrame, system: str, *, adapter: str | None, contexts: Contexts | None = None) -> pl.DataFrame:
    """Ask a system every question; what was answered before under the same id is not generated again (O4)."""
    student = step.alas.student(step.domain)
    folder = step.store.adapters / adapter if adapter else None

    def ask(items: Any) -> Any:
        step.context.log.info(f"{system} answers {len(items)} questions")
        return step.alas.worker.answer(student, items, folder, DECODING, on_progress=None)

    return ask_all(
        asked,
        system,
        ask,
        step.alas.answers,
        base_hash=student.base_hash,
        adapter_hash=adapter or "",
        contexts=contexts,
        decoding=DECODING.model_dump(mode="json"),
    )


def graded(step: Step, asked: pl.DataFrame, system: str, *, adapter: str | None, contexts: Contexts | None = None) -> pl.DataFrame:
    """Ask and grade."""
    teacher = step.alas.teacher(step.domain)
    raw = answers_of(step, asked, system, adapter=adapter, contexts=contexts)
    return grade_answers(asked, raw, teacher, teacher.name).with_columns(pl.lit(step.cell.number, pl.Int32).alias("iteration"))


def open_book(step: Step, asked: pl.DataFrame) -> Contexts:
    """Find the passages that the retrieval-assisted student is shown for each question."""
    domain = step.domain
    return find_contexts(
        asked,
        chunk_store(step.alas, step.cell.domain),
        cell_tags(step.alas, step.cell),
        embed=lambda texts: step.alas.embed(domain, texts),
    )


def describe_answers(step: Step) -> Any:
    """Return how graded answers are shown: the scores with intervals, the wrong answers with links to their trace."""

    def describe(answers: pl.DataFrame) -> dict[str, Any]:
        if answers.is_empty():
            return {"answers": 0, "note": "nothing was asked: this iteration has no candidate"}
        scores = score_rows(step.cell.domain, step.cell.number, answers)
        errors = answers.filter(pl.col("label") != "correct")
        facts = answers.filter(pl.col("split").is_in(["probe", "earlier"]))
        return {
            "answers": answers.height,
            "failed": answers.filter(pl.col("label") == "failed").height,
            "scores": show.table(scores, ["system", "split", "n", "correct", "partial", "accuracy", "ci_low", "ci_high"], rows=30),
            "error_types": show.counts(errors, "error_type"),
            "by_topic": show.table(breakdown(facts, "topic"), rows=60),
            "by_category": show.table(breakdown(facts, "category"), rows=20),
            "by_difficulty": show.table(breakdown(facts, "difficulty"), rows=20),
            "wrong_answers": show.table(errors, ["answer_id", "system", "split", "question", "gold", "answer", "error_type"], rows=60),
            "dagster/row_count": answers.height,
            "dagster/column_schema": show.column_schema(ANSWER_SCHEMA),
        }

    return describe


def judge_settings(step: Step) -> dict[str, Any]:
    """Return what every graded table depends on beyond its inputs."""
    return {
        "decoding": DECODING.model_dump(mode="json"),
        "student": step.domain.student.model,
        "teacher": step.domain.teacher.what(),
    }


@loop_asset("1", kinds={"parquet"})
def baseline_scores(
    context: dg.AssetExecutionContext, alas: Alas, curriculum_seed: Seed, documents: pl.DataFrame, probes: pl.DataFrame
) -> dg.MaterializeResult[pl.DataFrame]:
    """The student before this iteration: closed-book, with retrieval, and with the adapter that was current (E5)."""
    step = Step(context, alas)

    def make(_: str) -> Made[pl.DataFrame]:
        tables = [
            graded(step, probes, "base", adapter=None),
            graded(step, probes, "rag", adapter=None, contexts=open_book(step, probes)),
        ]
        if current := curriculum_seed.inherited.current_adapter:
            tables.append(graded(step, probes, "previous", adapter=current))
        return Made(pl.concat(tables))

    return step.run(pl.DataFrame, make, describe_answers(step), settings=judge_settings(step))


@loop_asset("1", kinds={"parquet"})
def judge_scores(
    context: dg.AssetExecutionContext, alas: Alas, probes: pl.DataFrame, sft_adapter: AdapterRef
) -> dg.MaterializeResult[pl.DataFrame]:
    """The SFT candidate's answers to every probe, graded (E2-E4)."""
    step = Step(context, alas)

    def make(_: str) -> Made[pl.DataFrame]:
        if not sft_adapter.trained:
            return Made(ANSWER_SCHEMA.to_frame())
        return Made(graded(step, probes, "sft", adapter=sft_adapter.adapter_hash))

    return step.run(pl.DataFrame, make, describe_answers(step), settings=judge_settings(step))


@loop_asset("1", kinds={"parquet"})
def dpo_judge_scores(
    context: dg.AssetExecutionContext, alas: Alas, probes: pl.DataFrame, sft_adapter: AdapterRef, dpo_adapter: AdapterRef
) -> dg.MaterializeResult[pl.DataFrame]:
    """The DPO candidate on the same probes; where DPO was skipped these are the SFT candidate's own answers (D4)."""
    step = Step(context, alas)

    def make(_: str) -> Made[pl.DataFrame]:
        if not sft_adapter.trained:
            return Made(ANSWER_SCHEMA.to_frame())
        return Made(graded(step, probes, "dpo", adapter=dpo_adapter.adapter_hash))

    return step.run(pl.DataFrame, make, describe_answers(step), settings=judge_settings(step))


@loop_asset("1", kinds={"parquet"})
def exam_scores(
    context: dg.AssetExecutionContext, alas: Alas, qa_pairs: pl.DataFrame, promotion: GateDecision
) -> dg.MaterializeResult[pl.DataFrame]:
    """Questions written outside the loop, asked of base and current; nothing else reads them (E8)."""
    step = Step(context, alas)
    name = step.domain.exam_file
    path = alas.settings.data / "exams" / name

    def make(_: str) -> Made[pl.DataFrame]:
        if not name:
            return Made(ANSWER_SCHEMA.to_frame())
        asked = exam_probes(read_exam(path))
        base = graded(step, asked, "base", adapter=None)
        return Made(pl.concat([base, graded(step, asked, "current", adapter=promotion.current_after)]))

    def describe(answers: pl.DataFrame) -> dict[str, Any]:
        if answers.is_empty():
            return {"note": "the domain names no exam_file"}
        taught = exam_taught(alas, step.cell.domain, step.cell.number)
        scores = score_rows(step.cell.domain, step.cell.number, answers)
        covered = score_rows(step.cell.domain, step.cell.number, answers.filter(pl.col("fact_id").is_in(sorted(taught))))
        columns = ["system", "split", "n", "correct", "accuracy", "ci_low", "ci_high"]
        wrong = answers.filter((pl.col("label") != "correct") & (pl.col("system") == "current"))
        return {
            "all_questions": show.table(scores, columns, rows=20),
            "questions_with_a_pair": show.table(covered, columns, rows=20),
            "covered": len(taught),
            "wrong_answers": show.table(wrong, ["answer_id", "question", "gold", "answer", "error_type"], rows=30),
        }

    settings = {**judge_settings(step), "exam": file_hash(path) if name else ""}
    return step.run(pl.DataFrame, make, describe, settings=settings)


def exam_taught(alas: Alas, domain: str, iteration: int) -> set[str]:
    """Return the exam ids whose fact has an accepted pair in this or an earlier iteration; for reporting only."""
    from alas_assets.provenance.store import Cell

    store, key = alas.store, alas.domain(domain)
    pointers = [store.pointer(Cell.of(domain, number), "qa_pairs") for number in range(iteration + 1)]
    pairs = [as_pairs(store.read_table(pointer)) for pointer in pointers if pointer]
    if not key.exam_file or not pairs:
        return set()
    return set(covered_by(read_exam(alas.settings.data / "exams" / key.exam_file), pl.concat(pairs)))


@dg.asset_check(asset=judge_scores, partitions_def=cells, description="No answer and no judgement failed (E7).")
def every_answer_judged(context: dg.AssetCheckExecutionContext, judge_scores: pl.DataFrame) -> dg.AssetCheckResult:
    """Failed judgements stay in the denominator; this says that there are some."""
    failed = judge_scores.filter(pl.col("label") == "failed")
    first = f"; the first: {failed['explanation'][0]}" if failed.height else ""
    return dg.AssetCheckResult(
        passed=failed.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{failed.height} of {judge_scores.height} answers of {context.partition_key} could not be judged{first}",
    )
