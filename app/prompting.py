"""Question, history and passages to messages within a token budget, with an account of it all.

Prompts only grow at the end: a stable system message, the earlier turns exactly as they were
sent, then the newest question with its passages inside its own user message. A model that keeps
its cache therefore reads only the newest turn. Nothing is cut in silence: what does not fit is
in the ledger with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.errors import QuestionTooLongError
from app.types import Ledger, LedgerNote, Mode, PastTurn, Prompt, TokenCounter
from models.types import ChatMessage
from retrieval.types import Passage

SYSTEM: dict[Mode, str] = {
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
"""Share of the usable context kept for the newest turn once earlier turns have to go.

Dropping half of the history at once, not just as much as is needed, keeps the next turns
append-only: dropping a turn each time would make the model read everything anew each time.
"""

SAFETY_TOKENS = 8
"""Slack for tokenizers that join neighbouring pieces differently than they were counted."""


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


def build_prompt(
    question: str,
    history: Sequence[PastTurn],
    passages: Sequence[Passage],
    counter: TokenCounter,
    *,
    context: int,
    reserve: int,
    mode: Mode = "notes",
    forgotten: int = 0,
) -> Prompt:
    """Fit a question, its passages and the earlier turns into a model's context.

    ``context`` and ``reserve`` are tokens; the reserve is kept free for the answer. Passages go
    in best first, and one that does not fit makes way for smaller ones after it. Earlier turns
    leave, oldest first, only when the newest would have less than ``NOTES_SHARE``; ``forgotten``
    is how many left before and are not in ``history`` any more.

    Raises ``QuestionTooLongError`` when even the question alone does not fit.
    """
    system = ChatMessage("system", SYSTEM[mode])
    usable = context - reserve
    bare = counter.count_prompt([system, ChatMessage("user", question)])
    if bare > usable:
        raise _too_long(bare, usable, context)
    blocks = [note_block(n, passage) for n, passage in enumerate(passages, start=1)]
    sizes = counter.count_tokens(blocks)
    wanted = min(sum(sizes), int(usable * NOTES_SHARE))
    kept = _history_that_fits(system, history, question, counter, usable - wanted)
    messages_before = [system, *_as_messages(kept)]
    before = counter.count_prompt([*messages_before, ChatMessage("user", question)])

    chosen, left_out = _choose(passages, sizes, usable - before - SAFETY_TOKENS)
    messages, total = _assemble(messages_before, question, passages, chosen, counter)
    while total > usable and chosen:
        # Counted piece by piece they fitted; together the tokenizer joins them differently.
        dropped = chosen.pop()
        left_out.append(_entry(0, passages[dropped], sizes[dropped], "the prompt is full"))
        messages, total = _assemble(messages_before, question, passages, chosen, counter)

    system_tokens = counter.count_prompt([system, ChatMessage("user", "")])
    ledger = Ledger(
        context=context,
        system=system_tokens,
        history=before - bare,
        notes=total - before,
        question=bare - system_tokens,
        reserve=reserve,
        free=context - reserve - total,
        included=tuple(
            _entry(n, passages[index], sizes[index]) for n, index in enumerate(chosen, start=1)
        ),
        left_out=tuple(left_out),
        dropped_turns=forgotten + len(history) - len(kept),
    )
    return Prompt(messages, tuple(passages[index] for index in chosen), ledger)


def _too_long(tokens: int, usable: int, context: int) -> QuestionTooLongError:
    return QuestionTooLongError(
        f"The question takes {tokens:,} tokens with the instructions; "
        f"{max(usable, 0):,} of the model's {context:,} are free for it.",
        "Ask a shorter question, or use a model with a longer context.",
    )


def _choose(
    passages: Sequence[Passage], sizes: Sequence[int], room: int
) -> tuple[list[int], list[LedgerNote]]:
    """Take passages best first while there is room; say of each other one why it is left out."""
    chosen: list[int] = []
    left_out: list[LedgerNote] = []
    for index, size in enumerate(sizes):
        if size <= room:
            chosen.append(index)
            room -= size
        else:
            reason = f"needs {size:,} tokens, {max(room, 0):,} are free"
            left_out.append(_entry(0, passages[index], size, reason))
    return chosen, left_out


def _assemble(
    before: Sequence[ChatMessage],
    question: str,
    passages: Sequence[Passage],
    chosen: Sequence[int],
    counter: TokenCounter,
) -> tuple[tuple[ChatMessage, ...], int]:
    """Put the prompt together and count it."""
    blocks = [note_block(n, passages[index]) for n, index in enumerate(chosen, start=1)]
    messages = (*before, ChatMessage("user", user_message(question, blocks)))
    return messages, counter.count_prompt(messages)


def _history_that_fits(
    system: ChatMessage,
    history: Sequence[PastTurn],
    question: str,
    counter: TokenCounter,
    limit: int,
) -> Sequence[PastTurn]:
    """Keep the newest turns: all when they fit, else about half of what would fit."""

    def tokens(turns: Sequence[PastTurn]) -> int:
        return counter.count_prompt([system, *_as_messages(turns), ChatMessage("user", question)])

    if tokens(history) <= limit:
        return history
    bare = tokens([])
    target = bare + max(limit - bare, 0) // 2
    for first in range(1, len(history)):
        if tokens(history[first:]) <= target:
            return history[first:]
    return []


def _as_messages(turns: Sequence[PastTurn]) -> list[ChatMessage]:
    messages: list[ChatMessage] = []
    for turn in turns:
        messages.append(ChatMessage("user", turn.user))
        messages.append(ChatMessage("assistant", turn.assistant))
    return messages


def _entry(n: int, passage: Passage, tokens: int, reason: str = "") -> LedgerNote:
    chunk = passage.chunk
    return LedgerNote(
        n, chunk.note_path, chunk.first_line, chunk.last_line, tokens, reason, chunk.place
    )
