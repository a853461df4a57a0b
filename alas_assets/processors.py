"""How programs that compute with several threads share the processors with whatever else runs (T3).

The environment variables only; how many threads there are, `spec.threads` and the model process say.
"""

from __future__ import annotations

from collections.abc import Mapping

_SPIN, _POLICY = "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"
_TURNS = 5000
"""How often a thread that waits for the others looks again before it sleeps; libgomp's own choice is 300,000."""


def waiting_briefly(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what has threads that wait for each other give their processor away soon; nothing where a person chose otherwise.

    Threads meet thousands of times in an optimiser step. With another program on one of the processors a thread has to wait for its turn,
    and by default the others spend that time looking whether it has come, on the processors that it waits for: `bench/speed/beside.py`.

    Args:
        environment: The variables that a program would be started with.
    """
    return {} if _SPIN in environment or _POLICY in environment else {_SPIN: str(_TURNS)}
