"""Decoding through Alcove's loop against a bare loop of llama_decode and greedy sampling.

``python -m tests.benchmarks.bench_decode [MODEL.gguf] [--tokens N] [--rounds N] [--threads N]``.
Without a file a model of random weights is written (about 70 MB). The two loops take turns, so that
whatever else the machine does falls on both; the best round of each counts.
"""

from __future__ import annotations

import argparse
import ctypes
import tempfile
import time
from pathlib import Path

import pytest

from models.llama import LlamaModel
from models.llama.binding import library
from models.tiny_model import TinyModel, write_tiny_model
from models.types import ChatMessage, Completed, GenerationOptions, LoadOptions

SHAPE = TinyModel(
    embedding=768,
    layers=8,
    heads=12,
    kv_heads=4,
    feed_forward=2048,
    context=2048,
    types=("Q4_K", "Q6_K", "Q4_K", "Q4_K"),
    filler_tokens=32_000,
)
PROMPT = [ChatMessage("user", "Write a long story about a lighthouse. " * 8)]


class BareLoop:
    """The least that decodes: one context, one token at a time, greedy, no text."""

    def __init__(self, path: Path, threads: int) -> None:
        self.native = native = library()
        params = native.llama_model_default_params()
        self.model = native.llama_model_load_from_file(str(path).encode(), params)
        settings = native.llama_context_default_params()
        settings.n_ctx, settings.n_batch = 2048, 512
        settings.n_threads = settings.n_threads_batch = threads
        self.context = native.llama_init_from_model(self.model, settings)
        self.memory = native.llama_get_memory(self.context)
        self.sampler = native.llama_sampler_init_greedy()

    def decode(self, prompt: list[int], tokens: int) -> float:
        """Read a prompt, then return the seconds that this many tokens take."""
        native, context = self.native, self.context
        native.llama_memory_clear(self.memory, True)
        ids = (ctypes.c_int32 * len(prompt))(*prompt)
        native.llama_decode(context, native.llama_batch_get_one(ids, len(prompt)))
        native.llama_synchronize(context)
        one = (ctypes.c_int32 * 1)()
        started = time.perf_counter()
        for _ in range(tokens):
            one[0] = native.llama_sampler_sample(self.sampler, context, -1)
            native.llama_decode(context, native.llama_batch_get_one(one, 1))
        native.llama_synchronize(context)
        return time.perf_counter() - started

    def close(self) -> None:
        self.native.llama_sampler_free(self.sampler)
        self.native.llama_free(self.context)
        self.native.llama_model_free(self.model)


def own_loop(model: LlamaModel, tokens: int) -> tuple[int, float]:
    """Return the tokens written by Alcove's loop and the seconds they took."""
    events = list(model.stream(PROMPT, GenerationOptions(max_tokens=tokens, temperature=0)))
    last = events[-1]
    assert isinstance(last, Completed)
    return last.completion_tokens, last.decode_seconds


def compare(path: Path, tokens: int, rounds: int, threads: int) -> tuple[float, float]:
    """Return tokens/s of Alcove's loop and of the bare one, the best of the rounds."""
    model = LlamaModel.load(LoadOptions(path, context=2048, threads=threads))
    bare = BareLoop(path, model._native.llama_n_threads(model._loaded.context))
    prompt = model.prompt_ids(PROMPT)
    ours = theirs = 0.0
    for _ in range(rounds):
        written, seconds = own_loop(model, tokens)
        ours = max(ours, written / seconds)
        theirs = max(theirs, written / bare.decode(prompt, written))
    bare.close()
    model.close()
    return ours, theirs


def report(path: Path, tokens: int, rounds: int, threads: int) -> None:
    ours, theirs = compare(path, tokens, rounds, threads)
    print(
        f"decode: {ours:.1f} tokens/s, bare loop {theirs:.1f} tokens/s, ratio {ours / theirs:.3f}"
    )


@pytest.mark.benchmark
def test_decoding_rate(tmp_path: Path) -> None:
    path = tmp_path / "random.gguf"
    write_tiny_model(path, SHAPE)
    report(path, tokens=64, rounds=4, threads=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.model or Path(folder) / "random.gguf"
        if options.model is None:
            write_tiny_model(path, SHAPE)
            print(f"random weights, {path.stat().st_size / 1e6:.0f} MB")
        report(path, options.tokens, options.rounds, options.threads)


if __name__ == "__main__":
    main()
