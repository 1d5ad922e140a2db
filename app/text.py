"""Words: what two texts have in common, and whether one stands in the other.

Pure; the standard library and snowballstemmer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import snowballstemmer

_STEMMER = snowballstemmer.stemmer("english")
_STEMMER_LOCK = Lock()  # a Snowball stemmer keeps the word it works on as state

_STOP_TEXT = """
a about above after again all also am an and any are as at be because been before being below
between both but by can cannot could d did do does doing done down during each either else ever
every few for from further get gets getting got had has have having he her here hers him his
how however i if in into is it its itself just like ll m may maybe me might more most
much must my myself neither no nor not now of off on once one only onto or other our ours out
over own please re s same shall she should so some such t tell than that the their theirs them
then there these they this those through to too under until up upon us ve very via want was way
ways we were what when where whether which while who whom whose why will with within without
would yes yet you your yours yourself
don doesn didn isn aren wasn weren won wouldn couldn shouldn hasn haven hadn
"""
STOP_WORDS = frozenset(_STOP_TEXT.split())
"""Words of English that say nothing of a text's subject."""

_NUMBER_TEXT = "zero one two three four five six seven eight nine ten eleven twelve"
_NUMBER_WORDS = {word: str(value) for value, word in enumerate(_NUMBER_TEXT.split())}
_NUMBER_NAMES = {value: word for word, value in _NUMBER_WORDS.items()}

_TOKEN = re.compile(r"\w+(?:[.,:]\d+)*")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_MEASURE = re.compile(r"(\d+(?:[.,]\d+)*)([^\W\d_]{1,4})")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ORDINALS = frozenset({"st", "nd", "rd", "th"})


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Reduce a case-folded English word to its stem; thread-safe."""
    with _STEMMER_LOCK:
        return str(_STEMMER.stemWord(word))


@dataclass(frozen=True, slots=True)
class Words:
    """What a text is made of, in the form that texts are compared in."""

    stems: frozenset[str]
    """Stems of the ordinary words, stop words left out."""
    numbers: frozenset[str]
    """Numbers as written, without separators of thousands."""
    identifiers: frozenset[str]
    """Case-folded names that hold a digit or an underscore: ``q4_k_m``, ``utf8``."""

    def __len__(self) -> int:
        return len(self.stems) + len(self.numbers) + len(self.identifiers)

    def __or__(self, other: Words) -> Words:
        return Words(
            self.stems | other.stems,
            self.numbers | other.numbers,
            self.identifiers | other.identifiers,
        )

    def __and__(self, other: Words) -> Words:
        return Words(
            self.stems & other.stems,
            self.numbers & other.numbers,
            self.identifiers & other.identifiers,
        )


NO_WORDS = Words(frozenset(), frozenset(), frozenset())
"""What an empty text is made of."""


def words(text: str) -> Words:
    """Take a text apart into stems, numbers and identifiers; order and counts are lost."""
    stems: set[str] = set()
    numbers: set[str] = set()
    identifiers: set[str] = set()
    for token in _tokens(text):
        measure = _MEASURE.fullmatch(token)
        if _NUMBER.fullmatch(token):
            numbers.update(_number(token))
        elif measure is not None:
            numbers.update(_number(measure[1]))
            if measure[2].casefold() not in _ORDINALS:
                stems.add(stem(measure[2].casefold()))
        elif "_" in token or any(character.isdigit() for character in token):
            identifiers.add(token.casefold())
        elif token.casefold() not in STOP_WORDS:
            stems.add(stem(token.casefold()))
    return Words(frozenset(stems), frozenset(numbers), frozenset(identifiers))


def with_number_names(found: Words) -> Words:
    """Add to each small number its name and to each name its number, so that either matches."""
    numbers = {
        _NUMBER_WORDS[name] for name in _NUMBER_WORDS if stem(name) in found.stems
    } | found.numbers
    names = {stem(_NUMBER_NAMES[value]) for value in numbers if value in _NUMBER_NAMES}
    return Words(found.stems | names, frozenset(numbers), found.identifiers)


def terms(text: str) -> frozenset[str]:
    """Take a text apart for ranking: stems, with identifiers whole and also split."""
    found: set[str] = set()
    for token in _tokens(text):
        pieces = [piece for part in token.split("_") for piece in _CAMEL.split(part)]
        folded = token.casefold()
        if folded not in STOP_WORDS:
            found.add(stem(folded))
        if len(pieces) > 1:
            found.update(
                stem(piece.casefold())
                for piece in pieces
                if len(piece) > 1 and piece.casefold() not in STOP_WORDS
            )
    return frozenset(found)


def overlap(left: frozenset[str], right: frozenset[str]) -> float:
    """Measure how much of the smaller set the two share: 0 to 1."""
    smaller = min(len(left), len(right))
    return len(left & right) / smaller if smaller else 0.0


_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\([^()]*\)[^()\s]*)*(?:\s+\"[^\"]*\")?\))")
_LEADER = re.compile(r"^\s*(?:>\s?)*\s*(?:#{1,6}\s+|[-*+]\s+(?:\[[ xX]\]\s+)?|\d{1,3}[.)]\s+)?")
_UNDERSCORES = re.compile(r"(?<![^\W_])_+|_+(?![^\W_])")
_SPACE_BEFORE_STOP = re.compile(r"\s+([.,;:!?])(?=\s|$)")
_TYPOGRAPHIC = str.maketrans(
    {
        "“": '"',
        "”": '"',
        "„": '"',
        "«": '"',
        "»": '"',
        "‘": "'",
        "’": "'",
        "‚": "'",
        "–": "-",
        "—": "-",
        "‑": "-",
        "−": "-",
        "*": None,
        "`": None,
        "~": None,
        "\\": None,
        "\u00ad": None,
        "\u200b": None,
    }
)


def plain(line: str) -> str:
    """Reduce a line of Markdown to what is compared verbatim.

    Case, typographic quotes and dashes, emphasis, backticks, link targets, list and quote markers
    and runs of white space do not count.
    """
    text = _LINK.sub(r"\1", _LEADER.sub("", line, count=1))
    text = unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHIC).casefold()
    text = " ".join(_UNDERSCORES.sub("", text).split())
    return _SPACE_BEFORE_STOP.sub(r"\1", text)


def find_lines(needle: str, lines: Iterable[str]) -> tuple[int, int] | None:
    """Find the lines that hold a text verbatim, as ``plain`` sees both.

    Returns the offsets of the first and last line, or None. The text must begin and end where
    words do: ``cat`` does not stand in ``concatenate``.
    """
    wanted = " ".join(filter(None, map(plain, needle.split("\n")))).strip(" .,;:!?\"'")
    if not wanted:
        return None
    joined = ""
    starts: list[tuple[int, int]] = []
    for offset, line in enumerate(lines):
        reduced = plain(line)
        if reduced:
            starts.append((len(joined), offset))
            joined += reduced + " "
    at = joined.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        before, after = joined[at - 1 : at], joined[end : end + 1]
        if not (before.isalnum() and wanted[0].isalnum()) and not (
            after.isalnum() and wanted[-1].isalnum()
        ):
            first = max(offset for start, offset in starts if start <= at)
            last = max(offset for start, offset in starts if start < end)
            return first, last
        at = joined.find(wanted, at + 1)
    return None


def _tokens(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        token = match[0].strip("_")
        if token:
            yield token


def _number(text: str) -> list[str]:
    if _THOUSANDS.fullmatch(text):
        return [text.replace(",", "")]
    return text.split(",")
