"""failed.csv: the recordings that a stage could not use, and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

FAILED_FILE = "failed.csv"
_COLUMNS = ["recording_id", "problem"]


def write_failures(folder: Path, failed: Mapping[str, str]) -> None:
    """Write the table; without a failure it has a header alone."""
    table = pd.DataFrame(list(failed.items()), columns=_COLUMNS)
    table.to_csv(folder / FAILED_FILE, index=False, lineterminator="\n")


def read_failures(folder: Path) -> pd.DataFrame:
    """Return the table of a folder: recording_id and problem, as text."""
    return pd.read_csv(folder / FAILED_FILE, dtype=str, keep_default_na=False)
