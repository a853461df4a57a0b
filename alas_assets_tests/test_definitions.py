"""The code location loads, quickly enough to be loaded by every step, and says what it promises."""

import os
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from alas_assets.definitions import build_defs
from alas_assets.settings import PROJECT_ROOT
from alas_assets_tests.harness import LOOP

HEAVY = ("torch", "transformers", "trl", "peft", "lancedb", "sentence_transformers", "datasets", "newspaper")


def test_the_definitions_can_be_loaded() -> None:
    dg.Definitions.validate_loadable(build_defs())


def test_dagster_validates_the_workspace(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(PROJECT_ROOT / "workspace.yaml")],
        cwd=PROJECT_ROOT,
        env={**os.environ, "DAGSTER_HOME": str(tmp_path), "ALAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_definitions_load_without_any_heavy_library() -> None:
    code = f"import sys, alas_assets.definitions as d; d.build_defs(); print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT_ROOT)
    assert done.stdout.strip() == "[]"


def test_every_asset_of_the_house_is_there_on_the_shared_partitions() -> None:
    specs = {spec.key.to_user_string(): spec for spec in build_defs().resolve_all_asset_specs()}
    assert set(LOOP) | {"scoreboard"} <= set(specs)
    assert {"currency/python-releases", "currency/cves", "currency/research-trends"} <= set(specs)
    assert {specs[name].partitions_def.__class__.__name__ for name in LOOP} == {"MultiPartitionsDefinition"}
    assert all(specs[name].code_version for name in LOOP)


def test_only_the_seed_steps_outside_the_graph() -> None:
    specs = {spec.key.to_user_string(): spec for spec in build_defs().resolve_all_asset_specs()}
    assert [name for name in LOOP if not list(specs[name].deps)] == ["curriculum_seed"]
    assert specs["curriculum_seed"].automation_condition is None
    assert all(specs[name].automation_condition for name in LOOP if name != "curriculum_seed")


def test_every_domain_carries_a_freshness_policy() -> None:
    specs = [spec for spec in build_defs().resolve_all_asset_specs() if spec.key.path[0] == "currency"]
    assert specs
    assert all(spec.freshness_policy for spec in specs)


@pytest.mark.parametrize("sensor", ["automation", "next_iteration"])
def test_sensors_are_off_until_somebody_turns_them_on(sensor: str) -> None:
    assert build_defs().resolve_sensor_def(sensor).default_status is dg.DefaultSensorStatus.STOPPED


def test_no_description_in_the_ui_speaks_in_the_spec_s_ids() -> None:
    repository = build_defs().get_repository_def()
    graph = repository.asset_graph
    shown = {
        **{key.to_user_string(): graph.get(key).description for key in graph.get_all_asset_keys()},
        **{str(key): graph.get_check_spec(key).description for key in graph.asset_check_keys},
        **{f"op {node.name}": node.description for node in repository.get_job("iteration").all_node_defs if node.name in LOOP},
        **{name: resource.description for name, resource in repository.get_top_level_resources().items()},
        **{one.name: one.description for one in [*repository.sensor_defs, *repository.schedule_defs, *repository.get_all_jobs()]},
    }
    assert all(shown[name] for name in (*LOOP, "scoreboard"))
    assert {name: text for name, text in shown.items() if re.search(r"\b[A-Z]\d{1,2}\b", text or "")} == {}


ALLOWED = (
    "alas_assets/defs/",
    "alas_assets/definitions.py",
    "alas_assets/partitions.py",
    "alas_assets/automation.py",
)


def test_only_the_orchestration_layer_imports_dagster() -> None:
    offenders = [
        str(path.relative_to(PROJECT_ROOT))
        for path in sorted((PROJECT_ROOT / "alas_assets").rglob("*.py"))
        if not str(path.relative_to(PROJECT_ROOT)).startswith(ALLOWED)
        and any(line.startswith(("import dagster ", "import dagster\n", "from dagster ", "from dagster.")) for line in path.open())
    ]
    assert offenders == []


FORBIDDEN = ("pickle.load", "trust_remote_code=True", "shell=True", "torch.load(")


@pytest.mark.parametrize("word", FORBIDDEN)
def test_no_module_does_what_a_hostile_file_could_use(word: str) -> None:
    offenders = [str(path) for path in sorted((PROJECT_ROOT / "alas_assets").rglob("*.py")) if word in path.read_text(encoding="utf-8")]
    assert offenders == []
