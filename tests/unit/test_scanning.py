"""What a scan lists: ignore files, tools' folders, links, sizes."""

import os
from pathlib import Path

import pytest

from retrieval.files.folders import require_folder
from retrieval.files.scanning import MAX_DATA_BYTES, scan_folder


def _make(folder: Path, *paths: str) -> Path:
    for name in paths:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return require_folder(folder)


def _found(folder: Path) -> list[str]:
    return sorted(scan_folder(folder).files)


def test_ignore_files_hold_at_every_level(tmp_path: Path) -> None:
    folder = _make(tmp_path, "a.md", "drafts/b.md", "sub/c.md", "sub/d.md", "sub/drafts/e.md")
    (folder / ".gitignore").write_text("drafts/\n")
    assert _found(folder) == ["a.md", "sub/c.md", "sub/d.md"]
    (folder / "sub/.gitignore").write_text("*.md\n!c.md\n!drafts\n")
    assert _found(folder) == ["a.md", "sub/c.md"]
    (folder / ".gitignore").unlink()
    assert _found(folder) == ["a.md", "drafts/b.md", "sub/c.md"]


def test_alcoves_own_rules_win(tmp_path: Path) -> None:
    folder = _make(tmp_path, "a.md", "b.md", "built/c.md")
    (folder / ".gitignore").write_text("built/\nb.md\n")
    (folder / ".alcoveignore").write_text("!built/\na.md\n")
    assert _found(folder) == ["built/c.md"]


def test_rules_above_the_folder_hold_up_to_the_repositorys_root(tmp_path: Path) -> None:
    folder = _make(tmp_path / "repo/notes", "a.md", "b.md", "c.md", "d.md")
    (tmp_path / ".gitignore").write_text("a.md\n")  # Above the root: not git's.
    (tmp_path / "repo/.gitignore").write_text("/notes/b.md\n")
    (tmp_path / "repo/.git/info").mkdir(parents=True)
    (tmp_path / "repo/.git/info/exclude").write_text("c.md\n")
    assert _found(folder) == ["a.md", "d.md"]
    assert "notes/c.md" not in _found(tmp_path / "repo")


def test_outside_a_repository_nothing_above_the_folder_matters(tmp_path: Path) -> None:
    folder = _make(tmp_path / "notes", "a.md")
    (tmp_path / ".gitignore").write_text("*.md\n")
    assert _found(folder) == ["a.md"]


def test_a_work_tree_has_the_exclude_list_of_its_repository(tmp_path: Path) -> None:
    folder = _make(tmp_path / "tree", "a.md", "b.md")
    common = tmp_path / "main/.git"
    (common / "info").mkdir(parents=True)
    (common / "worktrees/tree").mkdir(parents=True)
    (common / "info/exclude").write_text("b.md\n")
    (common / "worktrees/tree/commondir").write_text("../..\n")
    (folder / ".git").write_text(f"gitdir: {common}/worktrees/tree\n")
    assert _found(folder) == ["a.md"]


def test_a_folder_that_is_ignored_itself_is_listed_when_asked_for(tmp_path: Path) -> None:
    folder = _make(tmp_path / "build", "a.md")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("build/\n")
    assert _found(folder) == ["a.md"]
    assert _found(tmp_path) == []


def test_a_line_that_is_no_rule_is_passed_over(tmp_path: Path) -> None:
    folder = _make(tmp_path, "a.md", "b.md")
    (folder / ".gitignore").write_bytes(b"!\n\\\n\xff\n# comment\n\nb.md\n")
    assert _found(folder) == ["a.md"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_rules_that_cannot_be_read_are_listed(tmp_path: Path) -> None:
    folder = _make(tmp_path, "a.md", ".gitignore")
    (folder / ".gitignore").chmod(0)
    (skip,) = scan_folder(folder).skipped
    assert (skip.path, "permission" in skip.reason) == (".gitignore", True)


def test_rules_that_are_a_folder_are_listed(tmp_path: Path) -> None:
    folder = _make(tmp_path, "a.md", ".gitignore/x")
    scan = scan_folder(folder)
    assert list(scan.files) == ["a.md"]
    assert [s.path for s in scan.skipped] == [".gitignore"]


def test_folders_that_tools_fill_are_left_alone(tmp_path: Path) -> None:
    folder = _make(
        tmp_path, "a.py", "node_modules/x/b.js", "pkg/__pycache__/c.py", "env/pyvenv.cfg",
        "env/lib/d.py", "dist/e.md", "build/f.md", "target/g.md", ".hidden/h.md",
    )  # fmt: skip
    assert _found(folder) == ["a.py", "build/f.md", "dist/e.md", "target/g.md"]
    assert scan_folder(folder).skipped == ()


def test_an_environment_that_is_asked_for_itself_is_listed(tmp_path: Path) -> None:
    assert _found(_make(tmp_path, "pyvenv.cfg", "a.py")) == ["a.py", "pyvenv.cfg"]


def test_a_directory_is_listed_once_whatever_links_to_it(tmp_path: Path) -> None:
    folder = _make(tmp_path, "real/a.md", "real/deep/b.md")
    (folder / "again").symlink_to(folder / "real")
    (folder / "deeper").symlink_to(folder / "real/deep")
    (folder / "real/up").symlink_to(folder)
    (folder / "real/deep/cycle").symlink_to(folder / "real")
    assert _found(folder) == ["real/a.md", "real/deep/b.md"]


def test_a_link_to_what_is_hidden_is_followed_once(tmp_path: Path) -> None:
    folder = _make(tmp_path, ".store/2024/a.md", ".store/b.md", ".one.md")
    (folder / "first").symlink_to(folder / ".store")
    (folder / "second").symlink_to(folder / ".store/2024")
    (folder / "one.md").symlink_to(folder / ".one.md")
    (folder / "two.md").symlink_to(folder / ".one.md")
    (folder / "three.md").symlink_to(folder / ".store/b.md")
    assert _found(folder) == ["first/2024/a.md", "first/b.md", "one.md"]


def test_the_real_file_wins_over_links_to_it(tmp_path: Path) -> None:
    folder = _make(tmp_path, "z/real.md")
    (folder / "a.md").symlink_to(folder / "z/real.md")
    assert _found(folder) == ["z/real.md"]


def test_a_link_leads_neither_out_nor_to_what_is_left_alone(tmp_path: Path) -> None:
    outside = _make(tmp_path / "out", "secret.md", "sub/secret.md")
    folder = _make(tmp_path / "in", "a.md", "private/b.md", ".git/c.md", "node_modules/p/d.md")
    (folder / ".gitignore").write_text("private/\n")
    for name, target in {
        "out": outside, "out.md": outside / "secret.md", "private-too": folder / "private",
        "b.md": folder / "private/b.md", "git": folder / ".git", "p": folder / "node_modules/p",
    }.items():  # fmt: skip
        (folder / name).symlink_to(target)
    scan = scan_folder(folder)
    assert (list(scan.files), scan.skipped) == (["a.md"], ())


def test_an_ignored_link_is_not_followed(tmp_path: Path) -> None:
    folder = _make(tmp_path, ".store/a.md")
    (folder / "link").symlink_to(folder / ".store")
    (folder / ".alcoveignore").write_text("link\n")
    assert _found(folder) == []


def test_what_is_too_large_says_the_limit_and_the_setting(tmp_path: Path) -> None:
    folder = _make(tmp_path, "a.md")
    (folder / "big.md").write_bytes(b"x" * 2_000_001)
    (folder / "big.csv").write_bytes(b"x" * (MAX_DATA_BYTES + 1))
    scan = scan_folder(folder, max_bytes=2_000_000)
    assert list(scan.files) == ["a.md"]
    reasons = {s.path: s.reason for s in scan.skipped}
    assert "2 MB (index.max_megabytes" in reasons["big.md"]
    assert "CSV and JSON files are read up to 1 MB" in reasons["big.csv"]
    assert "big.md" in scan_folder(folder, max_bytes=3_000_000).files
