"""What all tests share: no telemetry, no hub, and one tiny student for the session."""

import os
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling

    from alas_assets.students.catalog import StudentRef
    from alas_assets_tests.harness import Harness, Site

for name in [name for name in os.environ if name.startswith(("ALAS_", "DAGSTER_HOME")) and name != "ALAS_LLAMA_CPP"]:
    del os.environ[name]  # what whoever runs the tests has set for a store of their own
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if "PYTEST_XDIST_WORKER" in os.environ:  # two models with two threads each on two cores wait for each other at every matrix product
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A property holds or does not; how long an example takes depends on what else the machine does.
settings.register_profile("alas", deadline=None)
settings.load_profile("alas")


@pytest.fixture(scope="session")
def tiny_student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random student."""
    from alas_assets_tests.tiny import build_tiny_student

    return build_tiny_student(tmp_path_factory.mktemp("student") / "tiny")


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> "StudentRef":
    """The real embedded student, converted once for all test processes together."""
    from alas_assets.students.catalog import EMBEDDED_STUDENT, prepare_student

    base = tmp_path_factory.getbasetemp()  # of this process
    return prepare_student(EMBEDDED_STUDENT, "main", (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "models")


@pytest.fixture(scope="session")
def quill_site() -> "Iterator[Site]":
    """The small site that the domain `quill` studies."""
    from alas_assets_tests.harness import serving

    with serving() as site:
        yield site


@pytest.fixture(scope="session")
def quill(tmp_path_factory: pytest.TempPathFactory, tiny_student: Path, quill_site: "Site") -> "Iterator[Harness]":
    """One whole iteration of the domain `quill` with the tiny student, made once for all tests that look at a finished cell.

    A test that opens an iteration, or adds a domain, takes a copy (`Harness.copied`): which tests share a process is chance.
    """
    from alas_assets.audit.trace import cells_of
    from alas_assets_tests.harness import Harness

    harness = Harness(tmp_path_factory.mktemp("quill"), str(tiny_student))
    harness.domain("quill", quill_site.port)
    outcome = harness.run("quill")
    assert outcome.success, outcome.failures
    yield harness
    opened, told = [str(cell) for cell in cells_of(harness.store)], (harness.store.root / "review").exists()
    assert (opened, told) == (["quill|000"], False), "a test opened a cell, or told of an answer, in the shared store; it must take a copy"


@contextmanager
def _environment_given_back() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """Give back what a test or the code under test set in the environment."""
    with _environment_given_back():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
    """Give back what a fixture that tests share set in the environment: it would name that fixture's store to all later tests."""
    if fixturedef.scope == "function":
        return (yield)
    with _environment_given_back():
        return (yield)


SECURITY = "security"
"""What a security case is reported under, so that its kind reaches the process that prints the summary."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say after everything else how many tests marked `security(kind)` really passed, by kind."""
    reports = [report for report in terminalreporter.getreports("passed") if report.when == "call"]
    passed = Counter(kind for report in reports for name, kind in report.user_properties if name == SECURITY)
    if passed:
        kinds = ", ".join(f"{count} {kind}" for kind, count in passed.most_common())
        terminalreporter.write_line(f"security cases passed: {passed.total()} ({kinds})")


COSTLY = {"live": 6, "learned": 5, "clicked": 4, "watched": 3, "quill": 2, "tiny_student": 1}
"""Fixtures that cost minutes; files that need none of them go first, so that a cheap failure is seen early."""
STUDENT = "alas_assets_tests/student/"
"""Tests with the real student: they take as long as all others together, and share one training."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run cheap files first, then those that need a finished cell, then the real student; one of several processes begins with that."""
    costs: Counter[Path] = Counter()
    for item in items:
        dear = max((COSTLY.get(name, 0) for name in getattr(item, "fixturenames", ())), default=0)
        costs[item.path] = max(costs[item.path], dear)
        item.user_properties += [(SECURITY, marker.args[0]) for marker in item.iter_markers(SECURITY)]
    items.sort(key=lambda item: costs[item.path])
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(STUDENT))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "LoadFileScheduling":
    """Give each file's tests to one process, and all tests with the real student to one and the same: they share its training."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return STUDENT if nodeid.startswith(STUDENT) else super()._split_scope(nodeid)

    return ByFile(config, log)
