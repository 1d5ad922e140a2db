"""Downloads that survive: resumed where they broke off, verified whole, then given their name.

huggingface_hub deletes what a broken download has fetched, so its metadata, tokens and errors are
used and the bytes are fetched here. While a file is incomplete it is called ``NAME.part``, beside
a ``NAME.part.json`` that says which content it is a part of.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import httpx
from filelock import FileLock, Timeout

from models import hub
from models.errors import DownloadError, HubError
from models.facts import split_parts
from models.names import require_repo
from models.partial import PartialFile
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
_TIMEOUT = httpx.Timeout(20.0)
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


class _Broken(Exception):
    """The connection broke or the server asked to come back later."""

    def __init__(self, reason: Exception, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


@dataclass(frozen=True, slots=True)
class _Remote:
    """Where a file's bytes are now, and what they are."""

    repo: str
    address: str
    headers: dict[str, str]
    etag: str
    size: int


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
        parts = self._parts(file)
        total = sum(part.size for part in parts)
        missing = [part for part in parts if not self._have(part)]
        before = total - sum(part.size for part in missing)
        label = f"downloading {PurePosixPath(file.filename).name}"
        try:
            self._check_space(missing)
            for part in missing:

                def tell(done: int, start: int = before) -> None:
                    report(Progress(label, start + done, total))

                self._fetch_alone(part, tell, cancelled)
                before += part.size
        except OSError as error:
            raise DownloadError(
                f"The download cannot be written: {error.strerror or error}.",
                f"Check the permissions of {self._folder} and the space on its disk.",
            ) from error
        report(Progress(label, total, total))
        return self.destination(parts[0])

    def _parts(self, file: ModelFile) -> list[ModelFile]:
        names = split_parts(file.filename)
        if len(names) == 1:
            return [file]
        _, files = hub.repo_files(file.repo, file.revision)
        known = {entry.filename: entry for entry in files}
        if any(name not in known for name in names):
            raise DownloadError(f"{file.repo} lacks a part of {names[0]}.", "Try another level.")
        return [
            replace(file, filename=name, size=known[name].size, sha256=known[name].sha256)
            for name in names
        ]

    def _have(self, file: ModelFile) -> bool:
        path = self.destination(file)
        return path.is_file() and path.stat().st_size == file.size

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

    def _fetch_alone(
        self, file: ModelFile, report: Callable[[int], None], cancelled: Cancelled
    ) -> None:
        """Fetch one file unless another process does."""
        target = self.destination(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        locks = self._folder / ".locks"
        locks.mkdir(exist_ok=True)
        name = f"{file.repo}/{file.filename}".replace("/", "--")
        try:
            with FileLock(locks / f"{name}.lock", timeout=0):
                if not self._have(file):
                    self._fetch(file, PartialFile(target, cancelled), report)
        except Timeout as error:
            raise DownloadError(
                f"Another process is downloading {target.name}.", "Wait until it has finished."
            ) from error

    def _fetch(self, file: ModelFile, job: PartialFile, report: Callable[[int], None]) -> None:
        """Fetch with retries; give the final name only to verified content."""
        failures, best, started = 0, -1, False
        while True:
            job.stop_if_cancelled()
            try:
                remote = self._locate(file)
                if not started:
                    job.take_up(remote.etag, remote.size)
                    started = True
                self._receive(job, remote, report)
                break
            except _Broken as broken:
                failures = 1 if job.done > best else failures + 1
                best = max(best, job.done)
                if failures >= _ATTEMPTS:
                    raise self._given_up(job, broken) from broken.reason
                self._wait(job, max(broken.wait, self._pause * 2 ** (failures - 1)))
        job.finish(file.sha256)

    def _locate(self, file: ModelFile) -> _Remote:
        """Ask the hub where the bytes are; the address may hold for minutes only."""
        library = hub.library()
        address = hub.endpoint()
        headers: dict[str, str] = library.utils.build_hf_headers(library_name="alcove")
        url = library.hf_hub_url(
            file.repo, file.filename, revision=file.revision or None, endpoint=address
        )
        try:
            with hub.hub_errors(file.repo):
                facts = library.get_hf_file_metadata(url, headers=headers, endpoint=address)
        except HubError as error:
            if _is_passing(error):
                raise _Broken(error) from error
            raise
        if _origin(facts.location) != _origin(address):
            headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
        size = file.size if facts.size is None else facts.size
        if file.size and size != file.size:
            raise DownloadError(
                f"{file.filename} has changed on the hub since it was chosen.", "Choose it again."
            )
        return _Remote(file.repo, facts.location, headers, facts.etag or file.sha256, size)

    def _receive(self, job: PartialFile, remote: _Remote, report: Callable[[int], None]) -> None:
        """Append what is missing. Raises ``_Broken`` when the connection ends too early."""
        report(job.done)
        if job.done == remote.size:
            return
        headers = {**remote.headers, "Accept-Encoding": "identity"}
        if job.done:
            headers["Range"] = f"bytes={job.done}-"
        try:
            with (
                httpx.Client(follow_redirects=True, timeout=_TIMEOUT) as client,
                client.stream("GET", remote.address, headers=headers) as response,
            ):
                self._accept(job, remote, response)
                with job.part.open("ab") as part:
                    for chunk in self._chunks(job, remote, response):
                        job.append(part, chunk)
                        report(job.done)
        except httpx.HTTPError as error:
            raise _Broken(error) from error
        if job.done < remote.size:
            raise _Broken(httpx.ReadError("the connection ended too early"))

    def _accept(self, job: PartialFile, remote: _Remote, response: httpx.Response) -> None:
        """Check that the answer continues where the part ends."""
        if response.status_code in _RETRIED:
            error = hub.status_error(remote.repo, response.status_code)
            raise _Broken(error, _retry_after(response))
        if response.status_code == 206:
            if response.headers.get("Content-Range", "").startswith(f"bytes {job.done}-"):
                return
            job.begin_anew()
            raise _Broken(httpx.ReadError("the server sent another range"))
        if response.status_code == 200:
            if job.done:
                job.begin_anew()
            return
        if response.status_code == 416:
            job.begin_anew()
            raise _Broken(httpx.ReadError("the server does not have that range"))
        raise hub.status_error(remote.repo, response.status_code)

    def _chunks(
        self, job: PartialFile, remote: _Remote, response: httpx.Response
    ) -> Iterator[bytes]:
        for chunk in response.iter_raw():
            job.stop_if_cancelled()
            if job.done + len(chunk) > remote.size:
                job.discard()
                raise DownloadError(
                    f"{job.target.name} is larger than announced.", "Download it again later."
                )
            yield chunk

    def _wait(self, job: PartialFile, seconds: float) -> None:
        end = time.monotonic() + min(seconds, _LONGEST_WAIT)
        while (left := end - time.monotonic()) > 0:
            job.stop_if_cancelled()
            time.sleep(min(_TICK, left))

    def _given_up(self, job: PartialFile, broken: _Broken) -> Exception:
        if isinstance(broken.reason, HubError):
            return broken.reason
        return DownloadError(
            f"The connection broke {_ATTEMPTS} times while {job.target.name} was downloaded.",
            "What has arrived is kept; download again to go on from there.",
        )


def _is_passing(error: HubError) -> bool:
    """Tell whether trying again may help: no connection, too many requests, a server's trouble."""
    cause = error.__cause__
    status = getattr(getattr(cause, "response", None), "status_code", None)
    if status is not None:
        return status in _RETRIED
    return not isinstance(cause, ValueError) and "offline" not in error.title


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port


def _retry_after(response: httpx.Response) -> float:
    try:
        return float(response.headers.get("Retry-After", "0"))
    except ValueError:
        return 0.0
