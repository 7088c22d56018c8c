"""Which intervals are too narrow, according to the notes of the analysis."""

from __future__ import annotations

import pandas as pd

from qsm_core.evaluation.analysis.replicates import TOO_NARROW


def too_narrow(notes: pd.Series) -> pd.Series:
    """Return for each note whether it warns that its interval is too narrow."""
    return notes.astype("string").str.contains(TOO_NARROW, regex=False).fillna(False).astype(bool)
