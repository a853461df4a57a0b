"""An adapter whose training rows are gone is named in an audit and ends none (A1)."""

from pathlib import Path

import pytest

from alas_assets.audit.render import trace_text
from alas_assets.audit.report import answer_html
from alas_assets.audit.trace import trace_row
from alas_assets.audit.verdict import verdict_of
from alas_assets.audit.wrong import wrong_answers
from alas_assets.provenance.store import Cell
from alas_assets_tests.audit.by_hand import DOMAIN, adapter, answered, judged, rows_file, store_with_a_fact

ONE = Cell.of(DOMAIN, 1)


@pytest.mark.parametrize("lost", [(0,), (0, 1)])
def test_an_adapter_whose_rows_are_gone_is_named_with_its_iteration_and_ends_no_audit(tmp_path: Path, lost: tuple[int, ...]) -> None:
    store = store_with_a_fact(tmp_path, iterations=2)
    answer = answered(1, "a walrus", "incorrect")
    judged(store, 1, answer)
    for number in lost:
        rows_file(store, number).unlink()
    trace = trace_row(store, ONE, answer)
    verdict = verdict_of(store, trace)
    assert [by.cell for by in trace.learned_by] == ([] if 1 in lost else [f"{DOMAIN}|001"])
    for number in lost:
        words = f"sft adapter {adapter(number)[:16]} of {DOMAIN}|{number:03d}: nobody can say, as its training rows are gone from the store"
        assert words in trace_text(trace)
        assert words in answer_html(store, trace, verdict)
        assert (words in verdict.evidence) == (1 in lost)
    assert verdict.kind == ("never taught" if 1 in lost else "bad learning")
    assert ("not all are left" in verdict.because) == (1 in lost)
    assert wrong_answers(store, ONE)["verdict"].to_list() == [verdict.kind]
