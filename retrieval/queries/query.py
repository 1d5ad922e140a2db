"""What a person typed, taken apart: words, phrases in quotes, operators.

Pure, and it never fails: what has no sense as an operator stays a word. ``-`` is read before a
phrase, a path or a tag alone, so that the options of commands (``git log -p``) are words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from retrieval.queries.filters import FORMATS, WHEN, parse_format, parse_tag, parse_when
from retrieval.types import Filters, Format

OPERATORS = ("path", "tag", "format", "after", "before", "in")
"""Words that, before a colon, say where to look."""

_QUOTED = r'"[^"]+"|“[^“”]+[”"]|„[^„“”]+[“”]|«[^«»]+»|»[^«»]+«'
_PART = re.compile(
    rf"(?<!\S)(?P<minus>-?)(?P<operator>{'|'.join(OPERATORS)}):(?P<value>{_QUOTED}|\S+)"
    rf"|(?<![^\s(\[{{])(?<!\S[(\[{{])(?P<without>-?)(?P<phrase>{_QUOTED})(?=$|[\s)\]}}.,;:!?…])"
)
_QUOTES = '"“”„«»'


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A query, its operators taken out."""

    text: str
    """The words, those of phrases among them, in order."""
    phrases: tuple[str, ...]
    """What must stand in a passage."""
    without: tuple[str, ...]
    """What must not."""
    filters: Filters
    """Which notes may answer."""
    places: tuple[str, ...]
    """Where to look: names of collections, or paths."""
    notices: tuple[str, ...]
    """What is to be said of operators that were read as words."""


def parse_query(text: str, now: float) -> ParsedQuery:
    """Take a query apart; ``now``, in seconds since the epoch, is what ``after:7d`` counts from."""
    reader = _Reader(now)
    words: list[str] = []
    end = 0
    for part in _PART.finditer(text):
        words += [text[end : part.start()], reader.read(part)]
        end = part.end()
    words.append(text[end:])
    return ParsedQuery(
        text=" ".join(" ".join(words).split()),
        phrases=tuple(dict.fromkeys(reader.phrases)),
        without=tuple(dict.fromkeys(reader.without)),
        filters=Filters(
            paths=tuple(dict.fromkeys(reader.paths)),
            tags=tuple(dict.fromkeys(reader.tags)),
            formats=tuple(dict.fromkeys(reader.formats)),
            after=max(reader.after, default=None),
            before=min(reader.before, default=None),
        ),
        places=tuple(dict.fromkeys(reader.places)),
        notices=tuple(dict.fromkeys(reader.notices)),
    )


def as_words(text: str) -> str:
    """Write a question that was not meant for this syntax, so that all of it is words."""
    text = re.sub(f"[{_QUOTES}]", " ", text)
    return re.sub(rf"(?<!\S)(-?(?:{'|'.join(OPERATORS)})):(?=\S)", r"\1: ", text)


class _Reader:
    """Sorts the parts of one query."""

    def __init__(self, now: float) -> None:
        self._now = now
        self.phrases: list[str] = []
        self.without: list[str] = []
        self.paths: list[str] = []
        self.tags: list[str] = []
        self.formats: list[Format] = []
        self.after: list[float] = []
        self.before: list[float] = []
        self.places: list[str] = []
        self.notices: list[str] = []

    def read(self, part: re.Match[str]) -> str:
        """Keep one part, and give the words that it leaves in the query."""
        if part["phrase"] is None:
            return self._operator(part)
        # American English puts the stop that ends a sentence inside the quotation marks.
        phrase = " ".join(part["phrase"][1:-1].split()).rstrip(".,;")
        if not re.search(r"\w", phrase):
            return part[0]
        (self.without if part["without"] else self.phrases).append(phrase)
        return "" if part["without"] else phrase

    def _operator(self, part: re.Match[str]) -> str:
        name, value, minus = part["operator"], part["value"], part["minus"]
        if value[0] in _QUOTES and len(value) > 1 and value[-1] in _QUOTES:
            value = value[1:-1].strip()
        else:
            value = value.rstrip(",;" if name == "path" else ",;?!")
        problem = self._keep(name, value, minus)
        if not problem:
            return ""
        self.notices.append(f"{part[0]} was searched for as words: {problem}.")
        return part[0]

    def _keep(self, name: str, value: str, minus: str) -> str:
        """Keep one operator, or say why it is none."""
        if minus and name not in {"path", "tag"}:
            return "only a path, a tag or a phrase can be excluded"
        if not value.strip("/#!"):
            return f"nothing stands after {name}:"
        if name == "path":
            self.paths.append(("!" if minus else "") + value.removeprefix("./"))
        elif name == "tag":
            self.tags.append(("!" if minus else "") + parse_tag(value))
        elif name == "in":
            self.places.append(value)
        elif name == "format":
            known = parse_format(value)
            if known is None:
                return f"the formats are {', '.join(FORMATS)}"
            self.formats.append(known)
        else:
            when = parse_when(value, self._now)
            if when is None:
                return f"a time is written as {WHEN}"
            (self.after if name == "after" else self.before).append(when)
        return ""
