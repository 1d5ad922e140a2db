"""Where a file's bytes are on the hub now, and the stream of them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from models import hub
from models.checksum import announced
from models.errors import DownloadError, HubError
from models.types import ModelFile

_BUSY = "the hub is busy"
_TIMEOUT = httpx.Timeout(20.0)
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


class Broken(Exception):
    """The connection broke or the server asked to come back later.

    ``wait`` is the least time to wait, in seconds; ``anew`` says that what has arrived is no use.
    """

    def __init__(
        self,
        reason: Exception,
        wait: float = 0.0,
        why: str = "connection lost",
        *,
        anew: bool = False,
    ) -> None:
        super().__init__(reason)
        self.anew = anew
        self.reason = reason
        self.wait = wait
        self.why = why


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a file's bytes are now, and what they are."""

    repo: str
    """Repository: ``owner/name``."""
    address: str
    """URL of the bytes; may hold for minutes only."""
    headers: dict[str, str]
    """What to send along."""
    checksum: str
    """Announced checksum; empty when there is none."""
    size: int
    """Bytes."""


def locate(file: ModelFile) -> Remote:
    """Ask the hub where the bytes are. Raises ``Broken`` and ``ModelError``."""
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
        broken = _passing(error)
        if broken is None:
            raise
        raise broken from error
    if _origin(facts.location) != _origin(address):
        headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
    size = file.size if facts.size is None else facts.size
    if file.size and size != file.size:
        raise DownloadError(
            f"{file.filename} has changed on the hub since it was chosen.", "Choose it again."
        )
    checksum = announced(file.sha256, file.blob_id or facts.etag or "")
    return Remote(file.repo, facts.location, headers, checksum, size)


def stream(remote: Remote, start: int) -> Generator[tuple[int, bytes], None, None]:
    """Yield the bytes from ``start``, each piece with its offset.

    A server that knows no ranges sends it all: the offsets then begin at 0. Raises ``Broken`` and
    ``HubError``.
    """
    headers = {**remote.headers, "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=_TIMEOUT) as client,
            client.stream("GET", remote.address, headers=headers) as response,
        ):
            offset = _first_offset(remote, start, response)
            for piece in response.iter_raw():
                yield offset, piece
                offset += len(piece)
    except httpx.HTTPError as error:
        raise Broken(error) from error


def _first_offset(remote: Remote, start: int, response: httpx.Response) -> int:
    status = response.status_code
    if status in _RETRIED:
        raise Broken(hub.status_error(remote.repo, status), _retry_after(response), _BUSY)
    if status == 200:
        return 0
    if status == 206:
        if response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            return start
        raise Broken(httpx.ReadError("the server sent another range"), anew=True)
    if status == 416:
        raise Broken(httpx.ReadError("the server does not have that range"), anew=True)
    raise hub.status_error(remote.repo, status)


def _passing(error: HubError) -> Broken | None:
    """Tell whether trying again may help: no connection, too many requests, a server's trouble."""
    cause = error.__cause__
    status = getattr(getattr(cause, "response", None), "status_code", None)
    if status is not None:
        return Broken(error, why=_BUSY) if status in _RETRIED else None
    if isinstance(cause, ValueError) or "offline" in error.title:
        return None
    return Broken(error)


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port


def _retry_after(response: httpx.Response) -> float:
    try:
        return float(response.headers.get("Retry-After", "0"))
    except ValueError:
        return 0.0
