"""The daemon is on: new pages are noticed wherever they are announced, and stale knowledge is looked over, each once (O2, O3)."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from alas_assets.defs.freshness import last_heartbeat
from alas_assets.records import Seed
from alas_assets_tests.harness import Harness, Site, daemon, serving

SECONDS = 800
WINDOW_HOURS = 0.04  # time enough to start the daemon in

FEED = """<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title>Quill news</title>{entries}</feed>"""
ENTRY = (
    '<entry><id>{path}</id><title>{path}</title><link href="http://127.0.0.1:{port}{path}"/><updated>2026-11-27T00:00:00Z</updated></entry>'
)


def page(site: Site, number: int, module: str, function: str) -> str:
    """Put a release page of one fact under a path, and return the path."""
    path = f"/{number}.html"
    fact = f"<p>The <code>quill.{module}</code> module gained the <code>{function}()</code> function.</p>"
    site.page(path, f"What is new in Quill {number}", f"<h2>quill.{module}</h2>{fact}")
    return path


@pytest.fixture
def site() -> Iterator[Site]:
    """The release pages, and a feed of them."""
    with serving() as own:
        own.pages["/feed.xml"] = FEED.format(entries=ENTRY.format(path="/4.html", port=own.port))
        yield own


@pytest.mark.timeout(1800)
def test_pages_announced_by_index_feed_or_their_own_address_are_learned_once_and_a_stale_domain_is_opened_once(
    tmp_path: Path, tiny_student: Path, site: Site
) -> None:
    harness, log = Harness(tmp_path, str(tiny_student)), tmp_path / "daemon.log"
    root = f"http://127.0.0.1:{site.port}"
    watched = f'["{root}/", "{root}/7.html"]\nfeeds = ["{root}/feed.xml"]'
    harness.domain("quill", site.port, watch_urls=watched, max_iterations="1", max_topics="9", freshness_hours=str(WINDOW_HOURS))
    harness.domain("ink", site.port)
    harness.finished("ink", 0)
    assert harness.run("quill").success
    current_since = last_heartbeat(harness.instance, "quill")
    harness.watch("quill")
    with daemon(harness, log):
        linked, fed, awaited = page(site, 5, "lamp", "glow"), page(site, 6, "clock", "wind"), page(site, 7, "bell", "ring")
        site.pages["/"] = site.pages["/"].replace("<ul>", f'<ul><li><a href="{linked}">Quill 5</a></li>')
        site.pages["/feed.xml"] = FEED.format(entries="".join(ENTRY.format(path=path, port=site.port) for path in (fed, "/4.html")))
        harness.wait_for("quill", 1, "revised_curriculum", SECONDS, log)
        harness.wait_for("quill", 2, "curriculum_seed", SECONDS, log)
    (first, why), (second, stale) = harness.openings("quill")
    assert (first, second) == ("001", "002")
    assert why.startswith("3 watched pages changed: ")
    assert stale.startswith("overdue: knowledge is ")
    assert harness.openings("ink") == []
    assert [one.passed for one in harness.freshness_shown("ink")] == [True]
    shown = harness.freshness_shown("quill")
    assert "quill is stale since " in str(next(one for one in shown if not one.passed).description)
    now_current = last_heartbeat(harness.instance, "quill")
    assert current_since is not None
    assert now_current is not None
    assert now_current > current_since

    pairs = harness.store.read_table(harness.pointers("quill", 1)["qa_pairs"], "qa_pairs").filter("accepted")
    assert set(pairs.filter(pl.col("answer_kind") == "identifier")["answer"]) >= {"glow()", "wind()", "ring()"}
    taught_again = {f"{root}/3.html", f"{root}/4.html"}  # this student learns nothing, so what it was taught before stays weak
    assert set(pairs["url"]) - taught_again == {root + path for path in (linked, fed, awaited)}
    seed = harness.store.read_record(Seed, harness.pointers("quill", 1)["curriculum_seed"], "curriculum_seed")
    assert set(seed.changed_pages) == {f"{root}/", root + fed, root + awaited}
