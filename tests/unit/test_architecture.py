"""The shape of the program, checked: contracts, cold imports, documents, names."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.parser import COMMANDS
from app.settings import Settings
from app.ui.screens.dialogs import HELP

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "chromadb", "llama_cpp", "sentence_transformers", "transformers", "numpy")
PACKAGES = ("app", "models", "retrieval")
SOURCES = [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]


def imported_by(code: str) -> set[str]:
    """Run code in a fresh interpreter and list the modules it loaded."""
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_import_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "code", ["import app.__main__", "import app.ui.app, app.workspace, app.services.engine"]
)
def test_nothing_heavy_is_imported_on_the_way_to_the_first_paint(code: str) -> None:
    assert not imported_by(code) & {*HEAVY, "huggingface_hub", "httpx"}


def test_the_command_line_starts_without_textual() -> None:
    loaded = imported_by("import app.__main__, app.cli.notes, app.cli.ask, app.cli.models")
    assert not loaded & {*HEAVY, "textual"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 335
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            said = (ast.get_docstring(node, clean=False) or "").count("\n") + 1
            lines = (node.end_lineno or 0) - node.lineno + 1 - said
            assert lines <= 50, f"{node.name} has {lines} lines"


def test_the_readme_names_every_command_setting_and_key() -> None:
    readme = (ROOT / "README.md").read_text()
    for command in COMMANDS:
        assert f"alcove {command}" in readme
    for table in ("model", "search", "index", "app"):
        assert f"[{table}]" in readme
        for name in getattr(Settings(), table).__struct_fields__:
            assert re.search(rf"^{name} = ", readme, re.MULTILINE), name
    for key, _ in HELP:
        for single in key.split(", "):
            assert re.search(rf"(?<!\w){re.escape(single)}(?!\w)", readme, re.IGNORECASE), single


def test_the_readme_shows_a_picture_that_exists() -> None:
    for target in re.findall(r"!?\[[^\]]*\]\(([^)h][^)]*)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target


def test_no_index_address_and_only_exact_versions_in_the_constraints() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in pinned)
    names = [line.partition("==")[0].lower().replace("_", "-") for line in pinned]
    assert {"torch", "llama-cpp-python", "textual", "chromadb", "pytest"} <= set(names)
    assert len(names) == len(set(names))
