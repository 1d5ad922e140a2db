"""The vector leg against exact search, with filters, and in step with the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from retrieval.chroma.local import LocalVectors
from retrieval.storage.rows import text_hash
from retrieval.store import Store
from retrieval.types import Chunk, Fingerprint, Hit
from retrieval.vectors import VectorIndex
from tests.fixtures.big_collection import ClusterEmbedder, Writer

MANY = 3000


class Index:
    """A store of notes, each of some one-line chunks, with the leg over it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.embedder = ClusterEmbedder()
        self.store = Store(directory / "index.sqlite3")
        self.leg = VectorIndex(directory / "chroma", self.store, self.embedder)

    def put(self, folder: str, path: str, texts: Sequence[str]) -> list[str]:
        """Store a note with its vectors; gives the ids of its chunks."""
        self.store.add_folder(folder)
        chunks = [
            Chunk(f"{path}:{n}", folder, path, "", (), text, n, n)
            for n, text in enumerate(texts, start=1)
        ]
        counted = [(chunk, Counter({"x": 1})) for chunk in chunks]
        change = self.store.put_file(folder, path, Fingerprint(1, 1, path), counted)
        self.leg.remove(change.removed)
        keys = [text_hash(text) for text in texts]
        if texts:
            vectors = self.embedder.embed_passages(texts)
            self.store.vectors.put(self.embedder.name, keys, vectors)
        self.leg.add_texts(keys)
        return [chunk.id for chunk in chunks]

    def exact(
        self, query: str, depth: int, folder: str = "", within: frozenset[str] | None = None
    ) -> list[tuple[str, float]]:
        """Rank by comparing every vector."""
        folders = [folder] if folder else []
        vector = self.embedder.embed_query(query)
        table = self.store.vectors
        return table.similar(self.embedder.name, vector, depth, folders=folders, within=within)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Two thirds of the chunks in one folder, one in the other."""
    index, writer = Index(tmp_path_factory.mktemp("big")), Writer()
    index.leg.open(synchronise=True)
    texts = [writer.words(n % 40, 60) for n in range(MANY)]
    index.put("/a", "a", texts[: MANY * 2 // 3])
    index.put("/b", "b", texts[MANY * 2 // 3 :])
    index.leg.flush()
    yield index
    index.leg.close()
    index.store.close()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index(tmp_path)
    index.leg.open(synchronise=True)
    yield index
    index.leg.close()
    index.store.close()


def _recall(found: Sequence[Hit], exact: Sequence[tuple[str, float]]) -> float:
    assert len(found) == len(exact)
    return len({hit.chunk_id for hit in found} & {i for i, _ in exact}) / len(exact)


def _ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.chunk_id for hit in hits]


def test_recall_at_100_is_that_of_exact_search(big: Index) -> None:
    queries = Writer(seed=9).queries(20)
    recalls = [_recall(big.leg.search(q, 100), big.exact(q, 100)) for q in queries]
    assert np.mean(recalls) >= 0.99
    hits = big.leg.search(queries[0], 100)
    assert [hit.rank for hit in hits] == list(range(1, 101))
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    np.testing.assert_allclose(scores, [s for _, s in big.exact(queries[0], 100)], atol=1e-3)


@pytest.mark.parametrize("exact_up_to", [0, 5000])
def test_a_folder_alone(big: Index, monkeypatch: pytest.MonkeyPatch, exact_up_to: int) -> None:
    monkeypatch.setattr("retrieval.vectors._EXACT", exact_up_to)
    recalls = []
    for query in Writer(seed=9).queries(10):
        found = big.leg.search(query, 50, ["/b"])
        assert all(i.startswith("b:") for i in _ids(found))
        recalls.append(_recall(found, big.exact(query, 50, "/b")))
    assert np.mean(recalls) >= 0.99


@pytest.mark.parametrize("count", [1, 30, 400])
@pytest.mark.parametrize("exact_up_to", [0, 5000])
def test_only_some_chunks(
    big: Index, monkeypatch: pytest.MonkeyPatch, exact_up_to: int, count: int
) -> None:
    monkeypatch.setattr("retrieval.vectors._EXACT", exact_up_to)
    ids = sorted(big.store.chunk_ids("/a") + big.store.chunk_ids("/b"))
    chosen = np.random.default_rng(4).choice(len(ids), count, replace=False)
    within = frozenset(ids[n] for n in chosen)
    recalls = []
    for query in Writer(seed=9).queries(10):
        found = big.leg.search(query, 50, within=within)
        recalls.append(_recall(found, big.exact(query, 50, within=within)))
    assert np.mean(recalls) >= 0.99


def test_what_filters_exclude_altogether(big: Index) -> None:
    assert big.leg.search("anything", 10, within=frozenset()) == []
    assert big.leg.search("anything", 10, within=frozenset({"unknown"})) == []
    assert big.leg.search("anything", 10, ["/nowhere"]) == []
    assert big.leg.search("anything", 0) == []


def test_what_waits_for_chroma_is_found(index: Index) -> None:
    index.put("/a", "a", ["apple pear plum", "oak elm ash"])
    assert index.leg._chroma.keys() == set()
    assert _ids(index.leg.search("oak ash", 5)) == ["a:2", "a:1"]
    assert _ids(index.leg.search("oak ash", 5, within=frozenset({"a:1"}))) == ["a:1"]
    assert index.leg.search("oak ash", 5, ["/b"]) == []
    index.leg.flush()
    assert len(index.leg._chroma.keys()) == len(index.leg) == 2
    assert _ids(index.leg.search("oak ash", 5)) == ["a:2", "a:1"]


def test_the_same_text_is_held_once_and_found_everywhere(index: Index) -> None:
    index.put("/a", "a", ["oak elm ash"])
    index.put("/b", "b", ["oak elm ash", "apple pear"])
    index.leg.flush()
    assert len(index.leg._chroma.keys()) == 2
    assert len(index.leg) == 3
    assert _ids(index.leg.search("oak", 5)) == ["a:1", "b:1", "b:2"]
    assert _ids(index.leg.search("oak", 5, ["/b"])) == ["b:1", "b:2"]


def test_what_moves_costs_chroma_nothing(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.put("/a", "old", ["oak elm ash", "apple pear"])
    index.leg.flush()
    collection = index.leg._chroma._collection

    def refuse(**_: object) -> None:
        raise AssertionError("Chroma was written to")

    monkeypatch.setattr(collection, "upsert", refuse)
    monkeypatch.setattr(collection, "delete", refuse)
    index.leg.remove(index.store.remove_file("/a", "old"))
    index.put("/a", "new", ["oak elm ash", "apple pear"])
    index.leg.flush()
    assert _ids(index.leg.search("oak", 5)) == ["new:1", "new:2"]


def test_what_is_gone_is_not_found_and_leaves_chroma_in_time(index: Index) -> None:
    writer = Writer()
    texts = [writer.words(1, 20) for _ in range(600)]
    index.put("/a", "a", ["oak elm ash"])
    index.put("/a", "b", texts)
    index.leg.flush()
    assert len(index.leg) == 601
    index.put("/a", "b", texts[:1])
    assert len(index.leg.search(texts[5], 100)) == 2
    index.leg.flush()
    assert len(index.leg._chroma.keys()) == 2
    assert _ids(index.leg.search("oak", 5))[0] == "a:1"


def test_opening_brings_it_in_step(index: Index) -> None:
    index.put("/a", "a", ["oak elm ash", "apple pear", "tea"])
    index.leg.flush()
    index.leg._chroma.remove([text_hash("tea")])
    index.store.remove_file("/a", "a")
    index.leg.close()
    index.put("/a", "b", ["tea", "apple pear"])
    index.leg.open(synchronise=True)
    assert index.leg._chroma.keys() == {text_hash("tea"), text_hash("apple pear")}


def test_what_chroma_lacks_is_compared_while_another_process_writes(index: Index) -> None:
    index.put("/a", "a", ["oak elm ash", "apple pear", "tea"])
    index.leg.flush()
    index.leg._chroma.remove([text_hash("tea"), text_hash("apple pear")])
    index.leg.close()
    index.leg.open(synchronise=False)
    assert index.leg._chroma.keys() == {text_hash("oak elm ash")}
    assert _ids(index.leg.search("tea", 1)) == ["a:3"]
    assert len(index.leg) == 3
    index.leg.close()
    assert index.leg._chroma.keys() == {text_hash("oak elm ash")}
    index.leg._chroma.close()


def test_a_number_given_again_is_not_taken_for_sent(index: Index) -> None:
    table, name = index.store.vectors, index.embedder.name
    index.put("/a", "a", ["oak", "elm"])
    mark, keys, _ = table.after(name, 0, 10)
    index.put("/a", "a", [])
    table.prune()  # While the texts are on their way to a server.
    index.put("/a", "b", ["ash", "pear"])
    table.mark_sent("place", mark, keys[-1])
    assert table.keys_after(name, table.sent("place")) == [text_hash("ash"), text_hash("pear")]
    mark, keys, _ = table.after(name, 0, 10)
    table.mark_sent("place", mark, keys[-1])
    assert table.keys_after(name, table.sent("place")) == []


def test_collections_of_another_kind_are_deleted(tmp_path: Path) -> None:
    import chromadb
    from chromadb.config import Settings

    settings = Settings(anonymized_telemetry=False)
    client = chromadb.PersistentClient(tmp_path / "chroma", settings=settings)
    client.create_collection("chunks-0123456789ab", embedding_function=None)
    client.close()  # type: ignore[attr-defined]
    local = LocalVectors(tmp_path / "chroma", "words@1")
    local.open()
    assert local._client is not None
    names = [collection.name for collection in local._client.list_collections()]
    assert len(names) == 1
    assert names[0].startswith("texts-")
    local.close()
