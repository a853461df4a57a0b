"""A domain that knows all its pages state is brought up to date all the same: nothing is trained, and it counts as current (O2, O3)."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import polars as pl
import pytest

from alas_assets.defs.freshness import last_heartbeat
from alas_assets.defs.revision import domain_scoreboard
from alas_assets.provenance.store import Cell
from alas_assets.provenance.watching import set_watched
from alas_assets.records import AdapterRef, Curriculum, GateDecision, RevisedCurriculum
from alas_assets.release.closing import close_iteration
from alas_assets_tests.harness import Harness, Site, requests, serving, skipped


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory, tiny_student: Path) -> Iterator[tuple[Harness, Site]]:
    """A store whose watched domain `quill` has studied every page in iteration 000, and is said to have mastered them all; and the site."""
    with serving() as site:
        harness = Harness(tmp_path_factory.mktemp("studied"), str(tiny_student))
        harness.domain("quill", site.port, max_topics="9")
        assert harness.run("quill", dry_run=True).success
        plan = harness.store.read_record(Curriculum, harness.pointers("quill")["curriculum"], "curriculum")
        assert not plan.deferred
        names = [topic.name for topic in plan.topics]
        revision = RevisedCurriculum(domain="quill", iteration=0, decision="stop", reason="all is known", accuracy=1.0, mastered=names)
        harness.store.put(Cell.of("quill", 0), "revised_curriculum", revision, input_key="r", inputs={}, run_id="r")
        set_watched(harness.settings.home, "quill", True)
        assert "no watched page changed" in skipped(harness.tick("release_pages"))
        yield harness, site


@pytest.fixture
def mastered(studied: tuple[Harness, Site], tmp_path: Path) -> Iterator[tuple[Harness, Site]]:
    """A copy of that store, and the site, which gets its pages back afterwards."""
    harness, site = studied
    pages = dict(site.pages)
    yield harness.copied(tmp_path), site
    site.pages = pages


def test_an_edit_that_brings_nothing_new_is_seen_through_once_and_the_domain_is_current_again(mastered: tuple[Harness, Site]) -> None:
    harness, site = mastered
    site.pages["/"] = site.pages["/"].replace("release by release", "release by release, in all detail")
    assert [request.partition_key for request in requests(harness.tick("release_pages"))] == ["quill|001"]
    outcome = harness.run("quill", 1)
    assert outcome.success, outcome.failures
    assert "no watched page changed" in skipped(harness.tick("release_pages"))
    assert harness.run("quill", 1).success
    assert harness.redone() == set()
    cell = harness.pointers("quill", 1)
    assert harness.store.read_table(cell["documents"], "documents").is_empty()
    assert harness.store.read_table(cell["qa_pairs"], "qa_pairs").is_empty()
    adapter = harness.store.read_record(AdapterRef, cell["sft_adapter"], "sft_adapter")
    assert (adapter.trained, adapter.reason) == (False, "no new fact was found: nothing is trained")
    decision = harness.store.read_record(GateDecision, cell["promotion"], "promotion")
    assert (decision.candidate, decision.current_after) == (None, decision.current_before)
    revision = harness.store.read_record(RevisedCurriculum, cell["revised_curriculum"], "revised_curriculum")
    assert "this iteration found no new fact" in revision.reason
    assert last_heartbeat(harness.instance, "quill") is not None
    rows = domain_scoreboard(harness.alas, "quill").filter(pl.col("iteration") == 1)
    assert set(rows["split"]) == {"earlier", "guard"}  # no row says 0 % of no question
    assert harness.check_shown(dg.AssetCheckKey(dg.AssetKey("documents"), "enough_pages"))[-1].passed


def test_a_weak_topic_whose_only_page_is_gone_ends_in_a_revision_and_not_in_a_failure_each_time(mastered: tuple[Harness, Site]) -> None:
    harness, site = mastered
    store, cell = harness.store, Cell.of("quill", 0)
    weak = next(
        topic for topic in store.read_record(Curriculum, harness.pointers("quill")["curriculum"], "curriculum").topics if topic.urls
    )
    again = weak.model_copy(update={"origin": "remediation", "parent": weak.topic_id})
    revision = RevisedCurriculum(domain="quill", iteration=0, decision="continue", reason="weak", accuracy=0.5, remediation=[again])
    store.put(cell, "revised_curriculum", revision, input_key="weak", inputs={}, run_id="r")
    for url in weak.urls:
        del site.pages[urlsplit(url).path]
    outcome = harness.run("quill", 1)
    assert outcome.success, outcome.failures
    made = harness.pointers("quill", 1)
    fetches = store.read_table(made["documents"], "documents")
    assert (fetches["status"].to_list(), fetches["ok"].any()) == ([404] * len(weak.urls), False), "its page is a row with its reason"
    assert store.read_record(RevisedCurriculum, made["revised_curriculum"], "revised_curriculum").decision == "stop"
    assert not harness.check_shown(dg.AssetCheckKey(dg.AssetKey("documents"), "enough_pages"))[-1].passed


def test_what_could_not_be_read_is_named_and_the_iteration_after_goes_on_without_it(mastered: tuple[Harness, Site]) -> None:
    harness, site = mastered
    empty, dead = (f"http://127.0.0.1:{site.port}/{name}.html" for name in ("empty", "dead"))
    site.page("/empty.html", "", "")
    site.pages["/"] = site.pages["/"].replace("<ul>", '<ul><li><a href="/empty.html">5</a></li><li><a href="/dead.html">6</a></li>')
    outcome = harness.run("quill", 1, dry_run=True)
    assert f"nothing that could be read is new, and 1 page could not be read: {empty}: " in " ".join(outcome.failures)
    assert dead not in " ".join(outcome.failures)  # nobody waits for what is gone
    close_iteration(harness.settings.home, Cell.of("quill", 1), "test")
    outcome = harness.run("quill", 2, dry_run=True)
    assert outcome.success, outcome.failures
