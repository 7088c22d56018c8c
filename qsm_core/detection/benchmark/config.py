"""Configuration of a benchmark of detectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from qsm_core.detection.metrics.resampling import Resampling

# Where tracks are among the inputs of the stage: "tracks_<name>".
TRACKS_INPUT = "tracks_"
# And the dataset variants that clips were drawn of at random: "variant_<variant>".
VARIANT_INPUT = "variant_"

Probability = Annotated[float, Field(gt=0, lt=1)]
Iou = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class Entrant:
    """A detector of the benchmark.

    Args:
        name: In tables and among the inputs.
        title: In reports.
        variant: Division of the data that it was trained on; null for one that was not trained.
    """

    name: str
    title: str
    variant: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """What is measured.

    Args:
        entrants: The detectors.
        label: Of the events that they look for; null for every label.
        iou: A detection matches an annotation that it overlaps by more than this.
        further_ious: Other overlaps that are reported.
        thresholds: Of the sweep, as probabilities.
        resampling: How intervals are computed.
        examples: Hits, misses and false alarms shown of each detector.
    """

    entrants: tuple[Entrant, ...]
    label: str | None = None
    iou: Iou = 0.3
    further_ious: tuple[Iou, ...] = (0.5,)
    thresholds: tuple[Probability, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    resampling: Resampling = field(default_factory=Resampling)
    examples: Annotated[int, Field(ge=0, le=50)] = 4
