"""How a stage ended in a process of its own, as a file that the process which started it reads.

An error comes back as what it was: an error of qsm with its class and arguments, anything else as
the error of qsm that stands for it, with the traceback as its cause.
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
from qsm_core.store.disk import is_full_disk
from qsm_core.store.files import write_json


class StageTracebackError(Exception):
    """Where an error of another process was raised; the cause of that error here."""

    def __str__(self) -> str:
        """Return the traceback of the other process."""
        return f"\n{self.args[0]}"


def write_launched(path: Path, launched: Launched) -> None:
    """Write down that the stage ended well."""
    write_json(path, {"summary": launched.summary, "usage": launched.usage})


def write_error(path: Path, error: Exception) -> None:
    """Write down which error ended the stage."""
    trace = "".join(traceback.format_exception(error))
    write_json(path, {"error": _error_to_json(error), "traceback": trace})


def read_outcome(path: Path) -> Launched | None:
    """Return how a stage ended, or None where its process wrote nothing down.

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
        # What to do about it is told where the store is known.
        place = getattr(error, "filename", None)
        return {"errno": errno.ENOSPC, "text": str(error), "filename": place and str(place)}
    told = as_qsm_error(error)
    kind = type(told)
    arguments = told.__reduce__()[1]
    values = {"module": kind.__module__, "name": kind.__qualname__, "arguments": arguments}
    try:
        _error_from_json(json.loads(json.dumps(values)))
    except (TypeError, ValueError, ImportError, AttributeError):
        # A class that only the stage knows: its text is all that can be passed on.
        text = f"{kind.__name__}: {told}"
        return {"module": StageError.__module__, "name": "StageError", "arguments": [text]}
    return values


def _error_from_json(values: dict[str, Any]) -> Exception:
    if "errno" in values:
        return OSError(values["errno"], values["text"], values["filename"])
    kind = getattr(importlib.import_module(values["module"]), values["name"])
    if not (isinstance(kind, type) and issubclass(kind, QsmError)):
        raise TypeError(f"{kind} is no error of qsm")
    return kind(*values["arguments"])
