import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.grounding import abstained, check, cited_numbers, normalise_citations, uncited
from app.types import Citation
from tests.unit.passages import passage

KETTLE = passage(
    """# Kettle

The **red** kettle boils one litre
of water in 4 minutes.

It was bought in 2019, with a lid of
glass and a handle of oak.

```bash
$ kettle --boil now
```""",
    path="kettle.md",
    first_line=11,
)
PUMP = passage(
    "The pump lifts water from the well.\nIts motor is a model `PX_200`.", rank=2, path="pump.md"
)
BOTH = (KETTLE, PUMP)


def only(answer: str) -> Citation:
    (citation,) = check(answer, BOTH)
    return citation


def test_words_that_stand_in_the_passage_are_a_quote_with_its_lines() -> None:
    assert only("The red kettle boils one litre of water in 4 minutes [1].") == Citation(
        1, "kettle.md", 13, 14, "quote"
    )
    assert only("My notes call it “a handle of OAK” [1].").status == "quote"
    assert only("Its motor is a model PX_200. [2]") == Citation(2, "pump.md", 2, 2, "quote")


def test_a_quotation_that_is_not_there_is_no_quote() -> None:
    assert only("The kettle has “a handle of old oak” in glass [1].").status == "supported"


def test_a_paraphrase_is_supported_by_the_lines_that_have_its_words() -> None:
    assert only("The lid is glass and oak makes the handle [1].") == Citation(
        1, "kettle.md", 16, 17, "supported"
    )


def test_a_single_word_is_supported_and_not_quoted() -> None:
    assert only("Oak [1].") == Citation(1, "kettle.md", 17, 17, "supported")


@pytest.mark.parametrize(
    "answer",
    [
        "The kettle plays radio stations from Norway [1].",
        "The red kettle boils one litre of water in 5 minutes [1].",
        "The kettle was bought in 2018 with a lid of glass [1].",
        "The pump's motor is a model PX_300 [2].",
        "The pump lifts water from the well [1].",
        "Yes, it is [1].",
    ],
)
def test_what_the_passage_does_not_say_is_unsupported(answer: str) -> None:
    citation = only(answer)
    assert citation.status == "unsupported"
    assert (citation.first_line, citation.last_line) in ((11, 21), (1, 2))


def test_numbers_match_their_names() -> None:
    assert only("One kettle boils water in four minutes [1].").status == "supported"


def test_a_number_without_a_passage_is_missing() -> None:
    assert check("The kettle is red [1, 7].", BOTH)[1] == Citation(7, "", 0, 0, "missing")
    assert check("Anything [1].", ()) == (Citation(1, "", 0, 0, "missing"),)


def test_each_statement_is_checked_for_itself() -> None:
    answer = "The pump lifts water from the well [2]. The pump sings at night [2]."
    assert [(c.first_line, c.status) for c in check(answer, BOTH)] == [
        (1, "quote"),
        (1, "unsupported"),
    ]


def test_the_same_finding_comes_once_and_in_order() -> None:
    answer = "Its motor is a model PX_200 [2]. Its motor is a model PX_200 [2]. A red kettle [1]."
    assert [c.n for c in check(answer, BOTH)] == [1, 2]


def test_passages_cited_together_are_judged_together() -> None:
    answer = "The red kettle boils water that the pump lifts from the well [1][2]."
    assert [c.status for c in check(answer, BOTH)] == ["supported", "supported"]
    answer = "The red kettle boils water in minutes [1][2]."
    assert [c.status for c in check(answer, BOTH)] == ["supported", "unsupported"]


def test_code_after_its_introduction_is_checked_as_a_quotation() -> None:
    citation = only("Run this [1]:\n\n```bash\nkettle --boil now\n```")
    assert (citation.status, citation.first_line) == ("quote", 20)
    assert only("Run this [1]:\n\n```\nkettle --explode\n```").status == "unsupported"


def test_a_citation_alone_belongs_to_what_stands_before_it() -> None:
    assert only("Run this:\n\n```\nkettle --boil now\n```\n\n[1]").status == "quote"
    assert only("The pump lifts water from the well.\n\nSources: [2]").status == "quote"


def test_items_share_the_citation_of_their_introduction() -> None:
    answer = "The kettle has, see [1]:\n\n- a lid of glass\n- a handle of oak\n- a radio set"
    assert [(c.first_line, c.status) for c in check(answer, BOTH)] == [
        (11, "supported"),
        (11, "unsupported"),
        (16, "quote"),
        (17, "quote"),
    ]
    assert uncited(answer) == ()


def test_table_rows_are_statements() -> None:
    answer = "| thing | fact |\n|---|---|\n| kettle | red [1] |\n| pump | well [2] |"
    assert [c.status for c in check(answer, BOTH)] == ["supported", "supported"]


def test_words_of_the_path_and_headings_count() -> None:
    dated = passage("We met.", path="2024-05-01.md", headings=("Garden party",))
    (citation,) = check("We met at the garden party in 2024 [1].", [dated])
    assert citation.status == "supported"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("a [1] b[2], c [3, 4] [5][6]", (1, 2, 3, 4, 5, 6)),
        ("[2-4] and [2]", (2, 3, 4)),
        ("`x[1]` [2](u) ![3](u) [^4] \\[5] [[6]](u) [2024] [0]", ()),
        ("```\na[1]\n```", ()),
    ],
)
def test_citations_are_told_from_links_footnotes_and_code(
    text: str, numbers: tuple[int, ...]
) -> None:
    assert cited_numbers(text) == numbers


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("So [Note 3].", "So [3]."),
        ("So [note 1, 2] and (see Note 2).", "So [1, 2] and [2]."),
        ("So [Notes 1 and 3].", "So [1, 3]."),
        ("So 【1】 and 【2†source】.", "So [1] and [2]."),
        ("So [[2]].", "So [2]."),
        ("So it is (2).", "So it is [2]."),
        ("So it is (9).", "So it is (9)."),
        ("(1) one, (2) two", "(1) one, (2) two"),
        ("So (2) it is [1].", "So (2) it is [1]."),
        ("Call `f [Note 1]` [Note 1](u).", "Call `f [Note 1]` [Note 1](u)."),
        ("```\n[Note 1]\n```", "```\n[Note 1]\n```"),
        ("So [Note 9].", "So [9]."),
    ],
)
def test_citations_of_small_models_are_rewritten(written: str, expected: str) -> None:
    assert normalise_citations(written, 3) == expected


def test_without_passages_nothing_is_rewritten() -> None:
    assert normalise_citations("See [Note 1].", 0) == "See [Note 1]."


def test_statements_without_citations_are_listed() -> None:
    answer = (
        "# About kettles\n\nThe kettle is **red** [1]. The pump is blue.\n\nIs it? Two facts:\n\n"
        "- water is wet\n- oak is wood [1]\n\nThe notes do not say more."
    )
    assert uncited(answer) == ("The pump is blue.", "water is wet")


@pytest.mark.parametrize(
    "answer",
    [
        "The notes do not say.",
        "The notes don’t mention kettles.",
        "Your notes do not contain any information about that.",
        "The provided passages do not specifically say when.",
        "There is no information about this in your notes.",
        "This is not mentioned in the notes.",
        "I could not find an answer in the provided documents.",
        "The notes contain no mention of it. [1]",
        "The context has no information on it.",
    ],
)
def test_abstentions_are_recognised(answer: str) -> None:
    assert abstained(answer)
    assert uncited(answer) == ()


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "The kettle is red [1].",
        "The document says you do not have to list them [1].",
        "The notes do not say when, but the kettle is red. It boils water [1].",
        "Notes do not have to be long [1].",
    ],
)
def test_answers_are_no_abstentions(answer: str) -> None:
    assert not abstained(answer)


@given(st.text(alphabet="ab 12[](),.【】`\n-#|", max_size=80), st.integers(0, 4))
def test_normalising_twice_is_normalising_once_and_checks_never_fail(
    answer: str, count: int
) -> None:
    once = normalise_citations(answer, count)
    assert normalise_citations(once, count) == once
    for citation in check(once, BOTH[:count]):
        assert (citation.status == "missing") == (citation.n > min(count, 2))
        assert citation.first_line <= citation.last_line
