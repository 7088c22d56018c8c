"""How much work detectors have, and how scoring is shared out; nothing large is imported here."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from qsm_core.detection.detectors.config import DetectorTraining, ScoreRecordings
from qsm_core.stage.workload import PlannedInput, Work

RECORDINGS = "recordings.csv"  # see `detection.prepared`
_LEAST_S = 600.0  # seconds of recordings below which a shard is not worth its worker


def recorded_seconds(folder: Path) -> float:
    """Return how long the recordings of a prepared set are together."""
    with (folder / RECORDINGS).open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return sum(float(row["num_samples"]) / float(row["sample_rate_hz"]) for row in rows)


def training_work(config: DetectorTraining, _inputs: Mapping[str, PlannedInput]) -> Work:
    """Count the updates of a training; it may end earlier."""
    return Work(config.epochs * config.updates_per_epoch, "updates", at_most=True)


def scoring_work(config: ScoreRecordings, inputs: Mapping[str, PlannedInput]) -> Work:
    """Count the seconds of recordings that are scored."""
    recordings = inputs.get("recordings")
    if recordings is None or recordings.path is None:
        return Work(None, "seconds of recordings")
    return Work(round(recorded_seconds(recordings.path) / config.shards), "seconds of recordings")


def split_scoring(
    config: ScoreRecordings, inputs: Mapping[str, Path], wanted: int
) -> Sequence[ScoreRecordings]:
    """Return the share of each shard; one worker does it all where there is little to do."""
    seconds = recorded_seconds(inputs["recordings"])
    shards = max(1, min(wanted, int(seconds // _LEAST_S)))
    if shards == 1:
        return ()
    return [replace(config, shard=number, shards=shards) for number in range(shards)]
