"""What a query asks for, once its operators are read and what it follows is known. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from retrieval.queries.filters import checked, described, merged
from retrieval.queries.follow_up import in_context
from retrieval.queries.query import parse_query
from retrieval.tokenizing import tokenize
from retrieval.types import Filters, Query


@dataclass(frozen=True, slots=True)
class Request:
    """A query made plain."""

    text: str
    """The question itself, without operators."""
    keywords: str
    """What the keyword leg is asked for."""
    meaning: str
    """What the vector leg is asked for."""
    context: str
    """What it was searched together with; empty when it stands alone."""
    phrases: tuple[str, ...]
    """What must stand in a passage."""
    without: tuple[str, ...]
    """What must not."""
    filters: Filters
    """Which notes may answer."""
    places: tuple[str, ...]
    """Where to look, as the query itself says."""
    notices: tuple[str, ...]
    """What the person should know of how it was read."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked."""
        return not (self.text or self.narrows or self.places)

    @property
    def narrows(self) -> bool:
        """Whether some passages may not answer, whatever the legs say."""
        return bool(self.phrases or self.without or self.filters)

    @property
    def terms(self) -> tuple[str, ...]:
        """The terms that the keyword leg counts, each once, the question's own first."""
        return tuple(dict.fromkeys(tokenize(self.keywords)))

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions on notes and passages, phrases left out, in words."""
        return (*described(self.filters), *(f"not “{phrase}”" for phrase in self.without))


def read_request(query: Query, now: float) -> Request:
    """Read a query; ``now`` is in seconds since the epoch. Raises ``FilterError``."""
    parsed = parse_query(" ".join(_clean(query.text).split()), now)
    context = "\n".join(map(_clean, query.context.splitlines()))
    asked = in_context(parsed.text, context if parsed.text else "")
    notices = list(parsed.notices)
    if asked.context:
        notices.append(f"Searched together with the question before: “{asked.context}”")
    return Request(
        text=parsed.text,
        keywords=asked.keywords,
        meaning=asked.meaning,
        context=asked.context,
        phrases=parsed.phrases,
        without=parsed.without,
        filters=checked(merged(query.filters, parsed.filters)),
        places=parsed.places,
        notices=tuple(notices),
    )


def _clean(text: str) -> str:
    """Replace what UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()
