"""Which hits, misses and false alarms a report shows: the clearest, not the prettiest."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from qsm_core.detection.benchmark.measured import Measured
from qsm_core.detection.metrics.counting import outcomes

_SHOWN = ("hit", "miss", "false alarm")
_COLUMNS = ("detector", "outcome", "recording_id", "begin_s", "end_s", "score", "quality")


def choose_examples(measured: Sequence[Measured], truth: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return up to `count` events of each outcome and detector.

    Detections with the highest scores among the hits and the false alarms; misses of the best
    quality, spread over recordings.
    """
    parts = []
    for one in measured:
        events = outcomes(truth, one.found, one.compared)
        events = events.reindex(
            columns=[
                *events.columns,
                *(name for name in ("score", "quality") if name not in events),
            ]
        )
        for outcome in _SHOWN:
            # A hit is shown as it was detected.
            kind = "annotation" if outcome == "miss" else "detection"
            own = events[(events["outcome"] == outcome) & (events["kind"] == kind)]
            order = ["quality", "begin_s"] if outcome == "miss" else ["score", "begin_s"]
            ranked = own.sort_values(order, ascending=[outcome == "miss", True])
            # One of each recording first, then the second of each, and so on.
            turn = ranked.groupby("recording_id").cumcount()
            chosen = ranked.iloc[turn.argsort(kind="stable")].head(count)
            parts.append(chosen.assign(detector=one.entrant.name))
    return pd.concat(parts, ignore_index=True).reindex(columns=list(_COLUMNS))
