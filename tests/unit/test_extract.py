"""What files of each format say, and the reasons of those that cannot be read."""

import io
import json
import random
import struct
import sys
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.extract import UnusableNoteError, decode, extract
from tests.fixtures import documents


def _reason(path: str, data: bytes) -> str:
    with pytest.raises(UnusableNoteError) as caught:
        extract(path, data)
    return str(caught.value)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Die Straße nach Köln ist gesperrt, “leider”."),
        ("cp1252", "café"),
        ("cp1252", "El niño comió piñas mañana por la mañana en la montaña."),
        ("shift_jis", "日本語のテキストです。これは検索のためのメモです。"),
        ("gb18030", "这是一个关于搜索的笔记。我们需要检测编码。"),
        ("koi8-r", "Это заметка о поиске. Кодировка определена."),
        ("cp1251", "Это заметка о поиске. Кодировка определена."),
        ("euc_kr", "이것은 검색에 관한 메모입니다."),
        ("utf-16", "with a mark"),
        ("utf-32", "with a mark"),
        ("utf-8-sig", "with a mark: ü"),
    ],
)
def test_encodings_are_told(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_long_legacy_text_is_decoded_whole() -> None:
    text = "plain line\n" * 40_000 + "Überraschung für Jürgen, größer als gewöhnlich.\n" * 10
    assert decode(text.encode("cp1252")) == text


def test_a_few_broken_bytes_do_not_make_utf8_another_encoding() -> None:
    text = "größer für Jürgen, " * 20
    assert decode(text.encode() + b"\xff end") == f"{text}\ufffd end"


def test_a_word_in_latin_1_is_no_broken_utf8() -> None:
    assert decode("Grüße".encode("latin-1")) == "Grüße"


def test_markdown_states_tags_and_links() -> None:
    text = """---
title: "The: title"
tags: [Project/Alcove, two]
keywords: three, four five
aliases: [other]
---
# Heading with #no-tag

Text with #Five, #six/seven. Not a#tag, not #12, not `#code`, see http://x/#frag.
[[Other note|shown]] and [[Third#Part]], ![[picture.png]], [doc](../up/doc%201.md#a "t"),
[web](https://example.org/a.md), [mail](mailto:a@b), [out](../../../etc/passwd), [here](#x).

```sh
#not-a-tag [[Not a link]]
```

paragraph

    #indented code

- item #eight
  ```
  #not-this
  ```

[ref]: <notes/ref.md>
"""
    found = extract("sub/note.md", text.encode())
    assert found.title == "The: title"
    assert found.tags == (
        *("project/alcove", "two", "three", "four five", "five", "six/seven", "eight"),
    )
    assert found.links == (
        *("Other note", "Third", "picture.png", "up/doc 1.md", "sub/notes/ref.md"),
    )
    assert found.text == text


@pytest.mark.parametrize(
    "front",
    [
        "---\ntags: !!python/object/apply:os.system [x]\n---\n",
        "---\ntags: [unclosed\n---\n",
        "---\na: &a [x]\ntags: *b\n---\n",
        "+++\ntags = [\n+++\n",
    ],
)
def test_front_matter_that_is_not_valid_is_text(front: str) -> None:
    found = extract("a.md", f"{front}# Title\n\n#tag\n".encode())
    assert (found.title, found.tags) == ("Title", ("tag",))


def test_toml_front_matter() -> None:
    found = extract("a.md", b'+++\ntitle = "T"\ntags = ["A"]\n+++\ntext\n')
    assert (found.title, found.tags) == ("T", ("a",))


def test_rst_and_org_keep_their_lines() -> None:
    rst = "Manual\n======\n\n:tags: One, two\n\nSee :doc:`other` and `that <x/y.rst>`_.\n"
    found = extract("d/m.rst", rst.encode())
    assert (found.text, found.title) == (rst, "Manual")
    assert (found.tags, found.links) == (("one", "two"), ("d/x/y.rst", "d/other.rst"))
    org = "#+TITLE: Agenda\n#+FILETAGS: :Home:\n* TODO Call :work:urgent:\n[[file:b.org][b]]\n"
    found = extract("a.org", org.encode())
    assert (found.text, found.title) == (org, "Agenda")
    assert (found.tags, found.links) == (("home", "work", "urgent"), ("b.org",))


def test_titles_are_headings_or_names() -> None:
    assert extract("a/b.py", b"x = 1").title == "b.py"
    assert extract("a/b.txt", b"x").title == "b"
    assert extract("a/Makefile", b"all:").title == "Makefile"


def _bomb(name: str) -> bytes:
    return documents.archive(
        {
            "META-INF/container.xml": documents.CONTAINER,
            "[Content_Types].xml": "<Types/>",
            "OEBPS/book.opf": documents.PACKAGE,
            name: b"<p>" + b"a" * 60_000_000,
        }
    )


def _laughs() -> str:
    entities = "".join(
        f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' if n else '<!ENTITY l0 "lol">' for n in range(10)
    )
    return f'<?xml version="1.0"?><!DOCTYPE x [{entities}]>'


def test_bombs_are_not_unpacked() -> None:
    assert "unpacks to 60 MB" in _reason("a.epub", _bomb("OEBPS/text/one.xhtml"))
    assert "unpacks to 60 MB" in _reason("a.docx", _bomb("word/document.xml"))


def test_entities_are_not_expanded() -> None:
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = f'<w:document xmlns:w="{word}"><w:body><w:p><w:r><w:t>&l9;</w:t></w:r></w:p></w:body>'
    document = _laughs() + body + "</w:document>"
    assert "not a Word file" in _reason(
        "a.docx", documents.archive({"word/document.xml": document})
    )
    package = _laughs() + documents.PACKAGE.partition("?>")[2].replace("Book of tides", "&l9;")
    book = {
        "META-INF/container.xml": documents.CONTAINER,
        "OEBPS/book.opf": package,
        "OEBPS/text/one.xhtml": documents.page("Ebb", "Low."),
    }
    assert "more memory" in _reason("a.epub", documents.archive(book))
    book["OEBPS/book.opf"] = documents.PACKAGE.replace(
        "<package", '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><package'
    ).replace("Book of tides", "Book &f;")
    assert extract("a.epub", documents.archive(book)).title == "Book &f;"


def test_what_is_protected_says_so() -> None:
    assert "password" in _reason("a.pdf", documents.pdf(password="x"))
    assert "password" in _reason("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600)
    protected = zipfile.ZipFile(io.BytesIO(documents.epub()))
    entries: dict[str, str | bytes] = {n: protected.read(n) for n in protected.namelist()}
    entries["META-INF/encryption.xml"] = (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><EncryptedData>'
        '<CipherData><CipherReference URI="OEBPS/text/one.xhtml"/></CipherData></EncryptedData>'
        "</encryption>"
    )
    assert "protected" in _reason("a.epub", documents.archive(entries))


def test_a_scanned_pdf_says_that_it_holds_no_text() -> None:
    assert "pictures" in _reason("a.pdf", documents.pdf(("", "")))


@pytest.mark.parametrize(
    ("path", "data", "words"),
    [
        ("a.pdf", b"%PDF-1.7 nothing", "not a PDF"),
        ("a.docx", b"PK nothing", "Word document"),
        ("a.docx", documents.archive({"x": "y"}), "not a Word file"),
        ("a.epub", documents.archive({"x": "y"}), "container.xml is missing"),
        ("a.ipynb", b"{", "not a Jupyter notebook"),
        ("a.ipynb", b'{"cells": 3}', "not a Jupyter notebook"),
        ("a.ipynb", b'{"nbformat": 4}', "not a Jupyter notebook"),
        ("a.ipynb", b"[]", "not a Jupyter notebook"),
        ("a.html", b"  ", "no text"),
        ("a.html", b"<script>only</script>", "no text"),
        ("a.md", b"a\0b", "binary"),
        ("a.py", b"x" * 30_000, "minified"),
        ("a.json", b'{"a":"\0"}', "binary"),
    ],
)
def test_what_cannot_be_read_says_why(path: str, data: bytes, words: str) -> None:
    assert words in _reason(path, data)


def test_nesting_has_an_end() -> None:
    assert extract("a.html", b"<div>" * 200 + b"deep").text == "deep"
    assert _reason("a.html", b"<div>" * 50_000 + b"deep")
    assert "nested too deeply" in _reason("a.json", b"[" * 100_000 + b"]" * 100_000)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("a.md", b"[[" + b"a" * 300_000),
        ("a.md", b"---\na: " + b"[" * 90_000 + b"\n---\n"),
        ("a.md", b"](a" * 100_000),
        ("a.org", b"#+begin_src\n" * 20_000),
        ("a.org", b"* " + b" " * 300_000 + b"x"),
        ("a.rst", b".. _x" * 100_000),
    ],
)
def test_texts_made_to_take_long_do_not(path: str, data: bytes) -> None:
    assert len(extract(path, data).text) == len(data)  # The test's time limit would tell.


def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    assert "cannot be loaded (import of pypdfium2" in _reason("a.pdf", b"%PDF-1.7")


def test_halves_of_surrogate_pairs_do_not_get_through() -> None:
    found = extract("a.ipynb", b'{"cells": [{"cell_type": "raw", "source": "a\\ud800b"}]}')
    found.text.encode()


SEEDS: dict[str, Callable[[], bytes]] = {
    "a.pdf": documents.pdf,
    "a.docx": documents.docx,
    "a.epub": documents.epub,
    "a.ipynb": lambda: documents.notebook(("markdown", "# A"), ("code", "b")),
    "a.html": lambda: documents.page("A", "<table><tr><td>b</table>").encode(),
    "a.md": lambda: b"---\ntags: [a]\n---\n# A\n\n[[b]] #c `d`\n",
    "a.rst": lambda: b"A\n=\n\n.. b::\n\n   c\n",
    "a.org": lambda: b"* A :b:\n#+begin_src c\nd\n#+end_src\n",
    "a.json": lambda: json.dumps({"a": list(range(900))}).encode(),
    "a.csv": lambda: b'a,b\n"c\nd",e\n',
    "a.py": lambda: b"class A:\n    def b(self): pass\n",
}
_MADE: dict[str, bytes] = {}


def _mutated(path: str, seed: int) -> bytes:
    """Change, cut, repeat or rewrite parts of a real file."""
    if path not in _MADE:
        _MADE[path] = SEEDS[path]()
    data = bytearray(_MADE[path])
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.randint(0, 40))
        data[at:end] = chance.choice(
            [
                b"",
                bytes(data[at:end]) * 3,
                chance.randbytes(end - at),
                struct.pack("<I", at),
                b"<&[",
            ]
        )
    return bytes(data)


@pytest.mark.parametrize("path", sorted(SEEDS))
@settings(max_examples=25, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whatever_the_bytes_there_is_a_text_or_a_reason(path: str, seed: int) -> None:
    try:
        found = extract(path, _mutated(path, seed))
    except UnusableNoteError as error:
        assert str(error)
    else:
        found.text.encode()
        lines = found.text.count("\n") + 1
        firsts = [place.first_line for place in found.places]
        assert firsts == sorted(set(firsts))
        assert all(1 <= first <= lines for first in firsts)
