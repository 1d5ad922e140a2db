"""What an extractor gives, and how it says that it cannot."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from retrieval.types import Place

MAX_TEXT = 20_000_000
"""Characters that are extracted from one file at most."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a file says."""

    text: str
    """Its text, newlines normalised to ``\\n``."""
    title: str = ""
    """The title it states; empty when it states none."""
    tags: tuple[str, ...] = ()
    """Its tags, see ``Note.tags``."""
    links: tuple[str, ...] = ()
    """What it links to, see ``Note.links``."""
    places: tuple[Place, ...] = ()
    """Where its parts are in the file, see ``Note.places``."""


class UnusableNoteError(Exception):
    """A file that cannot be a note; the reason is the message. Never leaves the package."""

    def __init__(self, reason: str, *, lasting: bool = True) -> None:
        super().__init__(reason)
        self.lasting = lasting
        """Whether the reason holds for as long as the file is as it is."""


class TextBuilder:
    """Puts a text together from parts that have places, and keeps count of its lines."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._places: list[Place] = []
        self._lines = 0
        self._size = 0

    def add(self, label: str, text: str) -> None:
        """Add a part with its place; one that says nothing is left out.

        Raises ``UnusableNoteError`` when the whole grows out of bounds.
        """
        text = text.strip("\n")
        if not text.strip():
            return
        self._size += len(text)
        if self._size > MAX_TEXT:
            raise UnusableNoteError(
                f"its text is longer than {MAX_TEXT / 1e6:.0f} million characters"
            )
        self._places.append(Place(self._lines + 1, label))
        self._parts.append(text)
        self._lines += text.count("\n") + 2

    @property
    def text(self) -> str:
        """The parts, a blank line between each two."""
        return "\n\n".join(self._parts)

    @property
    def places(self) -> tuple[Place, ...]:
        """Their places."""
        return tuple(self._places)


def clean_tags(values: Iterable[object]) -> tuple[str, ...]:
    """Give tags in the one spelling that is compared: case-folded, no ``#``, each once."""
    cleaned = (str(v).strip().lstrip("#").strip("/ ") for v in values)
    cleaned = (unicodedata.normalize("NFC", tag).casefold() for tag in cleaned)
    return tuple(dict.fromkeys(tag for tag in cleaned if tag and len(tag) <= 100))
