"""Finished parts of a long table, kept on disk so that a killed stage can resume.

A block is written under a temporary name, forced to disk, and renamed, so it is never incomplete.
A block that does not fit its rows (another plan, a damaged file) is computed again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from qsm_core.evaluation.predictions.table import COLUMNS, KEY, read_predictions

_KEY = list(KEY)


class BlockFolder:
    """The blocks of one table, by number."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, created if missing."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def load(
        self, number: int, expected: pd.DataFrame, columns: Sequence[str]
    ) -> pd.DataFrame | None:
        """Return a finished block, or None if there is none that fits.

        Args:
            number: Number of the block.
            expected: What the block's columns of these names must contain.
            columns: All columns that the block must have.
        """
        try:
            block = pd.read_parquet(self._path(number))
        except (OSError, pa.ArrowException):
            return None
        if list(block.columns) != list(columns) or len(block) != len(expected):
            return None
        return block if _fits(block, expected) else None

    def store(self, number: int, block: pd.DataFrame) -> None:
        """Write a block, atomically."""
        path = self._path(number)
        temporary = path.with_suffix(".tmp")
        block.to_parquet(temporary, index=False)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:05d}.parquet"


class KnownBlocks:
    """Rows from other outputs, by system, clip and condition."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Read the predictions tables `files`.

        Raises:
            DataError: One of them cannot be read.
        """
        tables = [read_predictions(path) for path in files]
        table = pd.concat(tables, ignore_index=True) if tables else None
        # Two outputs may contain the same row, with the same answer.
        self._rows = None if table is None else table.drop_duplicates(_KEY).set_index(_KEY)

    def load(self, expected: pd.DataFrame) -> pd.DataFrame | None:
        """Return the rows of a block, or None if one of them is not known.

        Args:
            expected: What the block's columns of these names must contain.
        """
        if self._rows is None:
            return None
        wanted = pd.MultiIndex.from_frame(expected[_KEY])
        if not wanted.isin(self._rows.index).all():
            return None
        block = self._rows.loc[wanted].reset_index()[list(COLUMNS)]
        return block if _fits(block, expected) else None


def _fits(block: pd.DataFrame, expected: pd.DataFrame) -> bool:
    columns = expected.columns
    return all((block[name].to_numpy() == expected[name].to_numpy()).all() for name in columns)
