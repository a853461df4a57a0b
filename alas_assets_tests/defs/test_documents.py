"""The documents of a cell and the passages under its tag are of one reading (R3, R4)."""

from pathlib import Path

import dagster as dg

from alas_assets.defs.documents import chunks_of
from alas_assets.partitions import cell_key, register_cell
from alas_assets.provenance.store import Cell
from alas_assets.records import Curriculum, Topic
from alas_assets_tests.harness import Harness, serving


def test_a_reading_whose_passages_were_replaced_by_as_many_of_other_texts_is_made_again(tmp_path: Path, tiny_student: Path) -> None:
    cell = Cell.of("quill", 0)
    with serving() as site:
        harness = Harness(tmp_path, str(tiny_student))
        page = f"http://127.0.0.1:{site.port}/4.html"

        def read(max_pages: int) -> tuple[set[str], set[str], str]:
            """Materialise `documents` with this setting; return whose texts it and the passages are, and what these say."""
            harness.domain("quill", site.port, watch_urls=f"[]\nmax_pages = {max_pages}")
            job = harness.repository.get_job("iteration")
            chosen = [dg.AssetKey("documents")]
            assert job.execute_in_process(instance=harness.instance, partition_key=cell_key(cell), asset_selection=chosen).success
            fetches, passages = harness.store.read_table(harness.pointers("quill")["documents"], "documents"), chunks_of(harness.alas, cell)
            return set(fetches["text_sha256"]), set(passages["text_sha256"]), " ".join(passages["text"])

        register_cell(harness.instance, cell)
        harness.opened("quill", 0)
        plan = Curriculum(domain="quill", iteration=0, topics=[Topic(topic_id="t", name="t", urls=[page])], found_by={page: "link"})
        harness.store.put(cell, "curriculum", plan, input_key="plan", inputs={}, run_id="r")
        assert "GCC 12.3" in read(50)[2]
        site.pages["/4.html"] = site.pages["/4.html"].replace("GCC 12.3", "GCC 13.2")
        assert "GCC 13.2" in read(60)[2]
        stored, under_the_tag, said = read(50)
        assert stored == under_the_tag
        assert "GCC 13.2" in said
