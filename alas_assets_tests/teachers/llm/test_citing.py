from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.provenance.ids import fold
from alas_assets.synthesis.quotes import FoldedText
from alas_assets.teachers.llm.citing import stretch

TEXT = (
    "## Changes\n\nThe `sum()` builtin and **all** of [PEP 661](https://peps.test/661) are\nnew; the user’s `x-y` mode isn’t. Python 3.15 "
    "– the `lazy` one. Set `a_b` to 2\\*3."
)


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("The `sum()` builtin", "The `sum()` builtin"),
        ("The sum() builtin and all of PEP 661 are new", "The `sum()` builtin and **all** of [PEP 661](https://peps.test/661) are new"),
        ("the user's x-y mode isn't.", "the user’s `x-y` mode isn’t."),
        ("sum() builtin", "`sum()` builtin"),
        ("Python 3.15 - the lazy", "Python 3.15 – the `lazy`"),
        ("Set a_b to 2*3.", "Set `a_b` to 2\\*3."),
    ],
)
def test_a_quote_without_marks_is_found_as_the_passage_has_it(quote: str, found: str) -> None:
    assert stretch(quote, TEXT) == found
    assert FoldedText(TEXT).locate(found) is not None


@pytest.mark.parametrize(
    "quote", ["", "The sum builtin", "Python 3.1", "the lazy one, set", "builtin [...] PEP 661", "THE SUM() BUILTIN", "um() builtin"]
)
def test_what_the_passage_does_not_say_is_not_found(quote: str) -> None:
    assert stretch(quote, TEXT) is None


@settings(deadline=None)
@given(st.text(st.sampled_from("ab `*[]()\\’'-\n"), max_size=60), st.text(st.sampled_from("ab `*[]()\\’'-"), max_size=12))
def test_what_is_found_stands_in_the_text_and_says_the_same_letters(text: str, quote: str) -> None:
    found = stretch(quote, text)
    if found is not None:
        assert FoldedText(text).locate(found) is not None
        assert fold(found) in fold(text)
        assert [c for c in found if c in "ab"] == [c for c in quote if c in "ab"] or "](" in found
