"""Where models run."""

from __future__ import annotations

import pytest

from retrieval.sentence_models.torch_models import (
    Accelerators,
    Placement,
    choose_placement,
    load_on,
)

CUDA = Placement("cuda", "bfloat16")


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (Accelerators(), Placement("cpu", "float32")),
        (Accelerators(cuda=True, cuda_bfloat16=True), CUDA),
        (Accelerators(cuda=True, mps=True), Placement("cuda", "float16")),
        (Accelerators(mps=True), Placement("mps", "float32")),
    ],
)
def test_the_quickest_device_is_chosen(found: Accelerators, wanted: Placement) -> None:
    assert choose_placement(found) == wanted


def test_a_gpu_without_room_hands_over_to_the_cpu(caplog: pytest.LogCaptureFixture) -> None:
    tried: list[str] = []

    def place(placement: Placement) -> str:
        tried.append(placement.device)
        if placement.device == "cuda":
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return "loaded"

    with caplog.at_level("WARNING"):
        assert load_on(place, CUDA) == ("loaded", Placement("cpu", "float32"))
    assert tried == ["cuda", "cpu"]
    assert "no room" in caplog.text


def test_other_failures_are_not_tried_again() -> None:
    def place(placement: Placement) -> str:
        raise ValueError(placement.device)

    with pytest.raises(ValueError, match="cuda"):
        load_on(place, CUDA)
