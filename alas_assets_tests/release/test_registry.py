"""What is current, and one step back (G4)."""

from __future__ import annotations

import subprocess
import sys
import tempfile
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


def test_one_step_leads_back_to_the_base_student_and_each_promotion_can_be_taken_up_again(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for iteration, (adapter, previous) in enumerate([("A", None), ("B", "A"), ("C", "B")]):
        promote(registry, adapter, previous, iteration)
    registry.rollback("d")
    assert registry.rollback("d", to_base=True, by="Ada", reason="another student") is None
    assert [(entry.previous, entry.adapter_hash, entry.by) for entry in registry.history("d")[4:]] == [
        ("B", "A", "Ada"),
        ("A", None, "Ada"),
    ]
    assert registry.newest("d") is None
    with pytest.raises(RegistryError, match="every promotion was undone already"):
        registry.rollback("d", to_base=True)
    assert [registry.undo_rollback("d") for _ in range(3)] == ["A", "B", "C"]


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


def test_a_rollback_of_one_promotion_leaves_the_one_before_it_where_a_person_was_faster(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None)
    own = promote(registry, "B", "A", 1)
    registry.rollback("d", by="Ada")
    with pytest.raises(RegistryError, match=r"adapter A is current, not B.*materialise promotion again"):
        registry.rollback("d", expected=own, run_id="the gate's")
    assert registry.current("d") == "A"
    registry.undo_rollback("d", by="Ada")
    assert registry.rollback("d", expected=own, run_id="the gate's") == "A"


def test_the_same_decision_is_applied_once_and_does_not_undo_a_rollback(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    first = promote(registry, "A", None)
    assert promote(registry, "A", None) == first
    registry.rollback("d")
    assert promote(registry, "A", None) == first
    assert registry.current("d") is None
    assert len(registry.history("d")) == 2


def test_an_iteration_that_a_person_rolled_back_while_it_was_decided_anew_promotes_nothing(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None)
    registry.rollback("d", by="Ada")
    with pytest.raises(RegistryError, match=r"iteration 000 promoted was rolled back on .* materialise promotion again"):
        promote(registry, "A2", None)
    assert registry.current("d") is None
    promote(registry, "B", None, 1)
    assert registry.current("d") == "B", "the next iteration is free to promote"


def test_a_decision_that_holds_again_is_applied_again_after_the_gate_decided_otherwise(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None)
    promote(registry, "B", None)
    promote(registry, "A", None)
    assert registry.current("d") == "A"
    registry.rollback("d", run_id="the gate's")
    assert registry.taken_back_by_the_gate("d")
    promote(registry, "A", None)
    assert registry.current("d") == "A"
    registry.rollback("d")
    assert not registry.taken_back_by_the_gate("d")
    promote(registry, "A", None)
    assert registry.current("d") is None


def test_the_rollback_of_an_adapter_is_known_until_it_is_current_again(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None)
    promote(registry, "B", "A", 1)
    registry.rollback("d", by="Ada", reason="odd")
    undone = registry.rollback_of("d", "B")
    assert undone is not None
    assert (undone.by, undone.reason) == ("Ada", "odd")
    assert registry.rollback_of("d", "A") is None
    registry.undo_rollback("d")
    assert registry.rollback_of("d", "B") is None


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
    with pytest.raises(RegistryError, match=r"d\.json: cannot be read \(file: Invalid JSON: EOF.*\); restore it"):
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


def test_no_person_takes_back_what_the_gate_itself_took_back(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None)
    promote(registry, "B", "A", 1, decision="d1")
    registry.rollback("d", run_id="the gate's")
    before = registry.history("d")
    with pytest.raises(RegistryError, match=r"iteration 001 promotes nothing, .* took decision d1 back"):
        registry.undo_rollback("d", by="Ada")
    assert registry.history("d") == before
    registry.rollback("d", by="Ada")
    assert registry.undo_rollback("d", by="Ada") == "A", "her own rollback, after it, she can"


def taken_down(registry: Registry, *adapters: str, takedown: str = "t1") -> str | None:
    return registry.take_down("d", adapters, takedown=takedown, at="2026-11-27T00:00:00+00:00")


def test_a_takedown_makes_the_newest_unaffected_promotion_current(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None)
    promote(registry, "B", "A", 1)
    promote(registry, "C", "B", 2)
    assert registry.current_without("d", {"B", "C"}) == "A"
    assert registry.current("d") == "C", "asking changes nothing"
    assert taken_down(registry, "B", "C") == "A"
    assert registry.current("d") == "A"
    assert registry.history("d")[-1].action == "takedown"


def test_a_takedown_of_all_leaves_the_base_student(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None)
    assert taken_down(registry, "A") is None
    with pytest.raises(RegistryError, match="nothing to roll back"):
        registry.rollback("d")


def test_no_rollback_leads_back_to_a_retired_adapter(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None)
    promote(registry, "B", "A", 1)
    promote(registry, "C", "B", 2)
    assert taken_down(registry, "B") == "C", "the newest learned nothing of it and stays"
    assert registry.rollback("d") == "A"
    assert registry.rollback("d") is None


def test_a_rollback_of_a_retired_adapter_cannot_be_taken_back(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None)
    promote(registry, "B", "A", 1)
    registry.rollback("d")
    assert taken_down(registry, "B") == "A"
    with pytest.raises(RegistryError, match="no rollback stands"):
        registry.undo_rollback("d")


def test_a_retired_adapter_is_never_promoted_again_also_by_its_old_decision(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None, decision="first")
    taken_down(registry, "A", "candidate")
    for adapter, decision in (("A", "first"), ("A", "second"), ("candidate", "third")):
        with pytest.raises(RegistryError, match="retired by takedown t1"):
            promote(registry, adapter, None, decision=decision)
    promote(registry, "N", None, 1)
    assert registry.current("d") == "N"
    assert registry.rollback("d") is None


def test_the_same_takedown_again_adds_no_entry_and_undoes_no_promotion_after_it(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    promote(registry, "A", None)
    taken_down(registry, "A")
    promote(registry, "N", None, 1)
    before = registry.history("d")
    assert taken_down(registry, "A") == "N"
    assert registry.history("d") == before


@given(st.lists(st.tuples(st.sampled_from(["promote", "rollback", "undo", "takedown"]), st.sampled_from("ABCDE")), max_size=12))
def test_whatever_happens_a_retired_adapter_is_never_current(moves: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        registry, retired = Registry(Path(folder)), set[str]()
        for turn, (move, adapter) in enumerate(moves):
            try:
                if move == "promote":
                    promote(registry, adapter, registry.current("d"), turn, decision=str(turn))
                elif move == "takedown":
                    retired.add(adapter)
                    taken_down(registry, adapter, takedown=f"t{turn}")
                else:
                    registry.rollback("d") if move == "rollback" else registry.undo_rollback("d")
            except RegistryError:
                continue
            assert registry.current("d") not in retired
