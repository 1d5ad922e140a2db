"""Values that flow through models, and the protocols its parts satisfy.

Bottom layer: standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Role = Literal["system", "user", "assistant"]
"""Who speaks in a chat message."""

FinishReason = Literal["stop", "length", "cancelled"]
"""Why an answer ended: the model ended it, the token limit did, or the person did."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A GGUF file in a repository of the hub."""

    repo: str
    """Repository: ``owner/name``."""
    filename: str
    """Path in the repository."""
    quant: str
    """Quantization level read from the name: ``Q4_K_M``; empty when it names none."""
    size: int
    """Bytes, all parts together for a split model."""
    sha256: str
    """Hex digest the hub announces; empty when it announces none."""
    revision: str
    """Commit the facts above hold for."""
    blob_id: str = ""
    """Hex id of git's blob, which is the content's only where there is no ``sha256``."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a GGUF header says about a model."""

    name: str
    """``general.name``, or the file's name."""
    architecture: str
    """``general.architecture``: ``llama``, ``qwen3``."""
    quant: str
    """Quantization level: from ``general.file_type``, else the commonest tensor type."""
    layers: int
    """Transformer blocks."""
    context: int
    """Tokens of context the model was trained for."""
    embedding: int
    """Width of the residual stream."""
    heads: int
    """Attention heads."""
    kv_heads: int
    """Key/value heads."""
    key_length: int
    """Width of one head's key."""
    value_length: int
    """Width of one head's value."""
    vocabulary: int
    """Tokens in the vocabulary."""
    tensor_bytes: int
    """Bytes of all weights."""
    layer_bytes: tuple[int, ...]
    """Bytes of the weights of each block."""
    chat_template: str
    """Jinja source of the chat template; empty when the model has none."""
    embedding_bytes: int = 0
    """Bytes of the token embedding, which llama.cpp always keeps in main memory."""
    output_bytes: int = 0
    """Bytes of the output layer; the embedding's where the two share one tensor."""


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model file on this machine."""

    name: str
    """How the person refers to it: ``owner/name:QUANT``, or the file's name."""
    path: Path
    """The file (the first part of a split model)."""
    quant: str
    """Quantization level."""
    bytes: int
    """Size on disk, all parts together."""
    architecture: str
    """``general.architecture``."""


@dataclass(frozen=True, slots=True)
class GpuDevice:
    """A device that llama.cpp can place layers on."""

    name: str
    """Backend's name: ``CUDA0``, ``Metal``."""
    description: str
    """Name for people: ``NVIDIA GeForce RTX 4060``."""
    free: int
    """Free bytes."""
    total: int
    """Bytes in all."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """What this machine offers."""

    ram_total: int
    """Bytes of main memory."""
    ram_free: int
    """Bytes of main memory that can be taken without swapping."""
    cores: int
    """Physical cores, or logical ones where the system does not tell."""
    gpus: tuple[GpuDevice, ...] = ()
    """Devices llama.cpp can offload to."""


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One line of a memory plan."""

    label: str
    """What takes the memory: ``weights``, ``KV cache``, ``compute``."""
    device: str
    """``CPU`` or the device's name."""
    bytes: int
    """How much."""


@dataclass(frozen=True, slots=True)
class OffloadPlan:
    """How a model is to be placed, and what that takes."""

    gpu_layers: int
    """Layers on GPUs."""
    total_layers: int
    """Layers that could be placed: the blocks and the output layer."""
    context: int
    """Tokens of context planned for."""
    items: tuple[PlanItem, ...]
    """Itemised memory."""
    verdict: str
    """One line for the person: fits, fits in part, does not fit."""
    remedies: tuple[str, ...]
    """What would make it fit; empty when it does."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to load a model."""

    path: Path
    """GGUF file."""
    context: int = 0
    """Tokens of context; 0 for the smaller of the model's own and 8,192."""
    gpu_layers: int = -1
    """Layers on the GPU; -1 for as many as fit."""
    threads: int = 0
    """Threads for decoding; 0 for the number of physical cores."""
    name: str = ""
    """How the person refers to the model; empty for what the file calls itself."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """What is loaded, and how."""

    name: str
    """Name for the person: the one that was given, else ``general.name``, else the file's."""
    path: Path
    """GGUF file."""
    quant: str
    """Quantization level."""
    architecture: str
    """``general.architecture``."""
    context: int
    """Tokens of context in use."""
    gpu_layers: int
    """Layers on GPUs."""
    total_layers: int
    """Layers that could be placed."""
    size: int
    """Bytes of weights."""
    load_seconds: float
    """Wall time of the load."""
    notices: tuple[str, ...] = ()
    """What the person should know: no chat template, fewer layers than asked."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a conversation, as a model sees it."""

    role: Role
    """Who speaks."""
    content: str
    """What is said: data, never read as control tokens."""


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """How to write an answer."""

    max_tokens: int = 1024
    """Tokens at most."""
    temperature: float = 0.3
    """0 takes the likeliest token each time."""
    top_k: int = 40
    """Only the k likeliest tokens; 0 for all."""
    top_p: float = 0.95
    """Only the likeliest tokens that hold this share together."""
    min_p: float = 0.05
    """Only tokens at least this likely against the likeliest."""
    repeat_penalty: float = 1.0
    """Above 1 discourages tokens used lately."""
    seed: int | None = None
    """Same seed, same answer; None for a new one each time."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer; not part of it."""


@dataclass(frozen=True, slots=True)
class Prefilling:
    """The prompt is being read."""

    done: int
    """Tokens of the prompt in the cache, reused ones included."""
    total: int
    """Tokens of the prompt."""
    cached: int = 0
    """Tokens that were in the cache already."""


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer: complete characters only."""

    text: str
    """The piece."""


@dataclass(frozen=True, slots=True)
class Completed:
    """The answer has ended."""

    reason: FinishReason
    """Why."""
    prompt_tokens: int
    """Tokens of the prompt."""
    cached_tokens: int
    """Tokens of the prompt that were in the cache already."""
    completion_tokens: int
    """Tokens written."""
    prefill_seconds: float
    """Time until the prompt was read."""
    decode_seconds: float
    """Time spent writing."""


StreamEvent = Prefilling | Delta | Completed
"""What a model yields, in this order: any Prefilling, any Delta, one Completed."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long job is."""

    label: str
    """What is being done, for the person."""
    done: int
    """Units finished; bytes for downloads, thousandths for loads."""
    total: int
    """Units in all; 0 when not known."""


Report = Callable[[Progress], None]
"""Receives progress; must be quick and must not raise."""

Cancelled = Callable[[], bool]
"""Asked often by long jobs: true when the person wants them to stop."""


def ignore_progress(_: Progress) -> None:
    """Receive progress and do nothing with it."""


def never_cancelled() -> bool:
    """Answer that nobody asked to stop."""
    return False


class ChatModel(Protocol):
    """A loaded model that continues a conversation."""

    @property
    def info(self) -> LoadedModel:
        """What is loaded."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, read as data."""

    def count_prompt(self, messages: Sequence[ChatMessage]) -> int:
        """Count the tokens of the whole prompt, template included."""

    def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> Iterator[StreamEvent]:
        """Write the next message. Raises ``ModelError``."""

    def cancel(self) -> None:
        """Stop the running ``stream`` soon; it still yields ``Completed``. Thread-safe."""

    def close(self) -> None:
        """Give the memory back."""


class Downloader(Protocol):
    """Fetches model files from a hub."""

    def resolve(self, name: str) -> ModelFile:
        """Find the file that ``owner/name[:QUANT]`` means. Raises ``ModelError``."""

    def download(
        self,
        file: ModelFile,
        report: Report = ignore_progress,
        cancelled: Cancelled = never_cancelled,
    ) -> Path:
        """Fetch the file, verified, and return where it is. Raises ``ModelError``."""
