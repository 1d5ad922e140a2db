"""A folder with a file of every format, indexed and searched; and how each is cut."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from retrieval.blocks.code import code_blocks
from retrieval.blocks.data import csv_blocks, json_blocks
from retrieval.blocks.markup import org_blocks, rst_blocks
from retrieval.chunking import chunk_note
from retrieval.files.formats import format_of
from retrieval.library import Library
from retrieval.notes import make_note, read_note
from retrieval.types import Chunk, Fingerprint, IndexOptions, Query
from tests.fixtures import documents
from tests.fixtures.word_embedder import WordEmbedder


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(tmp_path / "index", WordEmbedder()) as library:
        yield library


def _chunks(path: str, data: str | bytes, limit: int = 60) -> list[Chunk]:
    content = data.encode() if isinstance(data, str) else data
    note = make_note(Path("/notes"), path, content, Fingerprint(len(content), 0, ""))
    return chunk_note(note, WordEmbedder().count_tokens, limit)


FOUND = {
    "marigold": ("garden.md", "", (1, 6), ("Garden",)),
    "pelican": ("plain.txt", "", (1, 3), ()),
    "sprocket": ("manual.rst", "", (1, 7), ("Manual",)),
    "falconer": ("agenda.org", "", (1, 3), ()),
    "lighthouse": ("page.html", "Head", (1, 3), ("Head",)),
    "whirr": ("tool.py", "", (1, 6), ()),
    "cuckoo": ("birds.csv", "", (1, 3), ("name,sound",)),
    "torque": ("setting.json", "", (1, 5), ()),
    "walrus": ("report.docx", "Report", (1, 11), ()),
    "puffins": ("survey.pdf", "page 2", (3, 3), ()),
    "herring": ("tides.epub", "The flood", (5, 7), ("Flood",)),
    "spectrogram": ("lab.ipynb", "cells 1–2", (1, 7), ("Lab",)),
}
"""For a word that one file holds: that file, the place, the lines, the headings."""


def test_every_format_is_found_where_it_says_so(library: Library, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    documents.write_every_format(notes)
    report = library.index(notes)
    assert (report.added, report.skipped) == (12, ())
    for word, expected in FOUND.items():
        chunk = library.search(Query(word)).passages[0].chunk
        lines = (chunk.first_line, chunk.last_line)
        assert (chunk.note_path, chunk.place, lines, chunk.headings) == expected
        text = read_note(notes, chunk.note_path)[0].text.split("\n")
        assert chunk.text == "\n".join(text[lines[0] - 1 : lines[1]])


def test_an_extracted_file_that_changes_is_read_again(library: Library, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.pdf").write_bytes(documents.pdf(("The auk.",)))
    library.index(notes)
    (notes / "a.pdf").write_bytes(documents.pdf(("Nothing.", "The auk moved.")))
    chunk = library.search(Query("auk")).passages[0].chunk
    assert (chunk.text, chunk.place) == ("The auk moved.", "page 2")


def test_what_becomes_ignored_leaves_the_index(library: Library, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    documents.write_every_format(notes)
    library.index(notes)
    (notes / ".alcoveignore").write_text("*.pdf\n*.md\n")
    report = library.index(notes)
    assert (report.removed, report.unchanged) == (2, 10)
    assert not library.search(Query("marigold", leg="bm25")).passages
    (notes / ".alcoveignore").unlink()
    assert library.index(notes).added == 2


def test_the_size_limit_is_an_option_and_another_holds_at_the_next_run(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "small.md").write_text("The tern.")
    (notes / "large.md").write_text("The skua. " * 40)
    for limit, expected in ((1000, 2), (300, 1), (1000, 2)):
        with Library(tmp_path / "index", WordEmbedder(), IndexOptions(limit)) as library:
            report = library.index(notes)
            found = {p.chunk.note_path for p in library.search(Query("tern skua")).passages}
            assert len(found) == library.status(notes).notes == expected
            assert library.status(notes).pending == 0
            assert [s.path for s in report.skipped] == ["large.md"][: 2 - expected]


def test_a_file_without_a_reason_to_change_is_not_tried_again(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.pdf").write_bytes(b"%PDF-1.7 broken")
    first = library.index(tmp_path / "notes")
    assert "not a PDF" in first.skipped[0].reason
    import retrieval.extract.pdf

    monkeypatch.setattr(retrieval.extract.pdf, "extract", None)
    again = library.index(tmp_path / "notes")
    assert (again.skipped, again.added) == (first.skipped, 0)


def test_pages_share_no_chunk_and_cells_may() -> None:
    pages = _chunks("a.pdf", documents.pdf(("One.", "Two.", "Three.")))
    assert [(c.text, c.place) for c in pages] == [
        ("One.", "page 1"),
        ("Two.", "page 2"),
        ("Three.", "page 3"),
    ]
    (cells,) = _chunks("a.ipynb", documents.notebook(*[("markdown", f"cell{n}") for n in "abc"]))
    assert (cells.place, cells.text) == ("cells 1–3", "cella\n\ncellb\n\ncellc")


def test_headings_that_end_with_numbers_are_not_counted() -> None:
    (chunk,) = _chunks("a.html", "<h2>Python 2</h2><p>old</p><h2>Python 3</h2><p>new</p>")
    assert chunk.place == "Python 2"


def test_rows_are_whole_and_carry_their_header() -> None:
    text = "id;name\n" + "".join(f'{n};"first\nsecond {n}"\n' for n in range(30))
    chunks = _chunks("a.csv", text)
    assert len(chunks) > 3
    assert {c.headings for c in chunks} == {("id;name",)}
    assert all(c.text.count('"') % 2 == 0 for c in chunks)


def test_csv_with_an_open_quotation_is_cut_at_lines() -> None:
    text = 'a,b\n"open,' + "x" * 200_000 + "\nlast,row\n"
    assert csv_blocks(text)[-1].last == 2


def test_json_is_cut_between_its_values() -> None:
    text = '{\n  "a": {\n    "b": 1\n  },\n\n  "c": [\n    2\n  ]\n}\n'
    assert [(b.first, b.last) for b in json_blocks(text)] == [(0, 3), (5, 8)]
    lines = '{"a": 1}\n{"a": 2}\n'
    assert [(b.first, b.last) for b in json_blocks(lines)] == [(0, 1)]


def test_rst_sections_and_what_hangs_below_a_paragraph() -> None:
    text = (
        "=====\nTitle\n=====\n\nIntro::\n\n    code\n\n    more\n\nText.\n\nPart\n----\n\n"
        ".. note::\n\n   Inside.\n\nDeeper\n~~~~~~\n\nEnd.\n\nLast\n----\n"
    )
    blocks = rst_blocks(text)
    assert [(b.level, b.heading) for b in blocks if b.level] == [
        *((1, "Title"), (2, "Part"), (3, "Deeper"), (2, "Last")),
    ]
    assert [(b.first, b.last) for b in blocks if not b.level] == [
        *((4, 8), (10, 10), (15, 17), (22, 22)),
    ]


def test_rst_tables_and_rules_are_no_titles() -> None:
    text = "===  ===\na    b\n===  ===\n1    2\n===  ===\n\n----\n\nText\n"
    assert not [b for b in rst_blocks(text) if b.level]


def test_org_headings_blocks_and_drawers() -> None:
    text = (
        "* TODO [#A] Call :work:home:\n:PROPERTIES:\n:ID: 1\n\n:END:\n** Sub\n#+BEGIN_SRC sh\n"
        ",* not a heading\n\necho\n#+END_SRC\nafter\n\n#+begin_quote\nnever closed\n"
    )
    blocks = org_blocks(text)
    assert [(b.first, b.level, b.heading) for b in blocks if b.level] == [
        *((0, 1, "Call"), (5, 2, "Sub")),
    ]
    spans = [(b.first, b.last) for b in blocks if not b.level]
    assert spans == [(1, 4), (6, 10), (11, 11), (13, 14)]


CODE = {
    "a.py": (
        "import os\n\n# about f\n@deco\ndef f():\n    pass\n\n\nclass A(B):\n    x = 1\n\n"
        "    async def g(self):\n        pass\n\n\nprint()\n",
        [(0, 0, 1, ""), (2, 5, 1, "def f"), (8, 9, 1, "class A"), (11, 12, 2, "async def g"),
         (15, 15, 1, "")],
    ),
    "a.ts": (
        "/** doc */\nexport class A<T> {\n  // m\n  m(): void {\n  }\n}\n\n"
        "const f = () => {\n};\n",
        [(0, 1, 1, "class A"), (2, 5, 2, "m"), (7, 8, 1, "const f")],
    ),
    "a.rs": (
        "/// doc\n#[derive(Debug)]\nstruct P;\n\nimpl T for P {\n    pub fn n() {}\n\n"
        "    fn m() {}\n}\n",
        [(0, 2, 1, "struct P"), (4, 4, 1, "impl T for P"), (5, 5, 2, "pub fn n"),
         (7, 8, 2, "fn m")],
    ),
    "a.go": (
        "package a\n\n// S is.\ntype S struct {\n}\n\nfunc (s *S) M() {\n}\n",
        [(0, 0, 1, ""), (2, 4, 1, "type S"), (6, 7, 1, "func (s *S) M")],
    ),
    "a.h": (
        "#ifndef A\n#define A\nnamespace n {\ntemplate <class T>\nclass C {\n public:\n"
        "  int f() {\n  }\n};\n}\n#endif\n",
        [(0, 1, 1, ""), (2, 2, 1, "namespace n"), (3, 5, 2, "class C"), (6, 10, 3, "int f")],
    ),
    "a.java": (
        "/** d */\npublic class A {\n  @Override\n  public int f() {\n  }\n}\n",
        [(0, 1, 1, "class A"), (2, 5, 2, "int f")],
    ),
    "a.sh": ("set -e\n# f\nf() {\n  ls\n}\n", [(0, 0, 1, ""), (1, 4, 1, "f")]),
    "a.rb": (
        "module A\n  def f\n  end\nend\n",
        [(0, 0, 1, "module A"), (1, 3, 2, "def f")],
    ),
    "a.c": ("static int *f(int a)\n{\n}\n", [(0, 2, 1, "static int *f")]),
    "a.cs": (
        "namespace N\n{\n  class A\n  {\n    void F()\n    {\n    }\n  }\n}\n",
        [(0, 1, 1, "namespace N"), (2, 3, 2, "class A"), (4, 8, 3, "void F")],
    ),
    "a.php": ("<?php\nfunction f() {\n}\n", [(0, 0, 1, ""), (1, 2, 1, "function f")]),
    "a.js": ("export default function f() {\n}\n", [(0, 1, 1, "function f")]),
    "a.tsx": ("export function F() {\n  return <b/>;\n}\n", [(0, 2, 1, "function F")]),
    "a.cpp": ("int A::f() {\n}\n", [(0, 1, 1, "int A::f")]),
    "a.lua": ("function f()\nend\n\nprint()\n", [(0, 1, 0, ""), (3, 3, 0, "")]),
}  # fmt: skip


@pytest.mark.parametrize("path", sorted(CODE))
def test_code_is_cut_at_definitions(path: str) -> None:
    text, expected = CODE[path]
    assert format_of(path) == "code"
    found = [(b.first, b.last, b.level, b.heading) for b in code_blocks(path, text)]
    assert found == expected


@pytest.mark.parametrize("path", ["a.py", "a.cpp", "a.rs", "a.ts", "a.rb", "a.php", "a.java"])
def test_broken_code_loses_no_line_and_doubles_none(path: str) -> None:
    text = CODE["a.py"][0] + "}}} class ( {\n def def\n" + CODE["a.ts"][0] + "'" * 3 + '"\n\x0c\n'
    blocks = code_blocks(path, text)
    taken = [n for b in blocks for n in range(b.first, b.last + 1)]
    assert len(taken) == len(set(taken))
    lines = text.split("\n")
    assert {n for n, line in enumerate(lines) if line.strip()} <= set(taken)


def test_code_without_its_grammar_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tree_sitter", None)
    text = "def only_here():\n    pass\n\n\nlast = 1\n"
    assert [(b.first, b.last) for b in code_blocks("a.py", text)] == [(0, 1), (4, 4)]


def test_a_definition_is_one_chunk_under_its_name_where_it_fits() -> None:
    body = "".join(f"        total += item_{n} * {n}\n" for n in range(9))
    text = "class Till:\n    '''Counts.'''\n\n" + "".join(
        f"    # About {name}.\n    def {name}(self):\n{body}\n" for name in ("one", "two", "three")
    )
    chunks = _chunks("till.py", text, limit=250)
    assert _names(chunks) == ["class Till", "class Till > def two", "class Till > def three"]
    assert chunks[1].text.startswith("    # About two.")
    assert chunks[1].text.endswith("item_8 * 8")


def test_a_long_definition_is_cut_under_its_name() -> None:
    text = "def long():\n" + "".join(f"    step_{n}(a, b)\n" for n in range(60)) + "\n\nafter = 1\n"
    chunks = _chunks("a.py", text)
    assert len(chunks) > 5
    assert set(_names(chunks[:-1])) == {"def long"}


def _names(chunks: Sequence[Chunk]) -> list[str]:
    return [" > ".join(c.headings) for c in chunks]
