"""Which files are notes, and what each is written in: told from its name alone. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath

from retrieval.types import Format

MARKDOWN_SUFFIXES = frozenset({".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd"})
"""Endings of Markdown files and of those that are read as Markdown."""

_SUFFIXES: dict[Format, str] = {
    "text": ".txt .text .tex .adoc .asciidoc",
    "rst": ".rst .rest",
    "org": ".org",
    "html": ".html .htm .xhtml",
    "pdf": ".pdf",
    "docx": ".docx",
    "epub": ".epub",
    "notebook": ".ipynb",
    "csv": ".csv .tsv",
    "json": ".json .jsonl .ndjson .json5 .geojson",
    "code": (
        ".py .pyi .js .mjs .cjs .jsx .ts .mts .cts .tsx .rs .go .c .h .cc .cpp .cxx .hh .hpp .hxx"
        " .java .kt .kts .scala .groovy .gradle .cs .fs .vb .rb .php .pl .pm .lua .r .jl .swift .m"
        " .mm .dart .ex .exs .erl .hs .ml .mli .clj .cljs .lisp .el .scm .zig .nim .sh .bash .zsh"
        " .fish .ps1 .bat .sql .graphql .proto .tf .nix .cmake .mk .css .scss .less .vue .svelte"
        " .yaml .yml .toml .ini .cfg .conf"
    ),
}
_NAMES: dict[Format, str] = {
    "text": "readme license licence copying notice authors changelog changes news todo",
    "code": "makefile dockerfile containerfile justfile rakefile gemfile jenkinsfile vagrantfile",
}
_FORMAT_OF_SUFFIX: dict[str, Format] = {
    **dict.fromkeys(MARKDOWN_SUFFIXES, "markdown"),
    **{suffix: name for name, suffixes in _SUFFIXES.items() for suffix in suffixes.split()},
}
_FORMAT_OF_NAME: dict[str, Format] = {
    name: written for written, names in _NAMES.items() for name in names.split()
}


def format_of(path: str) -> Format | None:
    """Say what a file is written in; nothing when it is no note."""
    name = path.rpartition("/")[2].lower()
    dot = name.rfind(".")
    if dot > 0:
        return _FORMAT_OF_SUFFIX.get(name[dot:])
    return _FORMAT_OF_NAME.get(name)


def suffix_of(path: str) -> str:
    """Give a path's ending in lower case, its dot included; of names without one, the name."""
    name = PurePosixPath(path)
    return (name.suffix or name.name).lower()
