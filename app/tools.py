"""What commands and screens are given to work with; the composition root decides what it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from app.settings import Paths, Settings
from app.types import Searcher
from models.types import Cancelled as ModelCancelled
from models.types import ChatModel, Downloader, LoadOptions, LocalModel, ModelFile
from models.types import Report as ModelReport
from retrieval.types import Cancelled, Forgotten, IndexReport, IndexStatus, Report

if TYPE_CHECKING:
    from retrieval.library import Library
    from retrieval.sentence_models.model_places import ModelPlaces


class Notes(Searcher, Protocol):
    """The index of the notes: opened in this process, or reached in the one that has it open."""

    def index(
        self,
        folder: Path,
        report: Report = ...,
        cancelled: Cancelled = ...,
        *,
        name: str | None = ...,
    ) -> IndexReport:
        """Bring the index of a folder up to date, and name it as a collection."""

    def forget(self, folder: Path) -> Forgotten | None:
        """Take a folder out of the index; None when it was not in it."""

    def status(self, folder: Path | None = None) -> IndexStatus:
        """Tell what is in the index."""

    def close(self) -> None:
        """Close the files."""


class Engine(ChatModel, Protocol):
    """A process that runs one model."""

    def load(self, options: LoadOptions, report: ModelReport = ...) -> object:
        """Load a model. Raises ``ModelError`` or ``AppError``."""


class Proposal(Protocol):
    """A model worth proposing; about as large as the catalogue says."""

    @property
    def title(self) -> str:
        """Name for people."""

    @property
    def name(self) -> str:
        """What to download: ``owner/name:QUANT``."""

    @property
    def bytes(self) -> int:
        """About how much is downloaded."""

    @property
    def licence(self) -> str:
        """Licence of the weights."""

    @property
    def note(self) -> str:
        """What it is good at."""


class FolderDownloader(Protocol):
    """Fetches models that are several files."""

    def download_all(
        self,
        files: Sequence[ModelFile],
        report: ModelReport = ...,
        cancelled: ModelCancelled = ...,
    ) -> Path:
        """Fetch the files of one repository and return their folder. Raises ``ModelError``."""


class Tools(Protocol):
    """Everything a command may need, made when it is asked for."""

    @property
    def paths(self) -> Paths:
        """Folders of this user."""

    @property
    def settings(self) -> Settings:
        """Settings of this user. Raises ``SettingsError``."""

    def notes(self) -> Notes:
        """Reach the index where it is open, else open it. Raises ``RetrievalError``."""

    def library(self, directory: Path) -> Library:
        """Open an index of another directory, made when missing. Raises ``RetrievalError``."""

    def engine(self) -> Engine:
        """Prepare an engine process; nothing starts before it is used."""

    def downloader(self) -> Downloader:
        """Prepare downloads from the hub."""

    def repository(self, repo: str) -> Sequence[ModelFile]:
        """List the GGUF files of a repository of the hub. Raises ``ModelError``."""

    def model_places(self) -> ModelPlaces:
        """Tell where embedders and rerankers are on this machine."""

    def embedder_files(self, repo: str) -> Sequence[ModelFile]:
        """List the files of an embedder or reranker on the hub. Raises ``ModelError``."""

    def embedder_downloader(self) -> FolderDownloader:
        """Prepare downloads of embedders and rerankers."""

    def local_models(self) -> tuple[Sequence[LocalModel], Sequence[str]]:
        """List the models on this machine, and what is wrong with files that are none."""

    def find_model(self, name: str) -> LocalModel:
        """Find a model on this machine by name or file. Raises ``ModelNotFoundError``."""

    def default_model(self) -> LocalModel | None:
        """Choose the model to use when none is named; None when there is none."""

    def proposal(self) -> Proposal | None:
        """Choose a model of the catalogue that fits this machine comfortably."""

    def catalog(self) -> Sequence[tuple[Proposal, bool]]:
        """List the known models, each with whether it fits this machine."""
