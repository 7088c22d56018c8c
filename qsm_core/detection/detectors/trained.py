"""A trained detector: its weights and what it sees, in one folder, and how it scores.

`model.safetensors` holds the weights, `detector.json` all else. Nothing in it is pickled.

Legend: C scores of a piece, R frames of context on each side.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from qsm_core.detection.audio_stream import AudioStream, overlapping
from qsm_core.detection.detectors.config import Form
from qsm_core.detection.detectors.front_end import Background, FrontEnd, Spectrogram
from qsm_core.detection.detectors.levels import level_pieces
from qsm_core.detection.detectors.network import FRAME_STRIDE, ResNet18, folded
from qsm_core.errors import ConfigurationError, ModelError

WEIGHTS_FILE = "model.safetensors"
DESCRIPTION_FILE = "detector.json"
# More scores at once share their context, fewer stay in the cache of a core. Frames of a piece are
# a multiple of the coarsest stride, so that every piece is heard as one pass would hear it.
_SCORES_AT_ONCE = 1024  # of the frame form
_LAST_FRAMES = 128  # the last piece of a recording has a multiple of these
_WINDOWS_AT_ONCE = 32
_PIECE_FRAMES = 2048
_RATE_TOLERANCE = 0.999


@dataclass(frozen=True)
class Description:
    """What a trained detector is.

    Args:
        form: "frame" or "window".
        width: Channels of the first layer.
        sequence_s: Seconds of a window, or of a training example.
        spectrogram: What it sees.
        label: Label that it was trained for; null for any event.
        classes: Outputs of the network.
        target: Which of several outputs is the event; the others are not.
    """

    form: Form
    width: int
    sequence_s: float
    spectrogram: Spectrogram
    label: str | None = None
    classes: int = 1
    target: int = 0


@dataclass(frozen=True)
class Grid:
    """Where the scores of a track lie, in samples of the detector's rate.

    Args:
        sample_rate_hz: Samples a second.
        start_sample: Where the extent of the first score begins; may be negative.
        hop_samples: From one score to the next.
        window_samples: Extent of a score.
    """

    sample_rate_hz: int
    start_sample: int
    hop_samples: int
    window_samples: int


class TrainedDetector:
    """Scores recordings of any length with a trained network.

    Args:
        description: What it is.
        network: The network.
        device: Where it computes.
        hop_s: Seconds between windows, for the window form; null for an eighth of a window.
    """

    def __init__(
        self,
        description: Description,
        network: ResNet18,
        device: torch.device | str = "cpu",
        hop_s: float | None = None,
    ) -> None:
        self.description = description
        self.spectrogram = description.spectrogram
        self._device = torch.device(device)
        self._network = network.to(self._device).eval()
        self._folded = folded(self._network)
        self._front_end = FrontEnd(description.spectrogram, self._device)
        rate = self.spectrogram.sample_rate_hz
        self._window = max(self.spectrogram.n_fft, round(description.sequence_s * rate))
        self._hop = max(1, round((hop_s or description.sequence_s / 8) * rate))

    @classmethod
    def load(
        cls, folder: Path, device: torch.device | str = "cpu", hop_s: float | None = None
    ) -> TrainedDetector:
        """Read a folder that `save` wrote.

        Raises:
            ModelError: A file is missing or damaged, or the weights do not fit the description.
        """
        try:
            text = (folder / DESCRIPTION_FILE).read_bytes()
            description = TypeAdapter(Description).validate_json(text)
            weights = load_file(folder / WEIGHTS_FILE)
            network = ResNet18(
                description.width,
                framewise=description.form == "frame",
                classes=description.classes,
            )
            network.load_state_dict(weights)
        except (OSError, ValidationError, RuntimeError, SafetensorError) as error:
            problem = (
                f"{folder}: {error}; a detector is a folder with {WEIGHTS_FILE} and "
                f"{DESCRIPTION_FILE}, as the stage train_detector makes it"
            )
            raise ModelError("cannot load the detector", [problem]) from error
        return cls(description, network, device, hop_s)

    def moved(self, device: torch.device | str, hop_s: float | None) -> TrainedDetector:
        """Return the detector on another device, with another hop."""
        return TrainedDetector(self.description, self._network, device, hop_s)

    def grid_of(self, sample_rate_hz: int) -> Grid:
        """Return where its scores lie on a recording with this rate.

        Raises:
            ConfigurationError: The recording lacks frequencies that the detector needs.
        """
        needed = 2 * self.spectrogram.fmax_hz
        if sample_rate_hz < needed * _RATE_TOLERANCE:
            problem = (
                f"sample_rate_hz = {sample_rate_hz}: the detector hears up to "
                f"{self.spectrogram.fmax_hz:g} Hz and needs {needed:g}; leave the recording out, "
                f"or "
                "train a detector with a lower fmax_hz"
            )
            raise ConfigurationError("the recording cannot be scored", [problem])
        return self.grid

    def save(self, folder: Path) -> None:
        """Write the weights and the description into a folder."""
        weights = {
            name: value.cpu().contiguous() for name, value in self._network.state_dict().items()
        }
        save_file(weights, folder / WEIGHTS_FILE)
        text = json.dumps(dataclasses.asdict(self.description), indent=2) + "\n"
        (folder / DESCRIPTION_FILE).write_text(text, encoding="utf-8")

    @property
    def grid(self) -> Grid:
        """Where its scores lie."""
        rate = self.spectrogram.sample_rate_hz
        if self.description.form == "window":
            return Grid(rate, 0, self._hop, self._window)
        hop = FRAME_STRIDE * self.spectrogram.hop_length
        return Grid(rate, self._first_centre - hop // 2, hop, hop)

    @property
    def _scores_before(self) -> int:
        """Scores whose frames begin before the recording, so that its first sample is covered."""
        half = self.spectrogram.n_fft // 2
        return half // (FRAME_STRIDE * self.spectrogram.hop_length)

    @property
    def _first_centre(self) -> int:
        hop = FRAME_STRIDE * self.spectrogram.hop_length
        return self.spectrogram.n_fft // 2 - self._scores_before * hop

    def logits(self, stream: AudioStream) -> Iterator[tuple[np.ndarray, int]]:
        """Yield the logits of a recording in order, (N,) float32, and the samples read so far."""
        if self.description.form == "window":
            yield from self._window_logits(stream)
        else:
            yield from self._frame_logits(stream)

    def score_windows(
        self, samples: np.ndarray, background: torch.Tensor | None = None
    ) -> np.ndarray:
        """Return the logits of windows (B, N) of a recording, (B,) float32.

        Args:
            samples: At the rate of the grid, `window_samples` each.
            background: Of the recording, where the normalisation needs it.
        """
        return self._run(samples, background)

    def background(self, stream: AudioStream) -> torch.Tensor | None:
        """Return the background of a recording, (F,) in dB, where the normalisation needs it."""
        if self.spectrogram.normalisation != "background":
            return None
        background = Background(self.spectrogram.bins)
        for levels in level_pieces(stream, self._front_end, _PIECE_FRAMES):
            background.add(levels)
        return torch.from_numpy(background.levels()).to(self._device)

    def _frame_logits(self, stream: AudioStream) -> Iterator[tuple[np.ndarray, int]]:
        hop = self.spectrogram.hop_length
        context = self._network.context_frames
        frames = FRAME_STRIDE * _SCORES_AT_ONCE + 2 * context
        lead = (context + FRAME_STRIDE * self._scores_before) * hop
        step = FRAME_STRIDE * _SCORES_AT_ONCE * hop
        background = self.background(stream)
        length = self.spectrogram.num_samples(frames)
        pieces = overlapping(stream.blocks(), length, step, lead=lead)
        skipped = context // FRAME_STRIDE
        for number, (samples, available) in enumerate(pieces):
            wanted = _SCORES_AT_ONCE
            if available + lead < length:  # the recording ends here
                left = available - self.grid.start_sample
                wanted = min(wanted, max(0, -(-left // self.grid.hop_samples)))
                frames = -(-FRAME_STRIDE * wanted // _LAST_FRAMES) * _LAST_FRAMES + 2 * context
                samples = samples[: self.spectrogram.num_samples(frames)]
            logits = self._run(samples[None], background)[0, skipped : skipped + wanted]
            yield logits, number * step + available

    def _window_logits(self, stream: AudioStream) -> Iterator[tuple[np.ndarray, int]]:
        length = self._window + (_WINDOWS_AT_ONCE - 1) * self._hop
        step = _WINDOWS_AT_ONCE * self._hop
        background = self.background(stream)
        pieces = overlapping(stream.blocks(), length, min(step, length))
        for number, (samples, available) in enumerate(pieces):
            windows = np.lib.stride_tricks.sliding_window_view(samples, self._window)[:: self._hop]
            whole = max(0, (available - self._window) // self._hop + 1)
            count = min(_WINDOWS_AT_ONCE, whole or int(number == 0))
            if count:
                yield self._run(windows[:count], background), number * step + available

    def _run(self, samples: np.ndarray, background: torch.Tensor | None) -> np.ndarray:
        """Return logits of excerpts (B, N): (B,), or (B, T) along recordings."""
        with torch.inference_mode():
            return self._logits_of(samples, background)

    def _logits_of(self, samples: np.ndarray, background: torch.Tensor | None) -> np.ndarray:
        levels = self._front_end.levels(
            torch.from_numpy(np.ascontiguousarray(samples)).to(self._device)
        )
        logits = self._folded(self._front_end.normalise(levels, background)).float()
        if self.description.classes == 1:
            return np.asarray(logits[..., 0].cpu())
        target = self.description.target
        others = [index for index in range(self.description.classes) if index != target]
        return np.asarray((logits[..., target] - logits[..., others].logsumexp(-1)).cpu())
