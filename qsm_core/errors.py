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
    """Several problems found by one check, told together."""

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
    """A model or adapter is missing, damaged, or not what it is said to be."""


class SpecError(QsmError):
    """The key of a stage cannot be computed, so the stage cannot be cached."""


class StoreError(QsmError):
    """The store of stage outputs cannot be read or written."""


class StageError(QsmError):
    """A stage ended without a result."""


class TransientError(QsmError):
    """Something outside failed that may well work on the next try."""

    transient: ClassVar[bool] = True


class InterruptedStageError(TransientError):
    """A stage was asked to stop; what it did is kept, and a new attempt goes on from there.

    The place where it ran is about to go away (walltime, preemption), so another try makes
    sense elsewhere only: in a new job under the same key, not in the same process.
    """


def is_transient(error: BaseException) -> bool:
    """Say whether running the same thing again can help.

    A full disk, a wrong setting or a damaged file cannot be helped by another try; a stale
    network file handle, a reset connection or an error that says so of itself can.
    """
    if isinstance(error, QsmError):
        return error.transient
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return isinstance(error, OSError) and error.errno in _TRANSIENT_ERRNO


def as_qsm_error(error: Exception) -> QsmError:
    """Tell any error as one of ours: it survives the way to another process, whatever it was."""
    if isinstance(error, QsmError):
        return error
    kind = TransientError if is_transient(error) else StageError
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}, line {last.lineno}, in {last.name}"
    return kind(f"{type(error).__name__}: {error} ({place})")
