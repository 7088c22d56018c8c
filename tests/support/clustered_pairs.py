"""Two systems on rows in clusters with a known true difference, and the error of a simulation."""

from __future__ import annotations

import numpy as np
from scipy import stats


def draw_pairs(
    rng: np.random.Generator, *, clusters: int, rows: int = 22, effect: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the discordant rows of two systems, whose true shares of right rows differ by `effect`.

    Each cluster leans to one of the systems by itself, so that its rows agree; on average the
    leanings cancel but for `effect`. A tenth of the rows is discordant.

    Returns:
        Rows that only the first has right, only the second, and all rows, each (clusters,).
    """
    sizes = np.full(clusters, rows)
    discordant = 0.1
    # The share of the discordant rows that go to the second system: mean 1/2 + effect / 2 / 0.1.
    mean = 0.5 + effect / (2 * discordant)
    lean = rng.beta(4 * mean, 4 * (1 - mean), clusters)
    found = rng.binomial(sizes, discordant)
    second = rng.binomial(found, lean)
    return found - second, second, sizes


def within_simulation_error(count: int, repeats: int, share: float, *, error: float = 1e-4) -> bool:
    """Say whether a count is what `repeats` trials at `share` give but for one time in 10,000."""
    return bool(stats.binomtest(int(count), repeats, share).pvalue > error)
