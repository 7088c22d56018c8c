"""How much better a detector looks on the test split of its own variant than on unseen groups.

Both are asked the same: clip by clip, call or noise, by the highest score within the clip, at the
threshold that is best on the variant's val clips. The clips of unseen groups are their calls and,
for each, a stretch of equal length without any annotation.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from qsm_core.detection.tracks import ScoreTrack
from qsm_core.detection.variants.clips import NOISE, TARGET
from qsm_core.detection.variants.mining import FreeSpace, Stretch
from qsm_core.seeding import derive_rng


def own_test_row(
    detector: str,
    variant_clips: Mapping[str, pd.DataFrame],
    tracks: Mapping[str, ScoreTrack],
    unseen: pd.DataFrame,
    every_event: pd.DataFrame,
    seed: int,
) -> dict[str, object]:
    """Return F1 over clips on the variant's own test split and on unseen groups.

    Args:
        detector: Its name.
        variant_clips: Clips of the variant's splits val and test, with recording_id, start_s, end_s
            and class.
        tracks: Score tracks by recording.
        unseen: The annotations of unseen groups that are to be found.
        every_event: Every annotation of their recordings.
        seed: Of the stretches without annotations.
    """
    val, own = (_scored(variant_clips[split], tracks) for split in ("val", "test"))
    threshold = _best_threshold(*val)
    other = _scored(_unseen_clips(unseen, every_event, tracks, seed), tracks)
    return {
        "detector": detector,
        "own_f1": _f1(*own, threshold),
        "unseen_f1": _f1(*other, threshold),
        "own_clips": len(own[0]),
        "unseen_clips": len(other[0]),
    }


def _scored(clips: pd.DataFrame, tracks: Mapping[str, ScoreTrack]) -> tuple[np.ndarray, np.ndarray]:
    """Return the highest score within each clip, and whether it is a call."""
    scores, calls = [], []
    for row in clips.to_dict("records"):
        track = tracks.get(row["recording_id"])
        if track is None:
            continue
        info = track.info
        centre = (track.begins + info.window_samples / 2) / info.sample_rate_hz
        inside = (centre >= row["start_s"]) & (centre < row["end_s"])
        if not inside.any():  # a clip shorter than a hop
            middle = (row["start_s"] + row["end_s"]) / 2
            inside = np.arange(len(centre)) == np.abs(centre - middle).argmin()
        scores.append(float(track.logit[inside].max()))
        calls.append(row["class"] == TARGET)
    return np.array(scores), np.array(calls, dtype=bool)


def _best_threshold(scores: np.ndarray, calls: np.ndarray) -> float:
    candidates = np.unique(scores)
    if not len(candidates):
        return 0.0
    return float(candidates[np.argmax([_f1(scores, calls, one) for one in candidates])])


def _f1(scores: np.ndarray, calls: np.ndarray, threshold: float) -> float:
    found = scores >= threshold
    both = calls.sum() + found.sum()
    return float(2 * (found & calls).sum() / both) if both else float("nan")


def _unseen_clips(
    unseen: pd.DataFrame,
    every_event: pd.DataFrame,
    tracks: Mapping[str, ScoreTrack],
    seed: int,
) -> pd.DataFrame:
    rows = []
    for name, events in unseen.groupby("recording_id"):
        rng = derive_rng(seed, "unseen noise", str(name))
        info = tracks[str(name)].info
        taken = every_event[every_event["recording_id"] == name]
        free = FreeSpace(info.num_samples, _stretches(taken, info.sample_rate_hz))
        calls = _stretches(events, info.sample_rate_hz)
        noise = (free.take(call.end - call.begin, rng) for call in calls)
        rows += [
            {
                "recording_id": name,
                "start_s": one.begin / info.sample_rate_hz,
                "end_s": one.end / info.sample_rate_hz,
                "class": kind,
            }
            for kind, stretches in ((TARGET, calls), (NOISE, noise))
            for one in stretches
            if one is not None
        ]
    return pd.DataFrame(rows)


def _stretches(events: pd.DataFrame, rate_hz: int) -> list[Stretch]:
    """Return events as stretches of samples."""
    spans = np.rint(events[["begin_s", "end_s"]].to_numpy(np.float64) * rate_hz).astype(int)
    return [Stretch(int(begin), int(end)) for begin, end in spans]
