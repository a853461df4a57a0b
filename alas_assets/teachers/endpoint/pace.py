"""How fast an endpoint is asked: requests and tokens in any window, calls at a time, and whether it is up (S11).

Each class here counts; who waits for it and sends is `session`. Times are seconds of a monotonic clock.
"""

from __future__ import annotations

from collections import deque

SKEW = 1.2
"""Seconds by which the ways of two requests to the server may differ: it counts when they arrive, we when they go."""
_CATCH_UP = 0.5
"""Seconds of lateness that may be made up for at once; more would be a burst."""


class RequestPace:
    """At most so many requests in any window, evenly spaced, because providers also enforce fractions of a minute.

    Args:
        limit: Requests in a window; 0: no limit.
        window: Seconds.
        skew: Seconds that are added to the window.
    """

    def __init__(self, limit: int, window: float = 60.0, skew: float = SKEW) -> None:
        self.limit = limit - limit // 100  # one in a hundred stays unused: a stalled machine delays more than the skew
        self._window = window + skew
        self._spacing = self._window / self.limit if limit else 0.0
        self._due = 0.0
        self._sent: deque[float] = deque(maxlen=self.limit or None)

    def wait(self, now: float) -> float:
        """Return seconds until the next request may go, 0 for now."""
        if not self.limit:
            return 0.0
        full = len(self._sent) == self.limit
        oldest = self._sent[0] + self._window if full else now
        return max(0.0, self._due - now, oldest - now)

    def sent(self, now: float) -> None:
        """Count a request that goes now."""
        if self.limit:
            self._due = max(self._due, now - _CATCH_UP) + self._spacing
            self._sent.append(now)


class TokenPace:
    """At most so many tokens in any window, whether the server counts them when they are asked for or when they come.

    A request under way counts with its upper bound; afterwards with what it took, until a window has passed since its end.

    Args:
        limit: Tokens in a window; 0: no limit.
        window: Seconds.
        skew: Seconds that are added to the window.
    """

    def __init__(self, limit: int, window: float = 60.0, skew: float = SKEW) -> None:
        self.limit = limit
        self._window = window + skew
        self._under_way = 0
        self._ended: deque[tuple[float, int]] = deque()
        self._past = 0

    def wait(self, now: float, bound: int) -> float:
        """Return seconds after which to ask again, 0 where the request may go; one that is too large by itself goes alone."""
        if not self.limit:
            return 0.0
        while self._ended and self._ended[0][0] <= now - self._window:
            self._past -= self._ended.popleft()[1]
        if self._under_way + self._past + bound <= self.limit or not (self._under_way or self._past):
            return 0.0
        return 0.05 if self._under_way or not self._ended else max(0.001, self._ended[0][0] + self._window - now)

    def begin(self, bound: int) -> None:
        """Count a request that goes now with its bound."""
        self._under_way += bound if self.limit else 0

    def end(self, now: float, bound: int, took: int) -> None:
        """Count what it took instead."""
        if self.limit:
            self._under_way -= bound
            self._ended.append((now, took))
            self._past += took


class Width:
    """How many calls run at a time: fewer when the server is busy, more again when it answers.

    Args:
        most: Calls at a time at most.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._width = float(most)
        self._narrowed_at = -1.0
        self.running = 0

    @property
    def free(self) -> bool:
        """Whether another call may start."""
        return self.running < max(1, int(self._width))

    def narrow(self, now: float) -> None:
        """Take a third less, once a second at most: many calls are told at once that the server is busy."""
        if now - self._narrowed_at >= 1.0:
            self._width = max(1.0, self._width * 0.67)
            self._narrowed_at = now

    def widen(self) -> None:
        """Take a little more."""
        self._width = min(float(self.most), self._width + 0.5)


class Circuit:
    """Whether the endpoint is up. Until it has answered once, and after several outages in a row, it is tried by one call at a time.

    It opens, and no call is sent any more, once nothing but outages came back for `patience` seconds.

    Args:
        patience: Seconds.
        first_wait: Seconds after the first outage; twice as long after each further one.
        longest_wait: Seconds between two tries at most.
    """

    SUSPECT = 5
    _CALLS = 3
    _SILENT = 3

    def __init__(self, patience: float = 20.0, first_wait: float = 0.5, longest_wait: float = 8.0) -> None:
        self.patience = patience
        self._first_wait, self._longest_wait = first_wait, longest_wait
        self._proven = False
        self.outages = 0
        self._since = 0.0
        self._last = 0.0
        self._refused_since: float | None = None
        self._calls: set[str] = set()

    @property
    def healthy(self) -> bool:
        """Whether many calls may be sent at a time."""
        return self._proven and self.outages < self.SUSPECT

    @property
    def proven(self) -> bool:
        """Whether it has ever answered."""
        return self._proven

    @property
    def seconds(self) -> float:
        """How long nothing but outages has come back."""
        return self._last - self._since

    @property
    def is_open(self) -> bool:
        """Whether it is down.

        That is: nothing but outages for long enough, and not for one call alone unless nobody has even answered the door for as long; or no
        answer ever, to attempts that took long.
        """
        nobody = self._refused_since is not None and self._last - self._refused_since >= self.patience
        told = nobody or len(self._calls) >= self._CALLS
        return (self.outages >= self.SUSPECT and self.seconds >= self.patience and told) or (
            self.outages >= 2 and not self._proven and self.seconds >= self._SILENT * self.patience
        )

    def wait(self, now: float) -> float:
        """Return seconds until one call may try it."""
        if self.healthy or not self.outages:
            return 0.0
        pause = min(self._longest_wait, self._first_wait * 2 ** min(16, self.outages - 1))
        return max(0.0, self._last + pause - now)

    def answered(self) -> None:
        """It has answered."""
        self._proven = True
        self.outages = 0
        self._refused_since = None
        self._calls.clear()

    def failed(self, now: float, took: float, call: str, connection: bool) -> None:
        """An attempt of some seconds ended in an outage."""
        if not self.outages:
            self._since = now - took
        self.outages += 1
        self._last = now
        if not connection:
            self._refused_since = None  # it broke off, so somebody was there
        elif self._refused_since is None:
            self._refused_since = now - took
        if len(self._calls) < self._CALLS:
            self._calls.add(call)
