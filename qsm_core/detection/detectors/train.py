"""The stage "train_detector": a ResNet18 learns to find the events of a dataset variant.

    python -m qsm_core.detection.detectors.train --spec spec.json

Inputs: `recordings` (a prepared set of recordings) and `variant` (the division of it that is
trained on). Train examples are learned from, val examples choose the round that is kept.

Output: model.safetensors and detector.json (the detector), curves.csv and training.json; while it
runs, the live page shows the curves. Killed, it goes on behind its last finished round, with the
same bits in the end.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from qsm_core.detection.detectors.config import DetectorTraining
from qsm_core.detection.detectors.fitting import CHECKPOINT, fit
from qsm_core.detection.detectors.network import FRAME_STRIDE
from qsm_core.detection.detectors.regions import read_regions
from qsm_core.detection.detectors.settled import settle_sequence, settle_spectrogram
from qsm_core.detection.detectors.trained import Description, TrainedDetector
from qsm_core.detection.detectors.training_set import Region, TrainingSet
from qsm_core.errors import DataError
from qsm_core.models.device import resolve_placement
from qsm_core.stage.context import LIVE_FILE, StageContext, parse_config
from qsm_core.stage.entry import run_entry

CURVES_FILE = "curves.csv"
TRAINING_FILE = "training.json"
_LEVELS = "levels"


def run(context: StageContext) -> dict[str, Any]:
    """Train a detector and return its headline numbers.

    Raises:
        ConfigurationError: The spectrogram fits the recordings not at all.
        DataError: Train or val hold no event, or a recording cannot be decoded.
        InterruptedStageError: A stop was requested; the finished rounds are kept.
    """
    config = parse_config(DetectorTraining, context.config)
    if context.runtime.get("threads") is not None:
        torch.set_num_threads(int(context.runtime["threads"]))
    device = resolve_placement(context.runtime.get("device", "auto")).device
    read = partial(
        read_regions,
        context.inputs["recordings"],
        context.inputs.get("variant"),
        label=config.label,
        min_quality=config.min_quality,
        audio=context.runtime.get("audio"),
    )
    regions = {split: read(split=split) for split in ("train", "val")}
    _check_events(regions, config.label)
    spectrogram = settle_spectrogram(config.spectrogram, regions["train"])
    sequence_s = settle_sequence(config, regions["train"])
    samples = round(sequence_s * spectrogram.sample_rate_hz)
    frames = max(FRAME_STRIDE, spectrogram.num_frames(samples))
    framewise = config.form == "frame"
    if framewise:
        frames += frames % FRAME_STRIDE
    data = {
        split: TrainingSet(
            regions[split],
            spectrogram,
            frames,
            framewise=framewise,
            folder=context.work / _LEVELS / split,
        )
        for split in regions
    }
    fitted = fit(
        config,
        data["train"],
        data["val"],
        context,
        device=device,
        show=lambda curves: _show(context.work / LIVE_FILE, curves),
    )
    description = Description(config.form, config.width, sequence_s, spectrogram, config.label)
    TrainedDetector(description, fitted.network).save(context.out)
    _write_curves(context.out / CURVES_FILE, fitted.curves)
    best = fitted.curves[fitted.best_epoch]
    summary = {
        "epochs": len(fitted.curves),
        "best_epoch": fitted.best_epoch,
        "val_average_precision": best["val_average_precision"],
        "train_events": data["train"].num_events,
        "val_events": data["val"].num_events,
        "parameters": sum(one.numel() for one in fitted.network.parameters()),
        "updates": len(fitted.curves) * config.updates_per_epoch,
    }
    text = json.dumps({**summary, "config": dataclasses.asdict(config)}, indent=2) + "\n"
    (context.out / TRAINING_FILE).write_text(text, encoding="utf-8")
    (context.work / CHECKPOINT).unlink(missing_ok=True)
    return summary


def _check_events(regions: dict[str, list[Region]], label: str | None) -> None:
    wanted = "event" if label is None else f"event labelled {label!r}"
    problems = [
        f"{split}: holds no {wanted}; give it another group, or choose another label"
        for split, found in regions.items()
        if not any(len(region.events) for region in found)
    ]
    if problems:
        raise DataError("no detector can be trained", problems)


def _show(path: Path, curves: Sequence[dict[str, float]]) -> None:
    """Replace the live page."""
    lines = [
        "| round | loss (train) | loss (val) | average precision (val) |",
        "|---:|---:|---:|---:|",
        *(
            f"| {row['epoch'] + 1:.0f} | {row['train_loss']:.4f} | {row['val_loss']:.4f} "
            f"| {row['val_average_precision']:.4f} |"
            for row in curves
        ),
    ]
    fresh = path.with_suffix(".part")
    fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")
    fresh.replace(path)


def _write_curves(path: Path, curves: Sequence[dict[str, float]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(curves[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(curves)


if __name__ == "__main__":
    run_entry(run)
