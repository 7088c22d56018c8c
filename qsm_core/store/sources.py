"""The source file of a module: found without importing anything, and read once.

What was read is remembered for as long as the file is unchanged, in this process and, through
`source_memo`, for later processes.
"""

from __future__ import annotations

import importlib.util
import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from qsm_core.errors import SpecError
from qsm_core.store.source_memo import FileState, ReadModule, SourceMemo, state_of
from qsm_core.store.syntax import digest_tree, imported_names, parse

_opened: set[Path] = set()


class Source(NamedTuple):
    """A module on disk, below one folder of its top-level package."""

    name: str
    path: Path
    root: Path

    @property
    def is_package(self) -> bool:
        """Whether the module can have modules below it."""
        return self.path.name == "__init__.py"


def find_source(name: str) -> Source | None:
    """Find the file of a module; None if there is no such module.

    `from package import thing` may name a module or a variable, so a name that is not a module is
    no error: its parent is in the closure.
    """
    top, *rest = name.split(".")
    for root in package_folders(top):
        folder = root.joinpath(*rest)
        package = folder / "__init__.py"
        if package.is_file():
            return Source(name, package, root)
        module = folder.with_name(f"{folder.name}.py")
        if rest and module.is_file():
            return Source(name, module, root)
    return None


def read_source(source: Source) -> ReadModule:
    """Return the digest of a module and what it imports.

    Raises:
        SpecError: It cannot be parsed.
    """
    memo, before = _memo(source.root), _state(source.path)
    known = memo.get(source.path, before)
    if known is not None:
        return known
    try:
        tree = parse(source.path)
    except SyntaxError as error:
        raise SpecError(f"module {source.name}: {source.path} cannot be parsed: {error}") from error
    package = source.name if source.is_package else source.name.rpartition(".")[0]
    read = ReadModule(digest_tree(tree), tuple(sorted(set(imported_names(tree, package)))))
    if _state(source.path) == before:
        memo.put(source.path, before, read)
    return read


def remember_sources(top: str) -> None:
    """Save what was read from a top-level package for later processes."""
    for root in package_folders(top):
        _memo(root).save()


@lru_cache(maxsize=64)
def package_folders(top: str) -> tuple[Path, ...]:
    """Return the folders of a top-level package.

    Raises:
        SpecError: It is not installed.
    """
    package = importlib.util.find_spec(top)
    if package is None:
        raise SpecError(f"package {top}: it is not installed")
    return tuple(Path(folder) for folder in package.submodule_search_locations or ())


@lru_cache(maxsize=64)
def _memo(root: Path) -> SourceMemo:
    return SourceMemo(root)


def _state(path: Path) -> FileState:
    """Return what identifies an unchanged file.

    The first time, the file is opened for this: on a network file system, `stat` may return what
    was true of the file a minute ago, but `open` fetches its present state.
    """
    if path in _opened:
        return state_of(path.stat())
    with path.open("rb") as stream:
        state = state_of(os.fstat(stream.fileno()))
    _opened.add(path)
    return state
