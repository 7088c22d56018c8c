"""How many cases decide a gate, if the truth is as it looks or as it is planned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from qsm_core.acceptance.config import GateSettings
from qsm_core.statistics.power import fewest, observations_needed
from qsm_core.statistics.rare_events import Parts

_FEW_TRIALS, _MOST_TRIALS = 1_000, 20_000


def trials_needed(share: float, threshold: float, *, alpha: float, power: float) -> int | None:
    """Return how many cases decide whether a share reaches a threshold.

    The smallest number from which on the exact bound at `alpha` is beyond the threshold with a
    chance of at least `power`, if the true share is `share`: PASS if it is above, FAIL if below.

    Returns:
        The number; None where 18,000 would not do.
    """
    for most in (_FEW_TRIALS, _MOST_TRIALS):
        counts = np.arange(1, most + 1)
        short = np.flatnonzero(_chance(counts, share, threshold, alpha) < power)
        last = int(short[-1]) + 1 if len(short) else 0
        # Near the end of the range a larger number might fall short again.
        if last < 0.9 * most:
            return last + 1
    return None


def _chance(
    counts: npt.NDArray[np.int64], share: float, threshold: float, alpha: float
) -> npt.NDArray[np.float64]:
    """Return the chance that a bound is beyond the threshold, for each number of cases."""
    if share >= threshold:
        # The low bound reaches the threshold from this many successes on.
        least = stats.binom.ppf(1 - alpha, counts, threshold) + 1
        return np.where(least <= counts, stats.binom.sf(least - 1, counts, share), 0.0)
    most = stats.binom.ppf(alpha, counts, threshold) - 1
    return np.where(most >= 0, stats.binom.cdf(most, counts, share), 0.0)


def cases_for_mean(parts: Parts, *, alpha: float, power: float) -> int | None:
    """Return how many cases decide whether a mean is at least 0, if the true one is `parts.mean`.

    The interval has to leave out 0 although the mean of those cases may lie by as much on the wrong
    side as it does with a chance of 1 - `power`.
    """
    upwards = parts.mean < 0
    distance, room = abs(parts.mean), NormalDist().inv_cdf(power) * parts.spread()

    def enough(count: int) -> bool:
        reach = parts.reach(count, 1 - 2 * alpha, upwards=upwards)
        return distance - reach - room / math.sqrt(count) >= 0

    return fewest(enough, first=max(2, parts.kinds + 1))


def power_table(
    ratios: Sequence[float],
    spreads: Sequence[float],
    *,
    baseline_mean: float = 0.84,
    failures: float = 0.0,
    settings: GateSettings | None = None,
) -> list[dict[str, Any]]:
    """Return how many cases the ratio gate needs to pass.

    Args:
        ratios: True ratios, above the threshold.
        spreads: Standard deviations of student - threshold * baseline over cases that both answer.
        baseline_mean: Mean score of the baseline.
        failures: Share of the cases that the student fails; the ratio holds with them as 0.
        settings: Threshold, alpha and power.

    Returns:
        For each ratio and spread: `t_test`, by Student's t alone, which may pass wrongly where
        failures are rare, and `gate`, by the bounds that decide here.
    """
    gates = settings or GateSettings()
    rows = []
    for ratio in ratios:
        for spread in spreads:
            mean = (ratio - gates.ratio_at_least) * baseline_mean
            # A failure costs what the student scores where it answers.
            lost = ratio * baseline_mean / (1 - failures)
            effects = (-lost, gates.ratio_at_least * baseline_mean)
            parts = Parts(mean, spread, 1, (failures, 0.0), effects)
            plain = observations_needed(mean, parts.spread(), alpha=gates.alpha, power=gates.power)
            needed = cases_for_mean(parts, alpha=gates.alpha, power=gates.power)
            rows.append({"ratio": ratio, "spread": spread, "t_test": plain, "gate": needed})
    return rows
