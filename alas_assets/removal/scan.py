"""Searching the whole store, and Dagster's own, for what a takedown removed (A3).

Every file is opened; one that cannot be read is a finding. How files are read is `removal.files`', what is looked for
`provenance.blocked.marks`'.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path
from typing import Any

from pydantic import Field

from alas_assets.provenance.blocked.marks import Finder
from alas_assets.provenance.store import ArtifactStore, StoreError
from alas_assets.records import Record
from alas_assets.removal.files import BYTES, ROW, UnreadableError, is_text, located_texts, texts_in_body, texts_in_table
from alas_assets.retrieval.store import local_folder
from alas_assets.retrieval.takedown import every_version

ROOT = "(files of the store itself)"
PASSAGES = "lance, every version"
UNCLAIMED = (
    "a PDF or picture that no address is on record for, so nobody can say whether it is of the source; delete the file, nothing uses it"
)


class Finding(Record):
    """A place where something of the removed content still is, or where nobody can say."""

    place: str
    where: str = Field(description="file, relative to the store, or table and version")
    within: str = Field(default="", description="table, column or part of the file")
    runs: int = Field(default=0, description="runs of words that were recognised; 0 where the file cannot be read")
    problem: str = ""


class Place(Record):
    """One part of the store, and how much of it was read."""

    name: str
    files: int = 0
    bytes: int = 0
    texts: int = Field(default=0, description="strings that were looked through")
    not_text: int = Field(default=0, description="files that hold no text, such as weights and pictures")
    not_text_bytes: int = 0
    elsewhere: int = Field(default=0, description="files or columns with words of the source that other pages and models say too")
    findings: int = 0


class Scan(Record):
    """What a search came to."""

    at: str
    places: list[Place]
    findings: list[Finding]

    @property
    def clean(self) -> bool:
        """Whether nothing was found, and everything could be read."""
        return not self.findings


def scan_store(
    store: ArtifactStore,
    finder: Finder,
    at: str,
    dagster_home: Path | None = None,
    problems: Sequence[Finding] = (),
    elsewhere: frozenset[str] = frozenset(),
    claimed: Callable[[], Set[str]] = frozenset,
) -> Scan:
    """Search every file under the store, and under Dagster's home where that lies elsewhere, and every version of the passages.

    Args:
        store: The artifact store.
        finder: What is looked for.
        at: When, for the record.
        dagster_home: Dagster's instance folder.
        problems: Findings of the caller's, such as a storage that is not in files.
        elsewhere: Runs that others say too (`runs_elsewhere`): counted, and no finding.
        claimed: Says which stored bodies are known to be of other sources (`claimed_bodies`); asked again at the end, as others go on
            fetching meanwhile. Any other body is read in every charset, and is a finding where it is no text.
    """
    places: dict[str, Place] = {}
    findings: list[Finding] = list(problems)
    others = claimed()
    unread: list[Path] = []
    for place, path, shown in _files(store, dagster_home):
        unclaimed = path.parent == store.pages and path.name not in others
        read = texts_in_body if unclaimed else located_texts
        is_read = _scan_file(places.setdefault(place, Place(name=place)), findings, path, shown, finder, elsewhere, read)
        unread += [path] if unclaimed and not is_read else []
    if unread:
        others = claimed()
        for path in unread:
            if path.name not in others and path.exists():
                place = places[store.pages.name]
                findings.append(Finding(place=place.name, where=path.relative_to(store.root).as_posix(), problem=UNCLAIMED))
                place.findings += 1
    passages = Place(name=PASSAGES)
    for where, column, text in _passages(store, passages, findings):
        passages.texts += 1
        _note(passages, findings, where, column, finder.runs(text), elsewhere)
    places[PASSAGES] = passages
    for finding in problems:
        places.setdefault(finding.place, Place(name=finding.place)).findings += 1
    return Scan(at=at, places=[places[name] for name in sorted(places)], findings=findings)


def _files(store: ArtifactStore, dagster_home: Path | None) -> Iterator[tuple[str, Path, str]]:
    """Yield (place, file, shown path) of every file, hidden ones too; links are not followed, and name nothing of ours."""
    roots = [("", store.root)]
    if dagster_home is not None and dagster_home.is_dir() and not dagster_home.resolve().is_relative_to(store.root):
        roots.append(("DAGSTER_HOME", dagster_home))
    passages = local_folder(store.lance)
    if passages is not None and passages.is_dir() and not passages.resolve().is_relative_to(store.root):
        roots.append(("ALAS_LANCE", passages))
    for name, root in roots:
        for folder, folders, files in os.walk(root):
            folders.sort()
            for file in sorted(files):
                path = Path(folder) / file
                shown = path.relative_to(root).as_posix()
                top = shown.partition("/")[0] if "/" in shown else ROOT
                yield name or top, path, f"{name}/{shown}" if name else shown


def _scan_file(
    place: Place,
    findings: list[Finding],
    path: Path,
    shown: str,
    finder: Finder,
    elsewhere: frozenset[str],
    read: Callable[[Path], Iterator[tuple[str, str]]],
) -> bool:
    """Search one file; False where it was read and is no text."""
    if path.is_symlink():
        return True
    text = True
    try:
        size, text = path.stat().st_size, is_text(path)
        place.files, place.bytes = place.files + 1, place.bytes + size
        if not text:
            place.not_text, place.not_text_bytes = place.not_text + 1, place.not_text_bytes + size
        hits: dict[str, set[str]] = {}
        for within, found in read(path):
            place.texts += within != ROW
            if runs := finder.runs(found):
                hits.setdefault(within, set()).update(runs)
        # One value's end and the next one's beginning may read like the source, and the bytes show no boundary between them; what the
        # values hold themselves is found in them.
        seams = hits.pop(ROW, set())
        if BYTES in hits:
            hits[BYTES] -= seams.union(*(runs for within, runs in hits.items() if within != BYTES))
        for within, runs in hits.items():
            _note(place, findings, shown, within, runs, elsewhere)
    except FileNotFoundError:
        return True  # a temporary file of a database or a run that ended meanwhile
    except (OSError, UnreadableError, MemoryError) as error:
        if not path.exists():
            return True
        why = "it takes more memory than there is" if isinstance(error, MemoryError) else error
        findings.append(Finding(place=place.name, where=shown, problem=f"cannot be read: {why}"))
        place.findings += 1
        return True
    return text


def _note(place: Place, findings: list[Finding], where: str, within: str, found: Set[str], elsewhere: frozenset[str]) -> None:
    runs = len(found - elsewhere)
    if not runs:
        place.elsewhere += bool(found)
        return
    known = next((one for one in findings if (one.place, one.where, one.within) == (place.name, where, within)), None)
    if known is None:
        findings.append(Finding(place=place.name, where=where, within=within, runs=runs))
        place.findings += 1
    else:
        known.runs += runs


def _passages(store: ArtifactStore, place: Place, findings: list[Finding]) -> Iterator[tuple[str, str, str]]:
    """Yield (table and version, column, text) of the passages in every version that can be opened."""
    try:
        for name, version, rows in every_version(store.lance):
            place.files += 1
            frame: Any = rows
            yield from ((f"{name} version {version}", column, text) for column, text in texts_in_table(frame))
    except StoreError as error:
        findings.append(Finding(place=place.name, where=str(store.lance), problem=str(error)))
        place.findings += 1
