"""Detectors that are not trained here, behind the interface of the trained one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch

from qsm_core.detection.audio_stream import AudioStream, overlapping
from qsm_core.detection.detectors.config import AskedWindows, BandEnergy
from qsm_core.detection.detectors.front_end import Background
from qsm_core.detection.detectors.trained import Grid
from qsm_core.errors import ConfigurationError
from qsm_core.inference.prompted_model import PromptedModel
from qsm_core.models.baselines.silero import SileroDetector

_SPEECH_HZ = 16_000
_SILERO_FRAME = 512
_BLOCK_S = 30
_SMALLEST = 1e-7


class RecordingDetector(Protocol):
    """Scores a recording of any length, piece by piece."""

    def grid_of(self, sample_rate_hz: int) -> Grid:
        """Return where its scores lie on a recording with this rate.

        Raises:
            ConfigurationError: It cannot hear such a recording.
        """

    def logits(self, stream: AudioStream) -> Iterator[tuple[np.ndarray, int]]:
        """Yield logits in order, (N,) float32, and the samples read so far.

        Args:
            stream: The recording, at the rate of the grid.
        """


class BandEnergyDetector:
    """The level in a band, in units of 10 dB over 6 dB above the recording's background.

    A threshold of 0 is therefore 6 dB; thresholds are chosen on dev like those of any detector.
    """

    def __init__(self, config: BandEnergy) -> None:
        self._config = config

    def grid_of(self, sample_rate_hz: int) -> Grid:
        """Return where its scores lie."""
        high = self._config.fmax_hz
        if high is not None and high > sample_rate_hz / 2:
            problem = (
                f"fmax_hz = {high:g}: a recording with {sample_rate_hz} Hz reaches "
                f"{sample_rate_hz / 2:g} Hz; lower fmax_hz"
            )
            raise ConfigurationError("the band cannot be heard", [problem])
        hop = max(1, round(self._config.hop_s * sample_rate_hz))
        window = max(hop, round(self._config.window_s * sample_rate_hz))
        return Grid(sample_rate_hz, (hop - window) // 2, hop, window)

    def logits(self, stream: AudioStream) -> Iterator[tuple[np.ndarray, int]]:
        """Yield the logits of a recording; it is read twice, first for its background."""
        background = Background(1)
        for levels, _ in self._levels(stream):
            background.add(levels[None])
        quiet = float(background.levels()[0])
        for levels, read in self._levels(stream):
            yield ((levels - quiet - 6.0) / 10).astype(np.float32), read

    def _levels(self, stream: AudioStream) -> Iterator[tuple[np.ndarray, int]]:
        grid = self.grid_of(stream.sample_rate_hz)
        count = max(1, round(_BLOCK_S * grid.sample_rate_hz / grid.hop_samples))
        length = grid.window_samples + (count - 1) * grid.hop_samples
        frequencies = np.fft.rfftfreq(grid.window_samples, 1 / grid.sample_rate_hz)
        inside = frequencies >= (self._config.fmin_hz or 0)
        if self._config.fmax_hz is not None:
            inside &= frequencies <= self._config.fmax_hz
        taper = np.hanning(grid.window_samples).astype(np.float32)
        pieces = overlapping(
            stream.blocks(), length, count * grid.hop_samples, lead=-grid.start_sample
        )
        for number, (samples, available) in enumerate(pieces):
            windows = np.lib.stride_tricks.sliding_window_view(samples, grid.window_samples)
            spectrum = np.fft.rfft(windows[:: grid.hop_samples] * taper, axis=1)
            power = (np.abs(spectrum[:, inside]) ** 2).mean(axis=1)
            kept = min(count, -(-(available - grid.start_sample) // grid.hop_samples))
            read = number * count * grid.hop_samples + available
            yield 10 * np.log10(np.maximum(power[:kept], 1e-10)).astype(np.float32), read


class SileroRecordingDetector:
    """Silero VAD: the logit of speech in each frame of 32 ms."""

    def __init__(self) -> None:
        self._detector = SileroDetector()

    def grid_of(self, sample_rate_hz: int) -> Grid:
        """Return where its scores lie; it hears any recording at 16 kHz."""
        del sample_rate_hz
        return Grid(_SPEECH_HZ, 0, _SILERO_FRAME, _SILERO_FRAME)

    def logits(self, stream: AudioStream) -> Iterator[tuple[np.ndarray, int]]:
        """Yield the logits of a recording; its memory begins anew every half minute."""
        step = _BLOCK_S * _SPEECH_HZ // _SILERO_FRAME * _SILERO_FRAME
        # A second before each piece lets the recurrent layer settle.
        lead = _SPEECH_HZ // _SILERO_FRAME * _SILERO_FRAME
        pieces = overlapping(stream.blocks(), step + lead, step, lead=lead)
        for number, (samples, available) in enumerate(pieces):
            found = self._detector.frame_probabilities(torch.from_numpy(samples)[None])[0]
            heard = found[lead // _SILERO_FRAME :][: -(-available // _SILERO_FRAME)].double()
            logit = torch.logit(heard.clamp(_SMALLEST, 1 - _SMALLEST)).float().numpy()
            yield logit, number * step + available


class AskedDetector:
    """An audio LLM that is asked about window after window; the score is the answer's margin."""

    def __init__(self, config: AskedWindows, model: PromptedModel, at_once: int = 16) -> None:
        self._config = config
        self._model = model
        self._at_once = at_once

    def grid_of(self, sample_rate_hz: int) -> Grid:
        """Return where its scores lie; it hears any recording at 16 kHz."""
        del sample_rate_hz
        window = round(self._config.window_s * _SPEECH_HZ)
        return Grid(_SPEECH_HZ, 0, max(1, round(self._config.hop_s * _SPEECH_HZ)), window)

    def logits(self, stream: AudioStream) -> Iterator[tuple[np.ndarray, int]]:
        """Yield the margins of the windows, whole ones alone unless the recording is shorter."""
        grid = self.grid_of(_SPEECH_HZ)
        length = grid.window_samples + (self._at_once - 1) * grid.hop_samples
        step = self._at_once * grid.hop_samples
        pieces = overlapping(stream.blocks(), max(length, step), step)
        for number, (samples, available) in enumerate(pieces):
            whole = max(0, (available - grid.window_samples) // grid.hop_samples + 1)
            count = min(self._at_once, whole or int(number == 0))
            if count:
                windows = [
                    samples[begin : begin + grid.window_samples]
                    for begin in range(0, count * grid.hop_samples, grid.hop_samples)
                ]
                scores = self._model.score_clips(windows)
                yield scores.astype(np.float32), number * step + available
