"""Errors on their way to another process.

Many libraries raise errors that cannot be pickled, or cannot be unpickled: an `__init__` with
required keyword arguments is enough. The error of a stage therefore travels as an error of qsm with
arguments that JSON can hold, and whatever caused it as the text of its traceback.
"""

from __future__ import annotations

import importlib
import json
import traceback
from collections.abc import Sequence
from typing import Any

from qsm_core.errors import ProblemsError, QsmError, StageError, as_qsm_error, in_words

# Dask replaces the arguments of an error whose text has more than 10,000 characters.
_LONGEST_TEXT = 8_000
_LONGEST_TRACEBACK = 20_000
_CORE = __name__.partition(".")[0]


class StageTracebackError(Exception):
    """The traceback of an error from another process; the cause of that error in this one."""

    def __str__(self) -> str:
        """Return the traceback of the other process."""
        return f"\n{self.args[0]}"


def detached_error(error: BaseException) -> QsmError:
    """Return an error of qsm for any error; every process that has qsm can unpickle it.

    Its cause is the traceback of `error` with all its causes, as text. An error of a class outside
    the core, or one that cannot be made again of its arguments, becomes one of the nearest class
    that can. Long texts are shortened.
    """
    found = rebuilt_error(error_values(as_qsm_error(error)))
    text = str(found)
    if len(text) > _LONGEST_TEXT:
        found = _shortened(found, text)
    found.__cause__ = StageTracebackError(_middle_cut(traceback_text(error)))
    return found


def traceback_text(error: BaseException) -> str:
    """Return the traceback of an error and of all that caused it."""
    return _encodable("".join(traceback.format_exception(error)))


def error_values(error: QsmError) -> dict[str, Any]:
    """Return an error of qsm as JSON values, from which `rebuilt_error` makes it again."""
    arguments, text = _json_arguments(error), _encodable(in_words(error))
    for kind in type(error).__mro__:
        if kind.__module__.partition(".")[0] != _CORE:
            continue
        same = kind is type(error) or issubclass(kind, ProblemsError)
        if same and arguments is not None and _is_rebuilt(kind, arguments, error):
            return _values(kind, arguments)
        if _is_rebuilt(kind, [text], text):
            return _values(kind, [text])
    return _values(StageError, [text])


def rebuilt_error(values: dict[str, Any]) -> QsmError:
    """Return the error that `error_values` was given.

    Raises:
        TypeError: The values are not those of an error of qsm.
    """
    found: Any = importlib.import_module(values["module"])
    for name in values["name"].split("."):
        found = getattr(found, name)
    if not (isinstance(found, type) and issubclass(found, QsmError)):
        raise TypeError(f"{found} is no error of qsm")
    return found(*values["arguments"])


def _values(kind: type, arguments: Sequence[Any]) -> dict[str, Any]:
    return {"module": kind.__module__, "name": kind.__qualname__, "arguments": arguments}


def _is_rebuilt(kind: type, arguments: Sequence[Any], like: object) -> bool:
    """Return whether an error of this class can be made of these arguments, with this text."""
    try:
        return str(rebuilt_error(_values(kind, arguments))) == _encodable(str(like))
    except Exception:  # noqa: BLE001 - a class may do anything when it is called
        return False


def _json_arguments(error: QsmError) -> list[Any] | None:
    """Return the arguments of an error as JSON values, or None where they are something else."""
    try:
        arguments = error.__reduce__()[1]
        return [_encodable_values(one) for one in json.loads(json.dumps(arguments, default=str))]
    except Exception:  # noqa: BLE001 - a class may define its pickling as it likes
        return None


def _shortened(error: QsmError, text: str) -> QsmError:
    rest = "; all of it is in the traceback that the stage left"
    if isinstance(error, ProblemsError):
        kept, room = list[str](), _LONGEST_TEXT - len(error.title[:_LONGEST_TEXT])
        for problem in error.problems:
            room -= len(problem) + len("\n  - ")
            if room < 0:
                break
            kept.append(problem)
        kept.append(f"... and {len(error.problems) - len(kept)} more{rest}")
        return type(error)(error.title[:_LONGEST_TEXT], kept)
    short = f"{text[:_LONGEST_TEXT]} ... ({len(text)} characters{rest})"
    kinds = (kind for kind in type(error).__mro__ if _is_rebuilt(kind, [short], short))
    return rebuilt_error(_values(next(kinds, StageError), [short]))


def _middle_cut(text: str) -> str:
    """Return a long text without its middle: the first cause and the last error remain."""
    if len(text) <= _LONGEST_TRACEBACK:
        return text
    half = _LONGEST_TRACEBACK // 2
    return f"{text[:half]}\n  ... {len(text) - 2 * half} characters ...\n{text[-half:]}"


def _encodable(text: str) -> str:
    """Return a text that UTF-8 can hold: file names may hold any bytes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _encodable_values(value: Any) -> Any:
    if isinstance(value, list):
        return [_encodable_values(one) for one in value]
    return _encodable(value) if isinstance(value, str) else value
