from hypothesis import given
from hypothesis import strategies as st

from app.markdown import blocks, fenced, outside_code


def kinds(text: str) -> list[tuple[str, int, int]]:
    return [(block.kind, block.first, block.last) for block in blocks(text)]


def test_every_kind_of_block_keeps_its_lines() -> None:
    text = (
        "# Title\n\nOne line\nand another.\n\n- item\n  goes on\n- item\n\n"
        "```sh\n# no heading\n```\n| a | b |\n|---|---|\n| 1 | 2 |\n\nSetext\n======"
    )
    assert kinds(text) == [
        ("heading", 0, 0),
        ("paragraph", 2, 3),
        ("item", 5, 6),
        ("item", 7, 7),
        ("code", 9, 11),
        ("table", 12, 14),
        ("heading", 16, 16),
    ]


def test_front_matter_rules_and_definitions_are_left_out() -> None:
    text = "---\ntitle: T\n---\nText.\n\n***\n[a]: https://example.org\n"
    assert kinds(text) == [("paragraph", 3, 3)]


def test_a_fence_ends_only_with_its_own_mark() -> None:
    assert kinds("````\n```\n~~~\n````\nText.") == [("code", 0, 3), ("paragraph", 4, 4)]


def test_a_chunk_that_begins_inside_code_is_code_up_to_the_fence() -> None:
    text = "  x = 1\n  y = 2\n```\n\nThen run it.\n\n```python\nx\n```"
    found = blocks(text, partial=True)
    assert [(b.kind, b.first, b.last) for b in found] == [
        ("code", 0, 2),
        ("paragraph", 4, 4),
        ("code", 6, 8),
    ]
    assert fenced(found[0]) == "```\n  x = 1\n  y = 2\n```"


def test_code_that_ends_with_the_chunk_is_closed_when_quoted() -> None:
    assert fenced(blocks("Run:\n\n```sh\nls")[1]) == "```sh\nls\n```"


def test_indented_code_is_fenced_and_indented_text_of_a_list_is_text() -> None:
    found = blocks("Text.\n\n    code\n\n- item\n\n    more of the item\n")
    assert [block.kind for block in found] == ["paragraph", "code", "item", "paragraph"]
    assert fenced(found[1]) == "```\ncode\n```"


def test_quoted_text_loses_its_marks() -> None:
    assert blocks("> said\n> so")[0].lines == ("said", "so")
    assert blocks("> ```\n> code\n> ```\nText.")[0].lines == ("```", "code", "```")


@given(st.lists(st.text(alphabet="ab #-|`>~=1.\t\x0c\u2028", max_size=12), max_size=20))
def test_blocks_are_in_order_and_within_the_text(lines: list[str]) -> None:
    at = 0
    for block in blocks("\n".join(lines)):
        assert at <= block.first <= block.last < len(lines)
        at = block.last + 1


def test_only_what_is_outside_code_is_changed() -> None:
    text = "a `a` a\n\n```\na\n```\na ``a ` a`` a"
    assert outside_code(text, str.upper) == "A `a` A\n\n```\na\n```\nA ``a ` a`` A"
