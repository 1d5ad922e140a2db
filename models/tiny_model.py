"""Writes small llama-architecture GGUF files with random weights, for self-tests and benchmarks.

The weights mean nothing; what matters is that llama.cpp runs the same kernels on them as on a real
model of the same tensor types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.quant import TYPES

if TYPE_CHECKING:
    from gguf import GGUFWriter

BYTES = NDArray[np.uint8]
CHATML_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_NORMAL, _CONTROL = 1, 3  # gguf.TokenType
_IDS = {kind.name: kind.id for kind in TYPES.values()}
_HALF = {"Q4_0": (0,), "Q8_0": (0,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}
"""Where in a block each type keeps its half-precision scales (ggml-common.h)."""


@dataclass(frozen=True, slots=True)
class TinyModel:
    """Shape and storage of a model to write.

    Widths must be multiples of 256 for the K types.
    """

    embedding: int = 256
    """Width of the residual stream."""
    layers: int = 2
    """Transformer blocks."""
    heads: int = 4
    """Attention heads."""
    kv_heads: int = 2
    """Key/value heads."""
    feed_forward: int = 512
    """Width of the feed-forward part."""
    context: int = 512
    """Tokens of context."""
    types: Sequence[str] = ("Q4_K", "Q6_K", "Q8_0", "Q4_0")
    """Types of the weight matrices, used in turn."""
    filler_tokens: int = 0
    """Tokens added to the vocabulary beyond bytes and control tokens."""
    chat_template: str = ""
    """Jinja source; empty for none."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Further texts for the metadata."""


def byte_characters() -> list[str]:
    """Return the character by which byte-level BPE writes each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    mapped = dict(zip(printable, map(chr, printable), strict=True))
    mapped |= {byte: chr(256 + n) for n, byte in enumerate(others)}
    return [mapped[byte] for byte in range(256)]


def random_tensor(generator: np.random.Generator, rows: int, columns: int, name: str) -> BYTES:
    """Make the bytes of a random matrix of a type: shape (rows, bytes of a row).

    Quantized values are random bits; the scales are small, so that activations stay finite.
    """
    kind = TYPES[_IDS[name]]
    if name in ("F32", "F16"):
        values = generator.standard_normal((rows, columns)) * 0.05
        return values.astype(np.float32 if name == "F32" else np.float16).view(np.uint8)
    blocks = columns // kind.block
    data = generator.integers(0, 256, (rows * blocks, kind.block_bytes), dtype=np.uint8)
    scale = np.array([0.0005 if name.endswith("K") else 0.005], dtype="<f2").view(np.uint8)
    for offset in _HALF[name]:
        data[:, offset : offset + 2] = scale
    return data.reshape(rows, blocks * kind.block_bytes)


def _matrices(shape: TinyModel, vocabulary: int) -> dict[str, tuple[int, int]]:
    width, head = shape.embedding, shape.embedding // shape.heads
    found = {"token_embd.weight": (vocabulary, width)}
    for layer in range(shape.layers):
        prefix = f"blk.{layer}."
        found[prefix + "attn_q.weight"] = (width, width)
        found[prefix + "attn_k.weight"] = (head * shape.kv_heads, width)
        found[prefix + "attn_v.weight"] = (head * shape.kv_heads, width)
        found[prefix + "attn_output.weight"] = (width, width)
        found[prefix + "ffn_gate.weight"] = (shape.feed_forward, width)
        found[prefix + "ffn_up.weight"] = (shape.feed_forward, width)
        found[prefix + "ffn_down.weight"] = (width, shape.feed_forward)
    return found | {"output.weight": (vocabulary, width)}


def write_tiny_model(path: Path, shape: TinyModel | None = None, seed: int = 0) -> None:
    """Write a model with a byte-level vocabulary and ChatML's control tokens."""
    import gguf

    shape = shape or TinyModel()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.embedding)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.embedding // shape.heads)
    vocabulary = _add_vocabulary(writer, shape)
    for key, value in shape.metadata.items():
        writer.add_string(key, value)
    generator = np.random.default_rng(seed)
    ones = np.ones(shape.embedding, dtype=np.float32)
    writer.add_tensor("output_norm.weight", ones)
    for layer in range(shape.layers):
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", ones)
        writer.add_tensor(f"blk.{layer}.ffn_norm.weight", ones)
    for n, (name, (rows, columns)) in enumerate(_matrices(shape, vocabulary).items()):
        kind = shape.types[n % len(shape.types)]
        data = random_tensor(generator, rows, columns, kind)
        writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType(_IDS[kind]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: GGUFWriter, shape: TinyModel) -> int:
    """Add the tokenizer and return its size."""
    characters = byte_characters()
    merges = ["h e", "l l", "Ġ t", "Ċ Ċ"]
    normal = [*characters, *(merge.replace(" ", "") for merge in merges)]
    normal += [f"filler{n}" for n in range(shape.filler_tokens)]
    tokens = [*normal, *CHATML_SPECIALS]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([_NORMAL] * len(normal) + [_CONTROL] * len(CHATML_SPECIALS))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    if shape.chat_template:
        writer.add_chat_template(shape.chat_template)
    return len(tokens)
