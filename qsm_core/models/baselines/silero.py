"""Silero VAD with the weights from its wheel: 0.3 million parameters, frames of 32 ms.

The wheel's own code runs frame by frame in Python and sets the number of threads of the whole
process. Here the network is written out, so that all frames of all clips pass the convolutions at
once and only the recurrent layer steps through time. The weights are those of its TorchScript file,
which the wheel's loader takes by default; its safetensors file holds an older network.

The score of a clip is the logit of its highest frame probability.

Legend: B clips of equal length, T frames of 512 samples, each heard with the 64 samples before it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from qsm_core.models.batching import BatchLimit, run_in_batches

_WEIGHTS = "silero_vad.jit"
# Names in the TorchScript file, without the parts for 8 kHz, and ours.
_NAMES = {
    "_model.stft.forward_basis_buffer": "stft_conv.weight",
    **{
        f"_model.encoder.{number}.reparam_conv.{kind}": f"conv{number + 1}.{kind}"
        for number in range(4)
        for kind in ("weight", "bias")
    },
    **{
        f"_model.decoder.rnn.{name}": f"lstm.{name}_l0"
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    },
    "_model.decoder.decoder.2.weight": "final_conv.weight",
    "_model.decoder.decoder.2.bias": "final_conv.bias",
}
_FRAME, _CONTEXT, _REFLECTED = 512, 64, 64
_WINDOW, _HOP = 256, 128
_BINS = _WINDOW // 2 + 1
_CHANNELS = (_BINS, 128, 64, 64, 128)
_STRIDES = (1, 2, 2, 1)
_SMALLEST = 1e-7  # keeps the logit finite
_LARGEST_BATCH = 256


class SileroDetector:
    """Scores a clip by its most speech-like frame."""

    name = "silero"

    def __init__(self) -> None:
        self._network = load_network()

    def score_clips(
        self, waveforms: Sequence[np.ndarray], advance: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Return the logit of the highest frame probability of each clip."""
        scores = np.empty(len(waveforms))

        def score(rows: list[int]) -> None:
            batch = torch.from_numpy(np.stack([waveforms[row] for row in rows]))
            highest = self.frame_probabilities(batch).amax(dim=1).double()
            scores[rows] = torch.logit(highest.clamp(_SMALLEST, 1 - _SMALLEST)).numpy()

        lengths = [len(waveform) for waveform in waveforms]
        run_in_batches(lengths, BatchLimit(_LARGEST_BATCH), score, advance=advance)
        return scores

    def frame_probabilities(self, waveforms: Tensor) -> Tensor:
        """Return the probability of speech in each frame, (B, T), of waveforms (B, samples)."""
        with torch.no_grad():
            probabilities: Tensor = self._network(waveforms)
        return probabilities


class _Network(nn.Module):
    """Magnitudes of a short-time Fourier transform, four convolutions, a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 2 * _BINS, _WINDOW, stride=_HOP, bias=False)
        for number, (sizes, stride) in enumerate(
            zip(pairwise(_CHANNELS), _STRIDES, strict=True), start=1
        ):
            layer = nn.Conv1d(*sizes, kernel_size=3, stride=stride, padding=1)
            self.add_module(f"conv{number}", layer)
        self.lstm = nn.LSTM(_CHANNELS[-1], _CHANNELS[-1], batch_first=True)
        self.final_conv = nn.Conv1d(_CHANNELS[-1], 1, 1)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Return frame probabilities, (B, T), of waveforms (B, samples)."""
        samples = waveforms.shape[1]
        padded = nn.functional.pad(waveforms, (_CONTEXT, -samples % _FRAME))
        frames = padded.unfold(1, _CONTEXT + _FRAME, _FRAME)
        count, length = frames.shape[:2]
        reflected = nn.functional.pad(frames.flatten(0, 1), (0, _REFLECTED), mode="reflect")
        spectrum = self.stft_conv(reflected[:, None])
        hidden = (spectrum[:, :_BINS] ** 2 + spectrum[:, _BINS:] ** 2).sqrt()
        for number in range(1, len(_STRIDES) + 1):
            hidden = self.get_submodule(f"conv{number}")(hidden).relu()
        states, _ = self.lstm(hidden.view(count, length, _CHANNELS[-1]))
        logits = self.final_conv(states.relu().transpose(1, 2))
        probabilities: Tensor = logits.sigmoid().squeeze(1)
        return probabilities


def load_network() -> nn.Module:
    """Return the network with the weights of the installed package."""
    with as_file(files("silero_vad.data").joinpath(_WEIGHTS)) as path, warnings.catch_warnings():
        # torch advises exporting such files anew; this file is not ours, and only read for weights.
        warnings.simplefilter("ignore", DeprecationWarning)
        module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
        stored = module.state_dict()
    network = _Network()
    network.load_state_dict({ours: stored[theirs] for theirs, ours in _NAMES.items()})
    return network.requires_grad_(False).eval()
