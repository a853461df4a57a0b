"""The reference of keys: whole, true to the code, and the recipes of one's own that it speaks of."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from alas_assets.domains.catalog import load_domain, recipe_of
from alas_assets.domains.config import Domain, DomainError
from alas_assets.domains.mistakes import model_of
from alas_assets.domains.reference import reference
from alas_assets.settings import PROJECT_ROOT, Settings
from alas_assets.training.spec import Recipe, load_recipe

GOOD = """
title = "T"
description = "A description of more than twenty letters."
[sources]
seed_urls = ["https://example.org/"]
[student]
recipe = "mine"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "home" / "domains").mkdir(parents=True)
    (tmp_path / "home" / "domains" / "d.toml").write_text(GOOD, encoding="utf-8")
    return Settings(home=tmp_path / "home", data=PROJECT_ROOT / "data", dagster_home=tmp_path / "d", site_port=9111, viewer_port=9112)


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        if inner := model_of(field.annotation):
            yield from models(inner)


def test_the_reference_in_the_documentation_is_that_of_the_code() -> None:
    assert (PROJECT_ROOT / "docs" / "keys.md").read_text(encoding="utf-8") == reference(), "run `alas keys > docs/keys.md`"


@pytest.mark.parametrize("model", [*models(Domain), *models(Recipe)], ids=lambda model: model.__name__)
def test_every_key_says_what_it_means(model: type[BaseModel]) -> None:
    silent = [key for key, field in model.model_fields.items() if not field.description and not model_of(field.annotation)]
    assert silent == []


def test_a_recipe_of_ones_own_states_only_what_differs_from_one_that_ships(settings: Settings) -> None:
    settings.own_recipes.write_text(
        '[mine]\nbased_on = "smollm2-135m"\nlearning_rate = 1e-4\n[mine.dpo]\nmin_pairs = 3\n', encoding="utf-8"
    )
    shipped, own = load_recipe("smollm2-135m"), recipe_of(load_domain(settings, "d"), settings)
    assert own == shipped.model_copy(update={"learning_rate": 1e-4, "dpo": shipped.dpo.model_copy(update={"min_pairs": 3})})


def test_a_recipe_of_ones_own_may_take_the_place_of_one_that_ships(settings: Settings) -> None:
    settings.own_recipes.write_text('[mine]\nbased_on = "tiny-test"\n[tiny-test]\nlearning_rate = 1\nepochs = 1\nbatch_size = 1\n', "utf-8")
    domain = load_domain(settings, "d")
    assert recipe_of(domain, settings) == load_recipe("tiny-test")  # what it is based on is the one that ships
    other = domain.model_copy(update={"student": domain.student.model_copy(update={"recipe": "tiny-test"})})
    assert recipe_of(other, settings).batch_size == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, r"recipe 'mine' is not in .*home/recipes\.toml or recipes\.toml; known: gpu-0\.6b-8b"),
        ("[mine]\nrank = 8\n", r"home/recipes\.toml: mine\.learning_rate: Field required"),
        ('[mine]\nbased_on = "tiny-test"\nrang = 8\n', r"home/recipes\.toml: mine\.rang: unknown key"),
        ('[mine]\nbased_on = "mine"\n', r"home/recipes\.toml: mine\.based_on: 'mine' is no recipe that ships; known: gpu-0\.6b-8b"),
        ("[mine]\nbased_on = []\n", r"home/recipes\.toml: mine\.based_on: \[\] is no recipe that ships"),
        ("mine = 3\n", r"home/recipes\.toml: mine: must be a table"),
        ("[mine\n", r"home/recipes\.toml: cannot be read as TOML"),
    ],
)
def test_a_mistake_in_a_recipe_names_the_domains_file_the_recipes_file_and_the_key(text: str | None, said: str, settings: Settings) -> None:
    if text is not None:
        settings.own_recipes.write_text(text, encoding="utf-8")
    with pytest.raises(DomainError, match=rf"d\.toml: student\.recipe: .*{said}"):
        load_domain(settings, "d")


def test_questions_in_the_store_outrank_those_that_ship(settings: Settings) -> None:
    (settings.home / "guards").mkdir()
    assert settings.question_file("guards", "general.jsonl") == PROJECT_ROOT / "data" / "guards" / "general.jsonl"
    own = settings.home / "guards" / "general.jsonl"
    own.write_text("", encoding="utf-8")
    assert settings.question_file("guards", "general.jsonl") == own
