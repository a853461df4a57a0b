"""All rules in order of how surely they read a sentence, and what they propose for one.

The rules themselves are in `notes` (terse notes) and `prose` (full sentences); acceptance is `checks`.
"""

from __future__ import annotations

from alas_assets.teachers.extractive import notes, prose
from alas_assets.teachers.extractive.asking import Candidate, Page, Rule, clauses_of, relabel
from alas_assets.teachers.extractive.reading import Unit

RULES: tuple[Rule, ...] = (
    notes.rule_labelled,
    notes.rule_titled,
    notes.rule_bracketed,
    notes.rule_support,
    notes.rule_replacement,
    notes.rule_faster,
    notes.rule_imperative,
    notes.rule_passive_object,
    notes.rule_allowed,
    notes.rule_to_use,
    notes.rule_purpose,
    notes.rule_described,
    notes.rule_deprecated_since,
    prose.rule_declarative,
)


def candidates(unit: Unit, page: Page) -> list[Candidate]:
    """Return every question that a rule proposes for a sentence or for a further clause of it, surest first."""
    pieces = [relabel(unit), *clauses_of(relabel(unit))]
    return [candidate for piece in pieces for rule in RULES for candidate in rule(piece, page)]
