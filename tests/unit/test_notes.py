"""What a folder holds, and why some of it cannot be read."""

import os
from pathlib import Path

import pytest

from retrieval.errors import FolderError
from retrieval.notes import (
    UnusableNoteError,
    decode,
    make_note,
    read_bytes,
    require_folder,
    resolve_folder,
    scan_folder,
)


def _write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_finds_notes_at_any_depth_and_nothing_else(tmp_path: Path) -> None:
    _write(tmp_path, a_md="a", sub__b_txt="b", sub__deep__c_markdown="c", d_TEXT="d")
    _write(tmp_path, x_exe="no", y_png="no", archive="no")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/e.md").write_text("no")
    (tmp_path / ".f.md").write_text("no")
    scan = scan_folder(tmp_path)
    assert sorted(scan.files) == ["a.md", "d.TEXT", "sub/b.txt", "sub/deep/c.markdown"]
    assert scan.files["a.md"].size == 1
    assert scan.skipped == ()


def test_links_are_followed_inside_the_folder_only(tmp_path: Path) -> None:
    folder, outside = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    outside.mkdir()
    (outside / "secret.md").write_text("no")
    (folder / "a.md").write_text("a")
    (folder / "same.md").symlink_to(folder / "a.md")
    (folder / "secret.md").symlink_to(outside / "secret.md")
    (folder / "outside").symlink_to(outside)
    (folder / "broken.md").symlink_to(folder / "nowhere.md")
    (folder / "loop.md").symlink_to(folder / "loop.md")
    scan = scan_folder(folder)
    assert sorted(scan.files) == ["a.md"]
    assert [s.path for s in scan.skipped] == ["broken.md", "loop.md"]


def test_a_pipe_is_named_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    scan = scan_folder(tmp_path)
    assert scan.files == {}
    assert [(s.path, s.reason) for s in scan.skipped] == [("pipe.md", "it is not a plain file")]
    with pytest.raises(UnusableNoteError, match="not a plain file"):
        read_bytes(tmp_path, "pipe.md")


def test_a_name_that_is_not_unicode_is_named(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md")).write_text("x")
    (tmp_path / "caf\\udce9.md").write_text("real")
    scan = scan_folder(tmp_path)
    (skip,) = scan.skipped
    assert "not valid Unicode" in skip.reason
    assert skip.path == "caf\\udce9.md?"
    assert list(scan.files) == ["caf\\udce9.md"]


@pytest.mark.parametrize("path", ["~nosuchuser/notes", "caf\udce9", "a\0b"])
def test_a_path_that_cannot_name_a_folder_has_a_remedy(path: str) -> None:
    with pytest.raises(FolderError) as caught:
        resolve_folder(path)
    assert caught.value.remedy
    str(caught.value).encode()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a\r\nb\rc\n", "a\nb\nc\n"),
        ("\ufeffcafé".encode(), "café"),
        ("café\n".encode("utf-16"), "café\n"),
        (b"", ""),
    ],
)
def test_decoding(data: bytes, text: str) -> None:
    assert decode(data) == text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bytes(range(1, 256)), "not UTF-8"),
        (b"a\0b", "binary"),
        (b"\xff\xfe\x00\xd8", "UTF-16"),
    ],
)
def test_what_is_not_text_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(UnusableNoteError, match=reason):
        decode(data)


def test_a_file_over_the_limit_says_its_size_and_the_setting(tmp_path: Path) -> None:
    (tmp_path / "big.md").write_bytes(b"x" * 1_000_001)
    with pytest.raises(UnusableNoteError, match=r"1\.0 MB.*up to 1 MB.*index\.max_megabytes"):
        read_bytes(tmp_path, "big.md", 1_000_000)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("a")
    (tmp_path / "a.md").chmod(0)
    with pytest.raises(UnusableNoteError, match="permission denied"):
        read_bytes(tmp_path, "a.md")


def test_titles(tmp_path: Path) -> None:
    _write(tmp_path, a_md="# Head\n", b_md="no heading", c_txt="# not a heading")
    titles = {
        p: make_note(tmp_path, p, *read_bytes(tmp_path, p)).title for p in ("a.md", "b.md", "c.txt")
    }
    assert titles == {"a.md": "Head", "b.md": "b", "c.txt": "c"}


def test_a_missing_folder_and_a_file_have_remedies(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, words in (("nowhere", "no folder"), ("file", "not a folder")):
        with pytest.raises(FolderError, match=words) as caught:
            require_folder(tmp_path / path)
        assert caught.value.remedy
