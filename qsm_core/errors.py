"""The errors of qsm, one sentence each.

An error says what was wrong, the value, what is allowed and the next step.
It also knows whether trying again can help: `is_transient`.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Self

_TRANSIENT_ERRNO = frozenset(
    {errno.EAGAIN, errno.EINTR, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET}
)


class QsmError(Exception):
    """Any error that qsm raises on purpose."""

    transient: ClassVar[bool] = False


class ProblemsError(QsmError):
    """Several problems found by one check, reported together."""

    def __init__(self, title: str, problems: Iterable[str]) -> None:
        self.title = title
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"{title}\n{lines}")

    def __reduce__(self) -> tuple[type[Self], tuple[str, tuple[str, ...]]]:
        """Pickle by parts, so that the error survives the way back from a worker."""
        return type(self), (self.title, self.problems)


class ConfigurationError(ProblemsError):
    """The settings cannot work; nothing was started."""


class DataError(ProblemsError):
    """The clips, their labels or their splits cannot be used as they are."""


class ModelError(QsmError):
    """A model or adapter is missing, damaged, or not what it claims to be."""


class SpecError(QsmError):
    """The key of a stage cannot be computed, so the stage cannot be cached."""


class StoreError(QsmError):
    """The store of stage outputs cannot be read or written."""


class StageError(QsmError):
    """A stage ended without a result."""


class TransientError(QsmError):
    """Something outside qsm failed; trying again may well succeed."""

    transient: ClassVar[bool] = True


class InterruptedStageError(TransientError):
    """A stage was asked to stop; its work is kept, and a new attempt continues from there.

    The process or job it ran in is about to end (walltime, preemption), so retrying only makes
    sense elsewhere: in a new job under the same key, not in the same process.
    """


def is_transient(error: BaseException) -> bool:
    """Return whether running the same thing again can help.

    Trying again does not help with a full disk, a wrong setting or a damaged file; it may help
    with a stale network file handle, a reset connection, or an error marked as transient.
    """
    if isinstance(error, QsmError):
        return error.transient
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return isinstance(error, OSError) and error.errno in _TRANSIENT_ERRNO


def is_failure(error: BaseException) -> bool:
    """Return whether an exception ended the work itself, and nobody stopped it from outside.

    Beside errors these are `sys.exit` of some library and the panics of those written in Rust,
    which are no `Exception`. Ctrl-C and a cancellation are none.
    """
    return isinstance(error, Exception | SystemExit) or type(error).__name__ == "PanicException"


def as_qsm_error(error: BaseException) -> QsmError:
    """Return any error as one of ours; its text says what it was and where it was raised."""
    if isinstance(error, QsmError):
        return error
    kind = TransientError if is_transient(error) else StageError
    return kind(f"{in_words(error)}{_place_of(error)}")


def in_words(error: BaseException) -> str:
    """Return the class and the text of an error; it may have no text, or fail to make it."""
    try:
        text = str(error)
    except Exception as failed:  # noqa: BLE001 - a class may do anything there
        text = f"its text cannot be made ({type(failed).__name__})"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _place_of(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    last = frames[-1]
    return f" ({Path(last.filename).name}, line {last.lineno}, in {last.name})"
