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
# And the events that another program found: "found_<name>".
FOUND_INPUT = "found_"

# What every event is called where labels are not told apart.
ANY_LABEL = "event"
_FILTERED = "_postrf"

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


def filtered(entrant: Entrant) -> Entrant:
    """Return an entrant as it is behind the second stage (layer `postrf`)."""
    return Entrant(f"{entrant.name}{_FILTERED}", f"{entrant.title}, second stage")


@dataclass(frozen=True)
class FoundEvents:
    """Which events of another program take part.

    Args:
        name: Of the program, in tables.
        label: Of the events that all detectors look for; null for every label.
        own_label: What the program calls them, where it has another name for them.
    """

    name: str
    label: str | None = None
    own_label: str | None = None


@dataclass(frozen=True)
class FixedVariant:
    """A window, a hop and a threshold that were settled elsewhere, as ANIMAL-SPOT-alpaca does.

    Args:
        window_s: Length of a window.
        hop_s: From one window to the next.
        threshold: Probability from which on a window holds the sound.
    """

    window_s: Annotated[float, Field(gt=0)]
    hop_s: Annotated[float, Field(gt=0)]
    threshold: Probability


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
        second_stage: Whether each detector is also measured behind a random forest that keeps what
            sounds like a hit.
        variants: Settings that detectors with such windows are measured at as well.
    """

    entrants: tuple[Entrant, ...]
    label: str | None = None
    iou: Iou = 0.3
    further_ious: tuple[Iou, ...] = (0.5,)
    thresholds: tuple[Probability, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    resampling: Resampling = field(default_factory=Resampling)
    examples: Annotated[int, Field(ge=0, le=50)] = 4
    second_stage: bool = False
    variants: tuple[FixedVariant, ...] = ()
