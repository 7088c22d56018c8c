"""Racing: a candidate that would hardly gain anything over the leader is scored no further.

After 1, 2, 3, 4, 6, 9, ... blocks ("looks") every contender is compared with the one that leads, on
the rows that both were scored on. Of each, the expected gain is computed: by how much it would beat
the leader on average, given the difference seen and its uncertainty, counting a loss as no gain. A
contender whose expected gain is at most the *tolerance* is dropped.

The tolerance bounds a loss and not a probability. Let d be by how much a candidate would be better
than the leader on all of dev, and s the standard error of the difference seen around it. Scoring
all of dev is the most that a search can do, so s is that of the rows that are not scored yet: it is
zero at the end. A candidate is dropped if the difference seen is at most -c s, where c solves
s L(c) = tolerance and L(c) is the integral of the upper tail Q of the distribution from c. So the
expected loss is

    d P(dropped) = d Q(c + d / s) <= s times the integral of Q from c to c + d / s <= s L(c)

which is the tolerance, whatever d is: Q falls, so that the rectangle lies below the curve. A
candidate that is equal to the leader may be dropped freely; a level of significance would spend
clips on telling the two apart. This holds for each comparison; what a whole race loses is measured
(docs/prompt-search.md). The rule is that of the expected value of information in ranking and
selection (S. Chick, J. Branke, C. Schmidt, INFORMS Journal on Computing 22 (2010) 71-80), without a
prior. docs/decisions/0029 has the rules that it replaced.

The comparison is paired. Rows of the same speaker or recording are not independent, so the variance
is that between groups within each class (linearised ratio estimator: W. Cochran, "Sampling
Techniques", 3rd ed., ch. 6), and the degrees of freedom of the t distribution count groups. To each
class one win and one loss are added, as A. Agresti and B. Caffo do for proportions (The American
Statistician 54 (2000) 280-288): three rows that agree by chance are no evidence of a variance of
zero.

Legend: M contenders, N rows, K groups of a class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr
from scipy.stats import t as student

from qsm_core.prompting.search.row_values import FloatArray, Rows, mean_of

_GROWTH = 1.5  # of the blocks, from look to look


@dataclass(frozen=True)
class Comparison:
    """A candidate against the leader.

    Attributes:
        rival: Number of the leader.
        better_by: By how much the leader is better on the rows that both were scored on.
        expected_gain: By how much the candidate would beat it on average, a loss being no gain.
    """

    rival: int
    better_by: float
    expected_gain: float


def looks_at(num_blocks: int) -> tuple[int, ...]:
    """Return after how many blocks contenders are compared: 1, 2, 3, 4, 6, 9, ... and the last."""
    looks = [1]
    while looks[-1] < num_blocks:
        looks.append(min(num_blocks, max(looks[-1] + 1, int(_GROWTH * looks[-1]))))
    return tuple(looks)


def losers(
    rows: Rows, values: Mapping[int, FloatArray], tolerance: float, share: float
) -> dict[int, Comparison]:
    """Return the contenders that are not worth any more rows, each compared with the leader.

    Args:
        rows: The rows that all were scored on.
        values: By number, the row values of all contenders, each (N,). Of equally good ones the
            first leads.
        tolerance: The expected gain, in units of the objective, that is not worth any more rows.
        share: How much of dev the rows are; 1 is all of it, where nothing is left to expect.
    """
    means = {number: mean_of(rows, value) for number, value in values.items()}
    leader = max(means, key=lambda number: means[number])
    others = [number for number in values if number != leader]
    if not others:
        return {}
    differences = np.stack([values[number] - values[leader] for number in others])
    gains = expected_gains(rows, differences, share)
    return {
        number: Comparison(leader, means[leader] - means[number], float(gain))
        for number, gain in zip(others, gains, strict=True)
        if gain <= tolerance
    }


def expected_gains(rows: Rows, differences: FloatArray, share: float) -> FloatArray:
    """Return by how much each candidate would beat a rival on dev on average, a loss being no gain.

    Args:
        rows: The rows of the differences.
        differences: Row values of each candidate minus those of the rival, (M, N).
        share: How much of dev the rows are.

    Returns:
        Expected gains in units of the objective, (M,).
    """
    scale = np.sqrt((differences**2).mean(axis=1))
    means, variances, freedom = np.zeros(len(scale)), np.zeros(len(scale)), 0
    for is_speech in (True, False):
        of_class = rows.is_speech == is_speech
        mean, variance, groups = _class_mean(differences[:, of_class], rows.group[of_class], scale)
        means += mean / 2
        variances += variance / 4
        freedom += groups - 1
    freedom = max(freedom, 2)  # with one, the t distribution has no expectation
    errors = np.sqrt(variances * (1.0 - share))
    gains: FloatArray = np.maximum(means, 0.0)
    unsure = errors > 0
    z = means[unsure] / errors[unsure]
    # The integral of the upper tail of the t distribution from -z.
    tail = (freedom + z**2) / (freedom - 1) * student.pdf(z, freedom) + z * stdtr(freedom, z)
    gains[unsure] = errors[unsure] * tail
    return gains


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
