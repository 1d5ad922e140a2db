"""Long work behind the screens: each job calls the core on a thread and posts what it is told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from functools import partial

from textual.message import Message

from app.errors import ServiceDied
from app.tools import Proposal
from app.ui import messages
from app.ui.background import run_in_background
from app.workspace import Workspace
from models.types import LocalModel
from models.types import Progress as ModelProgress
from retrieval.errors import IndexCancelled
from retrieval.types import READING, Progress

READING_SECONDS = 60.0
"""Time the embedder waits at most for the notes to be read before it is loaded beside that."""

INDEX_RESTARTS = 2
"""Times an index run is taken up again by itself after its process died."""


class Jobs:
    """Starts, watches and stops long work. Methods return at once; ``post`` is thread-safe."""

    def __init__(self, workspace: Workspace, post: Callable[[Message], object]) -> None:
        self._workspace = workspace
        self._post = post
        self._running: set[str] = set()
        self._index_restarts = 0
        self._lock = threading.Lock()
        self._notes_read = threading.Event()
        self._stop_download = threading.Event()
        self._downloading = False
        self._loading = False
        self._begun = False
        self._watching = False

    @property
    def idle(self) -> bool:
        """Whether the first jobs were started and none runs any more."""
        return self._begun and not self._running

    @property
    def downloading(self) -> bool:
        """Whether a model is being downloaded."""
        return self._downloading

    @property
    def occupied(self) -> bool:
        """Whether a model is being looked for, downloaded or loaded."""
        return self._downloading or self._loading

    @property
    def indexing(self) -> bool:
        """Whether an index run is under way."""
        return "index" in self._running

    def run(self, name: str, work: Callable[[], None]) -> None:
        """Run work in the background; its error becomes a notice."""
        self._running.add(name)

        def body() -> None:
            try:
                work()
            finally:
                self._running.discard(name)

        run_in_background(name, body, partial(self._say, severe=True))

    def begin(self) -> None:
        """Start what every session starts with: index, embedder, model."""
        self.run("import", _import_the_rest)
        self._workspace.index.watch_death(partial(self._service_ended, "index"))
        self._workspace.engine.watch_death(partial(self._service_ended, "engine"))
        self.update_index()
        self.run("warm", self._warm)
        self._loading = True
        self.run("find-model", self._find_model)
        self._begun = True

    def update_index(self) -> None:
        """Bring the index up to date; does nothing while that is being done."""
        if not self.indexing:
            self.run("index", self._update_index)

    def load(self, model: LocalModel) -> None:
        """Load a model that is here, once no answer is being written."""
        self._loading = True
        self.run("load", partial(self._load, model))

    def download(self, proposal: Proposal) -> None:
        """Download a model, then load it; one at a time."""
        if not self.occupied:
            self._downloading = True
            self.run("download", partial(self._download, proposal))

    def unload(self) -> None:
        """Give the model's memory back."""
        self.run("unload", self._workspace.unload_model)

    def skip_proposal(self) -> None:
        """Remember that no model is to be proposed."""
        self.run("skip", self._workspace.skip_proposal)

    def stop(self) -> None:
        """Stop a download, a load or an index run: in that order, one at a time."""
        if self._downloading:
            self._stop_download.set()
        elif self._loading:
            self.run("cancel", self._workspace.cancel)
        else:
            self._workspace.index.cancel_indexing()

    def close(self) -> None:
        """Begin to end the children while the terminal is given back."""
        self._stop_download.set()
        self.run("close", self._workspace.close)

    def _say(self, title: str, remedy: str, severe: bool = False) -> None:
        self._post(messages.Noticed(title, remedy, severe))

    def _update_index(self) -> None:
        try:
            while True:
                try:
                    report = self._workspace.update_index(self._index_advanced)
                except ServiceDied:  # told by _service_ended
                    if not self._may_restart_index():
                        return
                else:
                    self._post(messages.IndexUpdated(report))
                    break
        except IndexCancelled as error:
            self._say(error.title, error.remedy)
        finally:
            self._notes_read.set()
            self._post(messages.IndexRunEnded())
        self._read_status()
        self._watch()

    def _read_status(self) -> None:
        self._post(messages.IndexStatusRead(self._workspace.status()))

    def _watch(self) -> None:
        """Follow changes of the notes from here on; rest is when nothing else runs."""
        with self._lock:
            if self._watching or not self._workspace.settings.index.watch:
                return
            self._watching = True

        def follow() -> None:
            try:
                with contextlib.suppress(ServiceDied):  # told by _service_ended
                    self._workspace.watch(lambda _: self._read_status())
            finally:
                self._watching = False

        run_in_background("watch", follow, partial(self._say, severe=True))

    def _may_restart_index(self) -> bool:
        with self._lock:
            self._index_restarts += 1
            return self._index_restarts <= INDEX_RESTARTS

    def _index_advanced(self, progress: Progress) -> None:
        if progress.label != READING:
            self._notes_read.set()
        self._post(messages.IndexAdvanced(progress))

    def _warm(self) -> None:
        # Importing torch takes seconds of the processor; what the keywords need comes first.
        self._notes_read.wait(READING_SECONDS)
        with contextlib.suppress(ServiceDied):  # told by _service_ended
            self._workspace.warm()

    def _find_model(self) -> None:
        try:
            model = self._workspace.tools.default_model()
            if model is not None:
                self._load(model)
        finally:
            self._loading = False
        if model is None:
            skipped = self._workspace.proposal_skipped
            proposal = None if skipped else self._workspace.tools.proposal()
            self._post(messages.NoModelFound(proposal))

    def _load(self, model: LocalModel) -> None:
        self._loading = True
        try:
            loaded = self._workspace.load_model(model, partial(self._model_advanced, model.name))
            self._post(messages.ModelLoaded(loaded))
        except Exception as error:
            self._model_failed(f"{model.name} cannot be loaded", error)
        finally:
            self._loading = False

    def _download(self, proposal: Proposal) -> None:
        self._stop_download.clear()
        report = partial(self._model_advanced, proposal.title)
        try:
            downloader = self._workspace.tools.downloader()
            file = downloader.resolve(proposal.name)
            path = downloader.download(file, report, self._stop_download.is_set)
            model = self._workspace.tools.find_model(str(path))
        except Exception as error:
            self._model_failed(f"{proposal.title} cannot be downloaded", error)
        else:
            self._post(messages.ModelDownloaded(proposal.title, path))
            self._loading = True
            self._downloading = False
            self._load(model)
        finally:
            self._downloading = False

    def _model_advanced(self, name: str, progress: ModelProgress) -> None:
        self._post(messages.ModelAdvanced(name, progress))

    def _model_failed(self, what: str, error: Exception) -> None:
        title = getattr(error, "title", f"{what}: {error!r}.")
        self._post(messages.ModelFailed(title, getattr(error, "remedy", "")))

    def _service_ended(self, service: str, death: ServiceDied) -> None:
        self._say(death.title, death.remedy, severe=True)
        if service == "engine":
            self._post(messages.EngineEnded())
            return
        self._workspace.forget_vectors()
        # A run that was under way takes itself up again.
        if self.indexing or self._may_restart_index():
            self.update_index()
            self.run("warm", self._warm)


def _import_the_rest() -> None:
    """Import what the first answer needs, now that the first screen is there."""
    import app.extractive
    import app.grounding
    import app.ui.widgets.turn  # noqa: F401
