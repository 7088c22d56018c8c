"""How a stage ended in its child process, as a file that the parent process reads.

An error of qsm comes back with its class and arguments, any other as the error of qsm that stands
for it; the cause of either is the traceback of the child process.
"""

from __future__ import annotations

import errno
import importlib
import json
import traceback
from pathlib import Path
from typing import Any

from qsm_core.errors import QsmError, StageError, as_qsm_error
from qsm_core.stage.launch import Launched
from qsm_core.store.files import write_json
from qsm_core.store.full_disk import is_full_disk


class StageTracebackError(Exception):
    """The traceback of an error from another process; the cause of that error in this one."""

    def __str__(self) -> str:
        """Return the traceback of the other process."""
        return f"\n{self.args[0]}"


def write_launched(path: Path, launched: Launched) -> None:
    """Write that the stage succeeded, and its result."""
    write_json(path, {"summary": launched.summary, "usage": launched.usage})


def write_error(path: Path, error: Exception) -> None:
    """Write which error ended the stage."""
    trace = "".join(traceback.format_exception(error))
    write_json(path, {"error": _error_to_json(error), "traceback": trace})


def read_outcome(path: Path) -> Launched | None:
    """Return how a stage ended, or None if its process wrote no outcome.

    Raises:
        QsmError: The error that ended the stage.
        OSError: The disk was full.
    """
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    if "error" in values:
        raise _error_from_json(values["error"]) from StageTracebackError(values["traceback"])
    return Launched(values["summary"], values["usage"])


def _error_to_json(error: Exception) -> dict[str, Any]:
    if not isinstance(error, QsmError) and is_full_disk(error):
        # The advice what to do is added by the parent process, which knows the store.
        place = getattr(error, "filename", None)
        return {"errno": errno.ENOSPC, "text": str(error), "filename": place and str(place)}
    raised = as_qsm_error(error)
    kind = type(raised)
    arguments = raised.__reduce__()[1]
    values = {"module": kind.__module__, "name": kind.__qualname__, "arguments": arguments}
    try:
        _error_from_json(json.loads(json.dumps(values)))
    except (TypeError, ValueError, ImportError, AttributeError):
        # A class that cannot be imported and rebuilt here: only its text can be passed on.
        text = f"{kind.__name__}: {raised}"
        return {"module": StageError.__module__, "name": "StageError", "arguments": [text]}
    return values


def _error_from_json(values: dict[str, Any]) -> Exception:
    if "errno" in values:
        return OSError(values["errno"], values["text"], values["filename"])
    kind = getattr(importlib.import_module(values["module"]), values["name"])
    if not (isinstance(kind, type) and issubclass(kind, QsmError)):
        raise TypeError(f"{kind} is no error of qsm")
    return kind(*values["arguments"])
