"""The child's side of a service: reads requests, runs them, sends what they say.

Methods of one lane run one after the other, lanes run side by side. The child ends when its
parent does: the pipe closes, and that is noticed even while llama.cpp or torch is computing.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol

from app.errors import AppError
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
from models.errors import ModelError
from retrieval.errors import RetrievalError

logger = logging.getLogger("alcove.service")


class Job:
    """A running request, as its method sees it."""

    def __init__(self, send: Callable[[object], None]) -> None:
        self.emit = send
        """Tell the parent something before the end."""
        self._stop = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def cancelled(self) -> bool:
        """Tell whether the person wants this to stop."""
        return self._stop.is_set()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Have a callback run at cancel, at once if that has already happened."""
        with self._lock:
            self._callbacks.append(callback)
        if self._stop.is_set():
            callback()

    def cancel(self) -> None:
        """Ask the method to stop."""
        self._stop.set()
        with self._lock:
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()


Method = Callable[..., object]
"""Called as ``method(job, *args)``; what it returns is the result."""


class Service(Protocol):
    """What a child process serves."""

    @property
    def methods(self) -> Mapping[str, Method]:
        """Methods by name."""

    @property
    def lanes(self) -> Mapping[str, str]:
        """Lane of each method that does not belong to the lane ``main``."""

    def close(self) -> None:
        """Finish in good order; called when the parent asks or is gone."""


Listen = Callable[[Service], Callable[[], None]]
"""Offers a service elsewhere, and returns what ends that."""


def claim_standard_streams(log: Path) -> tuple[BinaryIO, BinaryIO]:
    """Take file descriptors 0 and 1 as the pipe, and point 0, 1 and 2 elsewhere.

    A library that prints must not reach the pipe or the terminal: both go to the log.
    """
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    log_fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null_fd = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null_fd, 0)
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    os.close(null_fd)
    os.close(log_fd)
    return requests, replies


def serve(build: Callable[[], Service], log: Path, listen: Listen = lambda _: lambda: None) -> None:
    """Serve requests until the parent closes the pipe; then end the process.

    ``build`` makes the service; an error it raises answers every request. ``listen`` offers the
    service to other programs.
    """
    requests, replies = claim_standard_streams(log)
    faulthandler.enable()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s"
    )
    # Ctrl-C in the terminal reaches the whole process group; only the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Loop(build, replies, listen).run(requests)
    # Threads may still compute; they are not worth waiting for.
    os._exit(0)


class _Loop:
    def __init__(self, build: Callable[[], Service], replies: BinaryIO, listen: Listen) -> None:
        self._build = build
        self._listen = listen
        self._replies = replies
        self._write_lock = threading.Lock()
        self._jobs: dict[int, Job] = {}
        self._lanes: dict[str, ThreadPoolExecutor] = {}

    def run(self, requests: BinaryIO) -> None:
        service: Service | None = None
        problem: Exception | None = None
        stop_listening: Callable[[], None] | None = None
        try:
            service = self._build()
            stop_listening = self._listen(service)
        except Exception as error:
            logger.exception("the service cannot start")
            problem = error
        while (message := read_message(requests)) is not None:
            if isinstance(message, Cancel):
                job = self._jobs.get(message.id)
                if job is not None:
                    job.cancel()
            elif isinstance(message, Call) and service is not None:
                self._start(service, message)
            elif isinstance(message, Call) and problem is not None:
                self._send(Failure(message.id, presentable(problem)))
        if stop_listening is not None:
            stop_listening()
        if service is not None:
            service.close()

    def _start(self, service: Service, call: Call) -> None:
        job = Job(lambda value: self._send(Event(call.id, value)))
        self._jobs[call.id] = job
        lane = service.lanes.get(call.method, "main")
        if lane not in self._lanes:
            self._lanes[lane] = ThreadPoolExecutor(1, thread_name_prefix=lane)
        self._lanes[lane].submit(self._run, service, call, job)

    def _run(self, service: Service, call: Call, job: Job) -> None:
        try:
            value = service.methods[call.method](job, *call.args)
            self._send(Result(call.id, value))
        except BaseException as error:  # Rust libraries panic with a bare one.
            self._send(Failure(call.id, presentable(error)))
        finally:
            self._jobs.pop(call.id, None)

    def _send(self, message: Message) -> None:
        try:
            with self._write_lock:
                write_message(self._replies, message)
        except OSError:
            # The parent is gone; the reading loop ends the process.
            logger.info("nobody listens any more")


def presentable(error: BaseException) -> Exception:
    """Keep our own errors; log any other and turn it into one that travels and has a remedy."""
    if isinstance(error, (AppError, ModelError, RetrievalError)):
        return error
    logger.error("something unexpected went wrong", exc_info=error)
    return AppError(
        f"Something unexpected went wrong: {type(error).__name__}: {error}.",
        "The details are in the log folder that `alcove status` names.",
    )
