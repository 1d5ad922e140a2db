"""Question, history and passages to messages within a token budget, with an account of it all.

Prompts only grow at the end: a stable system message, the earlier turns exactly as they were
sent, then the newest question with its passages inside its own user message. A model that keeps
its cache therefore reads only the newest turn. Nothing is cut in silence: what does not fit is
in the ledger with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import QuestionTooLongError
from app.types import Ledger, LedgerNote, Mode, PastTurn, Prompt, TokenCounter
from models.types import ChatMessage
from retrieval.types import Passage

SYSTEM = {
    "notes": (
        "You answer from the person's own notes. Use only the numbered notes in the message. "
        "After each statement put the number of its note in square brackets, like [1]. "
        "If the notes do not hold the answer, say: The notes do not say."
    ),
    "notes+model": (
        "You answer from the person's own notes and from what you know. Prefer the numbered "
        "notes in the message, and after each statement taken from one put its number in square "
        "brackets, like [1]. Statements of your own carry no number."
    ),
    "model": "You are a careful assistant. Answer briefly, and say so when you do not know.",
}
"""System message of each mode that has a model."""

NOTES_SHARE = 0.5
"""Share of the usable context that earlier turns leave to the newest one when space is short."""


def note_block(n: int, passage: Passage) -> str:
    """Write a passage as the model sees it: number, place, text."""
    chunk = passage.chunk
    place = " › ".join((chunk.note_path, *chunk.headings))
    return f"[{n}] {place}\n{chunk.text.strip()}\n\n"


def user_message(question: str, blocks: Sequence[str]) -> str:
    """Write the newest user message: the notes first, the question last."""
    if not blocks:
        return question
    return f"Notes:\n\n{''.join(blocks)}Question: {question}"
