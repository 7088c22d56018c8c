"""The voice activity detector of WebRTC: Gaussian mixtures on six bands, frames of 10 ms.

It says yes or no to each frame, in four modes from lenient to strict. The score of a clip is the
share of its frames that are called speech, averaged over the modes: a graded number from a
detector that has none, from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from qsm_core.audio.format import SAMPLE_RATE_HZ

_FRAME_SAMPLES = SAMPLE_RATE_HZ // 100
_MODES = (0, 1, 2, 3)


class WebRtcDetector:
    """Scores a clip by how many of its frames are called speech."""

    name = "webrtc"

    def score_clips(
        self, waveforms: Sequence[np.ndarray], advance: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Return the mean share of frames with speech of each clip, 0 to 1."""
        scores = np.empty(len(waveforms))
        for row, waveform in enumerate(waveforms):
            frames = _frames(waveform)
            scores[row] = np.mean([_share_of_speech(frames, mode) for mode in _MODES])
            if advance is not None:
                advance(row + 1)
        return scores


def _frames(waveform: np.ndarray) -> list[bytes]:
    """Cut a clip into frames of 10 ms of 16-bit integers; the last one is filled with zeros."""
    padded = np.pad(waveform, (0, -len(waveform) % _FRAME_SAMPLES))
    integers = np.clip(np.rint(padded * 32767.0), -32768, 32767).astype("<i2")
    return [frame.tobytes() for frame in integers.reshape(-1, _FRAME_SAMPLES)]


def _share_of_speech(frames: Sequence[bytes], mode: int) -> float:
    from webrtcvad import Vad

    detector = Vad(mode)  # a new one for each clip, because it adapts to earlier frames
    return float(np.mean([detector.is_speech(frame, SAMPLE_RATE_HZ) for frame in frames]))
