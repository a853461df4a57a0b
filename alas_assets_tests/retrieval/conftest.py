"""Fixtures of the retrieval tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from alas_assets.provenance.store import ArtifactStore
from alas_assets.retrieval.extract import Extractor
from alas_assets_tests.retrieval.site import Site, serving


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


@pytest.fixture(scope="module")
def extractor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extractor]:
    with Extractor(ArtifactStore(tmp_path_factory.mktemp("extract")), seconds=20) as running:
        yield running
