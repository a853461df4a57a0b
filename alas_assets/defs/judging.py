"""Assets `baseline_scores`, `judge_scores`, `dpo_judge_scores` and `exam_scores` (E1-E8). Grading is `evaluation`."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg
import polars as pl

from alas_assets.defs import columns, show
from alas_assets.defs.costs import teacher_costs
from alas_assets.defs.documents import cell_tags, chunk_store
from alas_assets.defs.resources import Alas
from alas_assets.defs.steps import Made, Step, clear_failures, loop_asset
from alas_assets.evaluation.agreement import HUMAN, MIN_COMPARED, TOGETHER, agreement, confusion, disagreements, ratings, said, too_low
from alas_assets.evaluation.answers import ask_all, grade_answers, unsettled
from alas_assets.evaluation.declining import declining
from alas_assets.evaluation.exam import covered_by, exam_probes, overlap_report, read_exam
from alas_assets.evaluation.scoreboard import breakdown, score_rows
from alas_assets.partitions import cell_of, cells
from alas_assets.provenance.ids import file_hash
from alas_assets.provenance.store import Cell
from alas_assets.records import ANSWER_SCHEMA, QA_SCHEMA, RULES, UNKNOWN, AdapterRef, GateDecision, Seed, as_pairs
from alas_assets.retrieval.open_book import Contexts, find_contexts
from alas_assets.review.answers import human_labels
from alas_assets.students.answering import Decoding
from alas_assets.teachers.opening import decides
from alas_assets.wording import counted

DECODING = Decoding()


def answers_of(
    step: Step,
    asked: pl.DataFrame,
    system: str,
    *,
    adapter: str | None,
    contexts: Contexts | None = None,
    decoding: Decoding = DECODING,
) -> pl.DataFrame:
    """Ask a system every question; what was answered before under the same id is not generated again (O4)."""
    student = step.alas.student(step.domain)

    def ask(items: Any) -> Any:
        folder = step.store.adapter(adapter) if adapter else None
        step.context.log.info(f"{system} answers {counted(len(items), 'question')}")
        return step.alas.worker.answer(student, items, folder, decoding, on_progress=None)

    return ask_all(
        asked,
        system,
        ask,
        step.alas.answers,
        base_hash=student.base_hash,
        adapter_hash=adapter or "",
        contexts=contexts,
        decoding=decoding.model_dump(mode="json"),
    )


def graded(step: Step, asked: pl.DataFrame, *answers: pl.DataFrame) -> Made[pl.DataFrame]:
    """Grade what one or several systems answered, together: the judges see no system, and what two say alike is judged once (E2).

    Where a judgement or a generation failed the step is done again next time, and asks only about that (E7).
    """
    verdicts = step.alas.verdicts(step.domain)
    rule_splits = (*step.domain.teacher.rule_splits, UNKNOWN)  # whether an answer declines needs no judge
    table = grade_answers(asked, pl.concat(answers), step.teacher, by_rule=rule_splits, verdicts=verdicts)
    return Made(table.with_columns(pl.lit(step.cell.number, pl.Int32).alias("iteration")), final=unsettled(table).is_empty())


def open_book(step: Step, asked: pl.DataFrame) -> Contexts:
    """Find the passages that the retrieval-assisted student is shown for each question."""
    domain = step.domain
    return find_contexts(
        asked,
        chunk_store(step.alas, step.cell.domain),
        cell_tags(step.alas, step.cell),
        embed=lambda texts: step.alas.embed(domain, texts),
    )


def people_of(step: Step) -> dict[str, str]:
    """Return the labels that people gave in the step's domain, by what they graded (E6)."""
    with clear_failures():
        return human_labels(step.store.root, step.cell.domain)


def describe_answers(step: Step, probes: pl.DataFrame, trained: str = "") -> Any:
    """Return how graded answers are shown: the scores with intervals, who graded them, the wrong answers with links.

    Args:
        step: The step that graded them.
        probes: What was asked (`PROBE_SCHEMA`); gives each question's source.
        trained: The asset whose run trained the model that answered; "" for none.
    """
    human = people_of(step)
    urls = {probe: url for probe, url in probes.select("probe_id", "url").iter_rows() if url}
    pointer = step.store.pointer(step.cell, trained) if trained else None

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
            "wrong_answers": show.answers(errors, urls, pointer.run_id if pointer else "", rows=60),
            **({"trained_by": dg.MetadataValue.dagster_run(pointer.run_id)} if pointer else {}),
            "error_types": show.counts(errors, "error_type"),
            **describe_declining(answers),
            **describe_judges(answers, human),
            **teacher_costs(step, "judge"),
            "by_topic": show.table(breakdown(facts, "topic"), rows=60),
            "by_category": show.table(breakdown(facts, "category"), rows=20),
            "by_difficulty": show.table(breakdown(facts, "difficulty"), rows=20),
            "dagster/row_count": answers.height,
            **columns.described(step.asset, ANSWER_SCHEMA),
        }

    return describe


def describe_declining(answers: pl.DataFrame) -> dict[str, Any]:
    """Return how often systems decline where nobody can answer, and where the pages do (S12); nothing where no such question was asked."""
    if answers.filter(pl.col("split") == UNKNOWN).is_empty():
        return {}
    return {"declined": show.table(declining(answers), rows=20)}


def describe_judges(answers: pl.DataFrame, human: Mapping[str, str]) -> dict[str, Any]:
    """Return who graded, how far graders agree with each other, the rules and a person, and where judges and rules differ (E3, E6).

    Args:
        answers: Graded answers.
        human: A person's labels by `item_key`.
    """
    rated = ratings(answers, human)
    agreed = agreement(rated)
    shown: dict[str, Any] = {"judged_by": show.counts(answers, "judge")}
    if agreed.is_empty():
        return shown
    judges = [grader for grader in rated["grader"].unique(maintain_order=True) if grader not in (RULES, HUMAN)]
    deciding = TOGETHER if TOGETHER in judges else judges[0] if judges else RULES
    shown["agreement"] = show.table(agreed, rows=60)
    if judges:
        shown["judges_against_rules"] = show.table(confusion(rated, deciding, RULES))
        shown["disagreements"] = show.table(disagreements(answers), rows=60)
        shown["failed_judgements"] = show.table(failed_judgements(answers), rows=20)
    if HUMAN in set(rated["grader"]):
        shown["judges_against_a_person"] = show.table(confusion(rated, deciding, HUMAN))
    return shown


def failed_judgements(answers: pl.DataFrame) -> pl.DataFrame:
    """Return how often each judge failed, of how many answers, and why the first time (E7)."""
    verdicts = answers.select("answer_id", "verdicts").explode("verdicts").drop_nulls("verdicts").unnest("verdicts")
    return (
        verdicts.with_columns((pl.col("label") == "failed").alias("failed"))
        .group_by("judge", maintain_order=True)
        .agg(
            pl.len().alias("answers"),
            pl.col("failed").sum(),
            pl.col("explanation").filter(pl.col("failed")).first().alias("first_reason"),
            pl.col("answer_id").filter(pl.col("failed")).first().alias("first_answer"),
        )
        .filter(pl.col("failed") > 0)
    )


def of_the_student(step: Step) -> Callable[[pl.DataFrame], bool]:
    """Return what tells whether graded answers are the domain's student's, as it is now: its folder may hold another model meanwhile."""
    return lambda answers: answers.is_empty() or set(answers["base_hash"]) == {step.alas.student(step.domain).base_hash}


def judge_settings(step: Step) -> dict[str, Any]:
    """Return what every graded table depends on beyond its inputs."""
    return {
        "decoding": DECODING.model_dump(mode="json"),
        "student": [step.domain.student.model, step.domain.student.revision],
        "teacher": decides(step.domain, "judge"),
        "by_rule": step.domain.teacher.rule_splits,
    }


@loop_asset("6", kinds={"parquet"})
def baseline_scores(
    context: dg.AssetExecutionContext, alas: Alas, curriculum_seed: Seed, documents: pl.DataFrame, probes: pl.DataFrame
) -> dg.MaterializeResult[pl.DataFrame]:
    """The student before this iteration: closed-book, with retrieval (earlier facts apart), and with the adapter that was current (E5)."""
    step = Step(context, alas)

    def make(_: str) -> Made[pl.DataFrame]:
        # open-book prompts are many times as long, and earlier facts, which grow in number, were asked so when they were new
        open_asked = probes.filter(pl.col("split") != "earlier")
        raw = [
            answers_of(step, probes, "base", adapter=None),
            answers_of(step, open_asked, "rag", adapter=None, contexts=open_book(step, open_asked)),
        ]
        if current := curriculum_seed.inherited.current_adapter:
            raw.append(answers_of(step, probes, "previous", adapter=current))
        return graded(step, probes, *raw)

    described = describe_answers(step, probes)
    return step.run(pl.DataFrame, make, described, settings=judge_settings(step), still_good=of_the_student(step))


@loop_asset("6", kinds={"parquet"})
def judge_scores(
    context: dg.AssetExecutionContext, alas: Alas, probes: pl.DataFrame, sft_adapter: AdapterRef
) -> dg.MaterializeResult[pl.DataFrame]:
    """The SFT candidate's answers to every probe, graded (E2-E4)."""
    step = Step(context, alas)

    def make(_: str) -> Made[pl.DataFrame]:
        if not sft_adapter.trained:
            return Made(ANSWER_SCHEMA.to_frame())
        return graded(step, probes, answers_of(step, probes, "sft", adapter=sft_adapter.adapter_hash))

    described = describe_answers(step, probes, "sft_adapter")
    return step.run(pl.DataFrame, make, described, settings=judge_settings(step), still_good=of_the_student(step))


@loop_asset("6", kinds={"parquet"})
def dpo_judge_scores(
    context: dg.AssetExecutionContext, alas: Alas, probes: pl.DataFrame, sft_adapter: AdapterRef, dpo_adapter: AdapterRef
) -> dg.MaterializeResult[pl.DataFrame]:
    """The DPO candidate on the same probes; where DPO was skipped these are the SFT candidate's own answers (D4)."""
    step = Step(context, alas)

    def make(_: str) -> Made[pl.DataFrame]:
        if not sft_adapter.trained:
            return Made(ANSWER_SCHEMA.to_frame())
        return graded(step, probes, answers_of(step, probes, "dpo", adapter=dpo_adapter.adapter_hash))

    described = describe_answers(step, probes, "dpo_adapter")
    return step.run(pl.DataFrame, make, described, settings=judge_settings(step), still_good=of_the_student(step))


@loop_asset("7", kinds={"parquet"})
def exam_scores(
    context: dg.AssetExecutionContext, alas: Alas, qa_pairs: pl.DataFrame, promotion: GateDecision
) -> dg.MaterializeResult[pl.DataFrame]:
    """Questions written outside the loop, asked of base and current; nothing else reads them (E8)."""
    step = Step(context, alas)
    name = step.domain.exam_file
    path = alas.settings.question_file("exams", name)
    human = people_of(step)

    def make(_: str) -> Made[pl.DataFrame]:
        if not name:
            return Made(ANSWER_SCHEMA.to_frame())
        asked = exam_probes(read_exam(path))
        base = answers_of(step, asked, "base", adapter=None)
        return graded(step, asked, base, answers_of(step, asked, "current", adapter=promotion.current_after))

    def describe(answers: pl.DataFrame) -> dict[str, Any]:
        if answers.is_empty():
            return {"note": "the domain names no exam_file"}
        taught = exam_taught(alas, step.cell.domain, step.cell.number)
        overlap = overlap_report(read_exam(path), trained_questions(alas, step.cell.domain, step.cell.number))
        scores = score_rows(step.cell.domain, step.cell.number, answers)
        covered = score_rows(step.cell.domain, step.cell.number, answers.filter(pl.col("fact_id").is_in(sorted(taught))))
        rates = ["system", "split", "n", "correct", "accuracy", "ci_low", "ci_high"]
        wrong = answers.filter((pl.col("label") != "correct") & (pl.col("system") == "current"))
        urls = {probe: url for probe, url in exam_probes(read_exam(path)).select("probe_id", "url").iter_rows() if url}
        return {
            "failed": answers.filter(pl.col("label") == "failed").height,
            "all_questions": show.table(scores, rates, rows=20),
            "questions_with_a_pair": show.table(covered, rates, rows=20),
            "covered": len(taught),
            "median_word_overlap_with_training": overlap["overlap"].median(),
            "most_like_a_trained_question": show.table(overlap, rows=10),
            **describe_judges(answers, human),
            "wrong_answers": show.answers(wrong, urls, "", rows=30),
            "dagster/row_count": answers.height,
            **columns.described("exam_scores", ANSWER_SCHEMA),
        }

    settings = {**judge_settings(step), "exam": file_hash(path) if name else ""}
    return step.run(pl.DataFrame, make, describe, settings=settings, still_good=of_the_student(step))


def exam_taught(alas: Alas, domain: str, iteration: int) -> set[str]:
    """Return the exam ids whose fact has an accepted pair in this or an earlier iteration; for reporting only."""
    key = alas.domain(domain)
    if not key.exam_file:
        return set()
    return set(covered_by(read_exam(alas.settings.question_file("exams", key.exam_file)), pairs_until(alas, domain, iteration)))


def trained_questions(alas: Alas, domain: str, iteration: int) -> list[str]:
    """Return the wordings that this and earlier iterations put into training rows; for reporting only."""
    return pairs_until(alas, domain, iteration).filter("accepted", pl.col("role") == "train")["question"].unique().to_list()


def pairs_until(alas: Alas, domain: str, iteration: int) -> pl.DataFrame:
    """Return the pairs of this and earlier iterations (`QA_SCHEMA`)."""
    pointers = [alas.store.pointer(Cell.of(domain, number), "qa_pairs") for number in range(iteration + 1)]
    return pl.concat([QA_SCHEMA.to_frame(), *(as_pairs(alas.store.read_table(pointer)) for pointer in pointers if pointer)])


def judged_result(answers: pl.DataFrame, cell: str) -> dg.AssetCheckResult:
    """Say how many answers have no label, and which judge failed on how many, whether that left a label open or not."""
    failed = answers.filter(pl.col("label") == "failed")
    first = f"; the first: {failed['explanation'][0]}" if failed.height else ""
    words = [f"{failed.height} of {answers.height} answers of {cell} have no label and count as not correct{first}"]
    for row in failed_judgements(answers).iter_rows(named=True):
        words.append(f"{row['judge']} failed on {row['failed']} of {row['answers']} answers, the first time because: {row['first_reason']}")
    retried = unsettled(answers).height
    if retried:
        words.append(f"the next run asks again about {retried}")
    return dg.AssetCheckResult(
        passed=failed.is_empty() and not retried,
        severity=dg.AssetCheckSeverity.WARN,
        description=". ".join(words),
        metadata={"failed": failed.height, "asked_again": retried},
    )


_JUDGED = "No answer and no judgement failed."


@dg.asset_check(asset=baseline_scores, name="every_answer_judged", partitions_def=cells, description=_JUDGED)
def baseline_judged(context: dg.AssetCheckExecutionContext, baseline_scores: pl.DataFrame) -> dg.AssetCheckResult:
    """Say who failed on the baseline's answers (E7)."""
    return judged_result(baseline_scores, context.partition_key)


@dg.asset_check(asset=judge_scores, partitions_def=cells, description=_JUDGED)
def every_answer_judged(context: dg.AssetCheckExecutionContext, judge_scores: pl.DataFrame) -> dg.AssetCheckResult:
    """Say who failed on the SFT candidate's answers (E7)."""
    return judged_result(judge_scores, context.partition_key)


@dg.asset_check(asset=dpo_judge_scores, name="every_answer_judged", partitions_def=cells, description=_JUDGED)
def dpo_judged(context: dg.AssetCheckExecutionContext, dpo_judge_scores: pl.DataFrame) -> dg.AssetCheckResult:
    """Say who failed on the DPO candidate's answers (E7)."""
    return judged_result(dpo_judge_scores, context.partition_key)


@dg.asset_check(
    asset=judge_scores,
    partitions_def=cells,
    description="Judges agree with each other, with the deterministic grade and with a person on what is correct.",
)
def judges_agree(context: dg.AssetCheckExecutionContext, alas: Alas, judge_scores: pl.DataFrame) -> dg.AssetCheckResult:
    """Warn where the scores hang on who grades; says so only where enough answers were compared (E3, E6)."""
    cell = cell_of(context.partition_key)
    with clear_failures():
        human = human_labels(alas.store.root, cell.domain)
    return agreement_result(agreement(ratings(judge_scores, human)), str(cell))


def agreement_result(agreed: pl.DataFrame, cell: str) -> dg.AssetCheckResult:
    """Turn the agreement of every two graders (`AGREEMENT_SCHEMA`) into a check that a reader understands."""
    low = too_low(agreed)
    words = low or [said(row) for row in agreed.iter_rows(named=True)]
    few = f"fewer than {MIN_COMPARED} answers were compared: " if words and max(agreed["n"].to_list()) < MIN_COMPARED else ""
    shares = agreed["same_outcome"].drop_nulls().to_list()
    return dg.AssetCheckResult(
        passed=not low,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{few}{'. '.join(words)}" if words else f"one grader graded {cell}, so there is nobody to compare it with",
        metadata={"least_agreement": float(min(shares))} if shares else {},
    )
