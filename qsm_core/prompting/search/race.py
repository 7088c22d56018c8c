"""Racing: a candidate that is significantly worse than another is scored no further.

After 1, 2, 4, 8, ... blocks ("looks") each candidate of a step is compared with every rival on the
rows that both were scored on. It is dropped if a rival is better at a one-sided level of
`alpha / (looks x rivals)`. By Bonferroni's inequality a candidate to which no rival is superior is
then dropped with a probability of at most `alpha` in the whole race of its step, however many
rivals it has; comparing only after a few of the blocks costs little of that.

The comparison is a paired t test on the difference of the objective. Rows of the same speaker or
recording are not independent, so the variance is that between groups within each class (linearised
ratio estimator: W. Cochran, "Sampling Techniques", 3rd ed., ch. 6), and the degrees of freedom
count groups. To each class one win and one loss are added, as A. Agresti and B. Caffo do for
proportions (The American Statistician 54 (2000) 280-288): three rows that agree by chance are no
evidence of a variance of zero.

Another rule, that of CAPO (T. Zehle et al., AutoML 2025: dropped once k others are better at level
0.2, at every block), has no bound on dropping the best; docs/prompt-search.md has both measured.

Legend: M rivals, N rows, K groups of a class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from qsm_core.prompting.search.row_values import FloatArray, Rows, mean_of


@dataclass(frozen=True)
class Comparison:
    """A rival against a candidate: how much better it is, and the one-sided p-value of that."""

    rival: int
    better_by: float
    p_value: float


def looks_at(num_blocks: int) -> tuple[int, ...]:
    """Return after how many blocks candidates are compared: 1, 2, 4, ... and the last."""
    doubling = [2**power for power in range(num_blocks.bit_length()) if 2**power < num_blocks]
    return (*doubling, num_blocks)


def losers(
    rows: Rows,
    values: Mapping[int, FloatArray],
    candidates: Sequence[int],
    level: float,
) -> dict[int, Comparison]:
    """Return the candidates to which a rival is superior, each with its strongest rival.

    Args:
        rows: The rows that all were scored on.
        values: By number, the row values of all candidates and further rivals, each (N,).
        candidates: Numbers of those that may be dropped.
        level: One-sided level of all comparisons of a candidate together.
    """
    lost = {}
    for number in candidates:
        rivals = [other for other in values if other != number]
        if not rivals:
            continue
        differences = np.stack([values[other] - values[number] for other in rivals])
        better_by, p_values = superiority(rows, differences)
        best = int(np.argmin(p_values))
        if p_values[best] <= level / len(rivals):
            lost[number] = Comparison(rivals[best], float(better_by[best]), float(p_values[best]))
    return lost


def superiority(rows: Rows, differences: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Test whether the objective differs by more than zero.

    Args:
        rows: The rows of the differences.
        differences: Row values of each rival minus those of the candidate, (M, N).

    Returns:
        The differences of the objective, (M,), and one-sided p-values, (M,).
    """
    scale = np.sqrt((differences**2).mean(axis=1))
    means, variances, freedom = np.zeros(len(scale)), np.zeros(len(scale)), 0
    for is_speech in (True, False):
        of_class = rows.is_speech == is_speech
        mean, variance, groups = _class_mean(differences[:, of_class], rows.group[of_class], scale)
        means += mean / 2
        variances += variance / 4
        freedom += groups - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        statistics = np.where(variances > 0, means / np.sqrt(variances), 0.0)
    better_by = np.array([mean_of(rows, values) for values in differences])
    return better_by, stdtr(max(freedom, 1), -statistics)


def _class_mean(
    differences: FloatArray, group: np.ndarray, scale: FloatArray
) -> tuple[FloatArray, FloatArray, int]:
    """Return mean and its variance over the rows of a class, and the number of its groups."""
    _, places, sizes = np.unique(group, return_inverse=True, return_counts=True)
    member = np.zeros((len(group), len(sizes)))
    member[np.arange(len(group)), places] = 1.0
    sums = differences @ member
    # One win and one loss, each counted as a group of mean size (see the module).
    size = sizes.mean()
    added = np.stack([scale, -scale], axis=1) * size
    sums, sizes = np.concatenate([sums, added], axis=1), np.append(sizes, [size, size])
    mean = sums.sum(axis=1) / sizes.sum()
    residuals = sums - mean[:, None] * sizes
    count = len(sizes)
    variance = count / (count - 1) * (residuals**2).sum(axis=1) / sizes.sum() ** 2
    return mean, variance, count - 2
