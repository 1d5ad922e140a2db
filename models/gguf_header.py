"""A GGUF header, read without its weights and without llama.cpp.

The format is described in ggml's ``docs/gguf.md``: magic, version, counts, typed metadata, tensor
infos, then aligned tensor data. Everything that a damaged or hostile file could lie about (counts,
lengths, offsets) is checked against the size of the source before it is believed; llama.cpp is
given no file that fails here.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from models.errors import HeaderError, ModelNotFoundError
from models.quant import TYPES

Scalar = int | float | bool | str
Value = Scalar | tuple[Scalar, ...]
"""A metadata value; arrays longer than ``KEPT_ITEMS`` are counted but not kept."""

KEPT_ITEMS = 4096
"""Longest array kept: per-layer settings are short, vocabularies are not."""

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MAX_TENSORS = 200_000
_MAX_KEYS = 100_000
_MAX_STRING = 64 << 20
_MAX_KEY_LENGTH = 65_535
_MAX_DIMENSIONS = 4
_MAX_NESTING = 4
_WINDOW = 1 << 20
_STRING, _ARRAY = 8, 9
_FORMATS = dict(enumerate("BbHhIif?", 0)) | {10: "Q", 11: "q", 12: "d"}
_REMEDY = "Download the file again, or choose another one."


class Source(Protocol):
    """Where the bytes of a file come from: a disk, or a server that takes ranges."""

    @property
    def name(self) -> str:
        """Name for error messages."""

    @property
    def size(self) -> int:
        """Bytes of the whole file."""

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; fewer only at the end of the file."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file on disk."""

    path: Path
    """The file."""
    size: int
    """Bytes."""

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``."""
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(size)


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where one tensor lies and how it is stored."""

    name: str
    """Name: ``blk.0.attn_q.weight``."""
    shape: tuple[int, ...]
    """Dimensions, fastest first."""
    type: int
    """``enum ggml_type``; a key of ``quant.TYPES``."""
    offset: int
    """Bytes from the start of the tensor data."""
    bytes: int
    """Bytes of the weights."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """A header that passed every check."""

    source: str
    """Name of the file."""
    version: int
    """Version of the format."""
    metadata: Mapping[str, Value]
    """Metadata; long arrays are left out."""
    lengths: Mapping[str, int]
    """Items of each array, kept or not."""
    tensors: tuple[TensorInfo, ...]
    """Tensors, in the file's order."""
    data_offset: int
    """Where the tensor data begins."""

    def text(self, key: str, default: str = "") -> str:
        """Return a string of the metadata."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else default

    def number(self, key: str, default: int = 0) -> int:
        """Return a whole number of the metadata; the largest one of a per-layer array.

        ``default`` stands for a value that is missing or no whole number.
        """
        value = self.metadata.get(key)
        if isinstance(value, tuple):
            value = max((item for item in value if isinstance(item, int)), default=None)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return int(value) if isinstance(value, int) else default


class _Reader:
    """Sequential reads through a window, each checked against the end of the file."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.position = 0
        self._window = b""
        self._start = 0

    def fail(self, what: str) -> HeaderError:
        """Make the error that says what is wrong with this file."""
        return HeaderError(f"{self.source.name} is not a usable GGUF file: {what}.", _REMEDY)

    def _fill(self, size: int) -> int:
        """Make ``size`` bytes from the position available and return their index in the window."""
        at = self.position - self._start
        if at < 0 or at + size > len(self._window):
            if self.position + size > self.source.size:
                raise self.fail(f"it ends inside its header (at {self.source.size:,} bytes)")
            self._window = self.source.read(self.position, max(size, _WINDOW))
            self._start, at = self.position, 0
            if len(self._window) < size:
                raise self.fail("it became shorter while it was read")
        return at

    def take(self, size: int) -> bytes:
        at = self._fill(size)
        self.position += size
        return self._window[at : at + size]

    def unpack(self, code: str) -> int | float | bool:
        size = struct.calcsize("<" + code)
        at = self._fill(size)
        self.position += size
        value: int | float | bool = struct.unpack_from("<" + code, self._window, at)[0]
        return value

    def count(self, code: str = "Q") -> int:
        return int(self.unpack(code))

    def string(self, limit: int = _MAX_STRING) -> str:
        length = self.count()
        if length > limit:
            raise self.fail(f"it announces a text of {length:,} bytes")
        return self.take(length).decode("utf-8", errors="replace")

    def skip(self, size: int) -> None:
        if self.position + size > self.source.size:
            raise self.fail("an array reaches past its end")
        self.position += size

    def skip_strings(self, count: int) -> None:
        """Walk over strings: quick, because a vocabulary holds hundreds of thousands."""
        unpack = struct.Struct("<Q").unpack_from
        done = 0
        while done < count:
            at = self._fill(8)
            window, end = self._window, len(self._window)
            while done < count and at + 8 <= end:
                length = unpack(window, at)[0]
                if length > _MAX_STRING:
                    raise self.fail(f"it announces a text of {length:,} bytes")
                at += 8 + length
                done += 1
            self.position = self._start + at
            if self.position > self.source.size:
                raise self.fail("a text reaches past its end")


def _array(reader: _Reader, depth: int = 0) -> tuple[tuple[Scalar, ...] | None, int]:
    """Read an array: its items unless they are many, and their number."""
    kind, count = reader.count("I"), reader.count()
    smallest = 8 if kind == _STRING else 12 if kind == _ARRAY else 1
    if count * smallest > reader.source.size - reader.position:
        raise reader.fail(f"it announces an array of {count:,} items, more than it can hold")
    if kind == _STRING:
        if count > KEPT_ITEMS:
            reader.skip_strings(count)
            return None, count
        return tuple(reader.string() for _ in range(count)), count
    if kind == _ARRAY:
        if depth >= _MAX_NESTING:
            raise reader.fail("its arrays are nested too deeply")
        for _ in range(count):
            _array(reader, depth + 1)
        return None, count
    if kind not in _FORMATS:
        raise reader.fail(f"it holds values of the unknown kind {kind}")
    size = struct.calcsize(_FORMATS[kind])
    if count > KEPT_ITEMS:
        reader.skip(count * size)
        return None, count
    return struct.unpack(f"<{count}{_FORMATS[kind]}", reader.take(count * size)), count


def _metadata(reader: _Reader, count: int) -> tuple[dict[str, Value], dict[str, int]]:
    values: dict[str, Value] = {}
    lengths: dict[str, int] = {}
    for _ in range(count):
        key = reader.string(_MAX_KEY_LENGTH)
        if key in values or key in lengths:
            raise reader.fail(f"the key {key!r} stands in it twice")
        kind = reader.count("I")
        if kind == _STRING:
            values[key] = reader.string()
        elif kind == _ARRAY:
            items, lengths[key] = _array(reader)
            if items is not None:
                values[key] = items
        elif kind in _FORMATS:
            values[key] = reader.unpack(_FORMATS[kind])
        else:
            raise reader.fail(f"the key {key!r} has the unknown kind {kind}")
    return values, lengths


def _tensor(reader: _Reader) -> TensorInfo:
    name = reader.string(_MAX_KEY_LENGTH)
    dimensions = reader.count("I")
    if not 0 < dimensions <= _MAX_DIMENSIONS:
        raise reader.fail(f"the tensor {name!r} has {dimensions} dimensions")
    shape = tuple(reader.count() for _ in range(dimensions))
    kind, offset = reader.count("I"), reader.count()
    known = TYPES.get(kind)
    if known is None:
        raise HeaderError(
            f"{reader.source.name} stores tensors in a format that Alcove does not know ({kind}).",
            "Choose another quantization level, such as Q4_K_M, or update Alcove.",
        )
    weights = 1
    for side in shape:
        weights *= side
    if weights == 0 or shape[0] % known.block:
        raise reader.fail(f"the tensor {name!r} has the impossible shape {shape}")
    return TensorInfo(name, shape, kind, offset, known.size(weights))


def _check_layout(reader: _Reader, tensors: list[TensorInfo], data: int, alignment: int) -> None:
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise reader.fail("two tensors have the same name")
    end = 0
    for tensor in sorted(tensors, key=lambda item: item.offset):
        if tensor.offset % alignment or tensor.offset < end:
            raise reader.fail(f"the tensor {tensor.name!r} lies at an impossible place")
        end = tensor.offset + tensor.bytes
        if data + end > reader.source.size:
            missing = data + end - reader.source.size
            raise HeaderError(
                f"{reader.source.name} is incomplete: at least {missing:,} bytes are missing.",
                "Download it again; what is there is not enough to run.",
            )


def parse_header(source: Source) -> GgufHeader:
    """Read and check a header. Raises ``HeaderError``."""
    reader = _Reader(source)
    if source.size < 24 or reader.take(4) != _MAGIC:
        raise reader.fail("it does not begin with the letters GGUF")
    version = reader.count("I")
    if version not in _VERSIONS:
        raise reader.fail(f"its format version is {version}, and 2 and 3 are known")
    tensor_count, key_count = reader.count(), reader.count()
    if tensor_count > _MAX_TENSORS or key_count > _MAX_KEYS:
        raise reader.fail(f"it announces {tensor_count:,} tensors and {key_count:,} keys")
    metadata, lengths = _metadata(reader, key_count)
    tensors = [_tensor(reader) for _ in range(tensor_count)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise reader.fail(f"its alignment is {alignment!r}")
    data = -(-reader.position // alignment) * alignment
    _check_layout(reader, tensors, data, alignment)
    return GgufHeader(source.name, version, metadata, lengths, tuple(tensors), data)


def read_header(path: Path) -> GgufHeader:
    """Read and check the header of a local file. Raises ``HeaderError``, ``ModelNotFoundError``."""
    try:
        if not path.is_file():
            raise ModelNotFoundError(f"There is no file {path}.", "Check the path.")
        return parse_header(FileSource(path, path.stat().st_size))
    except OSError as error:
        raise HeaderError(
            f"{path} cannot be read: {error.strerror}.", "Check its permissions."
        ) from error
