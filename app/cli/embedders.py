"""Commands about embedders and rerankers: list, download."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.cli.output import Exit, columns, complain, note, progress_bar, say, say_json
from app.format import human_bytes
from app.safe_text import one_line
from app.tools import Tools
from retrieval.sentence_models.known_models import BUNDLED, EMBEDDERS, RERANKERS, KnownModel


@dataclass(frozen=True, slots=True)
class _Listed:
    """A model, and how it stands on this machine."""

    model: KnownModel
    """What is known of it."""
    kind: str
    """``embedder`` or ``reranker``."""
    path: Path | None
    """Where it is; None when it is not here."""
    in_use: bool
    """Whether the settings name it."""

    @property
    def state(self) -> str:
        """How it stands, in words."""
        if self.in_use:
            return "in use" if self.path or self.model is BUNDLED else "in the settings, not here"
        return "here" if self.path or self.model is BUNDLED else ""


def embedders(arguments: argparse.Namespace, tools: Tools) -> Exit:
    """Run ``alcove embedders ACTION``."""
    actions = {"list": _list, "download": _download}
    return actions[arguments.action](arguments, tools)


def _list(arguments: argparse.Namespace, tools: Tools) -> Exit:
    chosen, reranker = tools.settings.index.embedder, tools.settings.search.reranker
    listed = [
        *_listed((BUNDLED, *EMBEDDERS), "embedder", chosen or BUNDLED.repo, tools),
        *_listed(RERANKERS, "reranker", reranker, tools),
    ]
    if arguments.json:
        say_json([_as_json(entry) for entry in listed])
        return Exit.DONE
    for kind in ("embedder", "reranker"):
        some = [entry for entry in listed if entry.kind == kind]
        say(f"{kind}s")
        for line, entry in zip(columns([_row(entry) for entry in some]), some, strict=True):
            say(f"  {line}")
            for about in filter(None, (_about(entry.model), entry.model.note)):
                say(f"      {about}")
    note(f"Settings: index.embedder and search.reranker in {tools.paths.settings}")
    return Exit.DONE


def _listed(known: Sequence[KnownModel], kind: str, chosen: str, tools: Tools) -> list[_Listed]:
    """Put together the known models and one that only the settings know."""
    places = tools.model_places()
    entries = [
        _Listed(model, kind, places.find(model.repo), model.repo.lower() == chosen.lower())
        for model in known
    ]
    if chosen and not any(entry.in_use for entry in entries):
        own = KnownModel(chosen, chosen, 0, 0, "", "")
        folder = Path(chosen).expanduser()
        path = places.find(chosen) or (folder if folder.is_dir() else None)
        entries.append(_Listed(own, kind, path, in_use=True))
    return entries


def _row(entry: _Listed) -> tuple[str, ...]:
    model = entry.model
    size = f"~{human_bytes(model.megabytes * 1_000_000)}" if model.megabytes else ""
    return tuple(one_line(cell) for cell in (model.repo, size, entry.state))


def _about(model: KnownModel) -> str:
    """Write what is known of a model on one line."""
    dimensions = f"{model.dimensions:,} dimensions" if model.dimensions else ""
    window = f"{model.window:,} tokens" if model.window else ""
    return " · ".join(filter(None, (model.languages, dimensions, window, model.licence)))


def _as_json(entry: _Listed) -> dict[str, object]:
    model = entry.model
    return {
        "kind": entry.kind,
        "name": model.title,
        "download": model.repo if model is not BUNDLED else None,
        "bytes": model.megabytes * 1_000_000 or None,
        "dimensions": model.dimensions or None,
        "window": model.window or None,
        "languages": model.languages,
        "licence": model.licence,
        "note": model.note,
        "path": entry.path,
        "here": bool(entry.path) or model is BUNDLED,
        "in_use": entry.in_use,
    }


def _download(arguments: argparse.Namespace, tools: Tools) -> Exit:
    files = tools.embedder_files(arguments.name)
    total = sum(file.size for file in files)
    if not arguments.json:
        note(f"{files[0].repo}: {len(files)} files, {human_bytes(total)}")
    with progress_bar(counts_bytes=True) as report:
        path = tools.embedder_downloader().download_all(files, report)
    if arguments.json:
        say_json({"repo": files[0].repo, "bytes": total, "path": path})
    else:
        say(one_line(str(path)))
        note(f'To use it: index.embedder or search.reranker = "{files[0].repo}" in the settings')
    if not all(file.sha256 or file.blob_id for file in files):
        complain("The hub announced no checksum for a file.", "Only its size was checked.")
    return Exit.DONE
