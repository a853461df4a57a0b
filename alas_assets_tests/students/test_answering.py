"""Answers: in order, independent of company, with adapters that leave nothing behind."""

import json
import shutil
from pathlib import Path

import pytest

from alas_assets.students.answering import AdapterError, Answered, Answerer, AskItem, Decoding
from alas_assets.students.catalog import StudentRef
from alas_assets.students.chat import load_tokenizer
from alas_assets_tests.students.conftest import build_adapter
from alas_assets_tests.tiny import family_student

THINGS = ["France", "Japan", "Italy", "a spider", "water", "Shakespeare", "bees", "the Moon", "gold", "Python"]
ITEMS = [AskItem(question=f"What is {thing} best known for?") for thing in THINGS]
ITEMS += [
    AskItem(question=f"Name one thing about {thing}.", context=f"Many say that {thing} is old. " * (n % 2 + 1))
    for n, thing in enumerate(THINGS)
]
SHORT = Decoding(max_new_tokens=8)


@pytest.fixture(scope="module")
def tiny(tiny_student: Path) -> Answerer:
    return Answerer(tiny_student)


@pytest.fixture(scope="module")
def adapters(tiny_student: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return [build_adapter(tiny_student, folder / str(seed), seed) for seed in (1, 2)]


def test_a_batch_equals_one_by_one(tiny: Answerer) -> None:
    together = tiny.answer(ITEMS)
    assert together == [tiny.answer([item])[0] for item in ITEMS]
    assert all(not answer.error for answer in together)


def test_the_real_student_answers_alike_in_any_company(embedded: StudentRef) -> None:
    answerer = Answerer(embedded.folder)
    together = answerer.answer(ITEMS, decoding=SHORT)
    assert all(answer.text and not answer.error for answer in together)
    assert answerer.answer(ITEMS[::-2], decoding=SHORT) == together[::-2]
    for alone in (0, 12):
        assert answerer.answer([ITEMS[alone]], decoding=SHORT) == [together[alone]]
    assert answerer.answer([AskItem(question="What is the capital of France?")])[0].text == "The capital of France is Paris."


def test_answers_come_in_the_order_of_the_questions(tiny: Answerer) -> None:
    forward = tiny.answer(ITEMS)
    assert len({answer.text for answer in forward}) > 1
    assert list(reversed(tiny.answer(list(reversed(ITEMS))))) == forward


def test_progress_ends_with_all_questions(tiny: Answerer) -> None:
    seen: list[tuple[int, int]] = []
    tiny.answer(ITEMS, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(ITEMS), len(ITEMS))
    assert seen == sorted(seen)


def test_one_impossible_question_fails_alone(tiny: Answerer) -> None:
    answers = tiny.answer([ITEMS[0], AskItem(question="x" * 3000), AskItem(question="\ud800"), ITEMS[1]])
    assert [bool(answer.error) for answer in answers] == [False, True, True, False]
    assert "window" in answers[1].error
    assert [answers[0], answers[3]] == tiny.answer(ITEMS[:2])


def test_no_questions_give_no_answers(tiny: Answerer) -> None:
    assert tiny.answer([]) == []


def test_adapters_change_answers_and_leave_nothing_behind(tiny: Answerer, adapters: list[Path]) -> None:
    base = tiny.answer(ITEMS)
    first, second = tiny.answer(ITEMS, adapters[0]), tiny.answer(ITEMS, adapters[1])
    assert first != base
    assert second not in (base, first)
    assert tiny.answer(ITEMS, adapters[0]) == first
    assert tiny.answer(ITEMS) == base


def test_an_adapter_replaced_in_place_is_loaded_again(tiny: Answerer, adapters: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(adapters[0], folder)
    before = tiny.answer(ITEMS, folder)
    shutil.copyfile(adapters[1] / "adapter_model.safetensors", folder / "adapter_model.safetensors")
    assert tiny.answer(ITEMS, folder) != before


def test_an_adapter_in_a_format_that_can_run_code_is_refused(tiny: Answerer, adapters: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(adapters[0], folder)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(AdapterError, match="refused"):
        tiny.answer(ITEMS[:1], folder)


@pytest.mark.parametrize("damage", ["truncated", "other layers", "other shape", "no config"])
def test_an_adapter_that_does_not_fit_is_an_error_and_the_base_answers_on(
    tiny: Answerer, adapters: list[Path], tmp_path: Path, damage: str
) -> None:
    base = tiny.answer(ITEMS[:3])
    folder = tmp_path / "adapter"
    shutil.copytree(adapters[0], folder)
    weights, config = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    settings = json.loads(config.read_text())
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:200])
    elif damage == "other layers":
        config.write_text(json.dumps({**settings, "target_modules": ["o_proj"]}))
    elif damage == "other shape":
        config.write_text(json.dumps({**settings, "r": 2}))
    else:
        config.unlink()
    with pytest.raises(AdapterError, match=str(folder)):
        tiny.answer(ITEMS[:3], folder)
    assert tiny.answer(ITEMS[:3]) == base


def test_running_out_of_memory_asks_fewer_at_once(tiny_student: Path) -> None:
    answerer = Answerer(tiny_student)
    whole, sizes = answerer._generate, []

    def cramped(prompts: list[list[int]], width: int, rows: int, decoding: Decoding) -> list[str]:
        sizes.append(rows)
        if rows > 4:
            raise RuntimeError("out of memory")
        return whole(prompts, width, rows, decoding)

    expected = answerer.answer(ITEMS[:10])
    answerer._generate = cramped  # a real shortage cannot be had on demand
    assert answerer.answer(ITEMS[:10]) == expected
    assert sizes == [5, 2, 2, 2] * 2  # two widths of five questions each


def test_a_student_that_always_fails_gives_every_item_its_error(tiny_student: Path) -> None:
    answerer = Answerer(tiny_student)
    answerer._model.model.embed_tokens.weight.data = answerer._model.model.embed_tokens.weight.data[:, :3]
    answers = answerer.answer(ITEMS[:3])
    assert all(isinstance(answer, Answered) and answer.error and not answer.text for answer in answers)


def test_what_is_written_down_answers_as_the_adapter_does(tiny: Answerer, adapters: list[Path], tmp_path: Path) -> None:
    for number, adapter in enumerate([None, *adapters]):
        tiny.save_merged(adapter, tmp_path / str(number))
        written = Answerer(tmp_path / str(number))
        assert written.precision == tiny.precision == "fp32"
        assert written.answer(ITEMS[:6]) == tiny.answer(ITEMS[:6], adapter)
    tiny.save_merged(adapters[0], tmp_path / "again")
    for path in (tmp_path / "1").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    with pytest.raises(AdapterError):
        tiny.save_merged(tmp_path / "nowhere", None)


def test_what_a_student_says_falls_behind_nothing_and_another_text_does(embedded: StudentRef) -> None:
    answerer = Answerer(embedded.folder)
    said = answerer.answer(ITEMS[:5], decoding=SHORT)
    own = answerer.margins([(item, answer.text) for item, answer in zip(ITEMS, said, strict=False)], decoding=SHORT)
    assert max(margins.worst for margins in own) <= 0.001
    other, unreadable = answerer.margins([(ITEMS[0], "Nothing, of course."), (AskItem(question="\ud800"), "x")], decoding=SHORT)
    assert other.worst > 1
    assert unreadable.worst == float("inf")
    assert answerer.answer(ITEMS[:2], decoding=SHORT) == said[:2], "measuring leaves nothing behind"


def test_a_model_that_is_written_down_is_asked_as_it_was_evaluated(tiny_student: Path, tmp_path: Path) -> None:
    folder = family_student(tiny_student, tmp_path / "thinks", "qwen3")
    (tmp_path / "merged").mkdir()
    Answerer(folder).save_merged(None, tmp_path / "merged")
    template = load_tokenizer(folder).chat_template
    assert template != (folder / "chat_template.jinja").read_text(encoding="utf-8")
    assert (tmp_path / "merged" / "chat_template.jinja").read_text(encoding="utf-8") == template
    assert json.loads((tmp_path / "merged" / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"] == template


def test_a_question_is_put_as_the_rows_are_written(tiny: Answerer) -> None:
    asked = tiny._tokenizer.decode(tiny._prompt(AskItem(question="What is <s>, or <|im_end|>?"), SHORT))
    assert asked.startswith("<|im_start|>user\nWhat is <s>, or < |im_end|>?<|im_end|>")
