"""The command line's grammar: every command, option and example."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from app import __version__
from app.cli.filtering import add_places
from app.types import Mode
from retrieval.types import LegChoice

COMMANDS = ("index", "search", "ask", "models", "status", "forget", "eval", "embedders")
"""Words that are commands; anything else in their place is a folder to open."""

_EXIT_CODES = """exit codes:
  0 done   1 failed   2 wrong usage   3 nothing found   4 index stale or incomplete
"""


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _whole(low: int, high: int) -> Callable[[str], int]:
    """Make a type of whole numbers within the bounds that the settings have too."""

    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"must be from {low:,} to {high:,}")
        return number

    parse.__name__ = "whole number"
    return parse


def _temperature(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 5:
        raise argparse.ArgumentTypeError("must be from 0 to 5")
    return number


def _question(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def build_app_parser() -> argparse.ArgumentParser:
    """Build the parser of ``alcove [FOLDER]``."""
    parser = argparse.ArgumentParser(
        prog="alcove",
        description="Talk to your own notes with a language model on your own machine.",
        epilog=(
            "commands:\n"
            "  index      bring the index of a folder up to date\n"
            "  search     find passages\n"
            "  ask        answer a question from the notes, with citations\n"
            "  models     list and download models\n"
            "  embedders  list and download embedding models and rerankers\n"
            "  status     tell what is indexed and where data lives\n"
            "  forget     take a folder out of the index\n"
            "  eval       measure the search on judged questions: a data set's, or your own\n"
            "\nexample:\n  alcove ~/notes\n  alcove search --help\n\n" + _EXIT_CODES
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"alcove {__version__}")
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        help="folder of notes to open; without it the last one, at first the sample notes",
    )
    return parser


def build_command_parser() -> argparse.ArgumentParser:
    """Build the parser of ``alcove COMMAND``."""
    parser = argparse.ArgumentParser(prog="alcove")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_index(commands)
    _add_search(commands)
    _add_ask(commands)
    _add_models(commands)
    _add_embedders(commands)
    _add_status(commands)
    _add_forget(commands)
    _add_eval(commands)
    return parser


_Commands = argparse._SubParsersAction


def _command(
    commands: _Commands[argparse.ArgumentParser], name: str, description: str, example: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=description,
        description=description,
        epilog=f"example:\n  {example}\n\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _add_rerank(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rerank",
        action=argparse.BooleanOptionalAction,
        help="have the reranker order the first passages (default: when one is in the settings)",
    )


def _add_index(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands, "index", "Bring the index of a folder up to date.", "alcove index ~/notes"
    )
    parser.add_argument("folder", type=Path, help="folder of notes; its files are only read")
    parser.add_argument(
        "--name", help="name of the collection, for --in (default: the folder's own name)"
    )
    _add_json(parser)


def _add_search(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "search",
        "Find the passages that match best, by keywords and by meaning.",
        'alcove search "undo last git commit but keep changes" -k 5',
    )
    parser.add_argument(
        "query",
        type=_question,
        help='question or keywords; "exact phrase", path:git/**, tag:alcove, format:pdf, after:7d',
    )
    parser.add_argument("-k", type=_positive, default=8, help="passages at most (default 8)")
    parser.add_argument(
        "--leg",
        choices=get_args(LegChoice),
        default="hybrid",
        help="keywords (bm25), meaning (vector), or both fused (default)",
    )
    parser.add_argument(
        "--explain", action="store_true", help="show how each score adds up, and what was cut"
    )
    _add_rerank(parser)
    add_places(parser)
    _add_json(parser)


def _add_ask(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "ask",
        "Answer a question from the notes, with numbered and checked citations.",
        'alcove ask "which sealant did I choose?" --model Qwen/Qwen3-4B-GGUF:Q4_K_M',
    )
    parser.add_argument("question", type=_question, help="the question")
    parser.add_argument("--model", help="a .gguf file or owner/name:QUANT on this machine")
    parser.add_argument(
        "--mode", choices=get_args(Mode), help="where the answer comes from (default: settings)"
    )
    parser.add_argument("-k", type=_positive, help="passages looked at (default: settings)")
    parser.add_argument(
        "--context", type=_whole(0, 10_000_000), help="tokens of context; 0 for automatic"
    )
    parser.add_argument(
        "--gpu-layers", type=_whole(-1, 10_000), help="layers on the GPU; -1 for as many as fit"
    )
    parser.add_argument("--threads", type=_whole(0, 1_024), help="threads; 0 for automatic")
    parser.add_argument("--max-tokens", type=_positive, help="tokens of the answer at most")
    parser.add_argument("--temperature", type=_temperature, help="0 takes the likeliest token")
    parser.add_argument("--seed", type=int, help="same seed, same answer")
    _add_rerank(parser)
    add_places(parser)
    _add_json(parser)


def _add_models(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "models",
        "List and download models.",
        "alcove models download Qwen/Qwen3-4B-GGUF:Q4_K_M",
    )
    actions = parser.add_subparsers(dest="action", required=True)
    listing = _command(actions, "list", "List the models on this machine.", "alcove models list")
    _add_json(listing)
    catalog = _command(
        actions, "catalog", "List models known to run well.", "alcove models catalog"
    )
    _add_json(catalog)
    levels = _command(
        actions,
        "levels",
        "List the quantization levels that a repository of the hub holds.",
        "alcove models levels Qwen/Qwen3-4B-GGUF",
    )
    levels.add_argument("repo", help="owner/name")
    _add_json(levels)
    download = _command(
        actions,
        "download",
        "Download a model; a download that broke off goes on where it was.",
        "alcove models download Qwen/Qwen3-4B-GGUF:Q4_K_M",
    )
    download.add_argument("name", metavar="REPO[:QUANT]", help="owner/name, and a level")
    _add_json(download)


def _add_embedders(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "embedders",
        "List and download embedding models and rerankers.",
        "alcove embedders download intfloat/multilingual-e5-small",
    )
    actions = parser.add_subparsers(dest="action", required=True)
    listing = _command(
        actions,
        "list",
        "List those known to work, which is in use and which are here.",
        "alcove embedders list",
    )
    _add_json(listing)
    download = _command(
        actions,
        "download",
        "Download one; a download that broke off goes on where it was.",
        "alcove embedders download cross-encoder/ms-marco-MiniLM-L6-v2",
    )
    download.add_argument(
        "name", metavar="REPO", help="owner/name of any model of sentence-transformers"
    )
    _add_json(download)


def _add_status(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "status",
        "Tell what is indexed, whether it is up to date, and where data lives.",
        "alcove status --json",
    )
    _add_json(parser)


def _add_forget(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "forget",
        "Take a folder out of the index, one that is gone too; its files are left alone.",
        "alcove forget ~/old-notes",
    )
    parser.add_argument(
        "folder", metavar="NAME|FOLDER", help="a collection or its folder; alcove status lists them"
    )
    _add_json(parser)


def _add_eval(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "eval",
        "Measure the search on judged questions: a data set's, or your own.",
        "alcove eval ~/beir/scifact --index ~/beir/scifact-index\n"
        "  alcove eval --chunks ~/chunking -k 5\n"
        "  alcove eval --mine",
    )
    questions = parser.add_mutually_exclusive_group(required=True)
    questions.add_argument(
        "dataset",
        metavar="DIR",
        nargs="?",
        type=Path,
        help="folder with corpus.jsonl, queries.jsonl and qrels.tsv, in the layout of BEIR",
    )
    questions.add_argument(
        "--chunks",
        metavar="DIR",
        type=Path,
        help="folder with questions.jsonl and corpora/: how well chunks cover marked passages",
    )
    questions.add_argument(
        "--mine",
        action="store_true",
        help="the questions whose sources you marked in the app, asked of your index",
    )
    parser.add_argument(
        "--leg",
        dest="legs",
        choices=("bm25", "vector", "hybrid", "reranked"),
        action="append",
        help="measure this only; may be given again (default: all there is)",
    )
    parser.add_argument(
        "-k", type=_positive, help="with --chunks: chunks looked at for a question (default 5)"
    )
    parser.add_argument(
        "--index",
        metavar="DIR",
        type=Path,
        help="keep the index in this folder, so that the next run is quick",
    )
    parser.add_argument(
        "--run", metavar="PREFIX", help="write the rankings as TREC runs: PREFIX.bm25.trec, ..."
    )
    _add_json(parser)
