"""Links lead to addresses that the viewer has, on the configured port."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.links import is_report_name, manifest_link, page_link, report_link, text_link


def test_links_use_the_configured_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALAS_VIEWER_PORT", "9123")
    assert page_link("ab") == "http://127.0.0.1:9123/pages/ab"
    assert text_link("ab") == "http://127.0.0.1:9123/texts/ab"
    assert text_link("ab", 3, 9) == "http://127.0.0.1:9123/texts/ab?start=3&end=9#quote"
    assert report_link("scores-1.html") == "http://127.0.0.1:9123/reports/scores-1.html"
    assert manifest_link("ab") == "http://127.0.0.1:9123/adapters/ab/manifest.json"


def test_what_was_never_stored_has_no_link() -> None:
    assert page_link("") == text_link("", 1, 2) == manifest_link("") == ""


@given(st.one_of(st.text(), st.sampled_from(["..html", "../x.html", ".x.html", "x", "a/b.html", "x.html\n", "a" * 300 + ".html"])))
def test_only_plain_file_names_are_reports(name: str) -> None:
    if is_report_name(name):
        assert "/" not in name
        assert "\\" not in name
        assert not name.startswith(".")
        assert name.endswith((".html", ".json"))
    else:
        with pytest.raises(ValueError, match="cannot be a report"):
            report_link(name)
