"""The engine in its real child process, on the tests' model: deaths, reloads, cancels."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import ServiceDied
from app.services.engine import EngineClient
from models.errors import GenerationError, ModelError
from models.types import (
    ChatMessage,
    Completed,
    Delta,
    GenerationOptions,
    LoadOptions,
    Progress,
)

READER = Path(__file__).resolve().parents[1] / "fixtures" / "reader.gguf"
MESSAGES = (ChatMessage("user", "Question: what is the code of the mill?"),)
GREEDY = GenerationOptions(max_tokens=8, temperature=0)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineClient]:
    monkeypatch.setenv("ALCOVE_HOME", str(tmp_path))
    engine = EngineClient(tmp_path)
    yield engine
    engine.close()


def answer(engine: EngineClient) -> str:
    events = list(engine.stream(MESSAGES, GREEDY))
    assert isinstance(events[-1], Completed)
    return "".join(event.text for event in events if isinstance(event, Delta))


def kill(engine: EngineClient) -> None:
    """Kill the child and wait until its death is known."""
    told = threading.Event()
    engine.watch_death(lambda _: told.set())
    pid = engine.host.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert told.wait(10)


def test_it_loads_answers_and_gives_the_memory_back(engine: EngineClient) -> None:
    seen: list[Progress] = []
    info = engine.load(LoadOptions(READER), seen.append)
    assert info.context == 2048
    assert seen
    assert answer(engine)
    assert engine.count_prompt(MESSAGES) > engine.count_tokens([MESSAGES[0].content])[0]
    pid = engine.host.pid
    engine.unload()
    assert not engine.host.running
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(GenerationError, match="No model"):
        _ = engine.info


def test_after_a_death_the_next_use_loads_again_and_tells_progress(engine: EngineClient) -> None:
    seen: list[Progress] = []
    engine.load(LoadOptions(READER), seen.append)
    first = answer(engine)
    for _ in range(2):
        kill(engine)
        seen.clear()
        assert answer(engine) == first
        assert seen


def test_a_reload_that_fails_is_tried_again_by_the_next_use(
    engine: EngineClient, tmp_path: Path
) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(READER.read_bytes())
    engine.load(LoadOptions(model))
    first = answer(engine)
    kill(engine)
    model.rename(tmp_path / "away.gguf")
    with pytest.raises((ModelError, ServiceDied)):
        answer(engine)
    (tmp_path / "away.gguf").rename(model)
    assert answer(engine) == first


def test_a_file_that_is_no_model_is_refused_and_the_child_lives(
    engine: EngineClient, tmp_path: Path
) -> None:
    junk = tmp_path / "junk.gguf"
    junk.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelError) as error:
        engine.load(LoadOptions(junk))
    assert error.value.remedy
    assert engine.load(LoadOptions(READER)).name


def test_cancel_ends_an_answer(engine: EngineClient) -> None:
    engine.load(LoadOptions(READER))
    options = GenerationOptions(max_tokens=1500, temperature=1.5, seed=1)
    last: object = None
    for event in engine.stream(MESSAGES, options):
        last = event
        engine.cancel()
    assert isinstance(last, Completed)
    assert last.completion_tokens < 1500
    assert answer(engine)
