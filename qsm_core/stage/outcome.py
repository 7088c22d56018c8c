"""How a stage ended in its child process, as a file that the parent process reads.

An error of qsm comes back with its class and arguments, any other as the error of qsm that stands
for it; the cause of either is the traceback of the child process.
"""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

from qsm_core.errors import QsmError, as_qsm_error
from qsm_core.stage.crossing import (
    StageTracebackError,
    error_values,
    rebuilt_error,
    traceback_text,
)
from qsm_core.stage.launch import Launched
from qsm_core.store.files import write_json
from qsm_core.store.full_disk import is_full_disk


def write_launched(path: Path, launched: Launched) -> None:
    """Write that the stage succeeded, and its result."""
    write_json(path, {"summary": launched.summary, "usage": launched.usage})


def write_error(path: Path, error: BaseException) -> None:
    """Write which error ended the stage."""
    write_json(path, {"error": _error_to_json(error), "traceback": traceback_text(error)})


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


def _error_to_json(error: BaseException) -> dict[str, Any]:
    if not isinstance(error, QsmError) and is_full_disk(error):
        # The advice what to do is added by the parent process, which knows the store.
        place = getattr(error, "filename", None)
        return {"errno": errno.ENOSPC, "text": str(error), "filename": place and str(place)}
    return error_values(as_qsm_error(error))


def _error_from_json(values: dict[str, Any]) -> Exception:
    if "errno" in values:
        return OSError(values["errno"], values["text"], values["filename"])
    return rebuilt_error(values)
