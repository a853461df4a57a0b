"""Which domains are watched: one file for all of them, which several commands may change at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alas_assets.provenance.watching import set_watched, watched_domains


def test_domains_that_are_turned_on_and_off_at_once_are_all_heeded(tmp_path: Path) -> None:
    home, names = tmp_path / "store", [f"domain-{number:02d}" for number in range(30)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: set_watched(home, name, True), names))
    assert watched_domains(home) == names
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: set_watched(home, name, False), names[:20]))
    assert watched_domains(home) == names[20:]
