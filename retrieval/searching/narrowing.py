"""Which chunks may answer: those of notes that meet the conditions and that say the phrases."""

from __future__ import annotations

import json
from collections.abc import Sequence

from retrieval.indexes import Indexes
from retrieval.queries.phrases import longest_word, says
from retrieval.queries.request import Request
from retrieval.searching.scope import Scope


def allowed_chunks(indexes: Indexes, request: Request, scope: Scope) -> frozenset[str] | None:
    """Give the ids of the chunks that may answer; None when all of the scope may."""
    within = scope.within
    if request.filters:
        matching = indexes.store.collections.matching(scope.folders, request.filters)
        within = matching if within is None else within & matching
    for phrase in request.phrases:
        within = _saying(indexes, phrase, within)
    if request.without:
        within = _without(indexes, request.without, scope, within)
    return within


def why_none(indexes: Indexes, request: Request, scope: Scope) -> str:
    """Say which condition leaves no chunk, and what comes near; empty when it is none."""
    collections = indexes.store.collections
    if scope.folders and request.filters:
        present = collections.tags()
        for tag in request.filters.tags:
            if not tag.startswith("!") and not any(
                own == tag or own.startswith(f"{tag}/") for own in present
            ):
                return _no_tag(tag, present, collections.near_tags(tag))
        if not collections.matching(scope.folders, request.filters):
            conditions = "; ".join(request.conditions)
            return f"No note there meets these conditions: {conditions}."
    for phrase in request.phrases:
        if not _saying(indexes, phrase, None):
            return f"No passage says “{phrase}” word for word; without quotation marks, words do."
    if request.narrows:
        return "No passage meets all the conditions at once."
    return ""


def fails(request: Request, texts: Sequence[str]) -> str:
    """Say which phrase keeps a passage of these texts out; empty when none does."""
    for phrase in request.phrases:
        if not says(texts, phrase):
            return f"it does not say “{phrase}”"
    for phrase in request.without:
        if says(texts, phrase):
            return f"it says “{phrase}”"
    return ""


def _saying(indexes: Indexes, phrase: str, within: frozenset[str] | None) -> frozenset[str]:
    """Give the ids of the chunks that say a phrase.

    The keyword leg knows the chunks that hold all its terms. A phrase without terms, of stop
    words say, is looked for in every text.
    """
    holding = indexes.lexical().holding(phrase)
    if holding is not None and within is not None:
        holding = [chunk_id for chunk_id in holding if chunk_id in within]
    rows = indexes.store.collections.texts(holding, longest_word(phrase))
    return frozenset(
        chunk_id
        for chunk_id, title, headings, text in rows
        if (within is None or chunk_id in within)
        and says((text, title, *json.loads(headings)), phrase)
    )


def _without(
    indexes: Indexes, phrases: Sequence[str], scope: Scope, within: frozenset[str] | None
) -> frozenset[str]:
    if within is None:
        within = frozenset(i for _, i in indexes.store.collections.newest(scope.folders))
    for phrase in phrases:
        within -= _saying(indexes, phrase, within)
    return within


def _no_tag(tag: str, present: Sequence[str], near: Sequence[str]) -> str:
    if not present:
        return f"No note has the tag {tag}: the indexed notes have no tags."
    if near:
        return f"No note has the tag {tag}. Nearest: {', '.join(near)}."
    listed = ", ".join(present[:8]) + ("…" if len(present) > 8 else "")
    return f"No note has the tag {tag}. There are: {listed}."
