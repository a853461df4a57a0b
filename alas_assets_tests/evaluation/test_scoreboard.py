"""Rates, intervals, and what the scoreboard refuses (E1, E4, E5)."""

from __future__ import annotations

import io
import subprocess
import sys

import polars as pl
import pytest
from rich.console import Console

from alas_assets.evaluation.plots import accuracy_png, topics_png
from alas_assets.evaluation.scoreboard import (
    SYSTEMS,
    ScoreError,
    breakdown,
    current_answers,
    iteration_rows,
    render_table,
    score_rows,
    summary,
)
from alas_assets.records import ANSWER_SCHEMA, SCOREBOARD_SCHEMA, AdapterRef, GateDecision, TopicScore
from alas_assets_tests.evaluation.tables import answers, many, probe, probes

ASKED = probes(*many(4), *many(2, "guard"))
NONE = ANSWER_SCHEMA.to_frame()


def ref(kind: str, digest: str, probes_hash: str = "P") -> AdapterRef:
    return AdapterRef(adapter_hash=digest, kind=kind, trained=True, base_hash="b", rows_hash="r", probes_hash=probes_hash)  # type: ignore[arg-type]


def decision(verdict: str = "promote", system: str | None = "sft", candidate: str | None = "S", before: str | None = None) -> GateDecision:
    after = candidate if verdict == "promote" else before
    return GateDecision(
        domain="d",
        iteration=1,
        verdict=verdict,  # type: ignore[arg-type]
        reason="",
        candidate=candidate,
        candidate_system=system,  # type: ignore[arg-type]
        current_before=before,
        current_after=after,
    )


def test_failed_answers_stay_in_the_denominator() -> None:
    rows = score_rows("d", 1, answers(probes(*many(4)), "base", [True, "failed", "partial", False]))
    assert rows.schema == SCOREBOARD_SCHEMA
    row = rows.row(0, named=True)
    assert (row["n"], row["correct"], row["partial"], row["accuracy"]) == (4, 1, 1, 0.25)
    assert row["ci_low"] < 0.25 < row["ci_high"]


def test_a_probe_answered_twice_by_one_system_is_refused() -> None:
    table = answers(probes(probe(1)), "base", [True])
    with pytest.raises(ScoreError, match="2 times"):
        score_rows("d", 1, pl.concat([table, table]))


def test_an_iteration_shows_every_system_and_current_beside_them() -> None:
    base, sft = answers(ASKED, "base", [False] * 6), answers(ASKED, "sft", [True] * 6, "S")
    rows = iteration_rows(
        "d", 1, decision=decision(), probes_hash="P", sft=ref("sft", "S"), dpo=ref("dpo", "D"), baseline=base, sft_answers=sft,
        dpo_answers=answers(ASKED, "dpo", [True] * 5 + [False], "D"),
    )  # fmt: skip
    assert rows.select("split", "system", "accuracy").rows() == [
        ("probe", "base", 0.0), ("probe", "sft", 1.0), ("probe", "dpo", 1.0), ("probe", "current", 1.0),
        ("guard", "base", 0.0), ("guard", "sft", 1.0), ("guard", "dpo", 0.5), ("guard", "current", 1.0),
    ]  # fmt: skip
    assert rows["iteration"].dtype == pl.Int32


def test_answers_to_other_probes_than_the_manifest_fixed_are_refused() -> None:
    base, sft = answers(ASKED, "base", [False] * 6), answers(ASKED, "sft", [True] * 6, "S")
    with pytest.raises(ScoreError, match="OTHER"):
        iteration_rows(
            "d", 1, decision=decision(), probes_hash="P", sft=ref("sft", "S", "OTHER"), dpo=ref("dpo", "D"), baseline=base, sft_answers=sft,
            dpo_answers=NONE,
        )  # fmt: skip
    with pytest.raises(ScoreError, match="answers of adapter S"):
        iteration_rows(
            "d", 1, decision=decision(), probes_hash="P", sft=ref("sft", "T"), dpo=ref("dpo", "D"), baseline=base, sft_answers=sft,
            dpo_answers=NONE,
        )  # fmt: skip


def test_current_is_the_candidate_the_previous_adapter_or_the_base_student() -> None:
    base, previous = answers(ASKED, "base", [False] * 6), answers(ASKED, "previous", [True] * 6, "O")
    sft, dpo = answers(ASKED, "sft", [True] * 6, "S"), answers(ASKED, "dpo", [True] * 6, "D")
    both = pl.concat([base, previous])
    assert set(current_answers(decision(), both, sft, dpo)["system"]) == {"sft"}
    assert set(current_answers(decision(system="dpo", candidate="D"), both, sft, dpo)["system"]) == {"dpo"}
    assert set(current_answers(decision("keep", before="O"), both, sft, dpo)["system"]) == {"previous"}
    assert set(current_answers(decision("keep"), base, sft, dpo)["system"]) == {"base"}
    with pytest.raises(ScoreError, match="X"):
        current_answers(decision(candidate="X"), both, sft, dpo)


def test_breakdowns_add_up() -> None:
    asked = probes(probe(0, category="factual"), probe(1, category="analysis"), probe(2, category="factual"), probe(3, category="factual"))
    table = answers(asked, "base", [True, False, "failed", False])
    by = breakdown(table, "category")
    assert by.select("category", "n", "correct").rows() == [("analysis", 1, 0), ("factual", 3, 1)]


def test_the_table_and_the_pictures_can_be_drawn() -> None:
    rows = score_rows("d", 1, answers(ASKED, "base", [True] * 6))
    out = io.StringIO()
    Console(file=out, width=120).print(render_table(rows))
    assert "100.0 [51-100]" in out.getvalue()
    narrow = io.StringIO()
    everything = pl.concat([score_rows("d", 0, answers(ASKED, system, [True] * 6)) for system in SYSTEMS])
    Console(file=narrow, width=80).print(render_table(everything))
    lines = narrow.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert all(system in lines[1] for system in SYSTEMS)
    assert "…" not in narrow.getvalue()
    scores = [TopicScore(topic_id="t", name="costs $5 and $6", n=3, correct=1, accuracy=1 / 3)]
    for png in (accuracy_png(rows), accuracy_png(SCOREBOARD_SCHEMA.to_frame()), topics_png(scores), topics_png([])):
        assert png.startswith(b"\x89PNG")


def test_the_summary_counts_new_and_earlier_probes_together_and_takes_the_newest_iteration_only() -> None:
    asked = probes(*many(4), *many(4, "earlier"), *many(2, "guard"))
    old = score_rows("d", 0, answers(asked, "current", [False] * 10))
    base = score_rows("d", 1, answers(asked, "base", [False] * 8 + [True] * 2))
    current = score_rows("d", 1, answers(asked, "current", [True] * 6 + [False] * 2 + [True, False]))
    exam = score_rows("d", 1, answers(probes(*many(5, "exam")), "current", [True] * 4 + [False]))
    lines = summary(pl.concat([old, base, current]), exam)
    assert [line.strip().split(" [")[0] for line in lines] == [
        "8 held-out questions about all facts taught: base 0.0 %",
        "2 general questions: base 100.0 %",
        "5 exam questions whose fact has an accepted pair: base not asked, current 80.0 %",
    ]
    assert "current 75.0 % [41-93]" in lines[0]
    assert "current 50.0 %" in lines[1]


def test_importing_evaluation_release_and_planning_loads_nothing_heavy() -> None:
    modules = (
        "evaluation.answers", "evaluation.grading", "evaluation.statistics", "evaluation.scoreboard", "evaluation.exam", "evaluation.plots",
        "release.gate", "release.registry", "planning.seed", "planning.syllabus", "planning.convergence",
    )  # fmt: skip
    script = "import sys\n" + "".join(f"import alas_assets.{m}\n" for m in modules)
    script += "print([m for m in ('torch', 'scipy', 'numpy', 'matplotlib', 'dagster', 'transformers', 'lancedb') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "[]"
