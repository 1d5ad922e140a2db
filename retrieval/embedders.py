"""Which embedder a person means, and which one an index was made with."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from retrieval.digests import Digests
from retrieval.embedding import BUNDLED, bundled_embedder, embedder_in
from retrieval.errors import EmbedderError
from retrieval.known_models import known_prompts
from retrieval.types import Embedder

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def hub_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """Tell where the libraries of the hub keep what they have fetched."""
    if said := environment.get("HF_HUB_CACHE"):
        return Path(said).expanduser()
    cache = Path(environment.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(environment.get("HF_HOME") or cache).expanduser() / "hub"


class ModelFolders:
    """Where models of the hub are on this machine.

    ``home`` holds those that Alcove downloaded, as ``owner/name``; ``cache`` is the hub's own,
    whose snapshots are used where they are.
    """

    def __init__(self, home: Path, cache: Path | None = None) -> None:
        self.home = home
        self._cache = cache

    def find(self, wanted: str) -> Path | None:
        """Find the folder of a model by its id; None when it is not on this machine."""
        if not _REPO.fullmatch(wanted) or ".." in wanted:
            return None
        own = self.home.joinpath(*wanted.split("/"))
        places = [own, *self._snapshots(wanted)]
        return next((place for place in places if _is_whole(place)), None)

    def require(self, wanted: str, command: str) -> Path:
        """Find the folder that a setting means: an id of the hub, or a folder.

        Raises ``EmbedderError`` when it is not there; ``command`` downloads it.
        """
        found = self.find(wanted)
        if found is not None:
            return found
        try:
            folder = Path(wanted).expanduser()
            if folder.is_dir():
                return folder.absolute()
        except (OSError, RuntimeError, ValueError):
            folder = Path(wanted)
        if _REPO.fullmatch(wanted):
            raise EmbedderError(
                f"The model {wanted} is not on this machine.",
                f"Download it: {command} {wanted}",
            )
        raise EmbedderError(
            f"There is no folder {folder}.", "Write a folder, or owner/name of a model of the hub."
        )

    def _snapshots(self, repo: str) -> Iterator[Path]:
        """List what the hub's cache has of a repository: the current commit, then the newest."""
        if self._cache is None:
            return
        place = self._cache / f"models--{repo.replace('/', '--')}"
        with contextlib.suppress(OSError, UnicodeDecodeError):
            yield place / "snapshots" / (place / "refs" / "main").read_text().strip()
        try:
            folders = [path for path in (place / "snapshots").iterdir() if path.is_dir()]
        except OSError:
            return
        yield from sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)


class Embedders:
    """The embedders on this machine."""

    def __init__(self, folders: ModelFolders) -> None:
        self._folders = folders
        self._digests = Digests(folders.home / ".digests.json")

    def open(self, wanted: str) -> Embedder:
        """Give the embedder of a setting: an id of the hub, a folder, or "" for the bundled.

        Loads nothing. Raises ``EmbedderError`` with what to do when it is not there or unusable.
        """
        if wanted.strip() in ("", BUNDLED):
            return bundled_embedder()
        folder = self._folders.require(wanted.strip(), "alcove embedders download")
        # A person's own folder is named by its place, so that ``find`` finds it again.
        identity = wanted.strip() if self._folders.find(wanted.strip()) else str(folder)
        return embedder_in(folder, identity, known_prompts(identity), self._digests)

    def find(self, name: str) -> Embedder | None:
        """Give the embedder of an index by its stored name; None when it is here no more.

        The name says which weights and prompts: others of the same id are not the same embedder.
        """
        identity = name.rpartition("@")[0]
        try:
            if identity == BUNDLED:
                found: Embedder = bundled_embedder()
                return found if found.name == name else None
        except EmbedderError:
            return None
        for folder in self._candidates(identity):
            try:
                found = embedder_in(folder, identity, known_prompts(identity), self._digests)
            except EmbedderError:
                continue
            if found.name == name:
                return found
        return None

    def _candidates(self, identity: str) -> Iterator[Path]:
        at_home = self._folders.find(identity)
        if at_home is not None:
            yield at_home
        if Path(identity).is_absolute() and Path(identity).is_dir():
            yield Path(identity)


def _is_whole(folder: Path) -> bool:
    """Tell whether a model is there with its weights; a download writes ``config.json`` last."""
    try:
        has_weights = any(folder.glob("*.safetensors")) or any(folder.glob("*/*.safetensors"))
        listed = (folder / "modules.json").is_file() or (folder / "config.json").is_file()
        return listed and has_weights and not any(folder.glob("*.part"))
    except OSError:
        return False
