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


def as_qsm_error(error: Exception) -> QsmError:
    """Return any error as one of ours, which can be passed on to another process."""
    if isinstance(error, QsmError):
        return error
    kind = TransientError if is_transient(error) else StageError
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}, line {last.lineno}, in {last.name}"
    return kind(f"{type(error).__name__}: {error} ({place})")
