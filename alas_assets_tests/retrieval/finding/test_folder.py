"""Documents of a local folder become rows like fetched pages; nothing outside the folder ever does (R2, R3, S9)."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.domains.sources import Sources
from alas_assets.provenance.ids import sha256_hex
from alas_assets.provenance.store import ArtifactStore
from alas_assets.retrieval.fetch import Fetcher
from alas_assets.retrieval.finding.folder import SCHEME, Folder, is_folder_url

PAGE = b"# Notes\n\nThe tool reads its settings from a file.\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / "sub dir").mkdir(parents=True)
    (folder / "b.md").write_bytes(PAGE)
    (folder / "a.html").write_bytes(b"<html><body><p>Words.</p></body></html>")
    (folder / "sub dir" / "c#1.txt").write_bytes(b"Plain words.")
    (folder / "image.png").write_bytes(b"\x89PNG")
    (folder / ".hidden.md").write_bytes(PAGE)
    (folder / ".git").mkdir()
    (folder / ".git" / "x.md").write_bytes(PAGE)
    return folder


def folder(root: Path, store: ArtifactStore, **changes: object) -> Folder:
    return Folder(Sources.model_validate({"folder": str(root), **changes}), store)


def test_documents_are_listed_by_name_under_a_url_of_their_own(root: Path, store: ArtifactStore) -> None:
    listing = folder(root, store).listing()
    assert list(listing.documents) == [f"{SCHEME}a.html", f"{SCHEME}b.md", f"{SCHEME}sub%20dir/c%231.txt"]
    assert listing.problems == []
    assert all(is_folder_url(url) for url in listing.documents)


def test_a_document_is_stored_with_its_hash_type_and_time(root: Path, store: ArtifactStore) -> None:
    os.utime(root / "b.md", (1_700_000_000, 1_700_000_000))
    (row,) = folder(root, store).read([f"{SCHEME}b.md"])
    assert (row.ok, row.status, row.reason, row.content_type) == (True, None, "", "text/markdown")
    assert row.last_modified == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert (row.body_sha256, row.body_bytes) == (sha256_hex(PAGE), len(PAGE))
    assert (store.pages / row.body_sha256).read_bytes() == PAGE
    assert (row.requested_url, row.final_url, row.host) == (f"{SCHEME}b.md", f"{SCHEME}b.md", "local")


def test_an_unchanged_document_keeps_the_time_it_was_first_seen_and_a_changed_one_does_not(root: Path, store: ArtifactStore) -> None:
    (first,) = folder(root, store).read([f"{SCHEME}b.md"])
    os.utime(root / "b.md")
    (again,) = folder(root, store).read([f"{SCHEME}b.md"])
    assert again.body_retrieved_at == first.body_retrieved_at < again.retrieved_at
    (root / "b.md").write_bytes(PAGE + b"More.\n")
    (changed,) = folder(root, store).read([f"{SCHEME}b.md"])
    assert changed.body_retrieved_at > first.body_retrieved_at


def test_links_out_of_the_folder_are_not_followed_and_said(root: Path, store: ArtifactStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.md").write_bytes(b"secret")
    (root / "link.md").symlink_to(outside / "secret.md")
    (root / "linked").symlink_to(outside)
    listing = folder(root, store).listing()
    assert not any("secret" in url or "link" in url for url in listing.documents)
    assert sorted("symbolic link" in reason for _, reason in listing.problems) == [True, True]


def test_a_file_that_becomes_a_link_after_it_was_listed_is_not_followed(root: Path, store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_bytes(b"secret")
    documents = folder(root, store)
    assert f"{SCHEME}b.md" in documents.listing().documents
    (root / "b.md").unlink()
    (root / "b.md").symlink_to(tmp_path / "secret.md")
    (row,) = documents.read([f"{SCHEME}b.md"])
    assert not row.ok
    assert "out of sources.folder" in row.reason


@pytest.mark.parametrize(
    "url",
    [
        f"{SCHEME}../secret.md",
        f"{SCHEME}%2e%2e/secret.md",
        f"{SCHEME}/etc/passwd",
        f"{SCHEME}.hidden.md",
        "file:///etc/passwd",
        f"{SCHEME}none.md",
    ],
)
def test_a_url_that_was_not_listed_is_refused(url: str, root: Path, store: ArtifactStore) -> None:
    (row,) = folder(root, store).read([url])
    assert (row.ok, row.reason) == (False, f"{url} is not in sources.folder")


@pytest.mark.parametrize("url", [f"{SCHEME}b.md", "file:///etc/passwd"])
def test_the_fetcher_never_opens_a_folder_or_file_url(url: str, root: Path, store: ArtifactStore) -> None:
    sources = Sources.model_validate({"folder": str(root)})
    (row,) = Fetcher(sources, store).fetch_many([url])
    assert not row.ok
    assert "only http and https" in row.reason


def test_what_cannot_be_read_is_a_row_with_its_reason(root: Path, store: ArtifactStore) -> None:
    (root / "big.txt").write_bytes(b"x" * 2_000)
    (root / "empty.md").write_bytes(b" \n")
    (root / "program.txt").write_bytes(b"\x7fELF\x02\x01\x01\x00\x00\x00")
    os.mkfifo(root / "pipe.txt")
    rows = folder(root, store, max_bytes=1_000).read([f"{SCHEME}{name}" for name in ("big.txt", "empty.md", "program.txt", "pipe.txt")])
    assert [row.ok for row in rows] == [False] * 4
    for row, words in zip(rows, ("larger than 1,000 bytes", "is empty", "binary", "not a regular file"), strict=True):
        assert words in row.reason


def test_a_name_that_is_not_utf8_is_a_problem_that_shows_it_and_the_other_documents_are_read(root: Path, store: ArtifactStore) -> None:
    for name in (b"caf\xe9.md", b"d\xe9/e.md", b"image \xff.png"):
        path = root / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(PAGE)
    (root / os.fsdecode(b"l\xefnk")).symlink_to(root)
    (root / "café.md").write_bytes(PAGE)
    documents = folder(root, store)
    listing = documents.listing()
    said = dict(listing.problems)
    assert set(said) == {f"{SCHEME}caf%E9.md", f"{SCHEME}d%E9/e.md", SCHEME}
    assert said[f"{SCHEME}caf%E9.md"] == f"{root}/caf\\xe9.md has a name that is not UTF-8; give it one that is, and it is read"
    assert said[SCHEME].startswith(f"{root}/l\\xefnk is a symbolic link")
    assert f"{SCHEME}caf%C3%A9.md" in listing.documents
    assert all(row.ok for row in documents.read(list(listing.documents)))
    (refused,) = documents.read([f"{SCHEME}caf%E9.md"])
    assert not refused.ok
    pl.DataFrame({"reason": [reason for _, reason in listing.problems]})  # a table can hold them


_NAMES = st.binary(min_size=1, max_size=60).filter(lambda name: name[:1] != b"." and not set(name) & {0, ord("/")})


@given(st.sets(_NAMES, max_size=5), _NAMES)
def test_whatever_a_file_is_called_it_is_read_or_a_problem_in_sound_text(
    tmp_path_factory: pytest.TempPathFactory, names: set[bytes], inside: bytes
) -> None:
    root = tmp_path_factory.mktemp("names") / os.fsdecode(inside)
    root.mkdir()
    for name in names:
        (root / os.fsdecode(name + b".md")).write_bytes(PAGE)
    sources = Sources(folder="/x").model_copy(update={"folder": str(root)})  # as a domain file in such a folder places it
    documents = Folder(sources, ArtifactStore(tmp_path_factory.getbasetemp() / "named"))
    listing = documents.listing()
    assert len(listing.documents) + len(listing.problems) == len(names)
    assert all(row.ok for row in documents.read(list(listing.documents)))
    assert all((url + reason).encode() for url, reason in listing.problems)


def test_a_folder_that_is_not_there_is_a_reason(tmp_path: Path, store: ArtifactStore) -> None:
    listing = folder(tmp_path / "none", store).listing()
    assert listing.documents == {}
    assert "sources.folder" in listing.problems[0][1]
