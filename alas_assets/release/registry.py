"""Which adapter is current in each domain, since when and why; one step back at a time (G4).

One JSON file per domain, entries only ever appended; a takedown is an entry too. Whether something may be promoted is `release.gate`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import Field, ValidationError

from alas_assets.domains.mistakes import mistakes
from alas_assets.provenance.ids import CELL_NAME
from alas_assets.provenance.store import write_atomic
from alas_assets.records import Record

_LOCK_SECONDS = 30


class RegistryError(RuntimeError):
    """The registry cannot do what was asked; the message says why and what to do."""


class Entry(Record):
    """One change of what is current."""

    action: Literal["promote", "rollback", "takedown"]
    adapter_hash: str | None
    """What is current from here on; None for the base student."""
    previous: str | None
    """What was current before; for a promotion also what its rollback restores."""
    iteration: int
    decision_hash: str
    """Content hash of the gate's decision; for a takedown its id."""
    run_id: str
    """The run that decided; "" where a person rolled back, or took that back."""
    at: str
    retired: list[str] = Field(default_factory=list)
    """Adapters that a takedown took out for good: none of them is ever current again (A3)."""
    by: str = ""
    """Who rolled back, or took that back; "" where no person did."""
    reason: str = ""
    """Why, in that person's words."""


class _File(Record):
    domain: str
    entries: list[Entry] = Field(default_factory=list)


@dataclass(frozen=True)
class _State:
    """What a domain's entries come to.

    Attributes:
        current: What is current; None for the base student.
        in_force: The promotions that stand, oldest first: each rollback takes the last one away, a takedown those that it retired. A
            promotion replaces a standing one that it was not built on (the same iteration, materialised again).
        undone: The rollbacks that can be taken back, oldest first; a promotion of something else ends them all, as does a takedown.
    """

    current: str | None
    in_force: tuple[Entry, ...]
    undone: tuple[Entry, ...]

    @staticmethod
    def after(entries: Sequence[Entry]) -> _State:
        """Return the state after these entries, oldest first."""
        in_force: list[Entry] = []
        undone: list[Entry] = []
        for entry in entries:
            if entry.action == "takedown":
                in_force = _standing(in_force, entry.retired)
                undone.clear()
            elif entry.action == "rollback":
                del in_force[-1:]
                undone.append(entry)
            else:
                again = bool(undone) and entry.adapter_hash == undone[-1].previous
                del undone[-1 if again else 0 :]
                while in_force and in_force[-1].adapter_hash != entry.previous:
                    in_force.pop()
                in_force.append(entry)
        return _State(entries[-1].adapter_hash if entries else None, tuple(in_force), tuple(undone))


class Registry:
    """The promoted adapters of every domain.

    Args:
        root: The folder that holds one file per domain; made on first use.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def current(self, domain: str) -> str | None:
        """Return the hash of the current adapter; None for the base student."""
        return self._state(domain).current

    def newest(self, domain: str) -> Entry | None:
        """Return the promotion that is in force; None where none is."""
        return next(reversed(self._state(domain).in_force), None)

    def stands(self, domain: str, iteration: int) -> bool:
        """Tell whether a promotion of this iteration is in force: what is current is its adapter or was promoted after it."""
        return any(entry.iteration == iteration for entry in self._state(domain).in_force)

    def taken_back_by_the_gate(self, domain: str) -> bool:
        """Tell whether the last change is a rollback that no person asked for: an iteration, made again, decided otherwise."""
        entries = self.history(domain)
        return bool(entries) and entries[-1].action == "rollback" and entries[-1].run_id != ""

    def standing_rollback(self, domain: str) -> Entry | None:
        """Return the newest rollback that stands, a person's or the gate's own; None where none does."""
        return next(reversed(self._state(domain).undone), None)

    def rollback_of(self, domain: str, adapter: str) -> Entry | None:
        """Return the rollback that took an adapter out; None where none did, or it became current again since."""
        found = None
        for entry in self.history(domain):
            if entry.action == "rollback" and entry.previous == adapter:
                found = entry
            elif entry.adapter_hash == adapter:
                found = None
        return found

    def history(self, domain: str) -> list[Entry]:
        """Return every change, oldest first.

        Raises:
            RegistryError: The domain's name or its file cannot be used.
        """
        path = self._path(domain)
        try:
            return _File.model_validate_json(path.read_bytes()).entries
        except FileNotFoundError:
            return []
        except (OSError, ValidationError) as error:
            why = error.strerror if isinstance(error, OSError) else mistakes(error, _File)[0]
            raise RegistryError(
                f"{path}: cannot be read ({why}); restore it from a copy, or move it away to start again from the base student"
            ) from error

    def promote(
        self, domain: str, adapter_hash: str, *, iteration: int, decision_hash: str, run_id: str, at: str, previous: str | None
    ) -> Entry:
        """Make an adapter current and return the entry; a decision that is in force already changes nothing.

        So a step that is run again neither promotes twice nor undoes a person's rollback that came after it. A decision that the gate
        itself replaced or took back meanwhile is applied again: its iteration has gone back to the candidate that it is about.

        Args:
            domain: The domain's key.
            adapter_hash: The adapter that passed the gate.
            iteration: The iteration it is from.
            decision_hash: Content hash of the gate's decision.
            run_id: The run that decided.
            at: When, ISO 8601 in UTC.
            previous: What the candidate was compared with; a rollback restores it.

        Raises:
            RegistryError: Something else became current since the decision was taken, a person rolled this iteration's promotion back
                meanwhile, or a takedown retired the adapter.
        """
        with self._locked(domain):
            entries = self.history(domain)
            if takedown := next((entry for entry in entries if adapter_hash in entry.retired), None):
                raise RegistryError(
                    f"{domain}: adapter {adapter_hash[:12]} was retired by takedown {takedown.decision_hash} on {takedown.at} and cannot "
                    f"be promoted; see takedown-{takedown.decision_hash} among the store's reports, then `alas run {domain}`"
                )
            state = _State.after(entries)
            by_hand = [entry for entry in state.undone if not entry.run_id]
            if any(entry.decision_hash == decision_hash for entry in (*by_hand, *state.in_force)):
                return next(entry for entry in entries if entry.action == "promote" and entry.decision_hash == decision_hash)
            last = next(reversed(state.undone), None)
            if last and not last.run_id and last.iteration == iteration:
                raise RegistryError(
                    f"{domain}: what iteration {iteration:03d} promoted was rolled back on {last.at} while the gate decided on it "
                    "anew; materialise promotion again"
                )
            newest = next(reversed(state.in_force), None)
            own = newest is not None and newest.iteration == iteration and newest.previous == previous
            if state.current != previous and not own:
                raise RegistryError(
                    f"{domain}: adapter {(state.current or 'none (base)')[:12]} became current while the gate compared with "
                    f"{(previous or 'none (base)')[:12]}; materialise promotion again"
                )
            entry = Entry(
                action="promote",
                adapter_hash=adapter_hash,
                previous=previous,
                iteration=iteration,
                decision_hash=decision_hash,
                run_id=run_id,
                at=at,
            )
            self._write(domain, [*entries, entry])
            return entry

    def rollback(
        self,
        domain: str,
        *,
        expected: Entry | None = None,
        to_base: bool = False,
        run_id: str = "",
        by: str = "",
        reason: str = "",
    ) -> str | None:
        """Undo the last promotion that is in force and return what is current then; None for the base student.

        Args:
            domain: The domain's key.
            expected: The promotion that is meant; None for the last one, whichever that is by now.
            to_base: Undo every promotion that is in force, each as an entry of its own, so that each can be taken back.
            run_id: The run that decided; "" where a person did.
            by: That person.
            reason: Why, in that person's words.

        Raises:
            RegistryError: There is nothing to undo, or the last promotion is another one than the one that is meant.
        """
        with self._locked(domain):
            entries = self.history(domain)
            stack = _State.after(entries).in_force
            if not stack:
                past = "every promotion was undone already" if entries else "no adapter was ever promoted"
                raise RegistryError(f"{domain}: nothing to roll back, {past}; the base student is current")
            undone = stack[-1]
            if expected and undone.decision_hash != expected.decision_hash:
                raise RegistryError(
                    f"{domain}: adapter {(undone.adapter_hash or '')[:12]} is current, not {(expected.adapter_hash or '')[:12]}, whose "
                    "promotion was to be undone: something changed meanwhile; materialise promotion again"
                )
            undoing = [
                Entry(
                    action="rollback",
                    adapter_hash=one.previous,
                    previous=one.adapter_hash,
                    iteration=one.iteration,
                    decision_hash=one.decision_hash,
                    run_id=run_id,
                    at=_now(),
                    by=by,
                    reason=reason,
                )
                for one in reversed(stack if to_base else stack[-1:])
            ]
            self._write(domain, [*entries, *undoing])
            return undoing[-1].adapter_hash

    def undo_rollback(self, domain: str, *, by: str = "", reason: str = "") -> str | None:
        """Take the last rollback back, if a person made it, and return what is current then.

        Args:
            domain: The domain's key.
            by: Who takes it back.
            reason: Why, in that person's words.

        Raises:
            RegistryError: No rollback stands, something was promoted after it, or the gate made it.
        """
        with self._locked(domain):
            entries = self.history(domain)
            last = next(reversed(_State.after(entries).undone), None)
            if last is None:
                raise RegistryError(f"{domain}: no rollback stands that could be taken back")
            if last.run_id:
                raise RegistryError(
                    f"{domain}: no person made the last rollback. Decided anew, iteration {last.iteration:03d} promotes nothing, so on "
                    f"{last.at} the gate took decision {last.decision_hash[:16]} back (run {last.run_id[:8]}); promotion of "
                    f"{domain}|{last.iteration:03d} says why, and only a new decision brings an adapter back"
                )
            entry = last.model_copy(
                update={
                    "action": "promote",
                    "adapter_hash": last.previous,
                    "previous": last.adapter_hash,
                    "run_id": "",
                    "at": _now(),
                    "by": by,
                    "reason": reason,
                }
            )
            self._write(domain, [*entries, entry])
            return entry.adapter_hash

    def current_without(self, domain: str, retired: Collection[str]) -> str | None:
        """Return what would be current without these adapters: the newest promotion in force that stands; None for the base student."""
        stack = _standing(self._state(domain).in_force, retired)
        return stack[-1].adapter_hash if stack else None

    def take_down(self, domain: str, retired: Collection[str], *, takedown: str, at: str) -> str | None:
        """Take adapters out for good and return what is current then; the same takedown given again changes nothing (A3).

        A rollback never leads back to one of them, and no rollback that stands can be taken back afterwards.

        Args:
            domain: The domain's key.
            retired: The adapters; one that was never promoted is refused later all the same.
            takedown: The takedown's id.
            at: When, ISO 8601 in UTC.

        Raises:
            RegistryError: The file cannot be used.
        """
        with self._locked(domain):
            entries = self.history(domain)
            state = _State.after(entries)
            known = {adapter for entry in entries if entry.decision_hash == takedown for adapter in entry.retired}
            if set(retired) <= known:
                return state.current
            stack = _standing(state.in_force, retired)
            entry = Entry(
                action="takedown",
                adapter_hash=stack[-1].adapter_hash if stack else None,
                previous=state.current,
                iteration=stack[-1].iteration if stack else -1,
                decision_hash=takedown,
                run_id="",
                at=at,
                retired=sorted(retired),
            )
            self._write(domain, [*entries, entry])
            return entry.adapter_hash

    def _state(self, domain: str) -> _State:
        return _State.after(self.history(domain))

    def _path(self, domain: str) -> Path:
        if not CELL_NAME.match(domain):
            raise RegistryError(f"{domain[:80]!r} is not a domain: use a-z, 0-9 and '-', at most 64 characters")
        return self.root / f"{domain}.json"

    def _write(self, domain: str, entries: list[Entry]) -> None:
        write_atomic(self._path(domain), _File(domain=domain, entries=entries).model_dump_json(indent=1).encode())

    @contextmanager
    def _locked(self, domain: str) -> Iterator[None]:
        path = self._path(domain)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=_LOCK_SECONDS)
        except Timeout as error:
            raise RegistryError(f"{domain}: the registry has been locked for {_LOCK_SECONDS} s by another process; try again") from error
        try:
            yield
        finally:
            lock.release()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _standing(stack: Sequence[Entry], retired: Collection[str]) -> list[Entry]:
    """Return these promotions without those of retired adapters, each leading back to the one that is before it then."""
    kept: list[Entry] = []
    for entry in stack:
        if entry.adapter_hash in retired:
            continue
        back = kept[-1].adapter_hash if kept else None
        kept.append(entry if entry.previous not in retired else entry.model_copy(update={"previous": back}))
    return kept
