"""How often 95 % intervals hold the truth: rates and paired differences over a grid of studies.

Run as `python -m benchmarks.coverage`; `--repeats` makes it finer, `--max-groups` shorter. A study
has groups of 22, 44 or 66 rows (1 to 3 clips in 22 conditions) whose rates spread around the true
one; the spread is told as the correlation of two rows of a group. In a paired study the second
system's rates go up and down with the first's, and it is better by 3 points, or by twice its
distance to 1 where that is less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer
from scipy import stats
from scipy.special import ndtr

from qsm_core.evaluation.analysis.summaries import or_wilson
from qsm_core.statistics.bootstrap import (
    bca_interval,
    draw_weights,
    percentile_interval,
)
from qsm_core.statistics.few_groups import FEW_DEGREES, freedom_of
from qsm_core.statistics.interval import Interval

FloatArray = np.ndarray
GROUPS, RATES, CORRELATIONS = (7, 13, 20, 40, 100), (0.6, 0.8, 0.95, 0.99), (0.02, 0.1, 0.3)
_METHODS = ("percentile", "by all groups", "by carriers", "BCa, carriers")
_SHARED = 0.7  # of the variance between groups: hard for one system, hard for the other


def main(
    repeats: Annotated[int, typer.Option(help="Simulated studies for each line.")] = 1000,
    max_groups: Annotated[int, typer.Option(help="Leave out lines with more groups.")] = 100,
) -> None:
    """Print the tables."""
    rng = np.random.default_rng(2026)
    error = 196 * np.sqrt(0.05 * 0.95 / repeats)
    for paired in (False, True):
        what = "a paired difference" if paired else "a rate"
        typer.echo(f"\nCoverage of {what} in {repeats} studies (95 +- {error:.1f} %)")
        heads = "".join(f"{name:>15}" for name in _METHODS)
        typer.echo(f"{'groups':>7}{'rate':>6}{'corr.':>6}{heads}{'warned':>8}{'not warned':>12}")
        for groups in (size for size in GROUPS if size <= max_groups):
            for rate in RATES:
                for correlation in CORRELATIONS:
                    study = SpeechStages(groups, rate, correlation, paired)
                    _print_line(study, study.covered(rng, repeats))


def _print_line(study: SpeechStages, found: Covered) -> None:
    cells = "".join(f"{100 * one:15.1f}" for one in found.methods)
    typer.echo(
        f"{study.groups:7d}{study.rate:6.2f}{study.correlation:6.2f}{cells}"
        f"{100 * found.warned:8.0f}{100 * found.unwarned:12.1f}"
    )


@dataclass(frozen=True)
class Covered:
    """Shares of studies: covered by each method, warned of, and covered where not warned."""

    methods: FloatArray
    warned: float
    unwarned: float


@dataclass(frozen=True)
class SpeechStages:
    """What is simulated: groups, the first system's rate, correlation, one system or two."""

    groups: int
    rate: float
    correlation: float
    paired: bool

    @property
    def truth(self) -> float:
        """The rate, or the difference."""
        return min(0.03, 2 * (1 - self.rate)) if self.paired else self.rate

    def covered(self, rng: np.random.Generator, repeats: int) -> Covered:
        """Return how often each method holds the truth."""
        strata = np.zeros(self.groups, dtype=np.int64)
        weights = next(draw_weights(strata, num_resamples=2000, rng=rng)).astype(np.float64)
        holds, few = [], []
        for rows, parts in self._studies(rng, repeats):
            sums = parts[1]
            drawn = (weights @ sums) / (weights @ rows)
            without = (sums.sum() - sums) / (rows.sum() - rows)
            freedom = freedom_of(strata, without, parts)
            intervals = _intervals(drawn, sums.sum() / rows.sum(), without, parts)
            if not self.paired:
                intervals = [or_wilson(i, rows[:, None], sums[:, None]) for i in intervals]
            holds.append([i.known and i.low <= self.truth <= i.high for i in intervals])
            few.append(freedom.degrees < FEW_DEGREES)
        told, warned = np.array(holds, dtype=float), np.array(few)
        rest = told[~warned, 2].mean() if not warned.all() else np.nan
        return Covered(told.mean(axis=0), float(warned.mean()), float(rest))

    def _studies(
        self, rng: np.random.Generator, repeats: int
    ) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield the rows of each group and what it adds to errors and right answers."""
        for _ in range(repeats):
            rows = 22 * rng.integers(1, 4, self.groups)
            shared = np.sqrt(_SHARED) * rng.standard_normal(self.groups)
            right = self._right(rng, self.rate, shared, rows)
            if self.paired:
                right = right - self._right(rng, self.rate - self.truth, shared, rows)
                yield rows, np.stack([-right, right])
            else:
                yield rows, np.stack([rows - right, right])

    def _right(
        self, rng: np.random.Generator, rate: float, shared: FloatArray, rows: FloatArray
    ) -> FloatArray:
        own = np.sqrt(1 - _SHARED) * rng.standard_normal(self.groups)
        spread = (1 - self.correlation) / self.correlation
        levels = stats.beta.ppf(ndtr(shared + own), spread * rate, spread * (1 - rate))
        return rng.binomial(rows, np.clip(levels, 0, 1)).astype(float)


def _intervals(
    drawn: FloatArray, estimate: float, without: FloatArray, parts: FloatArray
) -> list[Interval]:
    strata = np.zeros(len(without), dtype=np.int64)
    tail = freedom_of(strata, without, parts).tail(0.95)
    return [
        percentile_interval(drawn),
        percentile_interval(drawn, tail=freedom_of(strata, without).tail(0.95)),
        percentile_interval(drawn, tail=tail),
        bca_interval(drawn, estimate=estimate, jackknife=without, strata=strata, tail=tail),
    ]


if __name__ == "__main__":
    typer.run(main)
