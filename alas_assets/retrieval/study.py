"""What the `curriculum` and `documents` assets call: look over a domain's pages, then read those that topics name (R3-R6).

The stages only; fetching, reading, cutting and storing are the neighbouring modules' work.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import zip_longest
from urllib.parse import urldefrag, urlsplit

import polars as pl

from alas_assets.domains.config import Domain
from alas_assets.provenance.blocked.order import TAKEN_DOWN
from alas_assets.provenance.ids import fold, page_id, sha256_hex
from alas_assets.provenance.store import ArtifactStore
from alas_assets.records import CHUNK_SCHEMA, FETCH_SCHEMA, PageOutline, Topic
from alas_assets.retrieval.chunk import Chunk, outline, split
from alas_assets.retrieval.extract import Extracted, Extractor
from alas_assets.retrieval.fetch import Fetched, Fetcher
from alas_assets.retrieval.finding.folder import Folder, is_folder_url
from alas_assets.retrieval.finding.gather import NOT_PAGES, Found, Gathering
from alas_assets.retrieval.finding.queries import may_be_read, primary_first, topic_queries
from alas_assets.retrieval.finding.search import Asked, ask_all
from alas_assets.retrieval.store import ChunkStore, Embed
from alas_assets.wording import counted

log = logging.getLogger(__name__)

QUERY = "query"
"""What `found_by` says of a row that is no page but a search query that failed."""

_CONTENT_WORDS = 150  # an index page with at least so many words outside its links is a page to study itself
_WORDS_A_LINK = 20  # an index says a line about each page; a page of its own says more between its links
_LEAST_SHARE = 0.5
_LEAST_WORDS_A_PAGE = 20
_SUMMARY_CHARS = 300
LEAST_COVERAGE = 0.9
"""A page of which less reached the passages is worth a look; on the measured pages the lowest share is higher (bench/RESULTS.md)."""
_GONE = (404, 410)
_ANSWERED_GONE = re.compile(rf" answered (?:{'|'.join(map(str, _GONE))})\b")
_NAMED_PAGES = 5
_WRITERS = 8
# A linked PDF is nearly always the page once more for printing, and a linked JSON file seldom a record: only who names them gets them.
_PAGES_IF_NAMED = re.compile(r"\.(pdf|json)$", re.I)
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
    ("only HTML", "what {host} sends is not HTML, plain text, Markdown, reStructuredText, PDF or JSON"),
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


def survey(
    domain: Domain, store: ArtifactStore, fetcher: Fetcher | None = None, today: date | None = None, *, also: Sequence[str] = ()
) -> tuple[list[PageOutline], list[tuple[str, str]]]:
    """Read the titles and headings of a domain's pages, wherever its settings lead.

    Those are the seed pages' links on the same host, followed once, then what feeds, sitemaps, record indexes, the folder and a
    search for its seed topics name (R1, R2). Pages on `sources.primary_hosts` come first, the rest in that order.

    Args:
        domain: Its `sources` say where to look and how far.
        store: Keeps every body that is received.
        fetcher: For tests and for callers with a resolver of their own.
        today: What searches count back from; the day it is, in UTC, where none is given.
        also: Further pages to read, whether something links to them or not; the links of those that are an index are followed too.

    Returns:
        Outlines in the order of the pages, a seed first where it has text of its own; and (url, reason) of all that failed.
    """
    fetcher, folder = fetcher or Fetcher(domain.sources, store), Folder(domain.sources, store)
    pattern = re.compile(domain.sources.link_pattern)
    gathering = Gathering(domain, fetcher, pattern)
    gathering.gather(folder, today or _today())
    outlines: dict[str, PageOutline] = {}
    with Extractor(store, readers=domain.sources.readers) as extractor:
        seeds = _read(domain.sources.seed_urls, fetcher, folder, extractor)
        linked = []
        for page, found in seeds:
            leads = _leads(pattern, page, found)
            says_something = found.kept_words - found.link_words >= max(_CONTENT_WORDS, _WORDS_A_LINK * len(found.links))
            if page.ok and not found.reason and (says_something or not leads):  # without a way on, the page itself is meant
                outlines.setdefault(page_id(page.final_url), _outline(page, found, "seed"))
            linked += leads
        named = {page_id(one.url) for one in (*linked, *gathering.pages)}
        watched = [url for url in dict.fromkeys(also) if page_id(url) not in _addresses(seeds) | named]
        for page, found in _read(watched, fetcher, folder, extractor):
            seeds.append((page, found))
            leads = _leads(pattern, page, found)
            if leads and found.kept_words - found.link_words < _WORDS_A_LINK * len(found.links):
                linked += leads
            elif page.ok and not found.reason:
                outlines.setdefault(page_id(page.final_url), _outline(page, found, "watched"))
        already = _addresses(seeds)
        room = max(0, domain.sources.max_pages - len(seeds))
        wanted = _by_page(primary_first([*linked, *gathering.pages], domain.sources.primary_hosts, lambda one: one.url), already)
        if len(wanted) > room:
            log.warning("%s: %d pages are found, the first %d are surveyed (sources.max_pages)", domain.key, len(wanted), room)
        pages = _read(list(wanted)[:room], fetcher, folder, extractor)
    for page, found in pages:
        if page.ok and not found.reason:
            outlines.setdefault(page_id(page.final_url), _outline(page, found, wanted[page.requested_url]))
    failed = [(page.requested_url, page.reason or found.reason) for page, found in (*seeds, *pages) if page.reason or found.reason]
    return list(outlines.values()), [*failed, *gathering.failures]


def study(
    topics: Sequence[Topic],
    domain: Domain,
    store: ArtifactStore,
    *,
    embed: Embed,
    embedder: str,
    tag: str,
    found_by: Mapping[str, str] | None = None,
    earlier: Sequence[pl.DataFrame] = (),
    fetcher: Fetcher | None = None,
    today: date | None = None,
) -> Studied:
    """Fetch the topics' pages, keep body and text of each, and store their passages for this cell.

    Every distinct URL is requested once; what was fetched before is asked about conditionally, and a passage that is stored
    already is not embedded again (R4). A page that fails is a row with its reason (R6). Where the domain names a search
    provider, the best pages that it finds for each topic are read too (R1); a query that fails is a row of its own. An address that
    was read before and leads to a page that the survey found is a row too, without passages: what was taught from there goes by it. So is
    one that gives no answer when it is asked where it leads.

    Args:
        topics: Whose pages to read.
        domain: Its `sources` say how.
        store: Keeps bodies (`pages`), texts (`texts`) and the LanceDB folder.
        embed: Turns passages into vectors.
        embedder: The name of the model behind `embed`.
        tag: The name under which the chunk store keeps what this cell read.
        found_by: What led to each page that the survey found, by URL.
        earlier: What earlier iterations fetched (`FETCH_SCHEMA`), oldest first.
        fetcher: For tests and for callers with a resolver of their own.
        today: What searches count back from; the day it is, in UTC, where none is given.

    Raises:
        StoreError: The chunk store cannot be written.
    """
    ways = dict(found_by or {})
    wanted: dict[str, list[str]] = {}
    for topic in topics:
        for url in topic.urls:
            topic_ids = wanted.setdefault(urldefrag(url).url, [])
            if topic.topic_id not in topic_ids:
                topic_ids.append(topic.topic_id)
    asked = _searched(topics, domain, store, today or _today(), wanted, ways)
    fetcher, folder = fetcher or Fetcher(domain.sources, store), Folder(domain.sources, store)
    with Extractor(store, readers=domain.sources.readers) as extractor:
        pages = _read(wanted, fetcher, folder, extractor)
        pages += _moved(earlier, pages, found_by or {}, fetcher, extractor)
    fetch_rows, chunk_rows = [], []
    cut: set[str] = set()
    for (page, found), text_sha256 in zip(pages, _kept_texts(pages, store), strict=True):
        identity = page_id(page.final_url)
        # Two addresses may lead to one page: its passages count once, for the first of them; for one that nobody studies they do not.
        chunks = split(found.text, identity) if text_sha256 and identity not in cut and page.requested_url in wanted else []
        if text_sha256:
            cut.add(identity)
        chunk_rows += [_chunk_row(chunk, page, found, text_sha256) for chunk in chunks]
        way = ways.get(page.requested_url, "")
        fetch_rows.append(_fetch_row(page, found, wanted.get(page.requested_url, []), text_sha256, len(chunks), way))
    fetch_rows += [_fetch_row(_unanswered(one), Extracted(), [], "", 0, QUERY) for one in asked if one.reason]
    fetches = pl.DataFrame(fetch_rows, schema=FETCH_SCHEMA, orient="row")
    passages = pl.DataFrame(chunk_rows, schema=CHUNK_SCHEMA, orient="row")
    if passages.is_empty():
        return Studied(fetches, passages, 0)
    chunk_store = ChunkStore(store.lance, domain.key, embedder)
    upserted = chunk_store.upsert(passages, embed)
    chunk_store.tag_cell(tag, passages["chunk_id"].to_list(), upserted)
    return Studied(fetches, passages, upserted.embedded)


def read_pages(
    urls: Sequence[str], domain: Domain, store: ArtifactStore, fetcher: Fetcher | None = None
) -> list[tuple[Fetched, Extracted]]:
    """Fetch pages as the domain allows, conditionally, and read each; what failed is there with its reason.

    Args:
        urls: Pages, or documents of the domain's folder.
        domain: Its `sources` say how.
        store: Keeps bodies and validators.
        fetcher: For tests and for callers with a resolver of their own.
    """
    fetcher, folder = fetcher or Fetcher(domain.sources, store), Folder(domain.sources, store)
    with Extractor(store, readers=domain.sources.readers) as extractor:
        return _read(urls, fetcher, folder, extractor)


def with_found_pages(topics: Sequence[Topic], fetches: pl.DataFrame) -> list[Topic]:
    """Return the topics with the pages that a search found for them and those that theirs moved to, so that pairs are written from them."""
    more: dict[str, list[str]] = {}
    for row in fetches.filter("ok").select("final_url", "requested_url", "found_by", "topic_ids").iter_rows(named=True):
        if (row["found_by"] or "").startswith("search ") or page_id(row["final_url"]) != row["requested_url"]:
            for topic_id in row["topic_ids"]:
                more.setdefault(topic_id, []).append(row["final_url"])
    return [topic.model_copy(update={"urls": list(dict.fromkeys([*topic.urls, *more.get(topic.topic_id, [])]))}) for topic in topics]


def had_nothing_to_read(fetches: pl.DataFrame) -> bool:
    """Tell whether no topic named a page, and no search found one or failed; old addresses may have been asked all the same."""
    return fetches.filter((pl.col("topic_ids").list.len() > 0) | (pl.col("found_by") == QUERY)).is_empty()


def found_all_gone(fetches: pl.DataFrame) -> bool:
    """Tell whether there were pages to read and each was answered to be gone, or was taken down: to ask again brings none of them back."""
    if QUERY in fetches["found_by"]:  # a search that failed may find a page the next time
        return False
    wanted = fetches.filter(pl.col("topic_ids").list.len() > 0)
    return not wanted.is_empty() and not wanted["ok"].any() and not any(may_be_read_later(reason) for reason in wanted["reason"])


def may_be_read_later(reason: str) -> bool:
    """Tell whether a page that could not be read, for this reason, may still be: it is not gone and was not taken down."""
    return not (reason.startswith(TAKEN_DOWN) or _ANSWERED_GONE.search(reason))


def yield_problem(fetches: pl.DataFrame, chunks: pl.DataFrame) -> str | None:
    """Say in words why a reading gave too little, or None where it gave enough (R6).

    Too little is: no page at all, fewer than half of the pages, or hardly any text in those that were read. An old address that no topic
    names is no page that was to be read.
    """
    queries = fetches.filter(pl.col("found_by") == QUERY)
    fetches = fetches.filter(pl.col("found_by") != QUERY, pl.col("ok") | (pl.col("topic_ids").list.len() > 0))
    if fetches.is_empty():
        searched = f" ({queries.height} of the search's queries failed, the first with: {queries['reason'][0]})" if queries.height else ""
        return f"no topic names a page to study{searched}; the curriculum's failed_urls say which pages could not be surveyed"
    failed = fetches.filter(~pl.col("ok"))
    read = len(fetches) - len(failed)
    if read < _LEAST_SHARE * len(fetches) or chunks.is_empty():
        return f"{len(failed)} of {len(fetches)} pages gave nothing: {_likely_cause(failed)}"
    words = sum(len(text.split()) for text in chunks["text"])
    if words < _LEAST_WORDS_A_PAGE * read:
        return f"the {read} pages that were read hold only {words} words; are they filled in by scripts, or empty?"
    return None


def coverage(fetches: pl.DataFrame) -> pl.DataFrame:
    """Return the share of each read page's words that reached its passages, worst first.

    Words count that the page shows a reader, navigation apart (`page_words`); a page that another address led to already is left out.

    Args:
        fetches: `FETCH_SCHEMA`.

    Returns:
        final_url, title, share (0..1), page_words, kept_words, how.
    """
    read = fetches.filter(pl.col("ok") & (pl.col("chunks") > 0) & (pl.col("page_words") > 0))
    shared = read.with_columns((pl.col("kept_words") / pl.col("page_words")).alias("share"))
    return shared.select("final_url", "title", "share", "page_words", "kept_words", "how").sort("share", "final_url")


def coverage_problem(fetches: pl.DataFrame) -> str | None:
    """Name the pages that lost more than a tenth of their words on the way to the passages, or return None where none did."""
    worst = coverage(fetches).filter(pl.col("share") < LEAST_COVERAGE)
    if worst.is_empty():
        return None
    named = [
        f"{url} ({share:.0%} of {count} words, read by {how})"
        for url, share, count, how in worst.head(_NAMED_PAGES).select("final_url", "share", "page_words", "how").iter_rows()
    ]
    more = f" and {worst.height - _NAMED_PAGES} more" if worst.height > _NAMED_PAGES else ""
    return f"{counted(worst.height, 'page')} lost much of the text: {', '.join(named)}{more}; compare the stored page with its passages"


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


def _read(urls: Iterable[str], fetcher: Fetcher, folder: Folder, extractor: Extractor) -> list[tuple[Fetched, Extracted]]:
    """Fetch pages, and read each as soon as it is there, while others are on their way."""
    distinct = list(dict.fromkeys(urls))
    rows: dict[str, Fetched] = {}
    reading: dict[str, Future[Extracted]] = {}

    def arrived(page: Fetched) -> None:
        rows[page.requested_url] = page
        if page.ok:
            reading[page.requested_url] = extractor.submit(page)

    fetcher.fetch_many((url for url in distinct if not is_folder_url(url)), arrived=arrived)
    for page in folder.read(list(filter(is_folder_url, distinct))):
        arrived(page)
    return [(rows[url], reading[url].result() if rows[url].ok else Extracted()) for url in distinct]


def _moved(
    earlier: Sequence[pl.DataFrame],
    pages: Sequence[tuple[Fetched, Extracted]],
    found_by: Mapping[str, str],
    fetcher: Fetcher,
    extractor: Extractor,
) -> list[tuple[Fetched, Extracted]]:
    """Ask the addresses that were read before and that nothing led to this time; return those that lead to a page that was found.

    One that is gone leads to the page of its host that says word for word what was last read there. Where a survey found no page that is
    new, only those are asked that gave no answer when last asked, and never so much that more pages are read than a domain lets surveys
    read. One that gives no answer is returned with its reason: whether it leads anywhere is then not known.
    """
    here = {page_id(page.final_url): (page, found) for page, found in pages if page.ok and not found.reason}
    texts, found = _last_read(earlier), here.keys() | found_by.keys()
    known = found | _addresses(pages)
    missed = [url for url in reversed(texts) if url not in known and not is_folder_url(url) and may_be_read(url, fetcher.sources)]
    unanswered = _unanswered_before(earlier)
    missed.sort(key=lambda url: url not in unanswered)
    if found <= texts.keys():
        missed = [url for url in missed if url in unanswered]
    if not missed:
        return []
    twins = {(_host(url), sha256_hex(found.text)): (page, found) for url, (page, found) in here.items()}
    moved: list[tuple[Fetched, Extracted]] = []
    for page in fetcher.fetch_many(missed[: max(0, fetcher.sources.max_pages - len(found_by))]):
        old, new = page.requested_url, page_id(page.final_url)
        twin = twins.get((_host(old), texts[old])) if page.status in _GONE else None
        if twin is not None:
            moved.append((replace(twin[0], requested_url=old), twin[1]))
        elif page.ok and new != old and new in found:
            moved.append((page, extractor.extract(page)))
        elif not page.ok and page.status not in _GONE and not page.reason.startswith(TAKEN_DOWN):
            moved.append((page, Extracted()))
    return moved


def _last_read(earlier: Sequence[pl.DataFrame]) -> dict[str, str]:
    """Return the hash of what was last read at each page, those read last at the end; addresses that lead to another are no pages."""
    texts: dict[str, str] = {}
    for table in earlier:
        for page, sha in table.filter("ok").select("page_id", "text_sha256").iter_rows():
            texts.pop(page, None)
            texts[page] = sha
    return texts


def _unanswered_before(earlier: Sequence[pl.DataFrame]) -> set[str]:
    """Return the addresses that gave no page when they were last asked, although nobody said that they are gone."""
    last: dict[str, bool] = {}
    for table in earlier:
        for url, ok, status in table.select("requested_url", "ok", "status").iter_rows():
            last[page_id(url)] = not ok and status not in _GONE
    return {url for url, unanswered in last.items() if unanswered}


def _kept_texts(pages: Sequence[tuple[Fetched, Extracted]], store: ArtifactStore) -> list[str]:
    """Store the texts and return the hash of each, "" for a page without one; files are synced side by side, not one after the other."""

    def keep(pair: tuple[Fetched, Extracted]) -> str:
        page, found = pair
        return store.put_bytes(store.texts, found.text.encode()) if page.ok and not found.reason else ""

    with ThreadPoolExecutor(_WRITERS) as threads:
        return list(threads.map(keep, pages))


def _addresses(pages: Sequence[tuple[Fetched, Extracted]]) -> set[str]:
    return {page_id(url) for page, _ in pages for url in (page.requested_url, page.final_url)}


def _leads(pattern: re.Pattern[str], page: Fetched, found: Extracted) -> list[Found]:
    """Return where a page leads on, itself left out."""
    own = _addresses([(page, found)])
    return [Found(url, "link") for url in _linked(pattern, page, found) if page_id(url) not in own]


def _linked(pattern: re.Pattern[str], page: Fetched, found: Extracted) -> list[str]:
    """Return the links of a page's article part that lead to pages of the same host, without fragments, in order."""
    links = (urldefrag(link).url for link in found.links if link.startswith(("http://", "https://")))
    return [link for link in links if _host(link) == _host(page.final_url) and _may_be_page(link, pattern) and pattern.search(link)]


def _may_be_page(link: str, pattern: re.Pattern[str]) -> bool:
    """Tell whether a link's ending lets it be a page; .pdf and .json only where `sources.link_pattern` names the ending."""
    named = _PAGES_IF_NAMED.search(link)
    if named is not None and named[1].lower() in pattern.pattern.lower():
        return True
    return not NOT_PAGES.search(link)


def _by_page(found: Iterable[Found], already: set[str]) -> dict[str, str]:
    """Return what first led to each page, by URL, in order; pages that were read already are left out."""
    ways: dict[str, str] = {}
    for one in found:
        if page_id(one.url) not in already:
            ways.setdefault(page_id(one.url), one.by)
    return ways


def _searched(
    topics: Sequence[Topic], domain: Domain, store: ArtifactStore, today: date, wanted: dict[str, list[str]], ways: dict[str, str]
) -> list[Asked]:
    """Ask for each topic and add the best pages found to what is wanted, within the budget of hits; return what was asked."""
    search = domain.sources.search
    if search is None:
        return []
    queries = {topic.topic_id: topic_queries(topic.name, domain, search, today) for topic in topics}
    # Each topic's first query comes before any topic's second, so that a short budget leaves no topic out.
    in_turn = [query for rank in zip_longest(*queries.values()) for query in rank if query]
    asked = ask_all(in_turn, domain.sources, today, store)
    hits = {one.query: [Found(hit.url, f"search {search.provider}: {one.query}") for hit in one.hits] for one in asked}
    for topic in topics:
        ranked = [one for rank in zip_longest(*(hits.get(query, []) for query in queries[topic.topic_id])) for one in rank if one]
        allowed = (one for one in ranked if may_be_read(one.url, domain.sources))  # what cannot be read must not use up the budget
        best = primary_first(_by_page(allowed, set()).items(), domain.sources.primary_hosts, lambda one: one[0])
        for url, way in best[: search.results]:
            topic_ids = wanted.setdefault(url, [])
            ways.setdefault(url, way)
            if topic.topic_id not in topic_ids:
                topic_ids.append(topic.topic_id)
    return asked


def _unanswered(asked: Asked) -> Fetched:
    now = datetime.now(UTC)
    return Fetched(asked.url, asked.url, False, None, asked.reason, False, now, now)


def _today() -> date:
    return datetime.now(UTC).date()


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""
    except ValueError:
        return ""


def _outline(page: Fetched, found: Extracted, found_by: str) -> PageOutline:
    paragraphs = (part.strip() for part in found.text.split("\n\n"))
    first = next((part for part in paragraphs if part and not part.startswith(("#", "- ", "|", "```"))), "")
    headings = [title for level, title in outline(found.text) if level in (2, 3)]
    return PageOutline(
        url=page_id(page.final_url),
        title=found.title,
        headings=headings,
        summary=fold(first)[:_SUMMARY_CHARS],
        text_sha256=sha256_hex(found.text),
        text_chars=len(found.text),
        found_by=found_by,
    )


def _fetch_row(page: Fetched, found: Extracted, topic_ids: list[str], text_sha256: str, chunks: int, found_by: str) -> dict[str, object]:
    return {
        "requested_url": page.requested_url,
        "final_url": page.final_url,
        "canonical_url": found.canonical_url,
        "page_id": page_id(page.final_url),
        "host": page.host,
        "topic_ids": topic_ids,
        "found_by": found_by,
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
        "page_words": found.page_words,
        "kept_words": found.kept_words if chunks else 0,
        "how": found.how,
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
