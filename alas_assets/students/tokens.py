"""Counting tokens as the student counts them, without torch or transformers (spec S7).

Only counts; chat messages and their template are `students.chat`.
"""

from __future__ import annotations

from pathlib import Path


class TokenCounter:
    """Counts tokens with a prepared student's own `tokenizer.json`.

    Args:
        student_folder: The folder of a `StudentRef`.

    Raises:
        FileNotFoundError: The folder has no tokenizer.json.
    """

    def __init__(self, student_folder: Path | str) -> None:
        """Read the tokenizer; see the class for the argument."""
        from tokenizers import Tokenizer

        path = Path(student_folder) / "tokenizer.json"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; prepare the student again")
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, text: str) -> int:
        """Return how many tokens a text has, without special tokens; lone surrogates count as replacement characters."""
        clean = text.encode("utf-8", "replace").decode("utf-8")
        return len(self._tokenizer.encode(clean, add_special_tokens=False).ids)
