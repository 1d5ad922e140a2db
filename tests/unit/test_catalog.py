from __future__ import annotations

import pytest

from models.catalog import CATALOG, propose
from models.hardware import detect, physical_cores
from models.names import parse_repo
from models.quant import level_of
from models.types import GpuDevice, Hardware

GIB = 1 << 30


def machine(ram: float, cores: int, gpu: float = 0) -> Hardware:
    gpus = (GpuDevice("CUDA0", "", int(gpu * GIB), int(gpu * GIB)),) if gpu else ()
    return Hardware(int(ram * GIB), int(ram * GIB * 0.8), cores, gpus)


@pytest.mark.parametrize(
    ("hardware", "title"),
    [
        (machine(1, 2), None),
        (machine(2.5, 2), "LFM2 350M"),
        (machine(4, 2), "LFM2 1.2B RAG"),
        (machine(64, 2), "LFM2 1.2B RAG"),
        (machine(16, 4), "Qwen3 4B Instruct 2507"),
        (machine(16, 8), "Qwen3 8B"),
        (machine(64, 16), "Qwen3 14B"),
        (machine(8, 2, gpu=4), "Qwen3 4B Instruct 2507"),
        (machine(16, 4, gpu=12), "Qwen3 14B"),
    ],
)
def test_the_proposal_suits_the_machine(hardware: Hardware, title: str | None) -> None:
    entry = propose(hardware)
    assert (entry.title if entry else None) == title


def test_memory_that_is_taken_is_not_counted() -> None:
    busy = Hardware(64 * GIB, 2 * GIB, 16)
    entry = propose(busy)
    assert entry is not None
    assert entry.bytes < 1 * GIB


def test_entries_are_whole_and_in_order_of_size() -> None:
    assert [entry.bytes for entry in CATALOG] == sorted(entry.bytes for entry in CATALOG)
    assert len({entry.repo for entry in CATALOG}) == len(CATALOG)
    for entry in CATALOG:
        parsed = parse_repo(entry.name)
        assert parsed is not None
        assert (parsed.repo, level_of(parsed.level) is not None) == (entry.repo, True)
        # A Q4_K_M file has 4.4 to 6 bits for each weight, the more the smaller the model
        assert 4.4 < entry.bytes * 8 / (entry.parameters * 1e9) < 6
        assert entry.note.endswith(".")
        assert entry.context >= 8192


def test_this_machine_has_memory_and_cores() -> None:
    gpu = GpuDevice("Metal", "", 1, 2)
    found = detect([gpu])
    assert 0 < found.ram_free <= found.ram_total
    assert found.cores == physical_cores() >= 1
    assert found.gpus == (gpu,)
