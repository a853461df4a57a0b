"""Assets `curriculum_seed` (the feedback port) and `curriculum` (P1-P3, V1). Planning itself is in `planning`."""

from collections import Counter
from collections.abc import Sequence
from urllib.parse import urldefrag

import dagster as dg
import polars as pl
from pydantic import BaseModel

from alas_assets.defs import show
from alas_assets.defs.costs import teacher_costs
from alas_assets.defs.earlier import earlier_tables
from alas_assets.defs.lineage import ancestors, taught_before
from alas_assets.defs.looks import take_note
from alas_assets.defs.resources import Alas
from alas_assets.defs.retraining import retrained_by
from alas_assets.defs.steps import Made, StageError, Step, loop_asset
from alas_assets.partitions import cell_key
from alas_assets.planning.convergence import left_over
from alas_assets.planning.seed import first_seed, next_seed
from alas_assets.planning.syllabus import plain_name, plan_curriculum, shortage
from alas_assets.provenance.blocked.order import TAKEN_DOWN
from alas_assets.provenance.changes import pages_for, take_up
from alas_assets.provenance.store import ArtifactStore, Cell
from alas_assets.records import Curriculum, Inherited, PageOutline, RevisedCurriculum, Seed
from alas_assets.retrieval.finding.gather import with_key
from alas_assets.retrieval.study import survey
from alas_assets.students.answering import trained_on_another
from alas_assets.synthesis.standing import latest_texts, left_alone
from alas_assets.synthesis.writing import never_studied
from alas_assets.teachers.opening import decides
from alas_assets.wording import counted

CAUSE_TAG = "alas/because"
_PAGES_SHOWN = 30


def inherited(alas: Alas, cell: Cell) -> Inherited:
    """Collect what the cell takes over from the domain's earlier iterations, by content hash.

    A cell that is made again takes over the adapter that it took over before, as long as nothing else is another, the student neither:
    what was promoted since is its own, or later.
    """
    found = _found(alas, cell)
    pointer = alas.store.pointer(cell, "curriculum_seed")
    if pointer is None:
        return found
    before = alas.store.read_record(Seed, pointer).inherited
    retired = {adapter for entry in alas.registry.history(cell.domain) for adapter in entry.retired}
    same = before == found.model_copy(update={"current_adapter": before.current_adapter})
    usable = before.current_adapter not in retired and not of_another_student(alas, cell.domain, before.current_adapter)
    return before if same and usable else found


def of_another_student(alas: Alas, domain: str, adapter: str | None) -> str:
    """Return why an adapter cannot be gone on from since the domain's student is another one, and what to do; "" where it can."""
    folder = alas.store.adapters / adapter if adapter else None
    if folder is None or not folder.is_dir():  # one that is gone is told of where it is to be used
        return ""
    student = alas.student(alas.domain(domain))
    return trained_on_another(folder, student.name, student.base_hash)


def _found(alas: Alas, cell: Cell) -> Inherited:
    store, earlier = alas.store, taught_before(alas, cell)
    plans = [store.read_record(Curriculum, p) for c in earlier if (p := store.pointer(c, "curriculum"))]
    revisions = [store.read_record(RevisedCurriculum, p) for c in earlier if (p := store.pointer(c, "revised_curriculum"))]
    planned = [topic for plan in plans for topic in plan.topics]
    qa_hashes = _hashes(store, earlier, "qa_pairs")
    pairs = earlier_tables(alas, qa_hashes, "qa_pairs")
    left = left_over(pairs)
    left_names = {plain_name(topic.name) for topic in planned if topic.topic_id in left}  # who knows half of a topic has not mastered it
    covered = {topic.topic_id for topic in planned} - never_studied(pairs) - left
    covered |= {dropped for plan in plans for dropped, kept in plan.merged_ids if kept in covered}
    return Inherited(
        current_adapter=_current_before(alas, cell),
        qa_hashes=qa_hashes,
        probe_hashes=_hashes(store, earlier, "probes"),
        document_hashes=_hashes(store, earlier, "documents"),
        mastered=sorted({name for revision in revisions for name in revision.mastered if plain_name(name) not in left_names}),
        covered_urls=sorted({url for topic in planned for url in topic.urls}),
        covered_topics=sorted(covered),
        accuracy_history=[revision.accuracy for revision in revisions if revision.accuracy is not None],
    )


def _current_before(alas: Alas, cell: Cell) -> str | None:
    """Return the adapter that is current, or was before this very cell promoted its own."""
    newest = alas.registry.newest(cell.domain)
    return newest.previous if newest and newest.iteration == cell.number else alas.registry.current(cell.domain)


def _hashes(store: ArtifactStore, cells: list[Cell], asset: str) -> list[str]:
    return [pointer.hash for cell in cells if (pointer := store.pointer(cell, asset))]


def seed_of(alas: Alas, cell: Cell, cause: str, changed: Sequence[str]) -> Seed:
    """Return where an iteration starts: the domain file where nothing came before it, else the previous revision.

    Args:
        alas: The resource.
        cell: The iteration; it need not be opened yet.
        cause: Why it is opened.
        changed: The pages whose change it is for; the first iteration studies every page anyway.

    Raises:
        StageError: The iteration before it has no revision.
    """
    previous = next(reversed(ancestors(alas, cell)), None)
    anew = {"retrain": retrained_by(alas, cell)}
    if previous is None:
        return first_seed(alas.domain(cell.domain), cause, cell.number).model_copy(update=anew)
    revision = alas.store.pointer(previous, "revised_curriculum")
    if revision is None:
        raise StageError(f"{cell} has no seed yet: revised_curriculum of {previous} is not there; materialise that iteration first")
    revised = alas.store.read_record(RevisedCurriculum, revision)
    heir = inherited(alas, cell)
    if anew["retrain"]:  # what other pages state too is written from there now
        changed = list(dict.fromkeys([*changed, *left_alone(earlier_tables(alas, heir.qa_hashes, "qa_pairs"))["url"].to_list()]))
    seed = next_seed(alas.domain(cell.domain), revised, revision.hash, heir, cause, changed, cell.number)
    return seed.model_copy(update={**anew, "since_cause": 1} if anew["retrain"] else anew)


@loop_asset("3", automated=False, kinds={"json"})
def curriculum_seed(context: dg.AssetExecutionContext, alas: Alas) -> dg.MaterializeResult[Seed]:
    """Where the iteration starts: the domain file at 000, the previous revision later.

    This is the one place that steps outside the graph: an asset cycle cannot be expressed in Dagster. The revision it
    read, and the run that made it, are in the metadata.
    """
    step = Step(context, alas)
    cell, domain, store = step.cell, step.domain, step.store
    cause = context.run.tags.get(CAUSE_TAG, "materialised by hand")
    previous = next(reversed(ancestors(alas, cell)), None)
    revision = store.pointer(previous, "revised_curriculum") if previous else None
    changed = pages_for(store.root, cell, opened=store.pointer(cell, "curriculum_seed") is not None)

    def make(_: str) -> Made[Seed]:
        seed = seed_of(alas, cell, cause, changed)
        if why := of_another_student(alas, cell.domain, seed.inherited.current_adapter):
            raise StageError(why)  # before anything is fetched or paid for that could not be trained on
        take_up(store.root, cell, changed)
        return Made(seed, volatile=("cause",))

    def still_good(seed: BaseModel) -> bool:
        return isinstance(seed, Seed) and not of_another_student(alas, cell.domain, seed.inherited.current_adapter)

    def describe(seed: Seed) -> dict[str, object]:
        shown: dict[str, object] = {
            "cause": seed.cause,
            "seed_urls": dg.MetadataValue.json(seed.seed_urls),
            "changed_pages": dg.MetadataValue.json(seed.changed_pages),
            "weak_topics": len(seed.weak_topics),
            "next_topics": len(seed.next_topics),
            "half_studied_topics": len(left_over(earlier_tables(alas, seed.inherited.qa_hashes, "qa_pairs"))),
            "current_adapter": seed.inherited.current_adapter or "none yet",
            **({"trained_anew_after": dg.MetadataValue.json(seed.retrain)} if seed.retrain else {}),
            "earlier_iterations": len(seed.inherited.qa_hashes),
        }
        if previous and revision:
            shown |= {
                "revised_from": f"revised_curriculum {cell_key(previous)} {revision.hash[:12]}",
                "revision_run": dg.MetadataValue.dagster_run(revision.run_id),
            }
        return shown

    settings = {
        "cell": str(cell),
        "description": domain.description,
        "seed_topics": domain.seed_topics,
        "seed_urls": domain.sources.seed_urls,
        "revision": revision.hash if revision else None,
        "changed_pages": changed,
        **({"retrain": anew} if (anew := retrained_by(alas, cell)) else {}),
    }
    return step.run(Seed, make, describe, settings=settings, still_good=still_good)


def read_differently(alas: Alas, seed: Seed, outlines: list[PageOutline]) -> list[str]:
    """Return the surveyed pages whose text is not the one that was last studied; pages that were never studied are not among them."""
    studied = latest_texts(earlier_tables(alas, seed.inherited.document_hashes, "documents"))
    return [page.url for page in outlines if studied.get(page.url, page.text_sha256) != page.text_sha256]


def in_no_topic(plan: Curriculum, seed: Seed) -> list[str]:
    """Return the surveyed pages that no topic names, of this plan or of an earlier one, in the order of the survey: nobody studies them."""
    named = {urldefrag(url).url for topic in (*plan.topics, *plan.deferred) for url in topic.urls}
    named.update(urldefrag(url).url for url in seed.inherited.covered_urls)
    return [url for url in plan.found_by if urldefrag(url).url not in named]


@loop_asset("3", kinds={"json"})
def curriculum(context: dg.AssetExecutionContext, alas: Alas, curriculum_seed: Seed) -> dg.MaterializeResult[Curriculum]:
    """The ordered syllabus of this iteration: topics from the surveyed pages, weak ones first, within the budget."""
    step = Step(context, alas)
    domain, budget = step.domain, step.domain.budget

    def make(_: str) -> Made[Curriculum]:
        alas.require_usable_student(domain)  # the student is used first after a teacher has planned and written
        watched, unread = take_note(alas, step.cell)
        anew = bool(curriculum_seed.retrain)
        standing = curriculum_seed.inherited.covered_urls if anew else []  # what led to them may have been taken down
        outlines, failures = survey(domain, step.store, also=[*curriculum_seed.changed_pages, *watched, *standing])
        if not outlines:
            reasons = "; ".join(with_key(url, reason, domain.sources) for url, reason in failures[:3])
            raise StageError(f"no page of {domain.key} could be surveyed: {reasons}. Check what [sources] names in the domain file")
        proposed = step.teacher.plan(domain.description, curriculum_seed.seed_topics, outlines)

        def planned(changed: list[str]) -> Curriculum:
            return plan_curriculum(
                curriculum_seed,
                proposed,
                embed=lambda texts: alas.embed(domain, texts),
                changed=changed,
                min_topics=budget.min_topics,
                max_topics=budget.max_topics,
            )

        plan = planned(read_differently(alas, curriculum_seed, outlines))
        if anew and not plan.topics:  # nothing is new, and what stands is taught anew all the same
            plan = planned([page.url for page in outlines])
        return Made(
            plan.model_copy(
                update={
                    "failed_urls": failures,
                    "unread_sources": unread,
                    "found_by": {outline.url: outline.found_by for outline in outlines},
                    "teacher": f"{step.teacher.name} {step.teacher.version}",
                }
            ),
            volatile=("found_by",),
            final=all(reason.startswith(TAKEN_DOWN) for _, reason in failures) and not unread,
        )

    def describe(plan: Curriculum) -> dict[str, object]:
        left_out = in_no_topic(plan, curriculum_seed)
        rows = pl.DataFrame(
            [
                {"topic": t.name, "difficulty": t.difficulty, "origin": t.origin, "prerequisites": t.prerequisites, "url": " ".join(t.urls)}
                for t in plan.topics
            ],
            schema={
                "topic": pl.String,
                "difficulty": pl.String,
                "origin": pl.String,
                "prerequisites": pl.List(pl.String),
                "url": pl.String,
            },
        )
        return {
            "topics": len(plan.topics),
            "deferred": len(plan.deferred),
            "merged": dg.MetadataValue.json([list(pair) for pair in plan.merged]),
            "broken_cycles": dg.MetadataValue.json(plan.broken_cycles),
            "changed_pages": dg.MetadataValue.json(plan.changed_pages),
            "pages_found_by": dg.MetadataValue.json(dict(Counter(way.partition(" ")[0] for way in plan.found_by.values()))),
            "pages_in_no_topic": len(left_out),
            "pages_in_no_topic_are": dg.MetadataValue.json(left_out[:_PAGES_SHOWN]),
            "pages_not_surveyed": dg.MetadataValue.json([list(pair) for pair in plan.failed_urls]),
            "syllabus": show.table(rows, rows=20, asset="curriculum"),
            "planned_by": plan.teacher,
            **teacher_costs(step, "plan", "probe"),
        }

    settings = {
        "sources": domain.sources.what(),
        "budget": budget.what(),
        "teacher": decides(domain, "plan"),
        "context": domain.context,
        "embedder": domain.student.embedder,
    }
    return step.run(Curriculum, make, describe, settings=settings)


@dg.asset_check(asset=curriculum, partitions_def=curriculum.partitions_def, description="The plan has at least min_topics topics.")
def enough_topics(context: dg.AssetCheckExecutionContext, alas: Alas, curriculum: Curriculum) -> dg.AssetCheckResult:
    """Say in words when the plan is shorter than the domain asks for (P1)."""
    wanted = alas.domain(curriculum.domain).budget.min_topics
    problem = shortage(curriculum, wanted)
    return dg.AssetCheckResult(
        passed=problem is None,
        severity=dg.AssetCheckSeverity.WARN,
        description=problem or f"{counted(len(curriculum.topics), 'topic')}, at least {wanted} wanted",
    )
