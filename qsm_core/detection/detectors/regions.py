"""Which stretches of which recordings a detector learns from, and which choose its round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from qsm_core.detection.detectors.training_set import Region
from qsm_core.detection.prepared import read_prepared
from qsm_core.detection.recordings import Recording
from qsm_core.detection.variants.index import clips_of

_OF_SPLIT = {"train": "train", "val": "dev"}  # where whole recordings are divided
_AROUND_S = 0.5  # heard before and behind a clip of a variant


def read_regions(
    recordings: Path,
    variant: Path | None,
    *,
    split: str,
    label: str | None,
    min_quality: int = 1,
    audio: str | Path | None = None,
) -> list[Region]:
    """Return the regions of a split.

    Args:
        recordings: A prepared set.
        variant: A dataset variant, whose clips are the regions, each with a margin around it. None:
            the whole recordings of train, and for val those of dev.
        split: train or val.
        label: Label of the events; None for all.
        min_quality: Events of a lower quality are neither examples nor background.
        audio: Folder of the audio, where that is not the prepared set's.
    """
    prepared = read_prepared(recordings, audio=audio)
    clips = None if variant is None else clips_of(variant, split)
    events = prepared.annotations
    found = []
    for recording in prepared.listed():
        own = events[events["recording_id"] == recording.recording_id]
        bounds = [(0.0, float("inf"))] if recording.split == _OF_SPLIT[split] else []
        if clips is not None:
            mine = clips[clips["recording_id"] == recording.recording_id]
            bounds = [
                (max(0.0, begin - _AROUND_S), end + _AROUND_S)
                for begin, end in zip(mine["start_s"], mine["end_s"], strict=True)
            ]
        found += [_region(recording, own, label, begin, end, min_quality) for begin, end in bounds]
    return found


def _region(
    recording: Recording,
    events: pd.DataFrame,
    label: str | None,
    begin: float,
    end: float,
    min_quality: int,
) -> Region:
    inside = events[(events["end_s"] > begin) & (events["begin_s"] < end)]
    wanted = inside if label is None else inside[inside["label"] == label]
    # What an annotator was not sure of is no example, and no background either.
    low = (wanted["quality"] < min_quality).fillna(value=False).to_numpy(bool)
    ignored = wanted["is_unsure"].to_numpy(bool) | low
    sure = wanted[~ignored]
    band = None
    if sure["low_hz"].notna().any() and sure["high_hz"].notna().any():
        band = float(sure["low_hz"].min()), float(sure["high_hz"].max())
    return Region(
        path=recording.path,
        sha256=recording.sha256,
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
