"""``alcove eval`` as a whole process."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Home
from tests.fixtures.collections import write_collection


def test_keywords_are_measured_without_torch(home: Home) -> None:
    folder = write_collection(home.root / "set")
    home.environment["PYTHONPROFILEIMPORTTIME"] = "1"  # names every import on standard error
    prefix = str(home.root / "run")
    done = home.run("eval", str(folder), "--leg", "bm25", "--json", "--run", prefix)
    assert done.code == 0, done.err
    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines() if "|" in line}
    assert "retrieval.evaluate" in imported
    assert not imported & {"torch", "chromadb", "sentence_transformers"}

    document = done.json
    assert (document["documents"], document["queries"]) == (5, 3)
    assert list(document["legs"]) == ["bm25"]
    assert document["legs"]["bm25"]["MRR@10"] == 1.0
    assert document["legs"]["bm25"]["recall@100"] == pytest.approx(5 / 6)
    assert document["comparisons"] == []
    first = (home.root / "run.bm25.trec").read_text().splitlines()[0].split()
    assert (first[:4], first[5]) == (["q1", "Q0", "git/1", "1"], "alcove-bm25")
    assert not (home.alcove_home / "index").exists()  # the person's own index has no part in it


def test_odd_data_and_odd_use_are_told_in_two_lines(home: Home) -> None:
    folder = write_collection(home.root / "set")
    with (folder / "qrels.tsv").open("a") as file:
        file.write("q1\ttea\n")
    odd = home.run("eval", str(folder), "--leg", "bm25")
    assert (odd.code, odd.out) == (1, "")
    assert "qrels.tsv, line 7" in odd.err
    nowhere = home.run("eval", str(folder), "--run", str(home.root / "nowhere" / "run"))
    assert nowhere.code == 1
    assert "There is no folder" in nowhere.err
    assert home.run("eval", str(folder), "--leg", "both").code == 2
