"""One cell of a study: a training with one recipe on one draw of facts, and what the student can do then (T6, E1).

    .venv/bin/python bench/recipe/cell.py STORE '{"study": "rate", "facts": 48, "recipe": {"learning_rate": 1e-3}}'

Prints one JSON row. The store is read; answers and adapters go into the folder `study` beside it, so that a cell that was
killed goes on from its checkpoint.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl
from facts import Half, asked, drawn, half_of, one_trained, worded
from pydantic import BaseModel, ConfigDict, Field

from alas_assets.defs.documents import cell_tags, chunk_store
from alas_assets.defs.judging import DECODING
from alas_assets.defs.qa import guards_of, neighbours_of, replay_of
from alas_assets.defs.resources import Alas
from alas_assets.domains.config import Domain
from alas_assets.evaluation.answers import AnswerStore, ask_all, grade_answers
from alas_assets.provenance.ids import content_hash, folder_hash
from alas_assets.provenance.store import Cell, write_atomic
from alas_assets.records import PROBE_SCHEMA
from alas_assets.retrieval.open_book import Contexts, find_contexts
from alas_assets.students.answering import Decoding
from alas_assets.students.catalog import StudentRef
from alas_assets.students.client import ModelWorker
from alas_assets.synthesis.leaks import usable_replay
from alas_assets.synthesis.preferences import mine_pairs
from alas_assets.synthesis.probes import build_probes, mining_questions
from alas_assets.synthesis.questions import ReplayPrompt
from alas_assets.synthesis.replay import draw_replay, mean_vector
from alas_assets.synthesis.training_rows import amount_of, build_rows, rows_hash, rows_of_a_fact
from alas_assets.teachers.extractive import ExtractiveTeacher
from alas_assets.training.spec import Recipe, TrainingResult, TrainingSpec, load_recipe, read_result

KEY = "python-3-15"
CVES = "cve-records"
BASE = Path(__file__).with_name("base.toml")


class Setting(BaseModel):
    """What a cell tries; what is left out is the default of the study."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    study: str
    domain: Literal["cve-records"] | None = Field(default=None, description="whose facts; None: those of the Python pages")
    half: Half = "choose"
    facts: int | None = Field(default=48, description="drawn by seed among those with all wordings; None: every accepted fact of the half")
    seed: int = 17
    training_seed: int | None = Field(default=None, description="where it is not the seed of the draw of facts")
    wordings: int = Field(default=4, ge=1, le=4, description="recorded questions of a fact that are trained on")
    gaps: int = Field(default=0, ge=0, le=4, description="sentences of the page with a gap that are trained on")
    told: bool = Field(
        default=False,
        exclude_if=lambda told: not told,  # a row without it has the name that it had before
        description="also train on the recorded sentence that answers, with a gap",
    )
    base: Literal["smollm2-135m"] = "smollm2-135m"
    recipe: dict[str, Any] = Field(default_factory=dict, description="what differs from the base recipe")

    @property
    def name(self) -> str:
        """Names the cell's folder: what decides the adapter."""
        deciding = self.model_dump(mode="json", exclude={"study"}, exclude_none=True)
        return content_hash(deciding)[:16]


class Bench:
    """The store that the facts come from, and the student, asked by one thread so that two cells can run side by side.

    Args:
        store: The store's folder.
        threads: CPU threads of training and answering.
        key: The domain whose pages, replay and neighbouring questions these are.
    """

    def __init__(self, store: Path, threads: int, key: str = KEY) -> None:
        self.alas, self.threads = Alas(home=str(store)), threads
        self.folder = store.parent / f"{store.name}-study"
        self.domain: Domain = self.alas.domain(key)
        self.student: StudentRef = self.alas.student(self.domain)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.worker = ModelWorker(self.folder / "worker.log", threads=threads)
        self.answers = AnswerStore(self.folder / "answers.sqlite")
        self.pairs = self.pairs_of(key)

    def pairs_of(self, key: str) -> pl.DataFrame:
        """Return the pairs that the store has of a domain (`QA_SCHEMA`)."""
        pointer = self.alas.store.pointer(Cell.of(key, 0), "qa_pairs")
        if pointer is None:
            sys.exit(f"{self.alas.home}: has no pairs of {key}; fill it as bench/recipe/README.md says")
        return self.alas.store.read_table(pointer)

    def embed(self, texts: list[str]) -> list[list[float]]:
        """Embed texts, each list once."""
        path = self.folder / f"vectors-{content_hash(texts)[:16]}.parquet"
        if not path.exists():
            buffer = io.BytesIO()
            pl.DataFrame({"vector": self.worker.embed(texts, self.domain.student.embedder)}).write_parquet(buffer)
            write_atomic(path, buffer.getvalue())  # a cell beside this one may embed the same
        return pl.read_parquet(path)["vector"].to_list()

    def passages(self, probes: pl.DataFrame) -> Contexts:
        """Find what retrieval shows for each question in all that the domain has read."""
        alas, cell = self.alas, Cell.of(self.domain.key, 0)
        return find_contexts(probes, chunk_store(alas, cell.domain), cell_tags(alas, cell), self.embed)

    def ask(
        self,
        probes: pl.DataFrame,
        system: str,
        adapter: Path | None,
        contexts: Contexts | None = None,
        decoding: Decoding = DECODING,
    ) -> pl.DataFrame:
        """Ask the student, what is not on record."""
        return ask_all(
            probes,
            system,
            lambda items: self.worker.answer(self.student, items, adapter, decoding),
            self.answers,
            base_hash=self.student.base_hash,
            adapter_hash=folder_hash(adapter) if adapter else "",
            contexts=contexts,
            decoding=decoding.model_dump(mode="json"),
        )

    def replay(self, taught: pl.DataFrame, rows: int, recipe: Recipe, seed: int) -> list[tuple[ReplayPrompt, str]]:
        """Return replay prompts with the base student's answers, drawn as the loop draws them."""
        usable = usable_replay(replay_of(self.alas, self.domain), self.guards)
        centre = mean_vector(self.embed(taught["question"].to_list()))
        chosen = draw_replay(usable, self.embed([prompt.prompt for prompt in usable]), centre, rows + 8, seed)
        prompts = {prompt.id: prompt.prompt for prompt in chosen}
        blank = dict.fromkeys(PROBE_SCHEMA.names())
        questions = [{**blank, "probe_id": i, "split": "replay", "question": text} for i, text in prompts.items()]
        decoding = Decoding(max_new_tokens=recipe.replay_tokens)
        raw = self.ask(pl.DataFrame(questions, schema=PROBE_SCHEMA), "base", None, decoding=decoding)
        said = dict(zip(raw["probe_id"], raw["text"], strict=True))
        return [(prompt, said[prompt.id]) for prompt in chosen]

    @property
    def guards(self) -> list[Any]:
        """The general and the neighbouring questions."""
        return [*guards_of(self.alas, self.domain), *neighbours_of(self.alas, self.domain)]

    def rows(self, recipe: Recipe, taught: pl.DataFrame, earlier: list[pl.DataFrame], seed: int) -> pl.DataFrame:
        """Return the training rows that the loop would build of these pairs; there are as many iterations before as earlier tables."""
        build = partial(
            build_rows,
            taught,
            earlier,
            rehearsal_per_fact=recipe.rehearsal_per_fact,
            rehearsal_most=recipe.rehearsal_most,
            iteration=len(earlier),
            seed=seed,
            cloze_repeat=recipe.cloze_repeat,
            word_dropout=recipe.word_dropout,
            telling_word_dropout=recipe.telling_word_dropout,
            batch_size=recipe.batch_size,
        )
        amount = amount_of(
            lambda alike: build([], replay_share=0.0, rehearse_alike=alike).height,
            rows_per_fact=rows_of_a_fact(taught, recipe.cloze_repeat),
            passes=recipe.passes,
            min_sights=recipe.min_sights,
            min_steps=recipe.min_steps,
            batch_size=recipe.batch_size,
            replay_share=recipe.replay_share,
        )
        replay = self.replay(taught, amount.replays, recipe, seed) if amount.replays else []
        return build(replay, replay_share=recipe.replay_share, passes=amount.passes, rehearse_alike=amount.rehearse_alike)

    def graded(self, probes: pl.DataFrame, adapter: Path | None, contexts: Contexts | None = None) -> pl.DataFrame:
        """Ask the student, with passages beside the question where there are some, and grade by rule (`ANSWER_SCHEMA`)."""
        raw = self.ask(probes, "sft" if adapter else "rag" if contexts else "base", adapter, contexts)
        return grade_answers(probes, raw, ExtractiveTeacher(), by_rule=probes["split"].unique().to_list())

    def right(self, probes: pl.DataFrame, adapter: Path | None, contexts: Contexts | None = None) -> dict[str, str]:
        """Ask and grade; return for each split a 1 or 0 for each probe, those of a fact side by side."""
        graded = self.graded(probes, adapter, contexts).sort("split", "fact_id", "probe_id")
        return {
            split: "".join("1" if label == "correct" else "0" for label in own["label"])
            for (split,), own in graded.group_by("split", maintain_order=True)
        }

    def preferences(self, pairs: pl.DataFrame, adapter: Path) -> pl.DataFrame:
        """Return what the loop mines for DPO where an adapter is wrong on the questions of role `mine` (`PREFERENCE_SCHEMA`)."""
        return mine_pairs(self.graded(mining_questions(pairs, 0), adapter), pairs)

    def train(
        self,
        name: str,
        recipe: Recipe,
        rows: pl.DataFrame,
        probes: pl.DataFrame,
        seed: int,
        init_adapter: Path | None = None,
        kind: Literal["sft", "dpo"] = "sft",
    ) -> TrainingResult:
        """Train in a child process as the loop does, in the folder `name`; a finished training is taken as it is."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        rows.write_parquet(folder / "rows.parquet")
        spec = TrainingSpec(
            kind=kind,
            cell=f"study|{name}",
            student_folder=self.student.folder,
            student_name=self.student.name,
            student_revision=self.student.revision,
            base_hash=self.student.base_hash,
            rows_file=str(folder / "rows.parquet"),
            rows_hash=rows_hash(rows),
            probes_hash=content_hash(probes["probe_id"].to_list()),
            output_dir=str(folder / "adapter"),
            checkpoint_dir=str(folder / "checkpoints"),
            recipe=recipe,
            init_adapter=str(init_adapter) if init_adapter else None,
            seed=seed,
            threads=self.threads,
        )
        result = read_result(spec.result_path)
        if result is None or not result.ok or result.spec_hash != spec.spec_hash:
            (folder / "spec.json").write_text(spec.model_dump_json(), encoding="utf-8")
            command = [sys.executable, "-m", f"alas_assets.training.{kind}", str(folder / "spec.json")]
            with (folder / "child.log").open("wb") as log:
                subprocess.run(command, check=True, stdout=log)
            result = read_result(spec.result_path)
        assert result is not None
        return result


def run(bench: Bench, setting: Setting) -> dict[str, Any]:
    """Run a cell and return its row."""
    recipe = Recipe.model_validate({**load_recipe(setting.base, BASE).model_dump(), **setting.recipe})
    pairs = half_of(bench.pairs, setting.half)
    if setting.facts is not None:
        pairs = drawn(pairs, setting.facts, setting.seed)
    taught = worded(pairs, setting.wordings, setting.gaps, setting.told)
    domain = bench.domain
    guards, neighbours = guards_of(bench.alas, domain), neighbours_of(bench.alas, domain)
    probes = build_probes(pl.concat([taught, asked(pairs)]), guards, neighbours, [], 0)
    seed = setting.seed if setting.training_seed is None else setting.training_seed
    rows = bench.rows(recipe, taught, [], seed)
    result = bench.train(setting.name, recipe, rows, probes, seed)
    right = bench.right(probes, bench.folder / setting.name / "adapter")
    before = bench.right(probes.filter(pl.col("split") == "probe"), None)["probe"]
    seen = bench.right(build_probes(one_trained(taught), [], [], [], 0), bench.folder / setting.name / "adapter")["probe"]
    return {
        "setting": setting.model_dump(mode="json"),
        "asked": content_hash(probes.sort("probe_id")["probe_id"].to_list())[:16],
        "scores": {split: [bits.count("1"), len(bits)] for split, bits in right.items()},
        "rows": rows.height,
        "steps": result.steps,
        "tokens": result.tokens,
        "train_seconds": round(result.phases.get("train", 0.0)),
        "threads": bench.threads,
        "precision": result.precision,
        "last_loss": round(sum(loss for _, loss in result.loss_history[-10:]) / max(1, len(result.loss_history[-10:])), 4),
        "base_probes_right": before.count("1"),
        "trained_wordings": [seen.count("1"), len(seen)],
        "right": right,
    }


if __name__ == "__main__":
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    asked_for = Setting.model_validate_json(sys.argv[2])
    ready = Bench(Path(sys.argv[1]).resolve(), threads, asked_for.domain or KEY)
    try:
        print(json.dumps(run(ready, asked_for)))
    finally:
        ready.worker.close()
