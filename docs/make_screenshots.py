"""Make the screenshots of the documentation from the real app: ``make screenshots``.

The app runs with its real child processes on the sample notes, in a home of its own that is
thrown away. Nothing is drawn by hand.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

DOCS = Path(__file__).resolve().parent
QUESTION = "How large is the KV cache of an 8B model at 8,192 tokens?"
WAIT_SECONDS = 240


async def until(pilot: Pilot[int], ready: Callable[[], bool]) -> None:
    """Wait for a condition; the app is real, so its work takes time."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not ready():
            await pilot.pause(0.05)


async def chat(name: str, size: tuple[int, int], *, overlay: bool = False) -> None:
    """Ask one question and save the screen as SVG."""
    from app.__main__ import SAMPLE_NOTES, build_workspace
    from app.ui.app import AlcoveApp
    from app.ui.widgets.sources import SourceCard
    from app.ui.widgets.turn import TurnView

    workspace = build_workspace(SAMPLE_NOTES)
    app = AlcoveApp(workspace, sample=True)
    try:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.at_rest)
            app.save_screenshot(f"{name}-welcome.svg", str(DOCS))
            await pilot.press(*QUESTION, "enter")
            await until(pilot, lambda: bool(app.screen.query(TurnView)))
            await until(pilot, lambda: not app.chat.answering)
            await until(pilot, lambda: bool(app.screen.query(SourceCard)))
            await pilot.pause(0.5)
            app.save_screenshot(f"{name}.svg", str(DOCS))
            if overlay:
                await pilot.press("ctrl+o")
                await pilot.pause(0.5)
                app.save_screenshot(f"{name}-sources.svg", str(DOCS))
                return
            for key, dialog in (("ctrl+k", "models"), ("f1", "help"), ("ctrl+l", "ledger")):
                await pilot.press(key)
                await pilot.pause(1.0)
                app.save_screenshot(f"{name}-{dialog}.svg", str(DOCS))
                await pilot.press("escape")
    finally:
        workspace.close()


def main() -> None:
    """Make every screenshot."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["ALCOVE_HOME"] = home
        asyncio.run(chat("chat", (132, 38)))
        asyncio.run(chat("narrow", (80, 24), overlay=True))


if __name__ == "__main__":
    main()
