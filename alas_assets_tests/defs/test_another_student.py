"""Nothing of one base student is taken for another's, wherever the change was made: in the domain file or in the student's folder."""

import json
import shutil
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from alas_assets.defs.running import open_cell
from alas_assets.partitions import cell_key, register_cell
from alas_assets.provenance.store import Cell
from alas_assets.records import FETCH_SCHEMA, QA_SCHEMA, AdapterRef, Record, Seed
from alas_assets.synthesis.probes import build_probes
from alas_assets.synthesis.questions import GuardQuestion
from alas_assets_tests.harness import Harness, Site
from alas_assets_tests.tiny import build_tiny_student

CELL = Cell.of("quill", 0)
CURRENT = "a" * 64


@pytest.fixture
def harness(tmp_path: Path, tiny_student: Path) -> Harness:
    """A store whose student lies in a folder of its own."""
    shutil.copytree(tiny_student, tmp_path / "student")
    harness = Harness(tmp_path, str(tmp_path / "student"))
    harness.domain("quill", 9)
    return harness


def made(harness: Harness, asset: str) -> bool:
    """Materialise an asset; return whether it was made, or else was unchanged."""
    job = harness.repository.get_job("iteration")
    result = job.execute_in_process(
        instance=harness.instance, partition_key=cell_key(CELL), asset_selection=[dg.AssetKey(asset)], raise_on_error=False
    )
    assert result.success
    (event,) = result.asset_materializations_for_node(asset)
    return not event.metadata["unchanged"].value


def test_another_model_in_the_students_folder_is_asked_and_trained_anew(harness: Harness) -> None:
    def put(asset: str, value: pl.DataFrame | Record) -> None:
        harness.store.put(CELL, asset, value, input_key=asset, inputs={}, run_id="r")

    def base() -> str:
        return harness.alas.student(harness.alas.domain("quill")).base_hash

    def trained() -> AdapterRef:
        return harness.store.read_record(AdapterRef, harness.pointers("quill")["sft_adapter"], "sft_adapter")

    def scored() -> pl.DataFrame:
        return harness.store.read_table(harness.pointers("quill")["judge_scores"], "judge_scores")

    register_cell(harness.instance, CELL)
    harness.opened("quill", 0)
    guards = [GuardQuestion(id=f"g{n}", question=f"What is {n} plus {n}?", answer=str(2 * n)) for n in range(3)]
    put("probes", build_probes(QA_SCHEMA.to_frame(), guards, [], [], 0))
    put("documents", FETCH_SCHEMA.to_frame())
    put("qa_pairs", QA_SCHEMA.to_frame())
    assert (made(harness, "sft_adapter"), made(harness, "sft_adapter")) == (True, False)
    first = trained()
    assert first.base_hash == base()
    put("sft_adapter", first.model_copy(update={"trained": True}))  # it learned nothing, so that it answers as the base student
    assert (made(harness, "judge_scores"), made(harness, "judge_scores")) == (True, False)
    assert set(scored()["base_hash"]) == {first.base_hash}

    shutil.rmtree(harness.student)
    build_tiny_student(Path(harness.student), 1)
    assert base() != first.base_hash
    assert made(harness, "judge_scores")
    assert set(scored()["base_hash"]) == {base()}
    assert made(harness, "sft_adapter")
    assert trained().base_hash == base()


def test_another_model_in_the_students_folder_is_asked_anew_what_it_knows(harness: Harness, quill_site: Site) -> None:
    harness.domain("quill", quill_site.port)
    assert harness.run("quill", dry_run=True).success
    assert harness.run("quill", dry_run=True).success
    assert harness.redone() == set()
    shutil.rmtree(harness.student)
    build_tiny_student(Path(harness.student), 1)
    assert harness.run("quill", dry_run=True).success
    assert "qa_pairs" in harness.redone()


def test_an_adapter_of_another_student_is_not_gone_on_from_and_a_rollback_is_the_way_out(harness: Harness, tmp_path: Path) -> None:
    harness.finished("quill", 0, "continue")
    folder = harness.store.adapters / CURRENT
    folder.mkdir(parents=True)
    base = harness.alas.student(harness.alas.domain("quill"))
    (folder / "manifest.json").write_text(json.dumps({"base": {"name": base.name, "hash": base.base_hash}}), encoding="utf-8")
    harness.alas.registry.promote(
        "quill", CURRENT, iteration=0, decision_hash="d", run_id="r", at="2026-11-30T00:00:00+00:00", previous=None
    )

    def opened() -> tuple[str, str | None]:
        """Make the seed of the next iteration as `alas run` does; return why that failed, and from which adapter it goes on."""
        outcome = open_cell(harness.instance, harness.settings, Cell.of("quill", 1), cause="by hand", on_event=lambda *_: None)
        seed = harness.store.read_record(Seed, harness.pointers("quill", 1)["curriculum_seed"], "curriculum_seed")
        return "".join(outcome.failures), seed.inherited.current_adapter

    assert opened() == ("", CURRENT)
    before, harness.student = harness.student, str(build_tiny_student(tmp_path / "another", 1))
    harness.domain("quill", 9)
    why, _ = opened()
    assert f"{CURRENT} was trained on student {before}" in why
    assert f"{harness.student} (" in why
    assert "set [student] of the domain, or the files in its folder, back" in why
    assert "asks it otherwise" not in why
    assert "`alas rollback DOMAIN --to-base`" in why
    harness.alas.registry.rollback("quill", to_base=True)
    assert opened() == ("", None)
