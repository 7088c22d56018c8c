"""The log of the flow run or task run that this code is in."""

from __future__ import annotations

import logging
from typing import Any

from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger


def run_logger() -> logging.Logger | logging.LoggerAdapter[Any]:
    """Return the log of the run, or that of the process outside one."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger("qsm")
