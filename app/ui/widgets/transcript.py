"""The conversation as it is read: questions where they were asked, answers under them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widget import Widget

if TYPE_CHECKING:
    from app.ui.widgets.turn import TurnView


class Transcript(VerticalScroll):
    """All turns; the view follows the newest until the person scrolls up."""

    def __init__(self, welcome: Widget, *, id: str) -> None:
        super().__init__(id=id)
        self._welcome = welcome
        # Nothing to scroll yet: Tab leads from the prompt straight to the proposal.
        self.can_focus = False

    def compose(self) -> ComposeResult:
        """Begin with the welcome."""
        yield self._welcome

    async def begin(self, question: str, asked_at: float) -> TurnView:
        """Add a turn and follow it."""
        from app.ui.widgets.turn import TurnView

        self._welcome.display = False
        self.can_focus = True
        turn = TurnView(question, asked_at)
        # Anchored again even after the person scrolled up: they asked something new.
        self.anchor(False)
        await self.mount(turn)
        self.follow()
        return turn

    def follow(self) -> None:
        """Keep the newest text in view once there is more than fits.

        Anchoring earlier would hang a short conversation from the bottom of the screen.
        """
        self.call_after_refresh(self._anchor_if_full)

    def _anchor_if_full(self) -> None:
        if not self.is_anchored and self.virtual_size.height > self.container_size.height:
            self.anchor()

    async def clear(self) -> None:
        """Forget all turns and welcome again."""
        await self.query("TurnView").remove()
        self.anchor(False)
        self.scroll_home(animate=False)
        self._welcome.display = True
        self.can_focus = False
