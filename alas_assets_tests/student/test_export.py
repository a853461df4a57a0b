"""With the real student: an export that plain transformers load answers every recorded question as it was evaluated (G5)."""

import os
from pathlib import Path

import pytest

from alas_assets.defs.judging import DECODING
from alas_assets.defs.proving import recorded_answers
from alas_assets.defs.releasing import chosen_adapter, gather
from alas_assets.release.export import export
from alas_assets.students.chat import messages
from alas_assets_tests.harness import Harness

pytestmark = pytest.mark.timeout(3000)


def test_a_merged_export_answers_the_facts_as_evaluated_in_plain_transformers(learned: Harness, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    alas = learned.alas
    chosen = chosen_adapter(alas, "quill")
    student, folder = alas.student(alas.domain("quill")), alas.store.adapter(chosen)
    done = export(gather(alas, "quill", chosen), "merged", tmp_path / "merged", student=student, adapter=folder, worker=alas.worker)
    assert done.manifest.precision == "fp32"
    model = AutoModelForCausalLM.from_pretrained(done.folder, dtype="auto", local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(done.folder, local_files_only=True)
    facts = [one for one in recorded_answers(alas, "quill", chosen) if one.split == "probe"]
    said = []
    for one in facts:
        prompt = tokenizer.apply_chat_template(messages(one.question), add_generation_prompt=True, return_tensors="pt", return_dict=True)
        answer = model.generate(**prompt, max_new_tokens=DECODING.max_new_tokens)
        said.append(tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True).strip())
    assert said == [one.text for one in facts]
    assert sum(one.text != one.base_text for one in facts) >= len(facts) / 2, "the adapter has an effect"


def test_a_gguf_file_answers_the_facts_as_evaluated(learned: Harness, tmp_path: Path) -> None:
    llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    pytest.importorskip("sentencepiece", reason="the extra gguf is not installed")
    if not os.environ.get("ALAS_LLAMA_CPP"):
        pytest.skip("ALAS_LLAMA_CPP names no llama.cpp checkout")
    alas = learned.alas
    chosen = chosen_adapter(alas, "quill")
    student, folder = alas.student(alas.domain("quill")), alas.store.adapter(chosen)
    release = gather(alas, "quill", chosen)
    llama = Path(os.environ["ALAS_LLAMA_CPP"])
    done = export(release, "gguf", tmp_path / "gguf", student=student, adapter=folder, worker=alas.worker, llama_cpp=llama)
    model = llama_cpp.Llama(str(done.folder / "quill.gguf"), n_ctx=512, verbose=False)
    facts = [one for one in recorded_answers(alas, "quill", chosen) if one.split == "probe"]
    said = [
        model.create_chat_completion(messages(one.question), temperature=0, max_tokens=DECODING.max_new_tokens)["choices"][0]["message"]
        for one in facts
    ]
    same = sum(str(answer["content"]).strip() == one.text for one, answer in zip(facts, said, strict=True))
    print(f"{same} of {len(facts)} answers of the GGUF file are the evaluated ones")
    assert same >= 0.9 * len(facts)
