"""The environment that other people's programs are started with: no keys, no network to a hub, no telemetry."""

from __future__ import annotations

import os
from pathlib import Path

from alas_assets.processors import waiting_briefly

_SECRET = ("TOKEN", "KEY", "SECRET", "PASSWORD", "CREDENTIAL", "WEBHOOK")


def bare_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without what may be a secret, with our packages to be found and threads that wait briefly.

    Args:
        more: Variables to set on top.
    """
    kept = {name: value for name, value in os.environ.items() if not any(word in name.upper() for word in _SECRET)}
    root = str(Path(__file__).resolve().parents[2])  # the child must find us however we were found
    path = os.pathsep.join([root, kept["PYTHONPATH"]] if kept.get("PYTHONPATH") else [root])
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**kept, **waiting_briefly(kept), **quiet, "PYTHONPATH": path, **more}
