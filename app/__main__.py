"""Command line and composition root: the only place that picks concrete classes."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from app.errors import AppError
from app.settings import Paths, Settings, find_paths, load_settings, private_folder
from app.state import load_state
from models.errors import ModelError
from retrieval.errors import IndexMissingError, RetrievalError

if TYPE_CHECKING:
    from app.conversation import ConversationStore
    from app.services.child import Service
    from app.services.engine import EngineClient
    from app.services.index import IndexClient
    from app.tools import Notes
    from app.workspace import Workspace
    from models.catalog import CatalogEntry
    from models.download import HubDownloader
    from models.types import LocalModel, ModelFile
    from retrieval.library import Library
    from retrieval.sentence_models.model_places import ModelPlaces
    from retrieval.types import Reranker

SAMPLE_NOTES = Path(__file__).resolve().parent / "sample_notes"
"""The notes that ship with Alcove: its guide, and its demo."""

# Local means local: said before any library that would look at it is imported.
os.environ.update(ANONYMIZED_TELEMETRY="False", HF_HUB_DISABLE_TELEMETRY="1", DO_NOT_TRACK="1")


class Composition:
    """Makes the concrete parts, each when it is first asked for."""

    @cached_property
    def paths(self) -> Paths:
        """Folders of this user."""
        return find_paths()

    @cached_property
    def settings(self) -> Settings:
        """Settings of this user."""
        return load_settings(self.paths.settings)

    def notes(self) -> Notes:
        """Reach the index in the process that has it open, else open it in this one."""
        from app.services.remote import connect

        remote = connect(self.paths.index, self.settings, self.own_notes)
        return self.own_notes() if remote is None else remote

    def own_notes(self) -> Library:
        """Open the index in this process."""
        return self.library(self.paths.index)

    def library(self, directory: Path) -> Library:
        """Open an index of another directory in this process."""
        from retrieval.embedders import Embedders
        from retrieval.library import Library
        from retrieval.types import IndexOptions

        settings = self.settings
        options = IndexOptions(
            max_bytes=int(settings.index.max_megabytes * 1e6),
            vectors=settings.index.vectors,
            rerank_seconds=settings.search.rerank_seconds,
        )
        embedders = Embedders(self.model_places())
        embedder = embedders.open(settings.index.embedder)
        return Library(
            private_folder(directory), embedder, options, self._reranker(), embedders.find
        )

    def model_places(self) -> ModelPlaces:
        """Tell where embedders and rerankers are on this machine."""
        from retrieval.sentence_models.model_places import ModelPlaces, hub_cache

        return ModelPlaces(self.paths.embedders, hub_cache())

    def embedder_files(self, repo: str) -> Sequence[ModelFile]:
        """List the files of an embedder or reranker on the hub."""
        from models.hub import list_embedder_files
        from models.names import require_repo

        return list_embedder_files(require_repo(repo).repo)

    def embedder_downloader(self) -> HubDownloader:
        """Prepare downloads of embedders and rerankers."""
        from models.download import HubDownloader

        return HubDownloader(private_folder(self.paths.embedders))

    def _reranker(self) -> Reranker | None:
        """Give the reranker of the settings; None without one."""
        wanted = self.settings.search.reranker.strip()
        if not wanted:
            return None
        from retrieval.reranking import CrossEncoderReranker

        place = self.model_places().require(wanted, "alcove embedders download")
        return CrossEncoderReranker(place, wanted)

    def listen(self, service: Service) -> Callable[[], None]:
        """Offer the index that this process has open to other programs of this user."""
        from app.services.listener import listen
        from app.services.wire import identify

        identity = identify(self.paths.index, self.settings)
        return listen(self.paths.index, identity, service.methods)

    def index_client(self) -> IndexClient:
        """Prepare the index process."""
        from app.services.index import IndexClient

        return IndexClient(private_folder(self.paths.logs))

    def conversations(self) -> ConversationStore:
        """Prepare the store of conversations."""
        from app.conversation import ConversationStore

        return ConversationStore(private_folder(self.paths.chats) / "chats.sqlite")

    def engine(self) -> EngineClient:
        """Prepare the engine process."""
        from app.services.engine import EngineClient

        return EngineClient(private_folder(self.paths.logs))

    def downloader(self) -> HubDownloader:
        """Prepare downloads from the hub."""
        from models.download import HubDownloader

        return HubDownloader(private_folder(self.paths.models))

    def repository(self, repo: str) -> Sequence[ModelFile]:
        """List the GGUF files of a repository of the hub."""
        from models.hub import list_model_files

        return list_model_files(repo)

    def local_models(self) -> tuple[Sequence[LocalModel], Sequence[str]]:
        """List the models on this machine, and what is wrong with files that are none."""
        from models.local import list_models

        listed = list_models(self.paths.models)
        problems = [f"{problem.path.name}: {problem.reason}" for problem in listed.problems]
        return listed.models, problems

    def find_model(self, name: str) -> LocalModel:
        """Find a model on this machine by name or file."""
        from models.local import find_model

        return find_model(self.paths.models, name)

    def default_model(self) -> LocalModel | None:
        """Choose the model of the settings, else the one used last, else any there is."""
        if self.settings.model.name:
            return self.find_model(self.settings.model.name)
        found, _ = self.local_models()
        last = load_state(self.paths.state).model
        named = [model for model in found if model.name == last]
        return next(iter([*named, *found]), None)

    def proposal(self) -> CatalogEntry | None:
        """Choose a model of the catalogue that fits this machine comfortably."""
        from models.catalog import propose
        from models.hardware import detect

        return propose(detect())

    def catalog(self) -> list[tuple[CatalogEntry, bool]]:
        """List the known models, each with whether it fits this machine."""
        from models.catalog import CATALOG, fits
        from models.hardware import detect

        hardware = detect()
        return [(entry, fits(entry, hardware)) for entry in CATALOG]


def main(argv: Sequence[str] | None = None) -> None:
    """Run Alcove; ends with ``SystemExit``."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["_serve"]:
        _serve(arguments[1])
    code = _guarded(arguments)
    if argv is None and "torch" in sys.modules:
        _leave(code)
    raise SystemExit(code)


def _leave(code: int) -> NoReturn:
    """End the process at once: taking torch apart costs a fifth of a second and nobody anything."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = 0  # The reader went away (head, less).
    os._exit(code)


def _serve(service: str) -> None:
    """Run as a child process; does not return."""
    from app.services.child import serve

    composition = Composition()
    log = private_folder(composition.paths.logs) / f"{service}.log"
    if service == "engine":
        from app.services.engine import EngineService
        from models.llama import LlamaModel

        serve(lambda: EngineService(LlamaModel.load), log)
    else:
        from app.services.index import IndexService

        serve(lambda: IndexService(composition.own_notes), log, composition.listen)


def _guarded(arguments: list[str]) -> int:
    """Run a command; every failure ends here as two lines and an exit code."""
    from app.cli.output import Exit, complain, prepare_streams

    prepare_streams()
    try:
        return _run(arguments)
    except IndexMissingError as error:
        complain(error.title, error.remedy)
        return Exit.INDEX_STALE
    except (AppError, ModelError, RetrievalError) as error:
        complain(error.title, error.remedy)
        return Exit.FAILED
    except KeyboardInterrupt:
        complain("Stopped.", "")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader went away (head, less); writing on at exit would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except Exception as error:
        complain(f"Something unexpected went wrong: {error!r}.", _keep_traceback())
        return Exit.FAILED


def _run(arguments: list[str]) -> int:
    from app.cli.commands import find_command
    from app.cli.parser import COMMANDS, build_app_parser, build_command_parser

    composition = Composition()
    if arguments and arguments[0] in COMMANDS:
        parsed = build_command_parser().parse_args(arguments)
        if parsed.command == "search":
            gc.disable()  # A process of seconds: its thousands of modules are no garbage.
        return find_command(parsed.command)(parsed, composition)
    parsed = build_app_parser().parse_args(arguments)
    return _open_app(composition, parsed.folder)


def build_workspace(folder: Path, composition: Composition | None = None) -> Workspace:
    """Build what the screens work on, with its two children; neither is started yet."""
    from app.workspace import Workspace

    composition = composition or Composition()
    return Workspace(
        folder,
        composition,
        composition.index_client(),
        composition.engine(),
        composition.conversations(),
    )


def _open_app(composition: Composition, folder: Path | None) -> NoReturn:
    from app.ui.app import run

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise AppError(
            "The app needs a terminal, and this is none.",
            "For scripts and pipes there are alcove ask, alcove search and alcove index.",
        )
    code = run(build_workspace(_folder_to_open(composition, folder), composition), SAMPLE_NOTES)
    # The terminal is given back and the children are ended. What is left, taking the widgets
    # apart one by one, costs half a second and nobody anything.
    sys.stdout.flush()
    os._exit(code)


def _folder_to_open(composition: Composition, folder: Path | None) -> Path:
    from retrieval.notes import resolve_folder

    if folder is None:
        last = load_state(composition.paths.state).folder
        if last and Path(last).is_dir():
            return Path(last)
        return SAMPLE_NOTES
    folder = resolve_folder(folder)
    if not folder.is_dir():
        raise AppError(
            f"There is no folder {folder}.",
            "Name a folder of notes, or a command: alcove --help lists them.",
        )
    return folder


def _keep_traceback() -> str:
    """Write the traceback to a log and say where."""
    try:
        log = private_folder(find_paths().logs) / "alcove.log"
        logging.basicConfig(filename=log, format="%(asctime)s %(name)s %(message)s")
        logging.getLogger("alcove").exception("unexpected error")
    except (AppError, OSError):
        return "It could not be logged either: the log folder cannot be written."
    return f"Please report it with the end of {log}."


if __name__ == "__main__":
    main()
