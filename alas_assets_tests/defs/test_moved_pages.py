"""A page that moved between two iterations is followed by what was taught from its old address (O2)."""

from pathlib import Path

from alas_assets_tests.harness import Harness, serving


def test_the_next_iteration_follows_a_page_that_moved_since_it_was_read(tmp_path: Path, tiny_student: Path) -> None:
    with serving() as site:
        harness = Harness(tmp_path, str(tiny_student))
        harness.domain("quill", site.port, max_topics="8")
        assert harness.run("quill", dry_run=True).success
        harness.revised("quill", 0, "continue")
        site.pages["/notes/3.html"] = site.pages.pop("/3.html")
        site.pages["/"] = site.pages["/"].replace("/3.html", "/notes/3.html")
        outcome = harness.run("quill", 1, dry_run=True)
        assert outcome.success, outcome.failures
        old, new = (f"http://127.0.0.1:{site.port}/{path}" for path in ("3.html", "notes/3.html"))
        fetches = harness.store.read_table(harness.pointers("quill", 1)["documents"], "documents")
        assert fetches.filter(requested_url=old).select("page_id", "ok").rows() == [(new, True)]
