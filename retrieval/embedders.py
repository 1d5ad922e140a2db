"""Which embedder a person means, and which one an index was made with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from retrieval.embedding import BUNDLED, bundled_embedder, embedder_in
from retrieval.errors import EmbedderError
from retrieval.sentence_models.digests import Digests
from retrieval.sentence_models.known_models import known_prompts
from retrieval.sentence_models.model_places import ModelPlaces
from retrieval.types import Embedder


class Embedders:
    """The embedders on this machine."""

    def __init__(self, places: ModelPlaces) -> None:
        self._places = places
        self._digests = Digests(places.home / ".digests.json")

    def open(self, wanted: str) -> Embedder:
        """Give the embedder of a setting: an id of the hub, a folder, or "" for the bundled.

        Loads nothing. Raises ``EmbedderError`` with what to do when it is not there or unusable.
        """
        if wanted.strip() in ("", BUNDLED):
            return bundled_embedder()
        folder = self._places.require(wanted.strip(), "alcove embedders download")
        # A person's own folder is named by its place, so that ``find`` finds it again.
        identity = wanted.strip() if self._places.find(wanted.strip()) else str(folder)
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
        at_home = self._places.find(identity)
        if at_home is not None:
            yield at_home
        if Path(identity).is_absolute() and Path(identity).is_dir():
            yield Path(identity)
