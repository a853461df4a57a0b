"""The real student's one training, which all tests here share."""

from collections.abc import Iterator

import pytest

from alas_assets_tests.harness import Harness, Site, serving_more

PORT = 28571


@pytest.fixture(scope="session")
def learned_site() -> Iterator[Site]:
    """The larger site that the real student learns from."""
    with serving_more(PORT) as site:
        yield site


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory, learned_site: Site) -> Harness:
    """One iteration of `quill` over four pages with SmolLM2-135M-Instruct: the one training of the real student on that site."""
    harness = Harness(tmp_path_factory.mktemp("learned"), "SmolLM2-135M-Instruct", "smollm2-135m-quick")
    harness.domain("quill", learned_site.port, max_topics="18", guard_file='"general.jsonl"')
    outcome = harness.run("quill")
    assert outcome.success, outcome.failures
    return harness
