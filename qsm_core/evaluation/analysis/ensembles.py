"""What an ensemble of seeds adds to its best member, which is chosen on dev."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.evaluation.analysis.counts import is_correct
from qsm_core.evaluation.analysis.pairwise import interval_columns
from qsm_core.evaluation.analysis.replicates import Ensemble, Replicated
from qsm_core.evaluation.systems import System

_METRIC = "ba_clip"


def ensemble_table(
    resampled: Ensemble,
    statistics: Mapping[str, Mapping[str, Replicated]],
    systems: Sequence[System],
    dev: Mapping[str, pd.DataFrame],
) -> list[dict[str, Any]]:
    """Return the rows of the table `ensembles`.

    Args:
        resampled: All systems on test, resampled together.
        statistics: Their statistics by system and name.
        systems: Those with thresholds of their own.
        dev: Predictions on dev of those systems that have them.
    """
    rows = []
    for system in (one for one in systems if one.ensemble):
        members = [
            one.name
            for one in systems
            if not one.ensemble
            and (one.family, one.instruction) == (system.family, system.instruction)
        ]
        row: dict[str, Any] = {"system": system.name, "members": len(members)}
        if not members or not {system.name, *members} <= set(dev):
            reason = "its members are not known on dev, so none is the best of them"
            rows.append(row | {"value": np.nan, "reason": reason})
            continue
        on_dev = {name: _balanced_accuracy(dev[name]) for name in (*members, system.name)}
        best = max(members, key=on_dev.__getitem__)  # of equal ones the first
        alone, together = statistics[best][_METRIC], statistics[system.name][_METRIC]
        gain = together - alone
        row |= {
            "best_member": best,
            "dev_ba_clip_best": on_dev[best],
            "dev_ba_clip": on_dev[system.name],
            "ba_clip_best": float(alone.value),
            "ba_clip": float(together.value),
            "value": float(gain.value),
        }
        rows.append(row | interval_columns(resampled.interval(gain)))
    return rows


def _balanced_accuracy(table: pd.DataFrame) -> float:
    right = pd.Series(is_correct(table), index=table.index)
    return float(right.groupby(table["label"]).mean().mean())
