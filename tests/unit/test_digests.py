"""Digests of files are kept until the file changes."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from retrieval.sentence_models.digests import Digests


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    return path


def test_a_digest_is_kept_over_restarts_and_holds_until_the_file_changes(
    tmp_path: Path, weights: Path
) -> None:
    kept = tmp_path / "home/.digests.json"
    assert Digests(kept).of_file(weights) == hashlib.sha256(b"one").hexdigest()
    facts = weights.stat()
    weights.write_bytes(b"two")
    os.utime(weights, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    # Same size, inode and time: the file is not read again.
    assert Digests(kept).of_file(weights) == hashlib.sha256(b"one").hexdigest()
    os.utime(weights, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    assert Digests(kept).of_file(weights) == hashlib.sha256(b"two").hexdigest()


def test_two_users_of_one_file_lose_nothing(tmp_path: Path, weights: Path) -> None:
    kept = tmp_path / ".digests.json"
    one, two = Digests(kept), Digests(kept)
    assert one.number("a", lambda: 1) == 1
    assert two.number("b", lambda: 2) == 2
    one.of_file(weights)
    assert {"a", "b"} < json.loads(kept.read_text()).keys()
    assert Digests(kept).number("a", lambda: 9) == 1


@pytest.mark.parametrize("text", ["", "[]", '{"a": 3}', "\0"])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, weights: Path, text: str) -> None:
    kept = tmp_path / ".digests.json"
    kept.write_text(text)
    assert Digests(kept).number("a", lambda: 5) == 5
    assert Digests(kept).of_file(weights) == hashlib.sha256(b"one").hexdigest()


def test_without_a_place_everything_is_found_out_anew(weights: Path) -> None:
    assert Digests().of_file(weights) == hashlib.sha256(b"one").hexdigest()
