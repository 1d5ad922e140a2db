"""Parts of a package are imported without the rest of it."""

from __future__ import annotations

import gc
import importlib
import sys
from pathlib import Path

import pytest

from retrieval.sentence_models.lean_import import lean_imports, without_collecting


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    files = {
        "__init__.py": "__version__ = '7'\nfrom .heavy import Big\nfrom .light import Part as P\n",
        "heavy.py": "raise RuntimeError('nobody asked for this')\n",
        "light.py": "from larder import __version__\nclass Part: version = __version__\n",
        "sub/__init__.py": "from ..light import Part\nfrom .deep import answer\nimport nothing\n",
        "sub/deep.py": "def answer() -> int: return 42\n",
        "optional.py": "try:\n    import colorsys\nexcept ImportError:\n    colorsys = None\n",
    }
    for name, text in files.items():
        path = tmp_path / "larder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    return "larder"


def test_names_come_from_where_the_package_would_have_taken_them(package: str) -> None:
    with lean_imports(package):
        larder = importlib.import_module(package)
        sub = importlib.import_module(f"{package}.sub")
        assert larder.__version__ == "7"
        assert larder.P is sub.Part
        assert sub.Part.version == "7"
        assert sub.answer() == 42
        with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
            _ = larder.Nothing


def test_nothing_of_it_is_left_and_a_plain_import_gets_all_of_it(package: str) -> None:
    before = list(sys.meta_path)
    with lean_imports(package):
        importlib.import_module(f"{package}.light")
    assert not [name for name in sys.modules if name.startswith(package)]
    assert sys.meta_path == before
    with pytest.raises(RuntimeError, match="nobody asked"):
        importlib.import_module(package)


def test_a_package_that_is_imported_already_is_used_as_it_is(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = type(sys)(package)
    monkeypatch.setitem(sys.modules, package, whole)
    with lean_imports(package):
        assert importlib.import_module(package) is whole
    assert sys.modules[package] is whole


def test_what_is_to_be_done_without_is_hidden_for_the_block_only(package: str) -> None:
    with lean_imports(package, without=("colorsys",)):
        assert importlib.import_module(f"{package}.optional").colorsys is None
    assert importlib.import_module("colorsys").rgb_to_hsv is not None


def test_an_error_in_the_block_leaves_nothing_behind_either(package: str) -> None:
    before = list(sys.meta_path)
    with pytest.raises(RuntimeError), lean_imports(package, without=("colorsys",)):
        importlib.import_module(f"{package}.heavy")
    assert sys.meta_path == before
    assert "colorsys" not in sys.modules


def test_collecting_garbage_goes_on_after_the_block() -> None:
    assert gc.isenabled()
    with without_collecting():
        assert not gc.isenabled()
    assert gc.isenabled()
