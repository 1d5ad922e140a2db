"""How people name models: ``owner/name``, ``owner/name:QUANT``, a file. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from models.errors import ModelNotFoundError
from models.quant import PREFERENCE

_REPO = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
_PREFIX = re.compile(r"^(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RepoName:
    """A repository of the hub, and perhaps a level in it."""

    repo: str
    """``owner/name``."""
    level: str
    """Quantization level or file name as typed; empty when none was named."""


def parse_repo(name: str) -> RepoName | None:
    """Read ``owner/name[:QUANT]``, the hub's address in front allowed; None when it is not one."""
    repo, _, level = _PREFIX.sub("", name.strip()).partition(":")
    repo = repo.rstrip("/")
    if not _REPO.match(repo) or repo.lower().endswith(".gguf"):
        return None
    return RepoName(repo, level.strip())


def require_repo(name: str) -> RepoName:
    """Read ``owner/name[:QUANT]``. Raises ``ModelNotFoundError`` when it is not one."""
    parsed = parse_repo(name)
    if parsed is None:
        raise ModelNotFoundError(
            f"{name!r} does not name a repository.",
            "Write owner/name or owner/name:LEVEL, such as "
            "unsloth/Qwen3-4B-Instruct-2507-GGUF:Q4_K_M.",
        )
    return parsed


def same_level(wanted: str, level: str) -> bool:
    """Tell whether a level is the one that was typed, whatever the case or an ``UD-`` prefix."""
    wanted, level = wanted.upper(), level.upper()
    return wanted == level or wanted == level.removeprefix("UD-")


def preference(level: str) -> int:
    """Rank a level for those who name none: smaller is better."""
    plain = level.upper().removeprefix("UD-")
    return PREFERENCE.index(plain) if plain in PREFERENCE else len(PREFERENCE)
