"""Asking a student questions in batches, with or without an adapter, and writing down what answers (spec E5, E7, T1, G5).

Module level is light (records only); torch comes in with the first `Answerer`. How a question becomes chat messages is
`students.chat`; the process this runs in is `students.worker`; the files of what is written down are `students.merged`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from alas_assets.records import Record
from alas_assets.students.chat import load_tokenizer, markers_of, messages, prompt_tokens, stop_tokens

log = logging.getLogger(__name__)

Precision = Literal["auto", "fp32", "bf16"]

_WIDTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768)  # prompts are padded to the next of these, then to 1024s
# questions, and padded prompt and answer tokens, in a batch
_ROWS_CPU, _TOKENS_CPU = 96, 8_448
_ROWS_CPU_BF16, _TOKENS_CPU_BF16 = 32, 2_816  # a lone question pays for a full one
_ROWS_GPU, _TOKENS_GPU = 256, 131_072
_FP32_BYTES = 2_000_000_000  # students whose files are larger than this answer in bf16, where the machine computes in it


class AdapterError(RuntimeError):
    """An adapter cannot be used with this student; the message names the folder and what is wrong."""


def trained_on_another(adapter: Path, student: str, base_hash: str) -> str:
    """Return why an adapter is not this student's, by its own manifest; "" where it is, or where it has no manifest that names its base.

    Two students of one shape take each other's adapters without a word, and what answers then is neither.

    Args:
        adapter: Its folder.
        student: The student's name, for the message.
        base_hash: The student's hash.
    """
    try:
        base: dict[str, Any] = json.loads((adapter / "manifest.json").read_bytes())["base"]
        name, trained_on = str(base["name"]), str(base["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if trained_on == base_hash:
        return ""
    same_name = "its files changed, or this version of alas asks it otherwise than the one that trained the adapter; where files changed, "
    return (
        f"adapter {adapter} was trained on student {name} ({trained_on[:12]}), and {student} ({base_hash[:12]}) is the student now: "
        f"{same_name if name == student else ''}set [student] of the domain, or the files in its folder, back; or give "
        "`alas rollback DOMAIN --to-base`, which makes the base student current, and `alas run DOMAIN` trains the new one"
    )


class Decoding(Record):
    """How answers are decoded; part of every answer's id."""

    max_new_tokens: int = Field(default=24, ge=1, description="tokens after which an answer is cut")
    method: Literal["greedy"] = "greedy"
    arithmetic: Literal["fp32 up to 2 GB"] = Field(
        default="fp32 up to 2 GB", description="what students compute in; an answer from when small ones answered in bf16 is another answer"
    )


class AskItem(Record):
    """One question to the student; `context` makes it open-book."""

    question: str
    context: str | None = None


class Answered(Record):
    """What the student said; an item that failed carries the reason and an empty text (spec E7)."""

    text: str
    error: str = ""


class Merged(Record):
    """How a student that was written down answers."""

    precision: Precision
    device: str


class Margins(Record):
    """How far each token of a text lies under the student's best one there, in logits; 0 where it is the best (G5)."""

    behind: list[float] = Field(description="one a token, and one for the end of the answer where it was not cut")
    error: str = ""

    @property
    def worst(self) -> float:
        """The largest; infinite where the text could not be measured."""
        return max(self.behind, default=0.0) if not self.error else float("inf")


class Answerer:
    """A student in memory that answers batches of questions, as it is or with an adapter merged in.

    An answer does not depend on which other questions share its batch, nor on whether there is a batch at all: in fp32, of 457 answers none
    differed between batches of 32 and each question alone, so that a server gives the evaluated answers. In bf16 88 of 457 did, and
    7 grades with them (2 of 156 on facts), at half the CPU time; hence fp32 wherever the student is small enough.
    Larger ones answer in bf16: there the shape of a batch (rows and padded width) follows from the question's own length alone, and a short
    batch is filled up, so that at least no other question decides.
    An adapter is merged into the base before it answers (unmerged layers take 1.8 times as long), and the base is loaded
    afresh for the next one, so nothing of one adapter can reach another.

    Args:
        student_folder: The folder of a `StudentRef`.
        precision: "auto" takes bf16 for students over 2 GB where the machine computes in it, fp32 otherwise.

    Raises:
        OSError: The folder holds no loadable student.
    """

    def __init__(self, student_folder: Path | str, precision: Precision = "auto") -> None:
        """Load the student; see the class for the arguments."""
        import torch
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        self.folder = Path(student_folder)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.precision: Precision = _best_precision(self.folder, self.device) if precision == "auto" else precision
        self._tokenizer: Any = load_tokenizer(self.folder)
        self._markers = markers_of(self.folder)
        self._adapter: tuple[str, int, int] | None = None
        self._model: Any = self._load_base()
        self._stops = stop_tokens(self._tokenizer, self._model.generation_config.eos_token_id)
        self._window = int(getattr(self._model.config, "max_position_embeddings", 0) or 0)

    def answer(
        self,
        items: Sequence[AskItem],
        adapter: Path | None = None,
        decoding: Decoding | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[Answered]:
        """Answer every item; results are in the order of the items, trimmed, and one failed item fails alone.

        Args:
            items: The questions.
            adapter: A LoRA adapter's folder (safetensors); None asks the base student.
            decoding: How to decode; greedy with 24 new tokens by default.
            on_progress: Called with (answered, all) after each batch.

        Raises:
            AdapterError: The adapter is missing, in another format, or made for another base.
        """
        decoding = decoding or Decoding()
        self._use(adapter)
        results: dict[int, Answered] = {}
        prompts: dict[int, list[int]] = {}
        for index, item in enumerate(items):
            try:
                prompts[index] = self._prompt(item, decoding)
            except Exception as error:  # noqa: BLE001 - hostile text fails in many ways; the item keeps its row (E7)
                results[index] = Answered(text="", error=f"the question could not be put: {error}")
        for width, rows, batch in self._batches(prompts, decoding):
            results.update(self._answer_batch(batch, prompts, width, rows, decoding))
            if on_progress is not None:
                on_progress(len(results), len(items))
        return [results[index] for index in range(len(items))]

    def save_merged(self, adapter: Path | None, folder: Path | None) -> None:
        """Write what answers with this adapter, to the bit, as a model folder that plain transformers loads (spec G5).

        The weights are those that `answer` uses, in the precision that it computes in.

        Args:
            adapter: The adapter's folder; None writes the base student.
            folder: An empty folder; None writes nothing, and only finds out whether the adapter fits.

        Raises:
            AdapterError: The adapter is missing, in another format, or made for another base.
            OSError: The disk is full or not writable.
        """
        from alas_assets.students.merged import write_model

        self._use(adapter)
        if folder is not None:
            write_model(self._model, self._tokenizer, self.folder, folder, self._stops)

    def margins(self, said: Sequence[tuple[AskItem, str]], adapter: Path | None = None, decoding: Decoding | None = None) -> list[Margins]:
        """Return how near each text is to what the student would say: by how much every token of it falls behind the best one there.

        A server may round otherwise than evaluation does, and where two tokens are as good as equal it may then take the other. That shows
        here as a text whose tokens are all within rounding of the best. The weights are those that answer; they are computed with in
        fp32, whose own rounding is far below the margins in question.

        Args:
            said: Questions, each with a text as an answer to it.
            adapter: A LoRA adapter's folder; None for the base student.
            decoding: How the texts were decoded; one shorter than its limit has to end with a stop token.

        Raises:
            AdapterError: The adapter is missing, in another format, or made for another base.
        """
        decoding = decoding or Decoding()
        self._use(adapter)
        model, found = self._model.float(), []
        self._model, self._adapter = None, None  # it is another model now, and must not answer
        for item, text in said:
            try:
                prompt = self._prompt(item, decoding)
                found.append(Margins(behind=self._behind(model, prompt, text.strip(), decoding.max_new_tokens)))
            except Exception as error:  # noqa: BLE001 - hostile text fails in many ways, as in `answer`
                found.append(Margins(behind=[], error=f"the text could not be measured: {error}"))
        return found

    def _behind(self, model: Any, prompt: list[int], text: str, most: int) -> list[float]:
        """Walk along a text: with the model's own best token as long as that spells it, else with the tokenizer's.

        A text can be spelt in other tokens than the tokenizer's, and what the model says is; where it was cut there is no end to measure.
        """
        import torch

        behind: list[float] = []
        past, feed, said = None, prompt, list[int]()
        with torch.inference_mode():
            while len(said) < most:
                out = model(input_ids=torch.tensor([feed], device=self.device), past_key_values=past, use_cache=True)
                past, logits = out.past_key_values, out.logits[0, -1].float()
                best = int(logits.argmax())
                spelt = self._tokenizer.decode(said, skip_special_tokens=True).lstrip().rstrip("\ufffd")
                rest = text[len(spelt) :] if text.startswith(spelt) else ""
                if best not in self._stops and self._spells([*said, best], text):
                    chosen, gap = best, 0.0
                elif rest.strip():
                    chosen = self._tokenizer(rest, add_special_tokens=False)["input_ids"][0]
                    gap = float(logits[best] - logits[chosen])
                else:
                    behind.append(round(float(logits[best] - logits[self._stops].max()), 4))
                    break
                behind.append(round(gap, 4))
                said.append(chosen)
                feed = [chosen]
        return behind

    def _spells(self, tokens: list[int], text: str) -> bool:
        """Tell whether tokens are the beginning of a text, or all of it and blanks, which are trimmed off answers."""
        spelt = self._tokenizer.decode(tokens, skip_special_tokens=True).lstrip().rstrip("\ufffd")
        return text.startswith(spelt) or spelt.rstrip() == text

    def _prompt(self, item: AskItem, decoding: Decoding) -> list[int]:
        ids = prompt_tokens(self._tokenizer, messages(item.question, item.context, self._markers))
        if self._window and len(ids) + decoding.max_new_tokens > self._window:
            raise ValueError(f"{len(ids)} prompt and {decoding.max_new_tokens} answer tokens exceed the student's window of {self._window}")
        return ids

    def _batches(self, prompts: dict[int, list[int]], decoding: Decoding) -> Iterator[tuple[int, int, list[int]]]:
        """Yield (width, rows, indices), short prompts first; a batch of fewer than `rows` indices is to be filled up."""
        most_rows, budget = (_ROWS_CPU, _TOKENS_CPU) if self.precision == "fp32" else (_ROWS_CPU_BF16, _TOKENS_CPU_BF16)
        if self.device == "cuda":
            most_rows, budget = _ROWS_GPU, _TOKENS_GPU
        classes: dict[int, list[int]] = {}
        for index, prompt in sorted(prompts.items(), key=lambda item: len(item[1])):
            classes.setdefault(_width(len(prompt)), []).append(index)
        for width, members in sorted(classes.items()):
            rows = max(1, min(most_rows, budget // (width + decoding.max_new_tokens)))
            for start in range(0, len(members), rows):
                together = members[start : start + rows]
                yield width, len(together) if self.precision == "fp32" else rows, together

    def _answer_batch(
        self, batch: list[int], prompts: dict[int, list[int]], width: int, rows: int, decoding: Decoding
    ) -> dict[int, Answered]:
        try:
            texts = self._generate([prompts[index] for index in batch], width, rows, decoding)
            return {index: Answered(text=text.strip()) for index, text in zip(batch, texts, strict=True)}
        except RuntimeError as error:  # most likely out of memory
            if rows == 1:
                return {batch[0]: Answered(text="", error=f"the student failed: {error}")}
            log.warning("a batch of %d rows failed (%s); trying fewer", rows, error)
        fewer = rows // 2
        answers: dict[int, Answered] = {}
        for start in range(0, len(batch), fewer):
            answers |= self._answer_batch(batch[start : start + fewer], prompts, width, fewer, decoding)
        return answers

    def _generate(self, prompts: list[list[int]], width: int, rows: int, decoding: Decoding) -> list[str]:
        import torch
        from transformers import GenerationConfig

        pad = self._tokenizer.pad_token_id
        if self.precision == "fp32":  # the shape decides nothing, so the smallest will do
            width = max(map(len, prompts))
        filled = prompts + [prompts[0]] * (rows - len(prompts))
        ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in filled], device=self.device)
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in filled], device=self.device)
        config = GenerationConfig(
            do_sample=False, num_beams=1, max_new_tokens=decoding.max_new_tokens, eos_token_id=self._stops, pad_token_id=pad
        )
        with torch.inference_mode():
            out = self._model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
        return self._tokenizer.batch_decode(out[: len(prompts), width:], skip_special_tokens=True)

    # -- what is loaded -----------------------------------------------------------------------------------------
    def _load_base(self) -> Any:
        import torch
        from transformers import AutoModelForCausalLM, GenerationConfig

        model: Any = AutoModelForCausalLM.from_pretrained(
            self.folder,
            dtype=torch.bfloat16 if self.precision == "bf16" else torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
        own = model.generation_config  # penalties that a base's authors set for sampling would make answers depend on who computes them
        model.generation_config = GenerationConfig(
            bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id
        )
        # the last position is a strided slice; with frozen weights torch would copy the whole vocabulary for each row (2 GB)
        model.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(), *inputs[1:]))
        return model.to(self.device).eval().requires_grad_(False)

    def _use(self, adapter: Path | None) -> None:
        """Make the model the base, or the base with this adapter, loading only what changed."""
        if adapter is None:
            if self._adapter is not None or self._model is None:
                self._model, self._adapter = None, None  # frees the memory before the base is loaded
                self._model = self._load_base()
            return
        weights = adapter / "adapter_model.safetensors"
        if not weights.is_file() or not (adapter / "adapter_config.json").is_file():
            raise AdapterError(
                f"adapter {adapter}: needs adapter_config.json and adapter_model.safetensors (other formats can run code and are refused)"
            )
        stat = weights.stat()
        key = (str(adapter.resolve()), stat.st_size, stat.st_mtime_ns)
        if self._model is None or key != self._adapter:
            if self._model is None or self._adapter is not None:
                self._model, self._adapter = None, None
                self._model = self._load_base()
            base, self._model = self._model, None  # a failure below leaves a half-changed base that must not answer
            self._model = self._merged(base, adapter, weights)
            self._adapter = key

    def _merged(self, base: Any, adapter: Path, weights: Path) -> Any:
        from peft import PeftModel, get_peft_model_state_dict
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(weights), framework="pt") as stored:
                saved = set(stored.keys())
            adapted: Any = PeftModel.from_pretrained(base, str(adapter), local_files_only=True)
            unmatched = saved ^ set(get_peft_model_state_dict(adapted))
            merged = adapted.merge_and_unload(safe_merge=True).eval()
        except (RuntimeError, ValueError, OSError, KeyError, TypeError, SafetensorError) as error:
            raise AdapterError(f"adapter {adapter}: damaged, or not made for student {self.folder.name}: {error}") from error
        if unmatched:  # PEFT only warns, and the base student would answer in the adapter's name
            raise AdapterError(
                f"adapter {adapter}: not made for student {self.folder.name}: {len(unmatched)} weights match no layer, or layers no weight"
            )
        return merged


def _width(length: int) -> int:
    """Return the padded width of a prompt; it depends on nothing but the prompt's own length."""
    return next((width for width in _WIDTHS if width >= length), -(-length // 1024) * 1024)


def _best_precision(folder: Path, device: str) -> Precision:
    if sum(path.stat().st_size for path in folder.glob("*.safetensors")) <= _FP32_BYTES:
        return "fp32"
    if device == "cuda":
        return "bf16"
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "fp32"  # not Linux
    return "bf16" if "avx512_bf16" in flags or "amx_bf16" in flags else "fp32"
