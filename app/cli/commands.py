"""The commands by name."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from app.tools import Tools


def find_command(name: str) -> Callable[[argparse.Namespace, Tools], int]:
    """Import a command and what it needs; what the others need would only make it slower."""
    if name == "ask":
        from app.cli.ask import ask

        return ask
    if name == "models":
        from app.cli.models import models

        return models
    if name == "embedders":
        from app.cli.embedders import embedders

        return embedders
    if name == "eval":
        from app.cli.eval import evaluate_search

        return evaluate_search
    from app.cli import notes

    commands = {
        "index": notes.index_folder,
        "search": notes.search,
        "status": notes.status,
        "forget": notes.forget,
    }
    return commands[name]
