"""Chunks: whole lines, small enough, covering the note."""

import re
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from retrieval.blocks.text import Block
from retrieval.chunking import _Cutter, chunk_note, indexed_text
from retrieval.files.formats import format_of
from retrieval.types import Chunk, Fingerprint, Note

LIMIT = 40
WIDE_LIMIT = 160  # More than twice the characters of title and headings that are put in front.


def _count(texts: Sequence[str]) -> list[int]:
    return [len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


def _note(text: str, path: str = "n.md", title: str = "Title") -> Note:
    fingerprint = Fingerprint(len(text), 0, "")
    return Note("/notes", path, title, text, fingerprint, format_of(path) or "text")


def _chunks(text: str, path: str = "n.md", limit: int = LIMIT) -> list[Chunk]:
    return chunk_note(_note(text, path), _count, limit)


def _words(count: int, word: str = "word") -> str:
    return " ".join([word] * count)


def test_a_small_note_is_one_chunk() -> None:
    text = "# Title\n\n## A\n\none\n\n## B\n\ntwo\n"
    (chunk,) = _chunks(text)
    assert (chunk.first_line, chunk.last_line) == (1, 9)
    assert chunk.text == text.rstrip("\n")
    assert chunk.headings == ("Title",)
    assert indexed_text(chunk) == chunk.text


def test_an_empty_note_has_no_chunks() -> None:
    assert _chunks("") == []
    assert _chunks("\n \n\t\n") == []


def test_front_matter_is_found_with_the_section_below_it() -> None:
    (chunk,) = _chunks("---\ntags: [tea]\n---\n\n# Head\n\nBody.\n")
    assert chunk.text == "---\ntags: [tea]\n---\n\n# Head\n\nBody."
    assert (chunk.first_line, chunk.last_line) == (1, 7)
    assert chunk.headings == ("Head",)


def test_long_front_matter_is_cut_like_anything_else() -> None:
    chunks = _chunks("---\n" + "".join(f"k{i}: {_words(9)}\n" for i in range(8)) + "---\nBody.\n")
    assert [c.first_line for c in chunks] == sorted({c.first_line for c in chunks})
    assert (chunks[0].first_line, chunks[-1].last_line) == (1, 11)


def test_sections_are_measured_in_one_pass() -> None:
    class Counted(tuple[Block, ...]):
        looks = 0

        def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 (an index or a slice)
            found = super().__getitem__(key)
            Counted.looks += len(found) if isinstance(key, slice) else 1
            return found

    count = 500
    blocks = Counted(Block(i, i, 1 + i % 3, "H") for i in range(count))
    assert len(_Cutter(_note(""), ["# H"] * count, _count, LIMIT).pieces(blocks)) == count
    assert Counted.looks < 10 * count


def test_sections_that_do_not_fit_together_are_cut_at_their_headings() -> None:
    text = f"# Title\n\n## A\n\n{_words(25)}\n\n## B\n\n{_words(25)}\n"
    first, second = _chunks(text)
    assert first.text.endswith(_words(25))
    assert (first.first_line, first.last_line) == (1, 5)
    assert second.headings == ("Title", "B")
    assert second.text.startswith("## B")
    assert indexed_text(second).startswith("Title\n## B")


def test_a_last_line_takes_company_along() -> None:
    text = f"# Title\n\n{_words(20)}\n\n{_words(16, 'more')}\n\nSee there.\n"
    assert [(c.first_line, c.last_line) for c in _chunks(text)] == [(1, 3), (5, 7)]


def test_a_heading_goes_with_what_follows_it() -> None:
    text = f"{_words(34)}\n\n## A\n\n{_words(30)}\n"
    assert [c.text.split("\n")[0] for c in _chunks(text)] == [_words(34), "## A"]


def test_code_is_whole_where_it_fits() -> None:
    code = "```\n" + "\n".join(f"line {i}" for i in range(8)) + "\n\nend\n```"
    text = f"{_words(25)}\n\n{code}\n\n{_words(20)}\n"
    assert [c.text for c in _chunks(text)] == [_words(25), code, _words(20)]


def test_a_long_paragraph_is_cut_after_a_sentence() -> None:
    lines = [f"{_words(8)} on" for _ in range(6)]
    lines[2] = f"{_words(8)}."
    first = _chunks("\n".join(lines))[0]
    assert first.last_line == 3


def test_a_line_too_long_is_cut_at_sentences_and_shared() -> None:
    sentences = [f"S{i} {_words(15)}." for i in range(6)]
    chunks = _chunks(" ".join(sentences))
    assert {(c.first_line, c.last_line) for c in chunks} == {(1, 1)}
    assert " ".join(c.text for c in chunks) == " ".join(sentences)
    assert all(c.text.endswith(".") for c in chunks)
    assert len({c.id for c in chunks}) == len(chunks)


def test_a_heading_stands_with_the_beginning_of_an_overlong_line() -> None:
    sentences = " ".join(f"S{i} {_words(9)}." for i in range(6))
    first, *others = _chunks(f"# Title\n\n{sentences}\n")
    assert first.text.startswith("# Title\n\nS0 ")
    assert (first.first_line, first.last_line) == (1, 3)
    assert {(c.first_line, c.last_line) for c in others} == {(3, 3)}
    assert indexed_text(others[0]).startswith("Title\nS")


def test_a_heading_stands_with_a_paragraph_that_just_fits_beside_it() -> None:
    (chunk,) = _chunks(f"# Title of five more words\n\n{_words(33)}\n")
    assert chunk.text.startswith("# Title of")


def test_parts_are_even() -> None:
    """What fits two chunks is halved: not a full one and a rest."""
    line = " ".join(f"S{i} {_words(3)}." for i in range(9))
    rows = "| a | b |\n|---|---|\n" + "".join(f"| {_words(3)} | {i} |\n" for i in range(6))
    for text, path in ((line, "n.txt"), (rows, "n.md")):
        sizes = _count([c.text for c in _chunks(text, path)])
        assert len(sizes) == -(-sum(sizes) // LIMIT)
        assert max(sizes) - min(sizes) <= 12, sizes


def test_an_endless_word_is_cut() -> None:
    chunks = _chunks("x" * 5000)
    assert "".join(c.text for c in chunks) == "x" * 5000
    assert max(len(c.text) for c in chunks) <= LIMIT * 10


def test_text_files_have_no_headings() -> None:
    (chunk,) = _chunks("# comment\n\nbody", "n.txt")
    assert chunk.headings == ()


def test_ids_stay_where_the_text_stays() -> None:
    tail = f"## A\n\n{_words(30)}\n\n## B\n\n{_words(30, 'other')}\n"
    before, after = _chunks(tail), _chunks(f"Intro {_words(30)}\n\n{tail}")
    assert [c.id for c in after][1:] == [c.id for c in before]
    assert len({c.id for c in _chunks(f"{_words(30)}\n\n" * 3)}) == 3
    assert _chunks(tail, "other.md")[0].id != before[0].id


line_strategy = st.one_of(
    st.just(""),
    st.sampled_from(
        ["# H", "## Sub", "### Deep", "```", "- item", "  more", "1. one", "| a | b |", "|---|---|"]
    ),
    st.sampled_from(
        [
            "---",
            "+++",
            "k: v",
            "k = 1",
            "===",
            "> quote",
            "    code",
            "[r]: http://x",
            "<div>",
            "\t",
        ]
    ),
    st.integers(1, 240).map(_words),
    st.text(alphabet="ab .!。\u2028\x0c*_`#", max_size=90),
)


@given(st.lists(line_strategy, max_size=60).map("\n".join), st.sampled_from(["n.md", "n.txt"]))
def test_any_text_is_covered_by_chunks_that_are_its_own_lines(text: str, path: str) -> None:
    lines = text.split("\n")
    chunks = _chunks(text, path, WIDE_LIMIT)
    covered: set[int] = set()
    shared: dict[int, str] = {}
    for chunk in chunks:
        there = "\n".join(lines[chunk.first_line - 1 : chunk.last_line])
        own = chunk.text.split("\n")
        if chunk.text != there:  # Only the last line is shared, with the headings above it if any.
            assert chunk.text in there
            assert own[:-1] == lines[chunk.first_line - 1 : chunk.last_line - 1]
            shared[chunk.last_line] = shared.get(chunk.last_line, "") + own[-1]
        assert chunk.text.strip()
        assert _count([indexed_text(chunk)])[0] <= WIDE_LIMIT
        covered.update(range(chunk.first_line - 1, chunk.last_line))
    for number, parts in shared.items():
        assert "".join(parts.split()) == "".join(lines[number - 1].split())
    wanted = {i for i, line in enumerate(lines) if line.strip()}
    assert wanted <= covered
    assert len({c.id for c in chunks}) == len(chunks)
    assert [c.first_line for c in chunks] == sorted(c.first_line for c in chunks)


def test_where_a_link_to_a_note_leads_is_not_indexed() -> None:
    text = (
        "- [Undo a commit](git/undo-a-commit.md#how)\n"
        "- [Manual](https://example.org/manual.html), `call[name](event.target)`, ![A](pic.png)"
    )
    (chunk,) = _chunks(text, limit=WIDE_LIMIT)
    assert chunk.text == text
    assert indexed_text(chunk).endswith(text.replace("(git/undo-a-commit.md#how)", ""))


def test_no_text_is_counted_twice_and_none_that_cannot_fit() -> None:
    counted: list[str] = []

    def count(texts: Sequence[str]) -> list[int]:
        counted.extend(texts)
        return _count(texts)

    line = _words(5000)
    _Cutter(_note(""), [line, "", "same", "", "same"], count, LIMIT)
    assert counted == ["", "same"]
    chunks = chunk_note(_note(f"{line}\n\nsame\n\nsame\n"), count, LIMIT)
    assert " ".join(chunk.text for chunk in chunks[:-1]) == line
    assert max(map(len, counted)) < len(line)
