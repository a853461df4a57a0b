"""The loop with the real student on a handful of invented facts: it learns them, keeps the rest, and can be asked why.

One training with the quick recipe serves every test here.
"""

from pathlib import Path

import polars as pl
import pytest

from alas_assets.audit.trace import trace_answer
from alas_assets.defs.revision import domain_scoreboard
from alas_assets.defs.running import run_scoreboard
from alas_assets.defs.serving import ask_student
from alas_assets.records import GateDecision
from alas_assets_tests.harness import Harness
from alas_assets_tests.released import decided_anew

pytestmark = pytest.mark.timeout(3000)


def accuracy(harness: Harness, system: str, split: str) -> float:
    rows = domain_scoreboard(harness.alas, "quill").filter((pl.col("system") == system) & (pl.col("split") == split))
    return rows["accuracy"].item()


def test_the_student_learns_facts_that_it_did_not_know(learned: Harness) -> None:
    assert accuracy(learned, "base", "probe") <= 0.1
    assert accuracy(learned, "sft", "probe") >= 0.6


def test_it_does_not_unlearn_what_it_is_guarded_on(learned: Harness) -> None:
    assert accuracy(learned, "sft", "guard") >= accuracy(learned, "base", "guard") - 0.2


def test_the_better_candidate_is_promoted(learned: Harness) -> None:
    decision = learned.store.read_record(GateDecision, learned.pointers("quill")["promotion"], "promotion")
    assert decision.verdict == "promote", decision.reason
    assert learned.alas.registry.current("quill") == decision.candidate
    assert accuracy(learned, "current", "probe") > accuracy(learned, "base", "probe")


def test_a_learned_answer_names_the_sentence_that_taught_it(learned: Harness) -> None:
    scores = learned.store.read_table(learned.pointers("quill")["judge_scores"], "judge_scores")
    right = scores.filter((pl.col("split") == "probe") & (pl.col("label") == "correct")).row(0, named=True)
    trace = trace_answer(learned.store, right["answer_id"])
    assert trace.source is not None
    assert trace.source.quote_stands
    assert right["gold"].strip("()") in trace.source.quote
    reply = ask_student(learned.alas, "quill", right["question"], ["current"])[0]
    assert trace.source.url in {source.url for source in reply.sources}


def test_the_scoreboard_in_the_ui_is_the_one_of_the_command_line(learned: Harness) -> None:
    outcome = run_scoreboard(learned.instance, learned.settings, "quill", on_event=lambda *_: None)
    assert outcome.success, outcome.failures


def test_running_it_again_keeps_the_promotion_and_trains_nothing(learned: Harness) -> None:
    current = learned.alas.registry.current("quill")
    assert learned.run("quill").success
    assert learned.redone() == set()
    assert learned.alas.registry.current("quill") == current


def test_rollback_makes_the_base_student_current_again_until_it_is_undone(learned: Harness) -> None:
    promoted = learned.alas.registry.current("quill")
    assert learned.alas.registry.rollback("quill") is None
    assert learned.alas.registry.current("quill") is None
    assert learned.alas.registry.undo_rollback("quill") == promoted


def test_the_gate_does_not_promote_anew_what_a_person_rolled_back_until_that_is_undone(learned: Harness, tmp_path: Path) -> None:
    harness = learned.copied(tmp_path)
    promoted = harness.alas.registry.current("quill")
    harness.alas.registry.rollback("quill", by="Ada", reason="it says odd things")
    barred = decided_anew(harness, "0.02")
    assert (barred.verdict, barred.candidate, barred.current_after) == ("keep", promoted, None)
    assert "was rolled back by Ada" in barred.reason
    assert harness.alas.registry.current("quill") is None
    harness.alas.registry.undo_rollback("quill")
    assert decided_anew(harness, "0.03").verdict == "promote"
    assert harness.alas.registry.current("quill") == promoted


def test_the_store_holds_no_pickle_and_no_path_of_this_machine_in_an_adapter(learned: Harness) -> None:
    files = [path for folder in learned.store.adapters.iterdir() for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in (".bin", ".pt", ".pkl", ".pth")]
    texts = [path.read_text(encoding="utf-8") for path in files if path.suffix in (".json", ".md")]
    assert not [text for text in texts if str(Path(learned.settings.home)) in text]
