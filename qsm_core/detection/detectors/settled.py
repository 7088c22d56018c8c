"""Settle what a configuration leaves open, from the training recordings and their events alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qsm_core.detection.detectors.config import DetectorTraining, SpectrogramSettings
from qsm_core.detection.detectors.front_end import Spectrogram
from qsm_core.detection.detectors.training_set import Region
from qsm_core.errors import ConfigurationError, DataError

_SHORTEST_HOP_S, _LONGEST_HOP_S = 0.001, 0.01
_FRAMES_PER_EVENT = 24  # of a median event
_SMALLEST_FFT, _LARGEST_FFT = 64, 4096
_MARGIN = 0.25  # of the annotated band, kept on each side
_SEQUENCE_S = {"window": (0.1, 5.0), "frame": (1.0, 8.0)}


def settle_spectrogram(settings: SpectrogramSettings, regions: Sequence[Region]) -> Spectrogram:
    """Return a spectrogram with every value settled.

    Args:
        settings: Values that are not null stand.
        regions: The training regions; frames are as dense as their events are short, and the band
            is that of the annotations where they state one.

    Raises:
        ConfigurationError: The values contradict each other or the recordings.
        DataError: There is no event to train on.
    """
    durations = _durations(regions)
    rate = settings.sample_rate_hz or min(region.sample_rate_hz for region in regions)
    wanted_s = np.clip(np.median(durations) / _FRAMES_PER_EVENT, _SHORTEST_HOP_S, _LONGEST_HOP_S)
    hop = settings.hop_length or max(1, round(rate * float(wanted_s)))
    n_fft = settings.n_fft or int(
        np.clip(2 ** round(np.log2(4 * hop)), _SMALLEST_FFT, _LARGEST_FFT)
    )
    low, high = _band(regions, rate)
    fmin = low if settings.fmin_hz is None else settings.fmin_hz
    fmax = high if settings.fmax_hz is None else settings.fmax_hz
    problems = [
        f"sample_rate_hz = {rate}: {region.path} has {region.sample_rate_hz} Hz; lower the rate, "
        f"or "
        "leave the recording out"
        for region in {one.path: one for one in regions}.values()
        if region.sample_rate_hz < rate
    ]
    if fmax > rate / 2:
        problems.append(f"fmax_hz = {fmax:g}: at {rate} Hz the highest frequency is {rate / 2:g}")
    if fmin >= fmax:
        problems.append(f"fmin_hz = {fmin:g}: must be below fmax_hz = {fmax:g}")
    if n_fft % 2:
        problems.append(f"n_fft = {n_fft}: must be even")
    if hop > n_fft:
        problems.append(f"hop_length = {hop}: at most n_fft = {n_fft}")
    if problems:
        raise ConfigurationError("the spectrogram cannot be computed", problems)
    return Spectrogram(
        sample_rate_hz=rate,
        n_fft=n_fft,
        hop_length=hop,
        bins=settings.bins,
        fmin_hz=fmin,
        fmax_hz=fmax,
        pre_emphasis=settings.pre_emphasis,
        normalisation=settings.normalisation,
    )


def settle_sequence(config: DetectorTraining, regions: Sequence[Region]) -> float:
    """Return the seconds of a window, or of a training example of the frame form."""
    if config.sequence_s is not None:
        return config.sequence_s
    long = 1.5 * float(np.percentile(_durations(regions), 90))
    return float(np.clip(long, *_SEQUENCE_S[config.form]))


def _durations(regions: Sequence[Region]) -> np.ndarray:
    events = [region.events[:, 1] - region.events[:, 0] for region in regions]
    durations = np.concatenate(events) if events else np.empty(0)
    if not len(durations):
        raise DataError(
            "no detector can be trained",
            ["the train split holds no event; choose another label, or another split"],
        )
    return durations


def _band(regions: Sequence[Region], rate: int) -> tuple[float, float]:
    known = [region.band_hz for region in regions if region.band_hz is not None]
    if not known:
        return 0.0, rate / 2
    low, high = min(band[0] for band in known), max(band[1] for band in known)
    margin = _MARGIN * (high - low)
    return max(0.0, low - margin), min(rate / 2, high + margin)
