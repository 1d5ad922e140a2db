"""What ``alcove search`` shows of a passage."""

from app.cli.notes import SNIPPET_LINES, snippet


def test_the_lines_that_say_most_of_the_query_are_shown() -> None:
    lines = [f"row {number}" for number in range(20)]
    lines[11], lines[13], lines[17] = "a walrus", "naps on ice", "the walrus again"
    assert snippet(lines, "walrus ice") == slice(10, 10 + SNIPPET_LINES)
    assert snippet(lines, "nothing of it") == slice(0, SNIPPET_LINES)
    assert snippet([], "walrus") == slice(0, SNIPPET_LINES)
    assert snippet(lines[16:], "walrus") == slice(0, SNIPPET_LINES)
