from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from models.checksum import Checksummer, announced, remember, remembered

HELLO = "git-sha1:ce013625030ba8dba906f756967f9e9ca394464a"
"""What ``git hash-object`` says of ``hello`` and a line feed."""


@pytest.mark.parametrize(
    ("sha256", "blob_id", "checksum"),
    [
        ("AB" * 32, "cd" * 20, "sha256:" + "ab" * 32),
        ("", "CD" * 20, "git-sha1:" + "cd" * 20),
        ("", "cdn-etag-1", ""),
        ("", "", ""),
    ],
)
def test_what_a_hub_announces(sha256: str, blob_id: str, checksum: str) -> None:
    assert announced(sha256, blob_id) == checksum


def test_both_kinds_are_those_of_git_and_of_lfs(tmp_path: Path) -> None:
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    blob, whole, seen = Checksummer(HELLO, 6), Checksummer("", 6), list[int]()
    assert blob.read(path, seen.append) == 6
    whole.update(b"hel")
    whole.update(b"lo\n")
    assert blob.checksum == HELLO
    assert whole.checksum == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert seen == [6]


def test_a_checksum_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"one")
    assert remembered(path) == ""
    remember(path, HELLO)
    assert remembered(path) == HELLO
    os.utime(path, ns=(0, 0))
    assert remembered(path) == ""


@pytest.mark.parametrize(
    "note", ["", "[]", "7", "{}", '{"checksum": 7}', '{"checksum": "x"}', "\0"]
)
def test_a_damaged_note_is_no_note(tmp_path: Path, note: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"one")
    remember(path, HELLO)
    (tmp_path / ".alcove" / "model.gguf.json").write_text(note)
    assert remembered(path) == ""
