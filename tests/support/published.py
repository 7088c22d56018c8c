"""The published predictions of real systems, read into the predictions table."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from qsm_core.evaluation.predictions.original import read_original

_REPOSITORY = Path(__file__).resolve().parents[2]

# Balanced accuracy over clips in percent, as the data's own description gives it.
SYSTEMS = {
    "base_opro_template_seed42": 75.08,
    "lora_opro_template_seed42": 93.29,
    "silero_max_frame": 88.95,
    "qwen3_baseline": 91.09,
}


def published_folder() -> Path:
    """Return the folder of published data, or skip the test where it is absent."""
    root = Path(os.environ.get("QSM_SHARED_DATA", _REPOSITORY.parent / "shared" / "data"))
    folder = root / "published"
    if not folder.is_dir():
        pytest.skip("shared data not present")
    return folder


def read_published(system: str) -> pd.DataFrame:
    """Read one system; base clip, group and class come from the file names."""
    return read_original(published_folder() / f"{system}_predictions.csv.gz", system)
