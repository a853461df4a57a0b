"""The prompt texts with their name, version and hash, and what a call's text looks like (S1, S9, O7).

The words are the Markdown files in `prompts/`. What goes into a prompt's data blocks is each purpose's own module; how blocks are
fenced is `fences`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Literal

from alas_assets.provenance.ids import sha256_hex
from alas_assets.teachers.llm.fences import Block, fenced

Form = Literal["schema", "json", "xml", "lines"]
"""How an answer is written; `schema` is JSON whose shape the server enforces."""

NAMES = ("plan", "write", "paraphrase", "judge", "revise")
_FOLDER = Path(__file__).with_name("prompts")
_FILE = re.compile(r"\+\+\+\n(?P<head>.*?)\n\+\+\+\n(?P<body>.*)", re.DOTALL)
_SECTION = re.compile(r"^# (system|user|json|xml|lines)\n", re.MULTILINE)


class PromptError(ValueError):
    """A prompt file is missing or wrong; the message names the file."""


@dataclass(frozen=True)
class Prompt:
    """One prompt text.

    Attributes:
        name: What it is for; also the file's stem.
        version: Raised by hand with each change of meaning.
        digest: SHA-256 of the file, in hex.
        sections: `system`, `user`, and one section for each written form of the answer.
    """

    name: str
    version: int
    digest: str
    sections: Mapping[str, str]

    @property
    def label(self) -> str:
        """Name, version and hash as `ModelCall.prompt` carries them."""
        return f"{self.name} v{self.version} {self.digest[:12]}"

    def user(self, form: Form, values: Mapping[str, str | int], blocks: Sequence[Block]) -> str:
        """Return a call's user text: instructions, the answer's form, the data blocks, and the form's name on the last line.

        Args:
            form: How the answer is to be written.
            values: What the instructions' `$` placeholders stand for; every one must be given.
            blocks: The data.

        Raises:
            PromptError: A placeholder has no value.
        """
        try:
            instructions = Template(self.sections["user"]).substitute(values)
        except (KeyError, ValueError) as error:
            raise PromptError(f"{_FOLDER / self.name}.md: placeholder {error} cannot be filled") from error
        lines = "\n".join(line for line in instructions.splitlines() if line.strip())
        shape = self.sections["json" if form == "schema" else form]
        return f"{lines}\n\n{shape}\n\n{fenced(blocks)}\n\nAnswer as: {form}"


@cache
def prompt(name: str) -> Prompt:
    """Return a prompt by name.

    Raises:
        PromptError: The file is missing or has not the parts that it must have.
    """
    path = _FOLDER / f"{name}.md"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PromptError(f"{path}: cannot be read: {error.strerror or error}") from error
    found = _FILE.fullmatch(text)
    if not found:
        raise PromptError(f"{path}: must begin with name and version between two lines +++")
    head = tomllib.loads(found["head"])
    parts = _SECTION.split(found["body"])
    sections = {key: body.strip() for key, body in zip(parts[1::2], parts[2::2], strict=True)}
    missing = {"system", "user", "json", "xml", "lines"} - sections.keys()
    if missing or head.get("name") != name or not isinstance(head.get("version"), int):
        raise PromptError(f"{path}: wants name = {name!r}, a whole version, and the section {sorted(missing)[0] if missing else 'order'!r}")
    return Prompt(name, head["version"], sha256_hex(text), sections)


def prompt_versions() -> dict[str, str]:
    """Return the hash of every prompt text by name, for manifests and input keys (O4, O7)."""
    return {name: prompt(name).digest for name in NAMES}
