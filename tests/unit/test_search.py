"""Queries with conditions: collections, filters, phrases, context, explanations, rerankers."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from retrieval.errors import CollectionError, FilterError, IndexMissingError
from retrieval.library import Library
from retrieval.types import Cut, Filters, IndexOptions, Passage, Query, SearchResult
from tests.fixtures.word_embedder import WordEmbedder

DAY = 86_400
NOTES = {
    "git/undo.md": "---\ntags: [Project/Alcove, git]\n---\n# Undo\n\nRun git reset; undo a commit.",
    "git/old/svn.md": "# Old\n\nSubversion cannot undo a commit. #draft\n",
    "bread.md": "# Bread\n\nMix flour, water and salt.\nTo be or not to be a baker.\n",
    "tea.txt": "Green tea wants water below boiling. Café crème wants milk.\n",
    "tools/brew.py": "def brew():\n    '''Boil water for the tea.'''\n    return 'water'\n",
}
AGES = {"git/undo.md": 1, "git/old/svn.md": 400, "bread.md": 20, "tea.txt": 40, "tools/brew.py": 9}


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    for path, text in NOTES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
        then = time.time() - AGES[path] * DAY
        os.utime(folder / path, (then, then))
    return folder


@pytest.fixture
def library(tmp_path: Path, notes: Path) -> Iterator[Library]:
    with Library(tmp_path / "index", WordEmbedder()) as library:
        library.index(notes)
        yield library


def paths(result: SearchResult) -> list[str]:
    return [passage.chunk.note_path for passage in result.passages]


def ask(library: Library, text: str, **options: object) -> list[str]:
    return sorted(set(paths(library.search(Query(text, **options)))))  # type: ignore[arg-type]


@pytest.mark.parametrize("k", [1, 8])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"undo a commit"', ["git/old/svn.md", "git/undo.md"]),
        ('how do I "RUN git   reset"', ["git/undo.md"]),
        ("“cafe creme” water", ["tea.txt"]),
        ('"to be or not to be"', ["bread.md"]),
        ('"bread"', ["bread.md"]),
        ('-"undo a commit" -"green tea" water', ["bread.md", "tools/brew.py"]),
        ('"undo a commit" "git reset"', ["git/undo.md"]),
        ('"commit a undo"', []),
        ('"wat"', []),
    ],
)
def test_phrases_must_match(library: Library, text: str, expected: list[str], k: int) -> None:
    found = ask(library, text, k=k)
    assert found == expected if k > 1 else len(found) == min(1, len(expected))
    assert set(found) <= set(expected)


@pytest.mark.parametrize("leg", ["bm25", "vector", "hybrid"])
def test_a_phrase_of_stop_words_is_found_by_every_leg(library: Library, leg: str) -> None:
    assert ask(library, '"to be or not to be"', leg=leg) == ["bread.md"]


def test_a_phrase_that_no_leg_ranks_high_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number}.md").write_text("alpha beta " * 9 + f"number {number}")
    (folder / "rare.md").write_text(" ".join(f"filler{n}" for n in range(40)) + " beta alpha")
    with Library(tmp_path / "other", WordEmbedder()) as library:
        library.index(folder)
        assert ask(library, '"beta alpha filler"', depth=5) == []
        assert ask(library, 'alpha "filler39 beta alpha"', depth=5) == ["rare.md"]


@pytest.mark.parametrize(
    ("text", "filters", "expected"),
    [
        ("commit path:git/**", Filters(), ["git/old/svn.md", "git/undo.md"]),
        ("commit -path:old", Filters(paths=("git/**",)), ["git/undo.md"]),
        ("water", Filters(paths=("*.py", "*.txt")), ["tea.txt", "tools/brew.py"]),
        ("commit tag:project", Filters(), ["git/undo.md"]),
        ("commit tag:#Project/Alcove tag:git", Filters(), ["git/undo.md"]),
        ("commit -tag:draft path:git", Filters(), ["git/undo.md"]),
        ("water format:code", Filters(), ["tools/brew.py"]),
        ("water", Filters(formats=("text", "code")), ["tea.txt", "tools/brew.py"]),
        ("water after:30d", Filters(), ["bread.md", "git/undo.md", "tools/brew.py"]),
        ("water", Filters(before=time.time() - 30 * DAY), ["git/old/svn.md", "tea.txt"]),
        ("water after:30d before:10d", Filters(), ["bread.md"]),
    ],
)
def test_conditions_decide_which_notes_answer(
    library: Library, text: str, filters: Filters, expected: list[str]
) -> None:
    # The vector leg ranks every note that meets the conditions.
    assert ask(library, text, filters=filters) == expected


def test_a_note_just_written_has_its_time(tmp_path: Path, notes: Path) -> None:
    with Library(tmp_path / "index", WordEmbedder()) as library:
        (notes / "new.md").write_text("Fresh water.")
        library.index(notes)
        assert ask(library, "water after:1h") == ["new.md"]
        assert "new.md" not in ask(library, "water before:1h")


def test_operators_alone_list_the_newest_notes_first(library: Library) -> None:
    result = library.search(Query("-path:old", k=3))
    assert paths(result) == ["git/undo.md", "tools/brew.py", "bread.md"]
    assert (result.legs, result.found) == ((), 4)
    assert [passage.score for passage in result.passages] == [0.0, 0.0, 0.0]
    assert paths(library.search(Query("in:notes before:1y"))) == ["git/old/svn.md"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("water tag:gti", "Nearest: git"),
        ("water path:nowhere/**", "path nowhere/**"),
        ("water format:pdf", "format pdf"),
        ('water "green coffee"', "“green coffee” word for word"),
        ('tag:git "green tea"', "at once"),
        ("-tag:nothing path:nowhere", "path nowhere; not tag nothing"),
    ],
)
def test_when_nothing_meets_the_conditions_it_says_which(
    library: Library, text: str, says: str
) -> None:
    result = library.search(Query(text))
    assert result.passages == ()
    assert says in " ".join(result.notices)


def test_conditions_that_none_can_meet_are_errors(library: Library) -> None:
    with pytest.raises(FilterError) as caught:
        library.search(Query("water after:2025 before:2024"))
    assert caught.value.remedy


def test_a_changed_note_is_filtered_as_it_reads_now(library: Library, notes: Path) -> None:
    (notes / "tea.txt").write_text("Black tea wants boiling water.\n")
    assert ask(library, 'water "green tea"') == []
    assert ask(library, '"black tea"') == ["tea.txt"]


# Collections


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "notes"
    folder.mkdir(parents=True)
    (folder / "plan.md").write_text("# Plan\n\nWater the plants.\n")
    return folder


def names(library: Library) -> list[str]:
    return sorted(item.name for item in library.status().collections)


def test_folders_are_named_after_themselves_each_once(library: Library, work: Path) -> None:
    library.index(work)
    assert names(library) == ["notes", "work-notes"]
    library.index(work)
    assert names(library) == ["notes", "work-notes"]
    assert ask(library, "water", folders=("WORK-notes",)) == ["plan.md"]
    assert ask(library, "water in:work-notes") == ["plan.md"]
    by_name = {item.name: item for item in library.status().collections}
    plan = by_name["work-notes"]
    assert (plan.folder, plan.notes, plan.chunks, plan.embedded) == (str(work), 1, 1, 1)


def test_a_collection_can_be_named_and_named_anew(
    tmp_path: Path, library: Library, work: Path
) -> None:
    library.index(work, name="garden")
    assert names(library) == ["garden", "notes"]
    library.index(work)
    library.index(work, name="Plants  at home")
    assert names(library) == ["Plants at home", "notes"]
    assert ask(library, 'water in:"plants at home"') == ["plan.md"]
    library.close()
    with Library(tmp_path / "index", WordEmbedder()) as again:
        assert names(again) == ["Plants at home", "notes"]


@pytest.mark.parametrize("name", ["", " ", "a/b", "-x", "..", '"', "a\nb\x00", "x" * 200, "NOTES"])
def test_a_name_that_cannot_be_is_refused(library: Library, work: Path, name: str) -> None:
    with pytest.raises(CollectionError) as caught:
        library.index(work, name=name)
    assert caught.value.remedy
    assert len(library.status().collections) == 1


def test_a_name_goes_before_a_folder_and_that_is_said(
    tmp_path: Path, library: Library, work: Path
) -> None:
    (tmp_path / "here" / "notes").mkdir(parents=True)
    query = Query("water", folders=("notes",), base=str(tmp_path / "here"))
    result = library.search(query)
    assert result.passages
    assert "taken for the collection" in result.notices[0]
    same = Query("water", folders=("notes",), base=str(tmp_path))
    assert library.search(same).notices == ()
    below = Query("water", folders=("./notes/tools",), base=str(tmp_path))
    assert set(paths(library.search(below))) == {"tools/brew.py"}


def test_an_unknown_name_tells_those_there_are(library: Library) -> None:
    with pytest.raises(IndexMissingError) as caught:
        library.search(Query("water", folders=("nots",)))
    assert "notes" in caught.value.remedy


def test_a_collection_is_forgotten_by_its_name(library: Library, work: Path) -> None:
    library.index(work, name="garden")
    forgotten = library.forget("Garden")
    assert forgotten is not None
    assert forgotten.folder == str(work)
    assert names(library) == ["notes"]


# Explanations


def test_an_explanation_adds_up(library: Library) -> None:
    query = Query('undo "a commit" -"old way"', k=1, explain=True)
    result = library.search(query)
    why = result.explanation
    assert why is not None
    assert why.text == "undo a commit"
    assert why.terms == ("undo", "commit")
    assert why.phrases == ("a commit",)
    assert why.filters == ("not “old way”",)
    assert dict(why.found) == {"bm25": 2, "vector": 2}
    assert dict(why.weights).keys() == {"bm25", "vector"}
    assert why.why_weights
    items: list[Passage | Cut] = [*result.passages, *why.cuts]
    for item in items:
        assert item.score == sum(part.score for part in item.contributions)
        for part in item.contributions:
            assert part.score == pytest.approx(part.weight / (why.k + part.rank))
    assert any(cut.reason == "beyond the 1 asked for" for cut in why.cuts)
    assert any(cut.reason == "it does not say “a commit”" for cut in why.cuts)
    assert {cut.place.partition(":")[0] for cut in why.cuts} == set(NOTES) - {
        result.passages[0].chunk.note_path
    }
    assert library.search(Query("undo")).explanation is None


def test_an_explanation_names_what_is_gone_and_what_conditions_keep_out(
    library: Library, notes: Path
) -> None:
    (notes / "tea.txt").unlink()
    result = library.search(Query("water path:*.txt path:bread.md", explain=True))
    assert paths(result) == ["bread.md"]
    assert result.explanation is not None
    reasons = {cut.place.partition(":")[0]: cut.reason for cut in result.explanation.cuts}
    assert reasons["tools/brew.py"] == "its note does not meet: path *.txt or bread.md"
    assert "tea.txt" not in reasons  # It was read again, and is not in the index any more.


# Rerankers


class WordReranker:
    """Scores by the share of a text's words that one wanted word is; takes a set time each."""

    def __init__(self, wanted: str, seconds: float = 0.0) -> None:
        self.wanted = wanted
        self.seconds = seconds
        self.loads = 0

    @property
    def name(self) -> str:
        return "words"

    @property
    def loaded(self) -> bool:
        return self.loads > 0

    def load(self) -> None:
        self.loads += 1

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        time.sleep(self.seconds * len(texts))
        return [text.lower().count(self.wanted) / len(text.split()) for text in texts]


def test_a_reranker_can_change_the_first_place(tmp_path: Path, notes: Path) -> None:
    with Library(tmp_path / "index", WordEmbedder(), reranker=WordReranker("salt")) as library:
        library.index(notes)
        plain = library.search(Query("green tea water", k=2))
        assert paths(plain)[0] == "tea.txt"
        assert plain.passages[0].reranked is None
        result = library.search(Query("green tea water", k=2, rerank=True, explain=True))
        assert paths(result)[0] == "bread.md"
        first = result.passages[0].reranked
        assert first is not None
        assert first.fused_rank > 1
        assert first.score > 0
        assert len(result.passages) == 2
        assert result.explanation is not None
        assert "beyond the 2 asked for" in {cut.reason for cut in result.explanation.cuts}


def test_a_reranker_out_of_time_says_how_far_it_came(tmp_path: Path, notes: Path) -> None:
    options = IndexOptions(rerank_seconds=0.001)
    reranker = WordReranker("salt", seconds=0.01)
    with Library(tmp_path / "index", WordEmbedder(), options, reranker) as library:
        library.index(notes)
        result = library.search(Query("water", rerank=True))
        assert any("had time for 1 of 5 passages" in notice for notice in result.notices)
        assert [p.reranked is not None for p in result.passages] == [True, *[False] * 4]


def test_without_a_reranker_it_says_so(library: Library) -> None:
    result = library.search(Query("water", rerank=True))
    assert result.passages
    assert any("no reranker" in notice for notice in result.notices)
    assert library.search(Query("water")).notices == ()


def test_a_reranker_that_is_loading_is_not_waited_for(tmp_path: Path, notes: Path) -> None:
    with Library(tmp_path / "index", WordEmbedder(), reranker=WordReranker("salt")) as library:
        library.index(notes)
        result = library.search(Query("water", rerank=True, wait=False))
        assert any("still loading" in notice for notice in result.notices)
        library.warm()
        result = library.search(Query("water", rerank=True, wait=False))
        assert not any("rerank" in notice for notice in result.notices)
