"""HTML as Markdown: headings, paragraphs, lists, tables and code; scripts and menus left out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from retrieval.blocks.text import markdown_blocks
from retrieval.extract.decoding import decode
from retrieval.extract.extracted import MAX_TEXT, Extracted, UnusableNoteError, clean_tags
from retrieval.extract.markdown import relative_links
from retrieval.types import Place

if TYPE_CHECKING:
    from lxml.etree import _Element


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


_LEFT_OUT = _words(
    "nav head svg iframe object embed canvas audio video button select textarea input dialog"
)
_BLOCKS = _words(
    "address article aside body center dd details div dl dt fieldset figcaption figure footer form"
    " header hgroup html legend li main p section summary tbody td tfoot th thead tr"
)
_INSIDE_LAYOUT = _words("table h1 h2 h3 h4 h5 h6 ul ol pre")
_HEADING = re.compile(r"h([1-6])$")
_LONGEST_PLACE = 60
_SPACE = re.compile(r"[ \t\n\r\f]+")
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w:.-]{1,40})", re.IGNORECASE)
_MARKUP = re.compile(r"(?=#{1,6}\s|[`~]{3}|[-=]+\s*$|>)")  # What would be read as Markdown.


def extract(path: str, data: bytes) -> Extracted:
    """Give the text of a page; see ``retrieval.extract.extract``."""
    root = parse_html(data)
    text = to_markdown(root)
    if not text:
        raise UnusableNoteError("it holds no text")
    title = _text(root.iter("title")) or _text(root.iter("h1"))
    keywords: list[str] = []
    for meta in root.iter("meta"):
        if (meta.get("name") or "").lower() == "keywords":
            keywords += (meta.get("content") or "").split(",")
    targets = [href for a in root.iter("a") if (href := a.get("href"))]
    return Extracted(
        text,
        title=title,
        tags=clean_tags(keywords),
        links=tuple(relative_links(path, targets)),
        places=section_places(text),
    )


def parse_html(data: bytes) -> _Element:
    """Parse a page in whatever encoding it is. Raises ``UnusableNoteError``."""
    from lxml import etree

    text = _decode(data)
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=False
    )
    parser.feed(text.encode("utf-8", "replace"))
    root: _Element | None = parser.close() if text.strip() else None
    if root is None:
        raise UnusableNoteError("it holds no text")
    etree.strip_elements(root, "script", "style", "noscript", "template", with_tail=False)
    return root


def to_markdown(root: _Element) -> str:
    """Give what an element shows as Markdown."""
    writer = _Writer()
    writer.element(root)
    writer.flush()
    return "\n\n".join(writer.blocks)


def section_places(text: str) -> tuple[Place, ...]:
    """Give the sections of a Markdown text that was made of a file as places in it.

    Lines of the text are not the file's own, so a passage is named by the heading above it.
    """
    headings = [b for b in markdown_blocks(text) if b.level and b.heading]
    places = [Place(block.first + 1, block.heading[:_LONGEST_PLACE]) for block in headings]
    if not places or places[0].first_line > 1:
        places.insert(0, Place(1, "beginning" if places else "text"))
    return tuple(places)


def collapse(text: str) -> str:
    """Make one space of every run of white space."""
    return _SPACE.sub(" ", text).strip()


class _Writer:
    """Collects the blocks of an element."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self._line: list[str] = []

    def flush(self) -> None:
        """End the paragraph under way."""
        parts = "".join(self._line).split("\v")
        self._line.clear()
        text = "\n".join(filter(None, map(collapse, parts)))
        if text:
            self.blocks.append("\n".join(map(_plain, text.split("\n"))))

    def element(self, element: _Element) -> None:
        """Take an element with what is in it; comments are not parsed into any."""
        tag = element.tag
        if _is_left_out(element, tag):
            return
        heading = _HEADING.match(tag)
        if heading:
            self._block(f"{'#' * int(heading.group(1))} {_text([element])}".rstrip(" #"))
        elif tag in {"ul", "ol"}:
            self._block("\n".join(_items(element)))
        elif tag in {"pre", "listing"}:
            self._block(_fenced("".join(map(str, element.itertext()))))
        elif tag == "table":
            self._table(element)
        elif tag == "blockquote":
            self._block("\n".join(f"> {line}" for line in _inside(element).split("\n")))
        elif tag in {"br", "hr"}:
            self._line.append("\v")
        elif tag == "img":
            self._line.append(element.get("alt") or "")
        elif tag in {"code", "kbd", "samp", "tt"}:
            self._line.append(f"`{_text([element])}`")
        else:
            self._within(element, is_block=tag in _BLOCKS)

    def _within(self, element: _Element, *, is_block: bool) -> None:
        if is_block:
            self.flush()
        self._line.append(element.text or "")
        for child in element:
            self.element(child)
            self._line.append(child.tail or "")
        if is_block:
            self.flush()

    def _block(self, text: str) -> None:
        self.flush()
        if text.strip():
            self.blocks.append(text)

    def _table(self, table: _Element) -> None:
        """Take a table of values row by row; one that lays out a page is what is in it."""
        if any(e is not table and e.tag in _INSIDE_LAYOUT for e in table.iter()):
            self._within(table, is_block=True)
            return
        rows = [
            [_text([cell]).replace("|", "\\|") for cell in row if cell.tag in {"td", "th"}]
            for row in table.iter("tr")
        ]
        rows = [row for row in rows if any(row)]
        width = max(map(len, rows), default=0)
        if width * len(rows) > MAX_TEXT:
            raise UnusableNoteError("one of its tables is too large to be read")
        lines = [f"| {' | '.join(row + [''] * (width - len(row)))} |" for row in rows]
        if len(lines) > 1:
            lines.insert(1, f"|{' --- |' * width}")
        self._block("\n".join(lines))


def _items(element: _Element) -> Iterable[str]:
    number = 0
    for item in element:
        if _is_left_out(item, item.tag):
            continue
        inside = _inside(item)
        if not inside:
            continue
        number += 1
        mark = f"{number}. " if element.tag == "ol" else "- "
        lines = inside.split("\n") if item.tag not in {"ul", "ol"} else list(_items(item))
        indent = " " * len(mark)
        yield mark + "\n".join([lines[0], *(indent + line if line else "" for line in lines[1:])])


def _inside(element: _Element) -> str:
    writer = _Writer()
    writer._within(element, is_block=True)
    return "\n".join(writer.blocks)


def _is_left_out(element: _Element, tag: str) -> bool:
    return (
        tag in _LEFT_OUT
        or element.get("role") == "navigation"
        or element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
    )


def _text(elements: Iterable[_Element]) -> str:
    """Give the text of the first element, on one line."""
    for element in elements:
        return collapse("".join(map(str, element.itertext("*"))))
    return ""


def _plain(line: str) -> str:
    """Keep a line of text from being read as a heading, a fence or a quotation."""
    return f"\\{line}" if _MARKUP.match(line) else line


def _fenced(text: str) -> str:
    text = text.strip("\n").replace("\r", "")
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}" if text.strip() else ""


def _decode(data: bytes) -> str:
    """Decode by what the page says of itself where it is not UTF-8."""
    try:
        return data.decode("utf-8-sig").replace("\0", "")
    except UnicodeDecodeError:
        pass
    named = _CHARSET.search(data[:4096])
    if named and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode(named.group(1).decode("ascii")).replace("\0", "")
        except (LookupError, UnicodeError, ValueError):
            pass
    return decode(data)
