"""Text from notes, models and file names made harmless for a terminal. Pure."""

from __future__ import annotations

import re

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, clipboard, links
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|[\x1b\x9b]\[?[0-?]*[ -/]*[@-~]"  # CSI and two-character sequences
)
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidi controls can reorder a line
    "\ufff9-\ufffb]"
)
"""Characters that a terminal obeys, other than newline and tab."""


def printable(text: str) -> str:
    """Remove escape sequences, control characters and bidi controls; keep newlines and tabs."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return UNSAFE.sub("", _ESCAPES.sub("", text))


def one_line(text: str) -> str:
    """Make text safe and fold it onto one line."""
    return " ".join(printable(text).split())
