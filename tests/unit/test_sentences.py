import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sentences import BLOCK_LINES, sentences, split
from app.text import find_lines


def texts(text: str) -> list[str]:
    return [sentence.text for sentence in sentences(text)]


@pytest.mark.parametrize(
    ("paragraph", "parts"),
    [
        ("One. Two.", ["One.", "Two."]),
        ("See e.g. Figure 3. Then go.", ["See e.g. Figure 3.", "Then go."]),
        ("Use fig. 3 or J. Doe. End.", ["Use fig. 3 or J. Doe.", "End."]),
        ("Node.js 1.5 runs. `x. Y` too.", ["Node.js 1.5 runs.", "`x. Y` too."]),
        ("Lists, etc. Next one.", ["Lists, etc.", "Next one."]),
        ("He said “go.” She went!", ["He said “go.”", "She went!"]),
        ("all lower. git works.", ["all lower.", "git works."]),
        ("First. [1] Second. [2, 3] Third [4].", ["First. [1]", "Second. [2, 3]", "Third [4]."]),
        ("First. [1] says otherwise.", ["First. [1] says otherwise."]),
        ("一です。二です。", ["一です。", "二です。"]),
        ("no stop", ["no stop"]),
    ],
)
def test_paragraphs_are_split_where_sentences_end(paragraph: str, parts: list[str]) -> None:
    assert [paragraph[start:end] for start, end in split(paragraph)] == parts


def test_sentences_over_wrapped_lines_keep_their_lines() -> None:
    found = sentences("# T\n\nOne goes\non here. Two\nends.\n")
    assert [(s.text, s.first, s.last) for s in found[1:]] == [
        ("One goes on here.", 2, 3),
        ("Two ends.", 3, 4),
    ]


def test_code_belongs_to_the_sentence_before_it() -> None:
    (sentence,) = sentences("Run\n\n```sh\nls\n```")
    assert (sentence.text, sentence.block) == ("Run", "```sh\nls\n```")
    assert (sentence.first, sentence.last) == (0, 4)


def test_code_right_after_a_heading_belongs_to_it() -> None:
    (sentence,) = sentences("# List files\n\n```\nls\n```")
    assert (sentence.kind, sentence.text) == ("heading", "List files")
    assert sentence.block == "```\nls\n```"


def test_a_second_code_block_stands_alone() -> None:
    found = sentences("Run:\n```\na\n```\n```\nb\n```")
    assert [s.block for s in found] == ["```\na\n```", "```\nb\n```"]
    assert found[1].text == ""


def test_long_code_is_not_quoted_along() -> None:
    (sentence,) = sentences("Run:\n```\n" + "x\n" * BLOCK_LINES + "```")
    assert sentence.block == ""
    assert sentence.last == 0


def test_a_list_or_quotation_belongs_to_the_colon_before_it() -> None:
    found = sentences("Two ways:\n\n- one\n- two\n\nDocs say:\n\n> So.\n")
    assert found[0].block == "- one\n- two"
    assert (found[0].first, found[0].last) == (0, 3)
    assert next(s for s in found if s.text == "Docs say:").block == "> So."


def test_pictures_and_tags_are_no_sentences() -> None:
    assert texts("![screen](a.png)\n\n<br>\n\nWords.") == ["Words."]


def test_a_long_run_of_lines_without_full_stops_gives_lines() -> None:
    lines = [f"entry number {i} of a log without any end" for i in range(20)]
    assert texts("\n".join(lines)) == lines


@given(st.text(alphabet="aB .!?`*[1]\n-#>|:", max_size=120))
def test_each_sentence_stands_in_its_lines(text: str) -> None:
    lines = text.split("\n")
    for sentence in sentences(text):
        assert 0 <= sentence.first <= sentence.last < len(lines)
        if sentence.text:
            own = " ".join("\n".join(lines[sentence.first : sentence.last + 1]).split())
            found = find_lines(sentence.text, lines[sentence.first : sentence.last + 1])
            assert found is not None or sentence.text in own or ">" in own
