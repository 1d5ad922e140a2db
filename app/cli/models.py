"""Commands about models: list, catalog, levels, download."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from app.cli.output import Exit, columns, complain, note, progress_bar, say, say_json
from app.format import human_bytes
from app.safe_text import one_line
from app.tools import Tools


def models(arguments: argparse.Namespace, tools: Tools) -> Exit:
    """Run ``alcove models ACTION``."""
    actions = {
        "list": _list,
        "catalog": _catalog,
        "levels": _levels,
        "download": _download,
    }
    return actions[arguments.action](arguments, tools)


def _list(arguments: argparse.Namespace, tools: Tools) -> Exit:
    found, problems = tools.local_models()
    if arguments.json:
        say_json([asdict(model) for model in found])
    else:
        rows = [(m.name, m.quant, human_bytes(m.bytes), m.architecture) for m in found]
        for line in columns([[one_line(cell) for cell in row] for row in rows]):
            say(line)
    for problem in problems:
        note(problem)
    if not found:
        note(f"No models in {tools.paths.models} yet: alcove models catalog")
    return Exit.DONE


def _catalog(arguments: argparse.Namespace, tools: Tools) -> Exit:
    entries = tools.catalog()
    best = tools.proposal()
    if arguments.json:
        say_json(
            [
                {
                    "name": entry.title,
                    "download": entry.name,
                    "bytes": entry.bytes,
                    "licence": entry.licence,
                    "note": entry.note,
                    "fits": fits,
                    "proposed": best is not None and entry.name == best.name,
                }
                for entry, fits in entries
            ]
        )
        return Exit.DONE
    rows = []
    for entry, fits in entries:
        proposed = best is not None and entry.name == best.name
        fit = "proposed" if proposed else "fits" if fits else "heavy here"
        rows.append((entry.name, f"~{human_bytes(entry.bytes)}", fit, entry.licence))
    for line, (entry, _) in zip(columns(rows), entries, strict=True):
        say(line)
        say(f"    {entry.note}")
    return Exit.DONE


def _levels(arguments: argparse.Namespace, tools: Tools) -> Exit:
    files = tools.repository(arguments.repo)
    if arguments.json:
        say_json([asdict(file) for file in files])
    else:
        for line in columns(
            [(file.quant or "?", human_bytes(file.size), one_line(file.filename)) for file in files]
        ):
            say(line)
    return Exit.DONE if files else Exit.NOTHING_FOUND


def _download(arguments: argparse.Namespace, tools: Tools) -> Exit:
    downloader = tools.downloader()
    file = downloader.resolve(arguments.name)
    if not arguments.json:
        note(f"{file.repo}: {file.filename}, {human_bytes(file.size)}")
    with progress_bar(counts_bytes=True) as report:
        path = downloader.download(file, report)
    if arguments.json:
        say_json({**asdict(file), "path": path})
    else:
        say(one_line(str(path)))
    if not file.sha256:
        complain("The hub announced no checksum for this file.", "Only its size was checked.")
    return Exit.DONE
