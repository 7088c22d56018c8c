"""The modified Obuchowski test: two systems that answered the same rows, which come in clusters.

McNemar's test counts every discordant row as one piece of evidence. Where a cluster holds many
rows (a clip in many conditions, the clips of a speaker) its rows agree, and the test finds far too
much. Here the clusters are the evidence. With b and c the rows of a cluster that only the first or
only the second system has right, n its rows, K clusters and N rows in all:

    X2 = (K - 1) / K (sum(b - c))^2 / (1/2 sum[(b - c - n d)^2 + (b - c)^2]),  d = sum(b - c) / N

which is chi-squared with one degree of freedom if both systems are right equally often: the
variance is the mean of the one under the null hypothesis and the one around what was seen.

References: N. Obuchowski, Statistics in Medicine 17 (1998) 1495-1507; Z. Yang, X. Sun and
J. Hardin, Biometrical Journal 52 (2010) 638-652.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ObuchowskiResult:
    """The difference of the shares of right rows (first minus second) and its test."""

    difference: float
    statistic: float
    p_value: float


def obuchowski_test(
    only_first: npt.ArrayLike, only_second: npt.ArrayLike, rows: npt.ArrayLike
) -> ObuchowskiResult:
    """Test whether two systems are right equally often.

    Args:
        only_first: Rows of each cluster that only the first system has right, shape (K,).
        only_second: Rows that only the second has right, shape (K,).
        rows: Rows of each cluster, shape (K,).

    Raises:
        ValueError: The shapes differ, there are fewer than 2 clusters, or the counts of a cluster
            exceed its rows.
    """
    b, c, n = (np.asarray(counts, dtype=np.float64) for counts in (only_first, only_second, rows))
    if b.ndim != 1 or not b.shape == c.shape == n.shape:
        raise ValueError(f"shapes {b.shape}, {c.shape}, {n.shape}: give one entry a cluster")
    clusters = len(b)
    if clusters < 2:
        raise ValueError(f"{clusters} clusters: need at least 2")
    if np.any(b < 0) or np.any(c < 0) or np.any(b + c > n):
        raise ValueError("the discordant rows of a cluster: from 0 to its rows")
    gained = b - c
    difference = float(gained.sum() / n.sum())
    variance = 0.5 * float(np.sum((gained - n * difference) ** 2) + np.sum(gained**2))
    if variance == 0:
        # No cluster favours either system: they are indistinguishable.
        return ObuchowskiResult(difference, 0.0, 1.0)
    statistic = (clusters - 1) / clusters * float(gained.sum()) ** 2 / variance
    return ObuchowskiResult(difference, statistic, float(special.chdtrc(1, statistic)))
