"""Refuse to make an output with code other than the code that its key stands for.

The spec is built from the source on disk. A worker on another host may see other files, and a
long-lived process may still hold a module as it was before an edit. Either would store a wrong
output under a correct key.
"""

from __future__ import annotations

import importlib
import sys

from qsm_core.errors import StageError
from qsm_core.stage.context import StageFunction
from qsm_core.store.closure import code_digests
from qsm_core.store.spec import StageSpec, entry_of, library_versions

# Digest of each module's source at the time this process imported it.
_LOADED: dict[str, str] = {}


def load_entry(spec: StageSpec) -> StageFunction:
    """Import the function of a stage, after checking that its code is that of the spec.

    Raises:
        StageError: Source or library versions differ from those that the key stands for.
    """
    _check_disk(spec)
    stale = [name for name in spec.code if _LOADED.get(name, spec.code[name]) != spec.code[name]]
    if stale:
        raise StageError(
            f"{spec.stage}: this process has imported {', '.join(stale)} as it was before an "
            "edit; start the run again, so that it begins with a fresh process"
        )
    module, function = entry_of(spec.entry)
    entry: StageFunction = getattr(importlib.import_module(module), function)
    check_loaded(spec)
    return entry


def check_loaded(spec: StageSpec) -> None:
    """Record which modules of the spec are now imported, and check that their source is unchanged.

    Raises:
        StageError: A module was edited around the time of its import, so it is unknown which
            version this process has.
    """
    fresh = [name for name in spec.code if name in sys.modules and name not in _LOADED]
    if fresh:
        _check_disk(spec, only=frozenset(fresh))
        _LOADED.update({name: spec.code[name] for name in fresh})


def _check_disk(spec: StageSpec, only: frozenset[str] | None = None) -> None:
    data = tuple(name for name in spec.code if "/" in name)
    here = code_digests(entry_of(spec.entry)[0], package_data=data)
    names = only or frozenset({*here, *spec.code})
    other = sorted(name for name in names if here.get(name) != spec.code.get(name))
    libraries = library_versions(tuple(spec.libraries))
    problems = [f"source of {name}" for name in other]
    problems += [
        f"{name} {libraries[name]} instead of {spec.libraries[name]}"
        for name in libraries
        if libraries[name] != spec.libraries[name]
    ]
    if problems:
        raise StageError(
            f"{spec.stage}: the code here is not the code that the run was planned with: "
            f"{', '.join(problems)}. Was a file edited while the run was going on, or do flow "
            "and worker use different checkouts? Start the run again"
        )
