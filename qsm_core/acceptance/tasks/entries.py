"""Functions that a task names: `package.module:function`, or `file.py:function` of its folder.

A task folder with Python in it is a program, and is run as one: use only what you would run.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any


class EntryError(Exception):
    """The function of an entry cannot be had; says why."""


def load_entry(entry: str, folder: Path) -> Callable[..., Any]:
    """Return the function that an entry names.

    Raises:
        EntryError: The file, module or function is missing, or importing it fails.
    """
    where, _, name = entry.partition(":")
    try:
        module = (
            _of_file(folder / where) if where.endswith(".py") else importlib.import_module(where)
        )
    except EntryError:
        raise
    except Exception as error:  # the code is the user's and may raise anything
        raise EntryError(f"cannot be imported ({type(error).__name__}: {error})") from error
    function = getattr(module, name, None)
    if not callable(function):
        there = sorted(one for one in vars(module) if not one.startswith("_"))
        raise EntryError(f"{where} has no function {name!r}; it has: {', '.join(there)}")
    return function  # type: ignore[no-any-return]


def _of_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise EntryError(f"there is no file {path}")
    # Under a name of its own: two tasks may both have a checks.py, and a file may change.
    digest = hashlib.sha256(str(path.resolve()).encode() + path.read_bytes()).hexdigest()[:16]
    name = f"qsm_task_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise EntryError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    writes_not = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # a task folder is known by its files, which must stay the same
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.dont_write_bytecode = writes_not
    return module
