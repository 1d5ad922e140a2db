"""Settings, folders and state: right values in, clear refusals for wrong ones."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.settings import Settings, find_paths, load_settings, private_folder
from app.state import State, load_state, save_state


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return path


def test_a_missing_file_gives_the_defaults(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "none.toml") == Settings()


def test_values_are_read(tmp_path: Path) -> None:
    settings = load_settings(
        write(
            tmp_path,
            '[model]\nname = "a/b:Q4_K_M"\ncontext = 4096\ntemperature = 0\n'
            '[search]\npassages = 3\n[app]\nmode = "notes+model"\n[keys]\nsources = "ctrl+b"\n',
        )
    )
    assert (settings.model.name, settings.model.context) == ("a/b:Q4_K_M", 4096)
    assert settings.model.temperature == 0
    assert settings.search.passages == 3
    assert settings.app.mode == "notes+model"
    assert settings.keys == {"sources": "ctrl+b"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[model\n", "line 1"),
        ("[modell]\n", "modell"),
        ("[model]\ncontexts = 1\n", "contexts"),
        ('[model]\ncontext = "8k"\n', "model.context"),
        ("[model]\ncontext = -1\n", "model.context"),
        ("[model]\ntemperature = 9.5\n", "model.temperature"),
        ("[search]\npassages = true\n", "search.passages"),
        ('[app]\nmode = "guess"\n', "app.mode"),
        ("[keys]\nsources = 1\n", "keys"),
        ("model = 1\n", "model"),
    ],
)
def test_wrong_files_are_refused_by_name_with_a_remedy(
    tmp_path: Path, text: str, named: str
) -> None:
    with pytest.raises(SettingsError, match=named) as error:
        load_settings(write(tmp_path, text))
    assert error.value.remedy
    assert "settings.toml" in error.value.title


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError):
        load_settings(path)


def test_one_variable_moves_everything_under_one_folder(tmp_path: Path) -> None:
    paths = find_paths({"ALCOVE_HOME": str(tmp_path / "home")})
    for name in paths.__slots__:
        assert (tmp_path / "home") in getattr(paths, name).parents
    elsewhere = find_paths({})
    assert (tmp_path / "home") not in elsewhere.index.parents


def test_made_folders_are_private(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be made"):
        private_folder(tmp_path / "file" / "below")


def test_state_round_trips_and_damage_costs_only_the_convenience(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state.json"
    assert load_state(path) == State()
    save_state(path, State(folder="/notes", model="m"))
    assert load_state(path) == State(folder="/notes", model="m")
    path.write_text("{")
    assert load_state(path) == State()
    assert sorted(item.name for item in path.parent.iterdir()) == ["state.json"]
