"""Bytes to text: UTF-8, what a byte-order mark says, or what the bytes look like."""

from __future__ import annotations

import re

from retrieval.extract.extracted import UnusableNoteError

_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32", "UTF-32"),
    (b"\x00\x00\xfe\xff", "utf-32", "UTF-32"),
    (b"\xff\xfe", "utf-16", "UTF-16"),
    (b"\xfe\xff", "utf-16", "UTF-16"),
)
_LEGACY = (
    *("cp1252", "cp932", "gb18030", "euc_jp", "big5", "cp949", "cp1251", "koi8_r", "cp1250"),
    *("cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874", "mac_roman", "cp866", "cp437"),
)
"""Encodings that are told apart; of those that fit equally well the first is taken."""
_MOST_CHAOS = 0.2  # Share of what looks like the wrong letters; charset-normalizer's own limit.
_LETTERS_PER_BREAK = 10  # A legacy encoding is next to never valid UTF-8 that often.
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SAMPLE_BYTES = 200_000  # What is looked at to tell an encoding; more only takes longer.


def decode(data: bytes) -> str:
    """Give a note's text with newlines normalised, or raise ``UnusableNoteError``."""
    return _decode(data).replace("\r\n", "\n").replace("\r", "\n")


def _decode(data: bytes) -> str:
    for mark, encoding, name in _MARKS:
        if data.startswith(mark):
            try:
                return _without_binary(data.decode(encoding))
            except UnicodeDecodeError as error:
                raise UnusableNoteError(
                    f"it begins like {name} text and is none; save it as UTF-8"
                ) from error
    try:
        return _without_binary(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        if b"\0" in data:
            raise UnusableNoteError("it holds binary data") from error
        return _mended(data) or _decode_legacy(data, error.start)


def _mended(data: bytes) -> str:
    """Give UTF-8 text that is broken in a few places; empty when it is not mostly UTF-8."""
    text = data.decode("utf-8-sig", "replace")
    broken = text.count("\ufffd")
    letters = len(text) - len(text.encode("ascii", "ignore")) - broken
    return text if letters >= _LETTERS_PER_BREAK * broken and not _has_controls(text) else ""


def _decode_legacy(data: bytes, start: int) -> str:
    """Decode text from before UTF-8, by the encoding that its bytes look like."""
    from charset_normalizer import from_bytes

    matches = from_bytes(_around(data, start), threshold=_MOST_CHAOS, cp_isolation=[*_LEGACY])
    ranked = sorted(
        (round(match.chaos, 2), -round(match.coherence, 1), _LEGACY.index(encoding), encoding)
        for match in matches
        for encoding in match.could_be_from_charset
        if encoding in _LEGACY
    )
    for *_, encoding in ranked[:3]:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not _has_controls(text):
            return text
    raise UnusableNoteError(
        f"it is not UTF-8 text (byte {start + 1}), nor in an encoding that can be told;"
        " save it as UTF-8"
    )


def _around(data: bytes, start: int) -> bytes:
    """Give whole lines about the first byte that is not UTF-8."""
    if len(data) <= _SAMPLE_BYTES:
        return data
    first = data.rfind(b"\n", 0, max(start - _SAMPLE_BYTES // 4, 0)) + 1
    last = data.rfind(b"\n", start, first + _SAMPLE_BYTES)
    return data[first : last if last > start else first + _SAMPLE_BYTES]


def _without_binary(text: str) -> str:
    if "\0" in text:
        raise UnusableNoteError("it holds binary data")
    return text


def _has_controls(text: str) -> bool:
    """Say whether there is what no text holds: control characters, but for layout."""
    return _CONTROLS.search(text) is not None
