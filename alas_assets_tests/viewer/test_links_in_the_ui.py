"""Every link that the UI shows for a finished cell opens (U1)."""

import re
from html import unescape

import dagster as dg
import pytest
from starlette.testclient import TestClient

from alas_assets.partitions import cell_key
from alas_assets.provenance.store import Cell
from alas_assets.viewer.app import create_viewer_app
from alas_assets_tests.harness import LOOP, Harness, Site

LINK = re.compile(r"http://127\.0\.0\.1:\d+/[^\s\"')]*")

LINK_TO = {part: re.compile(rf'href="(http://127[^"]*/{part}[/?][^"]*)"') for part in ("answers", "texts", "sources")}


def links_of(quill: Harness) -> dict[str, str]:
    """Return every loopback link in the metadata of the cell's newest materialisations, with the asset that shows it."""
    found: dict[str, str] = {}
    for asset in LOOP:
        events = quill.instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[cell_key(Cell.of("quill", 0))]), limit=1
        )
        event = events.records[0].asset_materialization
        assert event is not None
        for value in event.metadata.values():
            records = value.records if isinstance(value, dg.TableMetadataValue) else []
            texts = [str(cell) for record in records for cell in record.data.values()] or [str(value.value)]
            found |= {link: asset for text in texts for link in LINK.findall(text)}
    return found


def test_every_link_in_the_ui_opens(quill: Harness, quill_site: Site) -> None:
    links = links_of(quill)
    viewer = TestClient(create_viewer_app(quill.settings.home), base_url=f"http://127.0.0.1:{quill.settings.viewer_port}")
    own = {link: asset for link, asset in links.items() if f":{quill.settings.viewer_port}/" in link}
    assert {"documents", "sft_adapter", "baseline_scores", "wrong_answers"} <= set(own.values())  # one link may stand in several
    assert any("/wrong/quill/000" in link for link in own)
    assert any("/answers/" in link for link in own)
    assert any("/sources?of=" in link for link in own)
    assert {link: viewer.get(link).status_code for link in own} == dict.fromkeys(own, 200)
    pages = [link for link in links if f":{quill_site.port}/" in link]
    assert pages
    assert all(link.removeprefix(f"http://127.0.0.1:{quill_site.port}") in quill_site.pages for link in pages)


def test_an_auditor_goes_from_the_list_to_an_answer_to_its_page_and_to_all_that_the_page_taught(quill: Harness) -> None:
    viewer = TestClient(create_viewer_app(quill.settings.home), base_url=f"http://127.0.0.1:{quill.settings.viewer_port}")
    listed = viewer.get("/wrong/quill/000").text
    answer = viewer.get(LINK_TO["answers"].findall(listed)[0])
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    quoted = viewer.get(unescape(LINK_TO["texts"].findall(answer.text)[0]))
    assert '<mark id="quote">' in quoted.text
    taught = viewer.get(unescape(LINK_TO["sources"].findall(answer.text)[0]))
    assert "Adapters that learned from it" in taught.text


@pytest.mark.parametrize(
    "path",
    ["/answers/nosuch", "/answers/", "/answers/..%2f..%2fx", "/wrong/quill/999", "/wrong/QUILL/000", "/wrong/quill/x", "/sources?of=x"],
)
def test_an_id_that_leads_nowhere_is_refused_in_words(quill: Harness, path: str) -> None:
    viewer = TestClient(create_viewer_app(quill.settings.home), base_url=f"http://127.0.0.1:{quill.settings.viewer_port}")
    answer = viewer.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/plain")
    assert len(answer.text) > 20


@pytest.mark.parametrize("path", ["/pages/../answers.sqlite", "/texts/..%2fanswers.sqlite", "/adapters/../../answers.sqlite"])
def test_nothing_else_of_the_store_is_served(quill: Harness, path: str) -> None:
    viewer = TestClient(create_viewer_app(quill.settings.home), base_url=f"http://127.0.0.1:{quill.settings.viewer_port}")
    assert viewer.get(path).status_code in (400, 404)
