"""Downloads that survive: resumed where they broke off, verified whole, then given their name.

huggingface_hub deletes what a broken download has fetched, so its metadata, tokens and errors are
used and the bytes are fetched by ``models.remote``. While a file is incomplete it is called
``NAME.part``, beside a ``NAME.part.json`` that says which content it is a part of.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from models import hub
from models.checksum import announced
from models.errors import DownloadError, HubError
from models.facts import split_parts
from models.interruptible import interruptible
from models.names import require_repo
from models.partial import PartialFile
from models.remote import Broken, Remote, locate, stream
from models.types import (
    Cancelled,
    ModelFile,
    Progress,
    Report,
    ignore_progress,
    never_cancelled,
)

_SPARE = 256 << 20  # left free on the disk
_ATTEMPTS = 6
_LONGEST_WAIT = 30.0
_TICK = 0.1


class HubDownloader:
    """Fetches model files into ``models_dir/owner/name``; satisfies ``Downloader``.

    ``pause`` is the first wait after a broken connection, in seconds; it doubles each time and
    starts over when bytes arrive.
    """

    def __init__(self, models_dir: Path, *, pause: float = 1.0) -> None:
        self._folder = models_dir
        self._pause = pause

    def resolve(self, name: str) -> ModelFile:
        """Find the file that ``owner/name[:QUANT]`` means. Raises ``ModelError``."""
        return hub.resolve(name)

    def destination(self, file: ModelFile) -> Path:
        """Return where a file will be. Raises ``DownloadError`` for a name that leads elsewhere."""
        repo = require_repo(file.repo).repo
        name = PurePosixPath(file.filename)
        if name.is_absolute() or ".." in name.parts or "\\" in file.filename:
            raise DownloadError(f"{file.filename!r} is not a file name.", "Choose another model.")
        return self._folder.joinpath(*repo.split("/"), *name.parts)

    def download(
        self,
        file: ModelFile,
        report: Report = ignore_progress,
        cancelled: Cancelled = never_cancelled,
    ) -> Path:
        """Fetch the file and all its parts, verified, and return where the first one is.

        Progress is in bytes of all parts together. Raises ``DownloadCancelled`` (what has arrived
        is kept), ``DownloadError`` and ``HubError``.
        """
        return self._download(
            self._parts(file), PurePosixPath(file.filename).name, report, cancelled
        )

    def download_all(
        self,
        files: Sequence[ModelFile],
        report: Report = ignore_progress,
        cancelled: Cancelled = never_cancelled,
    ) -> Path:
        """Fetch several files of one repository, in their order, and return their folder.

        Progress and errors are those of ``download``.
        """
        repo = files[0].repo
        self._download(list(files), repo, report, cancelled)
        return self._folder.joinpath(*require_repo(repo).repo.split("/"))

    def _download(
        self, parts: list[ModelFile], name: str, report: Report, cancelled: Cancelled
    ) -> Path:
        """Fetch what is missing, and return where the first file is."""
        total = sum(part.size for part in parts)
        missing: list[tuple[ModelFile, PartialFile]] = []
        before = 0
        try:
            for part in parts:

                def tell(doing: str, done: int, start: int = before) -> None:
                    report(Progress(f"{doing} {name}", start + done, total))

                job = PartialFile(self.destination(part), cancelled, tell)
                if not job.is_whole(announced(part.sha256, part.blob_id), part.size):
                    missing.append((part, job))
                before += part.size
            self._check_space([part for part, _ in missing])
            for part, job in missing:
                self._fetch_alone(part, job)
        except OSError as error:
            raise DownloadError(
                f"The download cannot be written: {error.strerror or error}.",
                f"Check the permissions of {self._folder} and the space on its disk.",
            ) from error
        report(Progress(f"downloading {name}", total, total))
        return self.destination(parts[0])

    def _parts(self, file: ModelFile) -> list[ModelFile]:
        names = split_parts(file.filename)
        if len(names) == 1:
            return [file]
        _, files = hub.repo_files(file.repo, file.revision)
        known = {entry.filename: entry for entry in files}
        if any(name not in known for name in names):
            raise DownloadError(f"{file.repo} lacks a part of {names[0]}.", "Try another level.")
        return [_part(file, known[name]) for name in names]

    def _check_space(self, files: list[ModelFile]) -> None:
        needed = 0
        for file in files:
            target = self.destination(file)
            part = target.with_name(target.name + ".part")
            needed += file.size - min(file.size, part.stat().st_size if part.exists() else 0)
        self._folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._folder).free
        if files and needed + _SPARE > free:
            raise DownloadError(
                f"The disk has {free / 1e9:.2f} GB free and {(needed + _SPARE) / 1e9:.2f} GB are "
                "needed.",
                f"Make space on the disk of {self._folder}, or choose a smaller level.",
            )

    def _fetch_alone(self, file: ModelFile, job: PartialFile) -> None:
        """Fetch one file unless another process does."""
        job.target.parent.mkdir(parents=True, exist_ok=True)
        locks = self._folder / ".locks"
        locks.mkdir(exist_ok=True)
        name = f"{file.repo}/{file.filename}".replace("/", "--")
        try:
            with FileLock(locks / f"{name}.lock", timeout=0):
                if not job.is_whole(announced(file.sha256, file.blob_id), file.size):
                    self._fetch(file, job)
        except Timeout as error:
            raise DownloadError(
                f"Another process is downloading {job.target.name}.", "Wait until it has finished."
            ) from error

    def _fetch(self, file: ModelFile, job: PartialFile) -> None:
        """Fetch with retries; give the final name only to verified content."""

        def ask() -> Generator[Remote, None, None]:
            yield locate(file)

        failures, best = 0, -1
        while True:
            try:
                with closing(interruptible(ask, job.stop_if_cancelled)) as answers:
                    remote = next(answers)
                job.take_up(remote.checksum, remote.size)
                self._receive(job, remote)
                break
            except Broken as broken:
                if broken.anew:
                    job.begin_anew()
                failures = 1 if job.done > best else failures + 1
                best = max(best, job.done)
                if failures >= _ATTEMPTS:
                    raise self._given_up(job, broken) from broken.reason
                self._wait(job, broken, self._pause * 2 ** (failures - 1))
        job.finish()

    def _receive(self, job: PartialFile, remote: Remote) -> None:
        """Append what is missing. Raises ``Broken`` when the connection ends too early."""
        job.tell("downloading", job.done)
        if job.done == remote.size:
            return
        pieces = partial(stream, remote, job.done)
        with (
            closing(interruptible(pieces, job.stop_if_cancelled)) as arriving,
            job.part.open("ab") as part,
        ):
            for offset, piece in arriving:
                if offset != job.done:  # the server sends it all, from the beginning
                    job.begin_anew()
                if job.done + len(piece) > remote.size:
                    job.discard()
                    raise DownloadError(
                        f"{job.target.name} is larger than announced.", "Download it again later."
                    )
                job.append(part, piece)
                job.tell("downloading", job.done)
        if job.done < remote.size:
            raise Broken(DownloadError("The connection ended too early.", ""))

    def _wait(self, job: PartialFile, broken: Broken, pause: float) -> None:
        seconds = min(max(broken.wait, pause), _LONGEST_WAIT)
        if seconds > 0:
            job.tell(f"{broken.why}, trying again in {math.ceil(seconds)} s:", job.done)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            job.stop_if_cancelled()
            time.sleep(min(_TICK, left))

    def _given_up(self, job: PartialFile, broken: Broken) -> Exception:
        if isinstance(broken.reason, HubError):
            return broken.reason
        return DownloadError(
            f"The connection broke {_ATTEMPTS} times while {job.target.name} was downloaded.",
            "What has arrived is kept; download again to go on from there.",
        )


def _part(file: ModelFile, entry: hub.RepoFile) -> ModelFile:
    return replace(
        file,
        filename=entry.filename,
        size=entry.size,
        sha256=entry.sha256,
        blob_id=entry.blob_id,
    )
