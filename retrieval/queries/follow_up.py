"""Questions that go on from the one before: told from their words, searched with its terms.

Pure, and no model is asked. What a follow-up says itself weighs twice what it follows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from retrieval.queries.query import parse_query
from retrieval.tokenizing import tokenize, without_repetitions

_SHORT = 5  # Words up to which a fragment is taken for a follow-up.
_FEW = 2  # Content words up to which "and ..." does not stand alone.
_SEVERAL = 4  # Content words up to which a question may depend on a pronoun.
_CHAIN = 3  # Questions that a chain of follow-ups goes back.
_START = re.compile(
    r"(?:what about|how about|what if|what else|how else|anything else|and if"
    r"|same (?:for|with|on|in))\b",
    re.IGNORECASE,
)
_LINK = re.compile(
    r"(?:and|but|also|then|or|so|ok(?:ay)?)\b,?"
    r"(?P<asks>\s+(?:what|which|who|whose|where|when|how)\b)?",
    re.IGNORECASE,
)
_FRAGMENT = re.compile(
    r"(?:on|in|at|with|without|for|from|under|using|instead of|why not|how come)\b"
    r"(?!-| (?:what|which|whose|whom|who|how|where)\b)",
    re.IGNORECASE,
)
_PRONOUN = re.compile(
    r"\b(?:it|its|it's|they|them|their|theirs|those|these|this|he|she|him|her|his|hers"
    r"|the (?:former|latter)|the (?:same|others?|first|second|last)(?: one|(?=\s*[?.!,]|$))"
    r"|(?:that|another|which|other) (?:ones?|way|case))\b",
    re.IGNORECASE,
)
_THAT = re.compile(
    r"(?:\b(?:of|about|for|with|on|in|from|to|like|do|did|does|after|before|is|was|by|than|why)"
    r" that\b)|\bthat(?=\s*[?.!]*$|,)|^that\b|\bthat (?:is|was|does|work|works|mean|means)\b",
    re.IGNORECASE,
)
_INITIALS = re.compile(r"\bIT\b")  # Information technology.
_RELATIVE = re.compile(r"\b(?!(?:is|was|do|did|does) )[\w-]+ that\b", re.IGNORECASE)
_DUMMY = re.compile(
    r"\b(?:is|was|be) it (?:not )?\w+ (?:to|that|for|if|when)\b"
    r"|\bit (?:is|was) (?:not )?\w+ (?:to|that)\b|\b(?:make|take)s? it \w+ to\b",
    re.IGNORECASE,
)
_EMPTY = frozenset(
    tokenize(
        "more less much many detail details example examples explain tell show say said work works"
        " mean means do done use used using way ways thing things long fast faster slow slower big"
        " bigger small smaller better worse best worst cost costs differ difference differences"
        " exactly really default again instead else new old reason happen happens happened set"
        " change good bad high higher low lower first second last next please elaborate continue"
        " need give get make exact short shorter one two three go on reset"
    )
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the legs are asked for."""

    keywords: str
    """For the keyword leg."""
    meaning: str
    """For the vector leg."""
    context: str = ""
    """What the question was searched together with; empty when it stands alone."""


def in_context(question: str, context: str) -> Asked:
    """Put a question together with those before it when it goes on from them.

    ``context`` holds them one a line, oldest first; of a chain of follow-ups as many as it takes
    to come to a question that stands alone.
    """
    followed: list[str] = []
    newest = question
    for line in reversed(context.splitlines()[-_CHAIN:]):
        before = parse_query(line, 0.0).text
        if not is_follow_up(newest):
            break
        if tokenize(before):
            followed.insert(0, before)
        newest = before or newest
    if not followed:
        return Asked(without_repetitions(question), question)
    joined = " ".join(followed)
    said = without_repetitions(question)
    return Asked(f"{said} {said} {joined}", f"{joined} {question}", joined)


def is_follow_up(question: str) -> bool:
    """Say whether a question lacks what it is about, so that the one before must tell.

    It does when it begins as one that goes on (``and``, ``what about``), when a pronoun refers to
    nothing that the question names before it, when it is a fragment of a few words, or when none
    of its words says anything of itself (``how much faster?``).
    """
    text = " ".join(question.split())
    content = [term for term in tokenize(text) if term not in _EMPTY]
    if not content:
        return True
    link = _LINK.match(text)
    # A whole question needs fewer words to say what it is about than a fragment does.
    if _START.match(text) or (link and len(tokenize(text)) <= _FEW - bool(link["asks"])):
        return True
    if _FRAGMENT.match(text) and len(text.split()) <= _SHORT:
        return True
    if re.match(r"why\b", text, re.IGNORECASE) and len(tokenize(text)) == 1:
        return True
    return len(content) <= _SEVERAL and _refers_back(text)


def _refers_back(text: str) -> bool:
    """Say whether a pronoun stands before anything that it could stand for."""
    text = _DUMMY.sub(" ", text if text.isupper() else _INITIALS.sub(" ", text))
    for found in (_PRONOUN.search(text), _THAT.search(text)):
        if found is None:
            continue
        named = [term for term in tokenize(text[: found.start()]) if term not in _EMPTY]
        if len(named) <= 1 and not (named and _RELATIVE.search(found[0])):
            return True
    return False
