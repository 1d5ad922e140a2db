"""reStructuredText and Org: their lines are kept; title, tags and links are read from them."""

from __future__ import annotations

import re
from collections.abc import Callable

from retrieval.blocks.markup import org_blocks, org_tags, rst_blocks
from retrieval.extract.decoding import decode
from retrieval.extract.extracted import Extracted, clean_tags
from retrieval.extract.markdown import relative_links
from retrieval.files.formats import format_of

_RST_FIELD = re.compile(r":(tags|keywords|title):\s+(.+)", re.IGNORECASE)
_RST_META = re.compile(r"\s+:keywords:\s+(.+)", re.IGNORECASE)
_RST_LINK = re.compile(r"`[^`<]*<([^<>`]+)>`__?|^\.\. _[^:\n]+:[ ]+(\S+)", re.MULTILINE)
_RST_DOC = re.compile(r":doc:`(?:[^`<]*<)?([^`<>]+)>?`")
_ORG_KEYWORD = re.compile(r"#\+(title|filetags):\s*(.+)", re.IGNORECASE)
_ORG_LINK = re.compile(r"\[\[([^\[\]]+)\](?:\[[^\[\]]*\])?\]")


def extract(path: str, data: bytes) -> Extracted:
    """Give the text of a file; see ``retrieval.extract.extract``."""
    text = decode(data)
    read: Callable[[str, str], Extracted] = _org if format_of(path) == "org" else _rst
    return read(path, text)


def _rst(path: str, text: str) -> Extracted:
    headings = [block.heading for block in rst_blocks(text) if block.level]
    title = ""
    tags: list[str] = []
    for line in text.split("\n", 60)[:60]:
        field = _RST_FIELD.match(line) or _RST_META.match(line)
        if field and field.lastindex == 2 and field.group(1).lower() == "title":
            title = title or field.group(2)
        elif field:
            tags += field.group(field.lastindex or 0).split(",")
    targets = [inline or named for inline, named in _RST_LINK.findall(text)]
    documents = [f"{name}.rst" for name in _RST_DOC.findall(text)]
    return Extracted(
        text,
        title=(headings[0] if headings else "") or title,
        tags=clean_tags(tags),
        links=tuple(relative_links(path, [t for t in targets if t[-1] != "_"] + documents)),
    )


def _org(path: str, text: str) -> Extracted:
    title = ""
    tags: list[str] = []
    for name, value in _ORG_KEYWORD.findall(text):
        if name.lower() == "title":
            title = title or value
        else:
            tags += re.split(r"[:\s]+", value)
    lines = text.split("\n")
    headings = [block for block in org_blocks(text) if block.level]
    for block in headings:
        tags += org_tags(lines[block.first])
    top = [block.heading for block in headings if block.level == 1]
    targets = [_org_target(target) for target in _ORG_LINK.findall(text)]
    names = [t for t in targets if t and "/" not in t and "." not in t]
    return Extracted(
        text,
        title=title or (top[0] if len(top) == 1 else ""),
        tags=clean_tags(tags),
        links=tuple(
            dict.fromkeys(names + relative_links(path, [t for t in targets if t not in names]))
        ),
    )


def _org_target(target: str) -> str:
    """Give the file that an Org link leads to, or the name of what it searches for."""
    target = target.removeprefix("file:").partition("::")[0].strip()
    return "" if target.startswith(("#", "*", "id:")) else target
