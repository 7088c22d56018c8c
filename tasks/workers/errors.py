"""Why a stage has no worker any more."""

from __future__ import annotations

from qsm_core.errors import StageError


class StoppedError(StageError):
    """A stage has no output because the whole run was stopped from outside."""


class LostWorkerError(StageError):
    """The worker of a stage is gone, for a reason that need not hold for another worker."""
