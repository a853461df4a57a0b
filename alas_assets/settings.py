"""Where things lie and on which ports: the one reader of ALAS_* variables.

Domain files are found by `domains.catalog`; nothing here touches Dagster or the network.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DEFAULT_SITE_PORT = 8315
DEFAULT_VIEWER_PORT = 8316
DEFAULT_UI_PORT = 3000
DEFAULT_SERVE_PORT = 8318
DEFAULT_WATCH_SECONDS = 120
QuestionFolder = Literal["guards", "replay", "exams"]
"""Where a domain's files of questions and prompts lie, in the store or in the tracked data folder."""


class SettingError(ValueError):
    """An ALAS_* variable has a value that cannot be used; the message names it."""


@dataclass(frozen=True)
class Settings:
    """Resolved places and ports.

    Attributes:
        home: The store (`ALAS_HOME`, by default data/store in the clone).
        data: The tracked data folder: domains, site, guards, exams, replay (`ALAS_DATA`).
        dagster_home: Dagster's instance folder (`DAGSTER_HOME`, by default in the store; always there in a store that `--home` names).
        site_port: Loopback port of the sample site (`ALAS_SITE_PORT`).
        viewer_port: Loopback port of stored pages, traces and reports (`ALAS_VIEWER_PORT`).
        ui_port: Dagster's loopback port, for links to runs (`ALAS_UI_PORT`; `alas ui --port` outranks it).
        serve_port: Where a domain's model is served (`ALAS_SERVE_PORT`; `alas serve --port` outranks it).
        llama_cpp: The folder of a llama.cpp checkout, whose converter makes GGUF files (`ALAS_LLAMA_CPP`); None: none.
        watch_seconds: How often watched sources are looked at, at most (`ALAS_WATCH_SECONDS`).
        webhook: Where failures, staleness and refused candidates are posted (`ALAS_WEBHOOK_URL`); a secret, empty for nowhere.
        training_processes: Processes that train together, one a GPU (`ALAS_TRAINING_PROCESSES`).
        lance: Folder of the passages, or a URI such as "s3://bucket/passages" (`ALAS_LANCE`); empty: in the store.
    """

    home: Path
    data: Path
    dagster_home: Path
    site_port: int
    viewer_port: int
    watch_seconds: int = DEFAULT_WATCH_SECONDS
    webhook: str = field(default="", repr=False)
    lance: str = ""
    ui_port: int = DEFAULT_UI_PORT
    serve_port: int = DEFAULT_SERVE_PORT
    llama_cpp: Path | None = None
    training_processes: int = 1

    @property
    def site(self) -> Path:
        """The sample site's folder."""
        return self.data / "site"

    @property
    def site_url(self) -> str:
        """The sample site's base URL, without a trailing slash."""
        return f"http://127.0.0.1:{self.site_port}"

    @property
    def domain_folders(self) -> tuple[Path, ...]:
        """Where domain files are read from; a later folder wins."""
        return self.data / "domains", self.home / "domains"

    def question_file(self, folder: QuestionFolder, name: str) -> Path:
        """Return where a domain's file of questions or prompts lies: in the store's folder of that name, else in the tracked one."""
        own = self.home / folder / name
        return own if own.is_file() else self.data / folder / name

    @property
    def own_recipes(self) -> Path:
        """Where training recipes of your own are; one of the name of a recipe that ships is taken in its place."""
        return self.home / "recipes.toml"


def _number(name: str, default: int, what: str, low: int, high: int) -> int:
    raw = os.environ.get(name, "")
    if not raw:
        return default
    if not raw.isascii() or not raw.isdigit() or not low <= int(raw) <= high:
        raise SettingError(f"{name}={raw!r} is not {what} between {low} and {high}")
    return int(raw)


def _webhook() -> str:
    url = os.environ.get("ALAS_WEBHOOK_URL", "").strip()
    try:
        parts = urlsplit(url)
        usable = not url or bool(parts.scheme in ("http", "https") and (parts.hostname or "").encode("idna") and parts.port != 0)
    except ValueError:  # of the host, or of the port; what it says would show the address
        usable = False
    if not usable:
        raise SettingError("ALAS_WEBHOOK_URL is not an http(s) URL of a host, such as https://hooks.example.com/...")
    return url


def _place(name: str) -> str:
    raw = os.environ.get(name, "")
    return raw if not raw or "://" in raw else str(Path(raw).expanduser().resolve())


def load_settings(home: Path | str | None = None) -> Settings:
    """Read the environment; `home` (the `--home` option) outranks `ALAS_HOME`, and with it `DAGSTER_HOME`, which is that store's.

    Raises:
        SettingError: A variable has a value that cannot be used.
    """
    data = Path(os.environ.get("ALAS_DATA") or PROJECT_ROOT / "data").expanduser().resolve()
    usual = Path(os.environ.get("ALAS_HOME") or data / "store").expanduser().resolve()
    chosen = Path(home).expanduser().resolve() if home else usual
    instance = os.environ.get("DAGSTER_HOME") if chosen == usual else None  # of another store the runs and sensors would be mixed in
    return Settings(
        home=chosen,
        data=data,
        dagster_home=Path(instance or chosen / "dagster").expanduser().resolve(),
        site_port=_number("ALAS_SITE_PORT", DEFAULT_SITE_PORT, "a port", 1024, 65535),
        viewer_port=_number("ALAS_VIEWER_PORT", DEFAULT_VIEWER_PORT, "a port", 1024, 65535),
        watch_seconds=_number("ALAS_WATCH_SECONDS", DEFAULT_WATCH_SECONDS, "a number of seconds", 10, 86400),
        webhook=_webhook(),
        lance=_place("ALAS_LANCE"),
        ui_port=_number("ALAS_UI_PORT", DEFAULT_UI_PORT, "a port", 1024, 65535),
        serve_port=_number("ALAS_SERVE_PORT", DEFAULT_SERVE_PORT, "a port", 1024, 65535),
        training_processes=_number("ALAS_TRAINING_PROCESSES", 1, "a number of processes", 1, 64),
        llama_cpp=Path(raw).expanduser().resolve() if (raw := os.environ.get("ALAS_LLAMA_CPP", "")) else None,
    )
