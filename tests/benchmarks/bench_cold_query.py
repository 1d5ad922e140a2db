"""The first query of a process against plain ``SentenceTransformer``, and ``alcove search`` whole.

Run with ``make bench``. Fresh processes take turns, and the ratio is what counts.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from retrieval.embedding import bundled_embedder

SAMPLE_NOTES = Path(__file__).resolve().parents[2] / "app" / "sample_notes"
ROUNDS = 3

OURS = """
from retrieval.embedding import bundled_embedder
bundled_embedder().embed_query("how does the KV cache work")
"""
PLAIN = """
import sys
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(sys.argv[1], local_files_only=True)
model.encode("how does the KV cache work")
"""


def seconds(*command: str, home: Path | None = None) -> float:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "ALCOVE_HOME": str(home)}
    started = time.perf_counter()
    subprocess.run([sys.executable, *command], env=environment, capture_output=True, check=True)
    return time.perf_counter() - started


def test_the_first_query_of_a_process_against_plain_sentence_transformers() -> None:
    model = str(bundled_embedder().directory)
    pairs = [(seconds("-c", PLAIN, model), seconds("-c", OURS)) for _ in range(ROUNDS)]
    ratio = statistics.median(plain / ours for plain, ours in pairs)
    fastest = min(ours for _, ours in pairs)
    print(f"\nfirst query: {ratio:.2f} times plain, {fastest:.2f} s at best")
    assert ratio > 1.3


def test_a_cold_hybrid_search_whole(tmp_path: Path) -> None:
    alcove = ("-m", "app.__main__")
    seconds(*alcove, "index", str(SAMPLE_NOTES), home=tmp_path)
    search = ("search", "how does the KV cache work", "-k", "1")
    pairs = [
        (seconds("-c", "import sentence_transformers"), seconds(*alcove, *search, home=tmp_path))
        for _ in range(ROUNDS)
    ]
    ratio = statistics.median(whole / ours for whole, ours in pairs)
    fastest = min(ours for _, ours in pairs)
    print(
        f"\nalcove search, cold: {fastest:.2f} s at best; importing alone is {ratio:.2f} times it"
    )
    assert ratio > 0.9
