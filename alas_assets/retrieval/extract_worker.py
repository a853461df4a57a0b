"""The child process that reads foreign pages: it locks itself down, then answers with `readers`. It has no way to the network (R2, S9).

Run as a script, one JSON request and one JSON answer a line. An isolated interpreter knows nothing of the project, so the readers are
loaded by their path. Who starts, times and restarts it is `retrieval.extract`.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import resource
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

MEMORY_BYTES = 3 << 30
_READERS = Path(__file__).with_name("readers")


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: no socket, no child process, no file written. Python-level, beside the limits that the kernel keeps."""
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "ctypes.dlopen")):
        if event in ("socket.__new__", "socket.gethostname"):
            return
        raise PermissionError(f"the extractor may not do {event}")
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR) and arguments[0] != os.devnull:
        raise PermissionError("the extractor writes no files")


def _lock_down() -> None:
    warnings.simplefilter("ignore")
    sys.dont_write_bytecode = True
    import tldextract

    # Its default fetches the public-suffix list at first use; the list it ships is enough to name a site.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    import newspaper  # noqa: F401 (before the hook: imports of the package's parts are then done)

    for limit, value in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(limit, (value, value))
    sys.addaudithook(_refuse)


def _load_readers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readers", _READERS / "__init__.py", submodule_search_locations=[str(_READERS)])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["readers"] = module
    spec.loader.exec_module(module)
    return module


def _reply(readers: ModuleType, request: dict[str, str]) -> dict[str, Any]:
    try:
        with open(request["path"], "rb") as handle:
            body = handle.read()
        return readers.read_page(body, request["url"], request["content_type"])
    except readers.Unreadable as error:
        return {"reason": str(error)}
    except RecursionError:
        return {"reason": "the page's elements are nested too deep"}
    except MemoryError:
        return {"reason": "the page needs more memory than the extractor may use"}
    except Exception as error:  # noqa: BLE001 (foreign parsers on foreign bytes: the row names what went wrong)
        return {"reason": f"the page cannot be parsed: {type(error).__name__}: {error}"[:500]}


def main() -> None:
    """Answer requests from standard input until it ends."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not look like an answer
    _lock_down()
    readers = _load_readers()
    channel.write("\n")  # the imports are done: from here on a page's time counts
    channel.flush()
    for line in io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8"):
        channel.write(json.dumps(_reply(readers, json.loads(line))) + "\n")
        channel.flush()


if __name__ == "__main__":
    main()
