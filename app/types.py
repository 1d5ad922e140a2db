"""Values that flow through the app, and the protocols the assistant needs.

Bottom layer: the standard library and the type modules of ``retrieval`` and ``models``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from models.types import ChatMessage, Delta, FinishReason, Prefilling
from retrieval.types import Filters, Passage, Query, SearchResult

Mode = Literal["quotes", "notes", "notes+model", "model"]
"""Where an answer comes from: sentences of the notes, a model that may use only the notes, a
model that may add its own knowledge, or a model without the notes."""

CitationStatus = Literal["quote", "supported", "unsupported", "missing"]
"""What a check found: the cited words stand in the passage, most of them do, they do not, or no
passage has that number."""


@dataclass(frozen=True, slots=True)
class Citation:
    """One passage that an answer names, and what checking it found."""

    n: int
    """Number in the answer, from 1."""
    path: str
    """Note, relative to its folder; empty when no passage has that number."""
    first_line: int
    """First line that bears the statement out, from 1; the passage's first when none does; 0 when
    there is no passage."""
    last_line: int
    """Last such line, inclusive."""
    status: CitationStatus
    """What the check found."""
    place: str = ""
    """Where it is in a file whose lines are not its own: ``page 3``; else empty."""


@dataclass(frozen=True, slots=True)
class LedgerNote:
    """A passage that went into a prompt, or did not."""

    n: int
    """Number in the prompt, from 1; 0 when left out."""
    path: str
    """Note, relative to its folder."""
    first_line: int
    """First line in the file, from 1."""
    last_line: int
    """Last line, inclusive."""
    tokens: int
    """Tokens of the passage as written in the prompt."""
    reason: str = ""
    """Why it was left out; empty when it went in."""
    place: str = ""
    """Where it is in a file whose lines are not its own; else empty."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where the context went: ``system + history + notes + question + reserve + free``.

    The sum is exactly ``context``. All figures are tokens of the loaded model.
    """

    context: int = 0
    """Tokens the model can hold."""
    system: int = 0
    """System message with its template text."""
    history: int = 0
    """Earlier turns, with the notes they were asked with."""
    notes: int = 0
    """Passages of the newest turn."""
    question: int = 0
    """The question, with the template text around it."""
    reserve: int = 0
    """Kept free for the answer."""
    free: int = 0
    """Unused."""
    included: tuple[LedgerNote, ...] = ()
    """Passages that went in, in prompt order."""
    left_out: tuple[LedgerNote, ...] = ()
    """Passages that did not, each with its reason."""
    dropped_turns: int = 0
    """Earlier turns that are not in the prompt, since they no longer fitted."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went, in seconds, and the counts behind the rates."""

    search: float = 0.0
    """Finding passages."""
    prefill: float = 0.0
    """Reading the prompt."""
    decode: float = 0.0
    """Writing the answer."""
    total: float = 0.0
    """From the question to the end of the answer."""
    prompt_tokens: int = 0
    """Tokens of the prompt."""
    cached_tokens: int = 0
    """Tokens of the prompt that were in the cache already."""
    completion_tokens: int = 0
    """Tokens written."""

    @property
    def tokens_per_second(self) -> float:
        """Decoding rate; 0 when nothing was decoded."""
        return self.completion_tokens / self.decode if self.decode > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent to a model, and the account of it."""

    messages: tuple[ChatMessage, ...]
    """System, earlier turns, the newest question with its passages."""
    passages: tuple[Passage, ...]
    """Passages that went in: number n of the prompt is entry n - 1."""
    ledger: Ledger
    """Where the context went."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer."""

    text: str
    """Markdown, with citations as ``[n]``."""
    mode: Mode
    """Where it comes from."""
    passages: tuple[Passage, ...]
    """What was cited from: citation n is entry n - 1."""
    citations: tuple[Citation, ...]
    """Checked, in order of number, then of lines."""
    ledger: Ledger
    """Where the context went; all zero in quotes mode."""
    timings: Timings
    """Where the time went."""
    reason: FinishReason = "stop"
    """Why it ended."""
    notices: tuple[str, ...] = ()
    """What the person should know: a leg missing, turns dropped."""
    sent: tuple[ChatMessage, ...] = ()
    """The newest user message as the model saw it and the answer as it wrote it; empty in quotes
    mode. Repeated to the letter, they are still in the model's cache."""
    model: str = ""
    """Name of the model that wrote it; empty in quotes mode."""


@dataclass(frozen=True, slots=True)
class Searching:
    """The notes are being searched."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Passages were found."""

    result: SearchResult
    """They, best first."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is complete."""

    answer: Answer
    """It, with checked citations."""


AnswerEvent = Searching | Retrieved | Prefilling | Delta | Finished
"""What the assistant yields, in this order; the last is always Finished."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its answer."""

    question: str
    """As typed."""
    answer: Answer
    """As given."""
    asked_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class PastTurn:
    """What a prompt needs of an earlier turn."""

    user: str
    """The user message exactly as it was sent, notes included."""
    assistant: str
    """The answer as it was given."""
    question: str = ""
    """The question as typed, to search what follows together with it."""


@dataclass(frozen=True, slots=True)
class AskOptions:
    """How to answer."""

    mode: Mode = "notes"
    """Where the answer is to come from; without a model it is always ``quotes``."""
    k: int = 8
    """Passages to look at."""
    folders: tuple[str, ...] = ()
    """Names of collections or paths of folders to search; empty for all."""
    base: str = ""
    """Folder that relative paths start from."""
    filters: Filters = field(default=Filters())
    """Which notes may answer."""
    rerank: bool = False
    """Whether the reranker puts the passages in order."""
    wait_for_vectors: bool = True
    """Whether to wait for the vector leg to load."""
    max_tokens: int = 768
    """Tokens of the answer at most."""
    temperature: float = 0.3
    """0 takes the likeliest token each time."""
    seed: int | None = None
    """Same seed, same answer."""
    history: tuple[PastTurn, ...] = field(default=())
    """Earlier turns of the conversation, oldest first, without the forgotten ones."""
    explain: bool = False
    """Whether to have the search say how its ranking came about."""
    forgotten: int = 0
    """Turns at the beginning that a prompt had no room for: they stay out, so that the prompts
    after it only grow at the end again."""


class Searcher(Protocol):
    """Finds passages; the index, in this process or in a child."""

    def search(self, query: Query) -> SearchResult:
        """Find passages. Raises ``RetrievalError`` or ``AppError``."""


class TokenCounter(Protocol):
    """What prompting needs of a model: its arithmetic."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, read as data."""

    def count_prompt(self, messages: Sequence[ChatMessage]) -> int:
        """Count the tokens of the whole prompt, template included."""


Cancelled = Callable[[], bool]
"""Asked often by long jobs: true when the person wants them to stop."""
