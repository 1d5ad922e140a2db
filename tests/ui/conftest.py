"""An app on injected parts, and one way to wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from app.conversation import ConversationStore
from app.ui.app import AlcoveApp
from app.ui.widgets.prompt import Prompt
from app.workspace import Workspace
from models.types import LocalModel
from retrieval.types import Skipped
from tests.fixtures.fakes import (
    PacedDownloader,
    QuotingEngine,
    TestTools,
    WordIndex,
    fixed_clock,
)

NOTES = (
    (
        "refit/hatches.md",
        "Butyl tape for the hatches stays soft and comes off clean.\n"
        "Silicone was ruled out because it never comes off clean.",
    ),
    ("refit/tests.md", "The polyurethane test sealant leaked at the hinge of the hatches."),
    ("log/2026-05-02.md", "Bought six rolls of butyl tape, enough for both hatches."),
)
"""Notes of every test of the interface."""


class Bench:
    """The parts behind one app, each open to the test."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.index = WordIndex(NOTES)
        self.engine = QuotingEngine()
        self.fetcher = PacedDownloader(home)
        self.tools = TestTools(home, fetcher=self.fetcher)
        self.store = ConversationStore(home / "chats.sqlite")
        self.folder = home / "boat"
        for path, text in NOTES:
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def give_model(self) -> None:
        """Put a model on this machine before the app starts."""
        path = Path("/models/Qwen3-4B.gguf")
        self.tools.models = [LocalModel("Qwen3-4B", path, "Q4_K_M", 2_500_000_000, "qwen3")]

    def skip_file(self) -> None:
        """Have one file that cannot be indexed."""
        self.index.skipped = (Skipped("scan.pdf", "no text layer"),)

    def workspace(self) -> Workspace:
        """Build the workspace."""
        return Workspace(
            self.folder, self.tools, self.index, self.engine, self.store, fixed_clock()
        )

    def app(self) -> AlcoveApp:
        """Build the app."""
        return AlcoveApp(self.workspace())

    @asynccontextmanager
    async def running(
        self, size: tuple[int, int] = (120, 36)
    ) -> AsyncIterator[tuple[AlcoveApp, Pilot[int]]]:
        """Run the app until it is at rest."""
        app = self.app()
        async with app.run_test(size=size) as pilot:
            await settle(app, pilot)
            yield app, pilot


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def wait_until(pilot: Pilot[int], condition: Callable[[], bool]) -> None:
    """Wait for a condition, at most ten seconds; the only way tests wait."""
    async with asyncio.timeout(10):
        while not condition():
            await pilot.pause(0.01)
    await pilot.pause()


async def settle(app: AlcoveApp, pilot: Pilot[int]) -> None:
    """Wait until nothing runs, with a cursor that does not blink."""
    await wait_until(pilot, lambda: app.at_rest)
    app.chat.query_one(Prompt).cursor_blink = False
    await pilot.pause()


async def ask(app: AlcoveApp, pilot: Pilot[int], question: str) -> None:
    """Type a question, ask it, and wait for the answer."""
    app.chat.query_one(Prompt).insert(question)
    await pilot.press("enter")
    await wait_until(pilot, lambda: not app.chat.answering)
