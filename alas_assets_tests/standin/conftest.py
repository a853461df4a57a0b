"""One running stand-in with the pairs of the sample site for all tests of this folder."""

from collections.abc import Iterator

import pytest

from alas_assets_tests.standin.running import stand_in
from alas_assets_tests.standin.sample import RECORDED


@pytest.fixture(scope="session")
def served() -> Iterator[str]:
    """Its base URL."""
    with stand_in(RECORDED, "--latency", "0") as url:
        yield url
