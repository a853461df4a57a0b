"""The files of a student as it answers: weights, configuration, tokenizer and chat template, equal bytes for equal students (G5).

Only writing. What is merged is `students.answering`; what an export adds to the folder is `release`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alas_assets.students.chat import TEMPLATE_FILE

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    TEMPLATE_FILE,
)

_ROPE_OF_VERSION_4 = ("default", "linear", "dynamic", "yarn", "llama3")


def write_model(model: Any, tokenizer: Any, student: Path, folder: Path, stops: Sequence[int]) -> None:
    """Write a loaded model beside the student's own tokenizer files.

    The generation configuration says what evaluation did: greedy, and every token that ends an answer there. Versions and paths are left
    out, so that the same student gives the same bytes on every machine.

    Args:
        model: The model, an adapter merged in or not.
        tokenizer: The student's tokenizer as `chat.load_tokenizer` returns it.
        student: The folder that the student was loaded from.
        folder: Where to write; made if need be.
        stops: The ids of all tokens that end an answer.

    Raises:
        OSError: The disk is full or not writable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)  # safetensors writes for its owner alone, and servers may run as somebody else
    written: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    edit_json(folder / "config.json", {"transformers_version": None, "_name_or_path": None, **(rope_of_version_4(written) or {})})
    decoding = {"do_sample": False, "eos_token_id": list(stops), "pad_token_id": tokenizer.pad_token_id}
    # sampling settings of the base would make plain transformers warn at every call, and greedy decoding has no use for them
    dropped = dict.fromkeys(("transformers_version", "_from_model_config", "temperature", "top_p", "top_k", "typical_p", "min_p"))
    edit_json(folder / "generation_config.json", {**dropped, **decoding})
    for name in TOKENIZER_FILES:
        if (student / name).is_file():
            shutil.copyfile(student / name, folder / name)
    write_template(folder, tokenizer.get_chat_template())  # evaluation's, which may be another than the student's own


def write_template(folder: Path, template: str) -> None:
    """Write a chat template where transformers looks for it, and where readers do that do not know that file.

    Raises:
        OSError: The disk is full or not writable.
    """
    (folder / TEMPLATE_FILE).write_text(template, encoding="utf-8")
    edit_json(folder / "tokenizer_config.json", {"chat_template": template})


def rope_of_version_4(config: dict[str, Any]) -> dict[str, Any] | None:
    """Return a configuration's rotary positions where transformers 4, and what is built on it, look for them; else they answer wrongly.

    Args:
        config: What is in config.json, as transformers 5 writes it.

    Returns:
        The keys to add; None where version 4 had no keys that say it.
    """
    rope: dict[str, Any] = config.get("rope_parameters") or {}
    if rope.keys() == {"full_attention", "sliding_attention"} and config.get("model_type") == "gemma3_text":
        local = rope["sliding_attention"]
        plain = rope_of_version_4({"rope_parameters": rope["full_attention"]})
        only_base = local.get("rope_type", "default") == "default"
        return plain | {"rope_local_base_freq": local["rope_theta"]} if plain is not None and only_base else None
    if not rope:
        return {}
    kind = rope.get("rope_type", "default")
    if "rope_theta" not in rope or kind not in _ROPE_OF_VERSION_4:
        return None  # others have a table for each kind of layer, or a name that version 4 did not know
    beside = {key: rope[key] for key in ("rope_theta", "partial_rotary_factor") if key in rope}
    scaling = {key: value for key, value in rope.items() if key not in beside}
    return beside | ({"rope_scaling": scaling} if kind != "default" else {})


def edit_json(path: Path, changes: dict[str, Any]) -> None:
    """Change the keys of a JSON file, sorted; None takes a key out. A file that is not there begins empty."""
    old: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    new = {key: value for key, value in (old | changes).items() if value is not None or key not in changes}
    path.write_text(json.dumps(new, indent=2, sort_keys=True) + "\n", encoding="utf-8")
