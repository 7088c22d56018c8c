"""The interface of a speech detector in an evaluation: waveforms in, one number per clip out.

An audio LLM with one instruction is such a scorer, and so is a voice activity detector of two
megabytes, so both are calibrated, measured and compared in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np


class AudioScorer(Protocol):
    """Scores how much clips sound like human speech."""

    @property
    def name(self) -> str:
        """Its name in tables and logs."""

    def score_clips(
        self, waveforms: Sequence[np.ndarray], advance: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Return one number a clip, (N,) float64: the larger, the more like speech.

        The numbers of different scorers are on different scales, and where speech begins is found
        on dev clips.

        Args:
            waveforms: Clips of any lengths, float32 mono at 16 kHz.
            advance: Called with the number of clips done so far.
        """
