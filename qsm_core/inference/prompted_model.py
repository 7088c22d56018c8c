"""An audio LLM with one instruction, as a speech detector like any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qsm_core.inference.scoring import InstructionScorer


@dataclass(frozen=True)
class PromptedModel:
    """Scores clips by the margin of the model's answer, logit(SPEECH) - logit(NONSPEECH).

    Attributes:
        name: Its name in tables and logs.
        scorer: The loaded model.
        instruction: The text given to the model.
        answer_format: "auto", "labels", "ab" or "mc"; an open answer has no margin.
    """

    name: str
    scorer: InstructionScorer
    instruction: str
    answer_format: str = "auto"

    def score_clips(
        self, waveforms: Sequence[np.ndarray], advance: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Return the margin of each clip, (N,) float64; NaN for open answers."""
        features = self.scorer.encode(waveforms)
        report = None if advance is None else lambda done, _total, _message: advance(done)
        scores = self.scorer.score(features, self.instruction, self.answer_format, report)
        return scores.margin
