"""Conversations: the one object that owns what was said, and where it is kept."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from app.errors import ConversationError
from app.types import PastTurn, Turn

UNTITLED = "New conversation"
"""Title of a conversation before its first question."""

TITLE_LENGTH = 60
"""Characters of a title that is made from a question."""

SCHEMA_VERSION = 1
"""Version of the tables below; a file of a newer one is left alone."""

_SCHEMA = (
    """CREATE TABLE conversations (
        id TEXT PRIMARY KEY,
        title TEXT NOT NULL,
        folder TEXT NOT NULL,
        created REAL NOT NULL,
        updated REAL NOT NULL
    ) STRICT""",
    """CREATE TABLE turns (
        conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        turn TEXT NOT NULL,
        PRIMARY KEY (conversation, number)
    ) STRICT, WITHOUT ROWID""",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


class Conversation:
    """What was asked and answered, oldest first; grows at the end only."""

    def __init__(
        self, id: str, folder: str, created: float, title: str = "", turns: tuple[Turn, ...] = ()
    ) -> None:
        self.id = id
        """Stable name."""
        self.folder = folder
        """Absolute path of the folder of notes it is about."""
        self.created = created
        """When it began, in seconds since the epoch."""
        self._title = title
        self._turns = turns
        self._forgotten = 0

    @classmethod
    def new(cls, folder: str) -> Conversation:
        """Begin a conversation about a folder of notes; nothing is saved yet."""
        return cls(uuid.uuid4().hex, folder, time.time())

    @property
    def title(self) -> str:
        """The title given, else the beginning of the first question."""
        if self._title or not self._turns:
            return self._title or UNTITLED
        return title_of(self._turns[0].question)

    @property
    def given_title(self) -> str:
        """The title that a person gave; empty while it follows the first question."""
        return self._title

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What was asked and answered, oldest first."""
        return self._turns

    @property
    def updated(self) -> float:
        """When the newest question was asked, in seconds since the epoch."""
        return self._turns[-1].asked_at if self._turns else self.created

    def append(self, turn: Turn) -> None:
        """Add a finished turn. A reader in another thread sees all of it or nothing."""
        self._turns = (*self._turns, turn)

    def rename(self, title: str) -> None:
        """Give a title. Raises ``ConversationError`` when it is blank."""
        self._title = _given(title)

    def history(self) -> tuple[PastTurn, ...]:
        """Give the turns as a prompt repeats them: as sent, so that a model's cache holds.

        Turns that no model wrote (quotes) are the question and the answer as plain text. Turns
        without an answer are left out.
        """
        past = tuple(_past(turn) for turn in self._turns if turn.answer.text.strip())
        return past[self._forgotten :]

    @property
    def forgotten(self) -> int:
        """Turns at the beginning that ``history`` leaves out."""
        return self._forgotten

    def forget(self, turns: int) -> None:
        """Leave the oldest turns out of prompts from now on; they stay in the conversation."""
        self._forgotten = max(self._forgotten, turns)

    def recall(self) -> None:
        """Put every turn into prompts again: another model may have room for them."""
        self._forgotten = 0


def _past(turn: Turn) -> PastTurn:
    sent = {message.role: message.content for message in turn.answer.sent}
    return PastTurn(
        user=sent.get("user", turn.question),
        assistant=sent.get("assistant", turn.answer.text),
        question=turn.question,
    )


def title_of(question: str) -> str:
    """Make a title of a question: one line, at most ``TITLE_LENGTH`` characters, whole words."""
    line = " ".join(question.split())
    if len(line) <= TITLE_LENGTH:
        return line or UNTITLED
    head = line[: TITLE_LENGTH - 1]
    words, space, _ = head.rpartition(" ")
    if line[TITLE_LENGTH - 1] == " " or not space or len(words) < TITLE_LENGTH // 2:
        words = head
    return words.rstrip(" ,;:.-–—") + "…"


def _given(title: str) -> str:
    line = " ".join(title.split())
    if not line:
        raise ConversationError("A conversation needs a title.", "Type at least one letter.")
    return line


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """A saved conversation in a list."""

    id: str
    """Stable name."""
    title: str
    """The title given, else the beginning of the first question."""
    folder: str
    """Absolute path of the folder of notes it is about."""
    created: float
    """When it began, in seconds since the epoch."""
    updated: float
    """When the newest question was asked, in seconds since the epoch."""
    turns: int
    """Questions asked."""


class ConversationStore:
    """Conversations in one SQLite file that only its owner can read.

    Each call opens its own connection, so any thread may call. Every method raises
    ``ConversationError`` when the file cannot be read or written. Text goes in as ASCII JSON
    where it comes from file names or notes, since those may hold what UTF-8 cannot.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        """The file; made at the first call."""

    def save(self, conversation: Conversation) -> None:
        """Save the turns that are not saved yet, all or none of them."""
        turns = conversation.turns
        with self._transaction("The conversation could not be saved.") as connection:
            connection.execute(
                "INSERT INTO conversations VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET updated = excluded.updated",
                (
                    conversation.id,
                    json.dumps(conversation.given_title),
                    json.dumps(conversation.folder),
                    conversation.created,
                    conversation.updated,
                ),
            )
            (saved,) = connection.execute(
                "SELECT count(*) FROM turns WHERE conversation = ?", (conversation.id,)
            ).fetchone()
            connection.executemany(
                "INSERT INTO turns VALUES (?, ?, ?)",
                [
                    (conversation.id, number, json.dumps(msgspec.to_builtins(turn)))
                    for number, turn in enumerate(turns[saved:], start=saved)
                ],
            )

    def load(self, id: str) -> Conversation:
        """Load a conversation with all its turns."""
        with self._transaction("The conversation could not be opened.") as connection:
            row = connection.execute(
                "SELECT folder, created, title FROM conversations WHERE id = ?", (id,)
            ).fetchone()
            turns = connection.execute(
                "SELECT turn FROM turns WHERE conversation = ? ORDER BY number", (id,)
            ).fetchall()
            if row is None:
                raise _unknown(id)
            folder, created, title = row
            return Conversation(
                id,
                json.loads(folder),
                created,
                json.loads(title),
                tuple(msgspec.convert(json.loads(turn), Turn) for (turn,) in turns),
            )

    def list(self, folder: str | None = None) -> tuple[ConversationSummary, ...]:
        """List the conversations, newest first; with ``folder``, only those about it."""
        with self._transaction("The conversations could not be listed.") as connection:
            rows = connection.execute(
                "SELECT id, title, folder, created, updated,"
                " (SELECT turn FROM turns WHERE conversation = id AND number = 0),"
                " (SELECT count(*) FROM turns WHERE conversation = id)"
                " FROM conversations WHERE ?1 IS NULL OR folder = ?1"
                " ORDER BY updated DESC, created DESC",
                (None if folder is None else json.dumps(folder),),
            ).fetchall()
            return tuple(
                ConversationSummary(
                    id,
                    json.loads(title) or _title_of_saved(first),
                    json.loads(about),
                    created,
                    updated,
                    count,
                )
                for id, title, about, created, updated, first, count in rows
            )

    def rename(self, id: str, title: str) -> None:
        """Give a conversation a title."""
        given = json.dumps(_given(title))
        with self._transaction("The conversation could not be renamed.") as connection:
            changed = connection.execute(
                "UPDATE conversations SET title = ? WHERE id = ?", (given, id)
            )
            if changed.rowcount == 0:
                raise _unknown(id)

    def delete(self, id: str) -> None:
        """Delete a conversation; its text is overwritten in the file."""
        with self._transaction("The conversation could not be deleted.") as connection:
            if connection.execute("DELETE FROM conversations WHERE id = ?", (id,)).rowcount == 0:
                raise _unknown(id)

    @contextmanager
    def _transaction(self, failure: str) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction, and turn what goes wrong into a remedy."""
        try:
            self._create()
            with closing(sqlite3.connect(self.path, timeout=5, isolation_level=None)) as connection:
                _prepare(connection)
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
        except (OSError, sqlite3.OperationalError) as error:
            remedy = f"Look at {self.path}: {_reason(error)}. Then try again."
            raise ConversationError(failure, remedy) from error
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            remedy = (
                f"The file {self.path} is damaged ({_reason(error)}). "
                "Move it elsewhere; a new one is made at the next question."
            )
            raise ConversationError(failure, remedy) from error

    def _create(self) -> None:
        """Make folder and file so that nobody else can read them, not even for a moment."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise ConversationError(
            "The conversations were saved by a newer Alcove.",
            "Update Alcove, or set ALCOVE_HOME to another folder.",
        )
    if version == 0:
        connection.execute("BEGIN EXCLUSIVE")
        # Another process may have made the tables while this one waited for the lock.
        if connection.execute("PRAGMA user_version").fetchone() == (0,):
            for statement in _SCHEMA:
                connection.execute(statement)
        connection.execute("COMMIT")


def _title_of_saved(turn: str | None) -> str:
    try:
        return UNTITLED if turn is None else title_of(str(json.loads(turn)["question"]))
    except (ValueError, TypeError, KeyError):
        return "Damaged conversation"  # the others must stay in reach; opening it says more


def _unknown(id: str) -> ConversationError:
    return ConversationError(
        f"There is no conversation {id}.", "It may have been deleted; open the list again."
    )


def _reason(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
