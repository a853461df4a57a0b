"""Writing an export: a folder with the model in one format, its card and its hashes, whole or not at all (T5, G5).

Equal releases give equal bytes: neither times nor paths of this machine are content. What is exported is told by `release.identity`; the
weights are merged in the model process.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from alas_assets.provenance.ids import folder_hash
from alas_assets.release.card import model_card
from alas_assets.release.gguf import convert, find_converter
from alas_assets.release.identity import (
    CARD,
    DTYPES,
    RELEASE,
    Format,
    Manifest,
    Release,
    ReleaseError,
    file_hashes,
    read_manifest,
    write_manifest,
)
from alas_assets.students.answering import Precision
from alas_assets.students.catalog import EMBEDDED_STUDENT, StudentRef, content_files
from alas_assets.students.chat import CHATML_TEMPLATE, TEMPLATE_FILE, adapter_template, load_tokenizer, turn
from alas_assets.students.client import ModelWorker
from alas_assets.students.merged import rope_of_version_4, write_template

VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What `--max-lora-rank` takes; 16 is the default, so a larger adapter is refused without it."""

_HIDDEN = shutil.ignore_patterns(".*")
"""Files that are no part of an adapter (`ids.files_of`)."""

OLLAMA_CHATML = """\
{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
"""`chat.CHATML_TEMPLATE` in Ollama's Go template."""


@dataclass(frozen=True)
class Exported:
    """What an export left.

    Attributes:
        folder: Where it lies.
        manifest: Its `release.json`.
        new: False where this very export was there already.
    """

    folder: Path
    manifest: Manifest
    new: bool


def export(
    release: Release,
    format: Format,
    target: Path,
    *,
    student: StudentRef,
    adapter: Path,
    worker: ModelWorker,
    llama_cpp: Path | None = None,
) -> Exported:
    """Export an adapter in one format.

    Args:
        release: What is exported.
        format: merged, adapter, vllm, ollama or gguf.
        target: The folder; it must not be there, or be this very export.
        student: The base student.
        adapter: The adapter's folder.
        worker: Merges.
        llama_cpp: The folder of a llama.cpp checkout, for gguf.

    Raises:
        ReleaseError: The adapter is not what its hash says, the target is something else, or the format cannot be made here.
        AdapterError: The adapter is damaged, or made for another base.
        OSError: The disk is full or not writable.
    """
    refuse_early(format, target, release.domain, release.adapter_hash, llama_cpp)
    if format == "vllm":
        vllm_rank(release.rank)
    if folder_hash(adapter) != release.adapter_hash:
        raise ReleaseError(f"{adapter}: its bytes are not those of its hash; `alas run {release.domain}` trains it again")
    with _appearing(target) as made:
        maker = _Maker(release, student, adapter, worker, llama_cpp)
        precision, usage = maker.make(format, made)
        manifest = manifest_of(release, format, precision)
        for path in made.rglob("*.safetensors"):
            path.chmod(0o644)  # safetensors writes for its owner alone, and servers may run as somebody else
        (made / CARD).write_text(model_card(release, manifest, usage), encoding="utf-8")
        manifest = manifest.model_copy(update={"files": file_hashes(made)})
        write_manifest(made, manifest)
        new = _free(target)
        if not new and folder_hash(target) != folder_hash(made):
            raise ReleaseError(
                f"{target} is there already and not this export, byte by byte (changed files, or made by other versions); "
                "name another folder with --to, or remove it"
            )
    return Exported(target, manifest, new)


def manifest_of(release: Release, format: Format, precision: Precision) -> Manifest:
    """Return what `release.json` says, its files apart."""
    return Manifest(
        format=format,
        domain=release.domain,
        cell=release.cell,
        adapter_hash=release.adapter_hash,
        base={"name": release.base_name, "revision": release.base_revision, "hash": release.base_hash},
        rows_hash=release.rows_hash,
        probes_hash=release.probes_hash,
        decision={
            "hash": release.decision_hash,
            "verdict": release.decision.verdict if release.judged else "not judged",
            "candidate": release.decision.candidate or "",
            "rule": release.decision.rule,
            "reason": release.decision.reason,
            "rolled_back": release.rolled_back,
        },
        precision=precision,
        decoding=release.decoding,
        scores_of=release.scores_of,
        scores=release.scores,
        sources=release.sources,
        files={},
    )


def refuse_early(format: Format, target: Path, domain: str, adapter_hash: str, llama_cpp: Path | None) -> None:
    """Refuse what would be refused after minutes of work: a converter that is not here, a target that is something else.

    Args:
        format: What the export is for.
        target: The folder.
        domain: The domain's key.
        adapter_hash: What is exported.
        llama_cpp: The folder of a llama.cpp checkout, for gguf.

    Raises:
        ReleaseError: It is so; the message says what to do.
    """
    if format == "gguf":
        find_converter(llama_cpp)
    if _free(target):
        return
    remedy = "name another folder with --to, or remove it"
    if not target.is_dir() or not (target / RELEASE).is_file():
        raise ReleaseError(f"{target} is there already and is no export; {remedy}")
    there = read_manifest(target)
    if (there.format, there.domain, there.adapter_hash) != (format, domain, adapter_hash):
        raise ReleaseError(
            f"{target} holds another export ({there.format} of {there.domain}, adapter {there.adapter_hash[:12] or 'none'}); {remedy}"
        )


def _free(target: Path) -> bool:
    """Tell whether a folder may take this name: nothing has it, or an empty folder that can be replaced."""
    if not target.exists():
        return not target.is_symlink()
    replaceable = target.is_dir() and not target.is_symlink() and not target.is_mount() and target.resolve() != Path.cwd()
    return replaceable and not any(target.iterdir())


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside the target that takes its name when the block ends well, unless something has it by then.

    What an export to the same target left there that was killed is removed first: it may be a whole model.
    """
    parent = target.resolve().parent
    parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{target.name[:60]}."
    for left in parent.glob(f"{escape(prefix)}{'[a-z0-9_]' * 8}.part/"):
        with _claimed(left) as unused:
            if unused:
                shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=prefix, suffix=".part", dir=parent))
    try:
        with _claimed(made):
            made.chmod(0o755)
            yield made
            if _free(target):
                if target.exists():
                    shutil.copymode(target, made)
                os.rename(made, target)  # over a folder with files that came meanwhile this fails, and replaces nothing
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Hold a folder for this process, and yield whether it could be: the kernel lets go of it when its process dies."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another process has it, or the file system knows no such locks
            yield False
        else:
            yield True
    finally:
        os.close(handle)


@dataclass(frozen=True)
class _Maker:
    """Puts the files of each format into a folder, and returns the precision and how they are used."""

    release: Release
    student: StudentRef
    adapter: Path
    worker: ModelWorker
    llama_cpp: Path | None

    def make(self, format: Format, made: Path) -> tuple[Precision, str]:
        return {"merged": self._merged, "adapter": self._adapter, "vllm": self._vllm, "ollama": self._ollama, "gguf": self._gguf}[format](
            made
        )

    def _merged(self, made: Path) -> tuple[Precision, str]:
        return self.worker.merge(self.student, self.adapter, made).precision, _USE_MERGED

    def _adapter(self, made: Path) -> tuple[Precision, str]:
        shutil.copytree(self.adapter, made, dirs_exist_ok=True, ignore=_HIDDEN)
        write_template(made, adapter_template(self.adapter))
        # the card of training says what was known before the judges; this export's takes its place, the bytes of all else stay
        precision = self._fits()
        base, note, pinned = '"BASE_FOLDER"', _OF_A_FOLDER, ""
        if self.release.base_on_hub:
            base, note, pinned = json.dumps(self.release.base_name), "", f", revision={json.dumps(self.release.base_revision)}"
        elif self.release.base_name == EMBEDDED_STUDENT:
            note = _NOT_ON_HUB
        return precision, note + _USE_ADAPTER.format(base=base, pinned=pinned, dtype=DTYPES[precision])

    def _vllm(self, made: Path) -> tuple[Precision, str]:
        shutil.copytree(self.adapter, made / "adapter", ignore=_HIDDEN)
        write_template(made / "adapter", adapter_template(self.adapter))
        base = self.release.base_name
        if not self.release.base_on_hub:
            base = "./base"
            (made / "base").mkdir()
            for name in content_files(Path(self.student.folder)):
                shutil.copyfile(Path(self.student.folder) / name, made / "base" / name)
        precision = self._fits()
        return precision, _USE_VLLM.format(command=" \\\n    ".join(vllm_command(self.release, base, precision)))

    def _fits(self) -> Precision:
        return self.worker.merge(self.student, self.adapter, None).precision

    def _ollama(self, made: Path) -> tuple[Precision, str]:
        precision = self._merge_for_others(made)
        (made / "Modelfile").write_text(modelfile(made, self.release.decoding.max_new_tokens), encoding="utf-8")
        name = self.release.model_name
        return precision, f"```\nollama create {name} -f Modelfile\nollama run {name}\n```\n"

    def _gguf(self, made: Path) -> tuple[Precision, str]:
        with tempfile.TemporaryDirectory(dir=made, prefix=".gguf.") as work:
            merged = Path(work) / "merged"
            merged.mkdir()
            precision = self._merge_for_others(merged)
            name = f"{self.release.model_name}.gguf"
            convert(merged, made / name, precision, self.release.model_name, self.llama_cpp)
        return precision, f"```\nllama-server -m {name} --temp 0 -c 2048\n```\n"

    def _merge_for_others(self, made: Path) -> Precision:
        """Merge for readers that know the configuration of transformers 4.

        Raises:
            ReleaseError: They would place tokens otherwise than the model does, and answer wrongly.
        """
        precision = self.worker.merge(self.student, self.adapter, made).precision
        config = json.loads((made / "config.json").read_text(encoding="utf-8"))
        if rope_of_version_4(config) is None:
            raise ReleaseError(
                f"{self.release.base_name} has rotary positions (rope_parameters in its config.json) that Ollama and llama.cpp may "
                "read otherwise than they were trained; export it merged, for transformers 5, or with --format vllm"
            )
        return precision


def vllm_rank(rank: int) -> int:
    """Return the smallest `--max-lora-rank` that takes an adapter of this rank.

    Raises:
        ReleaseError: vLLM takes none so large.
    """
    fitting = next((allowed for allowed in VLLM_RANKS if allowed >= rank), None)
    if fitting is None:
        raise ReleaseError(f"vLLM takes adapters up to rank {VLLM_RANKS[-1]}, and this one has rank {rank}; export it merged")
    return fitting


def vllm_command(release: Release, base: str, precision: Precision) -> list[str]:
    """Return the `vllm serve` line of an export, by words that belong together."""
    revision = [f"--revision {release.base_revision}"] if release.base_on_hub else []
    return [
        f"vllm serve {base}",
        *revision,
        f"--dtype {DTYPES[precision]}",
        "--enable-lora",
        f"--lora-modules {release.model_name}=./adapter",
        f"--max-lora-rank {vllm_rank(release.rank)}",
        f"--chat-template ./adapter/{TEMPLATE_FILE}",
    ]


def modelfile(merged: Path, max_new_tokens: int) -> str:
    """Return Ollama's Modelfile for a merged folder: its template, its stop tokens, and evaluation's decoding."""
    tokens = {int(one["id"]): str(one["content"]) for one in json.loads((merged / "tokenizer.json").read_text("utf-8"))["added_tokens"]}
    ends = json.loads((merged / "generation_config.json").read_text("utf-8"))["eos_token_id"]
    lines = ["FROM ."]
    lines.append(f'TEMPLATE """{_ollama_template(merged)}"""')
    lines += [f"PARAMETER stop {_quoted(tokens[end])}" for end in ends if end in tokens]
    return "\n".join([*lines, "PARAMETER temperature 0", f"PARAMETER num_predict {max_new_tokens}", ""])


def _quoted(text: str) -> str:
    """Return a text as a Modelfile has it, which knows no escapes: between quotes as it is, or between three of them if it has one."""
    return f'"""{text}"""' if '"' in text else f'"{text}"'


def _ollama_template(merged: Path) -> str:
    """Return a merged folder's chat template in Ollama's Go template: of whole chats where it is plain ChatML, else of one question."""
    tokenizer = load_tokenizer(merged)
    if _same_template(str(tokenizer.get_chat_template()), CHATML_TEMPLATE):
        return OLLAMA_CHATML
    before, between, end = (text.replace("{{", '{{ "{{" }}') for text in turn(tokenizer))
    return f"{before}{{{{ .Prompt }}}}{between}{{{{ .Response }}}}{end}"


def _same_template(one: str, other: str) -> bool:
    return "".join(one.split()).replace("\\n", "") == "".join(other.split()).replace("\\n", "")


_USE_MERGED = """\
It loads in plain transformers from version 5 on, without PEFT and without code from this folder; version 4 reads its configuration
otherwise and answers wrongly. Ask it one question a chat, without a system message:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("FOLDER_OF_THIS_FILE", dtype="auto")
tokenizer = AutoTokenizer.from_pretrained("FOLDER_OF_THIS_FILE")
chat = [{"role": "user", "content": "..."}]
prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
answer = model.generate(**prompt, max_new_tokens=24)
print(tokenizer.decode(answer[0, prompt["input_ids"].shape[1]:], skip_special_tokens=True).strip())
```
"""
_USE_ADAPTER = """\
```python
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = AutoModelForCausalLM.from_pretrained({base}{pinned}, dtype=torch.{dtype})
model = PeftModel.from_pretrained(base, "FOLDER_OF_THIS_FILE")
tokenizer = AutoTokenizer.from_pretrained("FOLDER_OF_THIS_FILE")
```

Evaluation merges it into the base first (`merge_and_unload(safe_merge=True)`).
"""
_NOT_ON_HUB = """\
Its base was converted from a quantised file and is not the one that a model hub has under the same name: `BASE_FOLDER` is a folder with
exactly that base, as the format `vllm` brings it along in `base`. A merged folder is no base: the adapter is in it already.

"""
_OF_A_FOLDER = """\
Its base is a model folder and nothing that a model hub has: `BASE_FOLDER` is a folder with exactly that base, as the format `vllm` brings
it along in `base`. A merged folder is no base: the adapter is in it already.

"""
_USE_VLLM = """\
In this folder:

```
{command}
```

and ask for the model by the adapter's name. vLLM adds the adapter to the base at each step instead of merging it, which rounds otherwise:
`alas verify-served` says what that changes. No real vLLM was at hand when this was written.
"""
