"""Zip archives and XML that strangers made: what is unpacked has a limit, entities stay shut."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from retrieval.extract.extracted import UnusableNoteError

if TYPE_CHECKING:
    from lxml.etree import _Element

_MOST_ENTRIES = 20_000
_MOST_BYTES = 100_000_000
_MOST_RATIO = 200  # Text seldom packs to less than a twentieth.
_SMALL_BYTES = 5_000_000  # What may be packed however tightly.


class Archive:
    """A zip archive in memory; what is read of it is counted."""

    def __init__(self, data: bytes, kind: str) -> None:
        """Open it. Raises ``UnusableNoteError`` when it is none or out of bounds."""
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
            raise UnusableNoteError(f"it is not {kind} that can be read") from error
        self._kind = kind
        self._left = _MOST_BYTES
        self._entries = {entry.filename: entry for entry in self._zip.infolist()}
        if len(self._zip.infolist()) > _MOST_ENTRIES:
            raise UnusableNoteError(f"it holds more than {_MOST_ENTRIES} files")

    @property
    def names(self) -> Iterable[str]:
        """The names of what is in it."""
        return self._entries.keys()

    def check(self, names: Iterable[str], most: int = _MOST_BYTES) -> None:
        """Raise ``UnusableNoteError`` when entries unpack to more than is read."""
        entries = [self._entries[name] for name in names]
        size = sum(entry.file_size for entry in entries)
        packed = sum(entry.compress_size for entry in entries)
        if size > min(self._left, most) or (size > _SMALL_BYTES and size > packed * _MOST_RATIO):
            raise UnusableNoteError(
                f"it unpacks to {size / 1e6:.0f} MB from {packed / 1e6:.1f} MB, which is not read"
            )
        if any(entry.flag_bits & 1 for entry in entries):
            raise UnusableNoteError("it is protected by a password")

    def read(self, name: str) -> bytes:
        """Give one entry's content, or raise ``UnusableNoteError``."""
        if name not in self._entries:
            raise UnusableNoteError(f"it is not {self._kind} that can be read: {name} is missing")
        self.check([name])
        try:
            with self._zip.open(name) as file:
                data = file.read(self._left + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise UnusableNoteError(f"it is damaged: {name} cannot be unpacked") from error
        self._left -= len(data)
        return data


def parse_xml(data: bytes) -> _Element:
    """Parse XML without entities, document types or the network. Raises lxml's errors."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=True
    )
    root = etree.fromstring(data, parser)
    if any(error.type_name == "ERR_RESOURCE_LIMIT" for error in parser.error_log):
        raise UnusableNoteError("its XML is made to take more memory than there is")
    if root is None:
        raise UnusableNoteError("its XML cannot be read")
    return root
