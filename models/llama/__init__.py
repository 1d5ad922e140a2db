"""llama.cpp: the engine. The only part that imports ``llama_cpp``, and only when it is used."""

from models.llama.binding import devices
from models.llama.model import LlamaModel

__all__ = ["LlamaModel", "devices"]
