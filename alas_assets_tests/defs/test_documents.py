"""The documents of a cell and the passages under its tag are of one reading (R3, R4)."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest

from alas_assets.defs.documents import cell_tags, chunk_store, chunks_of
from alas_assets.partitions import cell_key, register_cell
from alas_assets.provenance.store import Cell, StoreError
from alas_assets.records import Curriculum, Inherited, Seed, Topic
from alas_assets.students.embedding import embedder_folder
from alas_assets_tests.harness import Harness, serving


def planned(harness: Harness, iteration: int, page: str) -> Cell:
    """Open an iteration whose plan is one page."""
    return planned_topics(harness, iteration, Topic(topic_id="t", name="t", urls=[page]))


def planned_topics(harness: Harness, iteration: int, *topics: Topic, earlier: Sequence[str] = ()) -> Cell:
    """Open an iteration with this plan, which takes over what earlier ones read."""
    cell = Cell.of("quill", iteration)
    register_cell(harness.instance, cell)
    seed = Seed(domain="quill", iteration=iteration, description="d", seed_topics=[], seed_urls=[], cause="test")
    seed = seed.model_copy(update={"inherited": Inherited(document_hashes=list(earlier))})
    harness.store.put(cell, "curriculum_seed", seed, input_key="seed", inputs={}, run_id="r")
    found_by = {page: "link" for topic in topics for page in topic.urls}
    plan = Curriculum(domain="quill", iteration=iteration, topics=list(topics), found_by=found_by)
    harness.store.put(cell, "curriculum", plan, input_key="plan", inputs={}, run_id="r")
    return cell


def read_documents(harness: Harness, cell: Cell) -> bool:
    return failure(harness, cell) is None


def failure(harness: Harness, cell: Cell) -> str | None:
    """Materialise `documents`; return what it says where it fails."""
    job = harness.repository.get_job("iteration")
    chosen = [dg.AssetKey("documents")]
    run = job.execute_in_process(instance=harness.instance, partition_key=cell_key(cell), asset_selection=chosen, raise_on_error=False)
    failed = [event.step_failure_data for event in run.all_events if event.is_step_failure]
    if run.success:
        return None
    return (failed[0].user_failure_data.description if failed[0].user_failure_data else None) or str(failed[0].error)


def test_after_a_change_of_embedder_one_question_finds_what_every_iteration_read(tmp_path: Path, tiny_student: Path) -> None:
    with serving() as site:
        harness = Harness(tmp_path, str(tiny_student))
        harness.domain("quill", site.port)
        before = planned(harness, 0, f"http://127.0.0.1:{site.port}/4.html")
        assert read_documents(harness, before)
        own = embedder_folder(harness.alas.domain("quill").student.embedder)
        assert own is not None
        other = shutil.copytree(own, tmp_path / "other")
        harness.domain("quill", site.port, model=f'"{tiny_student}"\nembedder = "{other}"')
        after = planned(harness, 1, f"http://127.0.0.1:{site.port}/3.html")
        assert read_documents(harness, after)
        domain = harness.alas.domain("quill")
        assert domain.student.embedder == str(other)
        tags = cell_tags(harness.alas, after)
        (question,) = harness.alas.embed(domain, ["compiler"])
        found = chunk_store(harness.alas, "quill").search("compiler", question, 100, tags)
        assert set(found["chunk_id"]) == set(chunks_of(harness.alas, before)["chunk_id"]) | set(chunks_of(harness.alas, after)["chunk_id"])


def test_an_embedder_that_is_set_back_finds_all_again_though_a_reading_with_the_other_failed(tmp_path: Path, tiny_student: Path) -> None:
    with serving() as site:
        harness = Harness(tmp_path, str(tiny_student))

        def embedder(named: str) -> None:
            harness.domain("quill", site.port, model=f'"{tiny_student}"{named}')

        def found() -> set[str]:
            domain = harness.alas.domain("quill")
            (question,) = harness.alas.embed(domain, ["compiler"])
            return set(chunk_store(harness.alas, "quill").search("compiler", question, 100, cell_tags(harness.alas, second))["chunk_id"])

        embedder("")
        first = planned(harness, 0, f"http://127.0.0.1:{site.port}/4.html")
        second = planned(harness, 1, f"http://127.0.0.1:{site.port}/3.html")
        assert read_documents(harness, first)
        assert read_documents(harness, second)
        all_of_them = found()
        own = embedder_folder(harness.alas.domain("quill").student.embedder)
        assert own is not None
        another = f'\nembedder = "{shutil.copytree(own, tmp_path / "other")}"'
        embedder(another)
        page = site.pages.pop("/3.html")
        assert not read_documents(harness, second)
        embedder("")
        assert found() == all_of_them, "a reading that fails leaves earlier passages as they are"
        embedder(another)
        site.pages["/3.html"] = page
        assert read_documents(harness, second)
        assert found() == all_of_them
        embedder("")
        assert read_documents(harness, second)
        assert found() == all_of_them, "the step had nothing to read, and embedded all of them anew"


@pytest.mark.parametrize("damage", ["torn", "deleted"])
def test_a_damaged_table_of_cells_is_healed_and_says_for_which_cells_to_read_again(damage: str, tmp_path: Path, tiny_student: Path) -> None:
    with serving() as site:
        harness = Harness(tmp_path, str(tiny_student))
        harness.domain("quill", site.port)
        both = [planned(harness, number, f"http://127.0.0.1:{site.port}/{page}.html") for number, page in enumerate("43")]
        assert all(read_documents(harness, cell) for cell in both)
        before = [chunks_of(harness.alas, cell) for cell in both]
        table = Path(harness.store.lance) / "quill.cells.lance"
        if damage == "deleted":
            shutil.rmtree(table)
        for manifest in (table / "_versions").glob("*"):
            manifest.write_bytes(b"torn")
        assert read_documents(harness, both[1])
        (question,) = harness.alas.embed(harness.alas.domain("quill"), ["compiler"])
        tags = cell_tags(harness.alas, both[1])
        with pytest.raises(StoreError, match="cell-000 has no stored passages; materialise `documents` of quill again for it"):
            chunk_store(harness.alas, "quill").search("compiler", question, 100, tags)
        assert read_documents(harness, both[0])
        assert chunk_store(harness.alas, "quill").search("compiler", question, 100, tags).height
        for cell, passages in zip(both, before, strict=True):
            assert chunks_of(harness.alas, cell)["chunk_id"].equals(passages["chunk_id"])


def test_a_plan_that_gives_nothing_to_read_is_an_error_unless_nothing_is_new_or_it_was_tried_in_vain_before(
    tmp_path: Path, tiny_student: Path
) -> None:
    with serving() as site:
        harness = Harness(tmp_path, str(tiny_student))
        harness.domain("quill", site.port)
        inks, nibs = (Topic(topic_id=name, name=name, origin="remediation", parent="p") for name in ("inks", "nibs"))
        first = planned_topics(harness, 0)
        assert "no topic names a page to study" in (failure(harness, first) or ""), "a domain that was never read is not up to date"
        first = planned(harness, 0, f"http://127.0.0.1:{site.port}/4.html")
        assert failure(harness, first) is None
        earlier = [harness.pointers("quill")["documents"]]
        second = planned_topics(harness, 1, inks, earlier=earlier)
        assert "no page is known of inks: " in (failure(harness, second) or "")
        third = planned_topics(harness, 2, inks, nibs, earlier=earlier)
        assert "no page is known of nibs: " in (failure(harness, third) or "")
        assert failure(harness, planned_topics(harness, 3, inks, nibs, earlier=earlier)) is None
        last = planned_topics(harness, 4, earlier=earlier)
        assert failure(harness, last) is None
        assert chunks_of(harness.alas, last).is_empty()
        (question,) = harness.alas.embed(harness.alas.domain("quill"), ["compiler"])
        found = chunk_store(harness.alas, "quill").search("compiler", question, 100, cell_tags(harness.alas, last))
        assert set(found["chunk_id"]) == set(chunks_of(harness.alas, first)["chunk_id"])


def test_a_reading_whose_passages_were_replaced_by_as_many_of_other_texts_is_made_again(tmp_path: Path, tiny_student: Path) -> None:
    with serving() as site:
        harness = Harness(tmp_path, str(tiny_student))
        page = f"http://127.0.0.1:{site.port}/4.html"

        def read(max_pages: int) -> tuple[set[str], set[str], str]:
            """Materialise `documents` with this setting; return whose texts it and the passages are, and what these say."""
            harness.domain("quill", site.port, watch_urls=f"[]\nmax_pages = {max_pages}")
            assert read_documents(harness, cell)
            fetches, passages = harness.store.read_table(harness.pointers("quill")["documents"], "documents"), chunks_of(harness.alas, cell)
            return set(fetches["text_sha256"]), set(passages["text_sha256"]), " ".join(passages["text"])

        cell = planned(harness, 0, page)
        assert "GCC 12.3" in read(50)[2]
        site.pages["/4.html"] = site.pages["/4.html"].replace("GCC 12.3", "GCC 13.2")
        assert "GCC 13.2" in read(60)[2]
        stored, under_the_tag, said = read(50)
        assert stored == under_the_tag
        assert "GCC 13.2" in said
