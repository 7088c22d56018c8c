"""The gap between dev and test: the score of an instruction where it was chosen, and elsewhere.

The winner of a search is the best of many on dev, so its dev score is too good on average (the
winner's curse). Dev and test clips are different groups and are resampled independently.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from qsm_core.evaluation.analysis.pairwise import interval_columns
from qsm_core.evaluation.analysis.replicates import (
    Ensemble,
    Replicated,
    assemble,
    rate_statistics,
)
from qsm_core.evaluation.systems import System

DEV_STREAM = "cluster bootstrap, dev"


def gap_table(
    test: Ensemble,
    statistics: Mapping[str, Mapping[str, Replicated]],
    dev: Mapping[str, pd.DataFrame],
) -> list[dict[str, Any]]:
    """Return the rows of the table `gaps`: test minus dev.

    Args:
        test: The systems on test.
        statistics: Their statistics.
        dev: Predictions on dev of those systems that have them.
    """
    on_dev = {name: _on_dev(dev[name], test) for name in statistics if name in dev}
    rows = [
        _row(test, name, "ba_clip", dev_score, statistics[name]["ba_clip"])
        for name, dev_score in on_dev.items()
    ]
    for name, winner in on_dev.items():
        before = System.read(name).unprompted.name
        if before == name or before not in on_dev or not _same_clips(dev[name], dev[before]):
            continue
        gain_on_test = statistics[name]["ba_clip"] - statistics[before]["ba_clip"]
        rows.append(_row(test, name, "gain", winner - on_dev[before], gain_on_test))
    return rows


def _on_dev(table: pd.DataFrame, test: Ensemble) -> Replicated:
    ensemble = assemble({"dev": table}, test.settings, stream=DEV_STREAM)
    return rate_statistics(ensemble, "dev")["ba_clip"]


def _row(
    test: Ensemble, name: str, what: str, on_dev: Replicated, on_test: Replicated
) -> dict[str, Any]:
    # There is no jackknife over the groups of both sets, so the interval is a percentile interval.
    gap = Replicated(on_test.value, on_test.resampled) - Replicated(on_dev.value, on_dev.resampled)
    return {
        "system": name,
        "what": what,
        "dev": float(on_dev.value),
        "test": float(on_test.value),
        "value": float(gap.value),
        **interval_columns(test.interval(gap)),
    }


def _same_clips(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    keys = ["clip_id", "condition"]
    both = [t[keys].sort_values(keys).reset_index(drop=True) for t in (one, other)]
    return both[0].equals(both[1])
