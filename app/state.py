"""What the app remembers between runs by itself: the last folder and model. No settings."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec


class State(msgspec.Struct, frozen=True):
    """Conveniences that may be lost without harm."""

    folder: str = ""
    """Absolute path of the folder opened last."""
    model: str = ""
    """Name of the model used last."""
    skipped_proposal: bool = False
    """Whether the person declined the proposed model."""


def load_state(path: Path) -> State:
    """Read the state; a missing or damaged file gives the defaults."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except (OSError, msgspec.DecodeError):
        return State()


def save_state(path: Path, state: State) -> None:
    """Write the state whole or not at all; a full disk only costs the convenience."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_bytes(msgspec.json.encode(state))
        temporary.replace(path)
