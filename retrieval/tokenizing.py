"""One tokenizer for notes and queries: the terms that the keyword leg counts.

Words are found by Unicode rules, case-folded, freed of accents, stop words left out, English
endings stemmed. Identifiers give themselves and their parts (``snake_case``, ``camelCase``);
scripts written without spaces give overlapping pairs of characters.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import lru_cache

import snowballstemmer

VERSION = 1
"""Raised whenever the same text gives other terms: an index of another version is rebuilt."""

_MARKED = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0966-\u0dff"
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0002ffff"
)
# Combining vowels are not \w, and splitting at them would break Indic and Arabic words apart.
_WORD = re.compile(
    rf"[^\W\d_](?:\+\+|\#)(?![\w#+])|[\w{_MARKED}{_UNSPACED}]+(?:['’][^\W\d_]+)*", re.UNICODE
)
_RUN = re.compile(f"[{_UNSPACED}]+")
_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z0-9]+|[^\x00-\x7f]+")
_CAMEL = re.compile(r"[a-z0-9][A-Z]|[A-Z]{2}[a-z]")
_BELOW_COMBINING_SCRIPTS = 0x0400  # Latin and Greek: a mark there is an accent, not a letter.

STOP_WORDS = frozenset(
    """a about above after also am an and any are aren't as at be because been before being below
    between both but by can can't cannot could couldn't did didn't do does doesn't doing don't
    during for had hadn't has hasn't have haven't he her here hers herself him himself his how how's
    i i'd i'll i'm i've if in into is isn't it it's its itself let's me my myself of on or other our
    ours ourselves she should shouldn't so some such than that that's the their theirs them
    themselves then there there's these they they're this those to too very was wasn't we we're were
    weren't what what's when which who whom why will with won't would wouldn't you you're your yours
    yourself yourselves""".split()  # noqa: SIM905 - a list of 120 literals reads worse
)

_stemmer = snowballstemmer.stemmer("english")
_stemmer_lock = threading.Lock()  # A stemmer keeps the word at hand in itself.


def tokenize(text: str) -> list[str]:
    """Give the terms of a text in order, with repetitions."""
    terms: list[str] = []
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text)):
        terms.extend(_terms(match.group()))
    return terms


def without_repetitions(question: str) -> str:
    """Leave out the words of a question that only repeat its terms.

    Who says a word twice does not want it twice as much, and the keyword leg would count it so.
    """
    text = unicodedata.normalize("NFKC", question)
    seen: set[str] = set()
    kept: list[str] = []
    end = 0
    for match in _WORD.finditer(text):
        terms = _terms(match.group())
        if terms and seen.issuperset(terms):
            kept.append(text[end : match.start()])
            end = match.end()
        seen.update(terms)
    return " ".join([*kept, text[end:]]) if kept else question


@lru_cache(maxsize=1 << 16)
def _terms(word: str) -> tuple[str, ...]:
    """Give the terms of one word as written."""
    runs = _RUN.findall(word)
    if runs:
        rest = [term for piece in _RUN.split(word) if piece for term in _terms(piece)]
        return (*rest, *(pair for run in runs for pair in _pairs(run)))
    if "_" not in word and not _CAMEL.search(word):
        return _plain(word)
    whole = _fold(word.strip("_"))
    parts = [
        term for piece in word.split("_") for part in _PARTS.findall(piece) for term in _plain(part)
    ]
    return (whole, *parts) if whole and parts != [whole] else tuple(parts)


def _plain(word: str) -> tuple[str, ...]:
    """Give the term of a word without inner structure; nothing for a stop word."""
    folded = _fold(word.replace("’", "'"))
    if not folded or folded in STOP_WORDS:
        return ()
    if not folded.replace("'", "").isalpha() or not folded.isascii():
        return (folded,)
    with _stemmer_lock:
        return (_stemmer.stemWord(folded),)


def _fold(word: str) -> str:
    """Fold case, and drop accents where they are accents and not letters."""
    folded = word.casefold()
    if folded.isascii():
        return folded
    out: list[str] = []
    for letter in folded:
        base = unicodedata.normalize("NFD", letter)[0]
        out.append(base if ord(base) < _BELOW_COMBINING_SCRIPTS else letter)
    return "".join(out)


def _pairs(run: str) -> list[str]:
    """Give the overlapping pairs of characters of a run; a lone character stands for itself."""
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]
