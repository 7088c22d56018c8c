"""Detectors at windows, hops and thresholds that were settled elsewhere: `benchmark_variants.json`.

Events are made as ANIMAL-SPOT makes them: the union of the windows that reach the threshold,
nothing closed and nothing left out. They are functions of the stored tracks: a coarser hop takes
every n-th window.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from qsm_core.detection.benchmark.config import ANY_LABEL, Benchmark, FixedVariant
from qsm_core.detection.benchmark.detections import TrackDetections
from qsm_core.detection.benchmark.measured import Measured
from qsm_core.detection.events.settings import EventSettings, logit_of
from qsm_core.detection.metrics.counting import compare
from qsm_core.detection.metrics.matching import Overlap
from qsm_core.detection.metrics.rates import summary
from qsm_core.detection.metrics.seed_tables import Layer, variant_tag
from qsm_core.detection.tracks import TrackInfo

_CLOSE = 0.01  # share of a window or hop by which rounding to samples may change it


def fixed_variants(
    measured: Sequence[Measured], truth: pd.DataFrame, config: Benchmark
) -> tuple[pd.DataFrame, list[Layer], list[tuple[str, str]]]:
    """Measure every detector at the fixed variants that its windows allow.

    Returns:
        One row a detector and variant (`detector, variant, window_s, hop_s, threshold` and what
        `rates.summary` returns), the same as layers of metrics.csv, and for each variant that no
        detector has windows for a note, with the variant in place of a detector.
    """
    rows: list[dict[str, object]] = []
    layers: list[Layer] = []
    notes = []
    for variant in config.variants:
        tag = variant_tag(variant.window_s, variant.hop_s, variant.threshold)
        fitting = [one for one in measured if _fits(one, variant)]
        if not fitting:
            notes.append((tag, _explain(measured, variant)))
        for one in fitting:
            found = one.detections.at(_settings(_info(one), variant))
            compared = compare(
                truth, found, Overlap(config.iou), recordings=one.names, by_label=False
            )
            rows.append(
                {
                    "detector": one.entrant.name,
                    "variant": tag,
                    "window_s": variant.window_s,
                    "hop_s": variant.hop_s,
                    "threshold": variant.threshold,
                    **summary(compared),
                }
            )
            found = found.assign(label=ANY_LABEL)
            layers.append(Layer(one.entrant.name, tag, "evaluation", found))
    return pd.DataFrame(rows), layers, notes


def _info(one: Measured) -> TrackInfo:
    if not isinstance(one.detections, TrackDetections):
        raise TypeError(f"{one.entrant.name} has no tracks")
    return one.detections.tracks[0].info


def _fits(one: Measured, variant: FixedVariant) -> bool:
    if not isinstance(one.detections, TrackDetections):
        return False
    info = _info(one)
    windows = variant.window_s * info.sample_rate_hz / info.window_samples
    hops = variant.hop_s * info.sample_rate_hz / info.hop_samples
    steps = max(1, round(hops))
    return abs(windows - 1) <= _CLOSE and abs(hops / steps - 1) <= _CLOSE


def _settings(info: TrackInfo, variant: FixedVariant) -> EventSettings:
    steps = max(1, round(variant.hop_s * info.sample_rate_hz / info.hop_samples))
    return EventSettings(
        threshold=logit_of(variant.threshold),
        localisation="window-extent",
        hop_s=steps * info.hop_samples / info.sample_rate_hz,
    )


def _explain(measured: Sequence[Measured], variant: FixedVariant) -> str:
    there = sorted(
        {
            f"{1000 * info.window_samples / info.sample_rate_hz:.0f} ms every "
            f"{1000 * info.hop_samples / info.sample_rate_hz:.0f} ms"
            for info in (
                _info(one) for one in measured if isinstance(one.detections, TrackDetections)
            )
        }
    )
    return (
        f"not measured: no detector has windows of {1000 * variant.window_s:g} ms every "
        f"{1000 * variant.hop_s:g} ms (there are {', '.join(there)})"
    )
