"""What files say: one module for each family of formats, told apart by name.

Extractors take bytes and give text; they read no files, start nothing and print nothing. What
cannot be extracted has a reason, whatever the library below says or does not say.
"""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import PurePosixPath

from retrieval.extract.decoding import decode
from retrieval.extract.extracted import MAX_TEXT, Extracted, UnusableNoteError
from retrieval.files.formats import format_of
from retrieval.types import Format, Place

__all__ = ["VERSION", "Extracted", "UnusableNoteError", "decode", "extract"]

VERSION = 2
"""Raised whenever the same file gives another text: files are read anew then."""

_LONGEST_TITLE = 300
_MOST_LINKS = 2000
_MODULES: dict[Format, str] = {
    "markdown": "markdown",
    "text": "plain",
    "code": "plain",
    "csv": "plain",
    "json": "data",
    "rst": "markup",
    "org": "markup",
    "html": "html",
    "pdf": "pdf",
    "docx": "docx",
    "epub": "epub",
    "notebook": "notebook",
}
_NAMES: dict[Format, str] = {
    "json": "JSON",
    "html": "HTML",
    "pdf": "PDF",
    "docx": "Word",
    "epub": "EPUB",
    "notebook": "Jupyter notebook",
}


def extract(path: str, data: bytes) -> Extracted:
    """Give what a file of this path and content says.

    Raises ``UnusableNoteError`` and nothing else, whatever the content.
    """
    written = format_of(path) or "text"
    try:
        module = importlib.import_module(f"{__name__}.{_MODULES[written]}")
        with _quiet() if written in _NAMES else nullcontext():
            extracted: Extracted = module.extract(path, data)
    except UnusableNoteError:
        raise
    except MemoryError as error:
        raise UnusableNoteError("it takes more memory to read than there is") from error
    except RecursionError as error:
        raise UnusableNoteError("it is nested too deeply to be read") from error
    except ImportError as error:
        raise UnusableNoteError(f"what reads such files cannot be loaded ({error})") from error
    except Exception as error:
        logging.getLogger(__name__).debug("cannot extract %s", path, exc_info=True)
        name = _NAMES.get(written, written)
        raise UnusableNoteError(f"it is not a {name} file that can be read") from error
    return _sound(path, extracted)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep a library's warnings out of the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _sound(path: str, extracted: Extracted) -> Extracted:
    """Make sure that the text can be stored and shown, and that there is a title."""
    text = extracted.text
    if len(text) > MAX_TEXT:
        raise UnusableNoteError(f"its text is longer than {MAX_TEXT / 1e6:.0f} million characters")
    name = PurePosixPath(path)
    default = name.name if format_of(path) == "code" else name.stem
    title = " ".join(extracted.title.split())[:_LONGEST_TITLE] or default
    places = tuple(Place(p.first_line, _unicode(p.label)) for p in extracted.places)
    links = tuple(map(_unicode, extracted.links[:_MOST_LINKS]))
    return Extracted(_unicode(text), _unicode(title), extracted.tags, links, places)


def _unicode(text: str) -> str:
    """Replace halves of surrogate pairs, which cannot be stored."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
