"""EPUB books as Markdown, chapter after chapter as they are read."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote

from retrieval.extract.archives import Archive, parse_xml
from retrieval.extract.extracted import Extracted, TextBuilder, UnusableNoteError, clean_tags
from retrieval.extract.html import collapse, parse_html, to_markdown

if TYPE_CHECKING:
    from lxml.etree import _Element

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml"})


def extract(path: str, data: bytes) -> Extracted:
    """Give the text of a book, its chapters as places; see ``retrieval.extract.extract``."""
    archive = Archive(data, "an EPUB book")
    package_path = next(
        (e.get("full-path") for e in parse_xml(archive.read(_CONTAINER)).iter("{*}rootfile")), None
    )
    if not package_path:
        raise UnusableNoteError("it is not an EPUB book that can be read: it has no contents")
    package = parse_xml(archive.read(package_path))
    folder = posixpath.dirname(package_path)
    items = {item.get("id"): item for item in package.iter("{*}item")}
    spine = [items.get(ref.get("idref")) for ref in package.iter("{*}itemref")]
    chapters = [
        _below(folder, item.get("href") or "")
        for item in spine
        if item is not None and item.get("media-type") in _PAGES
    ]
    if _encrypted(archive).intersection(chapters):
        raise UnusableNoteError("it is protected against being read by other programs")
    names = _chapter_names(archive, folder, list(items.values()))
    builder = TextBuilder()
    for number, chapter in enumerate(dict.fromkeys(chapters), start=1):
        if chapter in archive.names:
            text = _chapter(archive.read(chapter))
            builder.add(names.get(chapter) or _heading(text) or f"part {number}", text)
    if not builder.text:
        raise UnusableNoteError("it holds no text")
    return Extracted(
        builder.text,
        title=next(_texts(package, "title"), ""),
        tags=clean_tags(_texts(package, "subject")),
        places=builder.places,
    )


def _chapter(data: bytes) -> str:
    try:
        return to_markdown(parse_html(data))
    except UnusableNoteError:
        return ""


def _texts(package: _Element, name: str) -> Iterator[str]:
    for element in package.iter(f"{{http://purl.org/dc/elements/1.1/}}{name}"):
        if text := collapse("".join(map(str, element.itertext()))):
            yield text


def _heading(text: str) -> str:
    for line in text.split("\n"):
        if line.startswith("#"):
            return line.lstrip("#").strip()[:60]
    return ""


def _chapter_names(archive: Archive, folder: str, items: list[_Element]) -> dict[str, str]:
    """Give what the table of contents calls each file of the book."""
    names: dict[str, str] = {}
    for item in items:
        path = _below(folder, item.get("href") or "")
        is_contents = "nav" in (item.get("properties") or "").split()
        is_old = item.get("media-type") == "application/x-dtbncx+xml"
        if path not in archive.names or not (is_contents or is_old):
            continue
        for target, name in _contents(archive.read(path)):
            inside = _below(posixpath.dirname(path), target.partition("#")[0])
            names.setdefault(inside, collapse(name)[:60])
    return names


def _contents(data: bytes) -> Iterator[tuple[str, str]]:
    """Give the targets and names of a table of contents, of EPUB 3 or 2."""
    root = parse_xml(data)
    for link in root.iter("{*}a"):
        yield link.get("href") or "", "".join(map(str, link.itertext()))
    for point in root.iter("{*}navPoint"):
        label = next(point.iter("{*}text"), None)
        content = next(point.iter("{*}content"), None)
        if label is not None and content is not None:
            yield content.get("src") or "", label.text or ""


def _encrypted(archive: Archive) -> set[str]:
    """Give the files of a book that are encrypted, fonts among them."""
    if _ENCRYPTION not in archive.names:
        return set()
    root = parse_xml(archive.read(_ENCRYPTION))
    return {unquote(e.get("URI") or "") for e in root.iter("{*}CipherReference")}


def _below(folder: str, href: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(href)))
