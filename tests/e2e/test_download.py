"""Downloading from a hub on loopback: real HTTP, real files, every way it can break."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections import namedtuple
from pathlib import Path

import pytest
from filelock import FileLock

from models.download import HubDownloader
from models.errors import DownloadCancelled, DownloadError, HubError, ModelNotFoundError
from models.types import Progress
from tests.fixtures.gguf_files import model_bytes
from tests.fixtures.hub import FakeHub, Repo

NAME = "owner/tiny-GGUF"
FILE = "tiny-Q4_K_M.gguf"
BIG = model_bytes(15, padding=40_000)


@pytest.fixture
def repo(fake_hub: FakeHub) -> Repo:
    return fake_hub.add(
        NAME,
        {
            "README.md": b"hello",
            FILE: BIG,
            "tiny-Q8_0.gguf": model_bytes(7),
            "mmproj-tiny-F16.gguf": b"projector",
        },
    )


@pytest.fixture
def downloader(tmp_path: Path) -> HubDownloader:
    return HubDownloader(tmp_path / "models", pause=0.0)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.part*"))


def test_a_file_arrives_whole_under_its_repository_and_says_how_far_it_is(
    repo: Repo, downloader: HubDownloader, tmp_path: Path
) -> None:
    steps: list[Progress] = []
    file = downloader.resolve(f"{NAME}:q4_k_m")
    path = downloader.download(file, steps.append)
    assert path == tmp_path / "models" / "owner" / "tiny-GGUF" / FILE
    assert path.read_bytes() == BIG
    assert file.sha256 == hashlib.sha256(BIG).hexdigest()
    assert file.size == len(BIG)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert (steps[0].done, steps[-1].done, steps[-1].total) == (0, len(BIG), len(BIG))
    assert leftovers(tmp_path) == []


def test_without_a_level_the_usual_one_is_taken(repo: Repo, downloader: HubDownloader) -> None:
    assert downloader.resolve(NAME).quant == "Q4_K_M"
    assert downloader.resolve(f"https://huggingface.co/{NAME}").quant == "Q4_K_M"
    assert downloader.resolve(f"{NAME}:tiny-Q8_0.gguf").quant == "Q8_0"


def test_a_level_that_is_not_there_is_answered_with_those_that_are(
    repo: Repo, downloader: HubDownloader
) -> None:
    with pytest.raises(ModelNotFoundError) as error:
        downloader.resolve(f"{NAME}:Q2_K")
    assert "Q4_K_M (" in error.value.remedy
    assert "Q8_0 (" in error.value.remedy
    assert "mmproj" not in error.value.remedy


def test_a_file_that_is_there_is_not_fetched_again(
    fake_hub: FakeHub, repo: Repo, downloader: HubDownloader
) -> None:
    file = downloader.resolve(NAME)
    downloader.download(file)
    downloader.download(file)
    assert len(fake_hub.downloads()) == 1


def test_a_broken_connection_is_taken_up_where_it_broke(
    fake_hub: FakeHub, repo: Repo, downloader: HubDownloader
) -> None:
    repo.break_after = [100_000, 1, 300_000]
    path = downloader.download(downloader.resolve(NAME))
    assert path.read_bytes() == BIG
    assert [r.headers.get("range") for r in fake_hub.downloads()] == [
        None,
        "bytes=100000-",
        "bytes=100001-",
        "bytes=400001-",
    ]
    assert fake_hub.sent == len(BIG)


def test_a_connection_that_keeps_breaking_ends_with_an_error_that_keeps_what_came(
    repo: Repo, downloader: HubDownloader, tmp_path: Path
) -> None:
    repo.break_after = [50_000, *[0] * 20]
    with pytest.raises(DownloadError, match="broke") as error:
        downloader.download(downloader.resolve(NAME))
    assert "kept" in error.value.remedy
    assert leftovers(tmp_path) == [f"{FILE}.part", f"{FILE}.part.json"]
    repo.break_after = []
    assert downloader.download(downloader.resolve(NAME)).read_bytes() == BIG


def test_a_stop_keeps_the_part_and_the_next_download_goes_on(
    fake_hub: FakeHub, repo: Repo, downloader: HubDownloader, tmp_path: Path
) -> None:
    seen: list[int] = []
    file = downloader.resolve(NAME)
    with pytest.raises(DownloadCancelled):
        downloader.download(
            file, lambda step: seen.append(step.done), lambda: bool(seen) and seen[-1] > 200_000
        )
    part = next((tmp_path / "models").rglob("*.part"))
    arrived = part.stat().st_size
    assert 200_000 < arrived < len(BIG)
    assert not list((tmp_path / "models").rglob("*.gguf"))
    fake_hub.requests.clear()
    assert HubDownloader(tmp_path / "models").download(file).read_bytes() == BIG
    assert [r.headers["range"] for r in fake_hub.downloads()] == [f"bytes={arrived}-"]


def _download_in_child(folder: str, address: str) -> None:
    os.environ["HF_ENDPOINT"] = address
    downloader = HubDownloader(Path(folder))
    downloader.download(downloader.resolve(NAME), _die_halfway)


def _die_halfway(step: Progress) -> None:
    if step.done > len(BIG) // 2:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_loses_nothing_that_had_arrived(
    fake_hub: FakeHub, repo: Repo, downloader: HubDownloader, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    child = multiprocessing.get_context("spawn").Process(
        target=_download_in_child, args=(str(folder), fake_hub.address)
    )
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    fake_hub.requests.clear()
    assert downloader.download(downloader.resolve(NAME)).read_bytes() == BIG
    start = int(fake_hub.downloads()[0].headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert start >= len(BIG) // 2 - (1 << 20)


def test_a_part_of_other_content_is_not_continued(
    fake_hub: FakeHub, repo: Repo, downloader: HubDownloader, tmp_path: Path
) -> None:
    folder = tmp_path / "models" / "owner" / "tiny-GGUF"
    folder.mkdir(parents=True)
    (folder / f"{FILE}.part").write_bytes(b"x" * 1000)
    (folder / f"{FILE}.part.json").write_text(
        json.dumps({"checksum": "sha256:" + "0" * 64, "size": len(BIG)})
    )
    assert downloader.download(downloader.resolve(NAME)).read_bytes() == BIG
    assert [r.headers.get("range") for r in fake_hub.downloads()] == [None]


def test_a_damaged_part_is_found_by_the_checksum_and_thrown_away(
    repo: Repo, downloader: HubDownloader, tmp_path: Path
) -> None:
    file = downloader.resolve(NAME)
    repo.break_after = [100_000, *[0] * 20]
    with pytest.raises(DownloadError, match="broke"):
        downloader.download(file)
    part = next((tmp_path / "models").rglob("*.part"))
    part.write_bytes(b"\0" * part.stat().st_size)
    repo.break_after = []
    with pytest.raises(DownloadError, match="damaged"):
        downloader.download(file)
    assert leftovers(tmp_path) == []
    assert not list((tmp_path / "models").rglob("*.gguf"))
    assert downloader.download(file).read_bytes() == BIG


def test_content_that_is_not_the_announced_one_never_gets_the_name(
    repo: Repo, downloader: HubDownloader, tmp_path: Path
) -> None:
    repo.listed[FILE] = bytes(reversed(BIG))
    with pytest.raises(DownloadError, match="checksum"):
        downloader.download(downloader.resolve(NAME))
    assert not list((tmp_path / "models").rglob("*.gguf"))


def test_a_file_outside_of_lfs_is_taken_up_and_verified_by_its_blob_id(
    fake_hub: FakeHub, repo: Repo, downloader: HubDownloader, tmp_path: Path
) -> None:
    repo.outside_lfs = True
    repo.break_after = [100_000]
    assert downloader.download(downloader.resolve(NAME)).read_bytes() == BIG
    assert [r.headers.get("range") for r in fake_hub.downloads()] == [None, "bytes=100000-"]
    repo.listed["tiny-Q8_0.gguf"] = bytes(reversed(repo.files["tiny-Q8_0.gguf"]))
    with pytest.raises(DownloadError, match="checksum"):
        downloader.download(downloader.resolve(f"{NAME}:Q8_0"))
    assert leftovers(tmp_path) == []


def test_without_any_checksum_nothing_is_joined_to_what_came_before(
    fake_hub: FakeHub, repo: Repo, downloader: HubDownloader
) -> None:
    repo.silent = True
    file = downloader.resolve(NAME)
    repo.break_after = [50_000, *[0] * 20]
    with pytest.raises(DownloadError, match="broke"):
        downloader.download(file)
    repo.files[FILE] = bytes(reversed(BIG))
    repo.break_after = []
    assert downloader.download(file).read_bytes() == bytes(reversed(BIG))
    assert {r.headers.get("range") for r in fake_hub.downloads()} == {None}


def test_a_file_of_the_right_size_and_other_content_is_fetched_again(
    fake_hub: FakeHub, repo: Repo, downloader: HubDownloader
) -> None:
    file = downloader.resolve(NAME)
    target = downloader.destination(file)
    target.parent.mkdir(parents=True)
    target.write_bytes(bytes(reversed(BIG)))
    steps: list[Progress] = []
    assert downloader.download(file, steps.append).read_bytes() == BIG
    assert steps[0].label == f"verifying {FILE}"
    repo.files[FILE] = BIG[:-1] + b"x"  # the same name in a later commit
    assert downloader.download(downloader.resolve(NAME)).read_bytes() == BIG[:-1] + b"x"
    assert len(fake_hub.downloads()) == 2


def test_a_file_is_verified_once_and_again_when_it_has_changed(
    fake_hub: FakeHub, repo: Repo, downloader: HubDownloader
) -> None:
    file = downloader.resolve(NAME)
    target = downloader.destination(file)
    target.parent.mkdir(parents=True)
    target.write_bytes(BIG)

    def labels() -> set[str]:
        steps: list[Progress] = []
        assert downloader.download(file, steps.append).read_bytes() == BIG
        return {step.label.split()[0] for step in steps}

    assert labels() == {"verifying", "downloading"}
    assert labels() == {"downloading"}
    os.utime(target, ns=(0, 0))
    assert labels() == {"verifying", "downloading"}
    note = target.parent / ".alcove" / f"{FILE}.json"
    note.write_text("[]")
    assert labels() == {"verifying", "downloading"}
    assert fake_hub.downloads() == []


def test_a_stop_is_heard_while_the_server_is_silent(repo: Repo, downloader: HubDownloader) -> None:
    repo.stall = threading.Event()
    file = downloader.resolve(NAME)
    seen: list[int] = [0]
    with pytest.raises(DownloadCancelled):
        downloader.download(
            file, lambda step: seen.append(step.done), lambda: seen[-1] >= len(BIG) // 2
        )
    assert seen[-1] == len(BIG) // 2
    assert not repo.outwaited
    repo.stall.set()


def test_a_wait_says_why_and_how_long(repo: Repo, tmp_path: Path) -> None:
    downloader = HubDownloader(tmp_path / "models", pause=0.001)
    repo.break_after = [100_000]
    steps: list[Progress] = []
    file = downloader.resolve(NAME)
    repo.busy = 1
    downloader.download(file, steps.append)
    waits = [(step.label, step.done) for step in steps if "trying" in step.label]
    assert waits == [
        (f"the hub is busy, trying again in 1 s: {FILE}", 0),
        (f"connection lost, trying again in 1 s: {FILE}", 100_000),
    ]


def test_a_server_without_ranges_sends_it_all_again(
    fake_hub: FakeHub, repo: Repo, downloader: HubDownloader
) -> None:
    repo.ranges = False
    repo.break_after = [100_000]
    assert downloader.download(downloader.resolve(NAME)).read_bytes() == BIG
    assert len(fake_hub.downloads()) == 2


def test_a_full_disk_is_noticed_before_the_first_byte(
    fake_hub: FakeHub,
    repo: Repo,
    downloader: HubDownloader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40, 0, 1000))
    with pytest.raises(DownloadError, match="disk"):
        downloader.download(downloader.resolve(NAME))
    assert fake_hub.downloads() == []


def test_two_downloads_of_one_file_do_not_meet(
    repo: Repo, downloader: HubDownloader, tmp_path: Path
) -> None:
    locks = tmp_path / "models" / ".locks"
    locks.mkdir(parents=True)
    file = downloader.resolve(NAME)
    with (
        FileLock(locks / f"owner--tiny-GGUF--{FILE}.lock"),
        pytest.raises(DownloadError, match="Another process"),
    ):
        downloader.download(file)
    assert downloader.download(file).read_bytes() == BIG


def test_the_token_goes_to_the_hub_and_to_nobody_else(
    fake_hub: FakeHub, repo: Repo, downloader: HubDownloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    downloader.download(downloader.resolve(NAME))
    by_server = {
        server: {r.headers.get("authorization") for r in fake_hub.requests if r.server == server}
        for server in ("hub", "cdn")
    }
    assert by_server == {"hub": {"Bearer hf_secret"}, "cdn": {None}}


def test_a_split_model_is_fetched_with_all_its_parts(
    fake_hub: FakeHub, downloader: HubDownloader, tmp_path: Path
) -> None:
    parts = {f"Q4_K_M/big-Q4_K_M-0000{n}-of-00003.gguf": bytes([n]) * 1000 * n for n in (1, 2, 3)}
    fake_hub.add("owner/big", parts)
    file = downloader.resolve("owner/big")
    assert (file.quant, file.size) == ("Q4_K_M", 6000)
    steps: list[Progress] = []
    path = downloader.download(file, steps.append)
    assert path.name == "big-Q4_K_M-00001-of-00003.gguf"
    found = {f"Q4_K_M/{p.name}": p.read_bytes() for p in path.parent.glob("*.gguf")}
    assert found == parts
    assert (steps[-1].done, steps[-1].total) == (6000, 6000)


@pytest.mark.parametrize(
    ("access", "error", "words"),
    [
        ("missing", ModelNotFoundError, "spelling"),
        ("private", ModelNotFoundError, "HF_TOKEN"),
        ("gated", HubError, "accept it"),
    ],
)
def test_a_closed_door_says_how_to_open_it(
    repo: Repo, downloader: HubDownloader, access: str, error: type[Exception], words: str
) -> None:
    file = downloader.resolve(NAME)
    repo.access = access  # type: ignore[assignment]
    with pytest.raises(error) as raised:
        downloader.download(file)
    assert words in str(raised.value)


def test_too_many_requests_are_waited_out_and_then_told(
    repo: Repo, downloader: HubDownloader
) -> None:
    file = downloader.resolve(NAME)
    repo.busy = 2
    assert downloader.download(file).read_bytes() == BIG
    other = downloader.resolve(f"{NAME}:Q8_0")
    repo.busy = 100
    with pytest.raises(HubError, match="too many"):
        downloader.download(other)


def test_no_network_is_an_error_with_a_remedy(
    downloader: HubDownloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError) as error:
        downloader.resolve(NAME)
    assert "not reached" in error.value.title
    assert "proxy" in error.value.remedy


def test_a_repository_without_models_says_so(fake_hub: FakeHub, downloader: HubDownloader) -> None:
    fake_hub.add("owner/text", {"README.md": b"nothing"})
    with pytest.raises(ModelNotFoundError, match="holds no GGUF"):
        downloader.resolve("owner/text")


def test_a_name_that_leads_out_of_the_folder_is_refused(
    fake_hub: FakeHub, downloader: HubDownloader, tmp_path: Path
) -> None:
    fake_hub.add("owner/evil", {"../../../escape-Q4_0.gguf": b"data"})
    with pytest.raises(DownloadError, match="not a file name"):
        downloader.download(downloader.resolve("owner/evil"))
    assert not list(tmp_path.rglob("escape*"))
