"""Embedders and rerankers of the hub: listed, downloaded, chosen, used, on real small models."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.download import HubDownloader
from models.errors import ModelNotFoundError
from models.hub import list_embedder_files
from retrieval.embedders import Embedders
from retrieval.embedding import bundled_embedder, embedder_in
from retrieval.errors import EmbedderError
from retrieval.library import Library
from retrieval.reranking import CrossEncoderReranker
from retrieval.sentence_models import torch_models
from retrieval.sentence_models.model_places import ModelPlaces, hub_cache
from retrieval.types import IndexOptions, Query
from tests.e2e.conftest import Home
from tests.fixtures.hub import FakeHub
from tests.fixtures.tiny_models import DIMENSIONS, write_tiny_embedder, write_word_reranker

PROMPTS = {"query": "where ", "passage": "how "}
NOTES = {
    "tea.md": "# Tea\n\nTea and a green lamp in the garden.\n",
    "ship.md": "# Ship\n\nA ship on the river, a stone and a horse.\n",
    "coffee.md": "# Coffee\n\nCoffee, bread and an old clock.\n",
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_embedder(tmp_path_factory.mktemp("tiny") / "model", PROMPTS)


@pytest.fixture(scope="module")
def word_reranker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_word_reranker(tmp_path_factory.mktemp("words") / "model")


def files_of(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


LEAN_RUN = """
import json, sys
from retrieval.embedding import bundled_embedder
vector = bundled_embedder().embed_query("green tea")
heavy = ("sentence_transformers", "sklearn", "scipy", "datasets", "PIL", "pandas", "accelerate")
print(json.dumps([vector.tolist(), [name for name in heavy if name in sys.modules]]))
"""


def test_a_query_imports_no_more_than_it_needs_and_its_vector_is_the_librarys_own() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", LEAN_RUN], capture_output=True, text=True, check=True
    )
    vector, heavy = json.loads(run.stdout)
    assert heavy == []
    assert run.stderr == ""
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(bundled_embedder().directory), local_files_only=True)
    expected = plain.encode("green tea", normalize_embeddings=True)
    assert np.abs(np.array(vector) - expected).max() < 1e-6


def test_another_build_of_the_library_is_imported_whole(caplog: pytest.LogCaptureFixture) -> None:
    tried: list[bool] = []

    def load() -> str:
        package = sys.modules.get("sentence_transformers")
        tried.append(package is not None and hasattr(package, "SentenceTransformerTrainer"))
        if len(tried) == 1:
            raise AttributeError("a name that is elsewhere in this version")
        return "loaded"

    with caplog.at_level(logging.INFO, "alcove.torch"):
        assert torch_models.load_lean(load) == "loaded"
    assert "imported whole" in caplog.text
    assert len(tried) == 2
    assert tried[1]


def test_prompts_go_in_front_of_what_is_embedded_and_into_the_name(tiny: Path) -> None:
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(tiny), local_files_only=True)
    embedder = embedder_in(tiny, "owner/tiny")
    assert embedder.dimensions == DIMENSIONS
    assert embedder.max_tokens == 24 - 2 - 1
    assert embedder.count_tokens(["green tea", ""]) == [2, 0]
    texts = ["green tea", "ship " * 50, "x"]
    expected = plain.encode([PROMPTS["passage"] + text for text in texts])
    assert np.abs(embedder.embed_passages(texts) - expected).max() < 1e-6
    query = plain.encode(PROMPTS["query"] + "green tea")
    assert np.abs(embedder.embed_query("green tea") - query).max() < 1e-6
    assert embedder.name.startswith("owner/tiny@")


def test_a_gpu_that_has_no_room_left_hands_over_to_the_cpu(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    embedder = embedder_in(tiny, "owner/tiny")
    expected = embedder.embed_passages(["green tea", "old ship"])
    forward, tried = embedder._forward, []

    def short_of_memory(texts: list[str], prompt: str, bfloat16: bool) -> object:
        tried.append(len(texts))
        if len(tried) == 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return forward(texts, prompt, bfloat16)

    monkeypatch.setattr(embedder, "_forward", short_of_memory)
    monkeypatch.setattr(embedder, "_placement", torch_models.Placement("cuda", "float16"))
    with caplog.at_level(logging.WARNING, "alcove.embedding"):
        vectors = embedder.embed_passages(["green tea", "old ship"])
    assert tried == [2, 2]
    assert "embedding on the CPU" in caplog.text
    assert np.array_equal(vectors, expected)


def test_the_name_changes_with_weights_and_prompts_alone(tiny: Path, tmp_path: Path) -> None:
    same = write_tiny_embedder(tmp_path / "same", PROMPTS)
    other_prompt = write_tiny_embedder(tmp_path / "prompt", {**PROMPTS, "query": "which "})
    other_weights = write_tiny_embedder(tmp_path / "weights", PROMPTS, seed=1)
    names = [embedder_in(p, "a/b").name for p in (tiny, same, other_prompt, other_weights)]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_a_tokenizer_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    model = write_tiny_embedder(tmp_path / "model")
    embedder = embedder_in(model, "owner/tiny")
    (model / "tokenizer.json").write_text("{}")
    with pytest.raises(EmbedderError, match="cannot be read") as caught:
        embedder.load()
    assert "alcove embedders download owner/tiny" in caught.value.remedy


def test_a_setting_means_the_bundled_one_a_model_that_is_here_or_a_folder(
    tiny: Path, tmp_path: Path
) -> None:
    home, cache = tmp_path / "embedders", tmp_path / "hub"
    snapshot = cache / "models--owner--cached/snapshots/abc"
    (cache / "models--owner--cached/refs").mkdir(parents=True)
    (cache / "models--owner--cached/refs/main").write_text("abc")
    for place in (home / "owner/tiny", snapshot):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(tiny, target_is_directory=True)
    embedders = Embedders(ModelPlaces(home, cache))
    assert embedders.open("").name == bundled_embedder().name
    names = [embedders.open(name).name for name in ("owner/tiny", "owner/cached", str(tiny))]
    assert [name.partition("@")[0] for name in names] == ["owner/tiny", "owner/cached", str(tiny)]
    for name in (*names, bundled_embedder().name):
        found = embedders.find(name)
        assert found is not None
        assert found.name == name
    for name in ("owner/tiny@000000000000", "owner/gone@1", "/no/folder@1", "all-MiniLM-L6-v2@0"):
        assert embedders.find(name) is None


@pytest.mark.parametrize(
    ("wanted", "remedy"),
    [
        ("owner/absent", "alcove embedders download owner/absent"),
        ("/no/such/folder", "owner/name"),
        ("../models", "owner/name"),
        ("\0", "owner/name"),
    ],
)
def test_a_setting_that_means_nothing_says_what_to_do(
    tmp_path: Path, wanted: str, remedy: str
) -> None:
    with pytest.raises(EmbedderError) as caught:
        Embedders(ModelPlaces(tmp_path / "embedders")).open(wanted)
    assert remedy in caught.value.remedy


def test_the_hubs_cache_is_where_its_libraries_keep_it() -> None:
    assert hub_cache({"HF_HUB_CACHE": "/a"}) == Path("/a")
    assert hub_cache({"HF_HOME": "/a"}) == Path("/a/hub")
    assert hub_cache({"XDG_CACHE_HOME": "/a"}) == Path("/a/huggingface/hub")
    assert hub_cache({}) == Path.home() / ".cache/huggingface/hub"


def test_a_download_takes_what_a_model_needs_and_what_describes_it_last(
    fake_hub: FakeHub, tiny: Path, tmp_path: Path
) -> None:
    extra = dict.fromkeys(("README.md", "onnx/model.onnx", "pytorch_model.bin"), b"x")
    fake_hub.add("owner/tiny", {**files_of(tiny), **extra})
    files = list_embedder_files("owner/tiny")
    assert [file.filename for file in files][-2:] == ["config.json", "modules.json"]
    downloader = HubDownloader(tmp_path / "embedders", pause=0.0)
    fake_hub.repos["owner/tiny"].break_after = [100]
    folder = downloader.download_all(files)
    assert folder == tmp_path / "embedders/owner/tiny"
    got = {name for name in files_of(folder) if ".alcove" not in name}
    assert got == files_of(tiny).keys()
    requests = len(fake_hub.downloads())
    downloader.download_all(files)
    assert len(fake_hub.downloads()) == requests
    embedder = Embedders(ModelPlaces(tmp_path / "embedders")).open("owner/tiny")
    vector = embedder_in(tiny, "owner/tiny").embed_query("green tea")
    assert np.array_equal(embedder.embed_query("green tea"), vector)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"README.md": b"x"}, "no model of sentence-transformers"),
        ({"config.json": b"{}", "pytorch_model.bin": b"x"}, "pickle"),
        ({"config.json": b"{}"}, "no .safetensors file"),
        (
            {"config.json": b"{}", "model.safetensors": b"x", "2_Dense/config.json": b"{}",
             "2_Dense/pytorch_model.bin": b"x"},
            "pickle",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_safely_is_not_downloaded(
    fake_hub: FakeHub, files: dict[str, bytes], why: str
) -> None:
    fake_hub.add("owner/odd", files)
    with pytest.raises(ModelNotFoundError, match=why):
        list_embedder_files("owner/odd")
    assert fake_hub.downloads() == []


def test_a_person_downloads_an_embedder_and_searches_with_it(
    home: Home, fake_hub: FakeHub, tiny: Path, word_reranker: Path
) -> None:
    home.notes.mkdir(parents=True, exist_ok=True)
    for name, text in NOTES.items():
        (home.notes / name).write_text(text)
    home.environment["HF_ENDPOINT"] = fake_hub.address
    fake_hub.add("owner/tiny", files_of(tiny))
    fake_hub.add("owner/words", files_of(word_reranker))
    home.alcove_home.mkdir(parents=True, exist_ok=True)
    settings = '[index]\nembedder = "owner/tiny"\n[search]\nreranker = "owner/words"\n'
    (home.alcove_home / "settings.toml").write_text(settings)

    refused = home.run("index", str(home.notes))
    assert refused.code == 1
    assert "alcove embedders download owner/tiny" in refused.err
    for name in ("owner/tiny", "owner/words"):
        assert home.run("embedders", "download", name).code == 0
    listed = home.run("embedders", "list", "--json").json
    chosen = [entry["download"] for entry in listed if entry["in_use"] and entry["here"]]
    assert chosen == ["owner/tiny", "owner/words"]

    assert home.run("index", str(home.notes)).code == 0
    found = home.run("search", "green tea", "--json")
    assert found.code == 0, found.err
    assert found.json["legs"] == ["bm25", "vector"]
    best = found.json["hits"][0]
    assert best["path"] == "tea.md"
    assert best["reranked"]["score"] > 0.5


def test_a_reranker_can_change_the_first_place(word_reranker: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    # To the keyword search nearly every note has a ship, so it counts lamps; the reranker wants
    # both words there.
    (notes / "one.md").write_text("Lamp lamp lamp, a lamp.\n")
    (notes / "both.md").write_text("The old ship on the quiet water had the last lamp on it.\n")
    for name in "abcdef":
        (notes / f"{name}.md").write_text(f"The {name} was a ship of the line.\n")
    reranker = CrossEncoderReranker(word_reranker, "owner/words")
    with Library(
        tmp_path / "index", bundled_embedder(), IndexOptions(rerank_seconds=60), reranker
    ) as library:
        library.index(notes, embed=False)
        plain, reranked = (
            library.search(Query("ship lamp", leg="bm25", rerank=rerank))
            for rerank in (False, True)
        )
    assert plain.passages[0].chunk.note_path == "one.md"
    assert reranked.passages[0].chunk.note_path == "both.md"
    assert reranked.passages[0].reranked is not None


def test_what_is_no_reranker_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(EmbedderError, match="no model of transformers"):
        CrossEncoderReranker(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(EmbedderError, match="pickle"):
        CrossEncoderReranker(tmp_path)


def test_scores_are_the_librarys_own(word_reranker: Path) -> None:
    from sentence_transformers import CrossEncoder

    texts = ["old tea ship", "loud horse", "green tea", "unknown words only"]
    reranker = CrossEncoderReranker(word_reranker, "owner/words")
    scores = reranker.score("green tea", texts)
    plain = CrossEncoder(str(word_reranker), local_files_only=True)
    expected = plain.predict([("green tea", text) for text in texts], show_progress_bar=False)
    assert scores == pytest.approx([float(score) for score in expected], abs=1e-6)
    assert scores[2] > scores[0] > 0.3 > scores[1]
    assert all(0 <= score <= 1 for score in scores)
