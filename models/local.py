"""The model files on this machine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from models.errors import HeaderError, ModelError, ModelNotFoundError
from models.facts import read_facts, split_parts
from models.names import parse_repo, preference, same_level
from models.quant import parse_level
from models.types import LocalModel


@dataclass(frozen=True, slots=True)
class Problem:
    """A model file that cannot be used."""

    path: Path
    """The file."""
    reason: str
    """Why, in words for the person."""


@dataclass(frozen=True, slots=True)
class LocalModels:
    """What a folder of models holds."""

    models: tuple[LocalModel, ...]
    """Usable models, by name."""
    problems: tuple[Problem, ...]
    """Files that end in .gguf and are not usable."""


def local_model(path: Path, name: str = "") -> LocalModel:
    """Describe one file, all its parts together. Raises ``HeaderError`` and so on."""
    facts = read_facts(path)
    parts = [path.with_name(part) for part in split_parts(path.name)]
    return LocalModel(
        name=name or path.name,
        path=path,
        quant=parse_level(path.name) or facts.quant,
        bytes=sum(part.stat().st_size for part in parts),
        architecture=facts.architecture,
    )


def list_models(models_dir: Path) -> LocalModels:
    """List the models below a folder; files that cannot be used are problems, not left out."""
    found: list[LocalModel] = []
    problems: list[Problem] = []
    paths = sorted(models_dir.rglob("*.gguf")) if models_dir.is_dir() else []
    for path in paths:
        if split_parts(path.name)[0] != path.name or path.is_dir():
            continue
        try:
            found.append(local_model(path))
        except ModelError as error:
            problems.append(Problem(path, error.title))
        except OSError as error:
            problems.append(Problem(path, f"{path.name} cannot be read: {error.strerror}."))
    named = [replace(model, name=_name(models_dir, model)) for model in found]
    names = Counter(model.name for model in named)
    unique = [
        model if names[model.name] == 1 else replace(model, name=_place(models_dir, model.path))
        for model in named
    ]
    return LocalModels(tuple(sorted(unique, key=lambda m: m.name.lower())), tuple(problems))


def _place(models_dir: Path, path: Path) -> str:
    return path.relative_to(models_dir).as_posix()


def _name(models_dir: Path, model: LocalModel) -> str:
    """Name a model ``owner/name:QUANT`` where its place says so, else by its file."""
    folders = model.path.relative_to(models_dir).parts[:-1]
    if len(folders) < 2 or not model.quant:
        return model.path.name
    return f"{folders[0]}/{folders[1]}:{model.quant}"


def find_model(models_dir: Path, name: str) -> LocalModel:
    """Find the model that a person means.

    ``name`` is the path of a file, ``owner/name[:QUANT]``, a listed name, or a part of one that
    only one model has. Raises ``ModelNotFoundError`` with the command that downloads it, and
    ``HeaderError`` for a file that is damaged.
    """
    path = _as_path(name)
    if _is_file(path):
        return local_model(path.absolute())
    if path.suffix.lower() == ".gguf" and path.is_absolute():
        raise ModelNotFoundError(f"There is no file {path}.", "Check the path.")
    listed = list_models(models_dir)
    matches = _matches(listed.models, name)
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(model.name for model in matches)
        raise ModelNotFoundError(f"{name!r} may mean {names}.", "Write the whole name.")
    raise _not_found(listed, name)


def _as_path(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:  # ~ of a user whom this machine does not know
        return Path(name)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long or with characters that no file can have
        return False


def _matches(models: tuple[LocalModel, ...], name: str) -> list[LocalModel]:
    low = name.lower()
    exact = [m for m in models if low in (m.name.lower(), m.path.name.lower(), m.path.stem.lower())]
    if exact:
        return exact[:1]
    wanted = parse_repo(name)
    if wanted is not None:
        same = [m for m in models if m.name.lower().startswith(f"{wanted.repo.lower()}:")]
        if wanted.level:
            return [m for m in same if same_level(wanted.level, m.quant)]
        if same:
            return [min(same, key=lambda m: preference(m.quant))]
    starting = [m for m in models if m.name.lower().startswith(low)]
    return starting or [m for m in models if low and low in m.name.lower()]


def _not_found(listed: LocalModels, name: str) -> ModelError:
    damaged = [problem for problem in listed.problems if name.lower() in str(problem.path).lower()]
    if damaged:
        return HeaderError(damaged[0].reason, "Delete the file and download it again.")
    have = ", ".join(model.name for model in listed.models)
    here = f"On this machine: {have}." if have else "No model is on this machine yet."
    if parse_repo(name) is not None:
        remedy = f"Download it: alcove models download {name}. {here}"
    else:
        remedy = f"{here} Download one: alcove models download owner/name."
    return ModelNotFoundError(f"There is no model {name!r} on this machine.", remedy)
