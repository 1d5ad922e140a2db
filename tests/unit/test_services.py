"""The host and its child: real processes, real pipes, real deaths."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.errors import AppError, ServiceDied, ServiceUnavailable
from app.services.host import ServiceHost, child_environment, describe_exit
from app.services.protocol import Call, Result, read_message, write_message


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "echo.log"


@pytest.fixture
def host(log: Path) -> Iterator[ServiceHost]:
    command = [sys.executable, "-P", "-m", "tests.fixtures.echo_service", str(log)]
    host = ServiceHost(
        "echo", command, log, lambda code: (describe_exit(code), "again"), child_environment()
    )
    yield host
    host.close()


def test_frames_survive_the_pipe_and_a_cut_one_is_an_end() -> None:
    stream = io.BytesIO()
    write_message(stream, Call(1, "echo", ("x",)))
    write_message(stream, Result(1, {"a": (1, 2)}))
    whole = stream.getvalue()
    reader = io.BytesIO(whole)
    assert read_message(reader) == Call(1, "echo", ("x",))
    assert read_message(reader) == Result(1, {"a": (1, 2)})
    assert read_message(reader) is None
    assert read_message(io.BytesIO(whole[:3])) is None
    assert read_message(io.BytesIO(whole[:9])) is None


def test_a_call_returns_and_events_come_in_order(host: ServiceHost) -> None:
    assert host.call("echo", "hello").result() == "hello"
    seen: list[object] = []
    assert host.call("count", 500).result(seen.append) == 500
    assert seen == list(range(500))


def test_lanes_run_side_by_side_and_cancel_reaches_one_request(host: ServiceHost) -> None:
    waiting = host.call("wait")
    events = waiting.events()
    assert next(events) == "waiting"
    assert host.call("echo", 1).result() == 1
    waiting.cancel()
    with pytest.raises(StopIteration) as end:
        next(events)
    assert end.value.value == "cancelled"


def test_an_abandoned_request_ends_here_and_now(host: ServiceHost) -> None:
    waiting = host.call("wait")
    next(waiting.events())
    waiting.abandon(AppError("Enough.", ""))
    with pytest.raises(AppError, match="Enough"):
        waiting.result()
    assert host.call("echo", 1).result() == 1


def test_errors_travel_with_title_and_remedy(host: ServiceHost) -> None:
    with pytest.raises(AppError) as ours:
        host.call("fail").result()
    assert (ours.value.title, ours.value.remedy) == ("It failed.", "Do something.")
    with pytest.raises(AppError, match="ZeroDivisionError"):
        host.call("surprise").result()
    with pytest.raises(AppError, match="called unwrap on none"):
        host.call("panic").result()
    assert host.call("echo", "still there").result() == "still there"


def test_stray_output_reaches_the_log_and_neither_pipe_nor_terminal(
    host: ServiceHost, log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert host.call("babble").result() == "said"
    assert host.call("echo", 2).result() == 2
    text = log.read_text()
    assert "stray line from Python" in text
    assert "stray bytes on descriptor 1" in text
    assert "stray bytes on descriptor 2" in text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGILL"])
def test_a_death_fails_the_request_and_the_next_one_starts_anew(
    host: ServiceHost, name: str
) -> None:
    told = threading.Event()
    host.on_death = lambda _: told.set()
    with pytest.raises(ServiceDied, match=name):
        host.call("crash", name).result()
    assert told.wait(10)
    assert host.call("echo", "anew").result() == "anew"


def test_stopping_fails_what_is_under_way_and_is_no_death(host: ServiceHost) -> None:
    deaths: list[ServiceDied] = []
    host.on_death = deaths.append
    waiting = host.call("wait")
    next(waiting.events())
    pid = host.pid
    assert pid is not None
    host.stop()
    with pytest.raises(ServiceDied, match="stopped"):
        waiting.result()
    assert not psutil.pid_exists(pid)
    assert deaths == []
    assert host.call("echo", 3).result() == 3


def test_closed_is_for_good(host: ServiceHost) -> None:
    host.call("echo", 1).result()
    host.close()
    with pytest.raises(ServiceUnavailable, match="closed"):
        host.call("echo", 1)


def test_a_command_that_cannot_start_has_a_remedy(tmp_path: Path) -> None:
    host = ServiceHost(
        "ghost", [str(tmp_path / "no-such")], tmp_path / "log", lambda code: (str(code), "")
    )
    with pytest.raises(ServiceUnavailable, match="cannot be started") as error:
        host.call("echo")
    assert error.value.remedy


def test_the_child_ends_when_its_parent_is_killed(log: Path) -> None:
    """No orphan: the pipe closes, and the child notices although a method is running."""
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from app.services.host import ServiceHost, child_environment\n"
        "log = sys.argv[1]\n"
        "command = [sys.executable, '-P', '-m', 'tests.fixtures.echo_service', log]\n"
        "host = ServiceHost('echo', command, Path(log), lambda c: ('', ''), child_environment())\n"
        "next(host.call('wait').events())\n"
        "print(host.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    import subprocess

    with subprocess.Popen(
        [sys.executable, "-c", script, str(log)], stdout=subprocess.PIPE, env=child_environment()
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        child.wait(10)
        assert not child.is_running()


def test_a_folder_with_its_own_app_package_does_not_get_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: ServiceHost
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("raise RuntimeError('the wrong app')")
    monkeypatch.chdir(tmp_path)
    assert host.call("echo", "right").result() == "right"


def test_many_threads_share_one_child(host: ServiceHost) -> None:
    results: list[object] = []

    def ask(number: int) -> None:
        results.append(host.call("echo", number).result())

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    for thread in threads:
        thread.join(deadline - time.monotonic())
    assert sorted(results, key=str) == sorted(range(40), key=str)
