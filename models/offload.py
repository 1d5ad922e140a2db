"""How a model is to be placed on this machine, item by item. Pure arithmetic.

llama.cpp keeps the token embedding in main memory, places whole blocks on GPUs from the last one
down, and the output layer counts as one block more. A block on a GPU brings its share of the KV
cache with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from models.types import Hardware, LoadOptions, ModelFacts, OffloadPlan, PlanItem

MIB = 1 << 20
DEFAULT_CONTEXT = 8192
"""Tokens of context when the person sets none and the model allows more."""
UBATCH = 512
"""Tokens that llama.cpp computes at a time; the compute buffer is sized for them."""
KV_BYTES = 2
"""Bytes of one cached number: f16."""
DRIVER_BYTES = 320 * MIB
"""What a CUDA context takes on its device before anything is placed."""
GPU_MARGIN = 512 * MIB
"""Left free on a device: estimates err, and screens draw."""
RAM_MARGIN = 512 * MIB
"""Left free in main memory for the rest of the system."""


def planned_context(facts: ModelFacts, options: LoadOptions) -> int:
    """Return the tokens of context to load with."""
    own = facts.context or DEFAULT_CONTEXT
    return min(options.context or DEFAULT_CONTEXT, own)


def kv_bytes(facts: ModelFacts, context: int) -> int:
    """Count the bytes of one block's keys and values for this many tokens."""
    width = facts.kv_heads * (facts.key_length + facts.value_length)
    return context * width * KV_BYTES


def compute_bytes(facts: ModelFacts, context: int) -> int:
    """Estimate llama.cpp's buffers for intermediate results.

    For a micro-batch: the attention mask in half precision, and activations in single precision,
    of which about fourteen rows as wide as the residual stream are alive at once (the feed-forward
    part is wider, but only two of its rows are). One row of logits, since Alcove asks for one.
    """
    activations = UBATCH * facts.embedding * 4 * 14
    return activations + UBATCH * context * 2 + facts.vocabulary * 4


def _fitting(facts: ModelFacts, per_block: int, rooms: Sequence[int]) -> int:
    """Count the layers, from the last block down and the output layer first, that fit."""
    sizes = [facts.output_bytes, *(size + per_block for size in reversed(facts.layer_bytes))]
    placed, device = 0, 0
    free = list(rooms)
    for size in sizes:
        while device < len(free) and free[device] < size:
            device += 1
        if device == len(free):
            break
        free[device] -= size
        placed += 1
    return placed


def plan(facts: ModelFacts, hardware: Hardware, options: LoadOptions) -> OffloadPlan:
    """Place a model: how many layers go to GPUs, what each device holds, whether it fits.

    ``options.gpu_layers`` of -1 asks for as many layers as fit; another number is kept and only
    judged. All sizes are bytes.
    """
    context = planned_context(facts, options)
    per_block, compute = kv_bytes(facts, context), compute_bytes(facts, context)
    total = facts.layers + 1
    rooms = [max(0, gpu.free - DRIVER_BYTES - GPU_MARGIN - compute) for gpu in hardware.gpus]
    fitting = _fitting(facts, per_block, rooms)
    layers = fitting if options.gpu_layers < 0 else min(options.gpu_layers, total)
    if not hardware.gpus:
        layers = 0
    items = _items(facts, hardware, layers, per_block, compute)
    needed = sum(item.bytes for item in items if item.device == "CPU")
    short = needed + RAM_MARGIN - hardware.ram_free
    draft = OffloadPlan(layers, total, context, items, "", ())
    if short > 0:
        return _too_big(draft, facts, short)
    if layers > fitting:
        return replace(
            draft,
            verdict=f"{layers} layers do not fit on the GPU; {fitting} would.",
            remedies=(f"Use {fitting} layers on the GPU.", "Use a shorter context."),
        )
    return replace(draft, verdict=_verdict(layers, total, needed))


def _items(
    facts: ModelFacts, hardware: Hardware, layers: int, per_block: int, compute: int
) -> tuple[PlanItem, ...]:
    on_gpu = max(0, layers - 1)
    on_cpu = facts.layers - on_gpu
    weights = facts.embedding_bytes + sum(facts.layer_bytes[:on_cpu])
    shares_embedding = facts.output_bytes + facts.embedding_bytes + sum(facts.layer_bytes) > (
        facts.tensor_bytes
    )
    if not layers and not shares_embedding:
        weights += facts.output_bytes
    items = [PlanItem("weights", "CPU", weights)]
    if on_cpu:
        items.append(PlanItem("KV cache", "CPU", on_cpu * per_block))
    items.append(PlanItem("compute", "CPU", compute))
    if layers and hardware.gpus:
        name = "+".join(gpu.name for gpu in hardware.gpus)
        count = len(hardware.gpus)
        placed = facts.output_bytes + sum(facts.layer_bytes[on_cpu:])
        items += [
            PlanItem("weights", name, placed),
            PlanItem("KV cache", name, on_gpu * per_block),
            PlanItem("compute", name, compute * count),
            PlanItem("driver", name, DRIVER_BYTES * count),
        ]
    return tuple(items)


def _verdict(layers: int, total: int, needed: int) -> str:
    memory = f"{needed / (1 << 30):.1f} GiB of main memory"
    if layers >= total:
        return f"Fits on the GPU whole, with {memory}."
    if layers:
        return f"Fits in part: {layers} of {total} layers on the GPU, and {memory}."
    return f"Fits in {memory}."


def _too_big(draft: OffloadPlan, facts: ModelFacts, short: int) -> OffloadPlan:
    per_token = kv_bytes(facts, 1) * facts.layers
    remedies = []
    spare = draft.context - 2048
    if per_token and spare * per_token >= short:
        context = draft.context - -(-short // per_token)
        remedies.append(f"Use a context of {context // 256 * 256:,} tokens.")
    remedies += [
        "Close programs that hold memory.",
        "Choose a smaller model or a smaller quantization level.",
    ]
    return replace(
        draft,
        verdict=f"Does not fit: {short / (1 << 30):.1f} GiB of main memory are missing.",
        remedies=tuple(remedies),
    )
