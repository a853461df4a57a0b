"""One server for several commands: started, shared, ended with its last user; clear errors where it cannot be."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from alas_assets.settings import Settings
from alas_assets.viewer.serve import PortError, ServeError, ensure_port_free, running

HOLDER = """
import sys
from pathlib import Path
from alas_assets.settings import Settings
from alas_assets.viewer.serve import running
data, home, site_port, viewer_port = sys.argv[1:]
settings = Settings(home=Path(home), data=Path(data), dagster_home=Path(home), site_port=int(site_port), viewer_port=int(viewer_port))
with running(settings):
    print("up", flush=True)
    sys.stdin.read()
"""


def two_free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


@pytest.fixture
def setup(tmp_path: Path) -> Settings:
    (tmp_path / "data" / "site").mkdir(parents=True)
    (tmp_path / "data" / "site" / "index.html").write_text("hello", encoding="utf-8")
    site_port, viewer_port = two_free_ports()
    return Settings(
        home=tmp_path / "store", data=tmp_path / "data", dagster_home=tmp_path / "d", site_port=site_port, viewer_port=viewer_port
    )


def get(port: int, path: str = "/") -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def is_up(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def start_holder(setup: Settings) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", HOLDER, str(setup.data), str(setup.home), str(setup.site_port), str(setup.viewer_port)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def hold(setup: Settings) -> subprocess.Popen[bytes]:
    child = start_holder(setup)
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    return child


def test_both_sites_answer_inside_the_block_and_the_ports_are_free_after_it(setup: Settings) -> None:
    with running(setup):
        assert get(setup.site_port) == b"hello"
        assert b"What this store holds" in get(setup.viewer_port)
        with pytest.raises(PortError, match=f"{setup.site_port} on 127.0.0.1 is in use; .* give ALAS_SITE_PORT another port"):
            ensure_port_free(setup.site_port, "ALAS_SITE_PORT")
    ensure_port_free(setup.site_port, "ALAS_SITE_PORT")
    ensure_port_free(setup.viewer_port, "ALAS_VIEWER_PORT")


def test_a_server_ends_when_its_only_user_is_killed(setup: Settings) -> None:
    holder = hold(setup)
    assert get(setup.site_port) == b"hello"
    holder.kill()
    holder.communicate()
    assert until(lambda: not is_up(setup.site_port) and not is_up(setup.viewer_port))


def test_a_shared_server_outlives_the_command_that_started_it(setup: Settings) -> None:
    holder = hold(setup)
    with running(setup):
        holder.kill()
        holder.communicate()
        time.sleep(0.5)  # long enough for a server that watched only its parent to end
        assert get(setup.site_port) == b"hello"
    assert until(lambda: not is_up(setup.site_port))


def test_a_block_that_shares_does_not_end_the_server_of_another(setup: Settings) -> None:
    holder = hold(setup)
    with running(setup):
        pass
    assert get(setup.site_port) == b"hello"
    holder.communicate(b"")
    assert until(lambda: not is_up(setup.site_port))


def test_commands_that_start_at_once_end_up_on_one_server(setup: Settings) -> None:
    holders = [start_holder(setup) for _ in range(3)]
    for holder in holders:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"up\n"
    for holder in holders:
        assert get(setup.site_port) == b"hello"
        holder.communicate(b"")
    assert until(lambda: not is_up(setup.site_port))


def test_nested_blocks_share_one_server(setup: Settings) -> None:
    with running(setup):
        with running(setup):
            pass
        assert get(setup.site_port) == b"hello"
    assert not is_up(setup.site_port)


def test_a_server_of_another_folder_is_refused_by_name(setup: Settings, tmp_path: Path) -> None:
    other = Settings(
        home=tmp_path / "other", data=setup.data, dagster_home=tmp_path, site_port=setup.site_port, viewer_port=setup.viewer_port
    )
    refusal = pytest.raises(PortError, match=f"taken by store {setup.home}.*give ALAS_VIEWER_PORT another port")
    with running(setup), refusal, running(other):
        pass


@pytest.mark.parametrize("talks", [True, False])
def test_a_port_taken_by_a_stranger_is_refused_naming_the_setting(setup: Settings, talks: bool) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", setup.site_port))
        stranger.listen()
        if talks:
            server = subprocess.Popen(
                [sys.executable, "-m", "http.server", str(setup.viewer_port), "--bind", "127.0.0.1"], stderr=subprocess.DEVNULL
            )
            assert until(lambda: is_up(setup.viewer_port))
            stranger.close()
        try:
            name = "ALAS_VIEWER_PORT" if talks else "ALAS_SITE_PORT"
            with pytest.raises(PortError, match=f"something that is not ours.*give {name} another port"), running(setup):
                pass
        finally:
            if talks:
                server.kill()
                server.wait()


def test_a_missing_site_and_equal_ports_are_refused(setup: Settings, tmp_path: Path) -> None:
    same = Settings(home=setup.home, data=setup.data, dagster_home=tmp_path, site_port=9200, viewer_port=9200)
    with pytest.raises(PortError, match="both 9200"), running(same):
        pass
    none = Settings(home=setup.home, data=tmp_path / "none", dagster_home=tmp_path, site_port=9200, viewer_port=9201)
    with pytest.raises(ServeError, match="ALAS_DATA must name"), running(none):
        pass


def test_the_module_serves_until_interrupted_and_says_which_port_is_taken(setup: Settings) -> None:
    command = [sys.executable, "-m", "alas_assets.viewer.serve", "--site", str(setup.site), "--site-port", str(setup.site_port)]
    server = subprocess.Popen(command)
    try:
        assert until(lambda: is_up(setup.site_port))
        assert get(setup.site_port) == b"hello"
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert "give ALAS_SITE_PORT another port" in second.stderr
    finally:
        server.terminate()
        server.wait()
    assert not is_up(setup.site_port)
