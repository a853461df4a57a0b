"""What one training is: the recipe, the specification a child process is handed, and the report it hands back.

Shapes and reading only, free of torch. What a child does with them is `sft` and `dpo`; recipes that ship are `recipes.toml`.
"""

from __future__ import annotations

import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator

from alas_assets.provenance.ids import content_hash, file_hash, folder_hash

RECIPES_FILE = Path(__file__).with_name("recipes.toml")
ATTENTION_AND_MLP = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
Scheduler = Literal["linear", "cosine", "constant", "constant_with_warmup"]
LOSS_TYPES = (
    "sigmoid", "hinge", "ipo", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired", "apo_zero", "apo_down", "discopop",
    "sft", "sigmoid_norm",
)  # fmt: skip
"""The preference losses that TRL knows, without `exo_pair`, which it refuses where labels are not smoothed; here they never are."""


class RecipeError(ValueError):
    """A recipe is unknown or wrong; the message names the file and the key."""


class SpecError(ValueError):
    """A specification file is missing or wrong; the message names the file and the key."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DpoRecipe(_Section):
    """How preferences are learned on top of an SFT adapter (D3)."""

    learning_rate: float = Field(default=5e-6, gt=0, description="peak rate; TRL's advice for LoRA")
    epochs: float = Field(default=2, gt=0, description="passes over the pairs")
    batch_size: int = Field(default=8, ge=1, description="pairs per optimiser step, shared by all processes")
    loss_type: tuple[str, ...] = Field(default=("sigmoid", "sft"), description="the SFT term works against a falling chosen likelihood")
    loss_weights: tuple[float, ...] = Field(default=(1.0, 1.0), description="one weight per loss type")
    max_length: int = Field(default=256, ge=8, description="tokens of prompt and answer; longer pairs are left out and named")
    min_pairs: int = Field(default=10, ge=1, description="with fewer accepted pairs DPO is skipped (D2)")

    @field_validator("loss_type")
    @classmethod
    def _known_losses(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in LOSS_TYPES]:
            raise ValueError(f"{unknown[0]!r} is no loss that can be trained with; known: {', '.join(LOSS_TYPES)}")
        return names

    @model_validator(mode="after")
    def _weights_match(self) -> DpoRecipe:
        if len(self.loss_type) != len(self.loss_weights):
            raise ValueError(f"loss_weights has {len(self.loss_weights)} values for {len(self.loss_type)} loss types; give one each")
        return self


class Recipe(_Section):
    """How a student of one size is trained (T1-T3, T6)."""

    rank: int = Field(default=32, ge=1, description="LoRA rank; servers such as vLLM allow 1, 8, 16, 32, 64, 128, 256, 320, 512")
    alpha: int = Field(default=64, ge=1, description="LoRA scale: updates are multiplied by alpha / rank")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout on the adapter's input")
    target_modules: tuple[str, ...] = Field(default=ATTENTION_AND_MLP, min_length=1, description="linear layers that get an adapter")
    layers: int | tuple[int, ...] | None = Field(
        default=None, description="decoder layers that get an adapter: a number means the last so many, a list their indices, unset all"
    )
    learning_rate: float = Field(gt=0, description="peak rate")
    warm_learning_rate: float | None = Field(
        default=None,
        gt=0,
        exclude_if=lambda rate: rate is None,  # a recipe without it has the hash, and so the adapters, that it had before there was one
        description="peak rate where training goes on from an adapter (T2), whose weights are no zeros; unset: the same",
    )
    epochs: float = Field(gt=0, description="passes over the rows at most; fewer where early stopping ends it")
    batch_size: int = Field(ge=1, description="rows per forward pass, shared by all processes")
    gradient_accumulation: int = Field(default=1, ge=1, description="forward passes per optimiser step")
    scheduler: Scheduler = Field(default="cosine", description="how the rate falls after warm-up")
    warmup_steps: float = Field(default=0.05, ge=0, description="under 1: share of all steps; else steps")
    weight_decay: float = Field(default=0.0, ge=0, description="of the adapter's weights")
    max_grad_norm: float = Field(default=1.0, gt=0, description="gradients are clipped to this norm")
    max_length: int = Field(default=256, ge=8, description="tokens of one row; longer rows are left out and named in the manifest")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="above 0 costs a second forward pass per step")
    order: Literal["length-grouped", "as-written"] = Field(
        default="length-grouped", description="as-written: rows come in the order of the rows file, which mixes facts and replay evenly"
    )
    passes: int = Field(
        default=1, ge=1, description="times the rows file holds each fact row, worded or dropped anew, with fresh replay; as-written only"
    )
    min_sights: int = Field(default=0, ge=0, description="times a new fact is seen at least, over all wordings and passes; as-written only")
    min_steps: int = Field(default=0, ge=0, description="optimiser steps at least: few facts get more passes; as-written only")
    word_dropout: float = Field(default=0.0, ge=0, lt=1, description="chance of a prompt's word to be left out, in half of the fact rows")
    telling_word_dropout: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        exclude_if=lambda chance: chance is None,  # as above
        description="the same chance for words that tell a fact from others: those in the prompts of few facts; unset: word_dropout's",
    )
    cloze_repeat: int = Field(default=1, ge=1, description="times a prompt with a gap (___) stands in a pass")
    replay_kl: float = Field(
        default=0.0,
        ge=0,
        description="weight of KL(base || student) over all tokens of replay rows; 0: cross entropy on their answers",
    )
    replay_kl_every: int = Field(default=1, ge=1, description="that divergence is taken at every n-th token, other ones each step")
    replay_share: float = Field(default=0.35, ge=0, lt=1, description="share of all rows that are the base student's own answers (T2)")
    replay_tokens: int = Field(
        default=24,
        ge=1,
        description="tokens of the base student's answer in a replay row at most; without replay_kl a cut one would teach to stop",
    )
    rehearsal_per_fact: int = Field(default=2, ge=0, description="phrasings of each earlier fact that are trained again (T2)")
    rehearsal_most: float | None = Field(
        default=None,
        gt=0,
        exclude_if=lambda most: most is None,  # as above
        description="rehearsal rows of a pass at most, as a multiple of new facts' rows; unset: a pass costs more with every fact",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="of the frozen base weights; auto: bf16 where the processor computes in it, else fp32"
    )
    packing: bool = Field(default=False, description="several rows in one sequence, so fewer steps than rows say; for many rows on a GPU")
    gradient_checkpointing: bool = Field(default=False, description="less memory for about 20 % more time")
    save_steps: int = Field(default=40, ge=1, description="optimiser steps between checkpoints: the most work a kill can cost")
    early_stopping_patience: int | None = Field(
        default=None, ge=1, description="checkpoints without a better dev loss after which training ends; needs dev rows (T3)"
    )
    dev_share: float = Field(
        default=0.0, ge=0, le=0.5, description="share of the fact rows held out as dev rows where no dev file is given"
    )
    dpo: DpoRecipe = DpoRecipe()

    def peak_rate(self, *, warm: bool) -> float:
        """Return the peak rate of a training from a fresh adapter, or from one that has learned before."""
        return self.warm_learning_rate or self.learning_rate if warm else self.learning_rate

    def adapted_layers(self, count: int) -> list[int] | None:
        """Return the indices of the decoder layers that get an adapter, of a student that has `count`; None for all."""
        if isinstance(self.layers, int):
            return list(range(max(0, count - self.layers), count))
        return None if self.layers is None else list(self.layers)

    @model_validator(mode="after")
    def _dev_rows_for_early_stopping(self) -> Recipe:
        if self.early_stopping_patience and not self.dev_share:
            raise ValueError("early_stopping_patience is set but dev_share is 0; early stopping needs dev rows")
        return self


class TrainingSpec(_Section):
    """Everything a training child needs, written to a JSON file by the parent.

    Folders and files are absolute paths. What decides the adapter's content goes into `spec_hash`; where things lie does not.
    """

    kind: Literal["sft", "dpo"]
    cell: str = Field(description='"domain|iteration", shown in messages')
    student_folder: str = Field(description="the base model and tokenizer, safetensors")
    student_name: str = Field(description="what the adapter's files call the base model")
    student_revision: str = ""
    base_hash: str
    init_adapter: str | None = Field(
        default=None, description="adapter folder to go on from: warm start (T2), or the SFT candidate for DPO"
    )
    rows_file: str = Field(description="Parquet with TRAIN_ROW_SCHEMA, or PREFERENCE_SCHEMA whose accepted rows are trained on")
    rows_hash: str = Field(description="`table_hash` of the rows file; the child refuses other rows")
    probes_hash: str = Field(description="fixed before the first optimiser step (E1)")
    dev_file: str | None = Field(default=None, description="Parquet with TRAIN_ROW_SCHEMA, only measured; overrides dev_share")
    output_dir: str = Field(description="the finished adapter folder; appears whole or not at all")
    checkpoint_dir: str = Field(description="working folder that survives a kill")
    recipe: Recipe
    seed: int = Field(default=17, ge=0)
    beta: float = Field(default=0.1, gt=0, description="DPO: how strongly the SFT policy holds")
    threads: int = Field(
        default=0, ge=0, description="CPU threads; 0: all cores this process may use. Another number may change the last bits"
    )
    processes: int = Field(
        default=1, ge=1, description="that train together, one a GPU, and share each batch; each takes the mean over its own rows"
    )
    extra: dict[str, JsonValue] = Field(default_factory=dict, description="for the manifest: settings, prompt hashes")

    @cached_property
    def init_adapter_hash(self) -> str | None:
        """The content hash of the adapter that training goes on from; None for a fresh one or where the folder is gone."""
        return folder_hash(Path(self.init_adapter)) if self.init_adapter and Path(self.init_adapter).is_dir() else None

    @cached_property
    def spec_hash(self) -> str:
        """The hash of all that decides the adapter, places left out; checkpoints belong to it."""
        dev_hash = file_hash(Path(self.dev_file)) if self.dev_file and Path(self.dev_file).is_file() else None
        return content_hash(self.model_dump(mode="json", exclude=_PLACES) | {"init": self.init_adapter_hash, "dev": dev_hash})

    @property
    def work_dir(self) -> Path:
        """Where this specification, and no other, keeps its checkpoints and its unfinished manifest."""
        return Path(self.checkpoint_dir) / self.spec_hash[:16]

    @property
    def result_path(self) -> Path:
        """The child's report: beside the output folder, never inside, because times are not content."""
        return Path(self.output_dir).parent / "result.json"


_PLACES = {"student_folder", "init_adapter", "rows_file", "dev_file", "output_dir", "checkpoint_dir"}


class TrainingResult(_Section):
    """What a training child reports when it ends, also as its last Pipes message."""

    ok: bool
    error: str = Field(default="", description="one line when not ok")
    kind: str
    cell: str
    spec_hash: str
    adapter_hash: str = Field(default="", description="`folder_hash` of the output folder")
    manifest_hash: str = Field(default="", description="SHA-256 of manifest.json")
    steps: int = 0
    resumed_from: int = Field(default=0, description="step of the checkpoint it went on from; 0: from the start")
    rows: int = 0
    tokens: int = Field(default=0, description="tokens seen in all epochs, padding left out")
    tokens_per_second: float = Field(default=0.0, description="of this process's training phase")
    seconds: float = 0.0
    phases: dict[str, float] = Field(default_factory=dict, description="seconds by phase: import, load, train, save")
    loss_history: list[tuple[int, float]] = Field(default_factory=list, description="(step, loss)")
    measured: dict[str, float] = Field(default_factory=dict, description="DPO: logps and rewards before and after; SFT: dev losses")
    precision: str = ""
    device: str = ""
    peak_memory_mb: int = Field(default=0, description="resident set of the child")


def load_recipe(name: str, *files: Path) -> Recipe:
    """Return the recipe of this name.

    Args:
        name: Its table in a file.
        files: Where recipes are, the first that has it wins, and files that are not there hold none; by default those that ship. A
            recipe says with `based_on` which of those it changes, and then states only what differs.

    Raises:
        RecipeError: There is no such recipe (the message lists those that are there), a file is not TOML, or one of its keys is wrong.
    """
    places = files or (RECIPES_FILE,)
    tables = {file: _recipe_tables(file) for file in places}
    file = next((file for file in places if name in tables[file]), None)
    if file is None:
        known = sorted({found for table in tables.values() for found in table})
        raise RecipeError(f"recipe {name!r} is not in {' or '.join(map(_shown, places))}; known: {', '.join(known)}")
    found = tables[file][name]
    if not isinstance(found, dict):
        raise RecipeError(f"{_shown(file)}: {name}: must be a table with keys of its own, such as [{name}]")
    start: dict[str, Any] = {}
    if "based_on" in found:
        base, shipped = found.pop("based_on"), _recipe_tables(RECIPES_FILE)
        if not isinstance(base, str) or base not in shipped:
            raise RecipeError(f"{_shown(file)}: {name}.based_on: {base!r} is no recipe that ships; known: {', '.join(sorted(shipped))}")
        start = shipped[base]
    try:
        return Recipe.model_validate(_changed(start, found))
    except ValidationError as error:
        raise RecipeError(f"{_shown(file)}: {name}.{_first_problem(error)}") from error


def _recipe_tables(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))  # editors of Windows begin a file with a mark
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{_shown(file)}: cannot be read as TOML: {error}") from error


def _shown(file: Path) -> str:
    return file.name if file == RECIPES_FILE else str(file)


def _changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a table with what another states in its place; tables within them alike."""
    tables = {key for key, value in changes.items() if isinstance(value, dict) and isinstance(base.get(key), dict)}
    return {**base, **changes, **{key: _changed(base[key], changes[key]) for key in tables}}


def read_spec(path: Path) -> TrainingSpec:
    """Read and validate a specification file.

    Raises:
        SpecError: It is missing, not JSON, or a key is wrong; one line naming file and key.
    """
    try:
        return TrainingSpec.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise SpecError(f"{path}: {_first_problem(error)}") from error


def read_result(path: Path) -> TrainingResult | None:
    """Return a child's report, or None where it is missing or damaged."""
    try:
        return TrainingResult.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def finished_before(spec: TrainingSpec, adapters: Path | None = None) -> TrainingResult | None:
    """Return the report of this very training where its adapter is still whole: a kill or a full disk kept it from being noted.

    Args:
        spec: The specification.
        adapters: Where adapters lie by their hash, once they were taken from `output_dir`; None looks there.
    """
    done = read_result(spec.result_path)
    if done is None or not done.ok or done.spec_hash != spec.spec_hash:
        return None
    folder = adapters / done.adapter_hash if adapters else Path(spec.output_dir)
    return done if folder.is_dir() and folder_hash(folder) == done.adapter_hash else None


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "file"
    return f"{where}: {'unknown key' if first['type'] == 'extra_forbidden' else first['msg'].removeprefix('Value error, ')}"
