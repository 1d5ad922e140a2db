"""The engine's loop on real llama.cpp with small models of random weights."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import psutil
import pytest

from models.errors import (
    ContextFullError,
    GenerationError,
    HeaderError,
    LoadCancelled,
    LoadError,
    ModelNotFoundError,
)
from models.llama import LlamaModel, devices
from models.llama.binding import CPU_KIND, GPU_KINDS, Handle
from models.types import (
    ChatMessage,
    Completed,
    Delta,
    GenerationOptions,
    LoadOptions,
    Prefilling,
    Progress,
    StreamEvent,
)
from tests.fixtures.gguf_files import model_bytes, recurrent_model, tiny_model

GREEDY = GenerationOptions(max_tokens=12, temperature=0)
LONG = "All work and no play makes a dull prompt. " * 30


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny.gguf", context=2048)


@pytest.fixture
def model(path: Path) -> Iterator[LlamaModel]:
    loaded = LlamaModel.load(LoadOptions(path, threads=1))
    yield loaded
    loaded.close()


def ask(*contents: str) -> list[ChatMessage]:
    roles = ("user", "assistant")
    return [ChatMessage(roles[n % 2], text) for n, text in enumerate(contents)]  # type: ignore[arg-type]


def answer(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def completed(events: list[StreamEvent]) -> Completed:
    assert isinstance(events[-1], Completed)
    return events[-1]


class CancellingDecode:
    """llama.cpp, but whenever a computation is about to begin another thread cancels it."""

    def __init__(self, model: LlamaModel) -> None:
        self.results: list[int] = []
        self._model = model
        self._native = model._native

    def __getattr__(self, name: str) -> Handle:
        return getattr(self._native, name)

    def llama_decode(self, context: Handle, batch: Handle) -> int:
        thread = threading.Thread(target=self._model.cancel)
        thread.start()
        thread.join()
        self.results.append(self._native.llama_decode(context, batch))
        return self.results[-1]


def test_loading_reports_progress_and_says_what_was_loaded(path: Path) -> None:
    steps: list[Progress] = []
    loaded = LlamaModel.load(LoadOptions(path, context=300, threads=1), steps.append)
    try:
        info = loaded.info
        assert (info.name, info.architecture, info.path) == ("tiny", "llama", path)
        assert (info.context, info.gpu_layers, info.total_layers) == (300, 0, 3)
        assert steps[-1].done == steps[-1].total == 1000
        assert [step.done for step in steps] == sorted({step.done for step in steps})
        assert any("ChatML" in notice for notice in info.notices)
    finally:
        loaded.close()


def test_the_name_that_the_person_knows_comes_first(path: Path) -> None:
    loaded = LlamaModel.load(LoadOptions(path, threads=1, name="ann/Tiny-GGUF:F32"))
    assert loaded.info.name == "ann/Tiny-GGUF:F32"
    loaded.close()


def test_a_template_that_nobody_can_compile_gives_way_to_a_default(tmp_path: Path) -> None:
    deep = "{% if 1 %}" * 2000 + "{% endif %}" * 2000
    loaded = LlamaModel.load(LoadOptions(tiny_model(tmp_path / "x.gguf", chat_template=deep)))
    try:
        assert any("ChatML is used" in notice for notice in loaded.info.notices)
        assert loaded.count_prompt(ask("Hello")) > 0
    finally:
        loaded.close()


def test_a_context_beyond_the_models_own_is_cut_and_told(path: Path) -> None:
    loaded = LlamaModel.load(LoadOptions(path, context=9000, threads=1))
    assert loaded.info.context == 2048
    assert any("2,048" in notice for notice in loaded.info.notices)
    loaded.close()


def test_events_come_in_order_and_the_counts_are_right(model: LlamaModel) -> None:
    messages = ask(LONG)
    events = list(model.stream(messages, GREEDY))
    kinds = [type(event) for event in events]
    firsts = [kinds.index(kind) for kind in (Prefilling, Delta, Completed)]
    assert kinds == sorted(kinds, key=[Prefilling, Delta, Completed].index)
    assert firsts == sorted(firsts)
    prefilling = [event for event in events if isinstance(event, Prefilling)]
    total = model.count_prompt(messages)
    assert [event.done for event in prefilling] == [*range(0, total, 128), total]
    last = completed(events)
    assert (last.reason, last.completion_tokens, last.prompt_tokens) == ("length", 12, total)
    assert last.prefill_seconds > 0 < last.decode_seconds


def test_greedy_answers_repeat_and_seeds_decide_the_others(model: LlamaModel) -> None:
    def write(**options: float) -> str:
        chosen = GenerationOptions(max_tokens=12, **options)  # type: ignore[arg-type]
        return answer(list(model.stream(ask("Hello"), chosen)))

    assert write(temperature=0) == write(temperature=0)
    assert write(temperature=2, top_k=0, seed=7) == write(temperature=2, top_k=0, seed=7)
    assert len({write(temperature=2, top_k=0, seed=seed) for seed in range(4)}) > 1
    assert write(temperature=2, top_k=1, seed=3) == write(temperature=0)
    assert write(temperature=0, repeat_penalty=5.0) != write(temperature=0)


def test_only_what_is_new_is_read(model: LlamaModel) -> None:
    first = list(model.stream(ask(LONG), GREEDY))
    assert completed(first).cached_tokens == 0
    again = list(model.stream(ask(LONG), GREEDY))
    assert completed(again).cached_tokens == completed(again).prompt_tokens - 1
    assert answer(again) == answer(first)
    changed = list(model.stream(ask(LONG + "!"), GREEDY))
    assert 0 < completed(changed).cached_tokens < completed(changed).prompt_tokens - 1


def test_the_next_turn_reads_only_its_own_tokens(model: LlamaModel) -> None:
    options = GenerationOptions(max_tokens=20, temperature=0)
    events = list(model.stream(ask(LONG), options))
    spoken = answer(events)
    before = completed(events)
    turn = list(model.stream(ask(LONG, spoken, "And then?"), options))
    read = completed(turn).prompt_tokens - completed(turn).cached_tokens
    in_cache = before.prompt_tokens + before.completion_tokens - 1
    assert completed(turn).cached_tokens == in_cache
    assert read == completed(turn).prompt_tokens - in_cache
    assert read < 60


def test_a_reused_cache_changes_no_answer(path: Path, model: LlamaModel) -> None:
    list(model.stream(ask(LONG), GREEDY))
    warm = list(model.stream(ask(LONG, "Yes.", "Why?"), GREEDY))
    fresh = LlamaModel.load(LoadOptions(path, threads=1))
    cold = list(fresh.stream(ask(LONG, "Yes.", "Why?"), GREEDY))
    fresh.close()
    assert completed(warm).cached_tokens > 128
    assert completed(cold).cached_tokens == 0
    assert answer(warm) == answer(cold)


def test_a_state_that_cannot_be_cut_back_is_continued_or_begun_anew(tmp_path: Path) -> None:
    path = recurrent_model(tmp_path / "mamba.gguf")
    loaded = LlamaModel.load(LoadOptions(path, threads=1))
    fresh = LlamaModel.load(LoadOptions(path, threads=1))
    first = list(loaded.stream(ask("Hello"), GREEDY))
    again = list(loaded.stream(ask("Hello"), GREEDY))
    assert answer(again) == answer(first)
    assert completed(again).cached_tokens == 0
    chat = ask("Hello", answer(again), "More?")
    later = list(loaded.stream(chat, GREEDY))
    assert completed(later).cached_tokens == completed(again).prompt_tokens + 11
    loaded.close()
    assert answer(list(fresh.stream(ask("Hello"), GREEDY))) == answer(first)
    assert answer(list(fresh.stream(chat, GREEDY))) == answer(later)
    fresh.close()


def test_a_cancel_ends_the_answer_with_what_there_is(model: LlamaModel) -> None:
    events = []
    for event in model.stream(ask("Hello"), GenerationOptions(max_tokens=500, temperature=0)):
        events.append(event)
        if len(events) == 8:
            model.cancel()
    assert completed(events).reason == "cancelled"
    assert 0 < completed(events).completion_tokens < 20
    assert completed(list(model.stream(ask("Hello"), GREEDY))).reason == "length"


def test_a_cancel_in_the_middle_of_a_prompt_keeps_the_cache_right(
    path: Path, model: LlamaModel
) -> None:
    """The byte alone, without the flag that the loop looks at, stops a computation."""
    whole = completed(list(model.stream(ask("first"), GREEDY)))
    stream = model.stream(ask("other " + LONG), GREEDY)
    read = [event.done for event in islice(stream, 3) if isinstance(event, Prefilling)]
    assert read[0] < whole.prompt_tokens  # only the template's beginning was known
    model._loaded.abort[0] = b"\1"  # as cancel() does, while llama.cpp computes
    rest = list(stream)
    assert [type(event) for event in rest] == [Completed]
    assert completed(rest).reason == "cancelled"
    again = list(model.stream(ask("other " + LONG), GREEDY))
    assert completed(again).cached_tokens == read[-1] == read[0] + 2 * 128
    fresh = LlamaModel.load(LoadOptions(path, threads=1))
    assert answer(again) == answer(list(fresh.stream(ask("other " + LONG), GREEDY)))
    fresh.close()


def test_a_cancel_from_another_thread_stops_a_computation(model: LlamaModel) -> None:
    native = CancellingDecode(model)
    model._native = native
    events = list(model.stream(ask(LONG), GREEDY))
    assert native.results == [2]  # llama.cpp's code for a computation that was aborted
    assert [type(event) for event in events] == [Prefilling, Completed]
    assert completed(events).reason == "cancelled"


def test_an_answer_that_nobody_reads_to_the_end_is_given_up(model: LlamaModel) -> None:
    abandoned = model.stream(ask("Hello"), GenerationOptions(max_tokens=500))
    for _ in range(5):
        next(abandoned)
    assert completed(list(model.stream(ask("Hello"), GREEDY))).reason == "length"
    with pytest.raises(StopIteration):
        next(abandoned)


def test_stop_texts_end_the_answer(model: LlamaModel) -> None:
    whole = answer(list(model.stream(ask("Hello"), GenerationOptions(20, temperature=0))))
    stop = whole[5:8]
    events = list(model.stream(ask("Hello"), GenerationOptions(20, temperature=0, stop=(stop,))))
    assert answer(events) == whole[: whole.find(stop)]
    assert completed(events).reason == "stop"


def test_a_prompt_that_does_not_fit_is_refused_before_anything_is_read(model: LlamaModel) -> None:
    with pytest.raises(ContextFullError, match="2,048") as error:
        model.stream(ask(LONG * 10), GREEDY)
    assert "fewer notes" in error.value.remedy


def test_the_context_is_filled_to_its_end_and_no_further(path: Path) -> None:
    loaded = LlamaModel.load(LoadOptions(path, context=256, threads=1))
    events = list(loaded.stream(ask("Hi"), GenerationOptions(max_tokens=10_000, temperature=0)))
    last = completed(events)
    assert last.reason == "length"
    assert last.prompt_tokens + last.completion_tokens == 256
    loaded.close()


def test_counts_are_those_of_the_tokenizer(model: LlamaModel) -> None:
    one, two, none = model.count_tokens(["hello", "hello<|im_end|>", ""])
    assert none == 0
    assert two > one + 1
    assert model.count_prompt(ask("hello")) > one


def test_a_load_can_be_stopped(path: Path) -> None:
    with pytest.raises(LoadCancelled):
        LlamaModel.load(LoadOptions(path), cancelled=lambda: True)
    seen: list[Progress] = []
    with pytest.raises(LoadCancelled):
        LlamaModel.load(LoadOptions(path), seen.append, lambda: len(seen) > 0)


def test_llama_cpp_gets_no_file_whose_header_is_bad(tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF but not really, only the letters")
    with pytest.raises(HeaderError):
        LlamaModel.load(LoadOptions(bad))
    with pytest.raises(ModelNotFoundError):
        LlamaModel.load(LoadOptions(tmp_path / "none.gguf"))


def test_what_llama_cpp_refuses_is_an_error_with_its_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    incomplete = tmp_path / "incomplete.gguf"
    incomplete.write_bytes(model_bytes())
    with caplog.at_level(logging.ERROR, "alcove.llama"), pytest.raises(LoadError) as error:
        LlamaModel.load(LoadOptions(incomplete))
    assert "incomplete.gguf" in error.value.title
    assert "no reason" not in error.value.title
    assert caplog.records
    assert capfd.readouterr() == ("", "")


def test_llama_cpp_writes_nothing_to_the_terminal(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    loaded = LlamaModel.load(LoadOptions(path, threads=1))
    list(loaded.stream(ask("Hello"), GREEDY))
    loaded.close()
    assert capfd.readouterr() == ("", "")


def test_a_closed_model_says_so(path: Path) -> None:
    loaded = LlamaModel.load(LoadOptions(path, threads=1))
    loaded.close()
    loaded.close()
    with pytest.raises(GenerationError, match="closed"):
        loaded.stream(ask("Hello"), GREEDY)


def test_devices_are_told_with_their_memory() -> None:
    (cpu,) = devices((CPU_KIND,))
    assert cpu.name == "CPU"
    assert cpu.description
    assert 0 < cpu.free <= cpu.total <= psutil.virtual_memory().total
    both = devices((CPU_KIND, *GPU_KINDS))
    assert {device.name for device in both} == {"CPU"} | {device.name for device in devices()}
