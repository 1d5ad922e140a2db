"""What a folder's ignore files leave out: ``.alcoveignore``, ``.gitignore``, ``.git/info/exclude``.

Rules are those of git: the deepest file that says something of a path decides, a later line
before an earlier one, and nothing below an ignored directory can be taken back. What an
``.alcoveignore`` says goes before anything that git's files say. Only reads.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

OWN_FILE = ".alcoveignore"
"""Rules for Alcove alone; they win over git's."""
GIT_FILE = ".gitignore"
"""Rules that git keeps with the files."""
IGNORE_FILES = frozenset({OWN_FILE, GIT_FILE})
"""Names of the files whose change changes what is a note."""

_REPOSITORY = ".git"
_MOST_BYTES = 1_000_000
_ANYWHERE = "^(?:.+/)?"  # How pathspec begins a pattern that may match at any depth.


@dataclass(frozen=True, slots=True)
class _Rules:
    """One file's rules, and how a path below the indexed folder reads from where they stand.

    Few paths match any rule, so each is tried first against all rules at once. Rules without a
    slash are tried on the last name alone: the directories above it were tried before.
    """

    spec: GitIgnoreSpec
    of_names: re.Pattern[str] | None
    of_paths: re.Pattern[str] | None
    strip: int = 0
    prepend: str = ""

    def decide(self, path: str) -> bool | None:
        """Say whether a path is ignored or taken back; nothing when no rule matches it."""
        path = self.prepend + path[self.strip :]
        name = path[path.rfind("/", 0, -1) + 1 :]
        if (self.of_names and self.of_names.match(name)) or (
            self.of_paths and self.of_paths.match(path)
        ):
            return self._last_match(path)
        return None

    def _last_match(self, path: str) -> bool | None:
        """Give what the last rule says that matches a path itself, not a directory above it."""
        for pattern in reversed(self.spec.patterns):
            regex = getattr(pattern, "regex", None)
            match = regex.match(path) if regex is not None else None
            if match and match.end() == len(path):
                return pattern.include
        return None


@dataclass(frozen=True, slots=True)
class Ignoring:
    """The rules that hold in one directory of an indexed folder, the deepest first."""

    own: tuple[_Rules, ...] = ()
    git: tuple[_Rules, ...] = ()
    exclude: tuple[_Rules, ...] = ()
    """The repositories' own lists, which come last."""

    def ignores(self, path: str, is_directory: bool = False) -> bool:
        """Say whether a path below the folder is left out; its parents are known not to be."""
        if is_directory:
            path += "/"
        for rules in (*self.own, *self.git, *self.exclude):
            decision = rules.decide(path)
            if decision is not None:
                return decision
        return False

    def within(self, folder: Path, path: str, names: Collection[str]) -> Ignoring:
        """Give the rules of a directory below the folder that holds entries of these names.

        Raises ``OSError`` when an ignore file cannot be read.
        """
        if not (OWN_FILE in names or GIT_FILE in names or _REPOSITORY in names):
            return self
        return self._with(Path(folder, path), names, strip=len(path) + 1 if path else 0)

    def _with(
        self, directory: Path, names: Collection[str], strip: int = 0, prepend: str = ""
    ) -> Ignoring:
        found = self
        if OWN_FILE in names:
            own = _read(directory / OWN_FILE, strip, prepend)
            found = replace(found, own=(own, *found.own))
        if GIT_FILE in names:
            git = _read(directory / GIT_FILE, strip, prepend)
            found = replace(found, git=(git, *found.git))
        if _REPOSITORY in names and (listed := _exclude_file(directory / _REPOSITORY)):
            exclude = _read(listed, strip, prepend)
            found = replace(found, exclude=(exclude, *found.exclude))
        return found


def rules_above(folder: Path) -> Ignoring:
    """Give the rules that a folder inherits from the git repository that it lies in.

    None when they ignore the folder itself: the person asked for it all the same. Raises
    ``OSError`` when an ignore file cannot be read.
    """
    rules = Ignoring()
    for directory in reversed(_up_to_repository(folder)):
        names = {n for n in (*IGNORE_FILES, _REPOSITORY) if (directory / n).exists()}
        prepend = f"{folder.relative_to(directory).as_posix()}/"
        rules = rules._with(directory, names, prepend=prepend)
    return Ignoring() if rules.ignores("") else rules


def _up_to_repository(folder: Path) -> list[Path]:
    """Give the directories above a folder, nearest first, up to the root of its work tree."""
    above: list[Path] = []
    directory = folder
    while not (directory / _REPOSITORY).exists():
        if directory.parent == directory:
            return []
        directory = directory.parent
        above.append(directory)
    return above


def _read(path: Path, strip: int, prepend: str) -> _Rules:
    from pathspec import GitIgnoreSpec

    with path.open("rb") as file:
        text = file.read(_MOST_BYTES).decode("utf-8-sig", "surrogateescape")
    spec = GitIgnoreSpec.from_lines(_valid(text.splitlines()))
    names: list[str] = []
    paths: list[str] = []
    for pattern in spec.patterns:
        regex = getattr(pattern, "regex", None)
        if regex is not None:  # It is none for comments and blank lines.
            # Names of groups cannot be given twice in one expression; nothing refers to them.
            text = re.sub(r"\(\?P<\w+>", "(?:", regex.pattern)
            anywhere = text.removeprefix(_ANYWHERE)
            (paths if anywhere == text else names).append(anywhere)
    return _Rules(spec, _any_of(names), _any_of(paths), strip, prepend)


def _any_of(expressions: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(expressions)) if expressions else None


def _valid(lines: Iterable[str]) -> list[str]:
    """Leave out the lines that are no patterns, as git does."""
    from pathspec import GitIgnoreSpec

    valid: list[str] = []
    for line in lines:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            continue
        valid.append(line)
    return valid


def _exclude_file(repository: Path) -> Path | None:
    """Find a repository's own list of what it ignores; work trees point to where it is."""
    try:
        if repository.is_file():
            pointer = repository.read_text("utf-8", "surrogateescape").partition("gitdir:")[2]
            repository = (repository.parent / pointer.strip()).resolve()
            common = repository / "commondir"
            if common.is_file():
                repository = (repository / common.read_text("utf-8").strip()).resolve()
        listed = repository / "info" / "exclude"
        return listed if listed.is_file() else None
    except (OSError, ValueError):
        return None
