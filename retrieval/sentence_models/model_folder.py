"""What the files of a sentence-transformers model say about it; reads no weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from retrieval.errors import EmbedderError

MODULES = frozenset({"Dense", "LayerNorm", "Normalize", "Pooling", "Transformer"})
"""Kinds of modules that an embedder may be made of; all of them are sentence-transformers' own."""

_LARGEST_JSON = 4_000_000
_BERT_CONFIGS = ("sentence_bert_config.json", "sentence_roberta_config.json")
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")  # In the order of ``encode_document``.
_MODES = (
    "cls_token",
    "mean_tokens",
    "max_tokens",
    "mean_sqrt_len_tokens",
    "weightedmean_tokens",
    "lasttoken",
)
_NO_LIMIT = 1_000_000  # Tokenizers without a limit of their own say 1e30.


@dataclass(frozen=True, slots=True)
class Module:
    """One step from tokens to a vector."""

    kind: str
    """Class of sentence-transformers: one of ``MODULES``."""
    path: str
    """Folder of its files in the model's folder; empty for the folder itself."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """What a model wants written in front of a text; most want nothing."""

    query: str = ""
    """In front of a question."""
    passage: str = ""
    """In front of a text to be found."""


NO_PROMPTS = Prompts()
"""What most models want in front of a text."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A sentence-transformers model in a folder."""

    path: Path
    """The folder."""
    modules: tuple[Module, ...]
    """Its steps, in order."""
    dimensions: int
    """Length of a vector."""
    window: int
    """Tokens that it reads, special tokens included."""
    prompts: Prompts
    """What its configuration wants in front of texts."""
    lower_case: bool
    """Whether texts are put in lower case first."""
    weights: tuple[Path, ...]
    """Its weights, all in safetensors."""


def read_model_folder(path: Path) -> ModelFolder:
    """Read what a model is. Raises ``EmbedderError`` for what is none, or is not safe to load."""
    listed = _read(path / "modules.json")
    if not isinstance(listed, list) or not listed:
        raise EmbedderError(
            f"{path} holds no sentence-transformers model.",
            "A folder of one has a modules.json; alcove embedders list names models known to work.",
        )
    modules = tuple(_module(path, entry) for entry in listed)
    if modules[0].kind != "Transformer" or "Pooling" not in {m.kind for m in modules}:
        raise _unusable(path, "it is not a transformer with pooling")
    at = path / modules[0].path
    config = _object(at / "config.json")
    bert = next((found for name in _BERT_CONFIGS if (found := _object(at / name))), {})
    return ModelFolder(
        path=path,
        modules=modules,
        dimensions=_dimensions(path, modules, config),
        window=_window(bert, _object(at / "tokenizer_config.json"), config),
        prompts=_prompts(_object(path / "config_sentence_transformers.json")),
        lower_case=bert.get("do_lower_case") is True,
        weights=_weights(path, modules),
    )


def safe_weights(path: Path) -> tuple[Path, ...]:
    """List a folder's safetensors. Raises ``EmbedderError`` when there are none."""
    found = tuple(sorted(path.glob("*.safetensors")))
    if found:
        return found
    if any(path.glob("*.bin")) or any(path.glob("*.pt")):
        raise EmbedderError(
            f"{path} has its weights as a pickle, which can run any code when it is opened.",
            "Take a model with .safetensors files.",
        )
    raise EmbedderError(
        f"{path} lacks its weights: there is no .safetensors file.", "Download the model again."
    )


def require_transformer(path: Path) -> None:
    """Check that a folder holds a transformer. Raises ``EmbedderError``."""
    if not _object(path / "config.json").get("model_type"):
        raise EmbedderError(f"{path} holds no model of transformers.", "Download the model again.")


def _module(path: Path, entry: Any) -> Module:  # noqa: ANN401 - JSON
    kind, place = "", ""
    if isinstance(entry, dict):
        kind, place = str(entry.get("type", "")), str(entry.get("path", ""))
    package, _, name = kind.rpartition(".")
    if not package.startswith("sentence_transformers") or name not in MODULES:
        raise _unusable(path, f"it has a part that is not built in ({kind or 'without a name'})")
    parts = PurePosixPath(place)
    if parts.is_absolute() or ".." in parts.parts or "\\" in place:
        raise _unusable(path, f"it names a folder outside itself ({place})")
    return Module(name, place)


def _weights(path: Path, modules: tuple[Module, ...]) -> tuple[Path, ...]:
    found = list(safe_weights(path / modules[0].path))
    for module in modules[1:]:
        if module.kind in {"Dense", "LayerNorm"}:
            found += safe_weights(path / module.path)
    return tuple(found)


def _dimensions(path: Path, modules: tuple[Module, ...], config: dict[str, Any]) -> int:
    size: object = config.get("hidden_size", config.get("dim"))
    for module in modules[1:]:
        facts = _object(path / module.path / "config.json")
        if module.kind == "Pooling":
            size = facts.get("word_embedding_dimension", facts.get("embedding_dimension", size))
            if isinstance(size, int):
                size *= _modes(facts)
        elif module.kind == "Dense":
            size = facts.get("out_features")
    if not isinstance(size, int) or size < 1:
        raise _unusable(path, "its configuration does not say how long a vector is")
    return size


def _modes(pooling: dict[str, Any]) -> int:
    """Count the ways of pooling, whose vectors are joined end to end."""
    mode = pooling.get("pooling_mode")
    if mode is not None:
        return len(mode) if isinstance(mode, list) else 1
    return max(1, sum(pooling.get(f"pooling_mode_{name}") is True for name in _MODES))


def _window(bert: dict[str, Any], tokenizer: dict[str, Any], config: dict[str, Any]) -> int:
    """Find the longest input, as ``Transformer`` of sentence-transformers does."""
    said = bert.get("max_seq_length")
    if isinstance(said, int) and said > 0:
        return said
    limits = [tokenizer.get("model_max_length"), config.get("max_position_embeddings")]
    known = [int(n) for n in limits if isinstance(n, (int, float)) and 0 < n < _NO_LIMIT]
    return min(known, default=512)


def _prompts(config: dict[str, Any]) -> Prompts:
    """Choose as ``encode_query`` and ``encode_document`` do: a default prompt is for neither."""
    found = config.get("prompts")
    entries = found.items() if isinstance(found, dict) else ()
    prompts = {name: text for name, text in entries if isinstance(text, str)}
    passage = next((prompts[name] for name in _DOCUMENT_PROMPTS if prompts.get(name)), "")
    return Prompts(prompts.get("query", ""), passage)


def _object(path: Path) -> dict[str, Any]:
    found = _read(path)
    return found if isinstance(found, dict) else {}


def _read(path: Path) -> object:
    """Read a JSON file; nothing when it is not there."""
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise _unusable(path.parent, f"its {path.name} is too large")
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise EmbedderError(
            f"{path} cannot be read ({type(error).__name__}).", "Download the model again."
        ) from error


def _unusable(path: Path, why: str) -> EmbedderError:
    return EmbedderError(
        f"{path} cannot be an embedder: {why}.",
        "Take another model: alcove embedders list names some that are known to work.",
    )
