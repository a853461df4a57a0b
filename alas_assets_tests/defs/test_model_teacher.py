"""An iteration whose teacher is a model behind an endpoint: paid once, capped, replayed, and ended in order whatever the endpoint does.

The endpoint is the stand-in (recorded pairs, no model) behind a server that can fail in every way, or a real small model.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from alas_assets.defs.outlook import estimate_iteration
from alas_assets.defs.running import Outcome
from alas_assets.settings import PROJECT_ROOT
from alas_assets.standin.matching import Library
from alas_assets.standin.pairs import read_pairs
from alas_assets.students.catalog import StudentRef
from alas_assets_tests.harness import LOOP, Harness, Site
from alas_assets_tests.teachers.endpoint.faulty import FaultServer, mixed
from alas_assets_tests.teachers.real_server import real_server
from alas_assets_tests.teachers.recorded import say

PAGES = ("overview", "lazy-imports", "profiling")
RECORDED = PROJECT_ROOT / "data" / "recorded" / "python-3.15-sample"
KEY = "canary-key-4107-of-this-test-only"


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(read_pairs([RECORDED]))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Three pages of the sample site."""
    served = Site()
    links = "".join(f'<li><a href="/3.15/{page}.html">{page}</a></li>' for page in PAGES)
    served.page("/", "Python 3.15", f"<p>What is new, page by page.</p><ul>{links}</ul>")
    for page in PAGES:
        served.pages[f"/3.15/{page}.html"] = (PROJECT_ROOT / "data" / "site" / "3.15" / f"{page}.html").read_text(encoding="utf-8")
    yield served
    served.close()


@pytest.fixture
def endpoint(library: Library) -> Iterator[FaultServer]:
    with FaultServer(models=("stand-in", "second"), schema="ignore", json_mode="ignore", answer=say(library), key=KEY) as server:
        yield server


@pytest.fixture
def harness(tmp_path: Path, tiny_student: Path, monkeypatch: pytest.MonkeyPatch) -> Harness:
    monkeypatch.setenv("TEACHER_KEY", KEY)
    return Harness(tmp_path, str(tiny_student))


def domain(harness: Harness, site: Site, url: str, *lines: str, tokens: int = 0, model: str = "stand-in") -> None:
    """Write the domain `ink`, taught by a model."""
    harness.domain("ink", site.port, max_topics="12", min_topics="3", max_iterations=f"4\ntokens = {tokens}")
    path = harness.settings.home / "domains" / "ink.toml"
    teacher = ["[teacher]", 'kind = "openai"', f'url = "{url}"', f'model = "{model}"', 'key_env = "TEACHER_KEY"', 'api = "chat"', *lines]
    path.write_text("\n".join([path.read_text(encoding="utf-8"), *teacher]), encoding="utf-8")


def pairs_of(harness: Harness) -> pl.DataFrame:
    return harness.store.read_table(harness.pointers("ink")["qa_pairs"], "qa_pairs")


def shown(harness: Harness, asset: str) -> dict[str, Any]:
    """Return the metadata that the UI shows for an asset's newest materialisation."""
    import dagster as dg

    event = harness.instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def whole(outcome: Outcome) -> None:
    assert outcome.success, outcome.failures


def ledger(harness: Harness, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(harness.settings.home / "teacher.sqlite")) as connection:
        return connection.execute(query).fetchall()


def test_a_model_teaches_an_iteration_and_the_ui_shows_what_it_cost(harness: Harness, site: Site, endpoint: FaultServer) -> None:
    domain(harness, site, endpoint.url, 'judges = ["stand-in", "second"]')
    whole(harness.run("ink"))
    assert set(harness.pointers("ink")) == set(LOOP)
    accepted = pairs_of(harness).filter("accepted")
    assert accepted["fact_id"].n_unique() >= 20
    assert set(accepted["teacher"].str.split(" ").list.first()) == {"openai"}
    written_by = shown(harness, "qa_pairs")
    assert written_by["teacher_calls"] >= 3
    assert written_by["teacher_tokens"] > 1000
    assert written_by["teacher_money"] == "unknown"
    judged = harness.store.read_table(harness.pointers("ink")["judge_scores"], "judge_scores")
    graders = {verdict["judge"] for row in judged.filter(pl.col("split") == "probe")["verdicts"] for verdict in row}
    assert {"stand-in", "second"} <= graders
    assert "agreement" in shown(harness, "judge_scores")


def test_calls_and_cost_are_estimated_before_anything_is_sent(harness: Harness, site: Site, endpoint: FaultServer) -> None:
    prices = ("[[teacher.prices]]", 'model = "stand-in"', "input = 1.0", "output = 2.0")
    domain(harness, site, endpoint.url, *prices)
    figures = estimate_iteration(harness.alas, "ink").figures
    assert endpoint.seen == []
    assert {"plan calls", "write calls", "paraphrase calls", "judge stand-in calls", "revise calls"} <= set(figures)
    assert str(figures["cost, about"]).endswith(" USD")
    domain(harness, site, endpoint.url, 'judges = ["second"]', *prices)
    assert "no price of second" in str(estimate_iteration(harness.alas, "ink").figures["cost, about"])


def test_a_judge_that_is_not_there_ends_the_iteration_before_anything_is_written(
    harness: Harness, site: Site, endpoint: FaultServer
) -> None:
    domain(harness, site, endpoint.url, 'judges = ["stand-in", "gpt-9"]')
    outcome = harness.run("ink", dry_run=True)
    assert not outcome.success
    assert "gpt-9" in outcome.failures[0]
    assert not [seen for seen in endpoint.seen if "Task: " in str(seen.body)]


def test_a_second_run_and_a_replay_send_nothing(harness: Harness, site: Site, endpoint: FaultServer) -> None:
    domain(harness, site, endpoint.url)
    whole(harness.run("ink"))
    tables, asked = harness.pointers("ink"), len(endpoint.seen)
    whole(harness.run("ink"))
    assert harness.redone() == set()
    for folder in ("artifacts", "cells", "memo"):  # all that was made is lost, but for what was paid
        shutil.rmtree(harness.settings.home / folder)
    (harness.settings.home / "verdicts.sqlite").unlink()
    domain(harness, site, endpoint.url, "replay = true")
    whole(harness.run("ink"))
    assert len(endpoint.seen) == asked
    again = harness.pointers("ink")
    assert {name: again[name] for name in ("curriculum", "qa_pairs", "probes")} == {
        name: tables[name] for name in ("curriculum", "qa_pairs", "probes")
    }


def test_the_cap_ends_the_run_in_words_and_a_higher_one_pays_only_for_the_rest(harness: Harness, site: Site, endpoint: FaultServer) -> None:
    domain(harness, site, endpoint.url, tokens=14_000)
    outcome = harness.run("ink")
    assert not outcome.success
    assert "budget.tokens" in " ".join(outcome.failures)
    (spent,) = ledger(harness, "SELECT SUM(prompt_tokens + completion_tokens) FROM calls")[0]
    assert 0 < spent <= 14_000
    paid = len(endpoint.seen)
    domain(harness, site, endpoint.url)
    whole(harness.run("ink"))
    texts = [str(seen.body) for seen in endpoint.seen if seen.path != "/v1/models"]
    assert len(set(texts[:paid]) & set(texts[paid:])) == 0


def test_with_the_endpoint_down_the_run_says_so_once(harness: Harness, site: Site, endpoint: FaultServer) -> None:
    domain(harness, site, "http://127.0.0.1:9/v1")
    outcome = harness.run("ink")
    assert not outcome.success
    assert len(outcome.failures) == 1
    assert "127.0.0.1:9" in outcome.failures[0]


def test_with_a_wrong_key_one_call_is_made_and_the_setting_named(
    harness: Harness, site: Site, endpoint: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", "canary-of-a-wrong-key")
    domain(harness, site, endpoint.url)
    outcome = harness.run("ink")
    assert not outcome.success
    assert "TEACHER_KEY" in outcome.failures[0]
    assert len([seen for seen in endpoint.seen if seen.path != "/v1/models"]) == 1
    assert "canary" not in " ".join(outcome.failures) + str(harness.events)


def test_with_a_third_of_all_requests_failing_the_iteration_ends_and_loses_no_topic(
    harness: Harness, site: Site, endpoint: FaultServer
) -> None:
    endpoint.plan = mixed(0.3, 17, ("busy", "unavailable", "error", "reset", "truncated", "html", "broken", "empty", "length", "fenced"))
    domain(harness, site, endpoint.url, "attempts = 8", "deadline_seconds = 20")
    whole(harness.run("ink"))
    found = pairs_of(harness)
    endpoint.plan = lambda _number, _body: ""
    (harness.settings.home / "teacher.sqlite").unlink()
    (harness.settings.home / "memo").rename(harness.settings.home / "memo-with-faults")
    whole(harness.run("ink", dry_run=True))
    topics = set(pairs_of(harness).filter("accepted")["topic"])
    assert set(found.filter("accepted")["topic"]) == topics
    assert len(topics) >= 8


def test_a_call_without_an_answer_is_made_again_by_the_next_run(harness: Harness, site: Site, endpoint: FaultServer) -> None:
    failed: list[int] = []

    def plan(number: int, body: dict[str, Any]) -> str:
        if "Task: write" in str(body) and not failed:
            failed.append(number)
            return "html"
        return ""

    endpoint.plan = plan
    domain(harness, site, endpoint.url, "attempts = 1")
    whole(harness.run("ink", dry_run=True))
    first = pairs_of(harness)
    assert first.filter(~pl.col("accepted") & (pl.col("fact_id") == "")).height > 0
    assert shown(harness, "qa_pairs")["teacher_answers_not_usable"] == 1
    whole(harness.run("ink", dry_run=True))
    assert "qa_pairs" in harness.redone()
    assert pairs_of(harness).filter("accepted")["fact_id"].n_unique() > first.filter("accepted")["fact_id"].n_unique()
    whole(harness.run("ink", dry_run=True))
    assert harness.redone() == set()


def test_faults_are_rows_in_the_ledger(harness: Harness, site: Site, endpoint: FaultServer) -> None:
    endpoint.plan = mixed(0.3, 17, ("busy", "unavailable", "error", "reset", "truncated", "html", "broken", "empty"))
    domain(harness, site, endpoint.url, "attempts = 8", "deadline_seconds = 20")
    whole(harness.run("ink", dry_run=True))
    faults = ledger(harness, "SELECT kind, COUNT(*) FROM attempts GROUP BY kind")
    assert len(faults) >= 4


def test_the_key_is_in_no_file_of_the_store(harness: Harness, site: Site, endpoint: FaultServer) -> None:
    endpoint.plan = mixed(0.2, 5, ("error", "html"))
    domain(harness, site, endpoint.url, "attempts = 8")
    harness.run("ink", dry_run=True)
    files = [path for path in harness.settings.home.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.mark.timeout(960)
def test_the_worst_teacher_there_is_ends_in_order_and_teaches_nothing_that_the_page_does_not_say(
    harness: Harness, quill_site: Site, embedded: StudentRef, tmp_path: Path
) -> None:
    with real_server(Path(embedded.folder), tmp_path / "server", threads=2) as served:
        modest = ("max_tokens = 64", "concurrency = 1", "deadline_seconds = 240", "format_attempts = 1", 'answers = "lines"')
        # short pages: each call takes this server many seconds
        domain(harness, quill_site, served.url, *modest, model=served.model)
        path = harness.settings.home / "domains" / "ink.toml"
        path.write_text(
            path.read_text(encoding="utf-8").replace("max_topics = 12", "max_topics = 1\npairs_per_topic = 1"), encoding="utf-8"
        )
        whole(harness.run("ink"))
    pairs = pairs_of(harness)
    assert pairs.filter(~pl.col("accepted")).height > 0
    texts = {sha: (harness.store.texts / sha).read_text(encoding="utf-8") for sha in pairs.filter("accepted")["text_sha256"].unique()}
    for row in pairs.filter("accepted").iter_rows(named=True):
        assert " ".join(row["quote"].split()) in " ".join(texts[row["text_sha256"]].split())
        assert row["answer"].lower() in row["quote"].lower()
