"""Chat templates, with what people wrote kept apart from what the template wrote. Pure.

A template is rendered with a private-use character in place of each message's content, and the
result is split there. So the tokenizer knows which text may hold control tokens (the template's)
and which must never (everything a person, a note or a model supplied).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

import jinja2
from jinja2.ext import Extension
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from models.errors import TemplateError
from models.types import ChatMessage

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "<|im_end|>\n{% endfor %}{{ '<|im_start|>assistant\n' }}"
)
"""Default for models whose vocabulary has ChatML's control tokens."""

PLAIN = (
    "{% for message in messages %}### {{ message.role | capitalize }}:\n{{ message.content }}"
    "\n\n{% endfor %}{{ '### Assistant:\n' }}"
)
"""Default for all other models: plain headings, no control tokens."""

PLAIN_STOPS = ("\n### User:", "\n### System:")
"""Texts that end an answer written after ``PLAIN``."""

_FIRST_SENTINEL = 0xF0000
_MAX_MESSAGES = 0xFFFD
_PAD = "\u205f"  # whitespace that no template writes: it is gone when the template strips contents
_MARKED = re.compile(f"({_PAD}?)([\U000f0000-\U000ffffd])({_PAD}?)")
_BROKEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    jinja2.TemplateError,
)
"""What Jinja lets through when it compiles or renders a template that a stranger wrote."""
_REMEDY = "Choose another model, or another repository of the same model."


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a rendered prompt."""

    text: str
    """The text."""
    is_data: bool
    """Whether it is a message's content, in which control tokens are only text."""


class _Generation(Extension):
    """Accepts ``{% generation %}``, with which some templates mark text for training."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> Node | list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _tojson(value: object, indent: int | None = None, **_: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _strftime_now(pattern: str) -> str:
    return datetime.now().astimezone().strftime(pattern)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_Generation, "jinja2.ext.loopcontrols"],
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


class ChatTemplate:
    """A compiled chat template.

    ``bos`` and ``eos`` are the texts of the model's tokens; ``stops`` are texts that end an answer
    because the template has no control token for it. Raises ``TemplateError`` when the source is
    not valid Jinja.
    """

    def __init__(
        self, source: str, *, bos: str = "", eos: str = "", stops: Sequence[str] = ()
    ) -> None:
        self.stops = tuple(stops)
        self._tokens = {"bos_token": bos, "eos_token": eos}
        try:
            self._template = _environment().from_string(source)
        except _BROKEN as error:
            raise TemplateError(
                f"The model's chat template is not valid: {error}.", _REMEDY
            ) from error

    def render(self, messages: Sequence[ChatMessage]) -> tuple[Piece, ...]:
        """Render a conversation that the model is to continue, in pieces.

        A template that refuses or forgets a system message gets it in front of the first user
        message. Raises ``TemplateError``.
        """
        if not messages or len(messages) > _MAX_MESSAGES:
            raise TemplateError(f"A prompt cannot have {len(messages)} messages.", "Ask anew.")
        contents = [message.content for message in messages]
        marks = [_mark(n) if text else "" for n, text in enumerate(contents)]
        turns = [_turn(message, mark) for message, mark in zip(messages, marks, strict=True)]
        system = messages[0].role == "system"
        try:
            text = self._render(turns)
            if not system or not marks[0] or _bare(0) in text:
                return _split(text, contents)
        except TemplateError:
            if not system:
                raise
        return _split(self._render(_fold_system(turns)), contents)

    def _render(self, turns: list[dict[str, str]]) -> str:
        variables: dict[str, Any] = {
            **self._tokens,
            "messages": turns,
            "add_generation_prompt": True,
            "enable_thinking": False,
            "thinking": False,
            "tools": None,
            "documents": None,
        }
        try:
            return self._template.render(variables)
        except _BROKEN as error:
            raise TemplateError(
                f"The model's chat template refuses this conversation: {error}.", _REMEDY
            ) from error


def _bare(n: int) -> str:
    return chr(_FIRST_SENTINEL + n)


def _mark(n: int) -> str:
    return f"{_PAD}{_bare(n)}{_PAD}"


def _turn(message: ChatMessage, mark: str) -> dict[str, str]:
    return {"role": message.role, "content": mark}


def _fold_system(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    """Put the system text in front of the first user message."""
    system, rest = turns[0], turns[1:]
    if not rest or rest[0]["role"] != "user":
        return [{"role": "user", "content": system["content"]}, *rest]
    content = f"{system['content']}\n\n{rest[0]['content']}".strip("\n")
    return [{"role": "user", "content": content}, *rest[1:]]


def _split(text: str, contents: Sequence[str]) -> tuple[Piece, ...]:
    """Split a rendered prompt at its marks and put the contents back."""
    missing = {n for n, content in enumerate(contents) if content}
    pieces = []
    end = 0
    for found in _MARKED.finditer(text):
        n = ord(found[2]) - _FIRST_SENTINEL
        if n >= len(contents):
            continue
        missing.discard(n)
        content = contents[n]
        content = content if found[1] else content.lstrip()
        content = content if found[3] else content.rstrip()
        pieces += [Piece(text[end : found.start()], False), Piece(content, True)]
        end = found.end()
    pieces.append(Piece(text[end:], False))
    if missing:
        raise TemplateError("The model's chat template leaves out a part of the prompt.", _REMEDY)
    return tuple(
        Piece(piece.text if piece.is_data else piece.text.replace(_PAD, ""), piece.is_data)
        for piece in pieces
        if piece.text
    )
