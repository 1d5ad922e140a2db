"""JSON: text as it is written; what is written on one line is set out first."""

from __future__ import annotations

import json
from collections.abc import Iterator

from retrieval.extract.decoding import decode
from retrieval.extract.extracted import Extracted, TextBuilder
from retrieval.files.formats import suffix_of

_LONGEST_LINE = 2000  # A longer one is written for programs.
_LINES = frozenset({".jsonl", ".ndjson"})


def extract(path: str, data: bytes) -> Extracted:
    """Give the text of a JSON file; see ``retrieval.extract.extract``."""
    text = decode(data)
    if suffix_of(path) in _LINES or max(map(len, text.split("\n"))) <= _LONGEST_LINE:
        return Extracted(text)
    try:
        value = json.loads(text)
    except ValueError:  # JSON5, or broken: it is still text.
        return Extracted(text)
    builder = TextBuilder()
    for label, part in _parts(value):
        builder.add(label, json.dumps(part, indent=1, ensure_ascii=False))
    return Extracted(builder.text, places=builder.places)


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """Give the parts of a value by what a person would look for."""
    if isinstance(value, list):
        for number, item in enumerate(value, start=1):
            yield f"item {number}", item
    elif isinstance(value, dict):
        for name, item in value.items():
            yield f"key {name[:40]}", {name: item}
    else:
        yield "value", value
