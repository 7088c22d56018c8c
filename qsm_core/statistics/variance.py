"""Where the variance of a score comes from: which clips, which training seed, which prompt.

A score y[s, p] of seed s and prompt p on one set of clips is taken as

    y[s, p] = mean + seed[s] + prompt[p] + interaction[s, p] + clips[s, p]

where the last term is the luck of the clips, whose covariance over the cells is known from a
cluster bootstrap that all cells share. The mean squares of a two-way layout hold the effects and
that luck; the luck's part is the mean of the same mean squares over the centered resamples and is
taken off before the components are solved for. Components below 0 are set to 0.

References: R. Brennan, "Generalizability Theory" (2001), chapter 3 (two-way layouts); S. Searle,
G. Casella and C. McCulloch, "Variance Components" (1992), chapter 4.

Conventions: S: seeds, P: prompts, B: resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class VarianceShares:
    """Variance of the score of one run from each source; NaN where a source has one level only.

    `interaction` is that of seeds with prompts; it cannot be separated without two of each.
    """

    clips: float
    seeds: float
    prompts: float
    interaction: float

    @property
    def total(self) -> float:
        """The variance of the score of one new run on new clips, from the sources known."""
        return float(np.nansum([self.clips, self.seeds, self.prompts, self.interaction]))

    def share(self, source: str) -> float:
        """Return a source's part of the total; NaN where it is not known."""
        value = float(getattr(self, source))
        return value / self.total if self.total > 0 else float("nan")


def variance_shares(scores: npt.ArrayLike, resampled: npt.ArrayLike) -> VarianceShares:
    """Split the variance of a score over seeds, prompts and clips.

    Args:
        scores: One score for each seed and prompt, shape (S, P).
        resampled: The same in resamples of the clips that all cells share, shape (B, S, P).

    Raises:
        ValueError: The shapes do not fit, there is a single score, or one is NaN.
    """
    observed, draws = np.asarray(scores, dtype=np.float64), np.asarray(resampled, dtype=np.float64)
    if observed.ndim != 2 or draws.shape[1:] != observed.shape or len(draws) < 2:
        raise ValueError(f"scores {observed.shape}, resampled {draws.shape}: (S, P) and (B, S, P)")
    if observed.size < 2:
        raise ValueError("scores: one run alone has no spread; give two seeds or two prompts")
    if not np.all(np.isfinite(observed)):
        raise ValueError("scores: every one must be finite")
    luck = draws - draws.mean(axis=0)
    clips = float(np.mean(luck**2) * len(draws) / (len(draws) - 1))
    seeds, prompts, both = (
        float(square - noise.mean())
        for square, noise in zip(mean_squares(observed), mean_squares(luck), strict=True)
    )
    num_seeds, num_prompts = observed.shape
    interaction = max(0.0, both) if num_seeds > 1 and num_prompts > 1 else np.nan
    rest = 0.0 if np.isnan(interaction) else both
    return VarianceShares(
        clips=clips,
        seeds=max(0.0, (seeds - rest) / num_prompts) if num_seeds > 1 else np.nan,
        prompts=max(0.0, (prompts - rest) / num_seeds) if num_prompts > 1 else np.nan,
        interaction=interaction,
    )


def mean_squares(scores: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the mean squares of seeds, prompts and interaction over the last two axes.

    A mean square without degrees of freedom is 0.
    """
    num_seeds, num_prompts = scores.shape[-2:]
    mean = scores.mean(axis=(-2, -1), keepdims=True)
    by_seed = scores.mean(axis=-1, keepdims=True)
    by_prompt = scores.mean(axis=-2, keepdims=True)
    rest = scores - by_seed - by_prompt + mean
    return (
        num_prompts * np.sum((by_seed - mean) ** 2, axis=(-2, -1)) / max(num_seeds - 1, 1),
        num_seeds * np.sum((by_prompt - mean) ** 2, axis=(-2, -1)) / max(num_prompts - 1, 1),
        np.sum(rest**2, axis=(-2, -1)) / max((num_seeds - 1) * (num_prompts - 1), 1),
    )
