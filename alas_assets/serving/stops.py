"""Cutting answers before a client's stop strings, whole or piece by piece (G5). Who generates them is `serving.backend`."""

from __future__ import annotations

from collections.abc import Sequence


class Stops:
    """Cuts a text that comes in pieces before the first stop string that is complete.

    Clients of OpenAI's interface expect the stop string to be left out; `transformers serve` leaves it in. The end of a piece that may be
    the beginning of a stop string is held back until the next piece tells; how the text is cut into pieces decides nothing.

    Args:
        stops: The stop strings, none of them empty.

    Attributes:
        met: Whether one has come.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops, self._held, self.met = tuple(stops), "", False

    def take(self, piece: str) -> str:
        """Return what may be given out now that this piece has come."""
        if self.met:
            return ""
        text, self._held = self._held + piece, ""
        ends = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if ends:
            self.met = True
            return text[: min(ends)[1]]
        begun = max((n for stop in self._stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
        given = text[: len(text) - begun]
        self._held = text[len(given) :]
        return given

    def rest(self) -> str:
        """Return what was held back, now that nothing more comes."""
        held, self._held = self._held, ""
        return held
