"""Assets `sft_adapter`, `preference_pairs` and `dpo_adapter` (T1-T5, D1-D3). The child that trains is `training`."""

import io
from functools import partial
from pathlib import Path
from typing import Any, Literal

import dagster as dg
import polars as pl
from pydantic import BaseModel

from alas_assets.defs import columns, show
from alas_assets.defs.costs import teacher_costs
from alas_assets.defs.earlier import earlier_pairs, retired_facts
from alas_assets.defs.judging import answers_of, graded, judge_settings
from alas_assets.defs.qa import guards_of, leaks_in_words, leaks_of, neighbours_of, replay_of, unanswerable_rows, unknown_settings
from alas_assets.defs.resources import Alas, Trainer
from alas_assets.defs.steps import Made, StageError, Step, loop_asset
from alas_assets.provenance.ids import file_hash
from alas_assets.provenance.store import ArtifactStore, holds, write_atomic
from alas_assets.records import PREFERENCE_SCHEMA, PROBE_SCHEMA, UNKNOWN, AdapterRef, Seed
from alas_assets.students.answering import Decoding
from alas_assets.synthesis.leaks import usable_replay
from alas_assets.synthesis.preferences import enough, mine_pairs
from alas_assets.synthesis.probes import mining_questions
from alas_assets.synthesis.questions import ReplayPrompt
from alas_assets.synthesis.replay import draw_replay, mean_vector
from alas_assets.synthesis.training_rows import amount_of, build_rows, rows_hash, rows_of_a_fact, standing_rows
from alas_assets.teachers.opening import decides
from alas_assets.training.spec import Recipe, TrainingSpec, finished_before


def replayed(step: Step, taught: pl.DataFrame, rows: int, recipe: Recipe, seed: int) -> list[tuple[ReplayPrompt, str]]:
    """Return replay prompts for so many rows with the base student's own answers; each answer is generated once and kept (T2)."""
    alas, domain = step.alas, step.domain
    guards = [*guards_of(alas, domain), *neighbours_of(alas, domain)]
    usable = usable_replay(replay_of(alas, domain), guards)
    spare = 8  # some answers come out empty and are left out
    centre = mean_vector(alas.embed(domain, taught["question"].to_list()))
    chosen = draw_replay(usable, alas.embed(domain, [prompt.prompt for prompt in usable]), centre, rows + spare, seed)
    prompts = {prompt.id: prompt.prompt for prompt in chosen}
    asked = pl.DataFrame(
        [{**dict.fromkeys(PROBE_SCHEMA.names()), "probe_id": i, "split": "replay", "question": text} for i, text in prompts.items()],
        schema=PROBE_SCHEMA,
    )
    raw = answers_of(step, asked, "base", adapter=None, decoding=Decoding(max_new_tokens=recipe.replay_tokens))
    said = dict(zip(raw["probe_id"], raw["text"], strict=True))
    return [(prompt, said[prompt.id]) for prompt in chosen]


def write_rows(step: Step, name: str, rows: pl.DataFrame) -> tuple[str, Path]:
    """Store the exact training rows under their content hash, for the manifest and the audit (T5)."""
    digest = rows_hash(rows)
    path = step.store.training_rows_path(name, digest)
    if not holds(path, digest):
        buffer = io.BytesIO()
        rows.write_parquet(buffer)
        write_atomic(path, buffer.getvalue())
    return digest, path


def run_training(
    step: Step,
    trainer: Trainer,
    *,
    kind: Literal["sft", "dpo"],
    key: str,
    rows: pl.DataFrame,
    recipe: Recipe,
    init_adapter: str | None,
    probes_hash: str,
) -> Made[AdapterRef]:
    """Train in a child process and store the adapter folder under its hash."""
    alas, domain, store = step.alas, step.domain, step.store
    student = alas.student(domain)
    digest, rows_path = write_rows(step, kind, rows)
    work = store.work(step.asset, key)
    spec = TrainingSpec(
        kind=kind,
        cell=str(step.cell),
        student_folder=student.folder,
        student_name=student.title,
        student_revision=student.revision,
        base_hash=student.base_hash,
        init_adapter=str(store.adapter(init_adapter)) if init_adapter else None,
        rows_file=str(rows_path),
        rows_hash=digest,
        probes_hash=probes_hash,
        output_dir=str(work / "adapter"),
        checkpoint_dir=str(work / "checkpoints"),
        recipe=recipe,
        beta=domain.thresholds.beta,
        seed=domain.seed,
        processes=1 if kind == "sft" and recipe.replay_kl else alas.settings.training_processes,
        extra={
            "input_key": key,
            "domain": domain.key,
            "iteration": step.cell.number,
            "init_adapter": init_adapter,
            # an export has this along, and an address inside somebody's network is nobody else's business; the ledger has it
            "teacher": {key: value for key, value in decides(domain, "plan", "write", "judge", "revise").items() if key != "url"},
        },
    )
    if (done := finished_before(spec, store.adapters)) is not None:
        step.context.log.info("this very training is already done, and its adapter in the store")
        report, adapter_hash = done.model_dump(mode="json"), done.adapter_hash
    else:
        alas.worker.close()  # the student in its memory, which the training loads once more
        report = trainer.train(step.context, f"alas_assets.training.{kind}", spec, work / "spec.json")
        adapter_hash = store.put_folder(store.adapters, Path(spec.output_dir))
    ref = AdapterRef(
        adapter_hash=adapter_hash,
        kind=kind,
        trained=True,
        base_hash=student.base_hash,
        rows_hash=digest,
        probes_hash=probes_hash,
        manifest_hash=file_hash(store.adapters / adapter_hash / "manifest.json"),
        steps=int(report["steps"]),
        tokens=int(report["tokens"]),
        seconds=float(report["seconds"]),
        resumed_from=int(report["resumed_from"]),
        loss_history=[(int(s), float(v)) for s, v in report["loss_history"]],
    )
    blobs = (f"artifacts/adapters/{adapter_hash}", f"rows/{rows_path.name}")
    phases = {f"seconds_{name}": round(float(value), 1) for name, value in dict(report.get("phases", {})).items()}
    return Made(ref, blobs=blobs, volatile=("seconds", "resumed_from"), notes=phases)


def untrained(kind: Literal["sft", "dpo"], adapter_hash: str, base_hash: str, probes_hash: str, reason: str) -> Made[AdapterRef]:
    """Return the reference of a step that was skipped for a stated reason; the adapter before it goes on."""
    return Made(
        AdapterRef(
            adapter_hash=adapter_hash, kind=kind, trained=False, reason=reason, base_hash=base_hash, rows_hash="", probes_hash=probes_hash
        )
    )


def describe_unknown(step: Step, ref: AdapterRef) -> dict[str, Any]:
    """Return how many of the exact training rows teach to decline, as a share of the rows of facts, beside what was asked for (S12)."""
    rows = step.store.read_training_rows("sft", ref.rows_hash)
    unknown = rows.filter(pl.col("kind") == UNKNOWN)
    facts = rows.filter(pl.col("kind").is_in(["fact", "rehearsal"])).height
    return {
        "unknown_rows": unknown.height,
        "unknown_share": round(unknown.height / facts, 4) if facts else 0.0,
        "unknown_share_wanted": step.domain.thresholds.unknown_share,
        "sample_unknown": show.table(unknown.unique("row_id", maintain_order=True), ["prompt", "completion", "row_id"]),
    }


def describe_untrained(store: ArtifactStore, ref: AdapterRef) -> dict[str, Any]:
    """Return how many of an adapter's rows it was not trained on: too long for the recipe, or held out to be measured (T3, T5)."""
    manifest = store.manifest(ref.adapter_hash) or {}
    return {"rows_left_out": len(manifest.get("left_out", [])), "rows_only_measured": len(manifest.get("dev_row_ids", []))}


def describe_adapter(step: Step) -> Any:
    """Return how an adapter is shown: what it learned from, how the loss went, where it lies."""

    def describe(ref: AdapterRef) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "adapter": ref.adapter_hash[:16] or "none",
            "trained": ref.trained,
            "reason": ref.reason or "trained",
            "base_hash": ref.base_hash[:16],
            "rows_hash": ref.rows_hash[:16],
            "probes_hash": ref.probes_hash[:16],
        }
        if ref.trained:
            from alas_assets.links import manifest_link
            from alas_assets.training.plots import loss_png

            shown |= {
                "steps": ref.steps,
                "tokens": ref.tokens,
                **describe_untrained(step.store, ref),
                "training_seconds": ref.seconds,
                "final_loss": ref.loss_history[-1][1] if ref.loss_history else float("nan"),
                "loss": show.picture(loss_png(ref.loss_history), f"training loss of {step.cell}"),
                "manifest": dg.MetadataValue.url(manifest_link(ref.adapter_hash)),
                "folder": dg.MetadataValue.path(str(step.store.adapters / ref.adapter_hash)),
                **(describe_unknown(step, ref) if ref.kind == "sft" and step.domain.thresholds.unknown_share else {}),
            }
        return shown

    return describe


@loop_asset("2", kinds={"python", "huggingface"}, pool="gpu")
def sft_adapter(
    context: dg.AssetExecutionContext,
    alas: Alas,
    trainer: Trainer,
    curriculum_seed: Seed,
    documents: pl.DataFrame,
    qa_pairs: pl.DataFrame,
    probes: pl.DataFrame,
) -> dg.MaterializeResult[AdapterRef]:
    """A LoRA adapter trained on the accepted pairs, earlier facts and the student's own general answers (T1, T2)."""
    step = Step(context, alas)
    domain = step.domain
    recipe = alas.recipe(domain)
    heir = curriculum_seed.inherited

    def make(key: str) -> Made[AdapterRef]:
        probes_hash = step.inputs()["probes"]
        anew = bool(curriculum_seed.retrain)
        earlier = earlier_pairs(alas, curriculum_seed, qa_pairs)
        retired = retired_facts(alas, curriculum_seed, documents)
        facts = qa_pairs.filter(pl.col("accepted") & (pl.col("role") == "train"))
        if anew:
            facts = pl.concat([facts, standing_rows(qa_pairs, earlier, retired)])
        if facts.is_empty():
            base, none = alas.student(domain).base_hash, "no fact stands after the takedown" if anew else "no new fact was found"
            return untrained("sft", heir.current_adapter or "", base, probes_hash, f"{none}: nothing is trained")
        # the check blocks only within a run that holds it, and this asset can be materialised by itself
        if leaks := leaks_of(alas, step.cell, probes, qa_pairs, curriculum_seed, documents)[0]:
            raise StageError(
                f"{leaks_in_words(leaks)}; nothing is trained on what is asked: mend what is named, and materialise `probes` again"
            )
        fresh = anew or domain.student.accumulate == "fresh"
        rehearsal = None if fresh else recipe.rehearsal_per_fact
        build = partial(
            build_rows,
            qa_pairs,
            earlier,
            rehearsal_per_fact=rehearsal,
            rehearsal_most=None if fresh else recipe.rehearsal_most,
            iteration=step.cell.number,
            seed=domain.seed,
            cloze_repeat=recipe.cloze_repeat,
            word_dropout=recipe.word_dropout,
            telling_word_dropout=recipe.telling_word_dropout,
            batch_size=recipe.batch_size,
            retired_facts=retired,
            without_new=anew,
            unknown=unanswerable_rows(alas, step.cell, curriculum_seed, qa_pairs),
            unknown_share=domain.thresholds.unknown_share,
        )
        amount = amount_of(
            lambda alike: build([], replay_share=0.0, rehearse_alike=alike).height,
            rows_per_fact=rows_of_a_fact(facts, recipe.cloze_repeat),
            passes=recipe.passes,
            min_sights=recipe.min_sights,
            min_steps=recipe.min_steps,
            batch_size=recipe.batch_size * recipe.gradient_accumulation,
            replay_share=recipe.replay_share,
        )
        replay = replayed(step, facts, amount.replays, recipe, domain.seed + step.cell.number)
        rows = build(replay, replay_share=recipe.replay_share, passes=amount.passes, rehearse_alike=amount.rehearse_alike)
        return run_training(
            step,
            trainer,
            kind="sft",
            key=key,
            rows=rows,
            recipe=recipe,
            init_adapter=None if fresh else heir.current_adapter,
            probes_hash=probes_hash,
        )

    settings = {
        "student": domain.student.model_dump(mode="json"),
        "recipe": recipe.model_dump(mode="json"),
        "replay": file_hash(alas.settings.question_file("replay", domain.replay_file)),
        "seed": domain.seed,
    }
    if domain.thresholds.unknown_share:
        settings |= {"unknown_share": domain.thresholds.unknown_share, **unknown_settings(alas, domain)}

    def still_good(ref: BaseModel) -> bool:  # what lies in the student's folder is not in the settings
        return isinstance(ref, AdapterRef) and ref.base_hash == alas.student(domain).base_hash

    return step.run(AdapterRef, make, describe_adapter(step), settings=settings, still_good=still_good)


@loop_asset("5", kinds={"parquet"})
def preference_pairs(
    context: dg.AssetExecutionContext, alas: Alas, qa_pairs: pl.DataFrame, sft_adapter: AdapterRef
) -> dg.MaterializeResult[pl.DataFrame]:
    """Chosen and rejected answers, mined where the SFT candidate is wrong on questions that decide no promotion (D1, D2)."""
    step = Step(context, alas)

    def make(_: str) -> Made[pl.DataFrame]:
        if not sft_adapter.trained:
            return Made(PREFERENCE_SCHEMA.to_frame())
        asked = mining_questions(qa_pairs, step.cell.number)
        if asked.is_empty():  # all standing facts were taught anew after a takedown, and none is new
            return Made(PREFERENCE_SCHEMA.to_frame())
        answers = graded(step, asked, answers_of(step, asked, "sft", adapter=sft_adapter.adapter_hash))
        return Made(mine_pairs(answers.value, qa_pairs), final=answers.final)

    def describe(pairs: pl.DataFrame) -> dict[str, Any]:
        accepted = pairs.filter("accepted")
        return {
            "pairs": accepted.height,
            "filtered": pairs.height - accepted.height,
            "by_reason": show.counts(pairs, "reason"),
            **teacher_costs(step, "judge"),
            "dagster/row_count": pairs.height,
            **columns.described("preference_pairs", PREFERENCE_SCHEMA),
            "sample": show.table(pairs, ["question", "chosen", "rejected", "accepted", "reason"]),
        }

    return step.run(pl.DataFrame, make, describe, settings=judge_settings(step))


@loop_asset("1", kinds={"python", "huggingface"}, pool="gpu")
def dpo_adapter(
    context: dg.AssetExecutionContext, alas: Alas, trainer: Trainer, sft_adapter: AdapterRef, preference_pairs: pl.DataFrame
) -> dg.MaterializeResult[AdapterRef]:
    """The SFT candidate corrected by DPO on its own errors; with too few errors it goes on as it is (D3)."""
    step = Step(context, alas)
    domain = step.domain
    recipe = alas.recipe(domain)

    def make(key: str) -> Made[AdapterRef]:
        pairs = preference_pairs.filter("accepted")
        reason = sft_adapter.reason if not sft_adapter.trained else enough(preference_pairs, recipe.dpo.min_pairs)
        if reason is not None:
            return untrained("dpo", sft_adapter.adapter_hash, sft_adapter.base_hash, sft_adapter.probes_hash, reason)
        return run_training(
            step,
            trainer,
            kind="dpo",
            key=key,
            rows=pairs,
            recipe=recipe,
            init_adapter=sft_adapter.adapter_hash,
            probes_hash=sft_adapter.probes_hash,
        )

    settings = {"recipe": recipe.dpo.model_dump(mode="json"), "beta": domain.thresholds.beta, "seed": domain.seed}
    return step.run(AdapterRef, make, describe_adapter(step), settings=settings)
