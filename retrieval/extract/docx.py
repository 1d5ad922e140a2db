"""Word documents as Markdown, by way of the HTML that mammoth makes of them."""

from __future__ import annotations

import io
import logging

from retrieval.extract.archives import Archive, parse_xml
from retrieval.extract.extracted import Extracted, UnusableNoteError, clean_tags
from retrieval.extract.html import parse_html, section_places, to_markdown

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MOST_XML = 20_000_000  # The tree of a document takes some thirty times as much memory.
_STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => p:fresh
p[style-name='Code'] => pre:separator('\n')
p[style-name='HTML Preformatted'] => pre:separator('\n')
p[style-name='Source Code'] => pre:separator('\n')
"""
_CORE = "docProps/core.xml"


def extract(path: str, data: bytes) -> Extracted:
    """Give the text of a document; see ``retrieval.extract.extract``."""
    if data.startswith(_OLE):
        raise UnusableNoteError("it is protected by a password, or in the format before Word 2007")
    archive = Archive(data, "a Word document")
    parts = [name for name in archive.names if name.lower().endswith((".xml", ".rels"))]
    archive.check(parts, most=_MOST_XML)
    import mammoth

    logging.getLogger("mammoth").setLevel(logging.CRITICAL)
    converted = mammoth.convert_to_html(
        io.BytesIO(data),
        style_map=_STYLES,
        convert_image=mammoth.images.img_element(lambda image: {}),
    )
    html = f"<html><body>{converted.value}</body></html>"
    text = to_markdown(parse_html(html.encode()))
    if not text:
        raise UnusableNoteError("it holds no text")
    title, keywords = _properties(archive)
    return Extracted(
        text,
        title=title or _first_heading(text),
        tags=clean_tags(keywords),
        places=section_places(text),
    )


def _properties(archive: Archive) -> tuple[str, list[str]]:
    """Give the title and keywords that a document's properties state."""
    title, keywords = "", ""
    if _CORE in archive.names:
        for element in parse_xml(archive.read(_CORE)).iter("{*}title", "{*}keywords"):
            if str(element.tag).endswith("}title"):
                title = (element.text or "").strip()
            else:
                keywords = element.text or ""
    return title, keywords.replace(";", ",").split(",")


def _first_heading(text: str) -> str:
    first = text.split("\n", 1)[0]
    return first[2:] if first.startswith("# ") else ""
