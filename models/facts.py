"""What a GGUF header says about its model: sizes, shapes, template, all parts together."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from models.errors import HeaderError
from models.gguf_header import KEPT_ITEMS, GgufHeader, TensorInfo, read_header
from models.quant import TYPES, name_of_file_type
from models.types import ModelFacts

_SPLIT = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
_BLOCK = re.compile(r"blk\.(\d{1,5})\.")


def split_parts(filename: str) -> tuple[str, ...]:
    """List the names of all parts of a split model, or the name alone when it is not split."""
    found = _SPLIT.search(filename)
    if not found:
        return (filename,)
    stem, index, total = filename[: found.start()], int(found[1]), int(found[2])
    if not 1 <= index <= total:
        return (filename,)
    return tuple(f"{stem}-{part:05d}-of-{total:05d}.gguf" for part in range(1, total + 1))


def read_facts(path: Path) -> ModelFacts:
    """Read what a model is, all its parts together. Raises ``HeaderError`` and so on."""
    parts = [path.with_name(part) for part in split_parts(path.name)]
    missing = [part.name for part in parts if not part.is_file()]
    if missing and path.is_file():
        raise HeaderError(
            f"{path.name} is one of {len(parts)} parts and {missing[0]} is missing.",
            "Download the model again; parts that are complete are kept.",
        )
    headers = [read_header(part) for part in parts]
    return model_facts(headers[0], tuple(info for header in headers for info in header.tensors))


def model_facts(header: GgufHeader, tensors: tuple[TensorInfo, ...] = ()) -> ModelFacts:
    """Tell what a header says about its model. Raises ``HeaderError`` when it is not a model.

    ``tensors`` are those of all parts of a split model; empty for the header's own.
    """
    tensors = tensors or header.tensors
    arch = header.text("general.architecture")
    layers = header.number(f"{arch}.block_count")
    if not arch or layers <= 0 or layers > KEPT_ITEMS:
        raise HeaderError(
            f"{header.source} is a GGUF file but not a language model.",
            "Adapters, vocabularies and image projectors cannot be run alone.",
        )
    embedding = _size(header, f"{arch}.embedding_length")
    heads = _size(header, f"{arch}.attention.head_count")
    width = embedding // heads if heads else 0
    layer_bytes = [0] * layers
    outside: Counter[str] = Counter()
    for tensor in tensors:
        block = _BLOCK.match(tensor.name)
        if block and int(block[1]) < layers:
            layer_bytes[int(block[1])] += tensor.bytes
        else:
            outside[tensor.name] += tensor.bytes
    embedding_bytes = outside.pop("token_embd.weight", 0)
    vocabulary = header.lengths.get("tokenizer.ggml.tokens", 0)
    return ModelFacts(
        name=header.text("general.name") or header.source,
        architecture=arch,
        quant=_level(header, tensors),
        layers=layers,
        context=_size(header, f"{arch}.context_length"),
        embedding=embedding,
        heads=heads,
        kv_heads=_size(header, f"{arch}.attention.head_count_kv", heads),
        key_length=_size(header, f"{arch}.attention.key_length", width),
        value_length=_size(header, f"{arch}.attention.value_length", width),
        vocabulary=vocabulary or _size(header, f"{arch}.vocab_size"),
        tensor_bytes=sum(tensor.bytes for tensor in tensors),
        layer_bytes=tuple(layer_bytes),
        chat_template=header.text("tokenizer.chat_template"),
        embedding_bytes=embedding_bytes,
        output_bytes=outside.total() + (0 if "output.weight" in outside else embedding_bytes),
    )


def _size(header: GgufHeader, key: str, default: int = 0) -> int:
    """Return a number of the metadata that cannot be below zero."""
    number = header.number(key, default)
    if number < 0:
        raise HeaderError(
            f"{header.source} is not a usable GGUF file: its {key} is {number}.",
            "Download the file again, or choose another one.",
        )
    return number


def _level(header: GgufHeader, tensors: tuple[TensorInfo, ...]) -> str:
    named = name_of_file_type(header.number("general.file_type", -1))
    if named or not tensors:
        return named
    weights: Counter[str] = Counter()
    for tensor in tensors:
        weights[TYPES[tensor.type].name] += tensor.bytes
    return weights.most_common(1)[0][0]
