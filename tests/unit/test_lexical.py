"""The keyword leg against the library that defines its scores."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from retrieval.lexical import LexicalIndex
from retrieval.terms import TermBatch, term_batch

WORDS = "abcdefgh"


def _vocabulary(terms: Sequence[str]) -> dict[str, int]:
    return {term: WORDS.index(term) for term in terms if term in WORDS}


def _batch(documents: dict[str, str], folder: str = "/f") -> TermBatch:
    return term_batch(
        [(name, folder, Counter(WORDS.index(w) for w in text)) for name, text in documents.items()]
    )


def _index(documents: dict[str, str]) -> LexicalIndex:
    index = LexicalIndex(_vocabulary, list)
    index.add(_batch(documents))
    return index


documents_strategy = st.dictionaries(
    st.integers(0, 40).map(str), st.text(WORDS, min_size=1, max_size=12), max_size=8
)
steps_strategy = st.lists(
    st.tuples(documents_strategy, st.lists(st.integers(0, 40).map(str), max_size=5)), max_size=6
)


@given(steps_strategy, st.text(WORDS, min_size=1, max_size=5))
def test_scores_equal_rank_bm25_after_any_additions_and_removals(
    steps: list[tuple[dict[str, str], list[str]]], query: str
) -> None:
    index, held = LexicalIndex(_vocabulary, list), {}
    for added, removed in steps:
        index.add(_batch(added))
        held.update(added)
        index.remove(removed)
        held = {name: text for name, text in held.items() if name not in removed}
    assert sorted(index.chunk_ids) == sorted(held)
    assert len(index) == len(held)
    if not held:
        assert index.search(query, 10) == []
        return
    expected = BM25Okapi([list(held[name]) for name in index.chunk_ids]).get_scores(list(query))
    np.testing.assert_allclose(index.get_scores(list(query)), expected, rtol=0, atol=1e-9)


@given(st.lists(documents_strategy, max_size=4), st.integers(0, 100), st.text(WORDS, min_size=1))
def test_loading_in_slices_is_adding(
    parts: list[dict[str, str]], postings: int, query: str
) -> None:
    parts = [{f"{n}:{name}": text for name, text in p.items()} for n, p in enumerate(parts)]
    added, loaded = LexicalIndex(_vocabulary, list), _index({"gone": "abc"})
    for part in parts:
        added.add(_batch(part))
    loaded.load((_batch(part) for part in parts), postings)
    assert loaded.chunk_ids == added.chunk_ids
    assert loaded.search(query, 10) == added.search(query, 10)
    np.testing.assert_array_equal(loaded.get_scores(list(query)), added.get_scores(list(query)))
    loaded.add(_batch({"new": "ab"}))
    loaded.remove(loaded.chunk_ids[:1])
    held = {name: text for part in [*parts, {"new": "ab"}] for name, text in part.items()}
    rest = [list(held[name]) for name in loaded.chunk_ids]
    if rest:
        expected = BM25Okapi(rest).get_scores(list(query))
        np.testing.assert_allclose(loaded.get_scores(list(query)), expected, atol=1e-9)


def test_only_some_chunks() -> None:
    index = _index({"1": "ab", "2": "aac", "3": "de", "4": "fg", "5": "ah"})
    everything = {hit.chunk_id: hit.score for hit in index.search("a", 10)}
    some = index.search("a", 10, within=frozenset({"1", "3", "5", "unknown"}))
    assert {hit.chunk_id: hit.score for hit in some} == {i: everything[i] for i in ("1", "5")}
    assert index.search("a", 10, ["/g"], frozenset({"1"})) == []
    assert index.search("a", 10, within=frozenset()) == []


def test_constants_are_the_librarys() -> None:
    theirs, ours = BM25Okapi([["a"]]), _index({"1": "a"})
    assert (ours.k1, ours.b, ours.epsilon) == (theirs.k1, theirs.b, theirs.epsilon)


def test_ranks_what_matches_and_only_that() -> None:
    index = _index({"1": "abc", "2": "aab", "3": "def", "4": "ccc", "5": "ghe"})
    hits = index.search("a", 10)
    assert [hit.chunk_id for hit in hits] == ["2", "1"]
    assert [hit.rank for hit in hits] == [1, 2]
    assert hits[0].score > hits[1].score > 0
    assert index.search("a", 1) == hits[:1]


def test_folders_restrict() -> None:
    index = _index({"1": "ab"})
    index.add(_batch({"2": "ac"}, "/g"))
    index.add(_batch({"3": "de"}, "/g"))
    assert [h.chunk_id for h in index.search("a", 10, ["/g"])] == ["2"]
    assert {h.chunk_id for h in index.search("a", 10, ["/g", "/f"])} == {"1", "2"}
    assert index.search("a", 10, ["/unknown"]) == []


@pytest.mark.parametrize("query", ["", "z"])
def test_nothing_to_look_for(query: str) -> None:
    assert _index({"1": "ab"}).search(query, 10) == []


def test_a_single_chunk_is_found_though_idf_is_negative() -> None:
    (hit,) = _index({"1": "abc"}).search("ab", 10)
    assert hit.chunk_id == "1"


def test_in_a_tiny_corpus_more_matched_terms_win() -> None:
    index = _index({"1": "ab", "2": "ac"})
    assert [hit.chunk_id for hit in index.search("ac", 10)] == ["2", "1"]


def test_many_replacements_keep_the_index_small() -> None:
    index = _index({"x": "ab", "y": "cd"})
    for _ in range(2100):
        index.add(_batch({"x": "abb"}))
    assert len(index._ids) < 1200
    assert sorted(index.chunk_ids) == ["x", "y"]
    assert [hit.chunk_id for hit in index.search("b", 10)] == ["x"]
    expected = BM25Okapi([list("cd"), list("abb")]).get_scores(["b"])
    order = [index.chunk_ids.index(name) for name in ("y", "x")]
    np.testing.assert_allclose(index.get_scores(["b"])[order], expected, atol=1e-9)
