"""What `alas serve` serves: what may answer now, and the folder of it (G4, G5, A3). The server itself is `serving`."""

import shutil
from pathlib import Path

from alas_assets.defs.releasing import served_manifest
from alas_assets.defs.resources import Alas
from alas_assets.defs.serving import served_adapter
from alas_assets.provenance.store import StoreError
from alas_assets.release.identity import Manifest, ReleaseError
from alas_assets.release.served import ServedModel, generation, merged_model, weights_hash, window
from alas_assets.serving.backend import Prepared
from alas_assets.serving.current import Wanted
from alas_assets.serving.requests import ChatRequest
from alas_assets.students.answering import Decoding
from alas_assets.students.tokens import TokenCounter

_PER_MESSAGE = 16
"""Tokens that a chat template puts around a message, generously."""


class StoreModels:
    """The store's word on what answers in a domain (`serving.current.Source`).

    Args:
        alas: The resource.
        domain: The domain's key.
        merged: Give the backend merged folders; False: the adapters themselves, for a backend that adds them to the base.
    """

    def __init__(self, alas: Alas, domain: str, *, merged: bool = True) -> None:
        self._alas, self._domain, self._merged = alas, domain, merged
        self._counter: TokenCounter | None = None
        self._window = 0

    def wanted(self) -> Wanted:
        """Return what may answer now; a takedown that is not retrained yet may forbid all."""
        try:
            folder = served_adapter(self._alas, self._domain)
        except StoreError as error:
            return Wanted("", refusal=str(error))
        newest = self._alas.registry.newest(self._domain)
        return Wanted(folder.name if folder else "", newest.iteration if newest and folder else -1)

    def retired(self, adapter: str) -> bool:
        """Tell whether a takedown retired an adapter, by the registry's word or by its tombstone."""
        named = any(adapter in entry.retired for entry in self._alas.registry.history(self._domain))
        return named or self._alas.store.tombstone(adapter) is not None

    def prepare(self, wanted: Wanted) -> Prepared:
        """Merge what is wanted, unless that is done already, and say what the backend is to load."""
        domain = self._alas.domain(self._domain)
        student = self._alas.student(domain)
        model = served_model(self._alas, self._domain, wanted.adapter)
        device = model.device or self._alas.worker.merge(student, None, None).device
        self._alas.worker.close()  # a model's memory, and the backend needs as much
        if wanted.adapter and self.retired(wanted.adapter):
            shutil.rmtree(model.folder, ignore_errors=True)  # the takedown may have looked for it before it was there
            raise ReleaseError(f"adapter {wanted.adapter[:12]} was taken down while it was prepared")
        stops, pad = generation(model.folder)
        self._counter, self._window = TokenCounter(model.folder), window(model.folder)
        folder = model.folder if self._merged or not wanted.adapter else self._alas.store.adapter(wanted.adapter)
        return Prepared(
            adapter=wanted.adapter,
            iteration=wanted.iteration,
            folder=folder,
            weights=weights_hash(folder),
            manifest=model.manifest.hash,
            precision=model.manifest.precision,
            device=device,
            stops=stops,
            pad=pad,
        )

    def fits(self, request: ChatRequest) -> str:
        """Return why a request is too long for the student's window."""
        if self._counter is None or not self._window:
            return ""  # nothing is prepared yet, so nothing answers either
        tokens = sum(self._counter.count(one["content"]) + _PER_MESSAGE for one in request.messages)
        if tokens + request.max_tokens <= self._window:
            return ""
        return f"about {tokens} prompt and {request.max_tokens} answer tokens exceed the student's window of {self._window}; send less"


def highest_rank(alas: Alas, domain_key: str) -> int:
    """Return the highest rank of what may ever answer: of the recipe, and of adapters of other recipes that a rollback leads back to.

    Raises:
        RegistryError: The domain's registry cannot be read.
    """
    promoted = {entry.adapter_hash for entry in alas.registry.history(domain_key) if entry.adapter_hash}
    manifests = [manifest for adapter in promoted if (manifest := alas.store.manifest(adapter))]
    return max([alas.recipe(alas.domain(domain_key)).rank, *(int(manifest["recipe"]["rank"]) for manifest in manifests)])


def served_model(alas: Alas, domain_key: str, adapter: str) -> ServedModel:
    """Return the merged model of a domain's adapter in the store; "" for the base student.

    Raises:
        ReleaseError: The adapter is of another base.
        StoreError: A takedown retired it, or it is gone or damaged.
    """
    student = alas.student(alas.domain(domain_key))
    if adapter:
        folder: Path | None = alas.store.adapter(adapter)
        manifest = served_manifest(alas, domain_key, adapter)
    else:
        folder = None
        manifest = Manifest(
            format="served",
            domain="",
            cell="",
            adapter_hash="",
            base={"name": student.title, "revision": student.revision, "hash": student.base_hash},
            rows_hash="",
            probes_hash="",
            decision={},
            precision="fp32",
            decoding=Decoding(),
            files={},
        )
    return merged_model(alas.store.served, manifest, student, folder, alas.worker)
