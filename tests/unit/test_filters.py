"""Conditions on notes: times, globs, tags, formats, and their words."""

import datetime
import time

import pytest

from retrieval.errors import FilterError
from retrieval.extract.extracted import clean_tags
from retrieval.queries.filters import (
    checked,
    described,
    has_tags,
    merged,
    parse_format,
    parse_tag,
    parse_when,
    path_matcher,
)
from retrieval.types import Filters

NOON = datetime.datetime(2024, 3, 31, 12, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025", (2025, 1, 1)),
        ("2025-03", (2025, 3, 1)),
        ("2025-3-5", (2025, 3, 5)),
        ("2025-03-05T14:30", (2025, 3, 5, 14, 30)),
        ("2025-03-05 14:30", (2025, 3, 5, 14, 30)),
        ("7d", (2024, 3, 24, 12)),
        ("2w ago", (2024, 3, 17, 12)),
        ("36h", (2024, 3, 30, 0)),
        ("1m", (2024, 2, 29, 12)),
        ("13m", (2023, 2, 28, 12)),
        ("1y", (2023, 3, 31, 12)),
        ("today", (2024, 3, 31)),
        ("Yesterday", (2024, 3, 30)),
    ],
)
def test_times(text: str, expected: tuple[int, ...]) -> None:
    when = parse_when(text, NOON.timestamp())
    assert when == datetime.datetime(*expected).timestamp()  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "lunch", "2025-13", "2025-02-30", "7", "7x", "99999y", "-7d"])
def test_what_is_no_time(text: str) -> None:
    assert parse_when(text, NOON.timestamp()) is None


@pytest.mark.parametrize(
    ("globs", "path", "meant"),
    [
        (["git/**"], "git/undo.md", True),
        (["git/**"], "git/a/b.md", True),
        (["git/**"], "old/git/undo.md", False),
        (["git"], "old/git/undo.md", True),
        (["**/git/*.md"], "old/git/undo.md", True),
        (["*.py"], "src/deep/a.py", True),
        (["*.PY"], "src/a.py", True),
        (["src/*.py"], "src/deep/a.py", False),
        (["a.md", "b.md"], "b.md", True),
        (["2025-??.md"], "log/2025-01.md", True),
        (["!git/**"], "git/undo.md", False),
        (["!git/**"], "bread.md", True),
        (["**/*.md", "!git/**"], "git/undo.md", False),
        ([], "anything", True),
    ],
)
def test_globs_match_as_in_git(globs: list[str], path: str, meant: bool) -> None:
    assert path_matcher(globs)(path) is meant


@pytest.mark.parametrize("glob", ["!", "[z-a]", "\\"])
def test_a_glob_that_is_none_is_refused(glob: str) -> None:
    with pytest.raises(FilterError) as caught:
        checked(Filters(paths=(glob,)))
    assert caught.value.remedy


def test_tags_hold_their_parents() -> None:
    assert has_tags(["project/alcove", "draft"], ["project"])
    assert has_tags(["project/alcove", "draft"], ["project/alcove", "draft"])
    assert not has_tags(["projects"], ["project"])
    assert not has_tags(["project"], ["project", "draft"])
    assert not has_tags(["project/alcove"], ["!project"])
    assert has_tags([], ["!draft"])


def test_names_are_read_as_they_are_kept() -> None:
    assert parse_tag(" #Project/Alcove/ ") == "project/alcove"
    assert parse_format("PDF") == "pdf"
    assert parse_format(".md") == "markdown"
    assert parse_format("pdff") is None


def test_what_none_can_meet_is_refused() -> None:
    with pytest.raises(FilterError, match="not earlier"):
        checked(Filters(after=2e9, before=1e9))
    with pytest.raises(FilterError, match="empty"):
        checked(Filters(tags=("#",)))


def test_conditions_add_up() -> None:
    both = merged(
        Filters(paths=("a/**",), after=10.0, before=90.0),
        Filters(paths=("a/**", "b"), tags=("x",), formats=("pdf",), after=20.0),
    )
    assert both == Filters(("a/**", "b"), ("x",), ("pdf",), 20.0, 90.0)


def test_conditions_are_told_in_words() -> None:
    day = datetime.datetime(2025, 1, 31).timestamp()
    filters = Filters(("git/**", "!old"), ("x", "!draft"), ("pdf", "code"), day, day + 3600)
    assert described(filters) == (
        "path git/**",
        "path not old",
        "tag x",
        "not tag draft",
        "format pdf or code",
        "modified after 2025-01-31",
        "modified before 2025-01-31 01:00",
    )
    assert described(Filters()) == ()


def test_a_path_that_begins_with_a_hash_is_no_comment() -> None:
    assert path_matcher(("#inbox/**",))("#inbox/a.md")
    assert not path_matcher(("!#inbox/**",))("#inbox/a.md")


def test_accents_are_alike_however_a_system_encodes_them() -> None:
    assert path_matcher(("caf\u00e9/*",))("cafe\u0301/a.md")
    assert path_matcher(("cafe\u0301/*",))("Caf\u00e9/a.md")
    assert has_tags(clean_tags(["Cafe\u0301"]), (parse_tag("caf\u00c9"),))


def test_hours_are_counted_by_time_that_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        # Half an hour after summer time began.
        now = datetime.datetime(2026, 3, 29, 1, 30, tzinfo=datetime.UTC).timestamp()
        assert parse_when("2h", now) == now - 7200
        assert parse_when("1d", now) == now - 23 * 3600
    finally:
        monkeypatch.undo()
        time.tzset()
