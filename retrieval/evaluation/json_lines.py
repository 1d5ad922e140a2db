"""Files of JSON lines, read with errors that name the file and the line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from retrieval.errors import EvaluationError


def lines(path: Path, remedy: str) -> Iterator[tuple[str, str]]:
    """Give the lines of a file that are not blank, each with its place for error messages.

    Raises ``EvaluationError`` with the remedy, as everything here does.
    """
    try:
        with path.open("rb") as file:
            for number, data in enumerate(file, start=1):
                where = f"{path}, line {number}"
                try:
                    line = data.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise EvaluationError(f"{where}: it is not UTF-8 text.", remedy) from error
                if line.strip():
                    yield line, where
    except FileNotFoundError as error:
        raise EvaluationError(f"There is no file {path}.", remedy) from error
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read ({error.strerror}).", remedy) from error


def records(path: Path, remedy: str) -> Iterator[tuple[str, dict[str, object], str]]:
    """Give the ``_id`` of each line's object, the object, and its place."""
    seen: set[str] = set()
    for line, where in lines(path, remedy):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise EvaluationError(f"{where}: it is not JSON ({error}).", remedy) from error
        if not isinstance(record, dict):
            raise EvaluationError(f"{where}: it is not a JSON object.", remedy)
        name = record.get("_id")
        if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
            raise EvaluationError(f"{where}: it has no _id.", remedy)
        if str(name) in seen:
            raise EvaluationError(f"{where}: the _id {name} is there twice.", remedy)
        seen.add(str(name))
        yield str(name), record, where


def text_of(record: Mapping[str, object], key: str, where: str, remedy: str) -> str:
    """Give a text of a record."""
    value = record.get(key)
    if not isinstance(value, str):
        raise EvaluationError(f"{where}: it has no {key}, or one that is not text.", remedy)
    return value
