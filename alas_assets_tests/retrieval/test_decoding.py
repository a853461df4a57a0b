"""A document's bytes become the characters that its author wrote, whatever it declares, shows as an example, or leaves out (R2)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.retrieval.readers import read_page
from alas_assets.retrieval.readers.decoding import decoded

URL = "http://docs.example/new/notes"
WORDS = "The café’s “naïve” words cost 5 € – no more – and are read as they were written."
TYPES = st.one_of(
    st.sampled_from(["", "text/html", "text/plain; charset=utf-16", "text/html; charset=idna", "text/html; charset=zlib", "\x00;;="]),
    st.sampled_from(["punycode", "undefined", "gb18030", "unicode_escape", "utf-7", "x-unknown"]).map("text/html; charset={}".format),
    st.text(max_size=30),
)
DECLARATIONS = [
    '<meta charset="{}">',
    "<meta http-equiv=content-type content='text/html; charset={}'>",
    '<?xml version="1.0" encoding="{}"?>',
]


def read(body: bytes, content_type: str, ending: str = "") -> dict[str, Any]:
    return read_page(body, URL + ending, content_type)


def page(words: str, head: str = "") -> str:
    return f"<html><head>{head}</head><body><main><h1>Notes</h1><p>{words}</p></main></body></html>"


@pytest.mark.parametrize(
    ("content_type", "ending"), [("text/html", ".html"), ("", ""), ("text/plain", ".txt"), ("text/markdown", ".md"), ("text/x-rst", ".rst")]
)
def test_what_is_no_utf_8_and_declares_no_charset_is_read_as_windows_1252(content_type: str, ending: str) -> None:
    source = page(WORDS) if content_type in ("text/html", "") else f"{WORDS}\n"
    assert WORDS in read(source.encode("cp1252"), content_type, ending)["text"]


@pytest.mark.parametrize("example", ['<meta charset="iso-8859-1">', '<?xml version="1.0" encoding="iso-8859-1"?>'])
@pytest.mark.parametrize(("content_type", "ending"), [("text/plain", ".txt"), ("text/markdown", ".md"), ("text/x-rst", ".rst")])
def test_a_charset_that_a_text_shows_as_an_example_is_not_its_own(example: str, content_type: str, ending: str) -> None:
    got = read(f"Old pages begin so::\n\n    {example}\n\n{WORDS}\n".encode(), content_type, ending)
    assert WORDS in got["text"]
    assert example in got["text"].replace("\\", "")


@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_a_page_says_its_charset_itself_where_the_server_does_not(declaration: str) -> None:
    russian = "Здесь стоят простые слова, которых никто не объявил иначе."
    assert russian in read(page(russian, declaration.format("windows-1251")).encode("cp1251"), "text/html")["text"]
    assert WORDS in read(page(WORDS, declaration.format("windows-1251")).encode(), "text/html; charset=utf-8")["text"]
    assert WORDS in read(page(WORDS, declaration.format("utf-16")).encode(), "text/html")["text"], "it was found a byte at a time"


def test_a_few_broken_bytes_do_not_make_utf_8_another_charset() -> None:
    got = read(page(WORDS).encode() + b"<p>cut: \xe2\x80</p>", "text/html")
    assert WORDS in got["text"]


@given(
    st.binary(max_size=300), TYPES, st.booleans(), st.sampled_from(["", *DECLARATIONS]), st.sampled_from(["idna", "zlib", "utf-32", "hz"])
)
def test_whatever_the_bytes_and_whatever_is_declared_there_is_text(
    body: bytes, content_type: str, html: bool, declaration: str, charset: str
) -> None:
    assert isinstance(decoded(declaration.format(charset).encode() + body, content_type, html=html), str)


@given(
    st.text(), st.sampled_from(["", "text/plain", "text/markdown; charset=utf-8", "text/html; charset=x-unknown", "text/x; charset=zlib"])
)
def test_utf_8_comes_back_as_it_was(text: str, content_type: str) -> None:
    example = f'<meta charset="iso-8859-1">{text}'
    assert decoded(example.encode(), content_type, html=False) == example
    assert decoded(text.encode("utf-8-sig"), content_type, html=True) == text
