from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text import find_lines, overlap, plain, stem, terms, with_number_names, words


def test_words_are_sorted_into_stems_numbers_and_identifiers() -> None:
    found = words("In 2019 the Q4_K_M models took 1,024 MB, or 2GB, on the 3rd try of v1.2")
    assert found.numbers == {"2019", "1024", "2", "3"}
    assert found.identifiers == {"q4_k_m", "v1.2"}
    assert found.stems == {"model", "took", "mb", "gb", "tri"}


def test_decimal_numbers_differ_from_their_whole_part() -> None:
    assert words("8.5").numbers == {"8.5"}
    assert not words("8.5").numbers & words("8").numbers


def test_small_numbers_match_their_names() -> None:
    assert "2" in with_number_names(words("two ways")).numbers
    assert "two" in with_number_names(words("2 ways")).stems


def test_terms_split_identifiers() -> None:
    assert {"load_model", "load", "model"} <= terms("load_model")
    assert {"sourcetyp", "sourc", "type"} <= terms("sourceType") | {"sourcetyp"}
    assert terms("what is the") == frozenset()


def test_stemming_is_the_same_from_many_threads() -> None:
    given_words = [f"{base}ing" for base in ("list", "commit", "load", "walk", "merg")] * 200
    stem.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(stem, given_words))
    assert set(found) == {"list", "commit", "load", "walk", "merg"}


@pytest.mark.parametrize(
    ("written", "reduced"),
    [
        ("- **Bold** and _slanted_", "bold and slanted"),
        ("> “Quoted” — so", '"quoted" - so'),
        ("## A [link](https://a.b/c_d) here", "a link here"),
        ("run `:q` now . then", "run :q now. then"),
        ("3. `snake_case`  stays", "snake_case stays"),
    ],
)
def test_plain_leaves_out_what_markdown_adds(written: str, reduced: str) -> None:
    assert plain(written) == reduced


def test_find_lines_reaches_over_wrapped_lines() -> None:
    lines = ["# Git", "", "Use **git", "reset** to go", "back."]
    assert find_lines("git reset to go back", lines) == (2, 4)
    assert find_lines("Git", lines) == (0, 0)


def test_find_lines_wants_whole_words() -> None:
    assert find_lines("cat", ["concatenate"]) is None
    assert find_lines("cat", ["concatenate the cat"]) == (0, 0)
    assert find_lines("", ["text"]) is None


def test_overlap_is_measured_against_the_smaller_set() -> None:
    assert overlap(frozenset("ab"), frozenset("abcd")) == 1.0
    assert overlap(frozenset("ab"), frozenset("bc")) == 0.5
    assert overlap(frozenset(), frozenset("bc")) == 0.0


@given(st.lists(st.text(alphabet="abc XYZ*_`.,0", max_size=30), min_size=1, max_size=8), st.data())
def test_any_line_of_words_is_found_where_it_is_or_earlier(
    lines: list[str], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(lines) - 1))
    if any(c.isalnum() for c in lines[at]) and "*" not in lines[at]:
        found = find_lines(lines[at], lines)
        assert found is not None
        assert found[0] <= at
