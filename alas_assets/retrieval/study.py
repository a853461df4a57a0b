"""What the `curriculum` and `documents` assets call: look over a domain's pages, then read those that topics name (R3-R6).

The stages only; fetching, reading, cutting and storing are the neighbouring modules' work.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urldefrag, urlsplit

import polars as pl

from alas_assets.domains.config import Domain, DomainError
from alas_assets.provenance.ids import fold, page_id
from alas_assets.provenance.store import ArtifactStore
from alas_assets.records import CHUNK_SCHEMA, FETCH_SCHEMA, PageOutline, Topic
from alas_assets.retrieval.chunk import Chunk, outline, split
from alas_assets.retrieval.extract import Extracted, Extractor
from alas_assets.retrieval.fetch import Fetched, Fetcher
from alas_assets.retrieval.store import ChunkStore, Embed

log = logging.getLogger(__name__)

_CONTENT_WORDS = 150  # an index page with at least so many words outside its links is a page to study itself
_WORDS_A_LINK = 20  # an index says a line about each page; a page of its own says more between its links
_LEAST_SHARE = 0.5
_LEAST_WORDS_A_PAGE = 20
_SUMMARY_CHARS = 300
_WRITERS = 8
_NOT_PAGES = re.compile(
    r"\.(pdf|zip|gz|bz2|xz|tgz|whl|exe|msi|pkg|dmg|png|jpe?g|gif|svg|ico|css|js|json|xml|rss|atom|txt\.asc|mp[34])$", re.I
)
_CAUSES = (
    ("connection refused", "nothing listens at {host}: is the site running, and is the port in sources.seed_urls right?"),
    ("does not resolve", "the name {host} does not resolve: is it spelt right, and is there a network?"),
    ("not a public address", "{host} has a private address: if it is meant, add it to sources.private_hosts"),
    ("robots.txt", "the robots.txt of {host} refuses, or could not be read"),
    ("sources.allow_hosts", "{host} is not in sources.allow_hosts"),
    ("sources.deny_hosts", "{host} is in sources.deny_hosts"),
    ("sources.timeout_seconds", "{host} is too slow for sources.timeout_seconds"),
    ("no answer from", "{host} does not answer"),
    ("answered 404", "the pages are not there (404): have the addresses in sources.seed_urls moved?"),
    ("answered 4", "{host} refuses the requests"),
    ("answered 5", "{host} has an error of its own"),
    ("sources.max_bytes", "the pages are larger than sources.max_bytes"),
    ("only HTML", "what {host} sends is not HTML, plain text or Markdown"),
    ("words of text", "the pages hold no text"),
    ("shows no text", "the pages hold no text: they are empty or filled in by scripts"),
    ("empty page", "the pages are empty"),
)


@dataclass(frozen=True)
class Studied:
    """What one cell read."""

    fetches: pl.DataFrame  # FETCH_SCHEMA, one row per distinct URL, failed ones too
    chunks: pl.DataFrame  # CHUNK_SCHEMA, in reading order
    embedded: int  # passages that had no vector yet


def survey(domain: Domain, store: ArtifactStore, fetcher: Fetcher | None = None) -> tuple[list[PageOutline], list[tuple[str, str]]]:
    """Read the titles and headings of a domain's pages: the seed pages' links on the same host, followed once.

    Args:
        domain: Its `sources` say where to look and how far.
        store: Keeps every body that is received.
        fetcher: For tests and for callers with a resolver of their own.

    Returns:
        Outlines in the order of the links, a seed first where it has text of its own; and (url, reason) of every page that failed.

    Raises:
        DomainError: `sources.link_pattern` is not a regular expression.
    """
    fetcher = fetcher or Fetcher(domain.sources, store)
    outlines: dict[str, PageOutline] = {}
    failures: list[tuple[str, str]] = []
    with Extractor(store, readers=domain.sources.readers) as extractor:
        seeds = _read(domain.sources.seed_urls, fetcher, extractor)
        linked = []
        for page, found in seeds:
            if found.kept_words - found.link_words >= max(_CONTENT_WORDS, _WORDS_A_LINK * len(found.links)):
                outlines.setdefault(page_id(page.final_url), _outline(page, found))
            linked += _linked(domain, page, found)
        already = {page_id(url) for page, _ in seeds for url in (page.requested_url, page.final_url)}
        room = max(0, domain.sources.max_pages - len(seeds))
        wanted = [url for url in dict.fromkeys(linked) if url not in already]
        if len(wanted) > room:
            log.warning("%s: %d pages are linked, the first %d are surveyed (sources.max_pages)", domain.key, len(wanted), room)
        pages = _read(wanted[:room], fetcher, extractor)
    for page, found in pages:
        if page.ok and not found.reason:
            outlines.setdefault(page_id(page.final_url), _outline(page, found))
    failures += [(page.requested_url, page.reason or found.reason) for page, found in (*seeds, *pages) if page.reason or found.reason]
    return list(outlines.values()), failures


def study(
    topics: Sequence[Topic],
    domain: Domain,
    store: ArtifactStore,
    *,
    embed: Embed,
    embedder: str,
    tag: str,
    fetcher: Fetcher | None = None,
) -> Studied:
    """Fetch the topics' pages, keep body and text of each, and store their passages for this cell.

    Every distinct URL is requested once; what was fetched before is asked about conditionally, and a passage that is stored
    already is not embedded again (R4). A page that fails is a row with its reason (R6).

    Args:
        topics: Whose pages to read.
        domain: Its `sources` say how.
        store: Keeps bodies (`pages`), texts (`texts`) and the LanceDB folder.
        embed: Turns passages into vectors.
        embedder: The name of the model behind `embed`.
        tag: The name under which the chunk store keeps what this cell read.
        fetcher: For tests and for callers with a resolver of their own.

    Raises:
        StoreError: The chunk store cannot be written.
    """
    wanted: dict[str, list[str]] = {}
    for topic in topics:
        for url in topic.urls:
            topic_ids = wanted.setdefault(urldefrag(url).url, [])
            if topic.topic_id not in topic_ids:
                topic_ids.append(topic.topic_id)
    fetcher = fetcher or Fetcher(domain.sources, store)
    with Extractor(store, readers=domain.sources.readers) as extractor:
        pages = _read(wanted, fetcher, extractor)
    fetch_rows, chunk_rows = [], []
    cut: set[str] = set()
    for (page, found), text_sha256 in zip(pages, _kept_texts(pages, store), strict=True):
        identity = page_id(page.final_url)
        # Two addresses may lead to one page: its passages count once, for the first of them.
        chunks = split(found.text, identity) if text_sha256 and identity not in cut else []
        if text_sha256:
            cut.add(identity)
        chunk_rows += [_chunk_row(chunk, page, found, text_sha256) for chunk in chunks]
        fetch_rows.append(_fetch_row(page, found, wanted[page.requested_url], text_sha256, len(chunks)))
    fetches = pl.DataFrame(fetch_rows, schema=FETCH_SCHEMA, orient="row")
    passages = pl.DataFrame(chunk_rows, schema=CHUNK_SCHEMA, orient="row")
    if passages.is_empty():
        return Studied(fetches, passages, 0)
    chunk_store = ChunkStore(store.lance, domain.key, embedder)
    upserted = chunk_store.upsert(passages, embed)
    chunk_store.tag_cell(tag, passages["chunk_id"].to_list(), upserted)
    return Studied(fetches, passages, upserted.embedded)


def yield_problem(fetches: pl.DataFrame, chunks: pl.DataFrame) -> str | None:
    """Say in words why a reading gave too little, or None where it gave enough (R6).

    Too little is: no page at all, fewer than half of the pages, or hardly any text in those that were read.
    """
    if fetches.is_empty():
        return "no topic names a page to study; the curriculum's failed_urls say which pages could not be surveyed"
    failed = fetches.filter(~pl.col("ok"))
    read = len(fetches) - len(failed)
    if read < _LEAST_SHARE * len(fetches) or chunks.is_empty():
        return f"{len(failed)} of {len(fetches)} pages gave nothing: {_likely_cause(failed)}"
    words = sum(len(text.split()) for text in chunks["text"])
    if words < _LEAST_WORDS_A_PAGE * read:
        return f"the {read} pages that were read hold only {words} words; are they filled in by scripts, or empty?"
    return None


def _likely_cause(failed: pl.DataFrame) -> str:
    causes: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for url, reason in failed.select("final_url", "reason").iter_rows():
        advice = next((text for needle, text in _CAUSES if needle in reason), "see the reasons in the table of fetches")
        cause = advice.format(host=_host(url) or url)
        causes[cause] += 1
        examples.setdefault(cause, reason)
    cause, count = causes.most_common(1)[0]
    others = f"; {len(failed) - count} failed for other reasons" if count < len(failed) else ""
    return f"{cause} (for example: {examples[cause]}){others}"


# ------------------------------------------------------------------------------------------------ one page


def _read(urls: Iterable[str], fetcher: Fetcher, extractor: Extractor) -> list[tuple[Fetched, Extracted]]:
    """Fetch pages, and read each as soon as it is there, while others are on their way."""
    reading: dict[str, Future[Extracted]] = {}

    def arrived(page: Fetched) -> None:
        if page.ok:
            reading[page.requested_url] = extractor.submit(page)

    pages = fetcher.fetch_many(urls, arrived=arrived)
    return [(page, reading[page.requested_url].result() if page.ok else Extracted()) for page in pages]


def _kept_texts(pages: Sequence[tuple[Fetched, Extracted]], store: ArtifactStore) -> list[str]:
    """Store the texts and return the hash of each, "" for a page without one; files are synced side by side, not one after the other."""

    def keep(pair: tuple[Fetched, Extracted]) -> str:
        page, found = pair
        return store.put_bytes(store.texts, found.text.encode()) if page.ok and not found.reason else ""

    with ThreadPoolExecutor(_WRITERS) as threads:
        return list(threads.map(keep, pages))


def _linked(domain: Domain, page: Fetched, found: Extracted) -> list[str]:
    """Return the links of a page's article part that lead to pages of the same host, without fragments, in order."""
    try:
        pattern = re.compile(domain.sources.link_pattern)
    except re.error as error:
        raise DomainError(f"{domain.key}: sources.link_pattern: not a regular expression: {error}") from error
    links = (urldefrag(link).url for link in found.links)
    return [link for link in links if _host(link) == _host(page.final_url) and not _NOT_PAGES.search(link) and pattern.search(link)]


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""
    except ValueError:
        return ""


def _outline(page: Fetched, found: Extracted) -> PageOutline:
    paragraphs = (part.strip() for part in found.text.split("\n\n"))
    first = next((part for part in paragraphs if part and not part.startswith(("#", "- ", "|", "```"))), "")
    headings = [title for level, title in outline(found.text) if level in (2, 3)]
    return PageOutline(url=page_id(page.final_url), title=found.title, headings=headings, summary=fold(first)[:_SUMMARY_CHARS])


def _fetch_row(page: Fetched, found: Extracted, topic_ids: list[str], text_sha256: str, chunks: int) -> dict[str, object]:
    return {
        "requested_url": page.requested_url,
        "final_url": page.final_url,
        "canonical_url": found.canonical_url,
        "page_id": page_id(page.final_url),
        "host": page.host,
        "topic_ids": topic_ids,
        "ok": bool(text_sha256),
        "status": page.status,
        "reason": page.reason or found.reason,
        "from_cache": page.from_cache,
        "title": found.title,
        "authors": found.authors,
        "published_at": found.published_at,
        "retrieved_at": page.retrieved_at,
        "etag": page.etag,
        "last_modified": page.last_modified,
        "content_type": page.content_type,
        "licence": found.licence,
        "body_sha256": page.body_sha256,
        "text_sha256": text_sha256,
        "body_bytes": page.body_bytes,
        "text_chars": len(found.text),
        "chunks": chunks,
    }


def _chunk_row(chunk: Chunk, page: Fetched, found: Extracted, text_sha256: str) -> dict[str, object]:
    return {
        "chunk_id": chunk.chunk_id,
        "page_id": page_id(page.final_url),
        "url": page.final_url,
        "title": found.title,
        "heading_path": list(chunk.heading_path),
        "ordinal": chunk.ordinal,
        "text": chunk.text,
        "start": chunk.start,
        "end": chunk.end,
        "text_sha256": text_sha256,
        "body_sha256": page.body_sha256,
        "retrieved_at": page.body_retrieved_at,
    }
