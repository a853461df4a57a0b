"""Every call that was ever paid for, in one SQLite file that several processes may use at once (O4, O5, O7, A1).

Storing, finding, counting, carrying from one home to another. Who sends is `session`, who answers from it alone `replay`.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from alas_assets.teachers.endpoint.calls import EndpointError, ModelReply
from alas_assets.teachers.endpoint.exported import FAILURE_COLUMNS, CallLine, FailureLine, LineError, read_line
from alas_assets.teachers.endpoint.wire import Finish, finish_of

NO_CELL = ("", -1)
"""What was not asked for an iteration of a domain."""

_VERSION = 1
_PART = 400  # keys in one query
_PERCENTILES = (50, 90, 99)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
  key TEXT PRIMARY KEY, endpoint TEXT NOT NULL, model TEXT NOT NULL, purpose TEXT NOT NULL, item TEXT NOT NULL, prompt TEXT NOT NULL,
  attempt INTEGER NOT NULL, request TEXT NOT NULL, text TEXT NOT NULL, finish TEXT NOT NULL, meta TEXT NOT NULL,
  prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, estimated INTEGER NOT NULL, money REAL, currency TEXT NOT NULL,
  latency REAL NOT NULL, at TEXT NOT NULL, domain TEXT NOT NULL, iteration INTEGER NOT NULL, imported INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS calls_by_cell ON calls (domain, iteration);
CREATE TABLE IF NOT EXISTS attempts (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, model TEXT NOT NULL, purpose TEXT NOT NULL, item TEXT NOT NULL, kind TEXT NOT NULL,
  scope TEXT NOT NULL, message TEXT NOT NULL, status INTEGER, last INTEGER NOT NULL, latency REAL NOT NULL, at TEXT NOT NULL,
  domain TEXT NOT NULL, iteration INTEGER NOT NULL, charged_tokens INTEGER NOT NULL, charged_money REAL NOT NULL);
CREATE INDEX IF NOT EXISTS attempts_by_cell ON attempts (domain, iteration);
CREATE INDEX IF NOT EXISTS failures_by_key ON attempts (key) WHERE last;
CREATE TABLE IF NOT EXISTS uses (
  domain TEXT NOT NULL, iteration INTEGER NOT NULL, key TEXT NOT NULL, replays INTEGER NOT NULL, PRIMARY KEY (domain, iteration, key));
CREATE TABLE IF NOT EXISTS spent (
  domain TEXT NOT NULL, iteration INTEGER NOT NULL, tokens INTEGER NOT NULL, money REAL NOT NULL, perhaps_tokens INTEGER NOT NULL,
  perhaps_money REAL NOT NULL, PRIMARY KEY (domain, iteration));
CREATE TABLE IF NOT EXISTS reservations (
  id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, born REAL NOT NULL, domain TEXT NOT NULL, iteration INTEGER NOT NULL,
  tokens INTEGER NOT NULL, money REAL NOT NULL);
CREATE TABLE IF NOT EXISTS abilities (
  endpoint TEXT NOT NULL, model TEXT NOT NULL, found TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (endpoint, model));
"""


class LedgerError(EndpointError):
    """The ledger cannot be read or written, or a file to import is wrong; the message names the file and what to do."""


@dataclass(frozen=True)
class CallRow:
    """One answered call, redacted.

    Attributes:
        key: Content key.
        endpoint: Identity of the endpoint.
        model: Its name there.
        purpose: What it was for.
        item: What it was about.
        prompt: Name, version and hash of the prompt text.
        attempt: Which asking.
        request: JSON of what was sent.
        text: What the model said.
        finish: Why it stopped.
        meta: JSON of what the server said about it.
        prompt_tokens: Sent.
        completion_tokens: Received.
        estimated: Whether the server did not count, and the tokens are an upper bound.
        money: Cost, None where no price is known.
        currency: Of the cost.
        latency: Seconds of the attempt that succeeded.
        at: When it returned, UTC.
        domain: Of the cell that paid.
        iteration: Of the cell that paid.
    """

    key: str
    endpoint: str
    model: str
    purpose: str
    item: str
    prompt: str
    attempt: int
    request: str
    text: str
    finish: Finish
    meta: str
    prompt_tokens: int
    completion_tokens: int
    estimated: bool
    money: float | None
    currency: str
    latency: float
    at: str
    domain: str
    iteration: int

    @property
    def tokens(self) -> int:
        """Sent and received."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class AttemptRow:
    """One attempt that gave no answer.

    Attributes:
        key: Content key of the call.
        model: Its name at the endpoint.
        purpose: What it was for.
        item: What it was about.
        kind: The fault in one word (`faults.Fault.kind`).
        scope: Whom it concerns.
        message: What happened, redacted.
        status: HTTP status, if there was one.
        last: Whether the call failed with it.
        latency: Seconds.
        domain: Of the cell that asked.
        iteration: Of the cell that asked.
        charged_tokens: Tokens counted against the cap because the server may have billed them.
        charged_money: The same in money.
    """

    key: str
    model: str
    purpose: str
    item: str
    kind: str
    scope: str
    message: str
    status: int | None
    last: bool
    latency: float
    domain: str
    iteration: int
    charged_tokens: int = 0
    charged_money: float = 0.0


@dataclass(frozen=True)
class Spent:
    """What a cell has spent.

    Attributes:
        tokens: Of answered calls.
        money: Of answered calls with a known price.
        perhaps_tokens: Upper bound of what cut-off attempts may have cost as well.
        perhaps_money: The same in money.
    """

    tokens: int = 0
    money: float = 0.0
    perhaps_tokens: int = 0
    perhaps_money: float = 0.0


@dataclass
class PurposeTotals:
    """One line of the table that the UI shows: a purpose of a cell.

    Attributes:
        purpose: What the calls were for.
        calls: Answered and paid for by this cell.
        replayed: Answers taken from the ledger, counted each time.
        prompt_tokens: Sent.
        completion_tokens: Received.
        estimated: Calls whose tokens the server did not count.
        money: Cost of the priced calls.
        unpriced: Calls of unknown price; where there are any, `money` is not the whole.
        truncated: Answers cut off at their limit.
        failed: Calls that ended without an answer.
        faults: Failed attempts by kind.
        latency: Seconds by percentile (50, 90, 99) of the answered attempts.
    """

    purpose: str
    calls: int = 0
    replayed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: int = 0
    money: float = 0.0
    unpriced: int = 0
    truncated: int = 0
    failed: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    latency: dict[int, float] = field(default_factory=dict)

    def shown_money(self, currency: str) -> str:
        """Return the cost in words; what is unknown is said to be unknown."""
        if not self.unpriced:
            return f"{self.money:.4f} {currency}"
        return "unknown" if self.unpriced == self.calls else f"{self.money:.4f} {currency} and {self.unpriced} calls of unknown price"


_COLUMNS = tuple(CallRow.__dataclass_fields__)
_ATTEMPT_COLUMNS = tuple(AttemptRow.__dataclass_fields__)


class Ledger:
    """The ledger of one home.

    A call is stored in one transaction of a write-ahead log: a killed process loses none that was stored. (A power cut may lose the last
    few: the log is not flushed to the disk at every call, which would cost more time than the calls are worth.)

    Args:
        path: The file; made on first use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the file; it is opened again when needed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Give a connection within one transaction.

        Raises:
            LedgerError: The file is damaged, locked for a minute, or cannot be written.
        """
        with self._lock:
            try:
                connection = self._connection or self._open()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                connection.commit()
            except sqlite3.Error as error:
                raise self._cannot("be used", error) from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection or self._open()
            except sqlite3.Error as error:
                raise self._cannot("be read", error) from error

    def _open(self) -> sqlite3.Connection:
        connection = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=60, check_same_thread=False, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise LedgerError(f"{self.path}: a ledger of version {version}, made by a newer alas_assets; this one reads {_VERSION}")
            if version == 0:
                connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version={_VERSION};COMMIT;")
        except (sqlite3.Error, OSError) as error:
            if connection is not None:
                connection.close()
            raise self._cannot("be opened", error) from error
        self._connection = connection
        return connection

    def _cannot(self, what: str, error: Exception) -> LedgerError:
        return LedgerError(
            f"{self.path}: the teacher's ledger cannot {what} ({error}); if it is damaged, save what can be read with "
            f"`sqlite3 {self.path.name} .recover` or move it away to start an empty one, which pays for every call again"
        )

    # -- calls --------------------------------------------------------------------------------------------------
    def get(self, keys: Iterable[str]) -> dict[str, CallRow]:
        """Return the stored calls of these keys by key; those that were never answered are left out."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, CallRow] = {}
        with self._reading() as connection:
            for start in range(0, len(wanted), _PART):
                part = wanted[start : start + _PART]
                marks = ",".join("?" * len(part))
                query = f"SELECT {', '.join(_COLUMNS)} FROM calls WHERE key IN ({marks})"  # noqa: S608 - only fixed names and "?"
                for values in connection.execute(query, part):
                    row = CallRow(**dict(zip(_COLUMNS, values, strict=True)))
                    found[row.key] = row
        return found

    def has_answer(self, endpoint: str, model: str) -> bool:
        """Whether a model has ever answered at an endpoint; what was imported was asked by somebody else, with another key."""
        with self._reading() as connection:
            query = "SELECT 1 FROM calls WHERE endpoint = ? AND model = ? AND NOT imported LIMIT 1"
            return connection.execute(query, (endpoint, model)).fetchone() is not None

    def failed(self, keys: Iterable[str]) -> dict[str, AttemptRow]:
        """Return how calls of these keys last ended without an answer, by key; what concerned the endpoint and no call is left out."""
        found: dict[str, AttemptRow] = {}
        wanted = list(dict.fromkeys(keys))
        with self._reading() as connection:
            for start in range(0, len(wanted), _PART):
                part = wanted[start : start + _PART]
                marks = ",".join("?" * len(part))
                query = (
                    f"SELECT {', '.join(_ATTEMPT_COLUMNS)} FROM attempts "  # noqa: S608 - only fixed names and "?"
                    f"WHERE last AND scope <> 'endpoint' AND key IN ({marks}) ORDER BY id"
                )
                for values in connection.execute(query, part):
                    row = AttemptRow(**dict(zip(_ATTEMPT_COLUMNS, values, strict=True)))
                    found[row.key] = row
        return found

    def put(self, row: CallRow, reservation: int | None = None) -> CallRow:
        """Store an answered call and return what stands in the ledger: the first answer, if another process was faster.

        An answer that came second was paid for too, and counts as spent.
        """
        values = [getattr(row, name) for name in _COLUMNS]
        marks = ", ".join("?" * len(_COLUMNS))
        with self._transaction() as connection:
            stored = connection.execute(
                f"INSERT OR IGNORE INTO calls ({', '.join(_COLUMNS)}) VALUES ({marks})",  # noqa: S608 - fixed names
                values,
            ).rowcount
            _use(connection, row.domain, row.iteration, row.key, replays=0)
            _spend(connection, row.domain, row.iteration, Spent(tokens=row.tokens, money=row.money or 0.0))
            _release(connection, reservation)
        return row if stored else self.get([row.key])[row.key]

    def put_attempt(self, row: AttemptRow, reservation: int | None = None) -> None:
        """Store an attempt that gave no answer."""
        values = [getattr(row, name) for name in _ATTEMPT_COLUMNS]
        marks = ", ".join("?" * (len(_ATTEMPT_COLUMNS) + 1))
        with self._transaction() as connection:
            connection.execute(
                f"INSERT INTO attempts ({', '.join(_ATTEMPT_COLUMNS)}, at) VALUES ({marks})",  # noqa: S608 - fixed names
                [*values, now()],
            )
            if row.last:  # a replay of this cell needs to know how the call ended
                _use(connection, row.domain, row.iteration, row.key, replays=0)
            if row.charged_tokens or row.charged_money:
                _spend(
                    connection,
                    row.domain,
                    row.iteration,
                    Spent(perhaps_tokens=row.charged_tokens, perhaps_money=row.charged_money),
                )
            _release(connection, reservation)

    def replayed(self, cell: tuple[str, int], keys: Sequence[str]) -> None:
        """Count answers that a cell took from the ledger."""
        if keys:
            with self._transaction() as connection:
                for key in keys:
                    _use(connection, *cell, key, replays=1)

    # -- what may be spent --------------------------------------------------------------------------------------
    def spent(self, cell: tuple[str, int]) -> Spent:
        """Return what a cell has spent in all its runs."""
        with self._reading() as connection:
            return _spent(connection, cell)

    def price(self, cell: tuple[str, int], model: str, cost: Callable[[int, int], float]) -> int:
        """Give a cell's calls of a model the price that was unknown when they were paid for, and return how many had none."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT key, prompt_tokens, completion_tokens FROM calls WHERE domain=? AND iteration=? AND model=? AND money IS NULL",
                (*cell, model),
            ).fetchall()
            for key, sent, received in rows:
                money = cost(sent, received)
                connection.execute("UPDATE calls SET money=? WHERE key=?", (money, key))
                _spend(connection, *cell, Spent(money=money))
        return len(rows)

    def reserve(
        self, cell: tuple[str, int], tokens: int, money: float, fits: Callable[[Spent, int, float], bool]
    ) -> tuple[int | None, bool]:
        """Set an upper bound aside, together with what other processes have set aside for the same cell.

        What a killed process had set aside may have been billed, and counts as such.

        Args:
            cell: Who pays.
            tokens: The bound.
            money: The bound.
            fits: Whether that much may be under way, from what is spent and all that would be set aside.

        Returns:
            The reservation or None, and whether others are under way, so that asking again later may help.
        """
        with self._transaction() as connection:
            _bury(connection)
            aside = connection.execute(
                "SELECT COALESCE(SUM(tokens), 0), COALESCE(SUM(money), 0), COUNT(*) FROM reservations WHERE domain=? AND iteration=?", cell
            ).fetchone()
            if not fits(_spent(connection, cell), aside[0] + tokens, aside[1] + money):
                return None, aside[2] > 0
            made = connection.execute(
                "INSERT INTO reservations (pid, born, domain, iteration, tokens, money) VALUES (?, ?, ?, ?, ?, ?)",
                (os.getpid(), _born(os.getpid()), *cell, tokens, money),
            ).lastrowid
            return made, True

    def release(self, reservation: int | None) -> None:
        """Give back what was set aside and not used."""
        if reservation is not None:
            with self._transaction() as connection:
                _release(connection, reservation)

    # -- abilities ----------------------------------------------------------------------------------------------
    def abilities(self, endpoint: str, model: str) -> dict[str, Any] | None:
        """Return what was found out about a model, None where it was never probed."""
        with self._reading() as connection:
            row = connection.execute("SELECT found FROM abilities WHERE endpoint=? AND model=?", (endpoint, model)).fetchone()
        return json.loads(row[0]) if row else None

    def put_abilities(self, endpoint: str, model: str, found: dict[str, Any]) -> None:
        """Store what was found out about a model."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO abilities VALUES (?, ?, ?, ?)", (endpoint, model, json.dumps(found), now()))

    # -- what people see ----------------------------------------------------------------------------------------
    def totals(self, cell: tuple[str, int]) -> list[PurposeTotals]:
        """Return what a cell's calls came to, by purpose."""
        found: dict[str, PurposeTotals] = {}

        def of(purpose: str) -> PurposeTotals:
            return found.setdefault(purpose, PurposeTotals(purpose))

        with self._reading() as connection:
            for purpose, *numbers in connection.execute(
                "SELECT purpose, COUNT(*), SUM(prompt_tokens), SUM(completion_tokens), SUM(estimated), COALESCE(SUM(money), 0), "
                "SUM(money IS NULL), SUM(finish='length') FROM calls WHERE domain=? AND iteration=? GROUP BY purpose",
                cell,
            ):
                line = of(purpose)
                line.calls, line.prompt_tokens, line.completion_tokens, line.estimated, line.money, line.unpriced, line.truncated = numbers
            for purpose, replays in connection.execute(
                "SELECT purpose, SUM(replays) FROM uses JOIN calls USING (key) WHERE uses.domain=? AND uses.iteration=? GROUP BY purpose",
                cell,
            ):
                of(purpose).replayed = replays
            for purpose, kind, count, last in connection.execute(
                "SELECT purpose, kind, COUNT(*), SUM(last) FROM attempts WHERE domain=? AND iteration=? "
                "GROUP BY purpose, kind ORDER BY kind",
                cell,
            ):
                of(purpose).faults[kind] = count
                of(purpose).failed += last
            for line in found.values():
                times = [
                    row[0]
                    for row in connection.execute(
                        "SELECT latency FROM calls WHERE domain=? AND iteration=? AND purpose=? ORDER BY latency", (*cell, line.purpose)
                    )
                ]
                line.latency = {p: times[min(len(times) - 1, len(times) * p // 100)] for p in _PERCENTILES} if times else {}
        return [found[purpose] for purpose in sorted(found)]

    def failures(self, cell: tuple[str, int], limit: int = 100) -> list[AttemptRow]:
        """Return a cell's calls that ended without an answer, newest first."""
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {', '.join(_ATTEMPT_COLUMNS)} FROM attempts "  # noqa: S608 - fixed names
                "WHERE domain=? AND iteration=? AND last ORDER BY id DESC LIMIT ?",
                (*cell, limit),
            ).fetchall()
        return [AttemptRow(**dict(zip(_ATTEMPT_COLUMNS, row, strict=True))) for row in rows]

    # -- record and replay --------------------------------------------------------------------------------------
    def export(self, path: Path, cell: tuple[str, int] | None = None) -> int:
        """Write the calls (of one cell: those it used) and abilities as JSON lines, ordered by key, and return how many calls.

        A call that was never answered goes as its last failure, and is not counted.
        """
        used = "WHERE key IN (SELECT key FROM uses WHERE domain=? AND iteration=?)" if cell else ""
        query = f"SELECT {', '.join(_COLUMNS)} FROM calls {used} ORDER BY key"  # noqa: S608 - fixed names
        failures = (
            f"SELECT {', '.join(FAILURE_COLUMNS)} FROM attempts {used} {'AND' if used else 'WHERE'} id IN "  # noqa: S608 - fixed names
            "(SELECT MAX(id) FROM attempts WHERE last AND scope <> 'endpoint' GROUP BY key) "
            "AND key NOT IN (SELECT key FROM calls) ORDER BY key"
        )
        count = 0
        part = path.with_name(f".{path.name}.part")
        with self._reading() as connection, part.open("w", encoding="utf-8") as out:
            for endpoint, model, found in connection.execute("SELECT endpoint, model, found FROM abilities ORDER BY endpoint, model"):
                out.write(_line({"kind": "abilities", "endpoint": endpoint, "model": model, "found": json.loads(found)}))
            for values in connection.execute(query, cell or ()):
                out.write(_line({"kind": "call"} | dict(zip(_COLUMNS, values, strict=True))))
                count += 1
            for values in connection.execute(failures, cell or ()):
                out.write(_line({"kind": "failure", "fault": dict(zip(FAILURE_COLUMNS, values, strict=True))}))
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, path)
        return count

    def load(self, path: Path) -> int:
        """Take over the calls of an exported file, all or none, redacted, and return how many were new; nobody's budget pays for them.

        Raises:
            LedgerError: The file is missing or a line is wrong; the message names file and line.
        """
        new = 0
        with self._transaction() as connection:
            for number, line in _lines(path):
                try:
                    found = read_line(line)
                except LineError as error:
                    raise LedgerError(f"{path}: line {number} is no row of a ledger: {error}") from error
                if isinstance(found, CallLine):
                    new += _import_call(connection, found)
                elif isinstance(found, FailureLine):
                    _import_failure(connection, found)
                else:
                    values = (found.endpoint, found.model, json.dumps(found.found.model_dump(by_alias=True)), now())
                    connection.execute("INSERT OR IGNORE INTO abilities VALUES (?, ?, ?, ?)", values)
        return new


def _import_call(connection: sqlite3.Connection, line: CallLine) -> int:
    values = line.model_dump(include=set(_COLUMNS)) | {"domain": NO_CELL[0], "iteration": NO_CELL[1], "imported": True}
    return connection.execute(
        f"INSERT OR IGNORE INTO calls ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",  # noqa: S608 - fixed names
        list(values.values()),
    ).rowcount


def _import_failure(connection: sqlite3.Connection, line: FailureLine) -> None:
    """Take over how a call ended, unless that is known here: what happened here last counts."""
    values = line.fault.model_dump() | {"domain": NO_CELL[0], "iteration": NO_CELL[1], "charged_tokens": 0, "charged_money": 0.0}
    values |= {"last": True, "at": now()}
    connection.execute(
        f"INSERT INTO attempts ({', '.join(values)}) SELECT {', '.join('?' * len(values))} "  # noqa: S608 - fixed names
        "WHERE NOT EXISTS (SELECT 1 FROM attempts WHERE last AND scope <> 'endpoint' AND key=?)",
        [*values.values(), line.fault.key],
    )


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) + "\n"


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as lines:
            yield from enumerate(lines, 1)
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"{path}: cannot be read as a ledger's export ({error})") from error


def now() -> str:
    """Return the time as it stands in the ledger: UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _use(connection: sqlite3.Connection, domain: str, iteration: int, key: str, replays: int) -> None:
    connection.execute(
        "INSERT INTO uses VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET replays = replays + excluded.replays",
        (domain, iteration, key, replays),
    )


def _spend(connection: sqlite3.Connection, domain: str, iteration: int, more: Spent) -> None:
    connection.execute(
        "INSERT INTO spent VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET tokens = tokens + excluded.tokens, "
        "money = money + excluded.money, perhaps_tokens = perhaps_tokens + excluded.perhaps_tokens, "
        "perhaps_money = perhaps_money + excluded.perhaps_money",
        (domain, iteration, *asdict(more).values()),
    )


def _spent(connection: sqlite3.Connection, cell: tuple[str, int]) -> Spent:
    row = connection.execute(
        "SELECT tokens, money, perhaps_tokens, perhaps_money FROM spent WHERE domain=? AND iteration=?", cell
    ).fetchone()
    return Spent(*row) if row else Spent()


def _release(connection: sqlite3.Connection, reservation: int | None) -> None:
    if reservation is not None:
        connection.execute("DELETE FROM reservations WHERE id=?", (reservation,))


def _bury(connection: sqlite3.Connection) -> None:
    """Charge what dead processes had set aside to the cells they worked for: it may have been billed."""
    for pid, born in connection.execute("SELECT DISTINCT pid, born FROM reservations").fetchall():
        if _born(pid) == born:
            continue
        rows = connection.execute(
            "SELECT domain, iteration, SUM(tokens), SUM(money) FROM reservations WHERE pid=? AND born=? GROUP BY domain, iteration",
            (pid, born),
        ).fetchall()
        for domain, iteration, tokens, money in rows:
            _spend(connection, domain, iteration, Spent(perhaps_tokens=tokens, perhaps_money=money))
        connection.execute("DELETE FROM reservations WHERE pid=? AND born=?", (pid, born))


def _born(pid: int) -> float:
    """Return when a process was started, 0 where there is none: a process id may be given again."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


def reply_of(row: CallRow, replayed: bool) -> ModelReply:
    """Return a stored call as the reply that the loop sees."""
    meta = json.loads(row.meta)
    refusal = meta.get("refusal", "")
    finish = finish_in(row)
    return ModelReply(
        key=row.key,
        text=row.text,
        finish=finish,
        finish_word=str(meta.get("finish_reason") or meta.get("status") or "") if finish == "none" else "",
        failure=f"the model refused: {refusal}" if refusal else "",
        replayed=replayed,
    )


def finish_in(row: CallRow) -> Finish:
    """Return why a stored answer ended: what was not known when it was paid for may be known now."""
    return finish_of(json.loads(row.meta).get("finish_reason")) if row.finish == "none" else row.finish


def failed_reply(key: str, kind: str, message: str, replayed: bool) -> ModelReply:
    """Return what the loop sees of a call that ended without an answer.

    Args:
        key: Of the call.
        kind: The fault in one word.
        message: What happened, redacted.
        replayed: Whether that is read from the ledger.
    """
    return ModelReply(key=key, finish="filtered" if kind == "filtered" else "none", failure=message, replayed=replayed)


def open_ledger(path: Path) -> closing[Ledger]:
    """Return a ledger that is closed at the end of a `with` block."""
    return closing(Ledger(path))
