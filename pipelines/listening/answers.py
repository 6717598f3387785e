"""Store sessions and clicks in SQLite: each click is one row, and it is on the disk before the server acknowledges it.

Clicks that arrive while the disk is busy are committed together: fifty raters at once wait for one flush, not for fifty.
"""

import hashlib
import hmac
import secrets
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

_SCHEMA = """
CREATE TABLE IF NOT EXISTS secret (value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS clips (hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
  id INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, participant TEXT NOT NULL, begun_at TEXT NOT NULL,
  step INTEGER NOT NULL DEFAULT 0, turn INTEGER UNIQUE, attempt INTEGER NOT NULL DEFAULT 1, state TEXT NOT NULL DEFAULT 'open');
CREATE TABLE IF NOT EXISTS clicks (
  id INTEGER PRIMARY KEY, session INTEGER NOT NULL REFERENCES sessions(id), click TEXT NOT NULL, at TEXT NOT NULL,
  step INTEGER NOT NULL, attempt INTEGER NOT NULL, kind TEXT NOT NULL, page TEXT NOT NULL, scale TEXT NOT NULL,
  place INTEGER, item TEXT, system TEXT, value INTEGER, plays INTEGER, late INTEGER NOT NULL DEFAULT 0,
  UNIQUE (session, click));
CREATE INDEX IF NOT EXISTS clicks_of_a_page ON clicks (session, step, attempt);
"""
_INSERT = """
INSERT OR IGNORE INTO clicks (session, click, at, step, attempt, kind, page, scale, place, item, system, value, late, plays)
SELECT :session, :click, :at, :step, :attempt, :kind, :page, :scale, :place, :item, :system, :value, :late, COUNT(*) FROM clicks
WHERE session = :session AND step = :step AND attempt = :attempt AND place = :place AND kind = 'play'
"""
_ON = "step = step + 1, attempt = 1"
_MOVES = {"next": _ON, "again": "attempt = attempt + 1", "refused": "state = 'refused'", "done": f"{_ON}, state = 'done'"}
"""How a click on "Next" changes a session."""
_TURN = ", turn = (SELECT COALESCE(MAX(turn) + 1, 0) FROM sessions)"
T = TypeVar("T")


@dataclass(frozen=True)
class Session:
    """A rater's way through the study. token: SHA-256 of the secret in the link; state: open, done or refused."""

    id: int
    token: str
    participant: str
    begun_at: str
    step: int
    turn: int | None
    attempt: int
    state: str


@dataclass(frozen=True)
class Click:
    """What a rater did. click: made by the browser, so that a click that arrives twice is stored once."""

    click: str
    step: int
    kind: str
    page: str
    scale: str = ""
    place: int | None = None
    item: str | None = None
    system: str | None = None
    value: int | None = None


class Answers:
    """The database of a study, for many threads: one connection writes, another reads without waiting for the disk."""

    def __init__(self, path: Path) -> None:
        self._writing, self._reading, self._queueing = threading.Lock(), threading.Lock(), threading.Lock()
        self._queue: list[tuple[Callable[[], Any], Future[Any]]] = []
        self._file = self._open(path)
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.executescript(_SCHEMA)
        self._reader = self._open(path)
        self._secret = bytes.fromhex(self._first("secret", secrets.token_hex(32)))

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        file = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        file.execute("PRAGMA synchronous=FULL")
        return file

    def _first(self, table: str, value: str) -> str:
        """Give the one value of a table; at first it is `value`."""
        query = f"INSERT INTO {table} SELECT ? WHERE NOT EXISTS (SELECT 1 FROM {table})"
        self._commit(lambda: self._file.execute(query, (value,)))
        return str(self._read(f"SELECT * FROM {table}", ())[0][0])

    def clips(self, digest: str) -> str:
        """Give the hash of the table of clips that raters judge; at first it is `digest`."""
        return self._first("clips", digest)

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        self._file.close()

    def _commit(self, change: Callable[[], T]) -> T:
        """Make a change and wait until it is on the disk. The first thread that comes commits for all that wait."""
        outcome: Future[T] = Future()
        with self._queueing:
            self._queue.append((change, outcome))
        with self._writing:
            if not outcome.done():
                self._commit_all()
        return outcome.result()

    def _commit_all(self) -> None:
        with self._queueing:
            changes, self._queue = self._queue, []
        try:
            self._file.execute("BEGIN IMMEDIATE")
            ends = [self._try(change, outcome) for change, outcome in changes]
            self._file.execute("COMMIT")
        except BaseException as error:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            ends = [partial(outcome.set_exception, error) for _, outcome in changes]
        for end in ends:
            end()

    def _try(self, change: Callable[[], T], outcome: Future[T]) -> Callable[[], None]:
        """Make one change of several: if it fails, the others stand. Give what ends its wait after the commit."""
        self._file.execute("SAVEPOINT one")
        try:
            end = partial(outcome.set_result, change())
        except Exception as error:
            self._file.execute("ROLLBACK TO one")
            end = partial(outcome.set_exception, error)
        self._file.execute("RELEASE one")
        return end

    def _read(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._reading:
            return self._reader.execute(query, values).fetchall()

    def begin(self, participant: str) -> str:
        """Make a session, or find that of a participant who has been here; return the secret for the link.

        The participant's id is not stored, only a keyed hash of it. Without an id, every visit is a new session.
        """
        token = self._keyed(f"link {participant}") if participant else secrets.token_urlsafe(24)
        hashed = self._keyed(participant)[:24] if participant else ""
        query = "INSERT OR IGNORE INTO sessions (token, participant, begun_at) VALUES (?, ?, ?)"
        self._commit(lambda: self._file.execute(query, (_sha(token), hashed, _now())))
        return token

    def _keyed(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    def session(self, token: str) -> Session | None:
        """Find a session by the secret of its link."""
        rows = self._read("SELECT * FROM sessions WHERE token = ?", (_sha(token),))
        return Session(*rows[0]) if rows else None

    def store(self, session: Session, click: Click) -> bool:
        """Store a click and commit it; a click that is stored already stays as it is.

        Returns:
            False if the session has left the page of the click. Then the row is kept and marked as late.
        """
        return self._commit(lambda: self._store(session, click))

    def _store(self, session: Session, click: Click) -> bool:
        step, attempt, state = self._where(session)
        self._insert(session, click, attempt, late=click.step != step or state != "open")
        query = "SELECT late FROM clicks WHERE session = ? AND click = ?"
        return not self._file.execute(query, (session.id, click.click)).fetchone()[0]

    def _where(self, session: Session) -> tuple[int, int, str]:
        query = "SELECT step, attempt, state FROM sessions WHERE id = ?"
        row: tuple[int, int, str] = self._file.execute(query, (session.id,)).fetchone()
        return row

    def _insert(self, session: Session, click: Click, attempt: int, late: bool) -> None:
        self._file.execute(_INSERT, {**vars(click), "session": session.id, "at": _now(), "attempt": attempt, "late": late})

    def go_on(self, session: Session, click: Click, *, take_turn: bool, to: str = "next") -> bool:
        """Store the click on "Next" and move the session, in one transaction.

        Args:
            session: as read before.
            click: the click.
            take_turn: give the session the next turn, which decides its items and orders.
            to: `next` page, `again` for the same page once more, `done`, or `refused`.

        Returns:
            False if the session has moved already, as with two windows or a click that arrives twice.
        """
        return self._commit(lambda: self._go_on(session, click, take_turn, to))

    def _go_on(self, session: Session, click: Click, take_turn: bool, to: str) -> bool:
        step, attempt, state = self._where(session)
        if click.step != step or attempt != session.attempt or state != "open":
            return False
        self._insert(session, click, attempt, late=False)
        self._file.execute(f"UPDATE sessions SET {_MOVES[to]}{_TURN if take_turn else ''} WHERE id = ?", (session.id,))
        return True

    def page(self, session: Session) -> tuple[dict[int, int], set[int]]:
        """Give the answers of the session's page, place -> value, and the places whose clips the rater has heard."""
        rows = self._read(
            "SELECT kind, place, value FROM clicks WHERE session = ? AND step = ? AND attempt = ? AND late = 0 ORDER BY id",
            (session.id, session.step, session.attempt),
        )
        values = {place: value for kind, place, value in rows if kind == "rate"}
        return values, {place for kind, place, _ in rows if kind == "heard"}


def _sha(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
