from __future__ import annotations

import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType

from models.quant import LEVELS, PREFERENCE, TYPES, level_of, name_of_file_type, parse_level


@pytest.mark.parametrize("kind", list(GGMLQuantizationType), ids=lambda kind: kind.name)
def test_sizes_are_those_of_ggml(kind: GGMLQuantizationType) -> None:
    ours = TYPES[int(kind)]
    assert ours.name == kind.name
    if kind is not GGMLQuantizationType.Q8_1:  # gguf counts its scales as f32, ggml.c as f16
        assert (ours.block, ours.block_bytes) == GGML_QUANT_SIZES[kind]


def test_bits_per_weight_are_counted_with_the_scales() -> None:
    by_name = {kind.name: kind for kind in TYPES.values()}
    assert by_name["Q4_0"].bits_per_weight == 4.5
    assert by_name["Q4_K"].bits_per_weight == 4.5
    assert by_name["Q6_K"].bits_per_weight == 6.5625
    assert by_name["Q4_K"].size(2560 * 256) == 2560 * 144


def test_every_file_type_of_llama_cpp_has_a_name() -> None:
    for kind in LlamaFileType:
        if kind is LlamaFileType.GUESSED:
            continue
        plain = kind.name.removeprefix("MOSTLY_").removeprefix("ALL_").removesuffix("_MOE")
        assert name_of_file_type(int(kind)) == plain
    assert name_of_file_type(999) == ""


@pytest.mark.parametrize(
    ("filename", "level"),
    [
        ("Qwen3-0.6B-Q8_0.gguf", "Q8_0"),
        ("Qwen3-4B-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("model.IQ2_XXS.gguf", "IQ2_XXS"),
        ("gpt-oss-20b-MXFP4.gguf", "MXFP4"),
        ("gemma-3-4b-it-bf16.gguf", "BF16"),
        ("m_f16.gguf", "F16"),
        ("big-Q4_K_M-00001-of-00002.gguf", "Q4_K_M"),
        ("m-q4_k_m.gguf", "Q4_K_M"),
        ("Q5_K_S/model.gguf", "Q5_K_S"),
        ("F16-source-Q4_0.gguf", "Q4_0"),
        ("TriLM-TQ1_0.gguf", "TQ1_0"),
        ("stories260K.gguf", ""),
        ("Q4ever.gguf", ""),
    ],
)
def test_the_level_is_read_from_the_file_name(filename: str, level: str) -> None:
    assert parse_level(filename) == level


def test_every_level_that_is_preferred_is_explained() -> None:
    assert {level.name for level in LEVELS} >= set(PREFERENCE)
    assert level_of("ud-q4_k_xl") is not None
    assert level_of("Q9_Z") is None
