"""What a recipe and a specification promise before anything is trained."""

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.training.spec import LOSS_TYPES, RECIPES_FILE, RecipeError, SpecError, TrainingSpec, load_recipe, read_result, read_spec
from alas_assets_tests.training.factory import make_spec, tiny_recipe, train_rows


def test_every_recipe_that_ships_is_valid() -> None:
    names = tomllib.loads(RECIPES_FILE.read_text(encoding="utf-8"))
    assert {"smollm2-135m", "gpu-0.6b-8b", "tiny-test"} <= set(names)
    for name in names:
        assert load_recipe(name).rank >= 1


def test_an_unknown_recipe_is_refused_with_the_names_that_are_known() -> None:
    known = r"gpt-9' is not in recipes\.toml; known: gpu-0\.6b-8b, smollm2-135m, smollm2-135m-quick, tiny-test"
    with pytest.raises(RecipeError, match=known):
        load_recipe("gpt-9")


def test_a_file_of_recipes_that_begins_with_the_mark_of_windows_editors_is_read(tmp_path: Path) -> None:
    (tmp_path / "recipes.toml").write_text('[mine]\nbased_on = "tiny-test"\nrank = 3\n', encoding="utf-8-sig")
    assert load_recipe("mine", tmp_path / "recipes.toml").rank == 3


def test_early_stopping_without_dev_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="dev_share is 0"):
        type(tiny_recipe())(learning_rate=1e-3, epochs=1, batch_size=4, early_stopping_patience=2)


def test_loss_weights_must_match_the_loss_types() -> None:
    dpo = tiny_recipe().dpo
    with pytest.raises(ValueError, match="loss_weights has 1 values for 2 loss types"):
        type(dpo)(loss_weights=(1.0,))


def test_a_mistyped_loss_is_refused_with_the_file_and_the_key_before_anything_is_trained(tmp_path: Path) -> None:
    recipes = tmp_path / "recipes.toml"
    recipes.write_text('[mine]\nbased_on = "tiny-test"\n[mine.dpo]\nloss_type = ["sigmod", "sft"]\n', encoding="utf-8")
    with pytest.raises(RecipeError, match=r"recipes\.toml: mine\.dpo\.loss_type: 'sigmod' is no loss .*known: sigmoid, hinge"):
        load_recipe("mine", recipes)


def test_the_losses_that_a_recipe_may_name_are_those_that_trl_has() -> None:
    trl = find_spec("trl")  # read, not imported: that takes seconds
    assert trl is not None
    assert trl.origin is not None
    source = (Path(trl.origin).parent / "trainer" / "dpo_trainer.py").read_text(encoding="utf-8")
    assert {*LOSS_TYPES, "exo_pair"} == set(re.findall(r'if loss_type == "(\w+)"', source))


def test_where_things_lie_does_not_change_the_hash_and_what_decides_does(tmp_path: Path) -> None:
    spec = make_spec("sft", tmp_path / "a", tmp_path, train_rows(8))
    moved = make_spec("sft", tmp_path / "b", tmp_path / "elsewhere", train_rows(8))
    assert moved.spec_hash == spec.spec_hash
    assert moved.work_dir != spec.work_dir
    changed: list[TrainingSpec] = [
        make_spec("sft", tmp_path / "c", tmp_path, train_rows(9)),
        make_spec("sft", tmp_path / "c", tmp_path, train_rows(8), seed=18),
        make_spec("sft", tmp_path / "c", tmp_path, train_rows(8), base_hash="c" * 64),
        make_spec("sft", tmp_path / "c", tmp_path, train_rows(8), probes_hash="q" * 64),
        make_spec("sft", tmp_path / "c", tmp_path, train_rows(8), recipe=tiny_recipe(rank=8)),
        make_spec("sft", tmp_path / "c", tmp_path, train_rows(8), threads=2),
        make_spec("sft", tmp_path / "c", tmp_path, train_rows(8), recipe=tiny_recipe(warm_learning_rate=1e-3)),
    ]
    assert len({spec.spec_hash, *(other.spec_hash for other in changed)}) == 1 + len(changed)
    assert {other.work_dir.name for other in changed}.isdisjoint({spec.work_dir.name})  # no foreign checkpoint is ever in reach


def test_a_recipe_without_what_came_later_is_written_as_before() -> None:
    assert not {"warm_learning_rate", "rehearsal_most", "telling_word_dropout"} & set(tiny_recipe().model_dump(mode="json"))
    assert tiny_recipe(warm_learning_rate=1e-3).model_dump(mode="json")["warm_learning_rate"] == 1e-3
    assert tiny_recipe(telling_word_dropout=0.0).model_dump(mode="json")["telling_word_dropout"] == 0.0


def test_the_hash_follows_the_bytes_of_the_adapter_that_training_goes_on_from(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter-before"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"one")
    first = make_spec("sft", tmp_path, tmp_path, train_rows(8), init_adapter=str(adapter)).spec_hash
    (adapter / "adapter_model.safetensors").write_bytes(b"two")
    assert make_spec("sft", tmp_path, tmp_path, train_rows(8), init_adapter=str(adapter)).spec_hash != first


def test_a_specification_survives_its_file(tmp_path: Path) -> None:
    spec = make_spec("sft", tmp_path, tmp_path, train_rows(8), recipe=tiny_recipe(layers=(0, 1)))
    path = tmp_path / "spec.json"
    path.write_text(spec.model_dump_json(indent=1), encoding="utf-8")
    assert read_spec(path) == spec
    assert read_spec(path).spec_hash == spec.spec_hash


@given(st.binary(max_size=60))
def test_a_damaged_specification_is_one_line_naming_the_file(data: bytes) -> None:
    path = Path("/dev/shm") / "alas-spec-test.json" if Path("/dev/shm").is_dir() else Path("alas-spec-test.json")
    path.write_bytes(data)
    try:
        with pytest.raises(SpecError) as caught:
            read_spec(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert read_result(path) is None
    finally:
        path.unlink()


def test_a_recipe_that_ships_gives_few_facts_enough_steps() -> None:
    for name in set(tomllib.loads(RECIPES_FILE.read_text(encoding="utf-8"))) - {"tiny-test"}:
        recipe = load_recipe(name)
        assert (recipe.min_steps >= 100, recipe.min_sights >= 32, recipe.packing) == (True, True, False), name
