"""Score tracks made by hand on recordings of tones, and the benchmark of what they find."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd

from qsm_core.detection.benchmark import evaluate
from qsm_core.detection.benchmark.config import FOUND_INPUT, TRACKS_INPUT, Benchmark, Entrant
from qsm_core.detection.metrics.resampling import Resampling
from qsm_core.detection.prepared import read_prepared
from qsm_core.detection.tracks import ScoreTrack, TrackInfo, write_track
from qsm_core.stage.context import StageContext
from tests.support.recordings import RATE_HZ

HOP = 80


def write_tracks(
    recordings: Path,
    folder: Path,
    height: float,
    noise: float = 0.0,
    *,
    also: dict[str, list[float]] | None = None,
    window: int = HOP,
) -> Path:
    """Write tracks that are `height` inside events and -3 elsewhere.

    Args:
        recordings: A prepared set.
        folder: Where `tracks` is made.
        height: Log odds inside events.
        noise: Its standard deviation.
        also: Begins of stretches of 0.25 s that are as high, by recording: false alarms.
        window: Samples of a window.
    """
    prepared = read_prepared(recordings)
    for number, one in enumerate(prepared.listed()):
        count = one.num_samples // HOP
        times = (np.arange(count) + 0.5) * HOP / RATE_HZ
        logit = np.full(count, -3.0)
        events = prepared.annotations
        own = events[events["recording_id"] == one.recording_id]
        spans = own[["begin_s", "end_s"]].to_numpy().tolist()
        spans += [(begin, begin + 0.25) for begin in (also or {}).get(one.recording_id, ())]
        for begin, end in spans:
            logit[(times >= begin) & (times < end)] = height
        logit += np.random.default_rng(number).normal(0, noise, count) if noise else 0
        info = TrackInfo(
            *(one.recording_id, "event", RATE_HZ, one.num_samples, 0, HOP, window),
            *("made by hand", "0" * 64, one.sha256),
        )
        write_track(folder / "tracks", ScoreTrack(info, logit.astype(np.float32)))
    return folder


def benchmark(
    recordings: Path,
    folder: Path,
    tracks: dict[str, Path],
    found: dict[str, Path] | None = None,
    **config: object,
) -> dict[str, pd.DataFrame]:
    """Return the tables of a benchmark, which lie in `folder/out`."""
    entrants = tuple(Entrant(name, name.title()) for name in (*tracks, *(found or {})))
    settings = Benchmark(entrants, resampling=Resampling(num_resamples=100), **config)  # type: ignore[arg-type]
    out = folder / "out"
    out.mkdir(parents=True)
    values = json.loads(json.dumps(dataclasses.asdict(settings)))
    inputs = {"recordings": recordings}
    inputs |= {TRACKS_INPUT + name: at for name, at in tracks.items()}
    inputs |= {FOUND_INPUT + name: at for name, at in (found or {}).items()}
    evaluate.run(StageContext(values, inputs, out, folder, {}, lambda *_: None))
    return {path.stem: pd.read_parquet(path) for path in out.glob("*.parquet")}
