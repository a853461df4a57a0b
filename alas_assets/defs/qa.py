"""Assets `qa_pairs` and `probes`, and the check that keeps them apart (S1-S10, E1, S8). The work is in `synthesis`."""

from functools import partial

import dagster as dg
import polars as pl

from alas_assets.defs import columns, show
from alas_assets.defs.costs import teacher_costs
from alas_assets.defs.documents import cell_tags, chunk_store, chunks_of
from alas_assets.defs.earlier import corrections_of, earlier_pairs, earlier_readings, earlier_tables, retired_facts, stored_text
from alas_assets.defs.judging import DECODING, answers_of
from alas_assets.defs.resources import Alas
from alas_assets.defs.steps import Made, StageError, Step, clear_failures, loop_asset
from alas_assets.domains.catalog import missing_guards
from alas_assets.domains.config import Domain
from alas_assets.evaluation.answers import grade_answers
from alas_assets.evaluation.grading import validate_grader
from alas_assets.partitions import cell_of, cells
from alas_assets.provenance.ids import file_hash
from alas_assets.provenance.store import Cell
from alas_assets.records import ANSWER_SCHEMA, CHUNK_SCHEMA, PROBE_SCHEMA, QA_SCHEMA, TRAIN_ROW_SCHEMA, UNKNOWN, Curriculum, Seed, as_pairs
from alas_assets.retrieval.study import with_found_pages
from alas_assets.review.earlier import overruled, standing
from alas_assets.review.pairs import decisions_hash, decisions_of, decisions_without_a_pair, edits_not_taught, under_review
from alas_assets.students.catalog import is_folder
from alas_assets.students.tokens import TokenCounter
from alas_assets.synthesis.consensus import dispute_table
from alas_assets.synthesis.corrected import Before, curate_with_corrections
from alas_assets.synthesis.curate import coverage, curate, reasons
from alas_assets.synthesis.disputed import lost_since
from alas_assets.synthesis.known import found_known, known_facts, mark_known
from alas_assets.synthesis.leaks import find_leaks
from alas_assets.synthesis.mix import TOLERANCE, deviations, evenly, in_words
from alas_assets.synthesis.probes import build_probes, cut_short, median_overlap
from alas_assets.synthesis.questions import GuardQuestion, ReplayPrompt, read_guards, read_replay
from alas_assets.synthesis.standing import left_alone
from alas_assets.synthesis.training_rows import at_risk
from alas_assets.synthesis.unknowns import Known, known_texts, unknown_probes, unknown_rows
from alas_assets.synthesis.writing import studied, write_drafts
from alas_assets.teachers.opening import decides
from alas_assets.wording import counted

MAX_MEDIAN_OVERLAP = 0.6
SAMPLED = ("question", "answer", "role", "quote", "url", "support")


def guards_of(alas: Alas, domain: Domain) -> list[GuardQuestion]:
    """Read the domain's general guard questions."""
    return read_guards(alas.settings.question_file("guards", domain.guard_file))


def neighbours_of(alas: Alas, domain: Domain) -> list[GuardQuestion]:
    """Read the domain's neighbouring questions; none where the domain names no file."""
    return read_guards(alas.settings.question_file("guards", domain.neighbour_file)) if domain.neighbour_file else []


def replay_of(alas: Alas, domain: Domain) -> list[ReplayPrompt]:
    """Read the domain's replay prompts."""
    return read_replay(alas.settings.question_file("replay", domain.replay_file))


def _guard_versions(alas: Alas, domain: Domain) -> list[str]:
    """Return the content hashes of the guard and the neighbour file; "" where the domain names none."""
    if missing := missing_guards(alas.settings, domain):
        raise dg.Failure(missing, allow_retries=False)
    return [file_hash(alas.settings.question_file("guards", name)) if name else "" for name in (domain.guard_file, domain.neighbour_file)]


def _known(alas: Alas, cell: Cell, domain: Domain, seed: Seed, pairs: pl.DataFrame) -> Known:
    """Gather all that the domain has read and asked; the exam, which nothing in the loop reads, is not among it (S12, E8)."""
    earlier = earlier_tables(alas, seed.inherited.qa_hashes, "qa_pairs")
    guards = [*guards_of(alas, domain), *neighbours_of(alas, domain)]
    store = chunk_store(alas, cell.domain)
    read = pl.concat([CHUNK_SCHEMA.to_frame(), *(store.read_cell(tag) for tag in cell_tags(alas, cell))])
    return known_texts(read, [pairs, *earlier], guards, replay_of(alas, domain))


def unanswerable_rows(alas: Alas, cell: Cell, seed: Seed, pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the unanswerable questions that training may draw from; none where the domain sets no share (S12)."""
    domain = alas.domain(cell.domain)
    if not domain.thresholds.unknown_share:
        return TRAIN_ROW_SCHEMA.to_frame()
    guards = [*guards_of(alas, domain), *neighbours_of(alas, domain)]
    return unknown_rows(pairs, _known(alas, cell, domain, seed, pairs), guards, seed=domain.seed)


def unanswerable_probes(alas: Alas, cell: Cell, seed: Seed, pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the unanswerable questions to ask; none where the domain does not ask for them (S12, E5)."""
    domain = alas.domain(cell.domain)
    if not domain.thresholds.asks_unknown:
        return PROBE_SCHEMA.to_frame()
    guards = [*guards_of(alas, domain), *neighbours_of(alas, domain)]
    apart = [*(guard.question for guard in guards), *(prompt.prompt for prompt in replay_of(alas, domain))]
    known = _known(alas, cell, domain, seed, pairs)
    rows = unknown_rows(pairs, known, guards, seed=domain.seed)  # whatever the share: with and without, the same is asked
    return unknown_probes(pairs, known, rows, apart, iteration=cell.number, seed=domain.seed)


def unknown_settings(alas: Alas, domain: Domain) -> dict[str, object]:
    """Return what unanswerable questions depend on beyond the inputs; nothing where there are none, so that nothing is done again (O4)."""
    if not domain.thresholds.asks_unknown:
        return {}
    return {
        "unknown": {
            "files": [*_guard_versions(alas, domain), file_hash(alas.settings.question_file("replay", domain.replay_file))],
            "seed": domain.seed,
        }
    }


@loop_asset("8", kinds={"parquet"})
def qa_pairs(
    context: dg.AssetExecutionContext, alas: Alas, curriculum_seed: Seed, curriculum: Curriculum, documents: pl.DataFrame
) -> dg.MaterializeResult[pl.DataFrame]:
    """Cited question-answer pairs, a row per phrasing; rejected ones stay beside the accepted, with their reason."""
    step = Step(context, alas)
    domain, budget = step.domain, step.domain.budget
    with clear_failures():
        decisions = decisions_of(alas.store.root, step.cell.domain)

    def make(_: str) -> Made[pl.DataFrame]:
        alas.require_usable_student(step.domain)  # a teacher is paid before the student is used
        chunks = chunks_of(alas, step.cell)
        teacher = step.teacher
        author = f"{teacher.name} {teacher.version}"
        topics = with_found_pages(curriculum.topics, documents)
        retired = retired_facts(alas, curriculum_seed, documents)
        before = earlier_pairs(alas, curriculum_seed)
        corrections = corrections_of(alas, step.cell, before, decisions, retired)
        again = left_alone(before)["chunk_id"].to_list() if curriculum_seed.retrain else []
        drafts, rejected = write_drafts(
            teacher,
            topics,
            chunks,
            max_pairs=budget.pairs_per_topic,
            phrasings=domain.thresholds.phrasings,
            known=studied(before, author).difference(again),
        )
        own = under_review(drafts, chunks, decisions)
        reviewed = own.and_also(corrections.reviewed)
        chunks = pl.concat([chunks, corrections.chunks]).unique("chunk_id", keep="first", maintain_order=True)
        topics = list({topic.topic_id: topic for topic in (*corrections.topics, *topics)}.values())
        curated = partial(
            curate,
            chunks=chunks,
            topics=topics,
            count_tokens=TokenCounter(alas.student(domain).folder).count,
            teacher=author,
            iteration=step.cell.number,
        )
        aside = curated(reviewed.set_aside, [], guards=[])
        earlier = standing([*before, reviewed.mark(QA_SCHEMA.to_frame(), aside)])[:-1]
        taught = {fact for table in earlier for fact in table.filter("accepted")["fact_id"].unique()} - lost_since(earlier, retired)
        readings = [*earlier_readings(alas, curriculum_seed), documents]
        # what an earlier model knew, the base student that is trained anew after a takedown may not know
        told = domain.thresholds.ask_first and not curriculum_seed.retrain
        pairs = curate_with_corrections(
            curated,
            corrections.reviewed.drafts,
            own.drafts,
            rejected,
            before=Before(earlier, taught, found_known(before, readings, partial(stored_text, alas)) if told else frozenset(), retired),
            guards=[*guards_of(alas, domain), *neighbours_of(alas, domain)],
            consensus=domain.consensus,
            primary_hosts=domain.sources.trusted_hosts,
            facts_per_topic=budget.pairs_per_topic,
            embed=partial(alas.embed, domain),
        )
        if domain.thresholds.ask_first:
            pairs = mark_known(pairs, known_facts(asked_first(step, curriculum_seed, pairs)))
        return Made(reviewed.mark(pairs, aside), volatile=("retrieved_at",))

    def describe(pairs: pl.DataFrame) -> dict[str, object]:
        accepted = pairs.filter("accepted")
        rejected = pairs.filter(~pl.col("accepted"))
        disputes = dispute_table(pairs, earlier_pairs(alas, curriculum_seed, pairs))
        return {
            "facts": accepted["fact_id"].n_unique(),
            "pairs": accepted.height,
            "rejected": rejected.height,
            "rejected_by_reason": show.table(reasons(pairs), rows=40),
            **teacher_costs(step, "write", "paraphrase"),
            "facts_by_support": show.counts(accepted.unique("fact_id"), "support"),
            "disputes": disputes.height,
            "disputed": show.table(disputes, rows=20, asset="qa_pairs"),
            "reviewed": show.table(
                pairs.filter(pl.col("review") != ""), ["question", "answer", "accepted", "review"], rows=30, asset="qa_pairs"
            ),
            "decisions_without_a_pair": len(decisions_without_a_pair(decisions, pairs)),
            "pairs_by_role": show.counts(accepted, "role"),
            "pairs_by_category": show.counts(accepted, "category"),
            "dagster/row_count": pairs.height,
            **columns.described("qa_pairs", QA_SCHEMA),
            "sample": show.table(accepted.unique("fact_id", maintain_order=True), SAMPLED, asset="qa_pairs"),
            "sample_rejected": show.table(rejected, ["question", "answer", "quote", "reason"], asset="qa_pairs"),
            "coverage": show.table(coverage(pairs, chunks_of(alas, step.cell)), rows=20, asset="qa_pairs"),
        }

    settings = {
        "teacher": decides(domain, "write"),
        "context": domain.context,
        "seed": domain.seed,
        "pairs_per_topic": budget.pairs_per_topic,
        "phrasings": domain.thresholds.phrasings,
        "consensus": domain.consensus.model_dump(mode="json"),
        "primary_hosts": domain.sources.trusted_hosts,
        "student": [domain.student.model, domain.student.revision, domain.student.accumulate, *_asked_first(alas, domain)],
        "embedder": domain.student.embedder,
        "ask_first": DECODING.model_dump(mode="json") if domain.thresholds.ask_first else False,
        "guards": _guard_versions(alas, domain),
        "review": decisions_hash(decisions),
    }
    return step.run(pl.DataFrame, make, describe, settings=settings)


def _asked_first(alas: Alas, domain: Domain) -> list[str]:
    """Return which base student says what it knows already; none where a name and a revision tell, or where nobody is asked (S5)."""
    return [alas.student(domain).base_hash] if domain.thresholds.ask_first and is_folder(domain.student.model) else []


def asked_first(step: Step, seed: Seed, pairs: pl.DataFrame) -> pl.DataFrame:
    """Ask the model that training starts from the held-out wordings, and grade by rule: a fact is known only if all are right (P4).

    The answers are kept under their content key, so that `baseline_scores` does not ask the same again (O4).
    """
    held_out = build_probes(pairs, [], [], [], step.cell.number)
    if held_out.is_empty():
        return ANSWER_SCHEMA.to_frame()
    warm = step.domain.student.accumulate == "warm-start" and not seed.retrain
    current = seed.inherited.current_adapter if warm else None
    said = answers_of(step, held_out, "previous" if current else "base", adapter=current)
    return grade_answers(held_out, said, step.teacher, by_rule=("probe",))


@loop_asset("4", kinds={"parquet"})
def probes(
    context: dg.AssetExecutionContext, alas: Alas, curriculum_seed: Seed, documents: pl.DataFrame, qa_pairs: pl.DataFrame
) -> dg.MaterializeResult[pl.DataFrame]:
    """Questions that are never trained on: held-out phrasings, earlier iterations, guards and neighbours (E1, G2)."""
    step = Step(context, alas)
    domain = step.domain

    def make(_: str) -> Made[pl.DataFrame]:
        guards, neighbours = guards_of(alas, domain), neighbours_of(alas, domain)
        retired = retired_facts(alas, curriculum_seed, documents)
        tables = [*earlier_tables(alas, curriculum_seed.inherited.qa_hashes, "qa_pairs"), as_pairs(qa_pairs)]
        if not guards:
            raise StageError(f"{alas.settings.data / 'guards' / domain.guard_file} holds no question; the gate cannot work without")
        return Made(
            build_probes(
                qa_pairs,
                guards,
                neighbours,
                earlier_tables(alas, curriculum_seed.inherited.probe_hashes, "probes"),
                step.cell.number,
                retired_facts=retired | lost_since(standing(tables), retired),
                overruled=overruled(tables),
                unknown=unanswerable_probes(alas, step.cell, curriculum_seed, qa_pairs),
            )
        )

    def describe(table: pl.DataFrame) -> dict[str, object]:
        own, unknown = (table.filter(pl.col("split") == split) for split in ("probe", UNKNOWN))
        overlap = median_overlap(table)
        return {
            "probes": own.height,
            "facts": own["fact_id"].n_unique(),
            "by_split": show.counts(table, "split"),
            "median_word_overlap": overlap if overlap is not None else "no probe",
            "dagster/row_count": table.height,
            **columns.described("probes", PROBE_SCHEMA),
            "sample": show.table(own, ["question", "answer", "template", "overlap", "url"], asset="probes"),
            **({"sample_unknown": show.table(unknown, ["question", "answer", "template"], asset="probes")} if unknown.height else {}),
        }

    settings = {"guards": _guard_versions(alas, domain), **unknown_settings(alas, domain)}
    return step.run(pl.DataFrame, make, describe, settings=settings)


def leaks_of(
    alas: Alas, cell: Cell, probes: pl.DataFrame, qa_pairs: pl.DataFrame, seed: Seed, documents: pl.DataFrame
) -> tuple[list[str], int]:
    """Return in words which of a cell's questions are among the rows that it may train on, and how many such rows there are (S8)."""
    domain = alas.domain(cell.domain)
    earlier = earlier_pairs(alas, seed, qa_pairs)
    unknown = unanswerable_rows(alas, cell, seed, qa_pairs)
    guards = [*guards_of(alas, domain), *neighbours_of(alas, domain)]
    rows = at_risk(qa_pairs, earlier, replay_of(alas, domain), guards, retired_facts(alas, seed, documents), unknown)
    named = {"guard": domain.guard_file, "neighbour": domain.neighbour_file}
    files = {split: alas.settings.question_file("guards", name) for split, name in named.items() if name}
    return [leak.words(files) for leak in find_leaks(probes, rows)], rows.height


def leaks_in_words(leaks: list[str]) -> str:
    """Say how many questions leak, and which the first of them are."""
    return f"{counted(len(leaks), 'leak')}: {'; '.join(leaks[:3])}"


@dg.asset_check(
    asset=probes,
    additional_ins={name: dg.AssetIn(name) for name in ("qa_pairs", "curriculum_seed", "documents")},
    partitions_def=cells,
    blocking=True,
    description="No probe and no guard question is among the training rows, in these or nearly these words.",
)
def no_leaks(
    context: dg.AssetCheckExecutionContext,
    alas: Alas,
    probes: pl.DataFrame,
    qa_pairs: pl.DataFrame,
    curriculum_seed: Seed,
    documents: pl.DataFrame,
) -> dg.AssetCheckResult:
    """Stop the cell before it trains on what it is going to be asked (S8)."""
    leaks, rows = leaks_of(alas, cell_of(context.partition_key), probes, qa_pairs, curriculum_seed, documents)
    return dg.AssetCheckResult(
        passed=not leaks,
        description=leaks_in_words(leaks) if leaks else f"{counted(probes.height, 'question')}, none is among {rows} rows to train on",
        metadata={"leaks": len(leaks)},
    )


@dg.asset_check(
    asset=probes, partitions_def=cells, description="Probes are worded differently from what is trained: median overlap at most 0.6."
)
def probes_reworded(context: dg.AssetCheckExecutionContext, probes: pl.DataFrame) -> dg.AssetCheckResult:
    """Show how far the held-out wordings are from the nearest training row."""
    overlap = median_overlap(probes)
    if overlap is None:
        return dg.AssetCheckResult(passed=True, description=f"{context.partition_key} has no new fact to probe")
    return dg.AssetCheckResult(
        passed=overlap <= MAX_MEDIAN_OVERLAP,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"median word overlap with the nearest training row {overlap:.2f}, at most {MAX_MEDIAN_OVERLAP} wanted",
        metadata={"median_word_overlap": overlap},
    )


@dg.asset_check(
    asset=probes,
    partitions_def=cells,
    description="Every right answer, in each form that counts, is itself graded correct by rule, and short enough for the student to say.",
)
def right_answers_pass(context: dg.AssetCheckExecutionContext, alas: Alas, probes: pl.DataFrame) -> dg.AssetCheckResult:
    """Name the probes that no answer could pass: a model that says just what the page says would be marked wrong, or cut short (E3)."""
    student = alas.student(alas.domain(cell_of(context.partition_key).domain))
    answerable = probes.filter(pl.col("split") != UNKNOWN)
    problems = validate_grader(answerable.iter_rows(named=True))
    problems += cut_short(answerable, TokenCounter(student.folder).count, DECODING.max_new_tokens)
    words = "; ".join(problems[:3])
    return dg.AssetCheckResult(
        passed=not problems,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(problems)} cannot be passed: {words}"
        if problems
        else f"the right answers of {answerable.height} questions pass",
        metadata={"cannot_be_passed": len(problems)},
    )


@dg.asset_check(asset=qa_pairs, partitions_def=cells, description="The pages gave facts to teach.")
def facts_found(context: dg.AssetCheckExecutionContext, qa_pairs: pl.DataFrame) -> dg.AssetCheckResult:
    """Say when an iteration found nothing to teach, and why rows were rejected (S10)."""
    facts = qa_pairs.filter("accepted")["fact_id"].n_unique()
    rejected = qa_pairs.filter(~pl.col("accepted"))["reason"].value_counts(sort=True).head(1).to_dicts()
    common = f"; most rejected rows: {rejected[0]['reason']} ({rejected[0]['count']})" if rejected else ""
    cell = cell_of(context.partition_key)
    return dg.AssetCheckResult(
        passed=facts > 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{facts} facts to teach in {cell}{common}",
        metadata={"facts": facts},
    )


@dg.asset_check(asset=qa_pairs, partitions_def=cells, description="Every pair that a person edited is taught as edited.")
def edits_taught(context: dg.AssetCheckExecutionContext, qa_pairs: pl.DataFrame) -> dg.AssetCheckResult:
    """Name the edits that curation refused when all pairs were made: what was there before is taught no more either (S13)."""
    lost = edits_not_taught(as_pairs(qa_pairs))
    words = "; ".join(f"{question!r}: {reason}" for question, reason in lost.select("question", "reason").head(3).iter_rows())
    return dg.AssetCheckResult(
        passed=lost.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{lost.height} edited pairs are not taught: {words}" if lost.height else "no edit was refused",
        metadata={"not_taught": lost.height},
    )


@dg.asset_check(
    asset=qa_pairs,
    additional_ins={"curriculum_seed": dg.AssetIn("curriculum_seed")},
    partitions_def=cells,
    description="No two pages answer the same question differently.",
)
def no_disputes(context: dg.AssetCheckExecutionContext, alas: Alas, qa_pairs: pl.DataFrame, curriculum_seed: Seed) -> dg.AssetCheckResult:
    """Say how many facts pages disagree on, and name the first; `consensus.disputed` decides what becomes of them (R7)."""
    cell = cell_of(context.partition_key)
    disputes = dispute_table(qa_pairs, earlier_pairs(alas, curriculum_seed, qa_pairs))
    words = f"no two pages contradict each other in {cell}"
    if disputes.height:
        row, kept = disputes.row(0, named=True), alas.domain(cell.domain).consensus.disputed
        words = (
            f"disagreements between pages in {cell}: {disputes.height} (consensus.disputed: {kept}); the first: "
            f"{row['question']!r}: {row['answer']!r} by {row['url']}, {row['other_answer']!r} by {row['other_url']}"
        )
    return dg.AssetCheckResult(
        passed=disputes.is_empty(), severity=dg.AssetCheckSeverity.WARN, description=words, metadata={"disputes": disputes.height}
    )


@dg.asset_check(
    asset=qa_pairs,
    additional_ins={"curriculum": dg.AssetIn("curriculum")},
    partitions_def=cells,
    description="Where the domain asks for a [mix], categories are as it says and topics have like shares, within 10 points.",
)
def category_mix(context: dg.AssetCheckExecutionContext, alas: Alas, qa_pairs: pl.DataFrame, curriculum: Curriculum) -> dg.AssetCheckResult:
    """Show how far the accepted facts are from the mix that was asked for; no fact is dropped for it (S6)."""
    cell = cell_of(context.partition_key)
    wanted: dict[str, float] = {**alas.domain(cell.domain).mix.shares}
    facts = qa_pairs.filter("accepted")["fact_id"].n_unique()
    categories = deviations(qa_pairs, "category", wanted)
    names = {topic.topic_id: topic.name for topic in curriculum.topics}
    topics = deviations(qa_pairs, "topic_id", evenly(list(names))).with_columns(pl.col("value").replace(names))
    off = [*in_words(categories), *in_words(topics)] if wanted and facts else []
    within = f"within {TOLERANCE:.0%} of what is wanted" if wanted else "no [mix] is asked for"
    return dg.AssetCheckResult(
        passed=not off,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{facts} facts in {cell}: {'; '.join(off) if off else within}",
        metadata={"facts": facts, "categories": show.table(categories, rows=10), "topics": show.table(topics, rows=30)},
    )
