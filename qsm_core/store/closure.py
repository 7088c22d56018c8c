"""Which modules a stage can reach, and a digest of each.

The closure starts at the entry module and follows `import` statements, also those inside
functions, to the modules of the same top-level package and to those of `qsm_core`. A package's
`__init__.py` belongs to it, because Python runs it. Blocks under `if TYPE_CHECKING:` do not.

A digest is taken over the syntax tree, so comments, formatting, docstrings and the version of
Python do not change it. What the closure misses:

- imports by a computed name (`importlib.import_module(name)`); a literal name is seen;
- submodules that only `from package import *` brings in;
- data files that code reads; pass them as inputs, or name them in `package_data`.

The mechanism (`qsm_core.stage`, `qsm_core.store`) is left out: it decides how a stage is run and
where its files are, not what they contain.
"""

from __future__ import annotations

from collections.abc import Iterator

from qsm_core.errors import SpecError
from qsm_core.store.digests import digest_bytes
from qsm_core.store.sources import find_source, package_folders, read_source, remember_sources

_CORE = "qsm_core"
_MECHANISM = ("qsm_core.stage", "qsm_core.store")


def code_digests(entry: str, *, package_data: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the digest of every module that `entry` can reach, by name.

    Args:
        entry: Dotted name of the entry module.
        package_data: Globs of data files that count as code, relative to the folder that holds
            the top-level package.

    Raises:
        SpecError: A module is missing or cannot be parsed, or a glob finds nothing.
    """
    if find_source(entry) is None:
        raise SpecError(f"entry {entry}: there is no such module")
    tops = {_CORE, _top(entry)}
    digests: dict[str, str] = {}
    waiting, seen, leaves = [entry], set[str](), set[str]()
    for name in waiting:  # the loop appends to it
        if name in seen or _is_mechanism(name) or name.rpartition(".")[0] in leaves:
            continue
        seen.add(name)
        source = find_source(name)
        if source is None:
            continue
        if not source.is_package:
            leaves.add(name)  # names imported from it are not modules
        module = read_source(source)
        digests[name] = module.digest
        waiting += _parents(name)
        waiting += [name for name in module.imports if _top(name) in tops]
    for top in tops:
        remember_sources(top)
    for pattern in package_data:
        digests.update(_data_digests(entry, pattern))
    return dict(sorted(digests.items()))


def module_digest(name: str) -> str:
    """Return the digest of one module as it is on disk now.

    Raises:
        SpecError: The module is missing or cannot be parsed.
    """
    source = find_source(name)
    if source is None:
        raise SpecError(f"module {name}: it is not there any more")
    digest = read_source(source).digest
    remember_sources(_top(name))
    return digest


def _top(name: str) -> str:
    return name.partition(".")[0]


def _is_mechanism(name: str) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in _MECHANISM)


def _parents(name: str) -> Iterator[str]:
    """Yield the packages that Python imports before `name`."""
    parts = name.split(".")[:-1]
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])


def _data_digests(entry: str, pattern: str) -> dict[str, str]:
    folders = [root.parent for root in package_folders(_top(entry))]
    files = {
        path.relative_to(folder).as_posix(): digest_bytes(path.read_bytes())
        for folder in folders
        for path in sorted(folder.glob(pattern))
        if path.is_file()
    }
    if not files:
        raise SpecError(f"package data {pattern!r} of entry {entry}: no file has such a name")
    return files
