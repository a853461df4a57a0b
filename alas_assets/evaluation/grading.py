"""Deterministic grading of one answer against its gold answer: whole tokens, aliases, rivals, negation (E2, E3).

Pure text in, a grade out: no model, no table, no state. Here is only which grade follows; what is found in a text, denied or listed is for
the modules imported here to say. Who asks and who stores is `evaluation.answers`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from alas_assets.evaluation.denials import declines, hedges, is_denied, opens_unknowing
from alas_assets.evaluation.lists import list_length
from alas_assets.evaluation.lookalikes import names_another
from alas_assets.evaluation.occurrences import occurrences, sequence_of, unspaced_occurrences
from alas_assets.evaluation.rivals import rivals_named
from alas_assets.evaluation.tokens import ARTICLES, GENERIC, Span, canonical, content_words, is_option, normalise, token_f1, tokenise, words
from alas_assets.evaluation.values import agrees, compatible, is_only_values, values_in, written
from alas_assets.records import UNKNOWN
from alas_assets.teachers.protocol import Grade, GradeRequest

SPARE_WORDS = 40
"""Words an answer may have beyond the question's and the gold answer's.

A full sentence that repeats the question and gives the answer needs about their sum; forty more leave room for a
clause or two of explanation. What is longer is a text that happens to hold the answer, and reading it out of the text
is work that the student did not do.
"""


def grade(request: GradeRequest) -> Grade:
    """Grade one answer on whole tokens (E3); never raises on any text.

    An answer is *correct* when the gold answer or an alias occurs in it as whole tokens, is not denied, is not merely a part of another
    name or number, and nothing of the same kind is named beside it: no rival, and for versions, PEPs, CVEs, issues and dates no other
    value that the question does not hold. A list of names, and an "I do not know", with the gold answer beside it are wrong. It is
    *partial* with a token F1 of at least 0.5, or when it is a part of a gold answer of several words and names no other number.
    A probe without a gold answer is *failed*, never right or wrong. A question that nobody can answer (kind `unknown`) is answered
    right by declining, and by nothing else.
    """
    kind = request.answer_kind
    if kind == UNKNOWN:
        return _grade_unknown(request)
    forms = [form for form in dict.fromkeys([request.gold, *request.aliases]) if sequence_of(form, kind) or normalise(form).split()]
    if not forms:
        return Grade(label="failed", explanation="the probe has no gold answer to compare with")
    options = any(is_option(form) for form in (*forms, *request.rivals))
    answer, question = normalise(request.answer, options), normalise(request.question, options)
    if not answer.split():
        return Grade(label="incorrect", error_type="omission", explanation="the answer is empty")

    integers = kind == "version" and not any(values_in(normalise(form), kind) for form in forms)
    said = values_in(answer, kind, integers)
    gold_values: list[Any] = []
    hits: list[Span] = []
    for form in forms:
        values = values_in(normalise(form), kind, integers)
        gold_values += [value for value, _ in values]
        hits += occurrences(form, kind, answer) or unspaced_occurrences(form, answer, question)
        if is_only_values(form, values):
            matches = [[found for value, found in said if agrees(kind, value, gold)] for gold, _ in values]
            if all(matches):
                hits += [found for group in matches for found in group]

    asked = [value for value, _ in values_in(question, kind, integers)]
    known = gold_values + asked
    others = [written(value) for value, _ in said if not any(compatible(kind, value, other) for other in known)]
    rivals = others or rivals_named(request, answer, question, forms, hits)
    if not hits:
        return _not_found(request, forms=forms, kind=kind, answer=answer, rivals=rivals, said=said, gold_values=gold_values)
    if rivals:
        error = "wrong version" if kind == "version" else "misinterpretation"
        return Grade(label="incorrect", error_type=error, explanation=f"names {rivals[0]!r} beside the gold answer")
    return _held_against(answer, question, forms, kind, hits) or Grade(label="correct", explanation="holds the gold answer")


def _held_against(answer: str, question: str, forms: list[str], kind: str, hits: list[Span]) -> Grade | None:
    """Return why an answer that holds the gold answer and no rival does not give it; None where nothing speaks against it."""
    question_words = frozenset(token.text for token in tokenise(question))
    allowed = len(question_words) + max(len(words(form)) for form in forms) + SPARE_WORDS
    length = len(tokenise(answer))
    if length > allowed:
        return Grade(
            label="incorrect", error_type="other", explanation=f"the gold answer is one of {length} words, {allowed} would do to state it"
        )
    standing = [hit for hit in _widest(hits) if not names_another(hit, hits, forms, kind, answer, question)]
    if not standing:
        error = "wrong version" if kind == "version" else "misinterpretation"
        return Grade(label="incorrect", error_type=error, explanation="names the gold answer as a part of something else only")
    if hedges(answer) and not any(hedges(normalise(form)) for form in forms):
        return Grade(label="incorrect", error_type="omission", explanation="says that it does not know, and the gold answer beside it")
    if any(is_denied(hit, answer, kind, question_words) for hit in standing):
        return Grade(label="incorrect", error_type="misinterpretation", explanation="denies the gold answer")
    pieces = list_length(answer, question, forms, hits)
    if pieces:
        return Grade(label="incorrect", error_type="other", explanation=f"the gold answer is one of a list of {pieces}")
    return None


def _widest(hits: list[Span]) -> list[Span]:
    """Leave out hits inside wider ones: the "not" of a gold answer "not allowed" denies nothing, whatever its aliases are."""
    return [hit for hit in hits if not any(other != hit and other.holds(hit) for other in hits)]


def _grade_unknown(request: GradeRequest) -> Grade:
    if not normalise(request.answer).split():
        return Grade(label="incorrect", error_type="omission", explanation="the answer is empty")
    if declines(request.answer, request.question):
        return Grade(label="correct", explanation="says that it does not know, or that there is no such thing")
    return Grade(label="incorrect", error_type="misinterpretation", explanation="gives an answer where nobody can know one")


def _not_found(
    request: GradeRequest,
    *,
    forms: list[str],
    kind: str,
    answer: str,
    rivals: list[str],
    said: list[tuple[Any, Span]],
    gold_values: list[Any],
) -> Grade:
    """Grade an answer that does not hold the gold answer."""
    if opens_unknowing(answer):
        return Grade(label="incorrect", error_type="omission", explanation="says that it does not know")
    if rivals:
        error = "wrong version" if kind == "version" else "misinterpretation"
        return Grade(label="incorrect", error_type=error, explanation=f"names {rivals[0]!r} instead")
    if any(_is_part(answer, form, request.question, kind) for form in forms):
        return Grade(label="partial", error_type="omission", explanation="gives a part of the gold answer")
    if kind == "date" and any(compatible(kind, value, gold) for value, _ in said for gold in gold_values):
        return Grade(label="partial", error_type="omission", explanation="gives the date less exactly than the gold answer")
    tokens = {token.text for token in tokenise(answer)} - GENERIC
    context = content_words(request.question).union(*(content_words(form) for form in forms))
    if said or (request.answer_kind != "phrase" and tokens & context):
        return Grade(label="incorrect", error_type="misinterpretation", explanation="speaks of the matter and does not give the answer")
    if not tokens & context:
        return Grade(label="incorrect", error_type="off topic", explanation="shares no word with the question or the gold answer")
    return Grade(label="incorrect", error_type="other", explanation="does not hold the gold answer")


def _is_part(answer: str, form: str, question: str, kind: str) -> bool:
    """Tell whether an answer gives half of a form: F1 of 0.5, or a strict part of it, and no other number."""
    gold = sequence_of(form, kind)
    if len(gold) < 2:
        return False
    given = [canonical(t.text, kind) for t in tokenise(answer) if t.text not in ARTICLES]
    numbers = {word for word in given if any(c.isdigit() for c in word)}
    if numbers - set(gold) - {canonical(word, kind) for word in words(question)}:
        return False
    if not any(word not in GENERIC for word in set(given) & set(gold)):
        return False
    if token_f1(answer, form) >= 0.5:
        return True
    return len(given) < len(gold) and any(gold[i : i + len(given)] == given for i in range(len(gold) - len(given) + 1))


def validate_grader(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Grade every gold answer and alias against its own probe; return a line for each that is not correct (E3).

    Args:
        rows: Probes (`PROBE_SCHEMA`) as dictionaries, e.g. `frame.iter_rows(named=True)`.

    Returns:
        One message per gold answer or alias that would be refused, naming the probe; empty when all is well.
    """
    problems: list[str] = []
    for row in rows:
        request = GradeRequest(
            question=row["question"],
            gold=row["answer"],
            aliases=list(row.get("aliases") or []),
            answer_kind=row.get("answer_kind") or "phrase",
            rivals=list(row.get("rivals") or []),
            answer="",
        )
        for text in dict.fromkeys([request.gold, *request.aliases]):
            verdict = grade(request.model_copy(update={"answer": text}))
            if verdict.label != "correct":
                problems.append(
                    f"probe {row.get('probe_id', '?')} ({request.question[:80]!r}): its own answer {text[:80]!r} is graded "
                    f"{verdict.label}: {verdict.explanation}"
                )
    return problems
