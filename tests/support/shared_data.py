"""Where the evaluation data lies that is not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parents[2]


def shared_data(name: str) -> Path:
    """Return a file or folder of the shared data, or skip the test where it is absent."""
    root = Path(os.environ.get("QSM_SHARED_DATA", _REPOSITORY.parent / "shared" / "data"))
    if not (root / name).exists():
        pytest.skip("shared data not present")
    return root / name
