"""Ids and content hashes that make the audit a join instead of a guess (A1).

Pure functions only. Where things lie on disk is `provenance.store`; who calls whom is `audit.trace`.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag

_ID_LENGTH = 20
_SLUG_LENGTH = 40
CELL_NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,63}\Z")
_PLAIN = re.compile(r"^[a-z0-9][a-z0-9_-]*\Z")


def sha256_hex(data: bytes | str) -> str:
    """Return the SHA-256 of bytes, or of a string's UTF-8 form, in hex."""
    return hashlib.sha256(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data).hexdigest()


def canonical_json(value: Any) -> str:
    """Return JSON that is equal for equal values: sorted keys, no spaces, no NaN.

    Raises:
        ValueError: A float is NaN or infinite, which has no JSON form.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(value: Any) -> str:
    """Return the hash of any JSON-like value; equal values hash alike on every machine."""
    return sha256_hex(canonical_json(value))


def short_id(*parts: str) -> str:
    """Return a 20-hex-digit id of ordered parts; a part's boundary counts, so ("ab", "c") != ("a", "bc")."""
    return sha256_hex(canonical_json(list(parts)))[:_ID_LENGTH]


def fold(text: str) -> str:
    """Fold whitespace: NFC, every run of white space is one space, ends trimmed.

    This is the folding under which a quote must equal the stored text (spec S2).
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def page_id(final_url: str) -> str:
    """Return a page's id: its final URL without the fragment."""
    return urldefrag(final_url).url


def chunk_id(page: str, text: str, ordinal: int = 0) -> str:
    """Return a chunk's id: its page and folded text; `ordinal` counts repeats of the same text on the page."""
    return short_id("chunk", page, fold(text), str(ordinal))


def fact_id(page: str, quote: str, answer: str) -> str:
    """Return a fact's id: its page, the folded quote that states it and the answer it gives.

    One sentence may state several facts, so the answer is part of the identity.
    """
    return short_id("fact", page, fold(quote), fold(answer))


def qa_id(fact: str, question: str) -> str:
    """Return a pair's id: its fact and phrasing."""
    return short_id("qa", fact, fold(question))


def probe_id(fact: str, question: str) -> str:
    """Return a probe's id: its fact (or guard key) and phrasing."""
    return short_id("probe", fact, fold(question))


def unknown_id(pair: str, variant: int) -> str:
    """Return the id of an unanswerable question; it names the pair that it was made from, and no fact (S12)."""
    return f"unknown-{pair}-{variant}"


def pair_of_unknown(unknown: str) -> str:
    """Return the id of the pair that an unanswerable question was made from."""
    return unknown.removeprefix("unknown-").rpartition("-")[0]


def answer_id(probe: str, system: str, base_hash: str, adapter_hash: str | None, context_hash: str | None, decoding: dict[str, Any]) -> str:
    """Return an answer's id; everything that could change the answer is in it."""
    return short_id("answer", probe, system, base_hash, adapter_hash or "none", context_hash or "none", canonical_json(decoding))


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def files_of(folder: Path) -> list[str]:
    """Return a folder's files by relative POSIX names, sorted; what begins with a dot, such as `.DS_Store`, is none of them."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts))


def folder_hash(folder: Path, names: Iterable[str] | None = None) -> str:
    """Return the hash of a folder's files (`files_of`: relative POSIX names and bytes); `names` says which count instead."""
    chosen = sorted(names) if names is not None else files_of(folder)
    return content_hash([[name, file_hash(folder / name)] for name in chosen])


def safe_name(name: str) -> str:
    """Turn any name a page, teacher or person supplied into one safe file name: slug plus hash.

    A name that is already a plain short slug stays as it is, so that paths stay readable.
    """
    if _PLAIN.match(name) and len(name) <= _SLUG_LENGTH:
        return name
    ascii_text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")[:_SLUG_LENGTH].strip("-")
    return f"{slug or 'x'}-{sha256_hex(name)[:10]}"
