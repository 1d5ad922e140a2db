"""The bundled embedder, as far as it goes without loading torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from retrieval.embedding import bundled_embedder, minilm_in
from retrieval.errors import EmbedderError


def test_tokens_are_word_pieces_without_special_ones_and_without_a_limit() -> None:
    embedder = bundled_embedder()
    assert embedder.count_tokens(["hello world", "", "tokenization", "word " * 1000]) == [
        2,
        0,
        2,
        1000,
    ]
    assert embedder.count_tokens([]) == []
    assert not embedder.loaded


def test_name_carries_the_weights_version() -> None:
    embedder = bundled_embedder()
    assert embedder.name == "all-MiniLM-L6-v2@53aa51172d14"
    assert (embedder.dimensions, embedder.max_tokens) == (384, 254)


def test_altered_weights_are_refused_before_torch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(EmbedderError, match="altered") as caught:
        minilm_in(tmp_path, "0" * 64).load()
    assert "pip install" in caught.value.remedy


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(EmbedderError, match=r"model\.safetensors"):
        minilm_in(tmp_path, "0" * 64).load()
    with pytest.raises(EmbedderError, match=r"tokenizer\.json"):
        minilm_in(tmp_path, "0" * 64).count_tokens(["x"])


KEYWORD_RUN = """
import sys
from pathlib import Path
from retrieval.embedding import bundled_embedder
from retrieval.library import Library
from retrieval.types import Query
with Library(Path(sys.argv[1]), bundled_embedder()) as library:
    library.index(sys.argv[2], embed=False)
    library.index(sys.argv[2], embed=False)
    for leg, wait in (("bm25", True), ("hybrid", False), ("hybrid", True)):
        result = library.search(Query("green tea", leg=leg, wait=wait))
        assert result.passages[0].chunk.note_path == "tea.md", result
        assert result.legs == ("bm25",)
    library.status()
heavy = ("torch", "chromadb", "sentence_transformers", "transformers", "huggingface_hub")
print([name for name in heavy if name in sys.modules])
"""


def test_indexing_and_searching_by_keywords_import_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/tea.md").write_text("Green tea.\n")
    (tmp_path / "notes/ale.md").write_text("Pale ale.\n")
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", KEYWORD_RUN, tmp_path / "index", tmp_path / "notes"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.stdout, run.stderr) == ("[]\n", "")
