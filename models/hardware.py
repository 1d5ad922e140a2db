"""What this machine has, without llama.cpp; GPUs are asked of ``models.llama.devices``."""

from __future__ import annotations

from collections.abc import Sequence

import psutil

from models.types import GpuDevice, Hardware


def physical_cores() -> int:
    """Count the physical cores this process may use, at least 1.

    A container or an affinity mask may allow fewer than the machine has; two threads of one core
    share its vector units, so decoding gains nothing from the second.
    """
    physical = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return max(1, min(physical, _allowed()))


def _allowed() -> int:
    """Count the logical processors this process may run on."""
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):
        return len(process.cpu_affinity()) or 1
    return psutil.cpu_count() or 1


def detect(gpus: Sequence[GpuDevice] = ()) -> Hardware:
    """Measure memory and cores now; ``gpus`` are added as given."""
    memory = psutil.virtual_memory()
    return Hardware(memory.total, memory.available, physical_cores(), tuple(gpus))
