"""`alas takedown` as people and scripts meet it: what it shows, asks, refuses, and how it ends (A3)."""

import json
import re
import shutil
from pathlib import Path

import pytest

from alas_assets.defs.reporting import standing
from alas_assets.defs.takedown import close_unfinished
from alas_assets.provenance.blocked.order import Order, Share
from alas_assets.provenance.changes import read_watch_state
from alas_assets.provenance.store import Cell
from alas_assets.release.closing import close_iteration
from alas_assets.removal.report import is_as_signed
from alas_assets_tests.cli.test_cli import alas
from alas_assets_tests.harness import Harness, Site


def store_of(quill: Harness, folder: Path) -> Path:
    return Path(shutil.copytree(quill.settings.home, folder / "store"))


def url_of(site: Site) -> str:
    return f"http://127.0.0.1:{site.port}/3.html"


def test_a_takedown_from_the_first_look_to_the_search_long_after(quill: Harness, quill_site: Site, tmp_path: Path) -> None:
    home, url, exam = store_of(quill, tmp_path), url_of(quill_site), tmp_path / "gone.jsonl"
    first = tmp_path / "first.jsonl"
    shown = alas(home, "takedown", url, "--dry-run", "--questions", str(first)).stdout
    assert f"alas exam DOMAIN {first}" in shown, "as a path that leads there from wherever it is given"
    for word in ("readings", "passages", "facts", "pairs", "probes", "training rows", "current then", "nothing was changed"):
        assert word in shown
    assert not (home / "takedowns").exists()

    question = "Which function did quill.ink gain in Quill 3?"
    report = ("report-wrong", "--domain", "quill", "--question", question)
    assert "kept: answer" in alas(home, *report, "--comment", "met in practice").stdout
    assert "met in practice" in "".join(path.read_text(encoding="utf-8") for path in home.glob("review/quill/*.json"))

    asked = alas(home, "takedown", url, "--reason", "it is wrong", code=2)
    assert "give --yes" in asked.stderr
    assert not list(home.glob("takedowns/*/order.json"))

    inside = home / "reports" / "gone.jsonl"
    assert "about to forget" in alas(home, "takedown", url, "--reason", "r", "--yes", "--questions", str(inside), code=2).stderr

    done = alas(home, "takedown", url, "--reason", "it is [b]wrong[/b]", "--by", "Ada", "--yes", "--questions", str(exam)).stdout
    assert "found     nothing of" in done
    assert "quill: current is the base student" in done
    assert [json.loads(line)["question"] for line in exam.read_text(encoding="utf-8").splitlines()]
    assert exam.read_text(encoding="utf-8") == first.read_text(encoding="utf-8"), "what can be asked before can be asked after"
    (as_json,), (as_html,) = list(home.glob("reports/takedown-*.json")), list(home.glob("reports/takedown-*.html"))
    report = json.loads(as_json.read_text(encoding="utf-8"))
    assert is_as_signed(report)
    assert (report["reason"], report["ordered_by"], report["clean"]) == ("it is [b]wrong[/b]", "Ada", True)
    assert "<script" not in as_html.read_text(encoding="utf-8")

    host = url.split("/")[2]
    for source in (url, f"{url}#part"):
        said = alas(home, "sources", source, code=1).stderr
        wanted = rf"was taken down on [\d-]{{10}} by Ada; see {as_json.stem} among the store's reports"
        assert re.search(wanted, " ".join(said.split()))
    assert "taken down" not in alas(home, "sources", host, code=1).stderr, "the host itself was not"

    assert "met in practice" not in "".join(path.read_text(encoding="utf-8") for path in home.glob("review/quill/*.json"))

    before = as_json.read_bytes()
    again = alas(home, "takedown", url + "#part").stdout
    assert "was taken down on" in again
    assert "found     nothing of" in again
    assert as_json.read_bytes() == before

    (home / "logs" / "kept.log").write_text(exam.read_text(encoding="utf-8"), encoding="utf-8")
    found = alas(home, "takedown", url, code=1)
    assert "logs/kept.log" in found.stderr
    assert as_json.read_bytes() == before, "what was signed off stays what it was"


@pytest.mark.security("takedown")
@pytest.mark.parametrize(
    "source", ["../../etc/passwd", "🦭", "http://" + "a" * 10_000, "", "nobody.example", "http://127.0.0.1:1/../x", "%00", "--"]
)
def test_what_was_never_read_is_wrong_usage_and_names_pages_that_were(quill: Harness, source: str, tmp_path: Path) -> None:
    home = store_of(quill, tmp_path) if source == "🦭" else quill.settings.home
    refused = alas(
        home, "takedown", *(["--reason", "r", "--yes", "--", source] if source != "--" else ["--reason", "r", "--", "--"]), code=2
    )
    assert "is no address" in refused.stderr or "read, such as http" in refused.stderr
    assert len(refused.stderr) < 1000
    assert not (home / "takedowns").exists()


def test_a_reason_is_asked_for(quill: Harness, quill_site: Site) -> None:
    assert "--reason" in alas(quill.settings.home, "takedown", url_of(quill_site), "--yes", code=2).stderr


@pytest.mark.parametrize("before", [None, "abandoned by hand"])
def test_an_iteration_that_a_takedown_closed_is_not_gone_on_with_and_whoever_asks_is_led_to_the_next(
    tmp_path: Path, before: str | None
) -> None:
    harness, cell = Harness(tmp_path, "no-student-is-needed-here"), Cell.of("quill", 1)
    harness.domain("quill", 9)
    harness.finished("quill", 0)
    harness.opened("quill", 1)
    if before:
        close_iteration(harness.settings.home, cell, before)
    order = Order(
        id="0" * 20, source="h", by="host", reason="r", ordered_by="Ada", at="2026-11-30", salt="s", shares=[Share(domain="quill")]
    )
    assert [close_unfinished(harness.alas, order)["iterations"] for _ in range(2)] == [1, 0]
    said = f"quill: iteration 001 was closed by takedown {order.id}, as it goes on from what was removed; `alas run quill` opens the next"
    assert said in " ".join(alas(harness.settings.home, "retry", "quill", code=1).stderr.split())
    assert read_watch_state(harness.settings.home, "quill").closed == {"001": f"takedown {order.id}"}
    assert said in " ".join(alas(harness.settings.home, "status").stdout.split())
    assert [notice.text for key, notice in standing(harness.alas, harness.instance, "quill").items() if key == "closed 001"] == [said]
