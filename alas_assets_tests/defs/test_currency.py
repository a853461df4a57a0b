"""A domain counts as current only where everything that its file names was read (O3)."""

from pathlib import Path

import polars as pl
import pytest

from alas_assets.defs.freshness import currency_specs
from alas_assets.defs.revision import unread_sources
from alas_assets.domains.config import Domain
from alas_assets.domains.sources import Sources
from alas_assets.records import FETCH_SCHEMA, Curriculum

SOURCES = Sources(
    seed_urls=("http://h/",), watch_urls=("http://h/next.html",), feeds=("http://h/feed",), record_indexes=("http://h/delta.json",)
)
DOMAIN = Domain(key="d", title="D", description="A domain of this test, no more.", sources=SOURCES)
NOTHING = FETCH_SCHEMA.to_frame()


def plan(**more: object) -> Curriculum:
    return Curriculum(domain="d", iteration=1, topics=[], **more)  # type: ignore[arg-type]


def fetched(url: str, ok: bool) -> pl.DataFrame:
    row = {**dict.fromkeys(FETCH_SCHEMA.names()), "page_id": url, "final_url": url, "ok": ok, "reason": "" if ok else "answered 500"}
    return pl.DataFrame([row], schema=FETCH_SCHEMA)


def test_a_domain_whose_sources_were_all_read_is_current() -> None:
    assert unread_sources(DOMAIN, plan(), fetched("http://h/", ok=True)) == []


@pytest.mark.parametrize("url", ["http://h/", "http://h/feed", "http://h/delta.json"])
def test_a_named_source_that_could_not_be_surveyed_keeps_the_domain_stale(url: str) -> None:
    assert unread_sources(DOMAIN, plan(failed_urls=[(url, "timed out")]), NOTHING) == [(url, "timed out")]


def test_a_page_that_one_link_of_many_leads_to_does_not() -> None:
    assert unread_sources(DOMAIN, plan(failed_urls=[("http://h/old.html", "answered 404")]), NOTHING) == []


def test_a_watched_page_that_is_awaited_may_be_absent_but_must_have_been_looked_for() -> None:
    assert unread_sources(DOMAIN, plan(failed_urls=[("http://h/next.html", "answered 404")]), NOTHING) == []
    unread = [("http://h/next.html", "no answer")]
    assert unread_sources(DOMAIN, plan(unread_sources=unread), NOTHING) == unread


def test_a_changed_page_that_could_not_be_read_again_keeps_the_domain_stale() -> None:
    changed = plan(changed_pages=["http://h/3.html"])
    assert unread_sources(DOMAIN, changed, fetched("http://h/3.html", ok=False)) == [("http://h/3.html", "answered 500")]
    assert unread_sources(DOMAIN, plan(), fetched("http://h/3.html", ok=False)) == []


def test_the_shipped_domains_name_a_source(tmp_path: Path) -> None:
    from alas_assets.domains.catalog import domain_files, load_domain
    from alas_assets.settings import load_settings

    settings = load_settings(tmp_path)
    assert all(load_domain(settings, key).sources.named_urls for key in domain_files(settings))


def test_a_domain_file_that_cannot_be_read_keeps_nothing_else_from_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    domains = tmp_path / "domains"
    (domains / "folder.toml").mkdir(parents=True)
    (domains / "ages.toml").write_text(
        'freshness_hours = 1e12\ntitle = "A"\ndescription = "A domain of this test, no more."\n[sources]\nseed_urls = ["http://h/"]\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("ALAS_HOME", str(tmp_path))
    found = {spec.key.to_user_string() for spec in currency_specs()}
    assert "currency/cves" in found
    assert found.isdisjoint({"currency/folder", "currency/ages"})
