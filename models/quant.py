"""What each quantization type and level of llama.cpp is.

A *type* is how one tensor is stored (``Q4_K``: blocks of 256 weights in 144 bytes). A *level* is a
recipe for a whole file (``Q4_K_M``: most tensors Q4_K, some Q6_K), named in the file's name and in
``general.file_type``. Ids and sizes are those of ggml.h and llama.h (``enum ggml_type``,
``enum llama_ftype``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TensorType:
    """How the weights of one tensor are stored."""

    id: int
    """``enum ggml_type``."""
    name: str
    """Name in ggml: ``Q4_K``."""
    block: int
    """Weights in a block; a row must be a multiple of it."""
    block_bytes: int
    """Bytes of a block, scales included."""

    @property
    def bits_per_weight(self) -> float:
        """Bits that one weight takes, scales included."""
        return self.block_bytes * 8 / self.block

    def size(self, weights: int) -> int:
        """Count the bytes of this many weights, a multiple of the block."""
        return weights // self.block * self.block_bytes


@dataclass(frozen=True, slots=True)
class Level:
    """A recipe for quantizing a whole model."""

    name: str
    """Name in file names: ``Q4_K_M``."""
    file_type: int
    """``general.file_type``; -1 for recipes that llama.cpp has no number for."""
    bits: float
    """Bits per weight of a typical file; count them from a header for a real one."""
    note: str
    """When to choose it, for the person."""


_TYPES = """
0 F32 1 4|1 F16 1 2|2 Q4_0 32 18|3 Q4_1 32 20|6 Q5_0 32 22|7 Q5_1 32 24|8 Q8_0 32 34|9 Q8_1 32 36
10 Q2_K 256 84|11 Q3_K 256 110|12 Q4_K 256 144|13 Q5_K 256 176|14 Q6_K 256 210|15 Q8_K 256 292
16 IQ2_XXS 256 66|17 IQ2_XS 256 74|18 IQ3_XXS 256 98|19 IQ1_S 256 50|20 IQ4_NL 32 18
21 IQ3_S 256 110|22 IQ2_S 256 82|23 IQ4_XS 256 136|24 I8 1 1|25 I16 1 2|26 I32 1 4|27 I64 1 8
28 F64 1 8|29 IQ1_M 256 56|30 BF16 1 2|34 TQ1_0 256 54|35 TQ2_0 256 66|39 MXFP4 32 17
40 NVFP4 64 36|41 Q1_0 128 18
"""


def _parse_types() -> dict[int, TensorType]:
    types = {}
    for entry in _TYPES.strip().replace("\n", "|").split("|"):
        number, name, block, size = entry.split()
        types[int(number)] = TensorType(int(number), name, int(block), int(size))
    return types


TYPES: dict[int, TensorType] = _parse_types()
"""Every tensor type, by its id."""

LEVELS: tuple[Level, ...] = (
    Level("F32", 0, 32.0, "Full precision; twice the size of F16 for no visible gain."),
    Level("F16", 1, 16.0, "Unquantized; a source for making other levels."),
    Level("BF16", 32, 16.0, "Unquantized, as most models are trained; slow on older CPUs."),
    Level("Q8_0", 7, 8.5, "Practically indistinguishable from F16 at half its size."),
    Level("Q6_K", 18, 6.6, "Very close to F16; a good choice when memory allows."),
    Level("Q5_K_M", 17, 5.7, "A little better than Q4_K_M and a fifth larger."),
    Level("Q5_K_S", 16, 5.5, "Slightly smaller and coarser than Q5_K_M."),
    Level("Q5_1", 9, 6.0, "An older kind; Q5_K_M is better."),
    Level("Q5_0", 8, 5.5, "An older kind; Q5_K_M is better."),
    Level("Q4_K_M", 15, 4.8, "The usual choice: small loss, about 30 % of F16's size."),
    Level("Q4_K_S", 14, 4.6, "Slightly smaller and coarser than Q4_K_M."),
    Level("Q4_K_L", -1, 4.9, "Q4_K_M with finer embedding and output tensors."),
    Level("Q4_K_XL", -1, 4.9, "Q4_K with chosen tensors kept finer."),
    Level("Q4_1", 3, 5.0, "An older kind; Q4_K_M is better."),
    Level("Q4_0", 2, 4.5, "An older kind, quick on CPUs because it can be repacked."),
    Level("IQ4_NL", 25, 4.5, "Close to Q4_K_S, from an importance matrix."),
    Level("IQ4_XS", 30, 4.3, "Smaller than Q4_K_S at nearly its quality; slower on CPUs."),
    Level("MXFP4", 38, 4.3, "Four-bit floats, the format gpt-oss was trained in."),
    Level("NVFP4", 39, 4.5, "Four-bit floats made for recent NVIDIA cards."),
    Level("Q3_K_L", 13, 4.3, "Noticeable loss; for when Q4_K_S does not fit."),
    Level("Q3_K_M", 12, 3.9, "Noticeable loss; for when Q4_K_S does not fit."),
    Level("Q3_K_S", 11, 3.5, "Clear loss; prefer a smaller model at Q4_K_M."),
    Level("IQ3_M", 27, 3.7, "Better than Q3_K_S at its size; slower on CPUs."),
    Level("IQ3_S", 26, 3.4, "Clear loss; slower on CPUs."),
    Level("IQ3_XS", 22, 3.3, "Clear loss; slower on CPUs."),
    Level("IQ3_XXS", 23, 3.1, "Clear loss; slower on CPUs."),
    Level("Q2_K", 10, 3.2, "Heavy loss; prefer a smaller model at Q4_K_M."),
    Level("Q2_K_S", 21, 2.9, "Heavy loss; prefer a smaller model at Q4_K_M."),
    Level("IQ2_M", 29, 2.7, "Heavy loss; only for very large models."),
    Level("IQ2_S", 28, 2.5, "Heavy loss; only for very large models."),
    Level("IQ2_XS", 20, 2.4, "Heavy loss; only for very large models."),
    Level("IQ2_XXS", 19, 2.1, "Heavy loss; only for very large models."),
    Level("IQ1_M", 31, 1.8, "Barely usable; only for very large models."),
    Level("IQ1_S", 24, 1.6, "Barely usable; only for very large models."),
    Level("TQ2_0", 37, 2.1, "Ternary; only for models trained that way."),
    Level("TQ1_0", 36, 1.7, "Ternary; only for models trained that way."),
    Level("Q1_0", 40, 1.1, "One bit; only for models trained that way."),
)
"""Usual levels, most precise first within their kind."""

PREFERENCE = (
    *("Q4_K_M", "Q4_K_XL", "Q4_0", "Q5_K_M", "Q4_K_S", "Q4_K_L", "Q8_0", "Q6_K", "Q5_K_S"),
    *("IQ4_NL", "IQ4_XS", "Q5_0", "Q4_1", "MXFP4", "Q3_K_L", "Q3_K_M", "F16", "BF16"),
)
"""Levels to take when the person names none, best choice first."""

_BY_FILE_TYPE = {level.file_type: level.name for level in LEVELS if level.file_type >= 0}
_BY_NAME = {level.name: level for level in LEVELS}
_IN_NAME = re.compile(
    r"(?:^|[-._/ ])((?:UD-)?(?:I?Q\d_(?:[01]|K(?:_(?:XS|XL|S|M|L))?|NL|XXS|XS|XL|S|M)(?:_\d+){0,2}"
    r"|TQ[12]_0|BF16|F16|F32|MXFP4|NVFP4)(?:_MOE)?)(?=$|[-._/ ])",
    re.IGNORECASE,
)


def name_of_file_type(file_type: int) -> str:
    """Name the level that ``general.file_type`` means; empty when unknown."""
    return _BY_FILE_TYPE.get(file_type, "")


def level_of(name: str) -> Level | None:
    """Look a level up by its name, whatever the case or an ``UD-`` prefix; None when unknown."""
    return _BY_NAME.get(name.upper().removeprefix("UD-").removesuffix("_MOE"))


def parse_level(filename: str) -> str:
    """Read the level from a file name, upper-case; empty when it names none.

    The last one counts: ``Model-F16-to-Q4_K_M.gguf`` is ``Q4_K_M``.
    """
    found = _IN_NAME.findall(filename.removesuffix(".gguf"))
    return found[-1].upper() if found else ""
