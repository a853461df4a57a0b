"""What `alas estimate` and a dry run say before anything is spent: the iteration that comes, and every source that failed (O5)."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from alas_assets.cli import app
from alas_assets.defs.outlook import (
    CHARS_OF_A_FACT,
    chars_of_a_fact,
    coming_seed,
    estimate_iteration,
    facts_by_page,
    training_of,
    training_time,
    unread_lines,
    yield_of,
)
from alas_assets.defs.steps import StageError
from alas_assets.provenance.changes import read_watch_state, update_watch_state
from alas_assets.provenance.store import Cell, StoreError
from alas_assets.records import AdapterRef, Curriculum
from alas_assets.release.closing import close_iteration
from alas_assets.retrieval.study import survey
from alas_assets.synthesis.curate import ALREADY_TAUGHT
from alas_assets.teachers.protocol import NOT_STUDIED
from alas_assets.training.spec import load_recipe
from alas_assets_tests.harness import Harness, Site


@pytest.fixture
def harness(tmp_path: Path, quill_site: Site) -> Harness:
    """The domain `quill`, of which one feed and one watched page are not there."""
    harness = Harness(tmp_path, "no-student-is-needed-here")
    root = f"http://127.0.0.1:{quill_site.port}"
    harness.domain("quill", quill_site.port, watch_urls=f'["{root}/", "{root}/9.html"]\nfeeds = ["{root}/feed.xml"]', max_topics="9")
    return harness


def test_the_first_iteration_is_estimated_from_the_domain_file(harness: Harness, quill_site: Site) -> None:
    outlook = estimate_iteration(harness.alas, "quill")
    assert outlook.readable
    assert outlook.figures["iteration"] == "000"
    assert outlook.figures["pages surveyed"] == 2
    feed = f"http://127.0.0.1:{quill_site.port}/feed.xml"
    assert [line for line in outlook.failures if line.startswith(f"sources.feeds: {feed}: {feed} answered 404")] == outlook.failures[:1]
    assert len(outlook.failures) == 1


def test_facts_are_estimated_from_the_length_of_the_pages_to_study(harness: Harness) -> None:
    figures = estimate_iteration(harness.alas, "quill").figures
    chars = sum(page.text_chars for page in survey(harness.alas.domain("quill"), harness.store)[0])
    most = int(str(figures["topics"]).split()[0]) * harness.alas.domain("quill").budget.pairs_per_topic
    assert figures["facts"] == f"about {round(chars / CHARS_OF_A_FACT['extractive'])}, at most {most}"


def test_packed_rows_are_said_to_be_fewer_steps() -> None:
    packed = load_recipe("gpu-0.6b-8b").model_copy(update={"packing": True})
    said = training_of(packed, 25, 4, 0).words
    assert said.endswith("steps of 16 rows if each were a sequence, and far fewer once rows are packed into sequences of 2,048 tokens")
    assert "packed" not in training_of(load_recipe("gpu-0.6b-8b"), 25, 4, 0).words


def test_a_recipe_that_does_not_suit_the_student_is_refused_before_anything_is_spent(tmp_path: Path, quill_site: Site) -> None:
    student = tmp_path / "phi"
    student.mkdir()
    (student / "config.json").write_text("{}", encoding="utf-8")
    save_file({"model.layers.0.self_attn.qkv_proj.weight": np.zeros((2, 2), np.float32)}, student / "model.safetensors")
    harness = Harness(tmp_path / "home", str(student))
    harness.domain("quill", quill_site.port)
    with pytest.raises(StageError, match=r"recipe tiny-test: target_modules: student .*phi has no layer q_proj, .* are qkv_proj: "):
        estimate_iteration(harness.alas, "quill")


def test_what_a_page_gives_is_learned_from_the_pages_that_the_teacher_answered_on_alone() -> None:
    fetches = pl.DataFrame(
        {
            "page_id": ["good", "dull", "kept", "unasked", "failed"],
            "final_url": ["g", "d", "k", "u", "f"],
            "ok": [True, True, True, True, False],
            "text_chars": [1000, 400, 7000, 9000, 5000],
            "chunks": [2, 1, 9, 9, 0],
        }
    )
    reasons = {"good": ["", "", "answer not in the quote"], "dull": ["says the same as another fact"]}
    reasons |= {"kept": [f"{ALREADY_TAUGHT} in iteration 000"], "unasked": [f"{NOT_STUDIED}, not shown: the topic has room for 3 pairs"]}
    rows = [(page, f"{page} {n}", reason, not reason) for page, said in reasons.items() for n, reason in enumerate(said)]
    pairs = pl.DataFrame(rows, schema=["page_id", "fact_id", "reason", "accepted"], orient="row")
    assert yield_of(fetches, pairs) == (1400, 2)


def test_training_is_estimated_with_the_sights_steps_and_rehearsal_that_the_recipe_asks_for() -> None:
    recipe = load_recipe("smollm2-135m")
    first = training_of(recipe, 25, 6, 0)
    assert first.steps == 125
    assert first.words == "about 2,000 rows, 800 of them replay: 125 steps of 16 rows"  # 6 wordings, 8 passes: 46 sights at least
    assert training_of(recipe, 1, 6, 0).words.endswith(": 100 steps of 16 rows")  # however few
    assert training_of(recipe, 25, 6, 25).words == "about 3,336 rows, 1,336 of them replay: 209 steps of 16 rows"
    limited = recipe.model_copy(update={"rehearsal_most": 0.5})
    assert training_of(limited, 25, 6, 4000).words == "about 3,000 rows, 1,200 of them replay: 188 steps of 16 rows"
    assert training_of(limited, 25, 6, 25, fresh=True) == training_of(recipe, 50, 6, 0)
    assert training_of(load_recipe("tiny-test"), 4, 2, 0).words.endswith(", 2 times over: 5 steps of 4 rows")


def trained(
    harness: Harness, domain: str, iteration: int, steps: int, seconds: float, resumed_from: int = 0, recipe: str = "tiny-test"
) -> None:
    """Store what a training leaves, without having trained."""
    adapter = AdapterRef(
        adapter_hash=f"{domain}{iteration}",
        kind="sft",
        trained=steps > 0,
        base_hash="b",
        rows_hash="r",
        probes_hash="p",
        steps=steps,
        seconds=seconds,
        resumed_from=resumed_from,
    )
    folder = harness.store.adapters / adapter.adapter_hash
    folder.mkdir(parents=True)
    manifest = {"base": {"name": harness.student}, "recipe": load_recipe(recipe).model_dump(mode="json")}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    harness.finished(domain, iteration)
    harness.store.put(Cell.of(domain, iteration), "sft_adapter", adapter, input_key=f"i{iteration}", inputs={}, run_id="r")


def test_the_time_of_a_training_is_estimated_at_the_pace_of_those_alike_in_this_store(harness: Harness, quill_site: Site) -> None:
    harness.domain("other", quill_site.port)
    quill = harness.alas.domain("quill")
    unknown = "not known before a first training of this student with this recipe in this store"
    assert training_time(harness.alas, quill, 60) == unknown
    trained(harness, "quill", 0, steps=0, seconds=0.0)
    assert training_time(harness.alas, quill, 60) == unknown, "an iteration that trained nothing has no pace"
    trained(harness, "quill", 1, steps=100, seconds=900.0, recipe="smollm2-135m")
    assert training_time(harness.alas, quill, 60) == unknown, "a step of another recipe takes another time"
    trained(harness, "other", 0, steps=100, seconds=250.0)
    assert training_time(harness.alas, quill, 60) == "about 2 min, at the 2.5 s a step of other|000"
    stranger = quill.model_copy(update={"student": quill.student.model_copy(update={"model": "another"})})
    assert training_time(harness.alas, stranger, 60) == unknown, "a step of another student takes another time"
    trained(harness, "quill", 2, steps=100, seconds=20.0, resumed_from=60)
    said = "30 s to 2 min, at the 0.5 to 2.5 s a step of other|000, quill|002"
    assert training_time(harness.alas, quill, 60) == said
    assert "of other|000, quill|002" in str(estimate_iteration(harness.alas, "quill").figures["time of SFT alone"])
    (harness.store.adapters / "quill2" / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match=r"quill2/manifest\.json: cannot be read"):
        training_time(harness.alas, quill, 60)
    shutil.rmtree(harness.store.adapters / "quill2")
    assert training_time(harness.alas, quill, 60).endswith("of other|000"), "what an adapter that is gone was trained with is not known"


def test_where_nothing_new_is_expected_no_training_is(harness: Harness, quill_site: Site) -> None:
    quill_site.page("/short.html", "Little", f"<p>{'There is hardly a thing to say here. ' * 4}</p>")
    harness.domain("little", quill_site.port, seed_urls=f'["http://127.0.0.1:{quill_site.port}/short.html"]')
    figures = estimate_iteration(harness.alas, "little").figures
    assert figures["pages surveyed"] == 1
    assert figures["SFT, then"] == "none: nothing new is expected"
    assert "time of SFT alone" not in figures


def test_an_estimate_changes_nothing_of_what_is_watched(harness: Harness) -> None:
    estimate_iteration(harness.alas, "quill")
    assert read_watch_state(harness.settings.home, "quill").looked_at == ""


def test_a_later_iteration_is_estimated_without_what_is_covered_and_with_what_changed(harness: Harness, quill_site: Site) -> None:
    first = estimate_iteration(harness.alas, "quill")
    harness.finished("quill", 0)
    covered = f"http://127.0.0.1:{quill_site.port}/3.html"
    domain = harness.alas.domain("quill")
    proposed = harness.alas.teacher(domain).plan(domain.description, [], survey(domain, harness.store)[0])
    plan = Curriculum(domain="quill", iteration=0, topics=[topic for topic in proposed if covered in topic.urls])
    harness.store.put(Cell.of("quill", 0), "curriculum", plan, input_key="again", inputs={}, run_id="r")
    second = estimate_iteration(harness.alas, "quill")
    assert second.figures["iteration"] == "001"
    assert (first.figures["pages to study"], second.figures["pages to study"]) == (2, 1)
    update_watch_state(harness.settings.home, "quill", lambda state: state.model_copy(update={"pending": [covered]}))
    third = estimate_iteration(harness.alas, "quill")
    assert third.figures["pages changed"] == 1
    assert third.figures["pages to study"] == 2
    assert read_watch_state(harness.settings.home, "quill").pending == [covered]


def test_an_unfinished_iteration_is_estimated_from_its_own_seed_and_a_closed_one_is_passed_over(harness: Harness) -> None:
    harness.finished("quill", 0)
    harness.opened("quill", 1, "a page changed")
    assert coming_seed(harness.alas, "quill").cause == "a page changed"
    close_iteration(harness.settings.home, Cell.of("quill", 1), "it failed")
    assert coming_seed(harness.alas, "quill").iteration == 2


def test_a_domain_of_which_nothing_can_be_read_says_so(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", 9)
    outlook = estimate_iteration(harness.alas, "quill")
    assert not outlook.readable
    assert set(outlook.figures) == {"iteration", "pages surveyed", "pages not readable"}, "nothing is known of what is to come"
    assert outlook.failures[0].startswith("sources.seed_urls: http://127.0.0.1:9/: ")


def test_a_dry_run_names_the_facts_of_each_page_and_the_sources_that_failed(tmp_path: Path, tiny_student: Path, quill_site: Site) -> None:
    harness = Harness(tmp_path, str(tiny_student))
    root = f"http://127.0.0.1:{quill_site.port}"
    harness.domain("quill", quill_site.port, watch_urls=f'[]\nfeeds = ["{root}/feed.xml"]', max_topics="9")
    shown = CliRunner().invoke(app, ["run", "quill", "--dry-run", "--home", str(harness.settings.home)])
    assert shown.exit_code == 0, shown.output
    pages = facts_by_page(harness.alas, Cell.of("quill", 0))
    assert pages["url"].to_list() == [f"{root}/3.html", f"{root}/4.html"]
    assert pages["facts"].min() > 0  # type: ignore[operator]
    given = pages["text_chars"].sum() / pages["facts"].sum()
    assert chars_of_a_fact(harness.alas, harness.alas.domain("quill")) == given, "what its own pages gave outranks the rule of thumb"
    for url, passages, facts, rejected in pages.select("url", "passages", "facts", "rejected").rows():
        assert f"{facts} {rejected} {passages} {url}" in " ".join(shown.output.split())
    (line,) = unread_lines(harness.alas, Cell.of("quill", 0))
    assert line.startswith(f"sources.feeds: {root}/feed.xml: ")
    assert f"not read: 1\n  {line}" in shown.output
    assert "Some of them:" in shown.output


def test_a_dry_run_that_finds_no_fact_shows_none(tmp_path: Path, tiny_student: Path, quill_site: Site) -> None:
    harness = Harness(tmp_path, str(tiny_student))
    quill_site.page("/dull.html", "Nothing", f"<p>{'There is hardly a thing to say here and nobody says it. ' * 20}</p>")
    harness.domain("quill", quill_site.port, seed_urls=f'["http://127.0.0.1:{quill_site.port}/dull.html"]')
    shown = CliRunner().invoke(app, ["run", "quill", "--dry-run", "--home", str(harness.settings.home)])
    assert "0 facts, 0 pairs; nothing was trained." in shown.output
    assert "Some of them" not in shown.output
