"""A page that only leads on to another is told from one to read, and is never taught from (R2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.retrieval.readers import Unreadable, read_page
from alas_assets.retrieval.readers.onward import MOST_CHARACTERS, leads_on
from alas_assets_tests.retrieval.site import lead_to

URL = "http://docs.example/old/3.html"
PARTS = [
    "<meta http-equiv=refresh content='0; url=",
    "/b'>",
    "<base href='//[x'>",
    "<base href=/n/>",
    "<!--",
    "<script>",
    "\ud800",
    "&#xD800;",
    "\x00",
]


@pytest.mark.parametrize("url", [URL, "folder:old/3.html"])
def test_a_page_that_only_leads_on_gives_no_text(url: str) -> None:
    with pytest.raises(Unreadable, match=r"only leads on to .*next\.html"):
        read_page(lead_to("next.html"), url, "text/html")


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("/new/3.html", "http://docs.example/new/3.html"),
        ("https://other.example/a?b=1&amp;c=2#part", "https://other.example/a?b=1&c=2"),
        ("3.html", ""),
        ("HTTP://DOCS.example/old/3.html#part", ""),
    ],
)
def test_where_it_leads_is_seen_from_the_page_and_to_itself_is_nowhere(target: str, found: str) -> None:
    assert leads_on(lead_to(target).decode(), URL) == found


def test_a_long_page_is_one_to_read() -> None:
    html = lead_to("/b").decode()
    assert leads_on(html.ljust(MOST_CHARACTERS), URL)
    assert not leads_on(html.ljust(MOST_CHARACTERS + 1), URL)


@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=20), max_size=12).map("".join), st.sampled_from([URL, "http://[x", ""]))
def test_whatever_a_page_holds_it_leads_somewhere_or_nowhere(html: str, url: str) -> None:
    assert isinstance(leads_on(html, url), str)
