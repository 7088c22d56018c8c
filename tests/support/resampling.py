"""Resampled sums in one call, for tests of the resampling itself."""

import numpy as np

from qsm_core.statistics.bootstrap import FloatArray, IntArray, draw_weights, weighted_sums


def resample_sums(
    sums: FloatArray, strata: IntArray, *, num_resamples: int, rng: np.random.Generator
) -> FloatArray:
    """Draw the groups of each stratum with replacement and sum their columns, shape (B, M)."""
    parts = draw_weights(strata, num_resamples=num_resamples, rng=rng)
    return np.concatenate([weighted_sums(sums, strata, weights) for weights in parts])
