"""A cell that reads a primary site and one that contradicts it: what is taught, what the UI shows, what the check says (R7)."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from alas_assets.defs.earlier import standing_facts
from alas_assets.partitions import cell_key
from alas_assets.provenance.store import Cell
from alas_assets.records import Seed
from alas_assets_tests.harness import Harness, Site

pytestmark = pytest.mark.timeout(240)
AGREED = "<p>Reading a torn sheet with <code>scan()</code> now raises <code>SheetError</code>.</p>"
DENIED = "<p>Building Quill now requires GCC {} or newer.</p>"
OWN = "<p>The <code>wipe()</code> function was deprecated in favour of <code>burn()</code>.</p>"


@pytest.fixture
def sites() -> Iterator[tuple[Site, Site]]:
    pair = (Site(), Site())
    for site, body in zip(pair, (AGREED + DENIED.format("12.3"), AGREED + DENIED.format("4.1") + OWN), strict=True):
        site.page("/", "Quill", '<p>What changed in the Quill toolkit.</p><ul><li><a href="/3.html">Quill 3</a></li></ul>')
        site.page("/3.html", "What is new in Quill 3.0", body)
    borrowed = f'<link rel="canonical" href="http://127.0.0.1:{pair[0].port}/3.html"></head>'  # a claim to be the primary page (R3)
    pair[1].pages["/3.html"] = pair[1].pages["/3.html"].replace("</head>", borrowed)
    yield pair
    for site in pair:
        site.close()


@pytest.fixture
def harness(tmp_path: Path, sites: tuple[Site, Site], tiny_student: Path) -> Harness:
    harness = Harness(tmp_path, str(tiny_student))
    hosts = [f"127.0.0.1:{site.port}" for site in sites]
    harness.domain(
        "quill",
        sites[0].port,
        seed_urls=str([f"http://{host}/" for host in hosts]),
        private_hosts=str(hosts),
        watch_urls=f"[]\nprimary_hosts = ['{hosts[0]}']",
        max_topics="12",
    )
    return harness


def test_what_a_second_site_denies_or_states_alone_is_not_taught_and_the_check_says_so(harness: Harness, sites: tuple[Site, Site]) -> None:
    outcome = harness.run("quill", dry_run=True)
    assert outcome.success, outcome.failures
    pairs = harness.store.read_table(harness.pointers("quill")["qa_pairs"], "qa_pairs")
    assert set(pairs.filter("accepted")["answer"]) == {"SheetError"}
    assert set(pairs.filter("accepted")["support"]) == {2}
    denied = pairs.filter(pl.col("answer").str.contains("GCC"))
    assert denied["reason"].str.starts_with("disputed: ").all()
    assert all(f":{site.port}/3.html" in denied["reason"][0] for site in sites)
    assert pairs.filter(pl.col("answer") == "burn()")["reason"].str.starts_with("too little support").all()
    documents = harness.store.read_table(harness.pointers("quill")["documents"], "documents")
    assert documents["canonical_url"].drop_nulls().str.contains(f":{sites[0].port}/").any()

    found = harness.instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey("qa_pairs"), asset_partitions=[cell_key(Cell.of("quill", 0))]), limit=1
    )
    made = found.records[0].asset_materialization
    assert made is not None
    assert made.metadata["disputes"].value == 1
    [row] = made.metadata["disputed"].value.records  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
    assert {row.data["answer"], row.data["other_answer"]} == {"GCC 12.3", "GCC 4.1"}
    [said] = [line for _, line in harness.events if line.startswith("no_disputes")]
    assert "disagreements between pages in quill|000: 1 (consensus.disputed: reject)" in said
    assert "GCC 4.1" in said


def test_what_a_later_page_denies_is_rehearsed_and_asked_no_more(tmp_path: Path, sites: tuple[Site, Site], tiny_student: Path) -> None:
    harness = Harness(tmp_path, str(tiny_student))
    hosts = [f"127.0.0.1:{site.port}" for site in sites]

    def reading(*seeds: str) -> None:
        harness.domain(
            "quill",
            sites[0].port,
            seed_urls=str([f"http://{host}/" for host in seeds]),
            private_hosts=str(hosts),
            watch_urls=f"[]\nprimary_hosts = {hosts}",
            max_topics="12",
        )

    reading(hosts[1])
    assert harness.run("quill", dry_run=True).success
    first = harness.store.read_table(harness.pointers("quill")["qa_pairs"], "qa_pairs")
    taught = first.filter(pl.col("accepted") & (pl.col("answer") == "GCC 4.1"))
    assert taught.height
    harness.revised("quill", 0, "continue")
    reading(*hosts)
    outcome = harness.run("quill", 1, dry_run=True)
    assert outcome.success, outcome.failures
    pairs = harness.store.read_table(harness.pointers("quill", 1)["qa_pairs"], "qa_pairs")
    refused = pairs.filter(pl.col("answer").str.contains("GCC"))
    assert set(refused["answer"]) == {"GCC 12.3", "GCC 4.1"}
    assert not refused["accepted"].any()
    assert refused["reason"].str.starts_with("disputed: ").all()
    assert set(taught["question"]) <= set(refused["question"])
    probes = harness.store.read_table(harness.pointers("quill", 1)["probes"], "probes").filter(pl.col("split") == "earlier")
    assert probes.height
    assert not probes["answer"].str.contains("GCC").any()
    cell = Cell.of("quill", 1)
    read_first, documents = (harness.store.pointer(cell, asset) for asset in ("curriculum_seed", "documents"))
    assert read_first is not None
    assert documents is not None
    standing = standing_facts(harness.alas, cell, harness.store.read_record(Seed, read_first), harness.store.read_table(documents))
    assert standing
    assert standing.isdisjoint(taught["fact_id"])
