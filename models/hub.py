"""The hub: which GGUF files a repository has, and which of them a person means."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from models.errors import HubError, ModelNotFoundError
from models.facts import split_parts
from models.names import preference, require_repo, same_level
from models.quant import parse_level
from models.types import ModelFile

if TYPE_CHECKING:
    from types import ModuleType

DEFAULT_ENDPOINT = "https://huggingface.co"
TOKEN_STEP = (
    "Make a token at {endpoint}/settings/tokens and put it in the environment as HF_TOKEN, or run "
    "`hf auth login`."
)
_TIMEOUT = 20.0
_EMBEDDER_FILES = re.compile(
    r"modules\.json|LICENSE[\w.]*|(\d+_[A-Za-z]+/)?("
    r"(config|config_sentence_transformers|sentence_[\w-]+_config|model\.safetensors\.index|tokenizer"
    r"|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json"
    r"|vocab\.txt|merges\.txt|[\w.-]+\.model|model(-\d{5}-of-\d{5})?\.safetensors)"
)
_NOT_MODELS = ("mmproj", "imatrix", "vocab", "-lora", "mtp-")


@dataclass(frozen=True, slots=True)
class RepoFile:
    """One file of a repository, as the hub lists it."""

    filename: str
    """Path in the repository."""
    size: int
    """Bytes."""
    sha256: str
    """Hex digest; empty when the hub announces none."""
    blob_id: str = ""
    """Hex id of git's blob: the content's, or the LFS pointer's when there is a ``sha256``."""


def endpoint() -> str:
    """Return the hub's address: ``HF_ENDPOINT``, or the public hub."""
    return (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")


def library() -> ModuleType:
    """Import huggingface_hub with its telemetry off."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import huggingface_hub  # slow, and needed only when the person asks for the network

    return huggingface_hub


@contextmanager
def hub_errors(repo: str) -> Iterator[None]:
    """Turn what the hub's library raises into errors for the person."""
    library()
    from huggingface_hub import errors

    address = endpoint()
    try:
        yield
    except errors.GatedRepoError as error:
        raise HubError(
            f"{repo} asks for consent to its licence.",
            f"Open {address}/{repo} in a browser, log in and accept it. "
            + TOKEN_STEP.format(endpoint=address),
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelNotFoundError(
            f"{address} has no repository {repo}, or it is private.",
            "Check the spelling. For a private one: " + TOKEN_STEP.format(endpoint=address),
        ) from error
    except errors.EntryNotFoundError as error:
        raise ModelNotFoundError(
            f"{repo} no longer has that file.", "List its levels anew and choose one."
        ) from error
    except errors.HFValidationError as error:
        raise ModelNotFoundError(f"{repo!r} is not a repository.", "Write owner/name.") from error
    except errors.OfflineModeIsEnabled as error:
        raise HubError("The hub's offline mode is on.", "Unset HF_HUB_OFFLINE.") from error
    except errors.HfHubHTTPError as error:
        raise status_error(repo, getattr(error.response, "status_code", 0)) from error
    except errors.HTTPError as error:  # type: ignore[attr-defined]
        raise unreachable(address) from error
    except (OSError, ValueError) as error:
        raise HubError(
            f"{address} gave an answer that makes no sense.", "Try again later."
        ) from error


def status_error(repo: str, status: int) -> HubError:
    """Make the error for an HTTP status that is not a success."""
    address = endpoint()
    if status in (401, 403):
        return HubError(
            f"{address} does not let you read {repo}.", TOKEN_STEP.format(endpoint=address)
        )
    if status == 429:
        return HubError(
            f"{address} answers no more requests for now: too many came from this address.",
            "Wait some minutes and try again; with HF_TOKEN set the limit is higher.",
        )
    return HubError(f"{address} answered with status {status}.", "Try again later.")


def unreachable(address: str) -> HubError:
    """Make the error for a hub that was not reached."""
    return HubError(
        f"{address} was not reached.",
        "Check the network connection; behind a proxy set HTTPS_PROXY, for a mirror HF_ENDPOINT.",
    )


def repo_files(repo: str, revision: str = "") -> tuple[str, tuple[RepoFile, ...]]:
    """List a repository's files: the commit they hold for, and they. Raises ``ModelError``."""
    with hub_errors(repo):
        api = library().HfApi(endpoint=endpoint())
        info = api.model_info(
            repo, revision=revision or None, files_metadata=True, timeout=_TIMEOUT
        )
        files = tuple(
            RepoFile(
                entry.rfilename,
                entry.size or 0,
                (entry.lfs.sha256 if entry.lfs else "") or "",
                entry.blob_id or "",
            )
            for entry in info.siblings or ()
        )
    return info.sha or "main", files


def list_embedder_files(repo: str) -> list[ModelFile]:
    """List what of a repository an embedder or reranker needs, what describes it last.

    Raises ``ModelNotFoundError`` when it holds none that can be loaded without running code from
    the hub, ``HubError`` when the hub refuses.
    """
    commit, files = repo_files(repo)
    wanted = [file for file in files if _EMBEDDER_FILES.fullmatch(file.filename)]
    names = {file.filename for file in wanted}
    if "config.json" not in names and "modules.json" not in names:
        raise ModelNotFoundError(
            f"{repo} holds no model of sentence-transformers.",
            "alcove embedders list names models that are known to work.",
        )
    for folder in {name.rpartition("/")[0] for name in names}:
        inside = [f.filename for f in files if f.filename.rpartition("/")[0] == folder]
        is_pickled = any(name.endswith((".bin", ".pt")) for name in inside)
        if is_pickled and not any(name.endswith(".safetensors") for name in inside):
            raise ModelNotFoundError(
                f"{repo} has its weights as a pickle, which can run any code when it is opened.",
                "Choose a model with .safetensors files.",
            )
    if not any(name.endswith(".safetensors") for name in names):
        raise ModelNotFoundError(
            f"{repo} holds no .safetensors file.",
            "alcove embedders list names models that are known to work.",
        )
    last = ("config.json", "modules.json")
    wanted.sort(key=lambda f: (last.index(f.filename) if f.filename in last else -1, f.filename))
    return [ModelFile(repo, f.filename, "", f.size, f.sha256, commit, f.blob_id) for f in wanted]


def list_model_files(repo: str) -> list[ModelFile]:
    """List the models in a repository, split ones as one, best default first.

    Raises ``ModelNotFoundError`` when it holds none, ``HubError`` when the hub refuses.
    """
    commit, files = repo_files(repo)
    by_name = {file.filename: file for file in files}
    found = []
    for file in files:
        base = PurePosixPath(file.filename).name.lower()
        parts = split_parts(file.filename)
        if not base.endswith(".gguf") or any(word in base for word in _NOT_MODELS):
            continue
        if parts[0] != file.filename or any(part not in by_name for part in parts):
            continue
        size = sum(by_name[part].size for part in parts)
        level = parse_level(file.filename)
        found.append(ModelFile(repo, file.filename, level, size, file.sha256, commit, file.blob_id))
    if not found:
        raise ModelNotFoundError(
            f"{repo} holds no GGUF model.",
            "Look for a repository of the same model whose name ends in -GGUF.",
        )
    return sorted(found, key=lambda f: (preference(f.quant), len(f.filename), f.filename))


def resolve(name: str) -> ModelFile:
    """Find the file that ``owner/name[:QUANT]`` means; without a level, the best default.

    Raises ``ModelNotFoundError`` with the levels there are, ``HubError`` when the hub refuses.
    """
    wanted = require_repo(name)
    files = list_model_files(wanted.repo)
    if not wanted.level:
        return files[0]
    low = wanted.level.lower()
    for file in files:
        if same_level(wanted.level, file.quant) or low in (
            file.filename.lower(),
            PurePosixPath(file.filename).name.lower(),
        ):
            return file
    levels = sorted({file.quant or file.filename: file.size for file in files}.items())
    listed = ", ".join(f"{level} ({size / 1e9:.2f} GB)" for level, size in levels)
    raise ModelNotFoundError(f"{wanted.repo} has no {wanted.level}.", f"It has {listed}.")
