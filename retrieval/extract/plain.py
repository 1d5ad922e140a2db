"""Text that is what it looks like: plain text, source code, CSV. Its lines are kept."""

from __future__ import annotations

from retrieval.extract.decoding import decode
from retrieval.extract.extracted import Extracted, UnusableNoteError
from retrieval.files.formats import format_of

_LONGEST_CODE_LINE = 20_000


def extract(path: str, data: bytes) -> Extracted:
    """Give the text of a file; see ``retrieval.extract.extract``."""
    text = decode(data)
    if format_of(path) == "code" and len(text) > _LONGEST_CODE_LINE:
        longest = max(map(len, text.split("\n")))
        if longest > _LONGEST_CODE_LINE:
            raise UnusableNoteError(
                f"it is minified or generated: one of its lines has {longest} characters"
            )
    return Extracted(text)
