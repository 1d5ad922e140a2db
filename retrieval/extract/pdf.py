"""PDF as text, page by page, by PDFium.

PDFium is not made for threads: one document is open at a time.
"""

from __future__ import annotations

import re
import threading
import time
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from retrieval.extract.extracted import Extracted, TextBuilder, UnusableNoteError, clean_tags

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfTextPage

_MOST_PAGES = 5000
_MOST_SECONDS = 120.0
_FEW_LINES = 4
_APART = 1.4  # Of the usual distance between two lines.
_MOST_PAGE_CHARACTERS = 1_000_000
_PASSWORD, _SECURITY = 4, 5  # FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY
_ONE_AT_A_TIME = threading.Lock()
_HYPHEN = re.compile(r"(?<=[^\W\d_])(?:-|\xad|\u2010|\ufffe|\x02)[ ]?\n[ ]*([^\W\d_A-Z]\S*)[ ]?")
_MARKS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\xad\ufffe\uffff]")


def extract(path: str, data: bytes) -> Extracted:
    """Give the text of a document, its pages as places; see ``retrieval.extract.extract``."""
    import pypdfium2

    with _ONE_AT_A_TIME:
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            if getattr(error, "err_code", None) in {_PASSWORD, _SECURITY}:
                raise UnusableNoteError("it is protected by a password") from error
            raise UnusableNoteError("it is not a PDF file that can be read") from error
        try:
            return _read(document)
        finally:
            document.close()


def _read(document: PdfDocument) -> Extracted:
    pages = len(document)
    if pages > _MOST_PAGES:
        raise UnusableNoteError(f"it has {pages} pages; PDF files are read up to {_MOST_PAGES}")
    until = time.monotonic() + _MOST_SECONDS
    builder = TextBuilder()
    for number in range(pages):
        if time.monotonic() > until:
            raise UnusableNoteError(
                f"it takes longer than {_MOST_SECONDS:.0f} seconds to read"
                f" ({number} of {pages} pages)"
            )
        builder.add(f"page {number + 1}", _page(document, number))
    if not builder.text:
        raise UnusableNoteError(
            "it holds no text: its pages are pictures (scanned?); recognise their text first"
        )
    keywords = document.get_metadata_value("Keywords").replace(";", ",")
    return Extracted(
        builder.text,
        title=document.get_metadata_value("Title"),
        tags=clean_tags(keywords.split(",") if "," in keywords else ()),
        places=builder.places,
    )


def _page(document: PdfDocument, number: int) -> str:
    """Give a page's text, its lines as they are set."""
    import pypdfium2

    try:
        page = document.get_page(number)
    except pypdfium2.PdfiumError:
        return ""  # A broken page is no reason to lose the others.
    try:
        text_page = page.get_textpage()
        try:
            if text_page.count_chars() > _MOST_PAGE_CHARACTERS:
                raise UnusableNoteError(f"page {number + 1} holds too much text to be read")
            text = _with_paragraphs(text_page, text_page.get_text_range())
        finally:
            text_page.close()
    except pypdfium2.PdfiumError:
        return ""
    finally:
        page.close()
    return clean_page(text)


def _with_paragraphs(page: PdfTextPage, text: str) -> str:
    """Put a blank line where the distance between two lines is larger than usual on the page."""
    lines = text.split("\r\n")
    bottoms: list[float | None] = []
    heights: list[float] = []
    start = 0
    for line in lines:
        letter = start + len(line) - len(line.lstrip())
        if line.strip():
            _, bottom, _, top = page.get_charbox(letter, loose=True)
            heights.append(top - bottom)
        bottoms.append(bottom if line.strip() else None)
        start += len(line) + 2
    gaps = [
        above - below if above is not None and below is not None else 0.0
        for above, below in pairwise(bottoms)
    ]
    steps = [gap for gap in gaps if gap > 1.0] or [0.0]
    usual = median(steps)
    if len(steps) < _FEW_LINES:  # Too few to tell; a line is about a third higher than its letters.
        usual = min(usual, 1.35 * median(heights or [0.0]))
    parts = lines[:1]
    for gap, line in zip(gaps, lines[1:], strict=True):
        is_apart = gap > _APART * usual or gap < -usual  # Further down, or up in the next column.
        parts += ["", line] if is_apart else [line]
    return "\n".join(parts)


def clean_page(text: str) -> str:
    """Join words that were hyphenated at line ends, and drop marks that are no text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _HYPHEN.sub(r"\1\n", text)
    return "\n".join(line.rstrip() for line in _MARKS.sub("", text).split("\n"))
