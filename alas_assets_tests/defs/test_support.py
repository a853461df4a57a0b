"""What an answer in free words rests on, looked up in a finished cell; the answers are given here, no model says them."""

from alas_assets.defs.serving import _taught_support, accepted_pairs
from alas_assets_tests.harness import Harness


def test_an_answer_that_repeats_the_question_is_given_by_no_fact(quill: Harness) -> None:
    pairs, question = accepted_pairs(quill.alas, "quill"), "Which module gained the blot() function in Quill 3?"
    echoed, why = _taught_support(quill.alas, "quill", pairs, question, None, "the blot() function gained the blot() function")
    assert "no taught fact gives this answer" in why
    assert echoed[0].answer != "blot()"
    assert "blot()" in {support.answer for support in echoed}, "it is near, and comes last"
    right, why = _taught_support(quill.alas, "quill", pairs, "Which function did quill.ink gain in Quill 3?", None, "blot()")
    assert ([support.answer for support in right], why) == (["blot()"], "")
