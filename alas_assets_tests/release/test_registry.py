"""What is current, and one step back (G4)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.release.registry import Entry, Registry, RegistryError


def promote(registry: Registry, adapter: str, previous: str | None, iteration: int = 0, decision: str = "") -> Entry:
    decision_hash = decision or f"decision-{adapter}"
    at = "2026-11-22T00:00:00+00:00"
    return registry.promote("d", adapter, iteration=iteration, decision_hash=decision_hash, run_id="r", at=at, previous=previous)


def test_nothing_is_current_before_the_first_promotion(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    assert (registry.current("d"), registry.newest("d"), registry.history("d")) == (None, None, [])


def test_promotions_and_rollbacks_are_entries_and_domains_do_not_mix(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None)
    promote(registry, "B", "A", 1)
    assert (registry.current("d"), registry.current("other")) == ("B", None)
    assert registry.rollback("d") == "A"
    assert registry.rollback("d") is None
    assert [(entry.action, entry.adapter_hash) for entry in registry.history("d")] == [
        ("promote", "A"), ("promote", "B"), ("rollback", "A"), ("rollback", None),
    ]  # fmt: skip
    assert Registry(tmp_path).current("d") is None


def test_a_rollback_goes_behind_an_earlier_rollback_not_round_in_circles(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None)
    promote(registry, "B", "A", 1)
    registry.rollback("d")
    promote(registry, "C", "A", 2)
    assert registry.rollback("d") == "A"
    assert registry.rollback("d") is None


def test_nothing_to_roll_back_is_said_in_words(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    with pytest.raises(RegistryError, match="no adapter was ever promoted"):
        registry.rollback("d")
    promote(registry, "A", None)
    registry.rollback("d")
    with pytest.raises(RegistryError, match="undone already"):
        registry.rollback("d")


def test_the_same_decision_is_applied_once_and_does_not_undo_a_rollback(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    first = promote(registry, "A", None)
    assert promote(registry, "A", None) == first
    registry.rollback("d")
    assert promote(registry, "A", None) == first
    assert registry.current("d") is None
    assert len(registry.history("d")) == 2


def test_an_iteration_made_again_replaces_its_own_promotion_and_rolls_back_behind_it(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None)
    promote(registry, "B", "A", 1)
    promote(registry, "C", "A", 1)
    newest = registry.newest("d")
    assert newest is not None
    assert (registry.current("d"), newest.adapter_hash) == ("C", "C")
    assert registry.rollback("d") == "A"


def test_a_promotion_whose_comparison_is_out_of_date_is_refused(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None)
    with pytest.raises(RegistryError, match="became current while"):
        promote(registry, "B", None, 1)
    assert registry.current("d") == "A"


@pytest.mark.parametrize("name", ["../x", "a|b", "", "A", "x" * 300, "é"])
def test_a_name_that_is_no_domain_writes_nothing(tmp_path: Path, name: str) -> None:
    registry = Registry(tmp_path / "registry")
    for call in (registry.current, registry.rollback):
        with pytest.raises(RegistryError, match="not a domain"):
            call(name)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None)
    path = tmp_path / "d.json"
    path.write_text(path.read_text()[:-9])
    with pytest.raises(RegistryError, match=r"d\.json: cannot be read"):
        promote(registry, "B", "A", 1)


def test_processes_that_promote_at_once_lose_no_entry(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom alas_assets.release.registry import Registry\n"
        "r = Registry(Path(sys.argv[1]))\n"
        "for i in range(10):\n"
        "    r.promote('d', f'{sys.argv[2]}{i}', iteration=0, decision_hash=f'{sys.argv[2]}{i}', run_id='', at='', previous=None)\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), name], stderr=subprocess.PIPE, text=True) for name in "ab"]
    assert [(process.wait(), process.stderr.read() if process.stderr else "") for process in running] == [(0, "")] * 2
    assert len(Registry(tmp_path).history("d")) == 20


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), max_size=12))
def test_current_is_always_the_promotion_in_force(tmp_path_factory: pytest.TempPathFactory, steps: list[bool]) -> None:
    registry = Registry(tmp_path_factory.mktemp("r"))
    stack: list[str] = []
    for i, forward in enumerate(steps):
        if forward:
            promote(registry, f"a{i}", stack[-1] if stack else None, i)
            stack.append(f"a{i}")
        elif stack:
            stack.pop()
            registry.rollback("d")
        newest = registry.newest("d")
        assert registry.current("d") == (stack[-1] if stack else None) == (newest.adapter_hash if newest else None)


def test_rollbacks_are_taken_back_in_their_order_until_something_else_is_promoted(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None)
    promote(registry, "B", "A", 1)
    with pytest.raises(RegistryError, match="no rollback stands"):
        registry.undo_rollback("d")
    registry.rollback("d")
    registry.rollback("d")
    assert registry.undo_rollback("d") == "A"
    assert registry.undo_rollback("d") == "B"
    assert registry.rollback("d") == "A"  # the promotion that came back can be undone again
    promote(registry, "C", "A", 2)
    with pytest.raises(RegistryError, match="no rollback stands"):
        registry.undo_rollback("d")
