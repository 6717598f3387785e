"""Store sessions and clicks in SQLite: each click is one row, and it is on the disk before the server acknowledges it."""

import hashlib
import hmac
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS secret (value TEXT NOT NULL);
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
    """The database of a study; threads take turns."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._file = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=FULL")
        self._file.executescript(_SCHEMA)
        with self._transaction():
            if not self._file.execute("SELECT 1 FROM secret").fetchone():
                self._file.execute("INSERT INTO secret VALUES (?)", (secrets.token_hex(32),))
            self._secret = bytes.fromhex(self._file.execute("SELECT value FROM secret").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._file.execute("ROLLBACK")
                raise
            self._file.execute("COMMIT")

    def begin(self, participant: str) -> str:
        """Make a session, or find that of a participant who has been here; return the secret for the link.

        The participant's id is not stored, only a keyed hash of it. Without an id, every visit is a new session.
        """
        token = self._keyed(f"link {participant}") if participant else secrets.token_urlsafe(24)
        hashed = self._keyed(participant)[:24] if participant else ""
        with self._transaction():
            self._file.execute(
                "INSERT OR IGNORE INTO sessions (token, participant, begun_at) VALUES (?, ?, ?)", (_sha(token), hashed, _now())
            )
        return token

    def _keyed(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    def session(self, token: str) -> Session | None:
        """Find a session by the secret of its link."""
        with self._lock:
            row = self._file.execute("SELECT * FROM sessions WHERE token = ?", (_sha(token),)).fetchone()
        return Session(*row) if row else None

    def store(self, session: Session, click: Click) -> bool:
        """Store a click and commit it; a click that is stored already stays as it is.

        Returns:
            False if the session has left the page of the click. Then the row is kept and marked as late.
        """
        with self._transaction():
            step, attempt, state = self._where(session)
            late = click.step != step or state != "open"
            self._insert(session, click, attempt, late)
            row = self._file.execute(
                "SELECT late FROM clicks WHERE session = ? AND click = ?", (session.id, click.click)
            ).fetchone()
        return not row[0]

    def _where(self, session: Session) -> tuple[int, int, str]:
        row: tuple[int, int, str] = self._file.execute(
            "SELECT step, attempt, state FROM sessions WHERE id = ?", (session.id,)
        ).fetchone()
        return row

    def _insert(self, session: Session, click: Click, attempt: int, late: bool) -> None:
        plays = self._file.execute(
            "SELECT COUNT(*) FROM clicks WHERE session = ? AND step = ? AND attempt = ? AND place = ? AND kind = 'play'",
            (session.id, click.step, attempt, click.place),
        ).fetchone()[0]
        at = (session.id, click.click, _now(), click.step, attempt)
        what = (click.kind, click.page, click.scale, click.place, click.item, click.system, click.value, plays, int(late))
        self._file.execute(
            "INSERT OR IGNORE INTO clicks"
            " (session, click, at, step, attempt, kind, page, scale, place, item, system, value, plays, late)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*at, *what),
        )

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
        with self._transaction():
            step, attempt, state = self._where(session)
            if click.step != step or attempt != session.attempt or state != "open":
                return False
            self._insert(session, click, attempt, late=False)
            if to == "again":
                self._file.execute("UPDATE sessions SET attempt = attempt + 1 WHERE id = ?", (session.id,))
            elif to == "refused":
                self._file.execute("UPDATE sessions SET state = 'refused' WHERE id = ?", (session.id,))
            else:
                self._file.execute("UPDATE sessions SET step = step + 1, attempt = 1 WHERE id = ?", (session.id,))
            if take_turn:
                self._file.execute(
                    "UPDATE sessions SET turn = (SELECT COALESCE(MAX(turn) + 1, 0) FROM sessions) WHERE id = ?", (session.id,)
                )
            if to == "done":
                self._file.execute("UPDATE sessions SET state = 'done' WHERE id = ?", (session.id,))
        return True

    def page(self, session: Session) -> tuple[dict[int, int], set[int]]:
        """Give the answers of the session's page, place -> value, and the places whose clips the rater has heard."""
        with self._lock:
            rows = self._file.execute(
                "SELECT kind, place, value FROM clicks WHERE session = ? AND step = ? AND attempt = ? AND late = 0 ORDER BY id",
                (session.id, session.step, session.attempt),
            ).fetchall()
        values = {place: value for kind, place, value in rows if kind == "rate"}
        return values, {place for kind, place, _ in rows if kind == "heard"}


def _sha(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
