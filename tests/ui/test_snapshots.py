"""How the screens look, at pinned sizes, compared with pictures that were looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from app.ui.app import AlcoveApp
from app.ui.widgets.sources import SourceCard
from tests.ui.conftest import Bench, ask, settle, wait_until

Compare = Callable[..., bool]
WIDE = (120, 32)
NARROW = (80, 24)
QUESTION = "which sealant for the hatches?"


@pytest.fixture
def still(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench whose pictures do not depend on where or when the test runs."""
    monkeypatch.setenv("TZ", "UTC")
    import time

    time.tzset()
    return bench


async def ready(pilot: Pilot[int]) -> AlcoveApp:
    assert isinstance(pilot.app, AlcoveApp)
    await wait_until(pilot, lambda: len(pilot.app.screen_stack) > 1)
    await settle(pilot.app, pilot)
    return pilot.app


async def asked(pilot: Pilot[int]) -> AlcoveApp:
    app = await ready(pilot)
    await ask(app, pilot, QUESTION)
    await wait_until(pilot, lambda: bool(app.chat.query(SourceCard)))
    await pilot.pause(0.1)
    return app


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_welcome(
    still: Bench, snap_compare: Compare, size: tuple[int, int], tmp_path: Path
) -> None:
    still.folder = Path("/home/ada/boat")
    assert snap_compare(still.app(), terminal_size=size, run_before=ready)


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_answered_with_quotes(still: Bench, snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(still.app(), terminal_size=size, run_before=asked)


def test_answered_by_a_model(still: Bench, snap_compare: Compare) -> None:
    still.give_model()
    assert snap_compare(still.app(), terminal_size=WIDE, run_before=asked)


def test_sources_over_a_narrow_screen(still: Bench, snap_compare: Compare) -> None:
    async def before(pilot: Pilot[int]) -> None:
        await asked(pilot)
        await pilot.press("ctrl+o")
        await pilot.pause(0.1)

    assert snap_compare(still.app(), terminal_size=NARROW, run_before=before)


def test_the_engine_died(still: Bench, snap_compare: Compare) -> None:
    still.give_model()
    still.engine.die_after = 4
    app = still.app()

    async def before(pilot: Pilot[int]) -> None:
        await asked(pilot)
        app.clear_notifications()
        await pilot.pause(0.1)

    assert snap_compare(app, terminal_size=WIDE, run_before=before)


@pytest.mark.parametrize("key", ["f1", "ctrl+l", "ctrl+k", "f2"])
def test_dialogs(still: Bench, snap_compare: Compare, key: str) -> None:
    still.give_model()

    async def before(pilot: Pilot[int]) -> None:
        await asked(pilot)
        await pilot.press(key)
        await wait_until(pilot, lambda: len(pilot.app.screen_stack) > 2)
        await pilot.pause(0.2)

    assert snap_compare(still.app(), terminal_size=WIDE, run_before=before)


def test_light_background(still: Bench, snap_compare: Compare) -> None:
    from app.settings import AppSettings, Settings

    still.tools.settings = Settings(app=AppSettings(theme="alcove-light"))
    assert snap_compare(still.app(), terminal_size=WIDE, run_before=asked)
