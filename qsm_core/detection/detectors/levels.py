"""The levels of a whole recording, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from qsm_core.detection.audio_stream import AudioStream, overlapping
from qsm_core.detection.detectors.front_end import FrontEnd


def level_pieces(stream: AudioStream, front_end: FrontEnd, frames: int) -> Iterator[np.ndarray]:
    """Yield the levels of a recording in order, (F, T) float32 with at most `frames` frames.

    Every piece is computed with the same number of frames, so its bits depend on its own samples
    alone. A recording shorter than a Fourier window has one frame, padded with zeros.
    """
    spectrogram = front_end.spectrogram
    length, step = spectrogram.num_samples(frames), frames * spectrogram.hop_length
    pieces = overlapping(stream.blocks(), length, step)
    for number, (samples, available) in enumerate(pieces):
        kept = min(frames, spectrogram.num_frames(available))
        if number == 0:
            kept = max(1, kept)
        if kept:
            levels = front_end.levels(torch.from_numpy(samples)[None])[0]
            yield levels[:, :kept].cpu().numpy()
