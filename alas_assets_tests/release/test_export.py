"""Exports of a finished cell of the tiny student: whole or not at all, equal bytes, loadable without us, and nothing is written over."""

import fcntl
import json
import os
import re
import shutil
import sys
from contextlib import chdir
from pathlib import Path

import polars as pl
import pytest

from alas_assets.defs.judging import DECODING
from alas_assets.defs.offering import served_model
from alas_assets.defs.proving import recorded_answers
from alas_assets.defs.releasing import answers_as_now, answers_of_adapter, chosen_adapter, gather
from alas_assets.provenance.ids import file_hash, folder_hash
from alas_assets.provenance.store import StoreError
from alas_assets.records import AdapterRef
from alas_assets.release.export import Exported, export, modelfile, vllm_rank
from alas_assets.release.gguf import find_converter
from alas_assets.release.identity import Format, ReleaseError, damage, read_manifest
from alas_assets.release.served import merged_model
from alas_assets.serving.verify import VerifyError
from alas_assets.students.chat import messages
from alas_assets_tests.harness import Harness
from alas_assets_tests.released import CELL, adapter_of, released
from alas_assets_tests.tiny import family_student

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def harness(quill: Harness, tmp_path_factory: pytest.TempPathFactory) -> Harness:
    return released(quill, tmp_path_factory.mktemp("released"))


def exported(harness: Harness, format: Format, target: Path, llama_cpp: Path | None = None) -> Exported:
    alas = harness.alas
    chosen = chosen_adapter(alas, "quill")
    student = alas.student(alas.domain("quill"))
    return export(
        gather(alas, "quill", chosen),
        format,
        target,
        student=student,
        adapter=alas.store.adapter(chosen),
        worker=alas.worker,
        llama_cpp=llama_cpp,
    )


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def merged(harness: Harness, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(harness, "merged", tmp_path_factory.mktemp("out") / "merged").folder


def test_plain_transformers_load_it_and_give_the_recorded_answers(harness: Harness, merged: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(merged, dtype="auto", local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(merged, local_files_only=True)
    for one in recorded_answers(harness.alas, "quill", adapter_of(harness))[:12]:
        prompt = tokenizer.apply_chat_template(messages(one.question), add_generation_prompt=True, return_tensors="pt", return_dict=True)
        answer = model.generate(**prompt, max_new_tokens=DECODING.max_new_tokens)
        assert tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True).strip() == one.text


def test_equal_exports_are_equal_bytes_and_an_export_that_is_there_stays(harness: Harness, merged: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir(mode=0o700)  # an empty folder may be named, and stays as private as it was
    again = exported(harness, "merged", tmp_path / "again")
    assert folder_hash(again.folder) == folder_hash(merged)
    assert again.folder.stat().st_mode & 0o777 == 0o700
    before = {path: path.stat().st_mtime_ns for path in again.folder.iterdir()}
    assert exported(harness, "merged", again.folder).new is False
    assert {path: path.stat().st_mtime_ns for path in again.folder.iterdir()} == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], "nothing half-made is left"


def test_what_a_killed_export_left_is_removed_by_the_next_to_the_same_target_and_what_is_being_made_stays(
    harness: Harness, tmp_path: Path
) -> None:
    names = (".[out].abcdefg1.part", ".[out].abcdefg2.part", ".other.abcdefg1.part", ".[out].mine.part")
    left, being_made, of_another, no_export = (tmp_path / name for name in names)
    for folder in (left, being_made, of_another, no_export):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"x")
    handle = os.open(being_made, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # as the process has it that makes it
        done = exported(harness, "adapter", tmp_path / "[out]").folder
    finally:
        os.close(handle)
    assert set(tmp_path.iterdir()) == {done, being_made, of_another, no_export}


def test_an_empty_folder_that_cannot_be_replaced_is_refused_before_anything_is_made(harness: Harness, tmp_path: Path) -> None:
    with chdir(tmp_path), pytest.raises(ReleaseError, match="is no export; name another folder"):
        exported(harness, "adapter", Path("."))
    assert not list(tmp_path.iterdir())


def test_what_is_no_export_or_another_or_changed_is_never_written_over(harness: Harness, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(ReleaseError, match="is no export"):
        exported(harness, "adapter", tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    there = exported(harness, "adapter", tmp_path / "adapter").folder
    with pytest.raises(ReleaseError, match="another export"):
        exported(harness, "vllm", there)
    (there / "adapter_config.json").write_text("{}")
    assert damage(there, read_manifest(there)) == ["adapter_config.json has other bytes"]
    with pytest.raises(ReleaseError, match="not this export, byte by byte"):
        exported(harness, "adapter", there)
    assert (there / "adapter_config.json").read_text() == "{}"


def test_every_file_is_in_the_manifest_and_no_path_of_this_machine_in_any(harness: Harness, merged: Path) -> None:
    manifest = read_manifest(merged)
    assert damage(merged, manifest) == []
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(manifest.files)
    assert (manifest.adapter_hash, manifest.precision, manifest.decision["verdict"]) == (adapter_of(harness), "fp32", "promote")
    assert {(score.system, score.split) for score in manifest.scores} >= {("base", "probe"), ("current", "probe")}
    assert {source.url.rpartition("/")[2] for source in manifest.sources} >= {"3.html"}
    for path in files_of(merged):
        data = path.read_bytes()
        assert str(harness.settings.home).encode() not in data
        assert str(Path(harness.student).parent).encode() not in data, path
    assert json.loads((merged / "generation_config.json").read_text())["do_sample"] is False


def test_an_exported_adapter_names_a_student_by_its_folder_and_not_by_the_way_to_it(harness: Harness, tmp_path: Path) -> None:
    for folder in (exported(harness, "adapter", tmp_path / "adapter").folder, exported(harness, "vllm", tmp_path / "vllm").folder):
        assert not [path for path in files_of(folder) if str(Path(harness.student).parent).encode() in path.read_bytes()]
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == Path(harness.student).name
    assert "Its base is a model folder and nothing that a model hub has" in (tmp_path / "adapter" / "README.md").read_text(encoding="utf-8")


def test_the_card_names_pages_scores_and_the_decision(harness: Harness, merged: Path) -> None:
    card = (merged / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in card.splitlines() if "/3.html>" in line]
    assert re.match(r"\| 2 \| not stated \| \d{4}-\d\d-\d\d \| What is new in Quill 3: <http://127\.0\.0\.1:", row)
    assert re.search(r"Of its source pages \d+ were read on \d{4}-\d\d-\d\d; 0 of \d+ state a licence", card)
    assert "**promote**" in card
    assert "held-out questions about the facts of that iteration" in card
    assert "another precision" not in card


def test_the_adapters_weights_are_as_evaluated_and_vllm_gets_its_base(harness: Harness, tmp_path: Path) -> None:
    stored = harness.store.adapters / adapter_of(harness)
    (stored / ".DS_Store").write_bytes(b"where the icons are, and no part of the adapter")
    plain, vllm = (exported(harness, format, tmp_path / format).folder for format in ("adapter", "vllm"))
    assert not [*plain.rglob(".*"), *vllm.rglob(".*")]
    for folder in (plain, vllm / "adapter"):
        assert file_hash(folder / "adapter_model.safetensors") == file_hash(stored / "adapter_model.safetensors")
    assert (vllm / "base" / "config.json").is_file()
    card = (vllm / "README.md").read_text(encoding="utf-8")
    assert "vllm serve ./base" in card
    assert "--lora-modules quill=./adapter" in card
    assert "--dtype float32" in card, "vLLM would take the dtype of the base's file"
    assert "dtype=torch.float32" in (plain / "README.md").read_text(encoding="utf-8")
    assert all(path.stat().st_mode & 0o044 == 0o044 for folder in (plain, vllm) for path in folder.rglob("*") if path.is_file())
    assert f"--max-lora-rank {vllm_rank(json.loads((stored / 'adapter_config.json').read_text())['r'])}" in card


def test_ollama_gets_the_chatml_template_and_the_stop_tokens(harness: Harness, tmp_path: Path) -> None:
    text = (exported(harness, "ollama", tmp_path / "ollama").folder / "Modelfile").read_text(encoding="utf-8")
    assert text.startswith("FROM .\n")
    assert "<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>" in text
    assert 'PARAMETER stop "<|im_end|>"' in text
    assert "PARAMETER temperature 0\n" in text
    assert f"PARAMETER num_predict {DECODING.max_new_tokens}\n" in text


def test_every_format_says_how_the_model_is_asked(harness: Harness, merged: Path, tmp_path: Path) -> None:
    template = (merged / "chat_template.jinja").read_text(encoding="utf-8")
    plain, vllm = (exported(harness, format, tmp_path / format).folder for format in ("adapter", "vllm"))
    for folder in (merged, plain, vllm / "adapter"):
        assert (folder / "chat_template.jinja").read_text(encoding="utf-8") == template
        assert json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"] == template, "for older readers"
    assert "--chat-template ./adapter/chat_template.jinja" in (vllm / "README.md").read_text(encoding="utf-8")


def test_ollama_gets_the_text_around_a_question_where_the_template_is_no_chatml(tiny_student: Path, tmp_path: Path) -> None:
    folder = family_student(tiny_student, tmp_path / "family", "llama3_2")
    (folder / "generation_config.json").write_text('{"eos_token_id": [2]}', encoding="utf-8")  # as merged folders have it
    text = modelfile(folder, 24)
    assert "Today Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n{{ .Prompt }}<|eot_id|>" in text
    assert text.count('assistant<|end_header_id|>\n\n{{ .Response }}<|eot_id|>"""') == 1


def test_ollama_gets_stop_tokens_as_they_are_for_it_knows_no_escapes(tiny_student: Path, tmp_path: Path) -> None:
    folder = family_student(tiny_student, tmp_path / "family", "llama3_2")
    (folder / "generation_config.json").write_text('{"eos_token_id": [1, 2]}', encoding="utf-8")
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    for token, text in zip(tokenizer["added_tokens"][1:3], ["<｜end▁of\\sentence｜>", 'a"b'], strict=True):
        token["content"] = text
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    lines = modelfile(folder, 24).splitlines()
    assert [line for line in lines if line.startswith("PARAMETER stop")] == [
        'PARAMETER stop "<｜end▁of\\sentence｜>"',
        'PARAMETER stop """a"b"""',
    ]


@pytest.mark.parametrize("format", ["ollama", "gguf"])
def test_positions_that_others_would_read_otherwise_are_not_exported_to_them(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: Format
) -> None:
    monkeypatch.setattr("alas_assets.release.export.rope_of_version_4", lambda _: None)
    monkeypatch.setattr("alas_assets.release.export.find_converter", lambda _: None)
    with pytest.raises(ReleaseError, match=r"has rotary positions .* export it merged"):
        exported(harness, format, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_vllm_takes_no_larger_rank_than_it_does() -> None:
    assert [vllm_rank(rank) for rank in (1, 4, 16, 33, 512)] == [1, 8, 16, 64, 512]
    with pytest.raises(ReleaseError, match="export it merged"):
        vllm_rank(513)


def test_without_a_converter_the_error_says_how_to_get_it(harness: Harness, tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        with pytest.raises(ReleaseError, match=r"ALAS_LLAMA_CPP.*pip download --no-binary llama-cpp-python"):
            find_converter(folder)
    with pytest.raises(ReleaseError):
        exported(harness, "gguf", tmp_path / "gguf")
    assert not (tmp_path / "gguf").exists()


@pytest.mark.parametrize(("script", "words"), [("import sys; sys.exit('what is this')", "what is this"), ("", "exit code 0")])
def test_a_converter_that_fails_leaves_nothing(
    harness: Harness, tmp_path: Path, script: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "llama").mkdir()
    (tmp_path / "llama" / "convert_hf_to_gguf.py").write_text(script)
    (tmp_path / "sentencepiece.py").touch()  # the converter imports it, and this one does not
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ReleaseError, match=words):
        exported(harness, "gguf", tmp_path / "gguf", tmp_path / "llama")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["llama", "sentencepiece.py"]


def test_a_base_student_an_unknown_hash_and_a_retired_adapter_are_refused(quill: Harness, tmp_path: Path) -> None:
    harness = released(quill, tmp_path)
    adapter = adapter_of(harness)
    assert chosen_adapter(harness.alas, "quill", adapter[:10]) == adapter
    with pytest.raises(ReleaseError, match=f"there are: .*{adapter[:12]}"):
        chosen_adapter(harness.alas, "quill", "ffff")
    harness.alas.registry.rollback("quill")
    with pytest.raises(ReleaseError, match="no current adapter"):
        chosen_adapter(harness.alas, "quill")
    assert chosen_adapter(harness.alas, "quill", adapter) == adapter
    harness.alas.registry.take_down("quill", {adapter}, takedown="t" * 20, at="2026-01-01T00:00:00+00:00")
    with pytest.raises(StoreError, match="retired by a takedown"):
        chosen_adapter(harness.alas, "quill", adapter)


def test_a_damaged_adapter_is_not_exported(quill: Harness, tmp_path: Path) -> None:
    harness = released(quill, tmp_path)
    (harness.store.adapters / adapter_of(harness) / "README.md").write_text("changed")
    with pytest.raises(StoreError, match=r"is damaged; materialise \w+_adapter of quill\|000 again"):
        chosen_adapter(harness.alas, "quill")


def test_a_served_model_is_merged_once_and_again_where_it_is_damaged(harness: Harness, merged: Path) -> None:
    alas, adapter = harness.alas, adapter_of(harness)
    student, folder = alas.student(alas.domain("quill")), alas.store.adapter(adapter)
    manifest = read_manifest(merged).model_copy(update={"format": "served", "files": {}})
    first = merged_model(alas.store.served, manifest, student, folder, alas.worker)
    assert file_hash(first.folder / "model.safetensors") == file_hash(merged / "model.safetensors")
    assert merged_model(alas.store.served, manifest, student, folder, alas.worker).device == "", "it was there"
    (first.folder / "model.safetensors").write_bytes(b"x")
    again = merged_model(alas.store.served, manifest, student, folder, alas.worker)
    assert (again.device, damage(again.folder, again.manifest)) == ("cpu", [])


def test_no_module_of_the_package_starts_a_shell() -> None:
    assert "shell=True" not in "".join(path.read_text() for path in Path(sys.modules[export.__module__].__file__ or "").parent.glob("*.py"))


def test_answers_that_were_decoded_otherwise_are_known_by_their_ids_and_held_against_nobody(quill: Harness, tmp_path: Path) -> None:
    harness = released(quill, tmp_path)
    adapter = adapter_of(harness)
    found = answers_of_adapter(harness.alas, "quill", adapter)
    assert found is not None
    _, answers, base = found
    assert answers_as_now(answers)
    assert set(answers["adapter_hash"]) == {adapter}
    assert set(base["system"]) == {"base"}
    assert not answers_as_now(answers.with_columns(pl.lit("0" * 20).alias("answer_id")))
    scores = harness.store.read_table(harness.pointers("quill")["judge_scores"], "judge_scores")
    old = harness.store.pointer(CELL, "judge_scores")
    assert old is not None
    earlier = scores.with_columns(pl.lit("0" * 19).add(pl.int_range(pl.len()).cast(pl.String)).alias("answer_id"))
    harness.store.put(CELL, "judge_scores", earlier, input_key=old.input_key, inputs=old.inputs, run_id=old.run_id)
    with pytest.raises(VerifyError, match="`alas run quill` has them asked"):
        recorded_answers(harness.alas, "quill", adapter)
    assert gather(harness.alas, "quill", adapter).scored_as_answering is False


def test_answers_to_questions_that_were_made_again_since_are_held_against_nobody(quill: Harness, tmp_path: Path) -> None:
    harness = released(quill, tmp_path)
    probes = harness.store.read_table(harness.pointers("quill")["probes"], "probes")
    harness.store.put(CELL, "probes", probes.slice(1), input_key="later", inputs={}, run_id="later")
    with pytest.raises(VerifyError, match=r"the probes of iteration quill\|000 were made again .*`alas run quill` judges it again"):
        recorded_answers(harness.alas, "quill", adapter_of(harness))


def test_what_is_current_is_served_and_verified_before_its_iteration_is_whole_and_an_export_says_what_is_missing(
    quill: Harness, tmp_path: Path
) -> None:
    harness = released(quill, tmp_path)
    alas, adapter = harness.alas, adapter_of(harness)
    before = served_model(alas, "quill", adapter)
    (harness.settings.home / "cells" / "quill" / "000" / "exam_scores.json").unlink()
    assert chosen_adapter(alas, "quill", adapter[:10]) == adapter
    assert served_model(alas, "quill", adapter).manifest == before.manifest
    shutil.rmtree(before.folder)
    again = served_model(alas, "quill", adapter)
    assert (again.manifest, damage(again.folder, again.manifest)) == (before.manifest, [])
    assert recorded_answers(alas, "quill", adapter)
    with pytest.raises(ReleaseError, match=r"yet: exam_scores of quill\|000 is not there; `alas run quill` makes it"):
        gather(alas, "quill", adapter)


def test_what_is_current_is_served_and_verified_while_its_iteration_is_made_again(quill: Harness, tmp_path: Path) -> None:
    harness = released(quill, tmp_path)
    alas, adapter, old = harness.alas, adapter_of(harness), harness.store.pointer(CELL, "sft_adapter")
    assert old is not None
    other = harness.store.read_record(AdapterRef, old).model_copy(update={"adapter_hash": "e" * 64})
    harness.store.put(CELL, "sft_adapter", other, input_key="later", inputs={}, run_id="later")
    assert chosen_adapter(alas, "quill", adapter[:10]) == adapter
    assert served_model(alas, "quill", adapter).manifest.adapter_hash == adapter
    assert recorded_answers(alas, "quill", adapter)
    with pytest.raises(ReleaseError, match=r"quill\|000, which promoted it, was begun again .*`alas run quill`"):
        gather(alas, "quill", adapter)
    scores = harness.store.read_table(harness.pointers("quill")["judge_scores"], "judge_scores").with_columns(adapter_hash=pl.lit("e" * 64))
    harness.store.put(CELL, "judge_scores", scores, input_key="later", inputs={}, run_id="later")
    with pytest.raises(VerifyError, match=r"no iteration of quill has asked .*`alas run quill` does"):
        recorded_answers(alas, "quill", adapter)
