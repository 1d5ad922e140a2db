"""Markdown: its lines are kept; title, tags and links are read from it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from urllib.parse import unquote

from retrieval.blocks.text import front_matter_end, markdown_blocks, markdown_title
from retrieval.extract.decoding import decode
from retrieval.extract.extracted import Extracted, clean_tags

_LONGEST_FRONT_MATTER = 100_000
_SHORT_FRONT_MATTER = 10_000
_TAG = re.compile(r"(?<![^\s,;])#([^\W\d_][\w/-]*|\d[\w/-]*[^\W\d][\w/-]*)")
_WIKILINK = re.compile(r"\[\[([^\[\]|#^\n]+)(?:[|#^][^\[\]\n]*)?\]\]")
_LINK = re.compile(r"\]\(\s*(?:<([^<>\n]+)>|([^\s()<>]+(?:\([^\s()]*\)[^\s()]*)*))")
_REFERENCE = re.compile(r"^ {0,3}\[[^\]\n]+\]:\s*<?([^\s<>]+)", re.MULTILINE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
_FENCE = re.compile(r"\s*(?:[-*+]\s+|\d+[.)]\s+|>\s*)*(`{3,}|~{3,})")
_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")


def extract(path: str, data: bytes) -> Extracted:
    """Give the text of a Markdown file; see ``retrieval.extract.extract``."""
    return read_markdown(path, decode(data))


def read_markdown(path: str, text: str) -> Extracted:
    """Give a Markdown text with its title, tags and links."""
    lines = text.split("\n")
    end = front_matter_end(lines)
    fields = _front_matter(lines[:end])
    prose = "\n".join(_prose(lines, text))
    tags = [*_listed(fields, "tags", "tag", "keywords"), *_TAG.findall(prose)]
    links = [target.strip() for target in _WIKILINK.findall(prose)]
    targets = [first or second for first, second in _LINK.findall(prose)]
    links += relative_links(path, targets + _REFERENCE.findall(prose))
    return Extracted(
        text,
        title=_title(fields) or markdown_title(text) or "",
        tags=clean_tags(tags),
        links=tuple(dict.fromkeys(filter(None, links))),
    )


def relative_links(path: str, targets: list[str]) -> list[str]:
    """Give the paths below the folder that a file's relative links lead to."""
    links: list[str] = []
    for target in targets:
        if _SCHEME.match(target) or target.startswith(("#", "?")):
            continue
        relative = unquote(target.partition("#")[0].partition("?")[0])
        below = posixpath.dirname(path) if not relative.startswith("/") else ""
        joined = posixpath.normpath(posixpath.join(below, relative.lstrip("/")))
        if joined != "." and not joined.startswith(".."):
            links.append(joined)
    return list(dict.fromkeys(links))


def _title(fields: dict[str, object]) -> str:
    title = fields.get("title")
    return title if isinstance(title, str) else ""


def _front_matter(lines: list[str]) -> dict[str, object]:
    """Give the fields of front matter by name in lower case; none when it is not valid."""
    body = "\n".join(lines[1:-1])
    if not body or len(body) > _LONGEST_FRONT_MATTER:
        return {}
    fields: object
    try:
        if lines[0].startswith("+"):
            import tomllib

            fields = tomllib.loads(body)
        else:
            import yaml

            # The quick loader has no limit to its depth but the stack: it gets little at a time.
            is_short = len(body) <= _SHORT_FRONT_MATTER
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader) if is_short else yaml.SafeLoader
            fields = yaml.load(body, loader)
    except Exception:  # Whatever a loader says of it: it is text then, and indexed as such.
        return {}
    if not isinstance(fields, dict):
        return {}
    return {str(name).lower(): value for name, value in fields.items()}


def _listed(fields: dict[str, object], *names: str) -> Iterator[str]:
    """Give the values of fields that hold a list, or a text with commas or spaces between them."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str):
            yield from value.split(",") if "," in value or name == "keywords" else value.split()
        elif isinstance(value, list):
            yield from (str(v) for v in value if isinstance(v, str | int | float))


def _prose(lines: list[str], text: str) -> Iterator[str]:
    """Give the lines that are neither headings, code nor front matter, without code spans."""
    for block in markdown_blocks(text):
        if block.level or block.front_matter or block.code:
            continue
        fence = ""
        for line in lines[block.first : block.last + 1]:
            mark = _FENCE.match(line)
            if mark and (not fence or mark.group(1).startswith(fence)):
                fence = "" if fence else mark.group(1)
            elif not fence:
                yield _CODE.sub(" ", line)
