"""What the index process offers the app, on a real index."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.services.child import Job
from app.services.index import IndexService
from retrieval.library import Library
from retrieval.types import IndexReport, Query, SearchResult
from tests.fixtures.word_embedder import WordEmbedder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "tea.md").write_text("# Tea\n\nGreen tea.\n")
    return folder


@pytest.fixture
def service(tmp_path: Path) -> Iterator[IndexService]:
    service = IndexService(lambda: Library(tmp_path / "index", WordEmbedder()))
    yield service
    service.close()


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not done():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_a_watched_folder_is_followed_while_searches_answer(
    service: IndexService, folder: Path
) -> None:
    told: list[object] = []
    job = Job(told.append)
    watching = threading.Thread(target=service.methods["watch"], args=(job, folder))
    watching.start()
    try:
        _until(lambda: bool(told))
        (folder / "new.md").write_text("# New\n\nzebra crossing\n")
        _until(lambda: len(told) == 2)
        result = service.methods["search"](Job(told.append), Query("zebra"))
        assert isinstance(result, SearchResult)
        assert [p.chunk.note_path for p in result.passages][:1] == ["new.md"]
    finally:
        job.cancel()
        watching.join(20.0)
    assert not watching.is_alive()
    assert all(isinstance(report, IndexReport) and report.added == 1 for report in told)


def test_a_watch_has_a_lane_of_its_own() -> None:
    lanes = IndexService.lanes
    assert lanes["watch"] not in {lane for method, lane in lanes.items() if method != "watch"}
