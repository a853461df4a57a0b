"""How many calls and tokens an iteration will come to, before any is sent (O5). An upper estimate; what was spent is the ledger's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from alas_assets.domains.config import Budget, TeacherSettings
from alas_assets.teachers.llm.judging import ITEMS_PER_CALL
from alas_assets.teachers.llm.planning import PAGES_PER_CALL, TOPICS_PER_CALL
from alas_assets.teachers.llm.prompts import prompt
from alas_assets.teachers.llm.writing import PAIR_TOKENS, WORDING_TOKENS

CHARS_PER_TOKEN = 3.5
"""English with code; a tokenizer of the model's own would need the model."""

_OUTLINE_CHARS = 500
_TOPIC_TOKENS = 150
_ITEM_CHARS = 350
_GRADE_TOKENS = 60
_PROBES = 3


@dataclass(frozen=True)
class Expected:
    """Calls of one purpose.

    Attributes:
        model: Who is asked; of several judges the first.
        calls: How many, of all judges.
        sent: Tokens sent.
        received: Tokens received.
    """

    model: str
    calls: int
    sent: int
    received: int


def expected(
    settings: TeacherSettings, *, surveyed: int, page_chars: Sequence[int], topics: int, budget: Budget, phrasings: int, systems: int
) -> dict[str, Expected]:
    """Return what each purpose comes to if every topic gives as many pairs as it may and nothing is asked again.

    Args:
        settings: The domain file's `[teacher]`.
        surveyed: Pages whose outline is planned from.
        page_chars: Length of each page that is studied.
        topics: Topics to write on.
        budget: The domain file's `[budget]`.
        phrasings: Training phrasings per fact.
        systems: Systems whose answers are judged.
    """
    planner, pairs = settings.planner or settings.model, topics * budget.pairs_per_topic
    per_call = max(1, settings.max_tokens // (PAIR_TOKENS + WORDING_TOKENS * phrasings))
    writes = max(topics * ceil(budget.pairs_per_topic / per_call), sum(ceil(chars / settings.page_chars) for chars in page_chars))
    judges = settings.judges or (settings.model,)
    items = pairs * _PROBES * systems
    grades = ceil(items / ITEMS_PER_CALL) * len(judges)
    plans, revisions = ceil(surveyed / PAGES_PER_CALL), ceil(topics / TOPICS_PER_CALL)
    return {
        "plan": Expected(
            planner, plans, _tokens(plans * _frame("plan") + surveyed * _OUTLINE_CHARS), max(topics, budget.min_topics) * _TOPIC_TOKENS
        ),
        "write": Expected(
            settings.model,
            writes,
            _tokens(writes * _frame("write") + sum(page_chars)),
            pairs * (PAIR_TOKENS + WORDING_TOKENS * phrasings),
        ),
        "judge": Expected(
            judges[0], grades, _tokens(grades * _frame("judge") + items * len(judges) * _ITEM_CHARS), items * len(judges) * _GRADE_TOKENS
        ),
        "revise": Expected(planner, revisions, _tokens(revisions * _frame("revise") + topics * _OUTLINE_CHARS), topics * _TOPIC_TOKENS),
    }


def _frame(name: str) -> int:
    return sum(len(text) for text in prompt(name).sections.values())


def _tokens(chars: float) -> int:
    return ceil(chars / CHARS_PER_TOKEN)
