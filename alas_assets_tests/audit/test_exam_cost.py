"""What matching an exam to taught facts costs: once through the pairs for an iteration, not once for every answer (E8)."""

from pathlib import Path

from alas_assets.audit.wrong import wrong_answers
from alas_assets.provenance.store import ArtifactStore, Cell
from alas_assets_tests.audit.by_hand import DOMAIN, URL, answered, judged, put, store_with_a_fact
from alas_assets_tests.counted import calls_of
from alas_assets_tests.evaluation.tables import pairs


def work_of(store: ArtifactStore, questions: int) -> int:
    """Return how many calls it takes to list what an exam of so many questions got wrong."""
    asked = {"split": "exam", "topic": "", "question": "Which walrus is named in part number seven?", "gold": "the walrus"}
    judged(store, 0, *(answered(0, "a heron", "incorrect", **asked, probe_id=f"q{n}", answer_id=f"a{n}") for n in range(questions)))
    listed: list[int] = []
    calls = calls_of(lambda: listed.append(wrong_answers(store, Cell.of(DOMAIN, 0)).height))
    assert listed == [questions]
    return calls


def test_an_exam_of_many_questions_goes_through_the_pairs_once(tmp_path: Path) -> None:
    store = store_with_a_fact(tmp_path)
    named = [
        {"fact_id": f"f{n}", "qa_id": f"p{n}", "question": f"What is part {n} of it?", "quote": f"Part {n} is a nib."} for n in range(3000)
    ]
    put(
        store,
        0,
        "qa_pairs",
        pairs([{"url": URL, "answer": "nib", "reason": "", "review": "", "disputed_with": [], **one} for one in named]),
    )
    work_of(store, 1)  # what is imported with the first
    assert work_of(store, 61) < work_of(store, 1) * 10
