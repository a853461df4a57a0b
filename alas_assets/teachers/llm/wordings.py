"""The ways to ask one question: which can be used, and which is for training, for mining, or held out (S4, E1).

A model's wordings follow no frame, so a template is a place: `llm-train-1`, `llm-probe-1`, each with one role over all facts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from alas_assets.evaluation.tokens import content_words
from alas_assets.provenance.ids import fold
from alas_assets.records import Phrasing, Role
from alas_assets.synthesis.wording import GAP, WORDING_SHARE, clean, mentions, normalise, shared_wording

PROBES = 3
MINE = 1
QUESTION_CHARS = 400
SENTENCE = "llm-gap-1"
"""The template of the sentence that answers, with a gap."""
_WORDS_AROUND = 3
"""Words with a meaning that must stand around a gap: "It is ___" tells nothing."""
NO_SENTENCE = "no sentence, only the answer"
"""Why there is nothing to train on where a writer repeats the short answer: nothing was lost."""
_POINTS_BACK = re.compile(r"\b(it|they|them|he|she|former|latter|this|these|those|such)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Usable:
    """The wordings of one question that can be used, in order, and the others with the reason."""

    kept: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


def wanted(train: int) -> int:
    """Return how many wordings, the question included, fill all places of a fact."""
    return max(train, 1) + MINE + PROBES


def usable(wordings: Sequence[str], answer: str, aliases: Sequence[str]) -> Usable:
    """Return which wordings can be used: new, of sane length, and without the answer (S4)."""
    kept: list[str] = []
    refused: list[tuple[str, str]] = []
    seen: set[str] = set()
    for wording in wordings:
        text = fold(clean(wording))
        key = normalise(text)
        if not key or len(text) > QUESTION_CHARS:
            refused.append((text[:QUESTION_CHARS], "question too long" if key else "no question"))
        elif any(mentions(text, said) for said in (answer, *aliases)):
            refused.append((text, "question contains the answer"))
        elif key in seen:
            refused.append((text, "phrasing repeats another"))
        else:
            seen.add(key)
            kept.append(text)
    return Usable(tuple(kept), tuple(refused))


def _places(train: int) -> list[Role]:
    """Return the roles in the order in which they are filled: what a fact cannot do without comes first."""
    first: list[Role] = ["train", "train", "probe", "probe", "mine"]
    spare = max(train, 1) - 2
    early = max(min(2, spare), 0)
    more: list[Role] = [*["train"] * early, "probe", *["train"] * max(spare - early, 0)]  # type: ignore[list-item]
    return [*(first if train > 1 else first[1:]), *more]


def assign(kept: Sequence[str], train: int) -> list[Phrasing]:
    """Give wordings their roles.

    The question and what follows it is trained on; held out is what comes last, where the writer was asked for the most different
    words, and only what is not worded like any other (S8).

    Args:
        kept: Usable wordings, the question first.
        train: Training phrasings wanted; what is beyond all places is left out.
    """
    count = Counter(_places(train)[: len(kept)])
    apart = [i for i in range(1, len(kept)) if not any(_worded_like(kept[i], other) for j, other in enumerate(kept) if j != i)]
    probes = apart[len(apart) - min(count["probe"], len(apart)) :]
    rest = [i for i in range(len(kept)) if i not in probes]
    mine = rest[len(rest) - count["mine"] :] if len(rest) > count["mine"] else []
    trained = [i for i in rest if i not in mine][: max(train, 1)]
    roles: list[tuple[Role, list[int]]] = [("train", trained), ("mine", mine), ("probe", probes)]
    return [
        Phrasing(text=kept[i], template=f"llm-{role}-{place}", role=role)
        for role, members in roles
        for place, i in enumerate(members, start=1)
    ]


def gapped(question: str, sentence: str, answer: str, aliases: Sequence[str]) -> Phrasing | str:
    """Return the sentence that answers a question with a gap for its short answer, to train on, or the reason why there is none (S4, S10).

    The writer gives that sentence with every pair. Where it points back ("it", "these") at what the question names, the question stands
    before it.
    """
    said = fold(clean(sentence))
    if len(content_words(said)) < _WORDS_AROUND:
        return NO_SENTENCE
    found = list(re.finditer(rf"(?<!\w){re.escape(answer)}(?!\w)", said, re.IGNORECASE))
    if len(found) != 1:
        return f"answer stands {len(found)} times in the sentence, not once" if found else "answer not in the sentence"
    left = f"{said[: found[0].start()]}{GAP}{said[found[0].end() :]}"
    if len(content_words(left.replace(GAP, " "))) < _WORDS_AROUND:
        return NO_SENTENCE
    opening = f"{fold(clean(question))} " if _POINTS_BACK.search(left) else ""
    text = f"{opening}Fill in the blank: {left}"
    if len(text) > QUESTION_CHARS:
        return "sentence too long"
    if any(mentions(text, one) for one in (answer, *aliases)):
        return "sentence says the answer beside its gap"
    return Phrasing(text=text, template=SENTENCE, role="train")


def _worded_like(text: str, other: str) -> bool:
    return shared_wording(text, other) > WORDING_SHARE
