"""Which source a stage can reach, and a digest of each module of it.

The closure starts at the entry module and follows `import` statements, also those inside
functions, to the modules of the same top-level package and to those of `qsm_core`. A package's
`__init__.py` belongs to it, because Python runs it. Blocks under `if TYPE_CHECKING:` do not.

A digest is taken over the syntax tree, so comments, formatting and docstrings change nothing,
and neither does the version of Python. What is not seen:

- imports by a name that is computed (`importlib.import_module(name)`); a literal name is seen;
- submodules that only `from package import *` brings in;
- data files that code reads; pass them as inputs, or name them in `package_data`.

The mechanism (`qsm_core.stage`, `qsm_core.store`) is left out: it decides how a stage is run and
where its files lie, not what is in them.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from qsm_core.errors import SpecError
from qsm_core.store.syntax import digest_tree, imported_names

_CORE = "qsm_core"
_MACHINERY = ("qsm_core.stage", "qsm_core.store")

_PARSE_TRIES = 10
_parsing = threading.Lock()


class _Source(NamedTuple):
    """A module as it lies on disk."""

    name: str
    path: Path

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


@dataclass(frozen=True)
class _Module:
    """What is needed of a parsed module: its digest and the dotted names that it imports."""

    digest: str
    imports: tuple[str, ...]


def code_digests(entry: str, *, package_data: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the digest of every module that `entry` can reach, by name.

    Args:
        entry: Dotted name of the entry module.
        package_data: Globs of data files that count as code, relative to the folder that holds
            the top-level package.

    Raises:
        SpecError: A module is missing or cannot be parsed, or a glob finds nothing.
    """
    digests: dict[str, str] = {}
    waiting, seen = [entry], set[str]()
    if _find(entry) is None:
        raise SpecError(f"entry {entry}: there is no such module")
    while waiting:
        name = waiting.pop()
        if name in seen or _is_machinery(name):
            continue
        seen.add(name)
        source = _find(name)
        if source is None:
            continue
        module = _read(source)
        digests[name] = module.digest
        waiting += _parents(name)
        waiting += [name for name in module.imports if _is_followed(name, entry)]
    for pattern in package_data:
        digests.update(_data_digests(entry, pattern))
    return dict(sorted(digests.items()))


def module_digest(name: str) -> str:
    """Return the digest of one module as it lies on disk now.

    Raises:
        SpecError: The module is missing or cannot be parsed.
    """
    source = _find(name)
    if source is None:
        raise SpecError(f"module {name}: it is not there any more")
    return _read(source).digest


def _is_followed(name: str, entry: str) -> bool:
    return name.split(".")[0] in (_CORE, entry.split(".")[0])


def _is_machinery(name: str) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in _MACHINERY)


def _parents(name: str) -> Iterator[str]:
    """Yield the packages that Python imports before `name`."""
    parts = name.split(".")[:-1]
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])


def _find(name: str) -> _Source | None:
    """Find the file of a module without importing anything; None for what is no module.

    `from package import thing` may name a module or a variable, so a name that is no module
    is not an error: its parent is in the closure.
    """
    top, *rest = name.split(".")
    for root in _package_folders(top):
        folder = root.joinpath(*rest)
        package = folder / "__init__.py"
        if package.is_file():
            return _Source(name, package)
        if rest and folder.with_name(folder.name + ".py").is_file():
            return _Source(name, folder.with_name(folder.name + ".py"))
    return None


@lru_cache(maxsize=64)
def _package_folders(top: str) -> tuple[Path, ...]:
    found = importlib.util.find_spec(top)
    if found is None:
        raise SpecError(f"package {top}: it is not installed")
    return tuple(Path(folder) for folder in found.submodule_search_locations or ())


def _read(source: _Source) -> _Module:
    state = source.path.stat()
    return _parse(source, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _parse(source: _Source, mtime_ns: int, size: int) -> _Module:  # noqa: ARG001
    """Parse a module; the time and size of the file are there to notice an edit."""
    try:
        tree = _tree(source.path)
    except SyntaxError as error:
        raise SpecError(f"module {source.name}: {source.path} cannot be parsed: {error}") from error
    package = source.name if source.is_package else source.name.rpartition(".")[0]
    return _Module(digest_tree(tree), tuple(sorted(set(imported_names(tree, package)))))


def _data_digests(entry: str, pattern: str) -> dict[str, str]:
    folders = [root.parent for root in _package_folders(entry.split(".")[0])]
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in sorted(folder.glob(pattern))
        if path.is_file()
    }
    if not files:
        raise SpecError(f"package data {pattern!r} of entry {entry}: no file has such a name")
    return files


def _tree(path: Path) -> ast.Module:
    """Parse a file, one thread at a time.

    CPython 3.11 counts the depth of the tree for all threads together, and where two of them build
    trees at once, it ends one with a SystemError. Other libraries build trees too, so it is tried
    again.
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
