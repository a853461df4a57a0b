"""What a table or record is without a source: rows and topics by id, and any other text that holds the source's words (A3).

Values in, values out; files are `removal.purge`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from alas_assets.audit.trace import ANSWER_TABLES
from alas_assets.provenance.blocked.marks import Finder, hashed, redacted_json
from alas_assets.provenance.blocked.order import Order, normal
from alas_assets.provenance.ids import fold
from alas_assets.removal.plan import Ids, is_about, rows_of_source

_BLANKED = ("answer", "explanation", "rule_explanation")


@dataclass(frozen=True)
class Removal:
    """What is to be removed, as the functions here look it up."""

    order: Order
    ids: Ids
    finder: Finder

    def within(self, *, may_hold: bool) -> Removal:
        """Return what is to be removed from a part of the store: only what reads like the source where it holds nothing else of it."""
        return self if may_hold else self._elsewhere

    @cached_property
    def _elsewhere(self) -> Removal:
        return Removal(self.order, Ids.model_validate({name: [] for name in Ids.model_fields}), self.finder)

    @cached_property
    def pages(self) -> frozenset[str]:
        """Its addresses."""
        return frozenset(self.ids.pages)

    @cached_property
    def _forms(self) -> frozenset[str]:
        return frozenset(map(normal, self.ids.pages))

    @cached_property
    def facts(self) -> frozenset[str]:
        """Its facts."""
        return frozenset(self.ids.facts)

    @cached_property
    def pairs(self) -> frozenset[str]:
        """Its pairs."""
        return frozenset(self.ids.pairs)

    @cached_property
    def said(self) -> frozenset[str]:
        """Hashes of the short answers that only its facts give."""
        return frozenset(self.ids.said)

    def is_page(self, url: str) -> bool:
        """Tell whether an address is one of the source's, however it is written."""
        return normal(url) in self._forms

    def is_said(self, text: str) -> bool:
        """Tell whether a string is an answer that only facts of the source give."""
        return hashed(fold(text), self.order.salt) in self.said


# ------------------------------------------------------------------------------------------------ tables


def table_without(asset: str, table: pl.DataFrame, removal: Removal) -> pl.DataFrame:
    """Return a stored table without the source; the very same object where it holds nothing of it.

    Args:
        asset: Its asset's name; "rows" for the exact rows of a training.
        table: As it is stored, also by an older version.
        removal: What is to be removed.
    """
    kept = _RULES.get(asset, lambda one, _: one)(table, removal)
    kept = _without_ids(kept, removal)
    kept = swept(kept, removal)
    return table if kept.equals(table) else kept


def _documents(table: pl.DataFrame, removal: Removal) -> pl.DataFrame:
    urls = sorted(removal.pages)
    named = pl.any_horizontal(pl.col(name).is_in(urls) for name in ("page_id", "final_url", "requested_url"))
    return table.filter(~named.fill_null(value=False))


def _pairs(table: pl.DataFrame, removal: Removal) -> pl.DataFrame:
    ids = removal.ids
    own = pl.col("page_id").is_in(ids.pages) | pl.col("fact_id").is_in(ids.facts) | pl.col("chunk_id").is_in(ids.chunks)
    drafts = (pl.col("fact_id") == "") & pl.col("topic_id").is_in(ids.topics)
    return table.filter(~(own | drafts).fill_null(value=False))


def _about(table: pl.DataFrame, removal: Removal) -> pl.Series:
    facts = table["fact_id"].fill_null("").to_list()
    mask = pl.Series([is_about(fact, removal.facts, removal.pairs) for fact in facts], dtype=pl.Boolean)
    if "qa_id" in table.columns:
        mask = mask | table["qa_id"].is_in(removal.ids.pairs).fill_null(value=False)
    return mask


def _without_its_facts(table: pl.DataFrame, removal: Removal) -> pl.DataFrame:
    return table.filter(~_about(table, removal))


def _answers(table: pl.DataFrame, removal: Removal) -> pl.DataFrame:
    """Drop answers to questions about the facts, and to an exam's about the pages.

    Of those that the pages' passages were shown for the row stays, without its words.
    """
    kept = _without_its_facts(table, removal).filter(~pl.col("answer_id").is_in(removal.ids.answers))
    shown = pl.col("context_chunks").list.eval(pl.element().is_in(removal.ids.chunks)).list.any().fill_null(value=False)
    if kept.is_empty() or not kept.select(shown.any()).item():
        return kept
    blanks = [
        pl.when(shown).then(pl.lit(removal.order.note)).otherwise(pl.col(name)).alias(name) for name in _BLANKED if name in kept.columns
    ]
    kept = kept.with_columns(shown.alias("__shown"), *blanks)
    if "verdicts" in kept.columns:
        verdicts = [
            [{**verdict, "explanation": removal.order.note} for verdict in row["verdicts"] or []] if row["__shown"] else row["verdicts"]
            for row in kept.select("verdicts", "__shown").iter_rows(named=True)
        ]
        kept = kept.with_columns(pl.Series("verdicts", verdicts, dtype=kept.schema["verdicts"]))
    return kept.drop("__shown")


def _wrong(table: pl.DataFrame, removal: Removal) -> pl.DataFrame:
    return _without_its_facts(table, removal).filter(~pl.col("url").is_in(removal.ids.pages).fill_null(value=False))


def _training_rows(table: pl.DataFrame, removal: Removal) -> pl.DataFrame:
    held = rows_of_source(table.with_row_index("__at"), removal.facts, removal.pairs)["__at"]
    return table.with_row_index("__at").filter(~pl.col("__at").is_in(held.to_list())).drop("__at")


_RULES: dict[str, Callable[[pl.DataFrame, Removal], pl.DataFrame]] = {
    "documents": _documents,
    "qa_pairs": _pairs,
    "probes": _without_its_facts,
    "preference_pairs": _without_its_facts,
    "wrong_answers": _wrong,
    "rows": _training_rows,
    **dict.fromkeys(ANSWER_TABLES, _answers),
}


def _without_ids(table: pl.DataFrame, removal: Removal) -> pl.DataFrame:
    """Drop the facts' answers where other questions list them as rivals, and the facts where other pairs name them as disputed."""
    for name, gone in (("rivals", removal.is_said), ("disputed_with", removal.facts.__contains__)):
        if name in table.columns and table.height:
            lists = [None if one is None else [text for text in one if not gone(text)] for one in table[name].to_list()]
            table = table.with_columns(pl.Series(name, lists, dtype=table.schema[name]))
    return table


def swept(table: pl.DataFrame, removal: Removal) -> pl.DataFrame:
    """Return a table in which every string that holds words of the source is replaced by a note, also in lists and structs."""
    for name, kind in table.schema.items():
        if kind == pl.String:
            touched = [text for text in table[name].drop_nulls().unique().to_list() if removal.finder.touches(text)]
            if touched:
                table = table.with_columns(pl.col(name).replace(touched, [removal.order.note] * len(touched)))
        elif kind.is_nested():
            before = table[name].to_list()
            after = [redacted_json(value, removal.finder, removal.order.note) for value in before]
            if after != before:
                table = table.with_columns(pl.Series(name, after, dtype=kind))
    return table


# ------------------------------------------------------------------------------------------------ records


def record_without(asset: str, record: dict[str, Any], removal: Removal) -> dict[str, Any]:
    """Return a stored record without the source, as JSON values; topics that only its pages were for go, with their names."""
    kept = _RECORDS.get(asset, lambda one, _: one)(record, removal)
    return redacted_json(kept, removal.finder, removal.order.note)


def _topics(topics: list[dict[str, Any]], removal: Removal) -> list[dict[str, Any]]:
    gone, names = set(removal.ids.topics), set(removal.ids.topic_names)
    kept = []
    for topic in topics:
        urls = [url for url in topic["urls"] if not removal.is_page(url)]
        if topic["topic_id"] in gone or (topic["urls"] and not urls):
            continue
        needed = [name for name in topic.get("prerequisites", []) if name not in names]
        kept.append({**topic, "urls": urls, "prerequisites": needed})
    return kept


def _urls(urls: list[str], removal: Removal) -> list[str]:
    return [url for url in urls if not removal.is_page(url)]


def _named(names: list[str], removal: Removal) -> list[str]:
    return [name for name in names if name not in removal.ids.topic_names]


def _seed(record: dict[str, Any], removal: Removal) -> dict[str, Any]:
    heir: Mapping[str, Any] = record["inherited"]
    return {
        **record,
        "changed_pages": _urls(record.get("changed_pages", []), removal),
        "weak_topics": _topics(record["weak_topics"], removal),
        "next_topics": _topics(record["next_topics"], removal),
        "inherited": {
            **heir,
            "mastered": _named(heir.get("mastered", []), removal),
            "covered_urls": _urls(heir.get("covered_urls", []), removal),
        },
    }


def _curriculum(record: dict[str, Any], removal: Removal) -> dict[str, Any]:
    names, gone = set(removal.ids.topic_names), set(removal.ids.topics)
    merged_ids = [pair for pair in record.get("merged_ids", []) if not gone & set(pair)]
    return {
        **{name: value for name, value in record.items() if name != "merged_ids"},
        **({"merged_ids": merged_ids} if merged_ids else {}),
        "topics": _topics(record["topics"], removal),
        "deferred": _topics(record.get("deferred", []), removal),
        "merged": [pair for pair in record.get("merged", []) if not names & set(pair)],
        "broken_cycles": [cycle for cycle in record.get("broken_cycles", []) if not names & set(cycle)],
        "changed_pages": _urls(record.get("changed_pages", []), removal),
        "found_by": {url: way for url, way in record.get("found_by", {}).items() if not removal.is_page(url)},
    }


def _revision(record: dict[str, Any], removal: Removal) -> dict[str, Any]:
    gone, note = set(removal.ids.topics), removal.order.note
    scores = [{**score, "name": note} if score["topic_id"] in gone else score for score in record["topic_scores"]]
    return {
        **record,
        "reason": _unnamed(record["reason"], removal),
        "topic_scores": scores,
        "mastered": _named(record["mastered"], removal),
        "remediation": _topics(record["remediation"], removal),
        "next_topics": _topics(record["next_topics"], removal),
    }


def _decision(record: dict[str, Any], removal: Removal) -> dict[str, Any]:
    guards = [{**guard, "name": _unnamed(guard["name"], removal)} for guard in record.get("guards", [])]
    return {**record, "reason": _unnamed(record["reason"], removal), "guards": guards}


def _unnamed(text: str, removal: Removal) -> str:
    """Return a sentence without the names of topics that go, the longest first."""
    for name in sorted(removal.ids.topic_names, key=len, reverse=True):
        text = text.replace(name, removal.order.note) if len(name) > 3 else text
    return text


_RECORDS: dict[str, Callable[[dict[str, Any], Removal], dict[str, Any]]] = {
    "curriculum_seed": _seed,
    "curriculum": _curriculum,
    "revised_curriculum": _revision,
    "promotion": _decision,
}
