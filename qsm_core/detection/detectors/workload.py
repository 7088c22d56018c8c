"""How much work detectors have, and how scoring is shared out; nothing large is imported here."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from qsm_core.detection.detectors.config import DetectorTraining, ScoreRecordings
from qsm_core.detection.kept_tracks import Heard, read_indices
from qsm_core.stage.workload import PlannedInput, Work

RECORDINGS = "recordings.csv"  # see `detection.prepared`
_LEAST_S = 600.0  # seconds of recordings below which a shard is not worth its worker


def training_work(config: DetectorTraining, _inputs: Mapping[str, PlannedInput]) -> Work:
    """Count the updates of a training; it may end earlier."""
    return Work(config.epochs * config.updates_per_epoch, "updates", at_most=True)


def scoring_work(config: ScoreRecordings, inputs: Mapping[str, PlannedInput]) -> Work:
    """Count the seconds of recordings that are scored."""
    recordings = inputs.get("recordings")
    if recordings is None or recordings.path is None:
        return Work(None, "seconds of recordings")
    seconds = sum(seconds for _, seconds in _recordings(recordings.path))
    return Work(round(seconds / config.shards), "seconds of recordings", at_most=True)


def nothing_to_score(
    _config: ScoreRecordings, inputs: Mapping[str, Path], parts: Sequence[Path]
) -> bool:
    """Say whether other outputs have the tracks of all recordings."""
    return bool(parts) and not any(True for _ in _missing(inputs, parts))


def split_scoring(
    config: ScoreRecordings, inputs: Mapping[str, Path], parts: Sequence[Path], wanted: int
) -> Sequence[ScoreRecordings]:
    """Return the share of each shard; one worker does it all where there is little to do."""
    seconds = sum(_missing(inputs, parts))
    shards = max(1, min(wanted, int(seconds // _LEAST_S)))
    if shards == 1:
        return ()
    return [replace(config, shard=number, shards=shards) for number in range(shards)]


def _missing(inputs: Mapping[str, Path], parts: Sequence[Path]) -> Iterator[float]:
    """Yield the lengths of the recordings that no other output has a track of."""
    known = read_indices(parts, None)
    for one, seconds in _recordings(inputs["recordings"]):
        if one not in known:
            yield seconds


def _recordings(folder: Path) -> Iterator[tuple[Heard, float]]:
    """Yield what is heard of each recording of a prepared set, and its length in seconds."""
    with (folder / RECORDINGS).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            seconds = float(row["num_samples"]) / float(row["sample_rate_hz"])
            yield Heard(row["sha256"], row["channel"]), seconds
