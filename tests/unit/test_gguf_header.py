from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import HeaderError, ModelError, ModelNotFoundError
from models.facts import model_facts, read_facts, split_parts
from models.gguf_header import FileSource, parse_header, read_header
from tests.fixtures.gguf_files import (
    ARRAY,
    FLOAT32,
    INT32,
    STRING,
    UINT32,
    RawGguf,
    llama_metadata,
    model_bytes,
    packed_string,
    tiny_model,
)

HUGE = 1 << 60


class Bytes:
    """A source in memory that counts what is read of it."""

    name = "memory.gguf"

    def __init__(self, data: bytes, size: int | None = None) -> None:
        self.data = data
        self.size = len(data) if size is None else size
        self.read_bytes = 0

    def read(self, offset: int, size: int) -> bytes:
        piece = self.data[offset : offset + size]
        self.read_bytes += len(piece)
        return piece


def test_facts_of_a_written_model(tmp_path: Path) -> None:
    path = tmp_path / "small.gguf"
    path.write_bytes(model_bytes(file_type=15))
    facts = read_facts(path)
    assert (facts.name, facts.architecture, facts.quant) == ("Small", "llama", "Q4_K_M")
    assert (facts.layers, facts.context, facts.embedding, facts.vocabulary) == (2, 512, 64, 3)
    assert (facts.heads, facts.kv_heads, facts.key_length, facts.value_length) == (4, 2, 16, 16)
    assert facts.layer_bytes == (128, 128)
    assert (facts.embedding_bytes, facts.output_bytes, facts.tensor_bytes) == (128, 128, 384)


def test_facts_agree_with_the_reference_reader(tmp_path: Path) -> None:
    from gguf import GGUFReader

    path = tiny_model(tmp_path / "tiny.gguf", chat_template="{{ messages }}")
    reader = GGUFReader(path)
    facts, header = read_facts(path), read_header(path)
    assert {t.name: (t.shape, t.bytes) for t in header.tensors} == {
        t.name: (tuple(int(n) for n in t.shape), int(t.n_bytes)) for t in reader.tensors
    }
    assert header.data_offset == reader.data_offset
    assert facts.tensor_bytes == sum(int(t.n_bytes) for t in reader.tensors)
    assert facts.chat_template == "{{ messages }}"
    assert facts.vocabulary == len(reader.fields["tokenizer.ggml.tokens"].data)


def test_a_long_vocabulary_is_counted_and_not_kept() -> None:
    tokens = [f"token{n}" for n in range(200_000)]
    metadata = [*llama_metadata()[:-1], ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens))]
    header = parse_header(Bytes(RawGguf([*metadata, ("after", UINT32, 7)]).bytes()))
    assert header.lengths["tokenizer.ggml.tokens"] == 200_000
    assert "tokenizer.ggml.tokens" not in header.metadata
    assert header.number("after") == 7


def test_a_header_is_read_without_the_weights() -> None:
    data = model_bytes(padding=200_000)
    source = Bytes(data)
    parse_header(source)
    assert source.read_bytes <= 1 << 20 < len(data)


def test_per_layer_numbers_give_the_largest() -> None:
    heads = ("llama.attention.head_count_kv", ARRAY, (UINT32, [0, 8, 4]))
    metadata = [item for item in llama_metadata() if item[0] != heads[0]]
    header = parse_header(Bytes(RawGguf([*metadata, heads]).bytes()))
    assert header.number("llama.attention.head_count_kv") == 8


def gguf_with(**changes: object) -> bytes:
    return RawGguf(llama_metadata(), **changes).bytes()  # type: ignore[arg-type]


DAMAGED = {
    "empty": b"",
    "text": b"This is not a model at all.\n" * 4,
    "magic": gguf_with(magic=b"GGML"),
    "version": gguf_with(version=1),
    "big-endian version": gguf_with(version=3 << 24),
    "tensor count": gguf_with(tensor_count=HUGE),
    "key count": gguf_with(key_count=HUGE),
    "one key too many": gguf_with(key_count=9),
    "string length": b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", HUGE) + b"x" * 64,
    "unknown kind": b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + packed_string("k") + b"\x63" * 64,
    "array length": b"GGUF"
    + struct.pack("<IQQ", 3, 0, 1)
    + packed_string("k")
    + struct.pack("<IIQ", ARRAY, UINT32, HUGE)
    + b"\0" * 64,
    "string array length": b"GGUF"
    + struct.pack("<IQQ", 3, 0, 1)
    + packed_string("k")
    + struct.pack("<IIQ", ARRAY, STRING, 6)
    + struct.pack("<Q", HUGE) * 6,
    "nested arrays": b"GGUF"
    + struct.pack("<IQQ", 3, 0, 1)
    + packed_string("k")
    + struct.pack("<I", ARRAY)
    + struct.pack("<IQ", ARRAY, 1) * 5000,
    "doubled key": RawGguf([("k", UINT32, 1), ("k", UINT32, 2)]).bytes(),
    "alignment": RawGguf([("general.alignment", UINT32, 3)]).bytes(),
    "dimensions": gguf_with(tensors=[("t", (1,) * 9, 0, 0)]),
    "zero side": gguf_with(tensors=[("t", (0, 4), 0, 0)]),
    "huge side": gguf_with(tensors=[("t", (HUGE, HUGE), 0, 0)]),
    "half a block": gguf_with(tensors=[("t", (100,), 12, 0)]),
    "unknown type": gguf_with(tensors=[("t", (4,), 77, 0)]),
    "offset": gguf_with(tensors=[("t", (4,), 0, HUGE)]),
    "misaligned": gguf_with(tensors=[("t", (4,), 0, 5)], data=b"\0" * 64),
    "overlap": gguf_with(tensors=[("t", (16,), 0, 0), ("u", (16,), 0, 32)], data=b"\0" * 128),
    "same name": gguf_with(tensors=[("t", (8,), 0, 0), ("t", (8,), 0, 32)], data=b"\0" * 64),
    "weights missing": model_bytes()[:-1],
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_or_hostile_header_is_refused_in_words(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(HeaderError) as error:
        read_header(path)
    assert "bad.gguf" in error.value.title
    assert error.value.remedy


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    data = model_bytes()
    for size in range(0, len(data), 7):
        with pytest.raises(HeaderError):
            parse_header(Bytes(data[:size]))


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_no_change_of_bytes_gets_past_with_anything_but_a_header_error(data: st.DataObject) -> None:
    content = bytearray(model_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        header = parse_header(Bytes(bytes(content)))
        facts = model_facts(header)
    except HeaderError:
        return
    assert 0 < facts.layers == len(facts.layer_bytes)
    assert min(facts.heads, facts.kv_heads, facts.key_length, facts.embedding, facts.context) >= 0
    end = max((header.data_offset + t.offset + t.bytes for t in header.tensors), default=0)
    assert end <= len(content)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), 1.5])
def test_a_number_that_is_none_counts_as_missing(value: float) -> None:
    metadata = [item for item in llama_metadata() if "block_count" not in item[0]]
    odd = ("general.file_type", FLOAT32, value)
    whole = ("llama.block_count", FLOAT32, 2.0)
    tensors: list[tuple[str, tuple[int, ...], int, int]] = [("token_embd.weight", (8, 4), 0, 0)]
    data = RawGguf([*metadata, whole, odd], tensors, b"\0" * 128).bytes()
    facts = model_facts(parse_header(Bytes(data)))
    assert (facts.layers, facts.quant) == (2, "F32")
    broken = RawGguf([*metadata, ("llama.block_count", FLOAT32, value)]).bytes()
    with pytest.raises(HeaderError, match="not a language model"):
        model_facts(parse_header(Bytes(broken)))


@pytest.mark.parametrize(
    "key",
    ["embedding_length", "context_length", "vocab_size"]
    + [f"attention.{name}" for name in ("head_count", "head_count_kv", "key_length")],
)
def test_a_size_below_zero_is_refused(key: str) -> None:
    metadata = [
        item
        for item in llama_metadata()
        if item[0] not in (f"llama.{key}", "tokenizer.ggml.tokens")
    ]
    data = RawGguf([*metadata, (f"llama.{key}", INT32, -4)]).bytes()
    with pytest.raises(HeaderError, match=f"{key} is -4"):
        model_facts(parse_header(Bytes(data)))


def test_files_that_are_not_language_models_are_told_apart(tmp_path: Path) -> None:
    path = RawGguf([("general.architecture", STRING, "clip")]).write(tmp_path / "mmproj.gguf")
    with pytest.raises(HeaderError, match="not a language model"):
        read_facts(path)


def test_a_path_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        read_header(tmp_path)
    with pytest.raises(ModelNotFoundError):
        read_facts(tmp_path / "none.gguf")


def test_parts_of_a_split_model_count_together(tmp_path: Path) -> None:
    names = split_parts("m-00001-of-00002.gguf")
    assert names == ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf")
    first = RawGguf(llama_metadata(), [("token_embd.weight", (8, 4), 0, 0)], b"\0" * 128)
    second = RawGguf([], [("blk.1.attn_q.weight", (8, 4), 0, 0)], b"\0" * 128)
    first.write(tmp_path / names[0])
    with pytest.raises(HeaderError, match="missing"):
        read_facts(tmp_path / names[0])
    second.write(tmp_path / names[1])
    facts = read_facts(tmp_path / names[0])
    assert facts.tensor_bytes == 256
    assert facts.layer_bytes == (0, 128)


@pytest.mark.parametrize("numbers", ["00001-of-00000", "00000-of-00002", "00003-of-00002"])
def test_a_number_outside_of_its_total_is_only_a_name(numbers: str) -> None:
    assert split_parts(f"m-{numbers}.gguf") == (f"m-{numbers}.gguf",)


def test_a_source_on_disk_reads_where_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(bytes(range(100)))
    assert FileSource(path, 100).read(10, 3) == bytes([10, 11, 12])
    assert FileSource(path, 100).read(98, 10) == bytes([98, 99])


def test_header_errors_are_model_errors() -> None:
    assert issubclass(HeaderError, ModelError)
