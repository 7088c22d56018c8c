"""Peak memory and seconds of scoring one long recording, whatever its length.

    python -m benchmarks.detection_memory                      # 1 h and 24 h, minutes on one core
    python -m benchmarks.detection_memory --hours 6 --detector energy

The recording is 16 kHz mono WAV: a minute of noise with tones, over and over, written piece by
piece and removed afterwards (2.8 GB for a day). Each scoring is the stage itself, in a process of
its own with one thread, so that its peak is not that of the one before; the track is written too.
Band energy scores every 10 ms; the frame form, width 16 with random weights, every 80 ms.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import soundfile
import torch
import typer

from qsm_core.detection.annotations.own_tables import write_own_tables
from qsm_core.detection.detectors import score
from qsm_core.detection.detectors.config import ScoreRecordings
from qsm_core.detection.detectors.front_end import Spectrogram
from qsm_core.detection.detectors.network import ResNet18
from qsm_core.detection.detectors.trained import Description, TrainedDetector
from qsm_core.detection.recordings import RecordingSet, as_recordings, no_annotations
from qsm_core.stage.context import StageContext
from qsm_core.store.digests import digest_file

RATE_HZ = 16_000
WIDTH = 16
SEEN = Spectrogram(RATE_HZ, 1024, 640, 64, 0.0, 8000.0, 0.0, "background")
DETECTORS = ("energy", "frame")
_MIB = 2**20


def main(
    hours: Annotated[list[float], typer.Option(help="Length; may be given several times.")] = [  # noqa: B006
        1.0,
        24.0,
    ],
    detector: Annotated[list[str], typer.Option(help=", ".join(DETECTORS))] = list(DETECTORS),  # noqa: B006
) -> None:
    """Print peak memory and seconds of each detector and length."""
    measure(hours, detector)


def measure(hours: Sequence[float], detectors: Sequence[str] = DETECTORS) -> None:
    """Score a recording of each length with each detector, and print what it took."""
    for length in hours:
        with tempfile.TemporaryDirectory(prefix="qsm-memory-") as name:
            folder = Path(name)
            _write_recording(folder, length)
            _write_detector(folder / "frame")
            for detector in detectors:
                found = _in_a_process(folder, detector)
                seconds, peak, before = (found[key] for key in ("seconds", "peak", "before"))
                typer.echo(
                    f"{detector:8}{length:6g} h: peak {peak / _MIB:5.0f} MiB, {before / _MIB:.0f} "
                    f"of it before the first sample; {seconds:.0f} s, "
                    f"{3600 * length / seconds:.0f} s of sound a second; {found['scores']} scores"
                )


def _write_recording(folder: Path, hours: float) -> None:
    rng = np.random.default_rng(0)
    minute = rng.normal(0, 0.02, 60 * RATE_HZ)
    times = np.arange(RATE_HZ // 4) / RATE_HZ
    for begin in range(0, len(minute), 5 * RATE_HZ):
        minute[begin : begin + len(times)] += 0.1 * np.sin(2 * np.pi * 2000 * times)
    path = folder / "long.wav"
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, "PCM_16") as file:
        for _ in range(round(60 * hours)):
            file.write(minute)
    row = {
        "recording_id": "long",
        "group_id": "long",
        "path": path.name,
        "sample_rate_hz": RATE_HZ,
        "channels": 1,
        "num_samples": round(60 * hours) * len(minute),
        "sha256": digest_file(path),
    }
    found = RecordingSet(as_recordings(pd.DataFrame([row])), no_annotations(), folder, "made")
    write_own_tables(folder, found)


def _write_detector(folder: Path) -> None:
    folder.mkdir()
    torch.manual_seed(0)
    network = ResNet18(WIDTH, framewise=True)
    TrainedDetector(Description("frame", WIDTH, 1.0, SEEN), network).save(folder)


def _in_a_process(folder: Path, detector: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.detection_memory", "--one", str(folder), detector],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def _score_one(folder: Path, detector: str) -> None:
    """Score in this process; print seconds, peak memory in bytes, and how many scores there are."""
    torch.set_num_threads(1)
    kind = "energy" if detector == "energy" else "trained"
    config = ScoreRecordings(detector, kind, "event")  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory(dir=folder) as name:
        places = {each: Path(name) / each for each in ("out", "work")}
        for place in places.values():
            place.mkdir()
        context = StageContext(
            config=json.loads(json.dumps(asdict(config))),
            inputs={"recordings": folder, "detector": folder / "frame"},
            runtime={"threads": 1},
            report=lambda *_: None,
            **places,
        )
        before, started = _peak_bytes(), time.perf_counter()
        score.run(context)
        seconds = time.perf_counter() - started
        (track,) = (places["out"] / "tracks").iterdir()
        scores = len(score.read_track(track))
    found = {"seconds": seconds, "peak": _peak_bytes(), "before": before, "scores": scores}
    sys.stdout.write(json.dumps(found) + "\n")


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _score_one(Path(sys.argv[2]), sys.argv[3])
    else:
        typer.run(main)
