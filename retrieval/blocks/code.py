"""Source code as blocks of lines: a definition with its comments is one. Pure.

Parsed by tree-sitter; what it has no grammar for here is cut at blank lines like any text.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from retrieval.blocks.text import Block, paragraphs, text_blocks
from retrieval.files.formats import suffix_of

if TYPE_CHECKING:
    from tree_sitter import Language, Node


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


_MOST_CHARACTERS = 2_000_000  # Longer files are generated; they are cut at blank lines.
_DEEPEST = 6
_LONGEST_NAME = 100

_GRAMMARS = {
    "python": ".py .pyi",
    "javascript": ".js .mjs .cjs .jsx",
    "typescript:typescript": ".ts .mts .cts",
    "typescript:tsx": ".tsx",
    "rust": ".rs",
    "go": ".go",
    "c": ".c",
    "cpp": ".h .cc .cpp .cxx .hh .hpp .hxx",
    "java": ".java",
    "c_sharp": ".cs",
    "bash": ".sh .bash .zsh",
    "ruby": ".rb rakefile gemfile vagrantfile",
    "php:php": ".php",
}
_GRAMMAR_OF = {
    suffix: grammar for grammar, suffixes in _GRAMMARS.items() for suffix in suffixes.split()
}
_CONTAINERS = _words(
    "class_definition class_declaration abstract_class_declaration class module singleton_class"
    " internal_module impl_item trait_item mod_item foreign_mod_item namespace_definition"
    " class_specifier struct_specifier interface_declaration enum_declaration record_declaration"
    " struct_declaration annotation_type_declaration namespace_declaration trait_declaration"
    " union_specifier"
)
"""Nodes that hold definitions under a name."""
_DEFINITIONS = _words(
    "function_definition function_declaration generator_function_declaration method_definition"
    " function_item struct_item enum_item union_item macro_definition method_declaration"
    " type_declaration type_alias_declaration type_definition constructor_declaration"
    " destructor_declaration property_declaration operator_declaration method singleton_method"
    " enum_specifier delegate_declaration function_signature_item compact_constructor_declaration"
    " abstract_method_signature method_signature function_signature"
)
"""Nodes that are kept whole under their name."""
_WRAPPERS = _words(
    "decorated_definition export_statement ambient_declaration template_declaration"
    " expression_statement linkage_specification preproc_ifdef preproc_if preproc_else"
    " declaration_list namespace_definition_body program translation_unit source_file module"
    " compilation_unit file_scoped_namespace_declaration"
)
"""Nodes that stand around definitions without a name of their own."""
_LEADS = _words(
    "comment line_comment block_comment attribute_item attribute_list decorator annotation"
)
"""Nodes that belong to the definition right below them."""
_BODIES = _words(
    "block class_body declaration_list field_declaration_list body_statement interface_body"
    " enum_body enum_body_declarations statement_block object_type annotation_type_body"
)
_FUNCTIONS = _words("arrow_function function_expression function class generator_function")
_CLOSING = re.compile(r"\s*(?:[}\])]+[;,]*(?:\s*//.*)?|end|#endif.*)\s*$")


def code_blocks(path: str, text: str) -> tuple[Block, ...]:
    """Split source code into definitions, the heads of what holds them, and the rest."""
    return _code_blocks(_GRAMMAR_OF.get(suffix_of(path), ""), text)


@lru_cache(maxsize=1)
def _code_blocks(grammar: str, text: str) -> tuple[Block, ...]:
    if not grammar or len(text) > _MOST_CHARACTERS:
        return text_blocks(text)
    try:
        from tree_sitter import Parser

        tree = Parser(_language(grammar)).parse(text.encode("utf-8", "replace"))
    except (ImportError, OSError, ValueError):  # No such library for this machine, or too old.
        return text_blocks(text)
    walk = _Walk(text.split("\n"))
    walk.children(tree.root_node, depth=1)
    walk.gap(len(walk.lines) - 1, depth=1)
    return tuple(walk.blocks)


@cache
def _language(grammar: str) -> Language:
    from tree_sitter import Language

    name, _, function = grammar.partition(":")
    module = importlib.import_module(f"tree_sitter_{name}")
    language = getattr(module, f"language_{function}" if function else "language")
    return Language(language())


@dataclass(frozen=True, slots=True)
class _Definition:
    """A definition found in a tree."""

    node: Node
    """The definition without what wraps it."""
    body: Node | None
    """What holds the definitions inside it; nothing when it is kept whole."""


class _Walk:
    """Turns a tree into blocks, from the top down."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.blocks: list[Block] = []
        self._next = 0

    def children(self, parent: Node, depth: int) -> None:
        """Take the definitions among a node's children."""
        lead: int | None = None
        for child in parent.children:
            first, last = child.start_point.row, child.end_point.row
            if child.type in _LEADS:
                lead = first if lead is None or self._is_apart(first) else lead
                continue
            definition = _definition(child)
            if definition is not None:
                start = first if lead is None or self._is_apart(first) else lead
                self._take(definition, start, _last_row(child, last), depth)
            elif child.type in _WRAPPERS and depth < _DEEPEST:
                self.children(child, depth)
            lead = None

    def gap(self, last: int, depth: int) -> None:
        """Take the lines up to one that no definition holds."""
        for block in paragraphs(self.lines, self._next, last):
            closes = all(map(_CLOSING.match, self.lines[block.first : block.last + 1]))
            if closes and self.blocks:
                self.blocks[-1] = replace(self.blocks[-1], last=block.last)
            else:
                self.blocks.append(replace(block, level=depth, whole=True))
        self._next = max(self._next, last + 1)

    def _take(self, definition: _Definition, first: int, last: int, depth: int) -> None:
        first = max(first, self._next)
        if last < first:
            return  # On a line that is taken.
        self.gap(first - 1, depth)
        heading = _name(definition.node, definition.body)
        if definition.body is None or depth >= _DEEPEST:
            self.blocks.append(Block(first, last, depth, heading, whole=True))
            self._next = last + 1
            return
        number = len(self.blocks)
        self._next = max(first, definition.node.start_point.row)
        self.children(definition.body, depth + 1)
        is_on_one_line = any(b.first == first and b.heading for b in self.blocks[number:])
        if len(self.blocks) == number or is_on_one_line:
            self.blocks[number:] = [Block(first, last, depth, heading, whole=True)]
            self._next = last + 1
            return
        self._head(number, first, depth, heading)
        self.gap(last, depth + 1)

    def _head(self, number: int, first: int, depth: int, heading: str) -> None:
        """Put the head of a definition before what is in it: all lines up to its first member."""
        head = next((n for n in range(number, len(self.blocks)) if self.blocks[n].heading), number)
        last = self.blocks[head].first - 1
        while last >= first and not self.lines[last].strip():
            last -= 1
        self.blocks[number:head] = [Block(first, last, depth, heading)] if last >= first else []

    def _is_apart(self, row: int) -> bool:
        """Say whether the line above one is blank, or taken."""
        return row == 0 or row - 1 < self._next or not self.lines[row - 1].strip()


def _definition(node: Node) -> _Definition | None:
    """Find the definition that a node is, or wraps."""
    inner: Node | None = node
    while inner is not None and inner.type in {
        "decorated_definition",
        "export_statement",
        "template_declaration",
        "ambient_declaration",
        "expression_statement",
    }:
        inner = next((c for c in inner.named_children if _is_defining(c)), None)
    if inner is None:
        return None
    if inner.type in {"lexical_declaration", "variable_declaration"}:
        return _Definition(inner, None) if _assigned_function(inner) is not None else None
    if inner.type in _CONTAINERS and inner.is_named:
        body = inner.child_by_field_name("body")
        if body is None:
            body = next((c for c in inner.children if c.type in _BODIES), None)
        if body is None:  # A type that is only named: ``struct point p;``.
            return _Definition(inner, None) if inner.type.endswith("declaration") else None
        return _Definition(inner, body)
    return _Definition(inner, None) if inner.type in _DEFINITIONS else None


def _is_defining(node: Node) -> bool:
    kinds = {"decorated_definition", "template_declaration", "export_statement"}
    return (
        node.type in _CONTAINERS
        or node.type in _DEFINITIONS
        or node.type in kinds
        or _assigned_function(node) is not None
    )


def _assigned_function(node: Node) -> Node | None:
    """Give the declarator of ``const name = () => ...``."""
    if node.type not in {"lexical_declaration", "variable_declaration"}:
        return None
    for declarator in node.named_children:
        value = declarator.child_by_field_name("value")
        if value is not None and value.type in _FUNCTIONS:
            return declarator
    return None


def _name(node: Node, body: Node | None) -> str:
    """Give a definition's name with the words before it: ``class Foo``, ``async def bar``."""
    start = node.start_byte
    for child in node.children:
        if child.type in {"modifiers", "attribute_list", "modifier"}:
            start = max(start, child.end_byte)
    end = _name_end(node)
    if end is None and body is not None:
        end = body.start_byte
    text = node.text or b""
    words = text[start - node.start_byte : None if end is None else end - node.start_byte]
    first = words.decode("utf-8", "replace").strip()
    if end is None:
        first = first.split("\n", 1)[0]
    return " ".join(first.split())[:_LONGEST_NAME].rstrip(" {:(")


def _name_end(node: Node) -> int | None:
    declarator = _assigned_function(node)
    named = (declarator or node).child_by_field_name("name")
    inner = node
    while named is None:
        below = inner.child_by_field_name("declarator")
        if below is None:
            break
        inner = below
        named = inner.child_by_field_name("name")
        if inner.child_by_field_name("declarator") is None and named is None:
            named = inner
    if named is None:  # ``type Server struct``: the name is in what the declaration declares.
        children = (child.child_by_field_name("name") for child in node.named_children)
        named = next(filter(None, children), None)
    return None if named is None else named.end_byte


def _last_row(node: Node, last: int) -> int:
    """Give a node's last line; one that ends with its newline does not reach the next."""
    return last - 1 if node.end_point.column == 0 and last > node.start_point.row else last
