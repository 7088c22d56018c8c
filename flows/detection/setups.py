"""Which dataset variants are built, how windows are trained on them, and what is measured as well.

All of it from the parameters, or from the JSON files of ANIMAL-SPOT-alpaca that they name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from flows.detection.parameters import DetectionParameters
from qsm_core.detection.benchmark.config import FixedVariant
from qsm_core.detection.detectors.config import SpectrogramSettings
from qsm_core.detection.variants.config import VariantConfig
from qsm_core.detection.variants.seed_configs import (
    read_benchmark_variants,
    read_dataset_prep_configs,
    read_train_variants,
    unused_settings,
)
from qsm_core.errors import ConfigurationError

_FILES = ("dataset_prep_configs", "train_variants", "benchmark_variants")
_OF_PREPARATION = ("variants", "min_quality", "noise_per_call", "margin_s", "fallback_raw")
_TICKS = 1000  # of a second: the finest hop of windows
_Read = TypeVar("_Read")


@dataclass(frozen=True)
class WindowSetup:
    """How detectors of the form `window` are trained.

    Args:
        name: Of the setup; None for the only one.
        dataset: The variant that it is trained on; None for each of them.
        sequence_s: Length of a window; None: settled from the events.
        spectrogram: What it sees.
    """

    name: str | None = None
    dataset: str | None = None
    sequence_s: float | None = None
    spectrogram: SpectrogramSettings = field(default_factory=SpectrogramSettings)


@dataclass(frozen=True)
class Setups:
    """What a benchmark builds, trains and measures.

    Args:
        variants: The dataset variants.
        windows: How windows are trained.
        fixed: Windows, hops and thresholds that are measured beside what dev chooses.
        hop_s: From one window to the next, so that every fixed variant is among them; None: an
            eighth of a window.
        notes: What a reader of the plan should know.
    """

    variants: tuple[VariantConfig, ...]
    windows: tuple[WindowSetup, ...]
    fixed: tuple[FixedVariant, ...]
    hop_s: float | None
    notes: tuple[str, ...]

    def variant(self, name: str) -> VariantConfig:
        """Return the variant of a name."""
        return next(one for one in self.variants if one.name == name)


def setups_of(p: DetectionParameters) -> Setups:
    """Return what the parameters and their files ask for.

    Raises:
        ConfigurationError: Lists everything that is wrong.
    """
    problems = _contradictions(p)
    prepared = _read(p.dataset_prep_configs, read_dataset_prep_configs, problems)
    trained = _read(p.train_variants, read_train_variants, problems)
    measured = _read(p.benchmark_variants, read_benchmark_variants, problems)
    notes = [] if problems else _unused(p)
    labels = None if p.label is None else (p.label,)
    variants = tuple(
        replace(one, labels=labels, spectrograms=p.spectrograms) for one in prepared or _variants(p)
    )
    fixed = tuple(FixedVariant(one.window_s, one.hop_s, one.threshold) for one in measured or ())
    windows: tuple[WindowSetup, ...] = (WindowSetup(),)
    if trained is not None:
        windows = tuple(
            WindowSetup(
                one.name,
                None if one.dataset is None else _variant_name(one.dataset),
                one.sequence_len_ms / 1000,
                SpectrogramSettings(n_fft=one.n_fft, hop_length=one.hop_length),
            )
            for one in trained
        )
        known = [one.name for one in variants]
        problems += [
            f"train_variants: {one.name}: there is no dataset variant {one.dataset!r}; there are "
            f"{', '.join(known)}"
            for one in windows
            if one.dataset is not None and one.dataset not in known
        ]
    elif fixed:
        lengths = sorted({one.window_s for one in fixed})
        windows = tuple(
            WindowSetup(f"len{1000 * length:g}" if len(lengths) > 1 else None, None, length)
            for length in lengths
        )
    hop_s = _common_hop(fixed, problems)
    if problems:
        raise ConfigurationError("the parameters cannot be used", problems)
    notes += [
        f"variant {one.name} divides clips, not groups: one tape may lie in several of its splits, "
        "so that its own test split flatters; the report shows by how much"
        for one in variants
        if one.strategy != "by_group"
    ]
    return Setups(variants, windows, fixed, hop_s, tuple(notes))


def _variants(p: DetectionParameters) -> list[VariantConfig]:
    return [
        VariantConfig(
            seed=p.seed,
            name=strategy,
            strategy=strategy,
            min_quality=p.min_quality,
            noise_per_call=p.noise_per_call,
            margin_s=p.margin_s,
            fallback_raw=p.fallback_raw,
        )
        for strategy in p.variants
    ]


def _contradictions(p: DetectionParameters) -> list[str]:
    """List parameters that say what a file says too, and files without their detector."""
    problems = []
    if p.dataset_prep_configs is not None:
        fields = type(p).model_fields
        problems += [
            f"{name} = {getattr(p, name)!r}: dataset_prep_configs says it; leave one of them out"
            for name in _OF_PREPARATION
            if getattr(p, name) != fields[name].get_default(call_default_factory=True)
        ]
    if "window" not in p.detectors:
        problems += [
            f"{name} = {getattr(p, name)!r}: is about windows; add window to detectors"
            for name in ("train_variants", "benchmark_variants")
            if getattr(p, name) is not None
        ]
    return problems


def _read(place: str | None, read: Callable[[Path], _Read], problems: list[str]) -> _Read | None:
    if place is None:
        return None
    try:
        return read(Path(place).expanduser())
    except ConfigurationError as error:
        problems += error.problems
        return None


def _unused(p: DetectionParameters) -> list[str]:
    notes = []
    for file in _FILES:
        place = getattr(p, file)
        names = [] if place is None else unused_settings(Path(place).expanduser())
        if names:
            notes.append(f"{place}: settings without a meaning here: {', '.join(names)}")
    return notes


def _variant_name(dataset: str) -> str:
    """Return the variant that a folder such as `corpus/dataset_random` is of."""
    return dataset.replace("\\", "/").rstrip("/").rpartition("/")[2].removeprefix("dataset_")


def _common_hop(fixed: tuple[FixedVariant, ...], problems: list[str]) -> float | None:
    """Return the largest hop of which every hop is a multiple."""
    if not fixed:
        return None
    hops = [one.hop_s * _TICKS for one in fixed]
    wrong = [f"{hop / _TICKS:g}" for hop in hops if abs(hop - round(hop)) > 1e-6 or hop < 1]
    if wrong:
        problems.append(
            f"benchmark_variants: hop = {', '.join(wrong)}: must be whole milliseconds, so that "
            "one pass serves all hops"
        )
        return None
    return math.gcd(*(round(hop) for hop in hops)) / _TICKS
