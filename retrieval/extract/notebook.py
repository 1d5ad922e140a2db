"""Jupyter notebooks as Markdown: cells in order, code fenced, outputs only where they are short."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from retrieval.extract.decoding import decode
from retrieval.extract.extracted import Extracted, TextBuilder, UnusableNoteError
from retrieval.extract.markdown import read_markdown

_OUTPUT_LINES = 20
_OUTPUT_CHARACTERS = 2000


def extract(path: str, data: bytes) -> Extracted:
    """Give the text of a notebook, its cells as places; see ``retrieval.extract.extract``."""
    notebook = json.loads(decode(data))
    cells = notebook.get("cells")
    if cells is None and "worksheets" in notebook:  # Format 3 and before keep them in sheets.
        cells = [c for sheet in notebook["worksheets"] for c in sheet.get("cells", [])]
    if not isinstance(cells, list):
        raise UnusableNoteError("it is not a Jupyter notebook that can be read")
    language = _language(notebook)
    builder = TextBuilder()
    for number, cell in enumerate(cells, start=1):
        builder.add(f"cell {number}", "\n\n".join(_cell(cell, language)))
    return replace(read_markdown(path, builder.text), places=builder.places)


def _language(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata") or {}
    info = metadata.get("language_info") or metadata.get("kernelspec") or {}
    name = info.get("name") or info.get("language") or ""
    return name if isinstance(name, str) and name.isalnum() else ""


def _cell(cell: dict[str, Any], language: str) -> Iterator[str]:
    kind = cell.get("cell_type")
    source = _text(cell.get("source", cell.get("input", "")))
    if kind == "heading":
        yield f"{'#' * int(cell.get('level', 1))} {source}"
    elif kind == "code":
        if source.strip():
            yield _fenced(source, language)
        for output in cell.get("outputs") or []:
            shown = _output(output)
            if shown:
                yield _fenced(shown, "text")
    else:
        yield source


def _output(output: dict[str, Any]) -> str:
    """Give what an output shows as text; pictures and pages have none."""
    if output.get("output_type") in {"error", "pyerr"}:
        text = f"{output.get('ename', '')}: {output.get('evalue', '')}"
    else:
        data = output.get("data") or {}
        text = _text(output.get("text") or data.get("text/plain") or "")
    lines = text.strip("\n").split("\n")
    short = "\n".join(lines[:_OUTPUT_LINES])[:_OUTPUT_CHARACTERS]
    return short + "\n…" if len(short) < len(text.strip("\n")) else short


def _text(source: object) -> str:
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def _fenced(text: str, language: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.strip(chr(10))}\n{fence}"
