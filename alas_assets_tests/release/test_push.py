"""Pushing to a stand-in hub: private by default, over nothing of somebody else's, compared by hash, without a word of the token."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alas_assets.release.card import model_card
from alas_assets.release.identity import ReleaseError, file_hashes, write_manifest
from alas_assets.release.push import checked_repo
from alas_assets_tests.release.hub import TOKEN, Hub, hub
from alas_assets_tests.release.test_card import a_manifest, a_release

PUSH = """
import sys
from pathlib import Path
from alas_assets.release.identity import ReleaseError
from alas_assets.release.push import push_folder
try:
    print(push_folder(Path(sys.argv[1]), sys.argv[2], public=sys.argv[3] == "public").model_dump_json())
except ReleaseError as error:
    sys.exit(f"refused: {error}")
"""


@pytest.fixture
def there() -> Iterator[Hub]:
    with hub() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small export: one large file and some small ones."""
    made = tmp_path / "export"
    made.mkdir()
    (made / "README.md").write_text(model_card(a_release(), a_manifest(), "Use it.\n"), encoding="utf-8")
    (made / "model.safetensors").write_bytes(bytes(range(256)) * 100)
    (made / "base").mkdir()
    (made / "base" / "config.json").write_text("{}", encoding="utf-8")
    write_manifest(made, a_manifest().model_copy(update={"files": file_hashes(made)}))
    return made


def push(there: Hub, folder: Path, repo: str = "me/quill", how: str = "private", token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    """Push in a process of its own: `huggingface_hub` reads its variables when it is imported."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": there.url, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment |= {"HF_HOME": str(folder.parent / "hf"), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PUSH, str(folder), repo, how], env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert TOKEN not in done.stdout + done.stderr
    return done


def test_what_arrives_are_the_same_bytes_in_a_private_repository(there: Hub, folder: Path) -> None:
    done = push(there, folder)
    assert done.returncode == 0, done.stderr
    assert '"files":4' in done.stdout
    repo = there.repos["me/quill"]
    assert repo["private"] is True
    assert repo["files"] == {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert repo["lfs"] == {"model.safetensors"}
    assert there.tokens == {f"Bearer {TOKEN}"}


def test_an_earlier_export_is_replaced_and_what_it_alone_had_goes(there: Hub, folder: Path) -> None:
    there.add("me/quill", private=True, release__json=b"{}", old__txt=b"old", __gitattributes=b"x")
    assert push(there, folder).returncode == 0
    assert set(there.repos["me/quill"]["files"]) == {*file_hashes(folder), "release.json", ".gitattributes"}


@pytest.mark.parametrize(
    ("private", "held", "words"),
    [(True, {"thesis__pdf": b"x"}, "something that is no export"), (False, {}, "is there and public")],
)
def test_nothing_of_somebody_elses_is_touched_and_nothing_gets_public_by_mistake(
    there: Hub, folder: Path, private: bool, held: dict[str, bytes], words: str
) -> None:
    there.add("me/quill", private=private, **held)
    before = dict(there.repos["me/quill"]["files"])
    done = push(there, folder)
    assert words in done.stderr
    assert there.repos["me/quill"]["files"] == before
    assert not [path for method, path in there.requests if "commit" in path]


def test_public_is_said_and_done(there: Hub, folder: Path) -> None:
    assert push(there, folder, how="public").returncode == 0
    assert there.repos["me/quill"]["private"] is False


@pytest.mark.parametrize("damaged", ["model.safetensors", "README.md"])
def test_other_bytes_on_the_hub_are_found_out(there: Hub, folder: Path, damaged: str) -> None:
    there.damages = damaged
    done = push(there, folder)
    assert f"holds other bytes than were sent, at commit {'c' * 40}: {damaged}" in done.stderr


def test_a_damaged_export_a_missing_token_and_a_refusal_are_said(there: Hub, folder: Path) -> None:
    assert "set HF_TOKEN" in push(there, folder, token="").stderr
    assert "did not take me/quill" in push(there, folder, token="hf_wrong").stderr
    (folder / "model.safetensors").write_bytes(b"x")
    assert "has other bytes" in push(there, folder).stderr
    assert there.repos == {}


@pytest.mark.parametrize("name", ["quill", "a/b/c", "../b", "a/..", "a b/c", "", "http://h/x", "a/b--c"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ReleaseError, match="OWNER/NAME"):
        checked_repo(name)
