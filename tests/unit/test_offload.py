from __future__ import annotations

from pathlib import Path
from typing import Any

from models.offload import DRIVER_BYTES, GPU_MARGIN, MIB, RAM_MARGIN, compute_bytes, kv_bytes, plan
from models.types import GpuDevice, Hardware, LoadOptions, ModelFacts, OffloadPlan

GIB = 1 << 30
FACTS = ModelFacts(
    name="Seven",
    architecture="llama",
    quant="Q4_K_M",
    layers=4,
    context=32_768,
    embedding=1024,
    heads=16,
    kv_heads=8,
    key_length=64,
    value_length=64,
    vocabulary=32_000,
    tensor_bytes=(4 * 100 + 50 + 60) * MIB,
    layer_bytes=(100 * MIB,) * 4,
    chat_template="",
    embedding_bytes=50 * MIB,
    output_bytes=60 * MIB,
)
ANY = Path("model.gguf")


def options(context: int = 0, gpu_layers: int = -1) -> LoadOptions:
    return LoadOptions(ANY, context=context, gpu_layers=gpu_layers)


def machine(ram: int = 16 * GIB, *gpus: int) -> Hardware:
    devices = tuple(GpuDevice(f"CUDA{n}", "", free, free) for n, free in enumerate(gpus))
    return Hardware(ram, ram, 8, devices)


def amounts(made: OffloadPlan) -> dict[tuple[str, str], int]:
    return {(item.label, item.device): item.bytes for item in made.items}


def test_keys_and_values_of_a_block_are_two_bytes_a_number() -> None:
    # Llama 3.2 3B: 8 KV heads of 128, 28 blocks: 8,192 tokens take 896 MiB, as llama.cpp reports
    facts = ModelFacts(**{**_fields(FACTS), "kv_heads": 8, "key_length": 128, "value_length": 128})
    assert kv_bytes(facts, 8192) * 28 == 896 * MIB
    assert kv_bytes(FACTS, 8192) == 8192 * 8 * (64 + 64) * 2


def test_intermediate_results_are_near_what_llama_cpp_reports() -> None:
    # llama.cpp 0.3.36 on a CPU: 34.0 + 0.1 MiB for such a model with 32,263 tokens and 8,192 cells
    shape = {**_fields(FACTS), "vocabulary": 32_263}
    assert abs(compute_bytes(ModelFacts(**shape), 8192) - 34.1 * MIB) < 0.1 * 34.1 * MIB


def _fields(facts: ModelFacts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in ModelFacts.__dataclass_fields__}


def test_without_a_gpu_everything_is_in_main_memory() -> None:
    made = plan(FACTS, machine(), options())
    assert (made.gpu_layers, made.total_layers, made.context) == (0, 5, 8192)
    assert amounts(made) == {
        ("weights", "CPU"): 510 * MIB,
        ("KV cache", "CPU"): 4 * 16 * MIB,
        ("compute", "CPU"): compute_bytes(FACTS, 8192),
    }
    assert made.verdict.startswith("Fits in ")
    assert made.remedies == ()


def test_a_large_gpu_takes_all_but_the_embedding() -> None:
    made = plan(FACTS, machine(16 * GIB, 8 * GIB), options())
    assert made.gpu_layers == 5
    found = amounts(made)
    assert found["weights", "CPU"] == 50 * MIB
    assert found["weights", "CUDA0"] == 460 * MIB
    assert found["KV cache", "CUDA0"] == 64 * MIB
    assert found["driver", "CUDA0"] == DRIVER_BYTES
    assert ("KV cache", "CPU") not in found


def test_a_small_gpu_takes_the_output_and_as_many_blocks_as_fit() -> None:
    room = 60 * MIB + 2 * (100 + 16) * MIB
    fixed = DRIVER_BYTES + GPU_MARGIN + compute_bytes(FACTS, 8192)
    made = plan(FACTS, machine(16 * GIB, room + fixed), options())
    assert made.gpu_layers == 3
    found = amounts(made)
    assert found["weights", "CPU"] == (50 + 200) * MIB
    assert found["weights", "CUDA0"] == (60 + 200) * MIB
    assert found["KV cache", "CPU"] == found["KV cache", "CUDA0"] == 32 * MIB
    assert "3 of 5 layers" in made.verdict
    assert plan(FACTS, machine(16 * GIB, room + fixed - 1), options()).gpu_layers == 2


def test_layers_spill_from_one_gpu_to_the_next() -> None:
    fixed = DRIVER_BYTES + GPU_MARGIN + compute_bytes(FACTS, 8192)
    one, two = fixed + 180 * MIB, fixed + 240 * MIB
    assert plan(FACTS, machine(16 * GIB, one, two), options()).gpu_layers == 4


def test_a_wish_for_layers_is_kept_and_judged() -> None:
    small = machine(16 * GIB, 1 * GIB)
    made = plan(FACTS, small, options(gpu_layers=5))
    assert made.gpu_layers == 5
    assert "do not fit" in made.verdict
    assert plan(FACTS, small, options(gpu_layers=0)).gpu_layers == 0
    assert plan(FACTS, machine(), options(gpu_layers=5)).gpu_layers == 0


def test_the_context_is_the_models_own_at_most() -> None:
    assert plan(FACTS, machine(), options(context=100_000)).context == 32_768
    assert plan(FACTS, machine(), options(context=2000)).context == 2000


def test_too_little_memory_is_said_with_what_would_help() -> None:
    needed = sum(item.bytes for item in plan(FACTS, machine(), options()).items)
    fits = plan(FACTS, machine(needed + RAM_MARGIN), options())
    short = plan(FACTS, machine(needed + RAM_MARGIN - 8 * MIB), options())
    assert fits.remedies == ()
    assert "Does not fit" in short.verdict
    assert short.remedies[0] == "Use a context of 7,168 tokens."
    hopeless = plan(FACTS, machine(100 * MIB), options())
    assert "smaller model" in hopeless.remedies[-1]


def test_an_embedding_shared_with_the_output_is_counted_once_on_the_cpu() -> None:
    tied = ModelFacts(**{**_fields(FACTS), "output_bytes": 50 * MIB, "tensor_bytes": 450 * MIB})
    assert amounts(plan(tied, machine(), options()))["weights", "CPU"] == 450 * MIB
    assert amounts(plan(tied, machine(16 * GIB, 8 * GIB), options()))["weights", "CUDA0"] == (
        450 * MIB
    )
