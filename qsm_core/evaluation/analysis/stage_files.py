"""Read the JSON and CSV files of stages, with an error that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.errors import DataError


def read_json(path: Path) -> dict[str, Any]:
    """Read an object from a JSON file of a stage.

    Raises:
        DataError: It is missing or damaged.
    """
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError("a file of a stage cannot be read", [f"{path}: {error}"]) from error
    return values


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV table of a stage.

    Raises:
        DataError: It is missing or damaged.
    """
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError("a table of a stage cannot be read", [f"{path}: {error}"]) from error
