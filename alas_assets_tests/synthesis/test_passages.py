"""A fact's id is by its quote as it is stored, whoever asks and in whichever form the quote comes (S2, A1)."""

from hypothesis import assume, given
from hypothesis import strategies as st

from alas_assets.provenance import ids
from alas_assets.records import DraftFact
from alas_assets.synthesis.passages import Passages
from alas_assets_tests.synthesis.factory import curated, fact, page

MARKED = st.text("ab1 `*|-\n\u00ad\u200b’é\u0301", min_size=1, max_size=30)
"""Text with the marks that a reader does not see."""


def draft_of(text: str, quote: str) -> tuple[DraftFact, Passages]:
    _, chunks = page([text])
    return fact(chunks, quote, "a", "letter"), Passages.of(chunks)


@given(MARKED, st.data())
def test_a_draft_with_the_stored_quote_has_the_same_fact(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    quote = data.draw(st.sampled_from([text[start:], text[:start], text[start:].replace("`", "").replace("\u00ad", "")]))
    draft, passages = draft_of(text, quote)
    place = passages.locate(ids.fold(quote), draft.chunk_id)
    assume(place is not None)
    assert place is not None
    again = draft.model_copy(update={"quote": passages.slice(draft.chunk_id, place)})
    assert passages.fact_id(again) == passages.fact_id(draft) != ""


@given(MARKED, st.text(max_size=30))
def test_curation_gives_every_fact_this_id_whatever_else_speaks_against_it(text: str, quote: str) -> None:
    _, chunks = page([text])
    draft = fact(chunks, quote, "a", "letter")
    assert set(curated([draft], chunks)["fact_id"]) == {Passages.of(chunks).fact_id(draft)}


def test_an_unknown_passage_gives_no_id_and_no_place() -> None:
    draft, passages = draft_of("a", "a")
    lost = draft.model_copy(update={"chunk_id": "nosuch"})
    assert passages.fact_id(lost) == ""
    assert passages.locate("a", "nosuch") is None
