"""What background threads tell the interface: facts, in the past tense.

Messages are the boundary between threads: only handlers touch widgets.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual.message import Message

from app.tools import Proposal
from app.types import AnswerEvent
from models.types import LoadedModel
from models.types import Progress as ModelProgress
from retrieval.types import IndexReport, IndexStatus, Progress


@dataclass
class IndexAdvanced(Message):
    """The index run got further."""

    progress: Progress


@dataclass
class IndexUpdated(Message):
    """The index run ended well."""

    report: IndexReport


@dataclass
class IndexRunEnded(Message):
    """The index run ended, well or not."""


@dataclass
class IndexStatusRead(Message):
    """The state of the index was read."""

    status: IndexStatus


@dataclass
class AnswerAdvanced(Message):
    """The running answer got further, other than by text."""

    event: AnswerEvent


@dataclass
class AnswerGrew(Message):
    """There is more text of the running answer to take."""


@dataclass
class AnswerFailed(Message):
    """The running answer ended with an error."""

    title: str
    remedy: str


@dataclass
class ModelAdvanced(Message):
    """A load or a download got further."""

    name: str
    progress: ModelProgress


@dataclass
class ModelLoaded(Message):
    """A model is ready."""

    model: LoadedModel


@dataclass
class ModelDownloaded(Message):
    """A model file is on this machine, verified."""

    name: str
    path: Path


@dataclass
class ModelFailed(Message):
    """A load or a download ended with an error, or was stopped."""

    title: str
    remedy: str


@dataclass
class EngineEnded(Message):
    """The engine process ended by itself; the next question loads the model again."""


@dataclass
class NoModelFound(Message):
    """There is no model on this machine; one may be worth proposing."""

    proposal: Proposal | None


@dataclass
class Noticed(Message):
    """Something happened that the person should know."""

    title: str
    remedy: str
    severe: bool = False


@dataclass
class StopWanted(Message):
    """The person wants the load, download or index run that is under way to stop."""
