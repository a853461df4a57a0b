"""What assets are handed: the store, the domain, the teacher, the model worker and the trainer.

Short and typed; the work is in the plain packages, and nothing here imports torch.
"""

import atexit
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.errors import DagsterPipesExecutionError  # dagster does not export it

from alas_assets.domains.catalog import load_domain, recipe_of
from alas_assets.domains.config import Domain
from alas_assets.evaluation.answers import AnswerStore
from alas_assets.evaluation.verdicts import VerdictStore
from alas_assets.provenance.ids import content_hash
from alas_assets.provenance.store import ArtifactStore, Cell
from alas_assets.release.registry import Registry
from alas_assets.settings import Settings, load_settings
from alas_assets.students.catalog import StudentRef, folder_at_hand, known_student, require_usable_folder
from alas_assets.students.client import ModelWorker
from alas_assets.teachers.opening import decides_a_verdict, open_teacher
from alas_assets.teachers.protocol import Teacher
from alas_assets.training.launch import training_command
from alas_assets.training.spec import Recipe
from alas_assets.training.suiting import require_suiting

if TYPE_CHECKING:
    from alas_assets.teachers.llm import Trouble
    from alas_assets.training.spec import TrainingSpec


_running: list[ModelWorker] = []


def _worker(home: Path) -> ModelWorker:
    """Return this process's model worker: one import of torch serves every step that runs in the process, whatever its store.

    Its log lies in the store that asked first.
    """
    if not _running:
        _running.append(ModelWorker(home / "logs" / f"worker-{os.getpid()}.log"))
    return _running[0]


@atexit.register
def close_worker() -> None:
    """End the model process that this process started; whoever asks it again starts a new one."""
    while _running:
        _running.pop().close()


class Alas(dg.ConfigurableResource):
    """The project's one resource: places, domain files, store, teacher and student."""

    home: str = ""
    """The store's folder; empty: ALAS_HOME, then data/store in the clone."""

    @property
    def settings(self) -> Settings:
        """Places and ports."""
        return load_settings(self.home or None)

    @property
    def store(self) -> ArtifactStore:
        """Artifacts, pointers, pages."""
        return ArtifactStore(self.settings.home, self.settings.lance)

    @property
    def registry(self) -> Registry:
        """Promoted adapters."""
        return Registry(self.settings.home / "registry")

    @property
    def answers(self) -> AnswerStore:
        """Every answer a model ever gave, by its content key."""
        return AnswerStore(self.settings.home / "answers.sqlite")

    def verdicts(self, domain: Domain) -> VerdictStore:
        """Every verdict of a model on an answer, by its content key."""
        return VerdictStore(self.settings.home / "verdicts.sqlite", under=content_hash(decides_a_verdict(domain)))

    @property
    def worker(self) -> ModelWorker:
        """The child process that holds the student and the embedder."""
        return _worker(self.settings.home)

    def domain(self, key: str) -> Domain:
        """Read a domain file."""
        return load_domain(self.settings, key)

    def recipe(self, domain: Domain) -> Recipe:
        """Return how the domain's student is trained."""
        return recipe_of(domain, self.settings)

    @property
    def ledger(self) -> Path:
        """Every teacher call that was paid for (O4)."""
        return self.settings.home / "teacher.sqlite"

    def teacher(
        self,
        domain: Domain,
        cell: Cell | None = None,
        log: Callable[[str], None] | None = None,
        on_trouble: "Callable[[Trouble], None] | None" = None,
    ) -> Teacher:
        """Return the domain's teacher; `cell` pays for what it is asked."""
        return open_teacher(domain, self.ledger, (cell.domain, cell.number) if cell else None, log, on_trouble)

    def student(self, domain: Domain) -> StudentRef:
        """Return the domain's student, prepared once and found again without importing torch."""
        models = self.store.models
        return known_student(domain.student.model, domain.student.revision, models) or self.worker.prepare(
            domain.student.model, domain.student.revision, models
        )

    def require_usable_student(self, domain: Domain) -> None:
        """Refuse a student that holds no model, or that the recipe does not suit, as far as it is here already: before a teacher is paid.

        Raises:
            StudentError: The folder that the domain names holds no model.
            RecipeError: The recipe does not suit the student.
        """
        named = domain.student
        require_usable_folder(named.model)
        folder = folder_at_hand(named.model, named.revision, self.store.models)
        if folder is not None:
            require_suiting(self.recipe(domain), folder, named.model)

    def embed(self, domain: Domain, texts: list[str]) -> list[list[float]]:
        """Embed texts with the domain's embedder."""
        return self.worker.embed(texts, domain.student.embedder) if texts else []


class Trainer(dg.ConfigurableResource):
    """Launches a training child through Dagster Pipes and hands its closing report back."""

    def train(self, context: dg.AssetExecutionContext, module: str, spec: "TrainingSpec", spec_file: Path) -> dict[str, Any]:
        """Run `python -m module spec_file` behind the wrapper that leaves no orphan (T4).

        Raises:
            dg.Failure: The child failed or ended without its report; the message holds its exit code and the last lines it wrote.
        """
        spec_file.parent.mkdir(parents=True, exist_ok=True)
        spec_file.write_text(spec.model_dump_json(indent=1), encoding="utf-8")
        log = spec_file.with_suffix(".log")
        begin = log.stat().st_size if log.exists() else 0  # what stands there is of earlier runs
        wrapper = [sys.executable, "-m", "alas_assets.training.launch", "--log", str(log), "--"]
        command = [*wrapper, *training_command(module, spec_file, spec.processes)]
        client = dg.PipesSubprocessClient(termination_timeout_seconds=30)
        try:
            finished = client.run(context=context.op_execution_context, command=command, env={"HF_HUB_DISABLE_TELEMETRY": "1"})
        except DagsterPipesExecutionError as error:
            said = log.read_bytes()[begin:].decode("utf-8", "replace")[-1500:].strip() if log.exists() else ""
            raise dg.Failure(
                description=f"{spec.kind} training of {spec.cell} failed ({error}); its checkpoints in {spec.checkpoint_dir} are kept and "
                f"the next run continues from them. The child's last words:\n{said or 'none'}",
                allow_retries=False,
            ) from error
        reports = finished.get_custom_messages()
        if not reports:
            raise dg.Failure(description=f"{module} ended without a report; see {log}", allow_retries=False)
        return dict(reports[-1])
