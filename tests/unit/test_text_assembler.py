from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from models.llama.text import TextAssembler


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


def run(pieces: list[bytes], stops: tuple[str, ...] = ()) -> tuple[list[str], bool]:
    assembler = TextAssembler(stops)
    shown = [assembler.push(piece) for piece in pieces]
    return [*shown, assembler.finish()], assembler.stopped


def test_a_character_appears_when_it_is_complete() -> None:
    shown, _ = run([b"caf", b"\xc3", b"\xa9 ", b"\xf0\x9f", b"\x99\x82"])
    assert shown == ["caf", "", "é ", "", "🙂", ""]


def test_a_stop_text_is_never_shown_even_in_pieces() -> None:
    shown, stopped = run([b"Yes.\n##", b"# Us", b"er: hm"], ("\n### User:",))
    assert ("".join(shown), stopped) == ("Yes.", True)
    assert shown[0] == "Yes."


def test_what_only_looked_like_a_stop_text_is_shown_in_the_end() -> None:
    shown, stopped = run([b"a\n##", b"# Use", b"d"], ("\n### User:",))
    assert ("".join(shown), stopped) == ("a\n### Used", False)
    assert run([b"a\n###"], ("\n### User:",))[0] == ["a", "\n###"]


def test_the_first_of_several_stop_texts_counts() -> None:
    assert "".join(run([b"one two three"], ("three", "two"))[0]) == "one "


def test_whitespace_before_the_answer_is_left_out() -> None:
    assert run([b" ", b"\n", b" The ", b" end"])[0] == ["", "", "The ", " end", ""]


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert "".join(run([b"a\xff", b"\xe2\x82"])[0]) == "a��"


@given(st.text(), st.lists(st.integers(0, 1000)))
def test_however_it_is_cut_the_text_is_the_same(text: str, cuts: list[int]) -> None:
    data = text.encode()
    assert "".join(run(pieces_of(data, cuts))[0]) == text.lstrip()


@given(
    st.text("abST", max_size=30), st.lists(st.integers(0, 100)), st.sampled_from(["ST", "STS", "b"])
)
def test_however_it_is_cut_the_text_ends_before_the_stop(
    text: str, cuts: list[int], stop: str
) -> None:
    shown, stopped = run(pieces_of(text.encode(), cuts), (stop,))
    assert "".join(shown) == text.split(stop, maxsplit=1)[0]
    assert stopped == (stop in text)
