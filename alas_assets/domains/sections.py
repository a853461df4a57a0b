"""What all sections of a domain file have in common: no unknown key, no change once read, and how single values are checked.

The sections themselves are `domains.sources` and `domains.config`.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
"""A name of an environment variable."""


class Section(BaseModel):
    """A table of a domain file; a key that is not known is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def http_url(value: str) -> str:
    """Return an http(s) URL as it is.

    Raises:
        ValueError: It is none, or shows a user name or password.
    """
    try:
        parts = urlsplit(value)
        reachable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets that are no address, a port above 65535
        reachable = False
    if not reachable:
        shown = "" if "@" in value else f"{value!r} "  # what may hold a password is not repeated
        raise ValueError(f"{shown}is not an http(s) URL with a host, and a port up to 65535 if any")
    if parts.username or parts.password:
        raise ValueError(f"{parts.hostname}: a user name or password must not stand in a URL, where logs and tables would show it")
    return value
