"""`metrics.csv` and `metrics_per_tape.csv` with the columns of ANIMAL-SPOT-alpaca.

Matching is theirs: in time order, IoU of at least 0.40. Recall by quality is theirs too; F1 by
quality is left empty: a detection has no quality, and theirs took hits of other qualities for false
alarms. Where there is nothing to divide by, a cell is empty; theirs had 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from qsm_core.detection.metrics.counting import Comparison, compare
from qsm_core.detection.metrics.matching import Overlap
from qsm_core.detection.metrics.rates import (
    by_recording,
    count_correlations,
    recall_by_quality,
    summary,
)

COMPATIBLE = Overlap(0.4, strict=False)
QUALITIES = (1, 2, 3)


@dataclass(frozen=True, eq=False)
class Layer:
    """The detections of one detector with one set of settings.

    Args:
        model: Name of the detector.
        variant: Window, hop and threshold: `len400_hop50_th90`.
        layer: evaluation: as detected; postrf: after the second stage.
        found: A table of detections.
    """

    model: str
    variant: str
    layer: str
    found: pd.DataFrame


def seed_tables(
    truth: pd.DataFrame, layers: Iterable[Layer], recordings: Iterable[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the two tables: one row for each layer, and one for each layer and recording.

    Args:
        truth: A table of annotations.
        layers: What to score.
        recordings: All recordings, also those without an event.
    """
    names = sorted(set(recordings))
    whole: list[dict[str, object]] = []
    each: list[dict[str, object]] = []
    for layer in layers:
        key = {"model": layer.model, "variant": layer.variant, "layer": layer.layer}
        every = _compare(truth, layer.found, names)
        correlated = count_correlations(by_recording(every.counts, {}))
        calls = {f"{name}_calls": value for name, value in correlated.items()}
        whole.append({**key, **_columns(truth, every), **calls})
        for name in names:
            marked, found = _of(truth, name), _of(layer.found, name)
            own = _compare(marked, found, [name])
            each.append({**key, "tape": name, **_columns(marked, own)})
    return pd.DataFrame(whole), pd.DataFrame(each)


def _compare(truth: pd.DataFrame, found: pd.DataFrame, names: Iterable[str]) -> Comparison:
    return compare(truth, found, COMPATIBLE, recordings=names, by_label=False, greedy=True)


def _columns(truth: pd.DataFrame, compared: Comparison) -> dict[str, object]:
    values = summary(compared)
    recalls = recall_by_quality(truth, compared).set_index("quality")["recall"]
    return {
        "n_gt": int(values["n_truth"]),
        "n_pred": int(values["n_found"]),
        **{name: int(values[name]) for name in ("tp", "fp", "fn")},
        **{name: values[name] for name in ("precision", "recall", "f1")},
        "mean_dstart_ms": values["onset_error_ms"],
        "mean_dend_ms": values["offset_error_ms"],
        **{f"recall_q{q}": recalls.get(q, np.nan) for q in QUALITIES},
        **{f"f1_q{q}": np.nan for q in QUALITIES},
    }


def _of(events: pd.DataFrame, recording: str) -> pd.DataFrame:
    return events[events["recording_id"] == recording].reset_index(drop=True)


def variant_tag(window_s: float, hop_s: float, threshold: float) -> str:
    """Return a name such as `len400_hop50_th90`; thresholds of 0.29 and 0.28 have their own."""
    return f"len{round(1000 * window_s)}_hop{round(1000 * hop_s)}_th{_percent(threshold)}"


def found_tag(threshold: float | None) -> str:
    """Return a name for events of another program: `found_th40`, or `found` without a threshold."""
    return "found" if threshold is None else f"found_th{_percent(threshold)}"


def _percent(share: float) -> str:
    return f"{100 * share:.6f}".rstrip("0").rstrip(".")
