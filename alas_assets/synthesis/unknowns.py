"""Questions that nobody can answer: accepted ones whose names were exchanged for invented ones of the same kind (S12, E5).

Making only. How many are trained on is `training_rows`', what is asked is `probes`', when an answer declines is `evaluation.denials`'s.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from alas_assets.provenance import ids
from alas_assets.records import PROBE_SCHEMA, TRAIN_ROW_SCHEMA, UNKNOWN
from alas_assets.synthesis.questions import GuardQuestion, ReplayPrompt
from alas_assets.synthesis.wording import NearIndex, WordingIndex, mentions

DECLINED = "I do not know."
"""The one answer that is taught; the grader also takes others that decline."""

VARIANTS = 4
"""Invented names for each trained question: with one alone the student would learn the name instead of what it stands for."""

MIN_PROBES, MAX_PROBES = 20, 40
"""Held-out unanswerable questions: 40 at most, as every system answers all of them; where the wordings are fewer than 20, they are
asked again with other names until there are 20."""

_ATTEMPTS = 200
_ONSETS = ("b", "br", "d", "dr", "f", "fl", "g", "gl", "k", "kr", "l", "m", "n", "p", "pl", "r", "sk", "sn", "t", "tr", "v", "z")
_VOWELS = ("a", "e", "i", "o", "u")
_CODAS = ("", "", "l", "m", "n", "r", "x")
_SUFFIXES = frozenset("py pyi pth toml cfg ini txt md rst json yaml yml html xml csv js c h so dll exe zip gz whl org com net io".split())  # noqa: SIM905

_Kind = Literal["identifier", "pep", "cve", "issue"]
_Side = Literal["train", "probe"]

_RUN = re.compile(r"\w+")
_CODE = re.compile(r"`([^`\n]+)`")
_NUMBERED: tuple[tuple[_Kind, re.Pattern[str]], ...] = (
    ("pep", re.compile(r"\bPEPs?[ -]?0*(?P<number>\d+)\b")),
    ("cve", re.compile(r"\bCVE-(?P<year>\d{4})-(?P<number>\d{4,})\b")),
    ("issue", re.compile(r"(?:\b(?:gh|bpo|[Ii]ssue|[Bb]ug|[Tt]icket)[ #-]{1,2}|(?<![\w#])#)(?P<number>\d{3,})\b")),
)
_TOKEN = re.compile(r"(?<![\w./-])(?P<core>(?:--)?[A-Za-z_][\w-]*(?:\.[A-Za-z_]\w*)*)(?P<call>\(\))?(?![\w/])")
_HUMPS = re.compile(r"[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+")
_LAST_PART = re.compile(r"(?P<head>.*[._-])?(?P<last>[A-Za-z]\w*?)(?P<tail>_*)")


class Known:
    """All that the student may have read of: whatever stands in it, whole or in part, is no invented name.

    Args:
        texts: Passages, pairs, guard questions, replay prompts; never an exam.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        runs = {run for text in texts for run in _RUN.findall(unicodedata.normalize("NFKC", text).casefold())}
        self._text = "\n".join(sorted(runs))

    def holds(self, piece: str) -> bool:
        """Tell whether a piece of letters or digits stands anywhere in the texts, also inside a longer word; case does not count."""
        return piece.casefold() in self._text


def known_texts(
    chunks: pl.DataFrame, pairs: Sequence[pl.DataFrame], guards: Sequence[GuardQuestion], replay: Sequence[ReplayPrompt]
) -> Known:
    """Gather what invented names must not stand in.

    Args:
        chunks: The passages of this and of earlier iterations (`CHUNK_SCHEMA`).
        pairs: Pair tables of this and of earlier iterations (`QA_SCHEMA`), rejected pairs too.
        guards: Guard and neighbour questions.
        replay: Replay prompts.
    """
    texts = [*chunks["text"], *chunks["title"].drop_nulls(), *(part for path in chunks["heading_path"].drop_nulls() for part in path)]
    for table in pairs:
        for column in ("question", "answer", "quote", "topic"):
            texts += table[column].drop_nulls().to_list()
        texts += [alias for aliases in table["aliases"].drop_nulls() for alias in aliases]
    texts += [text for guard in guards for text in (guard.question, guard.answer, *guard.aliases)]
    return Known([*texts, *(prompt.prompt for prompt in replay)])


@dataclass(frozen=True)
class _Name:
    kind: _Kind
    text: str
    """What is exchanged wherever it stands as a whole word: without "()", "PEP" and the like."""


def unknown_rows(qa: pl.DataFrame, known: Known, guards: Sequence[GuardQuestion], *, seed: int) -> pl.DataFrame:
    """Return all unanswerable questions that training may draw from, `VARIANTS` of each trained question that has a name (S12).

    Args:
        qa: The iteration's pairs; accepted rows of role `train` are taken.
        known: Where no invented name may stand.
        guards: Guard and neighbour questions; a question near one is left out (S8).
        seed: Fixes the invented names.

    Returns:
        `TRAIN_ROW_SCHEMA` of kind `unknown`, by id. `fact_id` is empty, as the row teaches no fact; the id names the pair it was made from.
    """
    near = NearIndex([guard.question for guard in guards])
    rows = []
    for pair in _accepted(qa, "train"):
        for variant in range(VARIANTS):
            question = _unanswerable(pair, known, "train", f"{seed} {variant}")
            if question is None or near.find(question):
                continue
            row_id = ids.unknown_id(pair["qa_id"], variant)
            rows.append({"row_id": row_id, "kind": UNKNOWN, "fact_id": "", "prompt": question, "completion": DECLINED})
    return pl.DataFrame(rows, schema=TRAIN_ROW_SCHEMA).sort("row_id")


def unknown_probes(qa: pl.DataFrame, known: Known, rows: pl.DataFrame, apart: Sequence[str], *, iteration: int, seed: int) -> pl.DataFrame:
    """Return unanswerable questions to ask, none of which is trained on: other names and other wordings (E1, E5).

    They come from held-out wordings, spread over the facts, `MAX_PROBES` at most, `MIN_PROBES` where the pairs allow.

    Args:
        qa: The iteration's pairs; accepted rows of role `probe` are taken.
        known: Where no invented name may stand.
        rows: All that training may draw from (`unknown_rows`).
        apart: Guard questions and replay prompts; a question near one is left out.
        iteration: This iteration's number.
        seed: Fixes the invented names and the choice.

    Returns:
        `PROBE_SCHEMA` of split `unknown`; `qa_id` and `fact_id` name the pair it was made from, and no fact. The same wording with
        other names is the same `fact_group`.
    """
    near = NearIndex(apart)
    trained = WordingIndex([*(pair["question"] for pair in _accepted(qa, "train", "mine")), *rows["prompt"]])
    turns: dict[tuple[int, str], int] = defaultdict(int)  # how many wordings of a fact came before
    ranked: list[tuple[int, int, str, dict[str, Any]]] = []
    for pair in sorted(_accepted(qa, "probe"), key=lambda pair: _order(seed, pair["qa_id"])):
        for variant in range(VARIANTS):
            question = _unanswerable(pair, known, "probe", f"{seed} {variant}")
            if question is None or near.find(question) or trained.holding(question):
                continue
            turn = turns[variant, pair["fact_group"]]
            turns[variant, pair["fact_group"]] += 1
            ranked.append((variant, turn, _order(seed, pair["qa_id"]), _probe(pair, question, variant, iteration)))
    wordings = sum(variant == 0 for variant, *_ in ranked)
    chosen = [probe for *_, probe in sorted(ranked, key=lambda item: item[:3])]
    return pl.DataFrame(chosen[: min(max(wordings, MIN_PROBES), MAX_PROBES)], schema=PROBE_SCHEMA).sort("probe_id")


def _order(seed: int, pair: str) -> str:
    return ids.short_id("unknown probe", str(seed), pair)


def _accepted(qa: pl.DataFrame, *roles: str) -> list[dict[str, Any]]:
    return qa.filter(pl.col("accepted") & pl.col("role").is_in(roles)).sort("qa_id").to_dicts()


def _probe(pair: dict[str, Any], question: str, variant: int, iteration: int) -> dict[str, Any]:
    source = ids.unknown_id(pair["qa_id"], variant)
    return {
        "probe_id": ids.probe_id(source, question),
        "split": UNKNOWN,
        "fact_id": source,
        "fact_group": ids.unknown_id(pair["qa_id"], 0),
        "topic_id": "",
        "topic": UNKNOWN,
        "question": question,
        "answer": DECLINED,
        "aliases": [],
        "answer_kind": UNKNOWN,
        "rivals": [],
        **{name: pair[name] for name in ("category", "difficulty", "template", "qa_id")},
        "chunk_id": "",
        "url": "",
        "iteration": iteration,
        "overlap": None,
    }


def _unanswerable(pair: dict[str, Any], known: Known, side: _Side, draw: str) -> str | None:
    """Return the pair's question about things that do not exist; None where it names nothing that its quote names too.

    A name that only places the question ("in the notes on `os`") stays: exchanged alone it would leave a question that can be
    answered. A CVE is never only a place.
    """
    question, quote = pair["question"], pair["quote"]
    names = [name for name in _names(question) if name.kind == "cve" or mentions(quote, name.text)]
    if not names:
        return None
    invented: dict[str, str] = {}
    for i, name in enumerate(names):
        found = _invent(name, known, side, taken=invented.values(), draw=f"{draw} {pair['qa_id']} {i}")
        if found is None:
            return None
        invented[name.text] = found
    ordered = sorted(invented, key=len, reverse=True)
    pattern = r"(?<![\w.])(?:" + "|".join(re.escape(text) for text in ordered) + r")(?!\w)"
    text = re.sub(pattern, lambda match: invented[match[0]], question)
    return None if any(mentions(text, name) for name in ordered) else text


def _names(question: str) -> list[_Name]:
    """Return what a question names in code style or by number, each once, in order."""
    found: dict[str, _Name] = {}
    for kind, pattern in _NUMBERED:
        for match in pattern.finditer(question):
            text = f"CVE-{match['year']}-{match['number']}" if kind == "cve" else match["number"]
            found.setdefault(text, _Name(kind, text))
    in_code = {span.removesuffix("()") for span in _CODE.findall(question)}
    for match in _TOKEN.finditer(question):
        core = match["core"].rstrip("-")
        if _is_name(core, called=bool(match["call"]), in_code=core in in_code):
            found.setdefault(core, _Name("identifier", core))
    return list(found.values())


def _is_name(core: str, *, called: bool, in_code: bool) -> bool:
    """Tell whether a word is an identifier: called, dotted, with an underscore or humps, an option, or in code style.

    A word that only the page has in code style (`block`, `try`) is none: the question may mean the English word.
    """
    if core.startswith("--"):
        return len(core) > 3
    parts = core.split(".")
    if "-" in core or parts[-1].casefold() in _SUFFIXES or len(core) < 3:
        return False
    dotted = len(parts) > 1 and all(len(part) > 1 for part in parts)
    return called or in_code or dotted or "_" in core or _HUMPS.fullmatch(core) is not None


def _invent(name: _Name, known: Known, side: _Side, *, taken: Iterable[str], draw: str) -> str | None:
    """Return a name of the same kind that nothing known holds; None where no draw gives one."""
    rng = random.Random(ids.short_id("unknown name", side, draw))  # noqa: S311 - a repeatable draw, no secret
    for _ in range(_ATTEMPTS):
        piece = _stem(rng) if name.kind == "identifier" else _number(name, rng)
        if side_of(piece) != side or known.holds(piece):
            continue
        text = _shaped(name, piece)
        if text is not None and text not in taken:
            return text
    return None


def side_of(piece: str) -> _Side:
    """Return whether an invented stem or number is for training or for asking: fixed for good, so that the two never share one."""
    return "train" if int(ids.short_id("unknown side", piece)[0], 16) % 2 else "probe"


def _stem(rng: random.Random) -> str:
    stem = ""
    while len(stem) < 5:
        stem += rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS)
    return stem


def _number(name: _Name, rng: random.Random) -> str:
    if name.kind == "pep":
        return str(rng.randrange(4000, 8000))  # no PEP was ever given a number of this range
    digits = max(len(name.text.rpartition("-")[2]), 4)
    return str(rng.randrange(10 ** (digits - 1), 10**digits))


def _shaped(name: _Name, piece: str) -> str | None:
    """Put an invented piece into the shape of a real name: what places it stays (`quill.`, `set_`, `Error`), its own word goes."""
    if name.kind == "cve":
        return f"{name.text.rpartition('-')[0]}-{piece}"
    if name.kind != "identifier":
        return piece
    head, _, last = name.text.rpartition(".")
    head = f"{head}." if head else ""
    if _HUMPS.fullmatch(last):
        return head + re.sub(r"^[A-Z][a-z0-9]+", piece.capitalize(), last)
    match = _LAST_PART.fullmatch(last)
    if match is None:
        return None
    return head + (match["head"] or "") + (piece.upper() if match["last"].isupper() else piece) + match["tail"]
