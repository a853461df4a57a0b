"""What a takedown would remove: ids, counts, what it is recognised by, and the adapters that learned from it (A3).

Reading only. What was derived from a source is `audit.derived`'s to say; removing is `removal.purge`'s.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field, ValidationError

from alas_assets.audit.derived import ROWS_GONE, Derived, derived_from, readings_of
from alas_assets.audit.trace import ANSWER_TABLES, EXAM, TraceError, cells_of
from alas_assets.evaluation.exam import is_page
from alas_assets.provenance.blocked.documents import (
    EVERYTHING,
    FOLDER,
    Limit,
    folder_name,
    lies_in,
    limit_to,
    own_entries,
    split_source,
    with_domain,
)
from alas_assets.provenance.blocked.marks import Marks, hashed, marks_of, strings_in
from alas_assets.provenance.blocked.order import (
    MAX_SOURCE,
    AddressError,
    Blocked,
    Order,
    RetiredAdapter,
    Share,
    TakedownError,
    folder_of,
    kind_of,
    normal,
    now,
    salted,
    takedown_id,
)
from alas_assets.provenance.ids import fold, page_id, pair_of_unknown
from alas_assets.provenance.store import ArtifactStore, Cell, StoreError, write_atomic
from alas_assets.records import UNKNOWN, Record, as_pairs
from alas_assets.release.registry import Registry
from alas_assets.removal.bodies import bodies_of_others
from alas_assets.removal.surveyed import Surveyed, surveyed
from alas_assets.retrieval.takedown import stored_passages

_NO_EXAM = pl.DataFrame(schema={"probe_id": pl.String, "topic": pl.String})
KEPT_FILES = ("guards", "replay", "exams", "domains")
"""Folders of files that are the user's own, in the store and in the data folder: a takedown changes none of them."""


class Ids(Record):
    """What names the removed content while it is being removed; deleted when that is done."""

    pages: list[str] = Field(description="page ids and requested addresses")
    bodies: list[str]
    texts: list[str]
    chunks: list[str]
    facts: list[str]
    pairs: list[str]
    probes: list[str]
    answers: list[str] = Field(description="ids of graded answers to questions about its facts, and to an exam's about its pages")
    said: list[str] = Field(description="salted hashes of the facts' short answers that no staying fact gives")
    topics: list[str] = Field(description="ids of topics that only its pages are for")
    topic_names: list[str]


@dataclass(frozen=True)
class Plan:
    """What a takedown would do, before anything is done."""

    order: Order
    ids: Ids
    marks: Marks
    derived: Derived


def plan_takedown(
    store: ArtifactStore,
    registry: Registry,
    source: str,
    *,
    data: Path,
    reason: str,
    by: str,
    passages: Mapping[str, int] | None = None,
    folders: Mapping[str, str] | None = None,
) -> Plan:
    """Say what a takedown of a page or host would remove (A3).

    Args:
        store: The artifact store.
        registry: What is current in each domain.
        source: A page's URL or a host, as `derived_from` takes it.
        data: The folder of guard, replay, exam and domain files: what stands there stays.
        reason: Why, for the record.
        by: Who orders it.
        passages: Stored passages of the source by domain, where they were counted; else those of its readings.
        folders: Each domain's folder of documents; of a domain that is not named here nobody knows whether it reads the folder of another.

    Raises:
        AddressError: The source cannot be an address, or documents of several folders have it; the message says how each is named.
        TraceError: Nothing is known of it, or it was taken down; the message says which, and names pages that were read.
        StoreError: A table or manifest on the way is damaged or gone.
    """
    source = checked_source(source)
    limit = _limit(store, source, folders or {})
    known = surveyed(store, split_source(source)[0], limit)
    derived = _derived(store, source, known, limit)
    salt = secrets.token_hex(16)
    ids, staying = _ids(store, derived, known, salt, limit)
    marks = _marks(store, ids, staying, data, salt, known.texts.values(), limit)
    met = {*_domains(derived), *known.named}
    retired = affected_adapters(store, frozenset(ids.facts), frozenset(ids.pairs), met, limit)
    elsewhere = [fact for fact in derived.facts if fact.also_stated_by]
    order = Order(
        id=takedown_id(source),
        source=source,
        by=derived.by,
        reason=reason,
        ordered_by=by,
        at=now(),
        salt=salt,
        shares=_shares(store, registry, derived, known, retired, passages or {}),
        retired=retired,
        pages=len(ids.bodies),
        kept_facts=len(elsewhere),
        kept_by=sorted({url for fact in elsewhere for url in fact.also_stated_by}),
        addresses=sorted({salted(salt, normal(url)) for url in ((source,) if limit.domains else ids.pages) if "://" in url}),
        limited_to=sorted(limit.domains or ()),
        spared=sorted(salted(salt, folder) for folder in limit.spared),
        hosts=[salted(salt, normal(f"http://{source}"))] if derived.by == "host" else [],
        bodies=ids.bodies,
        texts=ids.texts,
        answers=ids.answers,
    )
    return Plan(order, ids, marks, derived)


def checked_source(source: str) -> str:
    """Return an address without white space around it.

    Raises:
        AddressError: It is empty, too long, or holds characters that no address has.
    """
    source = source.strip()
    if not source or len(source) > MAX_SOURCE or not source.isprintable() or any(char.isspace() for char in source):
        shown = f"{source[:80]!r}{'...' if len(source) > 80 else ''}"
        raise AddressError(f"{shown} is no address: give a page's URL, or a host, of at most {MAX_SOURCE} characters")
    return source


def _limit(store: ArtifactStore, source: str, folders: Mapping[str, str]) -> Limit:
    """Return whose document a source means: that of the domain which it names, and of every other domain that reads the same folder.

    Raises:
        AddressError: It names none, and documents of several folders have the address.
    """
    address, named = split_source(source)
    if not address.startswith(FOLDER):
        return EVERYTHING
    if named:
        meant = {domain for domain in folders if _same_folder(folders, domain, named)} | {named}
        return limit_to(store, meant, (folder_name(folder) for domain, folder in folders.items() if domain not in meant))
    known = surveyed(store, address)
    read_in = {cell.domain for cell in cells_of(store) if _is_read_in(store, cell, address)}
    cached = {domain for domain, folder in folders.items() if any(lies_in(key, [folder_name(folder)]) for key in known.fetched)}
    domains = sorted(read_in | cached | known.named.keys())
    if all(_same_folder(folders, one, domains[0]) for one in domains):
        return EVERYTHING
    choices = ", ".join(
        f"{with_domain(address, domain)} ({folders.get(domain, 'a folder that no domain file names')})" for domain in domains
    )
    raise AddressError(f"{address} is a document in the folders of several domains; say whose is meant: {choices}")


def _same_folder(folders: Mapping[str, str], one: str, other: str) -> bool:
    both = one in folders and other in folders
    return one == other or (both and os.path.realpath(folders[one]) == os.path.realpath(folders[other]))


def _is_read_in(store: ArtifactStore, cell: Cell, address: str) -> bool:
    pointer = store.pointer(cell, "documents")
    return pointer is not None and not readings_of(store.read_table(pointer), address, "page").is_empty()


def _derived(store: ArtifactStore, source: str, known: Surveyed, limit: Limit) -> Derived:
    """Return what came from a source: nothing from one that is known and that no iteration studied."""
    try:
        return derived_from(store, source, limit.domains)
    except TraceError:
        by = kind_of(source)
        if not known.addresses or Blocked(store.root).address(source if by == "page" else f"http://{source}"):
            raise
        return Derived(source=source, by=by, readings=[], unusable=0, facts=[], probes=[], adapters=[], answers=[], exam=[])


def _domain(cell: str) -> str:
    return cell.partition("|")[0]


def _domains(derived: Derived) -> list[str]:
    return sorted({_domain(one.cell) for one in derived.readings})


def _shares(
    store: ArtifactStore,
    registry: Registry,
    derived: Derived,
    known: Surveyed,
    retired: Sequence[RetiredAdapter],
    passages: Mapping[str, int],
) -> list[Share]:
    """Return what goes in each domain, counted as `derived_from` counts."""
    domains = sorted({_domain(one.cell) for one in derived.readings} | {one.domain for one in retired} | known.named.keys())
    read = {page for one in derived.readings for page in (one.page_id, one.url)}
    pairs = _pair_rows(store, {one.page_id for one in derived.readings if one.page_id})
    shares = []
    for domain in domains:
        readings = [one for one in derived.readings if _domain(one.cell) == domain]
        first = [*(one.cell.partition("|")[2] for one in readings), *([known.since[domain]] if domain in known.since else [])]
        facts = [fact for fact in derived.facts if any(_domain(cell) == domain for cell in fact.cells)]
        gone = {one.adapter_hash for one in retired if one.domain == domain}
        shares.append(
            Share(
                domain=domain,
                since=min(first, default="000"),
                surveyed=len(known.named.get(domain, set()) - read),
                readings=len(readings),
                passages=passages.get(domain, sum({one.text_sha256: one.passages for one in readings if one.ok}.values())),
                facts=len(facts),
                taught=sum(1 for fact in facts if fact.accepted),
                pairs=pairs[domain],
                probes=sum(one.probes for one in derived.probes if _domain(one.cell) == domain),
                answers=sum(one.asked for one in derived.answers if _domain(one.cell) == domain),
                shown=sum(one.shown for one in derived.answers if _domain(one.cell) == domain),
                training_rows=sum(one.rows for one in derived.adapters if _domain(one.cell) == domain),
                adapters=len(gone),
                current_before=registry.current(domain),
                current_after=registry.current_without(domain, gone),
            )
        )
    return shares


def _pair_rows(store: ArtifactStore, pages: set[str]) -> Counter[str]:
    """Return how many rows of pairs each domain's iterations have of pages, also rejected ones and those that state no fact."""
    rows: Counter[str] = Counter()
    for cell in cells_of(store):
        pointer = store.pointer(cell, "qa_pairs")
        if pointer is not None:
            rows[cell.domain] += as_pairs(store.read_table(pointer)).filter(pl.col("page_id").is_in(sorted(pages))).height
    return rows


# ------------------------------------------------------------------------------------------------ ids


@dataclass(frozen=True)
class _Staying:
    """What other sources gave."""

    bodies: frozenset[str]
    texts: frozenset[str]
    strings: list[str]
    limited: bool  # to one folder's document, so that others of the same address are among what stays


def tables_of(store: ArtifactStore, asset: str, limit: Limit = EVERYTHING) -> Iterator[pl.DataFrame]:
    """Yield every stored table of an asset that may hold something of the source, those too that no cell points at any more.

    Raises:
        StoreError: One cannot be read.
    """
    yield from (table for digest, table in _all_tables(store, asset) if limit.holds(asset, digest))


def _all_tables(store: ArtifactStore, asset: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield (hash, table) of every stored table of an asset."""
    for path in sorted((store.root / "artifacts" / asset).glob("*.parquet")):
        yield path.stem, store.read_table(path.stem, asset)


def _ids(store: ArtifactStore, derived: Derived, known: Surveyed, salt: str, limit: Limit) -> tuple[Ids, _Staying]:
    """Gather every id of the source from all stored tables, and what stays beside it."""
    documents = [(limit.holds("documents", digest), table) for digest, table in _all_tables(store, "documents")]
    own_tables = [table for may_hold, table in documents if may_hold]
    own_readings = (row for table in own_tables for row in readings_of(table, derived.source, derived.by).iter_rows(named=True))
    pages = _pages(derived, own_readings) | known.addresses
    bodies, texts, kept_bodies, kept_texts = {*known.bodies}, {*known.texts}, set[str](), set[str]()
    for may_hold, row in ((may_hold, row) for may_hold, table in documents for row in table.iter_rows(named=True)):
        own = may_hold and bool({row["page_id"], row["final_url"]} & pages)
        (bodies if own else kept_bodies).add(row["body_sha256"] or "")
        (texts if own else kept_texts).add(row["text_sha256"] or "")
    chunks = {chunk for domain in _domains(derived) for chunk in stored_passages(store.lance, domain, sorted(pages))}
    answers, kept_answers = set[str](), set[str]()
    certain, possible, others = set[tuple[str, str]](), set[tuple[str, str]](), set[tuple[str, str]]()
    kept_strings: list[str] = []
    for digest, table in _all_tables(store, "qa_pairs"):
        may_hold = limit.holds("qa_pairs", digest)
        named = certain if limit.is_certain("qa_pairs", digest) else possible if may_hold else others
        for row in as_pairs(table).iter_rows(named=True):
            given = {fold(one) for one in (row["answer"], *(row["aliases"] or [])) if one}
            if row["page_id"] in pages:
                named |= {("chunk", row["chunk_id"] or ""), ("fact", row["fact_id"] or ""), ("pair", row["qa_id"] or "")}
            if may_hold and row["page_id"] in pages:
                answers |= given
            else:
                kept_answers |= given
                kept_strings += [row[name] for name in ("question", "answer", "quote", "rationale") if row[name]]
    drop = {""}
    gone = certain | (possible - others)  # a table on nobody's record may be one of the other document's
    chunks |= {one for kind, one in gone if kind == "chunk"}
    facts = {one for kind, one in gone if kind == "fact"} - drop
    pairs = {one for kind, one in gone if kind == "pair"} - drop
    topics, names = _topics(store, pages, limit)
    probes = _probes(store, facts, pairs, limit) | _examined(store, pages, limit)
    found = Ids(
        pages=sorted(pages - drop),
        bodies=sorted(bodies - kept_bodies - drop),
        texts=sorted(texts - kept_texts - drop),
        chunks=sorted(chunks - drop),
        facts=sorted(facts),
        pairs=sorted(pairs),
        probes=sorted(probes),
        answers=sorted(_answers(store, facts, pairs, probes, limit)),
        said=sorted({hashed(one, salt) for one in answers - kept_answers}),
        topics=sorted(topics),
        topic_names=sorted(names),
    )
    return found, _Staying(frozenset(kept_bodies - drop), frozenset(kept_texts - drop), kept_strings, limited=limit.domains is not None)


def _pages(derived: Derived, own: Iterable[dict[str, Any]]) -> set[str]:
    """Return where the source was asked for and where it was found, also by readings that no cell points at any more."""
    found = {one.page_id for one in derived.readings if one.page_id}
    source, _ = split_source(derived.source)
    if derived.by == "page":
        found |= {source, page_id(source)}
    for row in own:
        asked = row["requested_url"]
        # what led to a page may lead to another one tomorrow
        asked_for = derived.by == "host" or normal(asked) == normal(source)
        found |= {url for url in (row["page_id"], row["final_url"], asked if asked_for else "") if url}
    return found


def _topics(store: ArtifactStore, pages: set[str], limit: Limit) -> tuple[set[str], set[str]]:
    """Return ids and names of the topics that only pages of the source are for; a name that another topic has too stays."""
    own: dict[str, str] = {}
    others: set[str] = set()
    for asset, keys in (
        ("curriculum_seed", ("weak_topics", "next_topics")),
        ("curriculum", ("topics", "deferred")),
        ("revised_curriculum", ("remediation", "next_topics")),
    ):
        for path in sorted((store.root / "artifacts" / asset).glob("*.json")):
            record, may_hold = _json(path), limit.holds(asset, path.stem)
            for topic in (topic for key in keys for topic in record.get(key, [])):
                if may_hold and topic["urls"] and all(page_id(url) in pages or url in pages for url in topic["urls"]):
                    own[topic["topic_id"]] = topic["name"]
                else:
                    others.add(topic["name"])
    return set(own), set(own.values()) - others


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); materialise {path.parent.name} of that cell again") from error


def is_about(fact: str, facts: frozenset[str], pairs: frozenset[str]) -> bool:
    """Tell whether a question's fact id is a fact of the source, or that of an unanswerable question made from one of its pairs."""
    return fact in facts or (fact.startswith(f"{UNKNOWN}-") and pair_of_unknown(fact) in pairs)


def _probes(store: ArtifactStore, facts: set[str], pairs: set[str], limit: Limit) -> set[str]:
    known = frozenset(facts), frozenset(pairs)
    rows = (row for table in tables_of(store, "probes", limit) for row in table.select("probe_id", "fact_id", "qa_id").iter_rows())
    return {probe for probe, fact, pair in rows if is_about(fact or "", *known) or pair in pairs}


def _examined(store: ArtifactStore, pages: set[str], limit: Limit) -> set[str]:
    """Return the probe ids of an exam's questions about the pages."""
    asked = (table.filter(pl.col("split").is_in(EXAM)) for table in tables_of(store, "exam_scores", limit))
    rows = pl.concat([_NO_EXAM, *(table.select("probe_id", "topic") for table in asked)])
    return {probe for probe, topic in rows.unique().iter_rows() if topic and any(is_page(topic, url) for url in pages)}


def _answers(store: ArtifactStore, facts: set[str], pairs: set[str], probes: set[str], limit: Limit) -> set[str]:
    known = frozenset(facts), frozenset(pairs)
    tables = (table for asset in ANSWER_TABLES for table in tables_of(store, asset, limit))
    rows = (row for table in tables for row in table.select("answer_id", "fact_id", "probe_id").iter_rows())
    return {answer for answer, fact, probe in rows if probe in probes or is_about(fact or "", *known)}


# ------------------------------------------------------------------------------------------------ marks


def _marks(store: ArtifactStore, ids: Ids, staying: _Staying, data: Path, salt: str, read: Iterable[str], limit: Limit) -> Marks:
    """Return what the removed content is recognised by: the pages' texts, those `read` in surveys too, and whole questions and quotes."""
    pages, facts, pairs = frozenset(ids.pages), frozenset(ids.facts), frozenset(ids.pairs)
    texts = [path.read_text(encoding="utf-8", errors="replace") for sha in ids.texts if (path := store.texts / sha).is_file()]
    whole: set[str] = set()
    for table in tables_of(store, "qa_pairs", limit):
        own = as_pairs(table).filter(pl.col("page_id").is_in(sorted(pages)))
        for column in ("question", "quote", "answer", "rationale"):
            whole.update(own[column].drop_nulls().to_list())
    for table in tables_of(store, "probes", limit):
        for row in table.iter_rows(named=True):
            if is_about(row["fact_id"] or "", facts, pairs):
                whole.update(text for text in (row["question"], row["answer"]) if text)
    return marks_of([*texts, *read, *whole], whole, _staying_texts(store, ids, staying, data), salt)


def _staying_texts(store: ArtifactStore, ids: Ids, staying: _Staying, data: Path) -> Iterator[str]:
    """Yield all content that stays: other pages, pairs written from them, and the files of questions that are the user's own."""
    yield from staying.strings
    for sha in sorted(staying.texts):
        if (path := store.texts / sha).is_file():
            yield path.read_text(encoding="utf-8", errors="replace")
    for path in sorted(_other_bodies(store, ids, limited=staying.limited)):
        yield path.read_text(encoding="utf-8", errors="replace")
    folders = [place / name for place in (data, store.root) for name in KEPT_FILES]
    for path in (path for folder in folders for path in sorted(folder.glob("*")) if path.is_file()):
        text = path.read_text(encoding="utf-8", errors="replace")
        yield text
        for line in text.splitlines() if path.suffix == ".jsonl" else ():
            yield from strings_in(line)


def _other_bodies(store: ArtifactStore, ids: Ids, *, limited: bool) -> Iterable[Path]:
    """Return the bodies of other addresses that were read, such as an index page that names the source."""
    is_own, own = own_entries(ids.pages, limited=limited, form=normal), set(ids.bodies)
    bodies = bodies_of_others(store, is_own) - own
    return [body for sha in bodies if (body := store.pages / sha).is_file()]


# ------------------------------------------------------------------------------------------------ adapters


def affected_adapters(
    store: ArtifactStore, facts: frozenset[str], pairs: frozenset[str], domains: set[str] | None = None, limit: Limit = EVERYTHING
) -> list[RetiredAdapter]:
    """Return every adapter that learned from the source, and every one that was trained from such a one, in the order of their hashes.

    All folders are looked at, those too that no cell names any more. An adapter whose training rows are gone is affected: nobody can say
    that it is not.

    Args:
        store: The artifact store.
        facts: The facts of the source.
        pairs: Its pairs: an unanswerable question that was made from one holds its words.
        domains: The domains that read the source or planned with it; another's adapter is affected only by its rows. None: all.
        limit: Whose document is meant: what another domain's adapter learned from its own folder stays.

    Raises:
        StoreError: A manifest is damaged.
    """
    manifests = {folder.name: _manifest(folder) for folder in sorted(store.adapters.glob("*")) if (folder / "manifest.json").is_file()}
    found: dict[str, RetiredAdapter] = {}
    for digest, manifest in manifests.items():
        one = _learned(store, digest, manifest, facts, pairs)
        if one is not None and limit.covers(one.domain) and (one.rows or domains is None or one.domain in domains):
            found[digest] = one
    stones = {folder.name for folder in store.adapters.glob("*") if store.tombstone(folder.name)}
    grown = True
    while grown:
        grown = False
        for digest, manifest in manifests.items():
            parent = manifest.get("init_adapter") or ""
            if digest not in found and parent and (parent in found or parent in stones):
                found[digest] = _retired(digest, manifest, facts=0, rows=0, trained_from=parent)
                grown = True
    return [found[digest] for digest in sorted(found)]


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name in ("kind", "rows_hash", "cell", "init_adapter"):
            manifest[name]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: cannot be read ({error!r}), so nobody can say what the adapter learned; move {folder} away") from error
    return manifest


def _retired(digest: str, manifest: dict[str, Any], **more: Any) -> RetiredAdapter:
    cell = str(manifest["cell"])
    return RetiredAdapter(adapter_hash=digest, domain=_domain(cell), cell=cell, kind=str(manifest["kind"]), **more)


def _learned(
    store: ArtifactStore, digest: str, manifest: dict[str, Any], facts: frozenset[str], pairs: frozenset[str]
) -> RetiredAdapter | None:
    """Return an adapter whose own training rows hold something of the source; None where they do not."""
    path = store.training_rows_path(str(manifest["kind"]), str(manifest["rows_hash"]))
    if not path.is_file():
        return _retired(digest, manifest, facts=0, rows=0, because=ROWS_GONE)
    held = rows_of_source(store.read_training_rows(str(manifest["kind"]), str(manifest["rows_hash"])), facts, pairs)
    return _retired(digest, manifest, facts=held["fact_id"].n_unique() - ("" in held["fact_id"]), rows=held.height) if held.height else None


def rows_of_source(rows: pl.DataFrame, facts: frozenset[str], pairs: frozenset[str]) -> pl.DataFrame:
    """Return the training rows that teach a fact of the source, or to decline a question that was made from one of its pairs."""
    mask = pl.col("fact_id").is_in(sorted(facts))
    if "row_id" in rows.columns:
        made_from = rows["row_id"].map_elements(
            lambda row: pair_of_unknown(row) if row.startswith(f"{UNKNOWN}-") else row, return_dtype=pl.String
        )
        mask = mask | pl.Series(made_from.is_in(sorted(pairs)))
    if "qa_id" in rows.columns:
        mask = mask | pl.col("qa_id").is_in(sorted(pairs))
    return rows.filter(mask)


# ------------------------------------------------------------------------------------------------ kept while it is under way


def _ids_file(root: Path, order_id: str) -> Path:
    return folder_of(root) / order_id / "ids.json"


def write_ids(root: Path, order_id: str, ids: Ids) -> None:
    """Keep what names the removed content until it is removed."""
    write_atomic(_ids_file(root, order_id), ids.model_dump_json().encode())


def read_ids(root: Path, order_id: str) -> Ids:
    """Return what names the content of a takedown that is under way.

    Raises:
        TakedownError: It is gone or damaged.
    """
    path = _ids_file(root, order_id)
    try:
        return Ids.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise TakedownError(
            f"{path}: cannot be read ({str(error)[:200]}); restore it from a copy, the takedown cannot go on without"
        ) from error


def question_lines(derived: Derived, store: ArtifactStore) -> list[dict[str, Any]]:
    """Return the taught facts' questions in the form of an exam, for measuring what is unlearned; facts of other sources too are left out.

    A held-out wording is asked where there is one, and a second one beside it.
    """
    wanted = {fact.fact_id: fact for fact in derived.taught if not fact.also_stated_by}
    asked: dict[str, list[str]] = {}
    aliases: dict[str, list[str]] = {}
    for cell in sorted(cells_of(store), key=str):
        pointer = store.pointer(cell, "qa_pairs")
        pairs = as_pairs(store.read_table(pointer)) if pointer else None
        for row in pairs.filter("accepted").iter_rows(named=True) if pairs is not None else ():
            if row["fact_id"] in wanted:
                aliases.setdefault(row["fact_id"], row["aliases"] or [])
                if row["role"] == "probe":
                    asked.setdefault(row["fact_id"], []).append(row["question"])
    lines = []
    for fact_id, fact in sorted(wanted.items()):
        questions = list(dict.fromkeys(asked.get(fact_id) or [fact.question]))
        lines.append(
            {"id": fact_id, "question": questions[0], "answer": fact.answer, "aliases": aliases.get(fact_id, []), "page": fact.url}
            | ({"paraphrase": questions[1]} if len(questions) > 1 else {})
        )
    return lines
