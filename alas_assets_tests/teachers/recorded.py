"""What answers a teacher's prompt from recorded pairs, as the stand-in does; for servers that tests start themselves."""

from collections.abc import Callable
from typing import Any

from alas_assets.standin.answers import answer
from alas_assets.standin.forms import written
from alas_assets.standin.matching import Library
from alas_assets.standin.reading import read_prompt


def say(library: Library) -> Callable[[dict[str, Any]], str]:
    """Return what answers a request's body as the stand-in would."""

    def said(body: dict[str, Any]) -> str:
        system, user = (message["content"] for message in body["messages"]) if len(body["messages"]) > 1 else ("", "")
        if not system.startswith("Task: "):
            return "No."  # a probe: this server holds an answer to no form
        prompt = read_prompt(system, user)
        return written(answer(library, prompt, "stand-in"), prompt.form)

    return said
