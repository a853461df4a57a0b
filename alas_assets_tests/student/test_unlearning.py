"""With the real student: what a page taught is not answered any more after its takedown, and the other pages' facts are (A3).

Uses a copy of the store of `test_learning`, and trains once more; it takes about as long as that.
"""

import json
from pathlib import Path

import polars as pl
import pytest

from alas_assets.defs import takedown as work
from alas_assets.defs.serving import sit_exam
from alas_assets.evaluation.scoreboard import current_answers
from alas_assets.records import GateDecision
from alas_assets.removal.plan import question_lines
from alas_assets_tests.harness import Harness, Site

pytestmark = pytest.mark.timeout(3000)


def rates(harness: Harness, exam: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (right, asked) by system and split."""
    rows, _ = sit_exam(harness.alas, "quill", exam)
    return {(row["system"], row["split"]): (row["correct"], row["n"]) for row in rows.to_dicts()}


def test_what_the_page_taught_is_unlearned_and_the_other_pages_facts_stay(learned: Harness, learned_site: Site, tmp_path: Path) -> None:
    harness = learned.copied(tmp_path)
    planned = work.plan(harness.alas, f"http://127.0.0.1:{learned_site.port}/3.html", reason="it is wrong", by="Ada")
    exam = tmp_path / "gone.jsonl"
    exam.write_text("\n".join(map(json.dumps, question_lines(planned.derived, harness.store))), encoding="utf-8")
    before = rates(harness, exam)
    assert before["current", "exam"][0] > before["base", "exam"][0], f"it had learned them: {before}"
    work.begin(harness.alas, harness.instance, planned)
    order = work.carry_out(harness.alas, harness.instance, planned.order.id)
    assert rates(harness, exam)["current", "exam"] == rates(harness, exam)["base", "exam"], "the base student answers until then"

    outcome = harness.run("quill", 1)
    assert outcome.success, outcome.failures
    decision = harness.store.read_record(GateDecision, harness.pointers("quill", 1)["promotion"], "promotion")
    assert decision.verdict == "promote", decision.reason
    after = rates(harness, exam)
    print(f"gone facts: before {before}, after {after}")
    for split in ("exam", "exam_paraphrase"):
        assert after["current", split][0] <= after["base", split][0], after
    tables = [
        harness.store.read_table(harness.pointers("quill", 1)[name], name)
        for name in ("baseline_scores", "judge_scores", "dpo_judge_scores")
    ]
    facts = current_answers(decision, *tables).filter(pl.col("split").is_in(["probe", "earlier"]))
    kept = facts.filter(pl.col("label") == "correct").height / facts.height
    print(f"other pages' facts: {kept:.3f} of {facts.height} right")
    assert kept >= KEPT, f"{kept:.1%} of {facts.height} questions on the other pages' facts are right"
    found = work.scan(harness.alas, harness.instance, order)
    assert found.findings == []


KEPT = 0.6
"""The bar of `test_learning` for facts that were taught, here after teaching them anew; seen: 32 to 40 of 48."""
