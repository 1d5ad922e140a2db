"""What pages, documents, books and notebooks say."""

import json

from retrieval.extract import extract
from retrieval.extract.pdf import clean_page
from tests.fixtures import documents


def test_html_is_what_a_reader_sees() -> None:
    html = """<!doctype html><html><head><title>My &amp; page</title>
    <meta name="keywords" content="One, two"><style>p { color: red }</style></head><body>
    <nav>menu</nav><h1>Top <em>one</em></h1><p>Hello <b>world</b>, <code>a_b</code>.<br>Next</p>
    <script>alert(1)</script><ul><li>one<li>two<ul><li>deep</ul></ul><ol><li><p>a</ol>
    <table><tr><th>k<th>v</tr><tr><td>1|2</td><td>zwei</td></tr></table>
    <h2>Part</h2><pre>def f():
    pass</pre><blockquote>said</blockquote><p># no heading</p><a href="sub/x.html#y">x</a>
    <p hidden>unseen</p><svg><text>unseen</text></svg></body></html>"""
    found = extract("d/page.html", html.encode())
    assert found.text == (
        "# Top one\n\nHello world, `a_b`.\nNext\n\n- one\n- two\n  - deep\n\n1. a\n\n"
        "| k | v |\n| --- | --- |\n| 1\\|2 | zwei |\n\n## Part\n\n"
        "```\ndef f():\n    pass\n```\n\n> said\n\n\\# no heading\n\nx"
    )
    assert (found.title, found.tags) == ("My & page", ("one", "two"))
    assert found.links == ("d/sub/x.html",)
    assert [(p.first_line, p.label) for p in found.places] == [(1, "Top one"), (16, "Part")]


def test_a_page_whose_lines_are_not_its_own_has_places_all_the_same() -> None:
    def places(html: bytes) -> list[tuple[int, str]]:
        return [(p.first_line, p.label) for p in extract("a.html", html).places]

    assert places(b"<p>one<p>two") == [(1, "text")]
    assert places(b"<p>one<h2>Python 2</h2><h2>Python 3</h2>") == [
        (1, "beginning"),
        (3, "Python 2"),
        (5, "Python 3"),
    ]


def test_html_is_read_in_the_encoding_that_it_names() -> None:
    html = '<meta charset="windows-1251"><p>Заметка'.encode("cp1251")
    assert extract("a.html", html).text == "Заметка"


def test_tables_that_lay_out_a_page_are_no_tables() -> None:
    html = b"<table><tr><td><h1>Head</h1><p>text</p></td></tr></table>"
    assert extract("a.html", html).text == "# Head\n\ntext"


def test_a_word_document_has_headings_lists_and_tables() -> None:
    found = extract("a.docx", documents.docx())
    assert found.text == (
        "# Report\n\n# Sightings\n\nThe walrus naps on ice.\n\n- first item\n\n"
        "| a | b |\n| --- | --- |\n| c | d |"
    )
    assert (found.title, found.tags) == ("Field report", ("arctic", "mammals"))


def test_a_pdf_has_pages() -> None:
    found = extract("a.pdf", documents.pdf(("One.\n\nStill one.", "", "Three is lo-\nger.")))
    assert found.text == "One.\n\nStill one.\n\nThree is loger."
    assert [(p.first_line, p.label) for p in found.places] == [(1, "page 1"), (5, "page 3")]
    assert found.title == "Island survey"


def test_words_are_joined_over_line_ends() -> None:
    assert clean_page("an exam-\r\nple of\r\nit") == "an example\nof\nit"
    assert clean_page("soft\ufffe\r\nware") == "software\n"
    assert clean_page("UTF-\r\n8 and Anglo-\r\nSaxon") == "UTF-\n8 and Anglo-\nSaxon"


def test_a_book_has_chapters() -> None:
    found = extract("a.epub", documents.epub())
    assert found.text == "# Ebb\n\nBarnacles at ebb.\n\n# Flood\n\nHerring at flood."
    assert [(p.first_line, p.label) for p in found.places] == [(1, "The ebb"), (5, "The flood")]
    assert (found.title, found.tags) == ("Book of tides", ("sea",))


def test_a_notebook_has_cells() -> None:
    data = json.loads(
        documents.notebook(
            ("markdown", "# Lab #no\n\n#tagged"), ("code", "x = 1\nprint(x)"), ("code", "")
        )
    )
    data["cells"][1]["outputs"] = [
        {"output_type": "stream", "text": ["1\n"] * 30},
        {"output_type": "display_data", "data": {"image/png": "AAAA", "text/plain": "<Figure>"}},
        {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []},
    ]
    found = extract("lab.ipynb", json.dumps(data).encode())
    shown = "1\n" * 20 + "…"
    assert found.text == (
        "# Lab #no\n\n#tagged\n\n```python\nx = 1\nprint(x)\n```\n\n"
        f"```text\n{shown}\n```\n\n```text\n<Figure>\n```\n\n```text\nValueError: no\n```"
    )
    assert [(p.first_line, p.label) for p in found.places] == [(1, "cell 1"), (5, "cell 2")]
    assert (found.title, found.tags) == ("Lab #no", ("tagged",))


def test_json_on_one_line_is_set_out() -> None:
    value = {"alpha": list(range(900)), "beta": {"c": "d"}}
    found = extract("a.json", json.dumps(value).encode())
    assert found.text.endswith('{\n "beta": {\n  "c": "d"\n }\n}')
    assert [p.label for p in found.places] == ["key alpha", "key beta"]
    kept = '{"a": 1,\n "b": 2}\n'
    assert extract("b.json", kept.encode()).text == kept
