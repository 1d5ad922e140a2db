"""Every command is found by its name, and takes no other along."""

from __future__ import annotations

import pytest

from app.cli.commands import find_command
from app.cli.parser import COMMANDS
from tests.unit.test_architecture import imported_by


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_found(name: str) -> None:
    assert find_command(name).__module__.startswith("app.cli.")


def test_a_search_does_without_the_other_commands() -> None:
    loaded = imported_by("from app.cli.commands import find_command; find_command('search')")
    assert "app.cli.notes" in loaded
    assert not loaded & {"app.cli.ask", "app.cli.models", "app.cli.eval", "app.grounding"}
