"""What the store says of an adapter that is to be exported, served or verified (T5, G5).

Read-only towards the loop. Writing exports is `release.export`, serving is `serving`.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import polars as pl

from alas_assets.defs.judging import DECODING
from alas_assets.defs.lineage import made_cells
from alas_assets.defs.resources import Alas
from alas_assets.defs.revision import SCORED, scored_cells
from alas_assets.defs.serving import served_adapter, taught_tables
from alas_assets.evaluation.scoreboard import ScoreError, current_answers, score_rows
from alas_assets.provenance.ids import answer_id as make_answer_id
from alas_assets.provenance.ids import content_hash
from alas_assets.provenance.store import Cell, StoreError
from alas_assets.records import AdapterRef, GateDecision, as_answers
from alas_assets.release.identity import Manifest, Release, ReleaseError, Score, Source
from alas_assets.release.registry import Entry
from alas_assets.students.answering import Decoding
from alas_assets.students.catalog import EMBEDDED_STUDENT, StudentRef, is_folder

SHOWN_SPLITS = ("probe", "guard", "neighbour", "earlier", "unknown", "exam", "exam_paraphrase")
System = Literal["sft", "dpo"]
_ANSWERED = ("promotion", "probes", "baseline_scores", "judge_scores", "dpo_judge_scores")
"""What tells how a model answered that is current after a gate; later steps tell nothing of that."""


def chosen_adapter(alas: Alas, domain: str, wanted: str = "") -> str:
    """Return the hash of the adapter that is to be released: the current one, or the one whose hash begins so.

    Raises:
        ReleaseError: None is current, or none of the domain has that hash.
        StoreError: The domain answers nothing for now, a takedown retired the adapter, or it is gone or damaged.
    """
    current = served_adapter(alas, domain)  # refuses where nothing may answer
    if not wanted:
        if current is None:
            raise ReleaseError(
                f"{domain} has no current adapter: the base student answers, which is not ours to release. `alas run {domain}` trains one, "
                "--adapter HASH names one that is not current"
            )
        return _there(alas, domain, current.name)
    promoted = {entry.adapter_hash for entry in alas.registry.history(domain) if entry.adapter_hash}
    known = sorted({ref.adapter_hash for _, _, ref in _trained(alas, scored_cells(alas, domain))} | promoted | _retired(alas, domain))
    found = [one for one in known if one.startswith(wanted.lower())]
    if len(found) != 1:
        have = ", ".join(one[:12] for one in known) or "none"
        raise ReleaseError(f"{wanted!r} is the hash of {len(found)} adapters of {domain}; there are: {have}")
    return _there(alas, domain, found[0])


def _retired(alas: Alas, domain: str) -> set[str]:
    return {one for entry in alas.registry.history(domain) for one in entry.retired}


def _there(alas: Alas, domain: str, adapter: str) -> str:
    alas.store.adapter(adapter)  # refuses one that was retired, is gone or damaged
    if adapter in _retired(alas, domain):
        raise StoreError(f"adapter {adapter[:16]} of {domain} was retired by a takedown and can be used no more")
    return adapter


def _trained(alas: Alas, cells: list[Cell]) -> list[tuple[Cell, System, AdapterRef]]:
    """Return every adapter that iterations trained, in their order."""
    found: list[tuple[Cell, System, AdapterRef]] = []
    for cell in cells:
        for system in ("sft", "dpo"):
            pointer = alas.store.pointer(cell, f"{system}_adapter")
            ref = alas.store.read_record(AdapterRef, pointer) if pointer else None
            if ref is not None and ref.trained:
                found.append((cell, system, ref))
    return found


def gather(alas: Alas, domain_key: str, adapter: str) -> Release:
    """Collect everything that an export says of an adapter.

    Args:
        alas: The resource.
        domain_key: The domain.
        adapter: The adapter's hash.

    Raises:
        ReleaseError: No judged iteration of the domain trained it, or the domain's student is another one now.
        StoreError: Something of it is gone.
    """
    trained = [one for one in _trained(alas, scored_cells(alas, domain_key)) if one[2].adapter_hash == adapter]
    if not trained:
        raise ReleaseError(_not_judged(alas, domain_key, adapter))
    cell, system, ref = trained[-1]
    domain, student = alas.domain(domain_key), alas.student(alas.domain(domain_key))
    manifest = _learned(alas, domain_key, adapter, student)
    decision, decision_hash = _decision(alas, cell)
    scores_of, scores, as_now = _scores(alas, domain_key, adapter, cell, system)
    parents = _parents(alas, manifest)
    sources, unknown = _sources(alas, cell, [manifest, *(_manifest(alas.store.adapters / one) for one in parents)])
    local = is_folder(domain.student.model)
    return Release(
        domain=domain_key,
        title=domain.title,
        cell=str(cell),
        adapter_hash=adapter,
        kind=ref.kind,
        base_name=student.title,
        base_revision=student.revision,
        base_hash=student.base_hash,
        base_on_hub=not local and domain.student.model != EMBEDDED_STUDENT,
        rank=manifest["recipe"]["rank"],
        rows=len(manifest["row_ids"]),
        rows_hash=manifest["rows_hash"],
        counts=manifest["counts"],
        trained_from=parents,
        probes_hash=manifest["probes_hash"],
        seed=manifest["seed"],
        decision=decision,
        decision_hash=decision_hash,
        rolled_back=_rolled_back(alas, domain_key, adapter),
        scores_of=str(scores_of),
        scores=scores,
        scored_as_answering=as_now,
        sources=sources,
        unknown_sources=unknown,
    )


def served_manifest(alas: Alas, domain_key: str, adapter: str) -> Manifest:
    """Return what the `release.json` of a served model says: what its adapter and the registry tell.

    Not what evaluation says of it: that grows with later steps and iterations, and would have the same model merged again.

    Raises:
        ReleaseError: The adapter cannot be read, or the domain's student is another one now.
    """
    student = alas.student(alas.domain(domain_key))
    learned = _learned(alas, domain_key, adapter, student)
    promoted = _promoted(alas, domain_key, adapter)
    return Manifest(
        format="served",
        domain=domain_key,
        cell=learned["cell"],
        adapter_hash=adapter,
        base={"name": student.title, "revision": student.revision, "hash": student.base_hash},
        rows_hash=learned["rows_hash"],
        probes_hash=learned["probes_hash"],
        decision={"hash": promoted.decision_hash} if promoted else {},
        precision="fp32",
        decoding=Decoding(),
        files={},
    )


def _not_judged(alas: Alas, domain: str, adapter: str) -> str:
    """Say why no card could say anything of an adapter, and what to do."""
    own = [cell for cell, _, ref in _trained(alas, made_cells(alas, domain)) if ref.adapter_hash == adapter]
    if own:
        missing = ", ".join(asset for asset in SCORED if alas.store.pointer(own[-1], asset) is None)
        return f"adapter {adapter[:12]} cannot be exported yet: {missing} of {own[-1]} is not there; `alas run {domain}` makes it"
    if promoted := _promoted(alas, domain, adapter):
        return (
            f"adapter {adapter[:12]} cannot be exported: {Cell.of(domain, promoted.iteration)}, which promoted it, was begun again and "
            f"trained another in its place; `alas run {domain}` judges that one to the end"
        )
    return f"no judged iteration of {domain} trained adapter {adapter[:12]}; no card could say anything of it"


def _promoted(alas: Alas, domain: str, adapter: str) -> Entry | None:
    return next((one for one in reversed(alas.registry.history(domain)) if (one.action, one.adapter_hash) == ("promote", adapter)), None)


def _learned(alas: Alas, domain: str, adapter: str, student: StudentRef) -> dict[str, Any]:
    """Return the record of an adapter's training.

    Raises:
        ReleaseError: It cannot be read, or the domain's student is another one now.
    """
    manifest = _manifest(alas.store.adapter(adapter))
    if manifest["base"]["hash"] != student.base_hash:
        raise ReleaseError(
            f"adapter {adapter[:12]} was trained on {manifest['base']['name']} ({manifest['base']['hash'][:12]}), and "
            f"{alas.domain(domain).student.model} is {student.base_hash[:12]} now; set [student] of {domain} back to use it"
        )
    return manifest


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReleaseError(f"{path}: cannot be read ({error}), so nobody can say what the adapter learned") from error


def _rolled_back(alas: Alas, domain: str, adapter: str) -> str:
    """Return by whom, when and why an adapter was rolled back; "" where it was not, or is current again."""
    undone = alas.registry.rollback_of(domain, adapter)
    if undone is None:
        return ""
    gate = "the gate, which decided otherwise when the iteration was made again"
    return f"by {undone.by or (gate if undone.run_id else 'somebody')} on {undone.at[:10]}{f' ({undone.reason})' if undone.reason else ''}"


def _decision(alas: Alas, cell: Cell) -> tuple[GateDecision, str]:
    pointer = alas.store.pointer(cell, "promotion")
    if pointer is None:
        raise StoreError(f"promotion of {cell} is not there; materialise it first")
    decision = alas.store.read_record(GateDecision, pointer)
    return decision, content_hash(decision.model_dump(mode="json"))


def answers_of_adapter(alas: Alas, domain: str, adapter: str) -> tuple[Cell, pl.DataFrame, pl.DataFrame] | None:
    """Return the newest iteration in which an adapter was asked as the current model, its answers there and the base student's.

    None where it never was current after a gate. The steps after the gate need not be done.
    """
    cells = [cell for cell in made_cells(alas, domain) if all(alas.store.pointer(cell, asset) for asset in _ANSWERED)]
    return _answers_in(alas, cells, adapter)


def _answers_in(alas: Alas, cells: list[Cell], adapter: str) -> tuple[Cell, pl.DataFrame, pl.DataFrame] | None:
    for cell in reversed(cells):
        tables = _tables(alas, cell)
        decision, _ = _decision(alas, cell)
        try:
            answers = current_answers(decision, *(tables[name] for name in ("baseline_scores", "judge_scores", "dpo_judge_scores")))
        except ScoreError:
            continue  # it is being made again: another candidate was asked, and the gate has not decided on that one yet
        if set(answers["adapter_hash"]) == {adapter}:
            base = tables["baseline_scores"].filter(pl.col("system") == "base")
            return cell, as_answers(answers), as_answers(base)
    return None


def _tables(alas: Alas, cell: Cell) -> dict[str, pl.DataFrame]:
    pointers = {asset: alas.store.pointer(cell, asset) for asset in SCORED if asset.endswith("_scores")}
    return {asset: alas.store.read_table(pointer) for asset, pointer in pointers.items() if pointer is not None}


def _scores(alas: Alas, domain: str, adapter: str, cell: Cell, system: System) -> tuple[Cell, list[Score], bool]:
    """Return the scores of base and adapter, and whether it answers now as it did then.

    They are those of the current model where it is or was one, else of the candidate that it was.
    """
    current = _answers_in(alas, scored_cells(alas, domain), adapter)
    if current is not None:
        cell, answers, base = current
    else:
        tables = _tables(alas, cell)
        answers = as_answers(tables["dpo_judge_scores" if system == "dpo" else "judge_scores"]).filter(pl.col("adapter_hash") == adapter)
        base = as_answers(tables["baseline_scores"]).filter(pl.col("system") == "base")
    exam = as_answers(_tables(alas, cell)["exam_scores"])
    mine = exam.filter((pl.col("system") == "base") | (pl.col("adapter_hash") == adapter))
    asked = pl.concat(
        [base, answers.with_columns(pl.lit("current").alias("system")), mine.filter(pl.col("system").is_in(["base", "current"]))]
    )
    rows = score_rows(domain, cell.number, asked).filter(pl.col("split").is_in(SHOWN_SPLITS))
    return cell, [Score(**{name: row[name] for name in Score.model_fields}) for row in rows.to_dicts()], answers_as_now(answers)


def answers_as_now(answers: pl.DataFrame) -> bool:
    """Tell whether recorded answers were decoded as this version decodes: what decides an answer is in its id."""
    decoding = DECODING.model_dump(mode="json")
    return all(
        row["answer_id"]
        == make_answer_id(
            row["probe_id"], row["system"], row["base_hash"], row["adapter_hash"] or None, row["context_hash"] or None, decoding
        )
        for row in answers.iter_rows(named=True)
    )


def _parents(alas: Alas, manifest: dict[str, Any]) -> list[str]:
    """Return the adapters that training went on from, newest first."""
    found: list[str] = []
    parent = manifest.get("init_adapter") or ""
    while parent and parent not in found:
        found.append(parent)
        parent = _manifest(alas.store.adapters / parent).get("init_adapter") or ""
    return found


def _sources(alas: Alas, cell: Cell, manifests: list[dict[str, Any]]) -> tuple[list[Source], int]:
    """Return the pages behind the rows of an adapter and of those it was trained from, and how many facts have none on record."""
    facts = {fact for one in manifests for fact in _facts(alas, one)}
    pairs = pl.concat([table.select("fact_id", "url") for table in taught_tables(alas, cell.domain)])
    urls = {fact: url for fact, url in pairs.unique("fact_id", keep="last", maintain_order=True).iter_rows() if fact in facts and url}
    pages = _pages(alas, cell)
    counted = Counter(urls.values())
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    sources = [Source(url=url, facts=n, **pages.get(url, {"title": "", "licence": ""})) for url, n in ordered]
    return sources, len(facts - urls.keys())


def _facts(alas: Alas, manifest: dict[str, Any]) -> set[str]:
    """Return the facts that the rows of a training teach; those of a DPO are questions of the training before it."""
    if manifest["kind"] != "sft":
        return set()
    rows = alas.store.read_training_rows("sft", manifest["rows_hash"], ["fact_id"])
    return set(rows["fact_id"]) - {""}


def _pages(alas: Alas, last: Cell) -> dict[str, dict[str, str]]:
    """Return title, stated licence and day of every page that was read up to an iteration, as its newest reading until then has them."""
    found: dict[str, dict[str, str]] = {}
    for cell in scored_cells(alas, last.domain):
        pointer = alas.store.pointer(cell, "documents")
        if pointer is None or cell.number > last.number:
            continue
        for row in alas.store.read_table(pointer).filter("ok").iter_rows(named=True):
            read = {"title": row["title"] or "", "licence": row["licence"] or "", "read": row["retrieved_at"].date().isoformat()}
            found |= dict.fromkeys({row["final_url"], row["page_id"], row["requested_url"]} - {None}, read)
    return found
