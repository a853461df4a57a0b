"""A person opens and materialises a whole iteration in Dagster's UI, in a real browser, without a terminal (U1)."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from alas_assets_tests.harness import LOOP, Harness, Site, end, free_port, wait_until_served

CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
RUN_SECONDS = 300

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"), reason="needs Debian's chromium: apt-get install chromium (CI installs it)"
)


@pytest.fixture
def clicked(tmp_path: Path, tiny_student: Path, quill_site: Site) -> Iterator[tuple[Harness, str]]:
    """A store where nothing was run, `alas ui` on it, and a domain file that is newer than both."""
    harness = Harness(tmp_path, str(tiny_student))
    ports = {"ALAS_SITE_PORT": str(free_port()), "ALAS_VIEWER_PORT": str(free_port())}
    port = free_port()
    with (tmp_path / "ui.log").open("wb") as log:
        command = [sys.executable, "-m", "alas_assets.cli", "ui", "--port", str(port), "--home", str(harness.settings.home)]
        ui = subprocess.Popen(command, env=os.environ | ports, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until_served(f"http://127.0.0.1:{port}/server_info", tmp_path / "ui.log")
            harness.domain("quill", quill_site.port)
            yield harness, f"http://127.0.0.1:{port}"
        finally:
            end(ui, signal.SIGTERM)


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM or "chromium", args=ARGUMENTS)
        tab = browser.new_page(viewport={"width": 1400, "height": 1000})
        tab.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        yield tab
        browser.close()


def choose(page: Page, key: str) -> None:
    """Tick a key in the first list where none is ticked, opening it until it knows the key: an added one takes a moment."""
    option = page.locator(".dagster-popover span").get_by_text(key, exact=True)
    for _ in range(20):
        page.get_by_text("Select a partition or create one").first.click()
        page.wait_for_timeout(500)
        if option.count():
            option.first.click()
            page.keyboard.press("Escape")
            return
        page.keyboard.press("Escape")
        page.wait_for_timeout(500)
    raise AssertionError(f"{key} is not in the list")


@pytest.mark.timeout(480)
def test_a_cell_can_be_opened_and_materialised_wholly_in_the_ui(clicked: tuple[Harness, str], page: Page) -> None:
    harness, base = clicked
    page.goto(f"{base}/locations/alas_assets/jobs/iteration")
    page.get_by_role("button", name="Materialize all").first.click()
    page.get_by_role("button", name="Add a partition").first.click()
    page.get_by_placeholder("name").fill("quill")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_placeholder("name")).to_have_count(0)
    choose(page, "quill")
    choose(page, "000")
    page.get_by_role("button", name="Launch 1 run").click()

    deadline = time.monotonic() + RUN_SECONDS
    while set(harness.pointers("quill")) != set(LOOP):
        failed = [run.run_id for run in harness.instance.get_runs() if run.is_failure]
        assert not failed, harness.instance.all_logs(failed[0])[-5:]
        assert time.monotonic() < deadline, sorted(harness.pointers("quill"))
        time.sleep(2)

    page.goto(f"{base}/assets/sft_adapter?view=partitions&partition=quill%7C000")
    for shown in ("final_loss", "rows_hash", "manifest"):
        expect(page.get_by_text(shown, exact=True).first).to_be_visible()
    page.goto(f"{base}/assets/judge_scores?view=partitions&partition=quill%7C000")
    expect(page.get_by_text("wrong_answers", exact=True).first).to_be_visible()
    from_the_graph_to_the_source(page, base, harness)


def from_the_graph_to_the_source(page: Page, base: str, harness: Harness) -> None:
    """An auditor clicks from the asset graph to a wrong answer, to the quote in its stored page, and to the page itself (A1).

    Screenshots of each step are kept beside the store.
    """
    wrong = harness.store.read_table(harness.pointers("quill")["wrong_answers"], "wrong_answers").filter(pl.col("url") != "")
    answer = wrong.row(0, named=True)
    shots = harness.settings.home.parent / "screenshots"

    page.goto(f"{base}/locations/alas_assets/asset-groups/loop/lineage")
    page.get_by_text("wrong_answers", exact=True).first.click()
    page.get_by_role("link", name="View in Asset Catalog").first.click()
    page.get_by_role("tab", name="Partitions").or_(page.get_by_role("link", name="Partitions")).first.click()
    page.get_by_text("quill", exact=True).first.click()
    page.get_by_text("000", exact=True).first.click()
    page.get_by_text("[Show Markdown]").first.click()
    page.screenshot(path=shots / "wrong-answers.png")
    page.get_by_role("link", name=answer["answer_id"][:10]).first.click()
    expect(page.locator("#quote")).to_have_text(answer["quote"])
    expect(page.get_by_text(answer["because"])).to_be_visible()
    page.screenshot(path=shots / "trace.png")
    page.get_by_role("link", name=answer["url"]).first.click()
    expect(page.locator("body")).to_contain_text(answer["truth"])
    page.screenshot(path=shots / "source.png")
    assert {path.name for path in shots.iterdir()} == {"wrong-answers.png", "trace.png", "source.png"}
