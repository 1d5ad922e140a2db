from app.extractive import NO_MATCH, quoted_answer
from app.types import Citation
from tests.unit.passages import passage

RESET = """# Undo a commit

Sometimes a commit comes too early.

To undo the last commit but keep the
changes, reset softly:

```bash
$ git reset --soft HEAD~1
```

The weather was fine that day."""

STASH = """# Stash

A stash keeps changes for later. To see it, run `git stash list`."""


def test_the_best_sentence_comes_with_its_code_and_its_lines() -> None:
    answer, citations = quoted_answer(
        "undo the last commit, keep changes", [passage(RESET, path="undo.md", first_line=11)]
    )
    assert (
        "To undo the last commit but keep the changes, reset softly: [1]\n\n"
        "```bash\n$ git reset --soft HEAD~1\n```"
    ) in answer
    assert Citation(1, "undo.md", 15, 20, "quote") in citations
    assert "weather" not in answer


def test_the_best_note_comes_first_and_its_sentences_in_reading_order() -> None:
    text = "Alpha is a letter. It is greek. Filler about nothing. Beta follows the letter alpha."
    answer, citations = quoted_answer(
        "which letter follows alpha",
        [passage(STASH, path="a.md"), passage(text, rank=2, path="b.md", title="Letters")],
    )
    assert answer.startswith("**Letters**")
    assert answer.index("Alpha is a letter. [2]") < answer.index("Beta follows")
    assert [c.n for c in citations] == sorted(c.n for c in citations)


def test_what_two_notes_say_alike_is_said_once() -> None:
    same = "The kettle boils water in two minutes flat."
    answer, citations = quoted_answer(
        "how fast does the kettle boil",
        [passage(same, path="a.md"), passage(f"{same}\n", rank=2, path="b.md")],
    )
    assert answer.count("kettle boils") == 1
    assert [c.path for c in citations] == ["a.md"]


def test_overlapping_chunks_of_a_note_are_quoted_once() -> None:
    lines = RESET.split("\n")
    whole = passage(RESET)
    tail = passage("\n".join(lines[4:]), rank=2, first_line=5)
    answer, _ = quoted_answer("undo the last commit", [whole, tail])
    assert answer.count("git reset --soft") == 1


def test_a_sentence_that_refers_back_brings_what_it_refers_to() -> None:
    text = "The daemon listens on a socket. This makes restarts of the server quick. Cats sleep."
    answer, _ = quoted_answer("what makes server restarts quick", [passage(text)])
    assert "The daemon listens on a socket. [1] This makes restarts" in answer
    assert "Cats" not in answer


def test_no_more_sentences_than_asked_for() -> None:
    text = " ".join(f"Topic number {i} is about {word} trees." for i, word in enumerate("abcdefgh"))
    _, citations = quoted_answer("trees topic", [passage(text)], limit=1)
    assert len(citations) == 1


def test_a_question_without_a_match_says_so_and_shows_the_nearest() -> None:
    answer, citations = quoted_answer(
        "zebra xylophone", [passage(RESET, path="a.md"), passage(STASH, rank=2, path="b.md")]
    )
    assert answer.startswith(NO_MATCH + "\n\n")
    assert "Sometimes a commit comes too early. [1]" in answer
    assert [(c.n, c.first_line) for c in citations] == [(1, 3), (2, 3)]


def test_a_question_of_stop_words_only_is_answered_like_one_without_a_match() -> None:
    answer, _ = quoted_answer("what is it?", [passage(STASH)])
    assert answer.startswith(NO_MATCH)


def test_nothing_comes_from_nothing() -> None:
    assert quoted_answer("anything", []) == ("", ())
    assert quoted_answer("anything", [passage("")]) == ("", ())
    assert quoted_answer("stash", [passage(STASH)], limit=0) == ("", ())


def test_bracketed_numbers_of_the_note_do_not_read_as_citations() -> None:
    text = "The heap grows as shown in [2] and [the docs][3], see `a[1]` and [4](x.md) too."
    answer, citations = quoted_answer("how does the heap grow", [passage(text, title="H [1] *x*")])
    assert r"shown in \[2\] and the docs, see `a[1]` and [4](x.md) too. [1]" in answer
    assert answer.startswith(r"**H \[1\] \*x\***")
    assert [c.n for c in citations] == [1]


def test_code_alone_is_quoted_with_the_heading_above_it() -> None:
    answer, citations = quoted_answer(
        "count lines of a file", [passage("# Count lines of a file\n\n```\nwc -l FILE\n```")]
    )
    assert "```\nwc -l FILE\n```" in answer
    assert citations == (Citation(1, "note.md", 1, 5, "quote"),)


def test_code_under_bare_words_of_the_best_passage_is_quoted() -> None:
    text = "# Enable the journal\n\nHere's the incantation:\n\n    db --journal on\n"
    answer, _ = quoted_answer("how to enable the journal", [passage(text)])
    assert "Here's the incantation: [1]\n\n```\ndb --journal on\n```" in answer


def test_a_table_without_words_around_it_does_not_outrank_a_sentence() -> None:
    table = "| file | large |\n|---|---|\n| find | files with size |"
    text = "The du command shows the size of large files."
    answer, _ = quoted_answer("find large files", [passage(text), passage(table, rank=2, path="t")])
    assert answer.startswith("**A note**\n\nThe du command")
