"""Finished parts of a long table, kept on disk so that a killed stage goes on where it was.

A shard is written under a temporary name, forced to disk, and renamed: it is there whole or not at
all. One that does not fit its rows (another plan, a damaged file) is made again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa


class ShardFolder:
    """The shards of one table, by number."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, made where it does not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def load(
        self, number: int, expected: pd.DataFrame, columns: Sequence[str]
    ) -> pd.DataFrame | None:
        """Return a finished shard, or None where there is none that fits.

        Args:
            number: Of the shard.
            expected: What the shard's own columns of these names have to hold.
            columns: All columns that the shard has to have.
        """
        try:
            shard = pd.read_parquet(self._path(number))
        except (OSError, pa.ArrowException):
            return None
        if list(shard.columns) != list(columns) or len(shard) != len(expected):
            return None
        for name in expected.columns:
            if not (shard[name].to_numpy() == expected[name].to_numpy()).all():
                return None
        return shard

    def store(self, number: int, shard: pd.DataFrame) -> None:
        """Write a shard whole or not at all."""
        path = self._path(number)
        temporary = path.with_suffix(".tmp")
        shard.to_parquet(temporary, index=False)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:05d}.parquet"
