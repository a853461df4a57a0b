"""Which earlier facts their page no longer states, since it was read again and reads differently (O2, G2).

Strings and tables only; what retired facts are left out of is decided by `probes` and `training_rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import polars as pl

from alas_assets.synthesis.disputed import says
from alas_assets.synthesis.quotes import FoldedText

SAYS_THE_SAME = "says the same as"
"""Words of the reason for which curation sets a fact aside that another page states too (S5)."""
_TWIN = rf"{SAYS_THE_SAME} (?:another fact: )?([0-9a-f]{{20}})$"


def latest_texts(readings: Sequence[pl.DataFrame]) -> dict[str, str]:
    """Return the hash of each page's newest text, under its old address too where it moved; a reading that failed changes nothing.

    Args:
        readings: Tables of fetches (`FETCH_SCHEMA`), oldest first.
    """
    latest: dict[str, str] = {}
    moved: dict[str, str] = {}
    for table in readings:
        read = table.filter(pl.col("ok") & (pl.col("text_sha256").fill_null("") != ""))
        for page, asked, sha in read.select("page_id", "requested_url", "text_sha256").iter_rows():
            latest[page] = sha
            moved[asked] = page
    return latest | {asked: latest[page] for asked, page in moved.items()}


def no_longer_stated(
    earlier_qa: Sequence[pl.DataFrame],
    latest: Mapping[str, str],
    read_text: Callable[[str], str],
    folded: dict[str, FoldedText] | None = None,
) -> frozenset[str]:
    """Return the facts, accepted or kept out by a dispute, whose quote is gone from the newest text of the page it was taken from.

    Args:
        earlier_qa: Pair tables of earlier iterations (`QA_SCHEMA`).
        latest: The newest text's hash by page (`latest_texts`); facts of other pages stand.
        read_text: Returns a stored text by its hash.
        folded: Texts that were folded before, by their hash; those that are folded here are added.
    """
    folded = {} if folded is None else folded
    gone: set[str] = set()
    for table in earlier_qa:
        facts = says(table).unique("fact_id", maintain_order=True)
        for fact, page, sha, quote in facts.select("fact_id", "page_id", "text_sha256", "quote").iter_rows():
            newest = latest.get(page)
            if newest is None or newest == sha:
                continue
            if newest not in folded:
                folded[newest] = FoldedText(read_text(newest))
            if folded[newest].locate(quote) is None:
                gone.add(fact)
    return frozenset(gone)


def left_alone(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return where facts stand that were only set aside because another page stated them, and that fact is in no table any more (A3).

    A takedown removes a page's facts; another page that states them still supports them, and is to be studied again.

    Args:
        tables: Pair tables of all earlier iterations (`QA_SCHEMA`).

    Returns:
        fact_id, url and chunk_id, one row a fact.
    """
    columns = ["fact_id", "fact_group", "url", "chunk_id", "reason", "accepted"]
    if not tables:
        return pl.DataFrame(schema=dict.fromkeys(["fact_id", "url", "chunk_id"], pl.String))
    pairs = pl.concat([table.select(columns) for table in tables])
    there, taught = pairs["fact_id"].unique().to_list(), pairs.filter("accepted")["fact_group"].unique().to_list()
    twins = pairs.with_columns(pl.col("reason").str.extract(_TWIN, 1).alias("twin")).filter(~pl.col("accepted"))
    alone = twins.filter(pl.col("twin").is_not_null() & ~pl.col("twin").is_in(there) & ~pl.col("fact_group").is_in(taught))
    return alone.unique("fact_id", maintain_order=True).select("fact_id", "url", "chunk_id")
