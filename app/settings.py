"""Frozen settings, the TOML file they come from, and the folders of this user.

Precedence: command line, then environment (``ALCOVE_HOME``), then the file, then defaults.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import platformdirs
from msgspec import Meta

from app.errors import SettingsError
from app.types import Mode


@dataclass(frozen=True, slots=True)
class Paths:
    """Where this user's Alcove keeps things; nothing is created until it is needed."""

    settings: Path
    """The TOML file, written by the person alone."""
    index: Path
    """Index of the notes; can be rebuilt from them at any time."""
    models: Path
    """Model files."""
    chats: Path
    """Conversations."""
    logs: Path
    """Logs of the app and its child processes."""
    state: Path
    """What the app remembers by itself: the last folder and model."""
    embedders: Path
    """Downloaded embedders and rerankers."""
    judgments: Path
    """Sources that the person marked good or bad."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the settings file: unknown keys are refused, not ignored."""


class ModelSettings(_Table, frozen=True):
    """Table ``[model]``."""

    name: str = ""
    """Model to start with: a file, or ``owner/name:QUANT``; empty for the one used last."""
    context: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    """Tokens of context; 0 for the smaller of the model's own and 8,192."""
    gpu_layers: Annotated[int, Meta(ge=-1, le=10_000)] = -1
    """Layers on the GPU; -1 for as many as fit."""
    threads: Annotated[int, Meta(ge=0, le=1_024)] = 0
    """Threads for decoding; 0 for the number of physical cores."""
    temperature: Annotated[float, Meta(ge=0, le=5)] = 0.3
    """0 takes the likeliest token each time."""
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] = 768
    """Tokens of an answer at most."""


class SearchSettings(_Table, frozen=True):
    """Table ``[search]``."""

    passages: Annotated[int, Meta(ge=1, le=100)] = 8
    """Passages looked at for an answer."""

    reranker: str = ""
    """Cross-encoder that puts the first passages in order: an id of the hub or a folder; empty
    for none."""
    rerank_seconds: Annotated[float, Meta(gt=0, le=60)] = 2.0
    """Time that the reranker has for a question."""


class IndexSettings(_Table, frozen=True):
    """Table ``[index]``."""

    embedder: str = ""
    """Embedding model: an id of the hub or a folder; empty for the one that comes with Alcove."""
    vectors: str = ""
    """Address of a Chroma server for shared notes, ``http://host:8000``; empty for none."""
    max_megabytes: Annotated[float, Meta(gt=0, le=2_000)] = 20.0
    """Largest file that is read, in millions of bytes."""
    watch: bool = True
    """Whether the app follows changes of the notes while it is open."""


class AppSettings(_Table, frozen=True):
    """Table ``[app]``."""

    theme: str = "alcove"
    """Name of a Textual theme; ``alcove`` is our own."""
    mode: Mode = "notes"
    """Where answers come from when a model is loaded."""


class Settings(_Table, frozen=True):
    """Everything that the settings file can say."""

    model: ModelSettings = ModelSettings()
    """Which model, and how it runs."""
    search: SearchSettings = SearchSettings()
    """How notes are searched."""
    index: IndexSettings = IndexSettings()
    """How notes are indexed."""
    app: AppSettings = AppSettings()
    """How the app looks and behaves."""
    keys: dict[str, str] = {}
    """Keymap: id of a binding to the keys that trigger it, as Textual names keys."""


def find_paths(environment: Mapping[str, str] = os.environ) -> Paths:
    """Tell where things are: all under ``ALCOVE_HOME``, else in the platform's folders."""
    home = environment.get("ALCOVE_HOME", "").strip()
    if home:
        root = Path(home).expanduser().absolute()
        return Paths(
            root / "settings.toml",
            root / "index",
            root / "models",
            root / "chats",
            root / "logs",
            root / "state.json",
            root / "embedders",
            root / "judgments.jsonl",
        )
    dirs = platformdirs.PlatformDirs("alcove", appauthor=False)
    data = dirs.user_data_path
    return Paths(
        dirs.user_config_path / "settings.toml",
        data / "index",
        data / "models",
        data / "chats",
        dirs.user_log_path,
        dirs.user_state_path / "state.json",
        data / "embedders",
        data / "judgments.jsonl",
    )


def private_folder(path: Path) -> Path:
    """Make a folder that only this user can read, and return it.

    Raises ``SettingsError`` when it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(
            f"The folder {path} cannot be made: {error.strerror}.",
            "Choose another place with the environment variable ALCOVE_HOME.",
        ) from error
    return path


def load_settings(path: Path) -> Settings:
    """Read the settings file; a missing one gives the defaults.

    Raises ``SettingsError`` that names the key, the value and what would be right.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Settings)
    except FileNotFoundError:
        return Settings()
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"The settings file {path} holds a wrong value: {error}.",
            "Correct that key; `$` stands for the whole file.",
        ) from error
    except (OSError, UnicodeDecodeError, msgspec.DecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"The settings file {path} cannot be read: {error}.",
            "Correct it, or move it away to start from the defaults.",
        ) from error
