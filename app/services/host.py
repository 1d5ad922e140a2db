"""The parent's side of a service: starts the child, calls it, and outlives it.

One class serves every child process. Its death is an error of the requests that were under way,
never of the app: the next request starts it anew.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path

from app.errors import ServiceDied, ServiceUnavailable
from app.services.protocol import (
    Call,
    Cancel,
    Event,
    Failure,
    Message,
    Result,
    read_message,
    write_message,
)

CLOSE_SECONDS = 0.2
"""Time a child gets to finish in good order before it is killed."""

Explain = Callable[[int], tuple[str, str]]
"""Turns a child's exit code (negative: a signal) into a title and a remedy."""


class Pending:
    """A request under way."""

    def __init__(self, host: ServiceHost, number: int) -> None:
        self._host = host
        self._number = number
        self.inbox: queue.SimpleQueue[Event | Result | Failure] = queue.SimpleQueue()

    def events(self) -> Generator[object, None, object]:
        """Yield what the request tells until it ends; the generator returns the result.

        Raises the error it ended with, or ``ServiceDied``.
        """
        while True:
            message = self.inbox.get()
            if isinstance(message, Event):
                yield message.value
            elif isinstance(message, Failure):
                raise message.error
            else:
                return message.value

    def result(self, on_event: Callable[[object], None] | None = None) -> object:
        """Wait for the end, handing events on, and return the result."""
        events = self.events()
        while True:
            try:
                value = next(events)
            except StopIteration as end:
                return end.value
            if on_event is not None:
                on_event(value)

    def cancel(self) -> None:
        """Ask the request to stop soon; it still ends with a result or an error."""
        self._host.send_cancel(self._number)

    def abandon(self, error: Exception) -> None:
        """Stop waiting: the request ends here and now with an error, whatever the child does."""
        self.cancel()
        self.inbox.put(Failure(self._number, error))


class ServiceHost:
    """A child process and the requests it works on. Thread-safe."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        explain: Explain,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        """Name of the service, for the person."""
        self.on_death: Callable[[ServiceDied], None] | None = None
        """Called from a reader thread when the child ends without having been asked to."""
        self._command = list(command)
        self._log = log
        self._explain = explain
        self._environment = environment
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pending: dict[int, Pending] = {}
        self._closed = False

    @property
    def running(self) -> bool:
        """Whether the child is there."""
        with self._lock:
            return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id of the child, when there is one."""
        with self._lock:
            return self._process.pid if self._process is not None else None

    def call(self, method: str, *args: object) -> Pending:
        """Send a request, starting the child if there is none.

        Raises ``ServiceUnavailable`` when the host was closed or the child cannot be started.
        """
        with self._lock:
            process = self._ensure()
            pending = Pending(self, next(self._numbers))
            self._pending[pending._number] = pending
            # A write to a child that just died fails; its reader reports the death.
            with contextlib.suppress(OSError):
                self._write(process, Call(pending._number, method, args))
        return pending

    def send_cancel(self, number: int) -> None:
        """Ask the child to stop a request; does nothing when it has ended."""
        with self._lock:
            if self._process is not None and number in self._pending:
                with contextlib.suppress(OSError):
                    self._write(self._process, Cancel(number))

    def stop(self) -> None:
        """End the child, so that its memory is given back; the next call starts a new one."""
        with self._lock:
            process, self._process = self._process, None
            orphans, self._pending = self._pending, {}
        stopped = ServiceDied(f"The {self.name} was stopped.", "Ask again to start it.")
        for number, pending in orphans.items():
            pending.inbox.put(Failure(number, stopped))
        if process is not None:
            _end(process)

    def close(self) -> None:
        """End the child for good; takes at most about ``CLOSE_SECONDS``."""
        with self._lock:
            self._closed = True
        self.stop()

    def _ensure(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise ServiceUnavailable(f"The {self.name} is closed.", "Start Alcove again.")
        if self._process is not None:
            return self._process
        try:
            with self._log.open("ab") as log:
                process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=None if self._environment is None else dict(self._environment),
                )
        except OSError as error:
            raise ServiceUnavailable(
                f"The {self.name} cannot be started: {error.strerror}.",
                f"Check that {self._log} can be written and that memory is free, then try again.",
            ) from error
        self._process = process
        threading.Thread(
            target=self._read, args=(process,), name=f"{self.name}-reader", daemon=True
        ).start()
        return process

    def _write(self, process: subprocess.Popen[bytes], message: Message) -> None:
        assert process.stdin is not None
        write_message(process.stdin, message)  # type: ignore[arg-type]

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        try:
            while (message := read_message(process.stdout)) is not None:  # type: ignore[arg-type]
                self._deliver(message)
        except Exception:
            # Not a frame: the child is out of its mind, and is ended like a dead one.
            process.kill()
        process.stdout.close()
        self._buried(process)

    def _deliver(self, message: Message) -> None:
        if not isinstance(message, (Event, Result, Failure)):
            return
        with self._lock:
            if isinstance(message, Event):
                pending = self._pending.get(message.id)
            else:
                pending = self._pending.pop(message.id, None)
        if pending is not None:
            pending.inbox.put(message)

    def _buried(self, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        with self._lock:
            if self._process is not process:
                return
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
            self._process = None
            orphans, self._pending = self._pending, {}
        death = ServiceDied(*self._explain(code))
        for number, pending in orphans.items():
            pending.inbox.put(Failure(number, death))
        if self.on_death is not None:
            self.on_death(death)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close the pipe, wait a moment, kill."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(CLOSE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class ServiceClient:
    """What the app's side of every service shares: one host, and who is told of its death."""

    def __init__(self, service: str, logs: Path, explain: Explain) -> None:
        self._host = ServiceHost(
            service, child_command(service), logs / f"{service}.log", explain, child_environment()
        )
        self._under_way: dict[str, Pending] = {}
        self._lock = threading.Lock()

    @property
    def host(self) -> ServiceHost:
        """The child process."""
        return self._host

    def watch_death(self, tell: Callable[[ServiceDied], None]) -> None:
        """Have somebody told, on a reader thread, when the child ends by itself."""
        self._host.on_death = tell

    def close(self) -> None:
        """End the child process."""
        self._host.close()

    @contextlib.contextmanager
    def _calling(self, method: str, *args: object) -> Iterator[Pending]:
        """Send a request that ``_pending`` finds by its method until the block ends."""
        pending = self._host.call(method, *args)
        with self._lock:
            self._under_way[method] = pending
        try:
            yield pending
        finally:
            with self._lock:
                self._under_way.pop(method, None)

    def _pending(self, *methods: str) -> list[Pending]:
        """List the requests for these methods that are under way."""
        with self._lock:
            return [self._under_way[name] for name in methods if name in self._under_way]


def child_command(service: str) -> list[str]:
    """Build the command line that starts a service of this installation.

    ``-P`` keeps the current folder off the path: a person's own ``app`` or ``models`` package
    there must not be imported in place of ours.
    """
    return [sys.executable, "-P", "-m", "app", "_serve", service]


def child_environment() -> dict[str, str]:
    """Build a child's environment: ours, with our own packages found first."""
    root = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH", "")
    path = os.pathsep.join(part for part in (root, inherited) if part)
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def describe_exit(code: int) -> str:
    """Say in words how a process ended: ``was killed (SIGKILL)``, ``ended with code 3``."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    verb = "was killed" if name in {"SIGKILL", "SIGTERM"} else "crashed"
    return f"{verb} ({name})"
