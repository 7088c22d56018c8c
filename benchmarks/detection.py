"""Detectors over long recordings: one pass, against a window at a time and a run a threshold.

    python -m benchmarks.detection                    # a minute of sound, minutes on one core
    python -m benchmarks.detection --seconds 300

The network and what it sees are those of ANIMAL-SPOT-alpaca's benchmark: ResNet18 without pooling,
48 kHz, 128 bins up to 4 kHz, windows of 0.4 s every 0.05 s; its weights are random. One thread; the
ways take turns, so what else the machine does falls on all of them. The usual way scores a window
at a time, with the network as it was trained, and is run once for each of 9 thresholds and 3 hops.
Each width is compared with the usual way at its own width, so that what a narrower network saves is
not taken for what a form saves. The frame form has a score every 21 ms, the windows one every 50.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import soundfile
import torch
import typer

from qsm_core.detection.audio_stream import AudioStream
from qsm_core.detection.detectors.front_end import FrontEnd, Spectrogram
from qsm_core.detection.detectors.network import ResNet18
from qsm_core.detection.detectors.trained import Description, Grid, TrainedDetector
from qsm_core.detection.events.finding import find_events
from qsm_core.detection.events.settings import EventSettings, logit_of
from qsm_core.detection.tracks import ScoreTrack, TrackInfo

RATE_HZ = 48_000
SEEN = Spectrogram(RATE_HZ, 2048, 1024, 128, 0.0, 4000.0, 0.98, "min_max", "nearest")
FRAMES = Spectrogram(RATE_HZ, 2048, 512, 64, 0.0, 4000.0, 0.0, "background")
WINDOW_S, HOP_S = 0.4, 0.05
THRESHOLDS = tuple(number / 10 for number in range(1, 10))
HOPS = (1, 2, 4)  # multiples of the track's own
WIDTHS = (64, 16)  # of ANIMAL-SPOT-alpaca, and of detectors by default
LOOP, WINDOWS, FRAMES_ALONG = "a window at a time", "window form", "frame form"


def main(
    seconds: Annotated[float, typer.Option(help="Length of the recording.", min=5)] = 60.0,
    turns: Annotated[int, typer.Option(help="How often each is done.", min=1)] = 3,
) -> None:
    """Print seconds of each way, and how many times faster it is than a window at a time."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory(prefix="qsm-detection-") as name:
        path = Path(name) / "recording.wav"
        noise = np.random.default_rng(0).normal(0, 0.05, round(seconds * RATE_HZ))
        soundfile.write(path, noise, RATE_HZ)
        stream = AudioStream(path, RATE_HZ)
        ways: dict[str, Callable[[], np.ndarray]] = {}
        for width in WIDTHS:
            ways |= _ways(width, stream)
        taken: dict[str, list[float]] = {name: [] for name in ways}
        scores: dict[str, np.ndarray] = {}
        for _ in range(turns):
            for name, way in ways.items():
                started = time.process_time()
                scores[name] = way()
                taken[name].append(time.process_time() - started)
    for width in WIDTHS:
        loop = median(taken[f"{LOOP}, width {width}"])
        for way in (LOOP, WINDOWS, FRAMES_ALONG):
            found = median(taken[f"{way}, width {width}"])
            typer.echo(
                f"{f'{way}, width {width}':32}{found:8.2f} s {loop / found:7.1f} x "
                f"{seconds / found:8.1f} s of sound a second"
            )
    widest = f", width {WIDTHS[0]}"
    difference = np.abs(_share(scores[LOOP + widest]) - _share(scores[WINDOWS + widest])).max()
    typer.echo(f"largest difference of a probability, window form: {difference:.1e}")
    sweep_s = median(_sweep(scores[WINDOWS + widest]) for _ in range(turns))
    runs = len(THRESHOLDS) * len(HOPS)
    loop = median(taken[LOOP + widest])
    once = median(taken[WINDOWS + widest]) + sweep_s
    # A coarser hop has fewer windows, so the runs of the usual way are not all equally long.
    usual = loop * len(THRESHOLDS) * sum(1 / hop for hop in HOPS)
    typer.echo(
        f"{runs} settings: {usual:.1f} s by runs, {once:.2f} s by one track: {usual / once:.0f} x"
    )
    quarter = np.random.default_rng(1).normal(0, 2, round(900 / HOP_S)).astype(np.float32)
    typer.echo(f"{runs} settings on a track of 15 minutes: {_sweep(quarter):.2f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    typer.echo(f"peak memory {peak:.0f} MiB")


def _ways(width: int, stream: AudioStream) -> dict[str, Callable[[], np.ndarray]]:
    network = ResNet18(width, framewise=False)
    window = TrainedDetector(Description("window", width, WINDOW_S, SEEN), network, hop_s=HOP_S)
    along = ResNet18(width, framewise=True)
    frame = TrainedDetector(Description("frame", width, 1.0, FRAMES), along)
    return {
        f"{LOOP}, width {width}": lambda: _one_by_one(network, window.grid, stream),
        f"{WINDOWS}, width {width}": lambda: _logits(window, stream),
        f"{FRAMES_ALONG}, width {width}": lambda: _logits(frame, stream),
    }


def _logits(detector: TrainedDetector, stream: AudioStream) -> np.ndarray:
    return np.concatenate([logits for logits, _ in detector.logits(stream)])


def _one_by_one(network: ResNet18, grid: Grid, stream: AudioStream) -> np.ndarray:
    """Score a window at a time, each with a spectrogram of its own."""
    front_end = FrontEnd(SEEN)
    samples = torch.from_numpy(np.concatenate(list(stream.blocks())))
    last = len(samples) - grid.window_samples
    with torch.inference_mode():
        found = [
            network(
                front_end.normalise(
                    front_end.levels(samples[None, first:][:, : grid.window_samples])
                )
            )
            for first in range(0, last + 1, grid.hop_samples)
        ]
    return torch.cat(found)[:, 0].numpy()


def _share(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit.astype(np.float64)))


def _sweep(logit: np.ndarray) -> float:
    """Make the events of every threshold and hop of a track; return how long that took."""
    hop = round(HOP_S * RATE_HZ)
    length = len(logit) * hop + round(WINDOW_S * RATE_HZ)
    info = TrackInfo(
        *("recording", "event", RATE_HZ, length, 0, hop, round(WINDOW_S * RATE_HZ)),
        *("window", "0" * 64, "0" * 64),
    )
    track = ScoreTrack(info, logit.astype(np.float32))
    started = time.process_time()
    for multiple in HOPS:
        coarse = track.with_hop(multiple * hop)
        for threshold in THRESHOLDS:
            find_events([coarse], EventSettings(threshold=logit_of(threshold)))
    return time.process_time() - started


if __name__ == "__main__":
    typer.run(main)
