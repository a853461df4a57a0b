"""Pushing an export to a model hub through `huggingface_hub`, and comparing what arrived with what was sent (G5).

The endpoint is HF_ENDPOINT's, the token HF_TOKEN's; neither is kept or shown. What is pushed is a finished export and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

from pydantic import Field

from alas_assets.provenance.ids import file_hash
from alas_assets.records import Record
from alas_assets.release.identity import RELEASE, ReleaseError, damage, read_manifest

TOKEN = "HF_TOKEN"  # noqa: S105 - the variable's name
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}\Z")
_OF_THE_HUB = {".gitattributes"}


class Pushed(Record):
    """What a push left on the hub."""

    url: str
    commit: str
    files: int = Field(description="files whose hash there is ours")


def checked_repo(repo: str) -> str:
    """Return a repository's name.

    Raises:
        ReleaseError: It is none.
    """
    if not _REPO.match(repo) or ".." in repo or "--" in repo:
        raise ReleaseError(f"--push {repo[:120]!r} is no OWNER/NAME of a repository: letters, digits, '-', '_' and '.'")
    return repo


def token_for(repo: str) -> str:
    """Return the token that a push to a repository takes.

    Raises:
        ReleaseError: None is set.
    """
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise ReleaseError(f"pushing needs a token that may write to {repo}: set {TOKEN} in the environment")
    return token


def push_folder(folder: Path, repo: str, *, public: bool = False) -> Pushed:
    """Push an export, as one commit, and prove by hash that the hub holds the same bytes.

    A repository that is not there is made, private unless told otherwise. One that is there must hold an export or nothing, and be as
    private as asked for: nothing of somebody else's is written over, and nothing becomes public by mistake.

    Args:
        folder: A finished export.
        repo: OWNER/NAME.
        public: Let everybody read a repository that is made.

    Raises:
        ReleaseError: The folder is damaged, the token is missing, or the hub refuses, cannot be reached or holds other bytes afterwards.
    """
    checked_repo(repo)
    if broken := damage(folder, read_manifest(folder)):
        raise ReleaseError(f"{folder} is not what its {RELEASE} says ({'; '.join(broken[:5])}); export it again before it is pushed")
    token = token_for(repo)
    import httpx
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or constants.ENDPOINT
    api = HfApi(endpoint=endpoint, token=token)
    try:
        return _pushed(api, folder, repo, public)
    except OfflineModeIsEnabled as error:
        raise ReleaseError("HF_HUB_OFFLINE is set, so nothing can be pushed; unset it") from error
    except (HfHubHTTPError, httpx.HTTPError, OSError, ValueError) as error:
        words = str(error).replace(token, "[token]").strip().splitlines() or [type(error).__name__]
        raise ReleaseError(
            f"{endpoint} did not take {repo}: {words[0][:500]}. Check HF_ENDPOINT, and that {TOKEN} may write there; "
            "a hub without Xet storage needs HF_HUB_DISABLE_XET=1"
        ) from error


def _pushed(api: Any, folder: Path, repo: str, public: bool) -> Pushed:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info: Any = api.repo_info(repo)
    except RepositoryNotFoundError:
        api.create_repo(repo, private=not public)
        info = api.repo_info(repo)
    if not public and info.private is not True:
        raise ReleaseError(f"{repo} is there and public; give --public to push to it all the same, or name another repository")
    there = {one.rfilename for one in info.siblings or []} - _OF_THE_HUB
    if there and RELEASE not in there:
        raise ReleaseError(
            f"{repo} is there and holds something that is no export ({', '.join(sorted(there)[:3])}); name another repository"
        )
    ours = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in ours}
    operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=str(path)) for name, path in names.items()]
    gone = [CommitOperationDelete(path_in_repo=name) for name in sorted(there - names.keys())]  # of the export that was there
    manifest = read_manifest(folder)
    done = api.create_commit(
        repo,
        operations=[*operations, *gone],
        commit_message=f"{manifest.format} of {manifest.domain}, adapter {manifest.adapter_hash[:12]}",
    )
    held = {one.path: one for one in api.get_paths_info(repo, sorted(names), revision=done.oid)}
    wrong = [name for name, path in names.items() if name not in held or not _same(held[name], path)]
    if wrong:
        raise ReleaseError(
            f"{repo} holds other bytes than were sent, at commit {done.oid}: {', '.join(wrong[:5])}; do not use it, push again"
        )
    return Pushed(url=f"{api.endpoint}/{repo}", commit=done.oid, files=len(names))


def _same(there: Any, path: Path) -> bool:
    """Compare a file with what the hub says of it: the SHA-256 of a large one, the git blob id of any other."""
    if getattr(there, "lfs", None):
        return there.lfs.sha256 == file_hash(path) and there.size == path.stat().st_size
    data = path.read_bytes()
    return getattr(there, "blob_id", "") == hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324 - git's own
