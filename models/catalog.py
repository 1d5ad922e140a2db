"""Instruct models that run well on one's own machine, and which of them to propose for it.

Sizes are those of the Q4_K_M file named by the repository; the menu of levels always comes from
the repository itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.types import Hardware

GIB = 1 << 30
_OVERHEAD = 1 * GIB
"""KV cache of a usual context, compute buffers and the embedder, beside the weights."""
_RAM_SHARE = 0.5
"""Share of main memory a proposal may take: the person has other programs open."""
_GPU_SHARE = 0.9
"""Share of a GPU's free memory a proposal may take."""
_BYTES_BY_CORES = ((4, 1.3e9), (8, 2.6e9), (16, 5.5e9))
"""Weights that decode at reading speed on fewer cores than this: each token reads them all."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A model worth knowing."""

    repo: str
    """Repository on the hub: ``owner/name``."""
    quant: str
    """Level to take."""
    title: str
    """Name for people."""
    parameters: float
    """Weights, in billions."""
    bytes: int
    """Bytes of the file at that level."""
    context: int
    """Tokens of context the model was made for."""
    licence: str
    """Licence of the weights."""
    note: str
    """What it is good at."""

    @property
    def name(self) -> str:
        """What to download: ``owner/name:QUANT``."""
        return f"{self.repo}:{self.quant}"


def _entry(
    repo: str, title: str, facts: tuple[float, float, int], licence: str, note: str
) -> CatalogEntry:
    parameters, gigabytes, context = facts
    size = int(gigabytes * 1e9)
    return CatalogEntry(repo, "Q4_K_M", title, parameters, size, context, licence, note)


CATALOG: tuple[CatalogEntry, ...] = (
    _entry(
        "LiquidAI/LFM2-350M-GGUF",
        "LFM2 350M",
        (0.35, 0.23, 32_768),
        "LFM Open License 1.0",
        "The smallest that answers in sentences; for very small machines.",
    ),
    _entry(
        "unsloth/Qwen3-0.6B-GGUF",
        "Qwen3 0.6B",
        (0.6, 0.40, 40_960),
        "Apache 2.0",
        "Quick on any machine, in many languages; keep questions simple.",
    ),
    _entry(
        "LiquidAI/LFM2-1.2B-RAG-GGUF",
        "LFM2 1.2B RAG",
        (1.2, 0.73, 32_768),
        "LFM Open License 1.0",
        "Made for answering from given documents; quick.",
    ),
    _entry(
        "unsloth/Qwen3-1.7B-GGUF",
        "Qwen3 1.7B",
        (1.7, 1.11, 40_960),
        "Apache 2.0",
        "A good small all-rounder in many languages.",
    ),
    _entry(
        "ggml-org/SmolLM3-3B-GGUF",
        "SmolLM3 3B",
        (3.1, 1.92, 65_536),
        "Apache 2.0",
        "Open data and training; European languages.",
    ),
    _entry(
        "ibm-granite/granite-4.0-micro-GGUF",
        "Granite 4.0 Micro",
        (3.4, 2.10, 131_072),
        "Apache 2.0",
        "Sober answers from documents, long context.",
    ),
    _entry(
        "ggml-org/gemma-3-4b-it-GGUF",
        "Gemma 3 4B",
        (3.9, 2.49, 131_072),
        "Gemma Terms of Use",
        "Fluent prose in over a hundred languages.",
    ),
    _entry(
        "unsloth/Qwen3-4B-Instruct-2507-GGUF",
        "Qwen3 4B Instruct 2507",
        (4.0, 2.50, 262_144),
        "Apache 2.0",
        "The best of its size at following instructions and citing notes.",
    ),
    _entry(
        "bartowski/Meta-Llama-3.1-8B-Instruct-GGUF",
        "Llama 3.1 8B",
        (8.0, 4.92, 131_072),
        "Llama 3.1 Community License",
        "Well known and steady.",
    ),
    _entry(
        "unsloth/Qwen3-8B-GGUF",
        "Qwen3 8B",
        (8.2, 5.03, 40_960),
        "Apache 2.0",
        "Careful answers over several notes at once.",
    ),
    _entry(
        "ggml-org/gemma-3-12b-it-GGUF",
        "Gemma 3 12B",
        (11.8, 7.30, 131_072),
        "Gemma Terms of Use",
        "Fluent prose and good judgement; for a GPU or much patience.",
    ),
    _entry(
        "unsloth/Qwen3-14B-GGUF",
        "Qwen3 14B",
        (14.8, 9.00, 40_960),
        "Apache 2.0",
        "The strongest here; for a GPU of 12 GB or more.",
    ),
)
"""Known models, smallest first."""

_PROPOSED = (
    "LiquidAI/LFM2-350M-GGUF",
    "unsloth/Qwen3-0.6B-GGUF",
    "LiquidAI/LFM2-1.2B-RAG-GGUF",
    "unsloth/Qwen3-4B-Instruct-2507-GGUF",
    "unsloth/Qwen3-8B-GGUF",
    "unsloth/Qwen3-14B-GGUF",
)
"""What is proposed, worst first: the best at answering from notes in each class of size."""


def propose(hardware: Hardware) -> CatalogEntry | None:
    """Pick the best model that this machine runs comfortably; None when even the smallest is not.

    Comfortably means whole on the largest GPU, or in half of main memory and, since every token
    reads all weights, small enough for the cores.
    """
    by_repo = {entry.repo: entry for entry in CATALOG}
    fitting = [by_repo[repo] for repo in _PROPOSED if fits(by_repo[repo], hardware)]
    return fitting[-1] if fitting else None


def fits(entry: CatalogEntry, hardware: Hardware) -> bool:
    """Tell whether a machine runs a model comfortably: see ``propose``."""
    needed = entry.bytes + _OVERHEAD
    if any(needed <= gpu.free * _GPU_SHARE for gpu in hardware.gpus):
        return True
    limits = [limit for cores, limit in _BYTES_BY_CORES if hardware.cores < cores]
    quick = not limits or entry.bytes <= limits[0]
    return quick and needed <= min(hardware.ram_total * _RAM_SHARE, hardware.ram_free)
