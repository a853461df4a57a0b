"""Which earlier facts their page no longer states, since it was read again and reads differently (O2, G2).

Strings and tables only; what retired facts are left out of is decided by `probes` and `training_rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import polars as pl

from alas_assets.synthesis.quotes import FoldedText


def latest_texts(readings: Sequence[pl.DataFrame]) -> dict[str, str]:
    """Return the hash of each page's newest text; a reading that failed changes nothing.

    Args:
        readings: Tables of fetches (`FETCH_SCHEMA`), oldest first.
    """
    return {page: sha for table in readings for page, sha, ok in table.select("page_id", "text_sha256", "ok").iter_rows() if ok and sha}


def no_longer_stated(earlier_qa: Sequence[pl.DataFrame], latest: Mapping[str, str], read_text: Callable[[str], str]) -> frozenset[str]:
    """Return the facts whose quote is gone from the newest text of the page it was taken from.

    Args:
        earlier_qa: Pair tables of earlier iterations (`QA_SCHEMA`).
        latest: The newest text's hash by page (`latest_texts`); facts of other pages stand.
        read_text: Returns a stored text by its hash.
    """
    folded: dict[str, FoldedText] = {}
    gone: set[str] = set()
    for table in earlier_qa:
        facts = table.filter("accepted").unique("fact_id", maintain_order=True)
        for fact, page, sha, quote in facts.select("fact_id", "page_id", "text_sha256", "quote").iter_rows():
            newest = latest.get(page)
            if newest is None or newest == sha:
                continue
            if newest not in folded:
                folded[newest] = FoldedText(read_text(newest))
            if folded[newest].locate(quote) is None:
                gone.add(fact)
    return frozenset(gone)
