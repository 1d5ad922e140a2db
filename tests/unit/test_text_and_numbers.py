"""Harmless text for terminals, and numbers for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.format import bar, compact, duration, human_bytes, plural, time_left
from app.safe_text import one_line, printable


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("plain\ttext\nline", "plain\ttext\nline"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]52;c;aGk=\x1b\\after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x9b31mb", "ab"),
        ("beep\x07 back\x08", "beep back"),
        ("line\r\nnext\rlast", "line\nnext\nlast"),
        ("\u202eevil\u202c", "evil"),
        ("null\x00byte", "nullbyte"),
    ],
)
def test_escapes_and_controls_do_not_reach_the_terminal(dirty: str, clean: str) -> None:
    assert printable(dirty) == clean


@given(st.text())
def test_what_is_printable_stays_and_nothing_else_does(text: str) -> None:
    safe = printable(text)
    assert "\x1b" not in safe
    assert all(char in "\n\t" or ord(char) >= 32 for char in safe)
    assert printable(safe) == safe


def test_one_line_folds() -> None:
    assert one_line("a\n\n b\x1b[2J\tc") == "a b c"


def test_numbers() -> None:
    assert [human_bytes(n) for n in (0, 999, 1500, 2_500_000_000)] == [
        "0 B",
        "999 B",
        "2 kB",
        "2.5 GB",
    ]
    assert [compact(n) for n in (0, 999, 2140, 8192, 131_072)] == [
        "0",
        "999",
        "2.1k",
        "8.2k",
        "131k",
    ]
    assert [duration(s) for s in (0.04, 1.84, 12.2, 200, 3900)] == [
        "0.0 s",
        "1.8 s",
        "12 s",
        "3 min",
        "1 h 05",
    ]
    assert [plural(n, "note") for n in (0, 1, 1912)] == ["0 notes", "1 note", "1,912 notes"]


def test_bars_show_any_start_and_never_overflow() -> None:
    assert bar(0, 10, 4) == "▁▁▁▁"
    assert bar(0.01, 10, 4) == "▇▁▁▁"
    assert bar(5, 10, 4) == "▇▇▁▁"
    assert bar(99, 10, 4) == "▇▇▇▇"
    assert bar(1, 0, 4) == "▁▁▁▁"


def test_time_left_is_silent_while_it_would_be_a_guess() -> None:
    assert time_left(0, 10, 5) == ""
    assert time_left(1, 10, 0.1) == ""
    assert time_left(10, 10, 5) == ""
    assert time_left(5, 10, 20) == "20 s left"
