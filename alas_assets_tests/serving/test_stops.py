"""Stop strings: cut off whatever the pieces are that a text comes in."""

from hypothesis import given
from hypothesis import strategies as st

from alas_assets.serving.stops import Stops

TEXT = st.text("abX ", max_size=12)
STOPS = st.lists(st.text("abX", min_size=1, max_size=4), max_size=3)


def whole(stops: list[str], text: str) -> str:
    stream = Stops(stops)
    return stream.take(text) + stream.rest()


@given(st.lists(TEXT, max_size=6), STOPS)
def test_how_a_text_is_cut_into_pieces_decides_nothing(pieces: list[str], stops: list[str]) -> None:
    stream = Stops(stops)
    streamed = "".join([*map(stream.take, pieces), stream.rest()])
    assert streamed == whole(stops, "".join(pieces))
    assert not any(stop in streamed for stop in stops)
    assert "".join(pieces).startswith(streamed)
    assert stream.met or streamed == "".join(pieces)


def test_the_stop_string_that_is_complete_first_counts() -> None:
    assert whole(["aXb", "X"], "aaXb") == "aa"
    assert whole(["b", "abc"], "abc") == "a"


def test_only_what_may_begin_a_stop_string_is_held_back() -> None:
    stream = Stops(["\n\n"])
    assert [stream.take("one\n"), stream.take("two\n"), stream.take("\nthree"), stream.take("four"), stream.rest()] == [
        "one", "\ntwo", "", "", ""
    ]  # fmt: skip
    assert stream.met
