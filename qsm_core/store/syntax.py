"""A module's syntax tree: what it imports, and a digest that depends only on its meaning."""

from __future__ import annotations

import ast
import hashlib
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

# Fields that do not affect the meaning, or that not every version of Python sets.
_SILENT_FIELDS = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_PARSE_TRIES = 10
_parsing = threading.Lock()


def parse(path: Path) -> ast.Module:
    """Parse a file, one thread at a time.

    CPython 3.11 counts the depth of the tree across all threads, and if two of them build trees at
    once, one of them fails with a SystemError. Other libraries build trees too, so the lock is not
    enough and parsing is retried.
    """
    text = path.read_bytes()
    for _ in range(_PARSE_TRIES - 1):
        try:
            with _parsing:
                return ast.parse(text, filename=str(path))
        except SystemError:
            continue
    with _parsing:
        return ast.parse(text, filename=str(path))


def digest_tree(tree: ast.AST) -> str:
    """Return the SHA-256 of a tree without docstrings, positions and formatting.

    Absent and empty fields are skipped, so that a Python with a larger grammar gives the same
    digest for the same source.
    """
    pieces: list[str] = []
    _write(tree, pieces)
    return hashlib.sha256("".join(pieces).encode("utf-8", "surrogatepass")).hexdigest()


def imported_names(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the dotted names of everything that the module may import, anywhere in it.

    `from a.b import c` gives both `a.b` and `a.b.c`; which one is a module is for the caller to
    find out. `import_module("a.b")` with a literal name is seen as well.

    Args:
        tree: The module.
        package: Dotted name of the package that relative imports start from.
    """
    if isinstance(tree, ast.Import):
        yield from (alias.name for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom):
        yield from _names_of_import_from(tree, package)
    elif isinstance(tree, ast.Call):
        yield from _literal_import(tree)
    for part in _running_parts(tree):
        yield from imported_names(part, package)


def _names_of_import_from(node: ast.ImportFrom, package: str) -> Iterator[str]:
    base = node.module or ""
    if node.level:
        parts = package.split(".")
        base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
    yield base
    yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")


def _literal_import(node: ast.Call) -> Iterator[str]:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    called = node.func.id if isinstance(node.func, ast.Name) else called
    if called in ("import_module", "__import__", "run_module") and node.args:
        first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


def _running_parts(tree: ast.AST) -> Iterable[ast.AST]:
    """Return the parts of a node that run, so not a block under `if TYPE_CHECKING:`."""
    if isinstance(tree, ast.If) and _is_type_checking(tree.test):
        return tree.orelse
    return ast.iter_child_nodes(tree)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _without_bare_strings(part: object) -> object:
    """Drop the statements that are only a string, such as docstrings: they do nothing."""
    return [item for item in part if not _is_bare_string(item)] if isinstance(part, list) else part


def _is_bare_string(node: object) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _write(value: object, into: list[str]) -> None:
    """Serialise a node, a list of nodes or a constant so that different trees differ.

    The pieces are appended to one list, since nested generators would pass each of them up through
    every level of the tree.
    """
    if isinstance(value, ast.Constant):
        into.append(f"<{type(value.value).__name__}:{value.value!r}>")
    elif isinstance(value, ast.AST):
        into.append(f"({type(value).__name__}")
        for name in sorted(value._fields):
            part = _without_bare_strings(getattr(value, name, None))
            if name in _SILENT_FIELDS or part is None or part == []:
                continue
            into.append(f" {name}=")
            _write(part, into)
        into.append(")")
    elif isinstance(value, list):
        into.append("[")
        for item in value:
            _write(item, into)
            into.append(",")
        into.append("]")
    else:
        into.append(f"<{type(value).__name__}:{value!r}>")
