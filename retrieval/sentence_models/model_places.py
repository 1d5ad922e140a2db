"""Where the models of the hub are on this machine."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from retrieval.errors import EmbedderError

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def hub_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """Tell where the libraries of the hub keep what they have fetched."""
    if said := environment.get("HF_HUB_CACHE"):
        return Path(said).expanduser()
    cache = Path(environment.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(environment.get("HF_HOME") or cache).expanduser() / "hub"


class ModelPlaces:
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


def _is_whole(folder: Path) -> bool:
    """Tell whether a model is there with its weights; a download writes ``config.json`` last."""
    try:
        has_weights = any(folder.glob("*.safetensors")) or any(folder.glob("*/*.safetensors"))
        listed = (folder / "modules.json").is_file() or (folder / "config.json").is_file()
        return listed and has_weights and not any(folder.glob("*.part"))
    except OSError:
        return False
