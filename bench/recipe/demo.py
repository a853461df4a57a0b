"""Train the demo's two iterations again with another recipe and print what each keeps (T6).

    .venv/bin/python bench/recipe/demo.py STORE '{"learning_rate": 5e-4, "passes": 4}'

STORE is that of a finished `make demo`; it is only read. Takes about as long as the demo's training and answering. Facts,
probes and guards are the demo's own; what came of the recipes that were tried stands in bench/recipe/demo.md.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from alas_assets.defs.judging import DECODING
from alas_assets.defs.qa import guards_of, neighbours_of, replay_of
from alas_assets.defs.resources import Alas
from alas_assets.evaluation.answers import RAW_SCHEMA, grade_answers
from alas_assets.provenance.store import Cell
from alas_assets.students.answering import AskItem
from alas_assets.synthesis.leaks import usable_replay
from alas_assets.synthesis.replay import draw_replay, mean_vector
from alas_assets.synthesis.training_rows import amount_of, build_rows, rows_hash, rows_of_a_fact
from alas_assets.training.spec import Recipe, TrainingSpec, load_recipe, read_result

DOMAIN = "python-releases"


def rows_of(alas: Alas, recipe: Recipe, pairs: pl.DataFrame, earlier: list[pl.DataFrame], iteration: int) -> pl.DataFrame:
    """Build the rows as `sft_adapter` does, with this recipe."""
    domain = alas.domain(DOMAIN)
    guards = [*guards_of(alas, domain), *neighbours_of(alas, domain)]
    options: dict[str, Any] = {
        "rehearsal_per_fact": recipe.rehearsal_per_fact,
        "seed": domain.seed,
        "cloze_repeat": recipe.cloze_repeat,
        "word_dropout": recipe.word_dropout,
        "batch_size": recipe.batch_size,
    }
    amount = amount_of(
        lambda alike: build_rows(pairs, earlier, [], replay_share=0.0, rehearse_alike=alike, **options).height,
        rows_per_fact=rows_of_a_fact(pairs, recipe.cloze_repeat),
        passes=recipe.passes,
        min_sights=recipe.min_sights,
        min_steps=recipe.min_steps,
        batch_size=recipe.batch_size,
        replay_share=recipe.replay_share,
    )
    usable = usable_replay(replay_of(alas, domain), guards)
    questions = pairs.filter(pl.col("accepted") & (pl.col("role") == "train"))["question"].to_list()
    centre = mean_vector(alas.embed(domain, questions))
    drawn = draw_replay(usable, alas.embed(domain, [p.prompt for p in usable]), centre, amount.replays + 8, domain.seed + iteration)
    unique = {prompt.id: prompt for prompt in drawn}
    said = alas.worker.answer(alas.student(domain), [AskItem(question=prompt.prompt) for prompt in unique.values()], None, DECODING)
    answers = dict(zip(unique, (answer.text for answer in said), strict=True))
    replay = [(prompt, answers[prompt.id]) for prompt in drawn]
    options |= {"passes": amount.passes, "rehearse_alike": amount.rehearse_alike}
    return build_rows(pairs, earlier, replay, replay_share=recipe.replay_share, **options)


def train(alas: Alas, recipe: Recipe, rows: pl.DataFrame, folder: Path, init: Path | None) -> dict[str, object]:
    """Train in a child process, as the loop does."""
    student = alas.student(alas.domain(DOMAIN))
    folder.mkdir()
    rows.write_parquet(folder / "rows.parquet")
    spec = TrainingSpec(
        kind="sft",
        cell=f"{DOMAIN}|{folder.name}",
        student_folder=student.folder,
        student_name=student.name,
        student_revision=student.revision,
        base_hash=student.base_hash,
        init_adapter=str(init) if init else None,
        rows_file=str(folder / "rows.parquet"),
        rows_hash=rows_hash(rows),
        probes_hash="bench",
        output_dir=str(folder / "adapter"),
        checkpoint_dir=str(folder / "checkpoints"),
        recipe=recipe,
        seed=alas.domain(DOMAIN).seed,
    )
    (folder / "spec.json").write_text(spec.model_dump_json(), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "alas_assets.training.sft", str(folder / "spec.json")], check=True, stdout=subprocess.DEVNULL)
    result = read_result(spec.result_path)
    assert result is not None
    return {"steps": result.steps, "seconds": round(result.phases["train"]), "tokens_per_second": result.tokens_per_second}


def scores(alas: Alas, probes: pl.DataFrame, adapter: Path) -> dict[str, str]:
    """Ask the adapter every probe and count what is right, by split."""
    domain = alas.domain(DOMAIN)
    said = alas.worker.answer(alas.student(domain), [AskItem(question=question) for question in probes["question"]], adapter, DECODING)
    raw = pl.DataFrame(
        [
            {**dict.fromkeys(("answer_id", "base_hash", "adapter_hash", "context_hash"), probe), "probe_id": probe, "system": "sft",
             "question": question, "text": answer.text, "error": answer.error, "context_chunks": [], "iteration": 0}
            for probe, question, answer in zip(probes["probe_id"], probes["question"], said, strict=True)
        ],
        schema=RAW_SCHEMA,
    )  # fmt: skip
    teacher = alas.teacher(domain)
    counted = grade_answers(probes, raw, teacher).group_by("split").agg(pl.len(), (pl.col("label") == "correct").sum())
    return {split: f"{correct}/{n}" for split, n, correct in sorted(counted.rows())}


def main(store: str, overrides: str) -> None:
    """Go through both iterations, each from the adapter before it."""
    recipe = Recipe.model_validate({**load_recipe("smollm2-135m").model_dump(), **json.loads(overrides)})
    alas = Alas(home=store)
    pairs, probes = (
        [alas.store.read_table(p) for n in (0, 1) if (p := alas.store.pointer(Cell.of(DOMAIN, n), asset))]
        for asset in ("qa_pairs", "probes")
    )
    if len(pairs) < 2 or len(probes) < 2:
        sys.exit(f"{store}: the demo's two iterations are not there; run ALAS_HOME={store} make demo first")
    with tempfile.TemporaryDirectory() as temporary:
        init = None
        for iteration in (0, 1):
            rows = rows_of(alas, recipe, pairs[iteration], pairs[:iteration], iteration)
            folder = Path(temporary) / str(iteration)
            done = train(alas, recipe, rows, folder, init)
            init = folder / "adapter"
            print(json.dumps({"iteration": iteration, **done, **scores(alas, probes[iteration], init)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "{}")
