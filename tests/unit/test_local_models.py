from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import HeaderError, ModelNotFoundError
from models.local import find_model, list_models
from models.names import parse_repo, preference, require_repo, same_level
from tests.fixtures.gguf_files import RawGguf, llama_metadata, model_bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def put(place: str, content: bytes) -> None:
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    put("ann/Small-GGUF/small-Q4_K_M.gguf", model_bytes(15))
    put("ann/Small-GGUF/small-Q8_0.gguf", model_bytes(7))
    put("bob/Other-GGUF/sub/other-UD-Q4_K_XL.gguf", model_bytes(15))
    put("mine.gguf", model_bytes(1))
    put("bad.gguf", b"not a model, whatever its name says")
    put("ann/Small-GGUF/small-F16.gguf.part", b"half")
    first = RawGguf(llama_metadata(), [("token_embd.weight", (8, 4), 0, 0)], b"\0" * 128)
    put("eve/Split-GGUF/split-Q4_0-00001-of-00002.gguf", first.bytes())
    put("eve/Split-GGUF/split-Q4_0-00002-of-00002.gguf", RawGguf().bytes() + b"\0" * 8)
    return tmp_path


def test_models_are_listed_by_name_with_what_they_are(folder: Path) -> None:
    listed = list_models(folder)
    assert [(m.name, m.quant, m.architecture) for m in listed.models] == [
        ("ann/Small-GGUF:Q4_K_M", "Q4_K_M", "llama"),
        ("ann/Small-GGUF:Q8_0", "Q8_0", "llama"),
        ("bob/Other-GGUF:UD-Q4_K_XL", "UD-Q4_K_XL", "llama"),
        ("eve/Split-GGUF:Q4_0", "Q4_0", "llama"),
        ("mine.gguf", "F16", "llama"),
    ]
    sizes = {m.name: m.bytes for m in listed.models}
    parts = (folder / "eve").rglob("*.gguf")
    assert sizes["eve/Split-GGUF:Q4_0"] == sum(p.stat().st_size for p in parts)


def test_a_file_that_cannot_be_used_is_reported(folder: Path) -> None:
    (problem,) = list_models(folder).problems
    assert problem.path == folder / "bad.gguf"
    assert "GGUF" in problem.reason


def test_odd_entries_of_the_folder_leave_the_others_usable(folder: Path) -> None:
    (folder / "folder.gguf").mkdir()
    (folder / "gone.gguf").symlink_to(folder / "nowhere")
    (folder / "odd-00001-of-00000.gguf").write_bytes(model_bytes(1))
    listed = list_models(folder)
    assert {p.path.name for p in listed.problems} == {"bad.gguf", "gone.gguf"}
    assert "odd-00001-of-00000.gguf" in [m.name for m in listed.models]
    assert find_model(folder, "mine").path.name == "mine.gguf"


def test_two_files_of_one_level_keep_apart(folder: Path) -> None:
    (folder / "ann/Small-GGUF/again-Q8_0.gguf").write_bytes(model_bytes(7))
    names = [m.name for m in list_models(folder).models if m.quant == "Q8_0"]
    assert names == ["ann/Small-GGUF/again-Q8_0.gguf", "ann/Small-GGUF/small-Q8_0.gguf"]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    listed = list_models(tmp_path / "none")
    assert (listed.models, listed.problems) == ((), ())


@pytest.mark.parametrize(
    ("name", "filename"),
    [
        ("ann/Small-GGUF:Q8_0", "small-Q8_0.gguf"),
        ("ann/small-gguf:q8_0", "small-Q8_0.gguf"),
        ("ann/Small-GGUF", "small-Q4_K_M.gguf"),
        ("https://huggingface.co/ann/Small-GGUF", "small-Q4_K_M.gguf"),
        ("bob/Other-GGUF:Q4_K_XL", "other-UD-Q4_K_XL.gguf"),
        ("other", "other-UD-Q4_K_XL.gguf"),
        ("mine", "mine.gguf"),
        ("small-Q8_0.gguf", "small-Q8_0.gguf"),
    ],
)
def test_a_model_is_found_by_what_people_write(folder: Path, name: str, filename: str) -> None:
    assert find_model(folder, name).path.name == filename


def test_a_file_anywhere_is_found_by_its_path(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    path = elsewhere / "far-Q4_0.gguf"
    path.write_bytes(model_bytes(2))
    found = find_model(folder, str(path))
    assert (found.path, found.name, found.quant) == (path, "far-Q4_0.gguf", "Q4_0")
    monkeypatch.chdir(elsewhere)
    assert find_model(folder, "far-Q4_0.gguf").path == path


def test_a_name_of_several_models_lists_them(folder: Path) -> None:
    with pytest.raises(ModelNotFoundError) as error:
        find_model(folder, "ann")
    assert "ann/Small-GGUF:Q4_K_M, ann/Small-GGUF:Q8_0" in error.value.title


def test_a_model_that_is_not_here_comes_with_the_command_that_gets_it(folder: Path) -> None:
    with pytest.raises(ModelNotFoundError) as error:
        find_model(folder, "zoe/New-GGUF:Q4_K_M")
    assert "alcove models download zoe/New-GGUF:Q4_K_M" in error.value.remedy
    with pytest.raises(ModelNotFoundError) as error:
        find_model(folder, "ann/Small-GGUF:Q2_K")
    assert "alcove models download ann/Small-GGUF:Q2_K" in error.value.remedy
    with pytest.raises(ModelNotFoundError, match="no file"):
        find_model(folder, "/nowhere/model.gguf")
    with pytest.raises(HeaderError):
        find_model(folder, "bad")


@pytest.mark.parametrize("suffix", ["", ".gguf"])
@pytest.mark.parametrize(
    "name", ["~nosuchuser/model", "x" * 5000, "/" + "x" * 300, "a\0b", "/a\0b", "\ud800"]
)
def test_what_cannot_be_a_file_is_a_model_that_is_not_here(
    folder: Path, name: str, suffix: str
) -> None:
    with pytest.raises(ModelNotFoundError) as error:
        find_model(folder, name + suffix)
    assert error.value.remedy


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("owner/name", ("owner/name", "")),
        ("owner/name:Q4_K_M", ("owner/name", "Q4_K_M")),
        ("hf.co/owner/name:q8_0", ("owner/name", "q8_0")),
        ("https://huggingface.co/owner/name/", ("owner/name", "")),
        ("name", None),
        ("owner/name.gguf", None),
        ("../name", None),
        ("a/b/c", None),
        ("", None),
    ],
)
def test_names_of_repositories(text: str, parsed: tuple[str, str] | None) -> None:
    found = parse_repo(text)
    assert (None if found is None else (found.repo, found.level)) == parsed
    if parsed is None:
        with pytest.raises(ModelNotFoundError, match="does not name"):
            require_repo(text)


def test_levels_are_compared_without_case_or_prefix() -> None:
    assert same_level("q4_k_xl", "UD-Q4_K_XL")
    assert not same_level("UD-Q4_K_XL", "Q4_K_XL")
    assert preference("ud-q4_k_m") == 0 < preference("Q8_0") < preference("")
