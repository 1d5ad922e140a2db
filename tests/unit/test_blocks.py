"""Markdown and text as blocks of lines."""

from textwrap import dedent

import pytest

from retrieval.blocks.text import front_matter_end, markdown_blocks, markdown_title, text_blocks


def _shape(text: str) -> list[tuple[int, int, int]]:
    return [(b.first, b.last, b.level) for b in markdown_blocks(dedent(text))]


def test_headings_of_both_kinds_and_none_inside_code() -> None:
    text = "# One *x*\n\nTwo\n===\n\nThree\n---\n\n```\n# no\n```\n\n    # nor this\n"
    headings = [(b.level, b.heading) for b in markdown_blocks(text) if b.level]
    assert headings == [(1, "One *x*"), (1, "Two"), (2, "Three")]


def test_code_tables_and_loose_lists_are_one_block_each() -> None:
    text = """\
        ```sh
        a

        b
        ```

        - one

        - two

          more

        | a | b |
        |---|---|
        | 1 | 2 |
        """
    assert _shape(text) == [(0, 4, 0), (6, 10, 0), (12, 14, 0)]


def test_lines_the_parser_swallows_are_blocks_too() -> None:
    assert _shape("text\n\n[ref]: http://x\n\nmore\n") == [(0, 0, 0), (2, 2, 0), (4, 4, 0)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("---\ntitle: x\n---\nbody", 3),
        ("+++\ntitle = 'x'\n+++\nbody", 3),
        ("---\na: 1\nb:\n  - c\n...\n", 5),
        ("---\ntags:\n- a\n- b\n# why\n\nlong: >\n  a b\n---\n", 9),
        ("+++\n# c\n[params]\nlist = [\n  1,\n]\n+++\n", 7),
        ("---\n\nA rule above.\n\nNo end", 0),
        ("---\n\nA rule above.\n\n---\nB", 0),
        ("---\n# Section\n\nA rule above: and below.\nMore.\n\n---\nB", 0),
        ("---\n# Section\n\n- item\n\n---\nB", 0),
        ("---\n---\n", 0),
        ("text\n---\n", 0),
        ("", 0),
    ],
)
def test_front_matter(text: str, lines: int) -> None:
    assert front_matter_end(text.split("\n")) == lines


def test_front_matter_is_a_block() -> None:
    text = "---\ntitle: x\n---\n# H\ntext\n"
    assert _shape(text) == [(0, 2, 0), (3, 3, 1), (4, 4, 0)]
    assert [b.front_matter for b in markdown_blocks(text)] == [True, False, False]


def test_a_rule_at_the_top_hides_nothing() -> None:
    text = "---\n\nFirst section.\n\n---\n\nSecond.\n"
    assert {line for b in markdown_blocks(text) for line in range(b.first, b.last + 1)} >= {2, 6}


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ('---\ntitle: "Front"\n---\n# Head\n', "Front"),
        ("---\ndate: 1\n---\n# Head\n", "Head"),
        ("## Second\n\n# First\n", "First"),
        ("First\n=====\n", "First"),
        ("```\n# code\n```\n", None),
        ("text only", None),
    ],
)
def test_title(text: str, title: str | None) -> None:
    assert markdown_title(text) == title


def test_text_has_paragraphs_only() -> None:
    blocks = text_blocks("# not a heading\nline\n\n\nnext\n")
    assert [(b.first, b.last, b.level) for b in blocks] == [(0, 1, 0), (4, 4, 0)]
