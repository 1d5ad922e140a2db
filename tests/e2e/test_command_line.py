"""The command line as people and scripts use it: whole processes, the real engine and embedder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import FACTS, READER, Home
from tests.fixtures.hub import FakeHub
from tests.fixtures.reader_data import NOT_IN_NOTES, expected, fact_note, question

HIT_KEYS = {"path", "title", "headings", "first_line", "last_line", "text", "score"}


def test_index_search_and_quotes_without_a_model(home: Home) -> None:
    first = home.run("index", str(home.notes), "--json")
    assert first.code == 0
    report = first.json
    assert (report["added"], report["changed"], report["removed"]) == (4, 0, 0)
    assert report["chunks"] == 4
    assert report["skipped"] == []
    assert report["seconds"] > 0

    home.write("mill.md", fact_note("mill", "badger"))
    (home.notes / "tunnel.md").unlink()
    (home.notes / "broken.md").write_bytes(b"\x00\xff\xfe bytes \x80")
    second = home.run("index", str(home.notes), "--json").json
    assert (second["added"], second["changed"], second["removed"]) == (0, 1, 1)
    assert second["unchanged"] == 2
    (skipped,) = second["skipped"]
    assert skipped["path"] == "broken.md"
    assert skipped["reason"]

    searched = home.run("search", "the code of the mill", "-k", "2", "--json")
    assert searched.code == 0
    document = searched.json
    assert document["legs"] == ["bm25", "vector"]
    assert len(document["hits"]) == 2
    best = document["hits"][0]
    assert best.keys() >= HIT_KEYS
    assert best["path"] == "mill.md"
    assert best["headings"] == ["mill"]
    assert best["score"] == pytest.approx(sum(c["score"] for c in best["contributions"]))
    assert {c["leg"] for c in best["contributions"]} == {"bm25", "vector"}
    lines = (home.notes / best["path"]).read_text().splitlines()
    assert best["text"] == "\n".join(lines[best["first_line"] - 1 : best["last_line"]])

    asked = home.run("ask", "what is the code of the mill?", "--json")
    assert asked.code == 0
    answer = asked.json
    assert answer["mode"] == "quotes"
    assert "The code of the mill is badger. [1]" in answer["answer"]
    assert answer["citations"][0] == {
        "n": 1,
        "path": "mill.md",
        "first_line": 3,
        "last_line": 3,
        "status": "quote",
        "place": "",
    }
    assert "alcove models download" in asked.err


def test_the_answer_follows_the_notes(home: Home) -> None:
    """A real model through the real engine: change the note and the answer changes."""
    model = ("--model", str(READER), "--temperature", "0", "--json")
    home.run("index", str(home.notes))

    answered = home.run("ask", question("mill"), *model)
    assert answered.code == 0, answered.err
    document = answered.json
    n = document["citations"][0]["n"]
    assert document["answer"] == expected("mill", FACTS["mill"], n)
    assert document["mode"] == "notes"
    assert document["citations"] == [
        {
            "n": n,
            "path": "mill.md",
            "first_line": 3,
            "last_line": 3,
            "status": "quote",
            "place": "",
        }
    ]
    ledger = document["ledger"]
    parts = ("system", "history", "notes", "question", "reserve", "free")
    assert sum(ledger[part] for part in parts) == ledger["context"]
    assert {entry["path"] for entry in ledger["included"]} == {f"{key}.md" for key in FACTS}
    assert document["timings"]["completion_tokens"] > 0

    home.write("mill.md", fact_note("mill", "badger"))
    changed = home.run("ask", question("mill"), *model).json
    assert "badger" in changed["answer"]
    assert FACTS["mill"] not in changed["answer"]

    (home.notes / "mill.md").unlink()
    gone = home.run("ask", question("mill"), *model)
    assert gone.code == 3
    assert gone.json["answer"] == NOT_IN_NOTES


def test_an_answer_streams_as_text_with_its_sources_under_it(home: Home) -> None:
    home.run("index", str(home.notes))
    asked = home.run("ask", question("harbour"), "--model", str(READER), "--temperature", "0")
    assert asked.code == 0
    first, *rest = asked.out.splitlines()
    assert first.startswith("The code of the harbour is cobalt [")
    assert any("harbour.md:3" in line and "✓ quoted" in line for line in rest)


def test_a_model_is_downloaded_listed_and_asked_by_name(home: Home, fake_hub: FakeHub) -> None:
    fake_hub.add("tests/reader-GGUF", {"reader-F16.gguf": READER.read_bytes()})
    import os

    home.environment["HF_ENDPOINT"] = os.environ["HF_ENDPOINT"]
    levels = home.run("models", "levels", "tests/reader-GGUF", "--json")
    assert [file["quant"] for file in levels.json] == ["F16"]
    fetched = home.run("models", "download", "tests/reader-GGUF:F16", "--json")
    assert fetched.code == 0, fetched.err
    path = Path(fetched.json["path"])
    assert path.read_bytes() == READER.read_bytes()
    assert home.alcove_home in path.parents

    (model,) = home.run("models", "list", "--json").json
    assert model == {
        "name": "tests/reader-GGUF:F16",
        "path": str(path),
        "quant": "F16",
        "bytes": READER.stat().st_size,
        "architecture": "llama",
    }
    home.run("index", str(home.notes))
    asked = home.run("ask", question("mill"), "--model", "tests/reader-GGUF:F16", "--json")
    assert asked.json["model"] == "tests/reader-GGUF:F16"
    assert asked.json["mode"] == "notes"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("search",), 2),
        (("search", " "), 2),
        (("search", "x", "-k", "0"), 2),
        (("search", "x", "--leg", "smell"), 2),
        (("models",), 2),
        (("ask", "x", "--temperature", "-1"), 2),
        (("ask", "x", "--threads", "100000"), 2),
        (("ask", "x", "--gpu-layers", "-7"), 2),
        (("index", "/no/such/folder"), 1),
        (("no-such-folder",), 1),
        (("notes",), 1),  # the app, but standard input and output are no terminal
        (("ask", "x", "--model", "/no/such.gguf"), 1),
        (("search", "x"), 4),
        (("status",), 4),
        (("forget",), 2),
        (("forget", "/no/such/folder"), 3),
        (("search", "x", "--in", "~nosuchuser/notes"), 1),
        (("~nosuchuser/notes",), 1),
        (("--version",), 0),
        (("models", "list"), 0),
        (("models", "catalog"), 0),
    ],
)
def test_exit_codes_and_words_without_an_index(
    home: Home, arguments: tuple[str, ...], code: int
) -> None:
    ran = home.run(*arguments)
    assert ran.code == code, ran.err
    assert ran.out or ran.err


def test_exit_codes_with_an_index(home: Home) -> None:
    home.run("index", str(home.notes))
    assert home.run("status").code == 0
    nothing = home.run("search", "xylophone", "--leg", "bm25", "--json")
    assert (nothing.code, nothing.json["hits"]) == (3, [])
    home.write("new.md", "# new\n\nNot indexed yet.\n")
    stale = home.run("search", "mill", "--leg", "bm25")
    assert stale.code == 4
    assert "mill.md" in stale.out
    assert "alcove index" in stale.err
    status = home.run("status", "--json")
    assert (status.code, status.json["pending"], status.json["complete"]) == (4, 1, False)


def test_a_folder_that_is_gone_is_left_out_until_it_is_forgotten(home: Home) -> None:
    moved = home.root / "moved"
    home.run("index", str(home.notes))
    home.notes.rename(moved)
    home.run("index", str(moved))
    gone = str(home.notes)
    found = home.run("search", "code of the mill", "-k", "1", "--json")
    assert (found.code, found.json["hits"][0]["folder"]) == (0, str(moved))
    assert f"alcove forget {gone}" in found.err
    assert home.run("search", "mill", "--in", gone, "--in", str(moved)).code == 4
    status = home.run("status")
    assert status.code == 0
    assert f"alcove forget {gone}" in status.err
    forgotten = home.run("forget", gone, "--json")
    assert (forgotten.code, forgotten.json) == (0, {"folder": gone, "notes": 4, "chunks": 4})
    again = home.run("forget", gone, "--json")
    assert (again.code, again.json) == (3, {"folder": gone, "notes": 0, "chunks": 0})
    assert "not in the index" in again.err
    assert home.run("search", "code of the mill").err == ""
    assert home.run("forget", str(moved)).out.endswith("4 notes in 4 chunks forgotten\n")
    assert len(list(moved.iterdir())) == 4


def test_search_and_ask_never_give_text_that_is_no_longer_there(home: Home) -> None:
    home.run("index", str(home.notes))
    home.write("mill.md", fact_note("mill", "badger"))
    hit = home.run("search", "code of the mill", "-k", "1", "--json").json["hits"][0]
    assert "badger" in hit["text"]
    (home.notes / "mill.md").unlink()
    paths = [h["path"] for h in home.run("search", "code of the mill", "--json").json["hits"]]
    assert "mill.md" not in paths


def test_every_command_shows_an_example(home: Home) -> None:
    commands = (
        ("index",),
        ("search",),
        ("ask",),
        ("status",),
        ("forget",),
        ("models",),
        ("models", "list"),
        ("models", "catalog"),
        ("models", "levels"),
        ("models", "download"),
    )
    for command in commands:
        shown = home.run(*command, "--help")
        assert shown.code == 0
        assert "example:\n  alcove " + " ".join(command[:1]) in shown.out
        assert "exit codes" in shown.out
    assert "alcove ~/notes" in home.run("--help").out


def test_hostile_names_and_notes_do_not_reach_the_terminal(home: Home) -> None:
    home.write("evil\x1b[2J.md", "# evil\n\nzebra \x1b]0;owned\x07 \x1b[31mred [bold]x[/bold]\n")
    home.run("index", str(home.notes))
    for command in (("search", "zebra"), ("ask", "zebra")):
        shown = home.run(*command)
        assert "\x1b" not in shown.out + shown.err
        assert "\x07" not in shown.out
        assert "[bold]x[/bold]" in shown.out
    home.write("evil2.md", "# csi\n\nzebra \x9b31m \u202e\n")
    home.run("index", str(home.notes))
    raw = home.run("search", "zebra", "--json")
    assert "\x9b" not in raw.out
    assert "\u202e" not in raw.out
    assert any("\x9b31m \u202e" in hit["text"] for hit in raw.json["hits"])
    assert "evil\x1b[2J.md" in {hit["path"] for hit in raw.json["hits"]}


def test_a_wrong_model_in_the_settings_leaves_status_usable(home: Home) -> None:
    home.alcove_home.mkdir()
    (home.alcove_home / "settings.toml").write_text('[model]\nname = "no/such:Q4_K_M"\n')
    home.run("index", str(home.notes))
    status = home.run("status", "--json")
    assert (status.code, status.json["model"]) == (0, None)
    assert "no/such" in status.err
    assert status.json["paths"]["settings"].endswith("settings.toml")


def test_wrong_settings_are_two_lines_and_no_traceback(home: Home) -> None:
    home.alcove_home.mkdir()
    (home.alcove_home / "settings.toml").write_text('[model]\ncontext = "8k"\n')
    ran = home.run("ask", "x")
    assert ran.code == 1
    assert "model.context" in ran.err
    assert len(ran.err.splitlines()) == 2


def test_everything_is_written_under_one_home_and_the_notes_are_left_alone(home: Home) -> None:
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in home.notes.rglob("*")}
    home.run("index", str(home.notes))
    home.run("ask", question("mill"), "--model", str(READER))
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in home.notes.rglob("*")} == before
    assert {p.name for p in home.root.iterdir()} <= {"home", "notes", "guard", "user"}
    assert not [p for p in (home.root / "user").rglob("*") if p.is_file()]
