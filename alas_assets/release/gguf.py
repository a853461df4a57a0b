"""Making one GGUF file out of a merged folder, through llama.cpp's own converter as a subprocess (G5).

The converter is in llama.cpp's repository and in no wheel, so it is looked for where the user says. Nothing of it is imported here.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from alas_assets.release.environment import bare_environment
from alas_assets.release.identity import ReleaseError
from alas_assets.students.answering import Precision

SETTING = "ALAS_LLAMA_CPP"
CONVERTER = "convert_hf_to_gguf.py"
_SECONDS = 3_600
_OUT_TYPES: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16"}
HOW_TO_GET_IT = (
    f"set {SETTING} to the folder of a llama.cpp checkout (the one that holds {CONVERTER}). Without access to its repository: the source "
    "archive of llama-cpp-python on the package index contains one; "
    "`pip download --no-binary llama-cpp-python --no-deps llama-cpp-python`, unpack it, and take its folder vendor/llama.cpp"
)


def find_converter(llama_cpp: Path | None) -> Path:
    """Return llama.cpp's converter.

    Raises:
        ReleaseError: It is not there; the message says how to get it.
    """
    if llama_cpp is None:
        raise ReleaseError(f"a GGUF file is made by llama.cpp's {CONVERTER}, which is not here: {HOW_TO_GET_IT}")
    script = llama_cpp / CONVERTER
    if not script.is_file():
        raise ReleaseError(f"{SETTING}={llama_cpp} holds no {CONVERTER}: {HOW_TO_GET_IT}")
    if find_spec("sentencepiece") is None:  # it is imported whatever the tokenizer is
        raise ReleaseError(f"{script} needs the package sentencepiece: pip install 'alas-assets[gguf]'")
    return script


def convert(merged: Path, target: Path, precision: Precision, name: str, llama_cpp: Path | None) -> None:
    """Write a merged folder as one GGUF file, in the precision it has.

    Args:
        merged: The folder.
        target: The file.
        precision: What the folder's weights are in.
        name: What the file says it is called; else it would be the folder's name.
        llama_cpp: The folder of a llama.cpp checkout.

    Raises:
        ReleaseError: The converter is missing, fails, or does not know the model; the message has its last words.
    """
    script = find_converter(llama_cpp)
    command = [sys.executable, str(script), str(merged), "--outfile", str(target), "--outtype", _OUT_TYPES[precision], "--model-name", name]
    try:
        done = subprocess.run(command, env=bare_environment(), capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ReleaseError(f"{script} was still at work after {_SECONDS} s and was ended") from error
    if done.returncode or not target.is_file():
        last = (done.stderr or done.stdout).decode("utf-8", "replace").strip()[-1_500:]
        raise ReleaseError(f"{script} failed with exit code {done.returncode}; its last words:\n{last}")
