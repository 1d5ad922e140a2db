"""The terms that notes and queries are reduced to."""

import threading

import pytest

from retrieval.tokenizing import tokenize, without_repetitions


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("How do I undo the last commit?", ["undo", "last", "commit"]),
        ("Changes changed CHANGING", ["chang", "chang", "chang"]),
        ("getUserName", ["getusername", "get", "user", "name"]),
        ("HTTPServer", ["httpserver", "http", "server"]),
        ("snake_case_name", ["snake_case_name", "snake", "case", "name"]),
        ("Q4_K_M sha256 L6", ["q4_k_m", "q4", "k", "m", "sha256", "l6"]),
        ("__init__", ["init"]),
        ("C++ and C# or c", ["c++", "c#", "c"]),
        ("naïve Café Ångström", ["naiv", "cafe", "angstrom"]),
        ("Straße", ["strass"]),
        ("don’t the user's", ["user"]),
        ("ﬁle ①", ["file", "1"]),
        ("東京都", ["東京", "京都"]),
        ("木", ["木"]),
        ("Tokyo東京", ["tokyo", "東京"]),
        ("が", ["が"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("йод", ["йод"]),
        ("", []),
        ("?! --- ...", []),
    ],
)
def test_terms(text: str, terms: list[str]) -> None:
    assert tokenize(text) == terms


def test_a_decomposed_accent_is_the_composed_one() -> None:
    assert tokenize("cafe\u0301") == tokenize("café")


def test_threads_stem_alike() -> None:
    words = [f"{stem}{ending}" for stem in "abcdefghij" for ending in ("tional", "ingly", "izers")]
    expected = [tokenize(f"x{word}") for word in words]
    results: list[list[list[str]]] = []

    def work() -> None:
        results.append([tokenize(f"X{word}") for word in words])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 4


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("how do I undo a commit?", "how do I undo a commit?"),
        ("day 1: 40 mg a day, day 2: none", "day 1: 40 mg a  ,   2: none"),
        ("plasmids bind plasmid", "plasmids bind  "),
        ("of the of the", "of the of the"),
        ("東京 東京", "東京  "),
    ],
)
def test_a_term_is_asked_for_once(question: str, kept: str) -> None:
    assert without_repetitions(question) == kept
    assert list(dict.fromkeys(tokenize(question))) == tokenize(kept)
