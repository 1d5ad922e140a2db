"""Collections, conditions, phrases and explanations, as a person types them."""

from __future__ import annotations

import os
import time

import pytest

from tests.e2e.conftest import Home


@pytest.fixture
def indexed(home: Home) -> Home:
    home.write("git/undo.md", "---\ntags: [project/alcove]\n---\n# Undo\n\nUndo a commit: reset.\n")
    home.write("git/old.md", "# Old\n\nA commit could not be undone.\n")
    then = time.time() - 400 * 86_400
    os.utime(home.notes / "git/old.md", (then, then))
    (home.root / "recipes").mkdir()
    (home.root / "recipes/bread.md").write_text("# Bread\n\nA baker does not commit to a recipe.\n")
    assert home.run("index", str(home.notes)).code == 0
    assert home.run("index", "recipes", "--name", "Kitchen").code == 0
    return home


def found(home: Home, *arguments: str) -> list[str]:
    ran = home.run("search", *arguments, "--leg", "bm25", "--json")
    assert ran.code in {0, 3}, ran.err
    return [hit["path"] for hit in ran.json["hits"]]


def test_collections_conditions_and_phrases(indexed: Home) -> None:
    home = indexed
    status = home.run("status", "--json").json
    by_name = {item["name"]: item for item in status["collections"]}
    assert by_name.keys() == {"notes", "Kitchen"}
    assert by_name["Kitchen"] == {
        "name": "Kitchen",
        "folder": str(home.root / "recipes"),
        "notes": 1,
        "chunks": 1,
        "embedded": 1,
    }
    shown = home.run("status").out.splitlines()
    assert any(line.split()[:4] == ["Kitchen", "1", "1", "1"] for line in shown)

    assert found(home, "commit", "--in", "kitchen") == ["bread.md"]
    below = ("--in", "./notes/git", "--path", "*.md")
    assert set(found(home, "commit", *below)) == {"git/undo.md", "git/old.md"}
    narrow = ("--path", "git", "--after", "30d", "--format", "md", "--tag", "project")
    assert found(home, "commit", *narrow) == ["git/undo.md"]
    assert found(home, 'commit "could not be" in:notes before:1y') == ["git/old.md"]

    unknown = home.run("search", "commit", "--tag", "projct")
    assert unknown.code == 3
    assert "Nearest: project" in unknown.err
    assert home.run("search", "x", "--after", "lunch").code == 2
    nowhere = home.run("search", "x", "--in", "nowhere")
    assert nowhere.code == 4
    assert "Kitchen" in nowhere.err

    asked = home.run("ask", "what about a commit?", "--in", "Kitchen", "--json").json
    assert {citation["path"] for citation in asked["citations"]} == {"bread.md"}

    gone = home.run("forget", "kitchen", "--json")
    assert gone.json["folder"] == str(home.root / "recipes")
    assert (home.root / "recipes/bread.md").exists()


def test_an_explanation_is_shown_and_adds_up(indexed: Home) -> None:
    ran = indexed.run("search", "undo a commit", "-k", "1", "--explain", "--json")
    document = ran.json
    why = document["explanation"]
    assert why["terms"] == ["undo", "commit"]
    assert why["weights"].keys() == why["found"].keys() == {"bm25", "vector"}
    for item in (*document["hits"], *why["cuts"]):
        parts = item["contributions"]
        assert item["score"] == pytest.approx(sum(part["score"] for part in parts))
        for part in parts:
            assert part["score"] == pytest.approx(part["weight"] / (why["k"] + part["rank"]))
    assert "beyond the 1 asked for" in {cut["reason"] for cut in why["cuts"]}

    shown = indexed.run("search", "undo a commit", "-k", "1", "--explain").out
    lines = shown[shown.index("searched") :].splitlines()
    names = [line.split()[0] for line in lines[: lines.index("")]]
    assert names == ["searched", "terms", "found", "weights", "score"]
    total = next(line for line in lines if line.startswith(" 1 "))
    legs = [line for line in lines if line.strip().startswith(("bm25 #", "vector #"))]
    shares = [float(line.split()[-1]) for line in legs[: len(document["hits"][0]["contributions"])]]
    assert float(total.split()[-1]) == pytest.approx(sum(shares), abs=2e-4)
    assert "cut" in lines
