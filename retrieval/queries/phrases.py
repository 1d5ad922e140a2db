"""Exact phrases: whether a text says them, whatever their case, accents and spacing.

Pure. A phrase is matched as it is written and as it is read: marks of emphasis, code and links
do not stand between its words, nor do line ends and quotation marks of Markdown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff"
)
_BELOW_COMBINING_SCRIPTS = 0x0400  # Latin and Greek: a mark there is an accent, not a letter.
_PLAIN = str.maketrans(
    {"‘": "'", "’": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-", "‑": "-",
     "−": "-", "\u00ad": None, "\u200b": None}
)  # fmt: skip
_MARKUP = re.compile(
    r"^[ \t]*(?:>[ \t]?)+|\[\[(?:[^\]|]*\|)?|\]\([^)\s]*\)|\]\[[^\]\s]*\]|\]\]"
    r"|!?\[(?=[^\]]*\][(\[])|[*`~]+|==|\\(?=[^\w\s]|_|$)"
    r"|(?<![\w\\])_+|_+(?!\w)",
    re.MULTILINE,
)
_MARKS = str.maketrans("", "", "*`~_=\\")
"""Marks that may stand inside a word."""


def folded(text: str) -> str:
    """Write a text so that what differs in case, accents, spacing or typography alone is equal."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_PLAIN)
        text = "".join(map(_base, text.casefold()))
    return " ".join(text.lower().split())


def says(texts: Iterable[str], phrase: str) -> bool:
    """Say whether one of the texts holds a phrase, at the bounds of words."""
    wanted = folded(phrase)
    words = wanted.translate(_MARKS).split()
    for text in texts:
        plain = folded(text)
        if wanted in plain and _pattern(wanted).search(plain):
            return True
        # Words with marks between them are there one by one, and most texts end here.
        bare = plain.translate(_MARKS)
        if all(word in bare for word in words) and _MARKUP.search(text):
            read = folded(_MARKUP.sub("", text))
            if wanted in read and _pattern(wanted).search(read):
                return True
    return False


def longest_word(phrase: str) -> str:
    """Give the longest run of ASCII letters and digits of a phrase; of one without, a word."""
    words = re.findall(r"[a-z0-9]+", folded(phrase))
    return max(words, key=len, default="") or max(phrase.split(), key=len)


@lru_cache(maxsize=256)
def _pattern(wanted: str) -> re.Pattern[str]:
    letter = rf"[^\W{_SPACELESS}]"  # In scripts without spaces a word may begin anywhere.
    before = rf"(?<!{letter})" if re.match(letter, wanted) else ""
    after = rf"(?!{letter})" if re.search(rf"{letter}$", wanted) else ""
    return re.compile(before + re.escape(wanted) + after)


@lru_cache(maxsize=4096)
def _base(letter: str) -> str:
    """Drop the accent of a Latin or Greek letter; a mark that stands alone goes too."""
    if letter.isascii():
        return letter
    base = unicodedata.normalize("NFD", letter)[0]
    if "\u0300" <= base <= "\u036f":
        return ""
    return base if ord(base) < _BELOW_COMBINING_SCRIPTS else letter
