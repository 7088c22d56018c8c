"""Which stretches of which recordings a detector learns from, and which choose its round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from qsm_core.detection.detectors.training_set import Region
from qsm_core.detection.prepared import read_prepared
from qsm_core.detection.recordings import Recording

REGIONS_FILE = "regions.parquet"
_OF_SPLIT = {"train": "train", "val": "dev"}  # where a variant divides whole recordings


def read_regions(
    recordings: Path,
    variant: Path | None,
    *,
    split: str,
    label: str | None,
    audio: str | Path | None = None,
) -> list[Region]:
    """Return the regions of a split of a dataset variant.

    Args:
        recordings: A prepared set.
        variant: A dataset variant: its `regions.parquet` has recording_id, begin_s, end_s, split
            and optionally min_quality. None: the whole recordings of train and dev.
        split: train or val.
        label: Label of the events; None for all.
        audio: Folder of the audio, where that is not the prepared set's.
    """
    prepared = read_prepared(recordings, audio=audio)
    events = prepared.annotations
    spans = None if variant is None else pd.read_parquet(variant / REGIONS_FILE)
    found = []
    for recording in prepared.listed():
        own = events[events["recording_id"] == recording.recording_id]
        if spans is None:
            whole = recording.split == _OF_SPLIT[split]
            bounds = [(0.0, float("inf"), None)] if whole else []
        else:
            mine = (spans["recording_id"] == recording.recording_id) & (spans["split"] == split)
            least = spans.get("min_quality", pd.Series([None] * len(spans), index=spans.index))
            bounds = list(
                zip(spans["begin_s"][mine], spans["end_s"][mine], least[mine], strict=True)
            )
        found += [
            _region(recording, own, label, begin, end, quality) for begin, end, quality in bounds
        ]
    return found


def _region(
    recording: Recording,
    events: pd.DataFrame,
    label: str | None,
    begin: float,
    end: float,
    worst_quality: float | None,
) -> Region:
    inside = events[(events["end_s"] > begin) & (events["begin_s"] < end)]
    wanted = inside if label is None else inside[inside["label"] == label]
    # A call of bad quality is no example, and no background either.
    ignored = wanted["is_unsure"].to_numpy(bool)
    if worst_quality is not None and not pd.isna(worst_quality):
        ignored |= wanted["quality"].fillna(0).to_numpy(float) > float(worst_quality)
    sure = wanted[~ignored]
    band = None
    if sure["low_hz"].notna().any() and sure["high_hz"].notna().any():
        band = float(sure["low_hz"].min()), float(sure["high_hz"].max())
    return Region(
        path=recording.path,
        sample_rate_hz=recording.sample_rate_hz,
        begin_s=float(begin),
        end_s=float(end),
        events=_spans(sure),
        ignored=_spans(wanted[ignored]),
        channel=recording.channel,
        band_hz=band,
    )


def _spans(events: pd.DataFrame) -> np.ndarray:
    return events[["begin_s", "end_s"]].to_numpy(np.float64).reshape(-1, 2)
