"""Plain text, Markdown, reStructuredText and PDF lose no text and show nothing that their readers would not see (R2, S9)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.retrieval.extract import Extracted
from alas_assets.retrieval.readers import Unreadable, read_page
from alas_assets_tests.retrieval.documents import lines, pdf

URL = "http://docs.example/new/notes"
FILLER = "Twelve plain words stand here so that the page has something to say."


def read(text: str | bytes, content_type: str, ending: str = "") -> Extracted:
    return Extracted(**read_page(text.encode() if isinstance(text, str) else text, URL + ending, content_type))


# ------------------------------------------------------------------------------------------------ text and Markdown


def test_plain_text_stays_as_it_is() -> None:
    source = f"Title\n=====\n\n{FILLER} <!-- hidden words -->See https://docs.example/more.txt.\r\n\r\n\r\n\r\n  indented *stars*\n"
    got = read(source, "text/plain")
    assert got.text == f"Title\n=====\n\n{FILLER} See https://docs.example/more.txt.\n\n  indented *stars*\n"
    assert (got.title, got.links, got.how) == ("Title", ["https://docs.example/more.txt"], "text")


@pytest.mark.parametrize(("content_type", "ending"), [("text/markdown; charset=utf-8", ""), ("text/x-markdown", ""), ("text/plain", ".md")])
def test_markdown_keeps_its_structure_and_loses_its_marks(content_type: str, ending: str) -> None:
    source = (
        '---\ntitle: front matter\n---\n# Title\n\nSome *words* with a [link](more.md "tip") and `code_a`, **bold**.\n\n'
        "| Old | New |\n|---|---|\n| `a` | b |\n\n- one\n  - two\n\n```python\nx = 1\n```\n"
    )
    got = read(source, content_type, ending)
    assert got.text == (
        "# Title\n\nSome words with a link and `code_a`, bold.\n\n| Old | New |\n| --- | --- |\n| `a` | b |\n\n- one\n  - two\n\n"
        "```python\nx = 1\n```\n"
    )
    assert (got.title, got.links, got.how) == ("Title", ["http://docs.example/new/more.md"], "markdown")
    assert got.kept_words == got.page_words > 0


@pytest.mark.parametrize(
    "hidden",
    [
        "<!-- {} -->",
        "[//]: # ({})",
        "[comment]: <> ({})",
        "![{}](x.png)",
        '[shown](x.md "{}")',
        "<div style='display:none'>\n\n{}\n\n</div>",
        "<span hidden>{}</span>",
        "<script>{}</script>",
        "<style>.a{{}}</style><p class='a' aria-hidden='true'>{}</p>",
        "<details hidden><summary>{}</summary></details>",
    ],
)
def test_what_markdown_does_not_show_is_not_read(hidden: str) -> None:
    got = read(f"# Notes\n\n{FILLER}\n\n{hidden.format('IGNOREALLRULES')}\n\n{FILLER}\n", "text/markdown")
    assert "IGNOREALLRULES" not in got.text + got.title
    assert got.text.count("Twelve plain words") == 2


# ------------------------------------------------------------------------------------------------ reStructuredText

SPHINX = """
.. _label:

What's new in Example 3.15
**************************

:Editor: Ada Example

The :func:`heap_walk` function of :mod:`!gc` takes *keyword* arguments (:pep:`810`, :gh:`1234`); see :ref:`the notes <label>`.
A class: :class:`~collections.abc.Mapping`. Also ``literal_text`` and `interpreted`.

.. versionadded:: 3.15
   Walking the heap.

.. deprecated-removed:: 3.13 3.15

.. function:: heap_walk(start, *, depth=1)
              heap_walk(start)
   :module: gc

   Walks over everything.

   .. code-block:: python
      :emphasize-lines: 1

      heap_walk(x)

.. seealso:: Another page

   More there.

.. unknown-thing:: argument words
   :option: not shown

   * content words

.. list-table::
   :header-rows: 1

   * - Old
     - New
   * - a_b
     - c

.. admonition:: Mind the gap
   :strange-option: yes

   Admonished words.

.. index:: single: NOTSHOWN
.. NOTSHOWN comment
.. image:: NOTSHOWN.png
   :alt: NOTSHOWN
.. toctree::

   NOTSHOWN
"""


@pytest.mark.parametrize(("content_type", "ending"), [("text/x-rst", ""), ("text/plain", ".rst"), ("text/plain", ".rst.txt")])
def test_sphinx_sources_lose_no_text(content_type: str, ending: str) -> None:
    got = read(SPHINX, content_type, ending)
    assert got.title == "What's new in Example 3.15"
    assert got.how == "restructuredtext"
    assert "NOTSHOWN" not in got.text
    for said in (
        "# What's new in Example 3.15",
        "The `heap_walk()` function of `gc` takes keyword arguments (PEP 810, gh-1234); see the notes.",
        "A class: `Mapping`. Also `literal_text` and interpreted.",
        "Added in version 3.15: Walking the heap.",
        "Deprecated since version 3.13, removed in version 3.15.",
        "`heap_walk(start, *, depth=1)`",
        "Walks over everything.",
        "```\nheap_walk(x)\n```",
        "Another page\n\nMore there.",
        "argument words\n\n- content words",
        "| Old | New |\n| --- | --- |\n| a_b | c |",
        "Admonished words.",
    ):
        assert said in got.text


def test_a_source_reads_no_file_and_runs_no_raw_part(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("SECRETWORD", encoding="utf-8")
    source = f"""Title
=====

{FILLER}

.. include:: {secret}
.. literalinclude:: {secret}
.. csv-table:: T
   :file: {secret}
.. csv-table:: U
   :url: file://{secret}
.. raw:: html
   :file: {secret}
.. raw:: html

   <p>RAWWORD</p>
.. role:: raw-html(raw)
   :format: html

:raw-html:`<b>x</b>` and |today|

.. |today| date::
"""
    got = read(source, "text/x-rst")
    assert "SECRETWORD" not in got.text
    assert "RAWWORD" not in got.text
    assert "Twelve plain words" in got.text
    assert got == read(source, "text/x-rst")


def test_what_one_source_defines_is_not_known_to_the_next() -> None:
    plain = f"Title\n=====\n\n{FILLER} An :own:`ROLEWORD` and :emphasis:`EMPHASISWORD`.\n\n.. own:: ARGUMENTWORD\n"
    first = read(plain, "text/x-rst")
    read(f".. role:: own(raw)\n   :format: html\n.. role:: emphasis(raw)\n   :format: html\n\n{FILLER} :own:`x`\n", "text/x-rst")
    assert read(plain, "text/x-rst") == first
    for word in ("ROLEWORD", "EMPHASISWORD", "ARGUMENTWORD"):
        assert word in first.text


_RST_PARTS = (
    *(
        ".. note:: ",
        "\n",
        "\n\n",
        "   ",
        ":role:`a` ",
        "*a* ",
        "``",
        "| a |",
        ".. |a| replace:: |a| ",
        ".. _a: a_ ",
        "====\n",
        "- ",
        "word ",
    ),
    *(
        ":field: x",
        ".. list-table:: ",
        ".. include:: /etc/passwd",
        ".. class:: a",
        "+--+\n",
        "__ a",
        ".. csv-table:: a\n   b",
        "::\n\n   code\n",
    ),
    *(".. code:: ", ".. role:: raw", ".. x:: ", ".. contents::", ".. sectnum::", ".. math:: x", ".. footer:: a"),
)


@given(st.lists(st.sampled_from(_RST_PARTS), max_size=30).map("".join) | st.text(max_size=200))
@settings(max_examples=120, deadline=None)
def test_any_source_yields_text_or_a_reason(source: str) -> None:
    for content_type in ("text/x-rst", "text/markdown", "text/plain"):
        try:
            got = read(source.encode("utf-8", "surrogatepass"), content_type)
        except Unreadable:
            continue
        assert got.text.strip()
        assert got.model_dump_json().encode()


@given(
    st.sampled_from(["seealso", "c:function", "foo:bar", "only", "option", "glossary", "availability", "code-block", "tab-set"]),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_a_directive_that_nobody_knows_loses_no_word(name: str, argument: bool, option: bool) -> None:
    head = f".. {name}::{' ARGUMENTWORD' if argument else ''}\n{'   :opt: x' if option else ''}"
    source = f"{FILLER}\n\n{head}\n\n   CONTENTWORD one\n\n   CONTENTWORD two\n"
    got = read(source, "text/x-rst")
    assert got.text.count("CONTENTWORD") == 2
    assert ("ARGUMENTWORD" in got.text) == (argument and name != "code-block")


# ------------------------------------------------------------------------------------------------ PDF


def test_a_pdf_keeps_pages_bookmarks_and_broken_words() -> None:
    body = pdf(
        [
            lines("Running head", "Release notes", "The option deep-", "copy was re-", "moved from the library.", "1 of 3"),
            lines("Running head", "Library", "More words about the removed option.", "2 of 3"),
            lines("Running head", "Nothing else was removed here.", "3 of 3"),
        ],
        bookmarks=[("Release notes", 0), ("Library", 1)],
        Title="Notes for 3.15",
        Author="Ada Example",
    )
    got = read(body, "application/pdf")
    assert got.text == (
        "# Release notes\n\nThe option deepcopy was removed from the library.\n\n# Library\n\nMore words about the removed option.\n\n"
        "Nothing else was removed here.\n"
    )
    assert (got.title, got.authors, got.how) == ("Notes for 3.15", ["Ada Example"], "pdf")


def test_what_a_pdf_draws_invisibly_is_not_read() -> None:
    shown, unseen = lines("Words that every reader sees on this page."), lines("IGNOREALLRULES now", mode=3)
    nested = f"q {lines('IGNOREALLRULES again', mode=7)} Q {lines('and these as well')}"
    forms = "BT /F1 12 Tf 3 Tr 72 500 Td [(IGNORE) 20 (ALLRULES)] TJ (IGNOREALLRULES) ' 0 Tr (but this) Tj ET"
    got = read(pdf([f"{shown} {unseen} {nested} {forms}"]), "application/pdf")
    assert "IGNORE" not in got.text
    for said in ("Words that every reader sees", "and these as well", "but this"):
        assert said in got.text


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (pdf([lines("a")] * 501), "501 pages"),
        (pdf([lines(FILLER)], password="secret"), "encrypted"),
        (pdf([lines("IGNOREALLRULES and all that follows", mode=3)]), "no more than 0 words"),
        (pdf([]), "no more than 0 words"),
        (pdf([lines(FILLER)])[:300], "damaged"),
        (b"%PDF-1.7\nnothing else", "damaged"),
    ],
)
def test_a_pdf_that_cannot_be_read_is_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read(body, "application/pdf")


_PDF = pdf([lines(FILLER, "and a second line")], bookmarks=[("Twelve", 0)])


@given(st.lists(st.tuples(st.integers(0, len(_PDF) - 1), st.integers(0, 255)), max_size=12), st.integers(0, len(_PDF)))
@settings(max_examples=150, deadline=None)
def test_a_damaged_pdf_yields_text_or_a_reason(changes: list[tuple[int, int]], end: int) -> None:
    body = bytearray(_PDF)
    for at, byte in changes:
        body[at] = byte
    try:
        got = read(bytes(body[: max(end, 200)]), "application/pdf")
    except (Unreadable, RecursionError):
        return
    assert re.search(r"\w", got.text)
