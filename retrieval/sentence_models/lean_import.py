"""Import a few modules of a large package without running its packages' ``__init__``.

``import sentence_transformers`` brings its trainers, evaluators, scikit-learn and more: five
seconds, of which a query needs a fifth. Inside ``lean_imports`` the package and its subpackages
are stand-ins that read their own ``__init__.py`` as text and import a name when it is asked for.
"""

from __future__ import annotations

import ast
import gc
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType


@contextmanager
def lean_imports(package: str, without: Sequence[str] = ()) -> Iterator[None]:
    """Give stand-ins for a package and its subpackages during the block.

    The packages of ``without`` are not to be found in it, unless they are imported already: what
    can do without them does. Afterwards ``sys.modules`` is as if the package had never been
    imported: what was imported in the block keeps working, and who imports the package next gets
    all of it. A package that is there already is used as it is.
    """
    if package in sys.modules:
        yield
        return
    finder = _Finder(package)
    hidden = [name for name in without if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type] # None: not to be found.
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in hidden:
            sys.modules.pop(name, None)
        for name in [*sys.modules]:
            if name == package or name.startswith(f"{package}."):
                del sys.modules[name]


@contextmanager
def without_collecting() -> Iterator[None]:
    """Spare the garbage collector the looks at thousands of modules that are there to stay.

    Measured, it is a fifth of the time that torch and transformers take to import.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.freeze()
            gc.enable()


class _StandIn(ModuleType):
    """A package that imports what its ``__init__`` would have imported, name by name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._sources: dict[str, tuple[str, str]] = {}

    def __getattr__(self, name: str) -> object:
        try:
            module, attribute = self._sources[name]
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None
        value = getattr(importlib.import_module(module, self.__name__), attribute)
        setattr(self, name, value)
        return value


class _Finder(MetaPathFinder):
    """Finds the modules of one package, and has its packages made by ``_StandInLoader``."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module; None for those of other packages."""
        if fullname != self._package and not fullname.startswith(f"{self._package}."):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.submodule_search_locations is not None and spec.origin:
            spec.loader = _StandInLoader()
        return spec


class _StandInLoader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Note where each name comes from, and set the constants (``__version__``)."""
        assert isinstance(module, _StandIn) and module.__spec__ is not None
        tree = ast.parse(Path(str(module.__spec__.origin)).read_bytes())
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                origin = "." * node.level + (node.module or "")
                module._sources.update({a.asname or a.name: (origin, a.name) for a in node.names})
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        setattr(module, target.id, node.value.value)
