"""How often the ratio gate is wrong where the true ratio lies exactly at its threshold.

Run as `python -m benchmarks.acceptance_gate`; `--studies` makes it finer. Scores of valid answers
are normal around 0.84 (baseline) and around what makes the true ratio 0.9 with failures as 0
(student), with a correlation of 0.3 between the arms.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import typer
from scipy.special import stdtrit

from qsm_core.acceptance.verdict.gates import Scores

CASES, SPREADS = (10, 20, 30, 60, 100, 200), (0.05, 0.1)
# Shares of valid answers: student, baseline.
VALID = (
    (1, 1),
    (0.99, 1),
    (0.98, 1),
    (0.97, 1),
    (0.95, 1),
    (0.9, 1),
    (1, 0.97),
    (0.97, 0.97),
    (0.9, 0.95),
)
_MARGIN, _BASELINE, _CORRELATION = 0.9, 0.84, 0.3


def main(
    studies: Annotated[int, typer.Option(help="Simulated studies for each line.")] = 4000,
    cases: Annotated[list[int], typer.Option(help="Numbers of cases.")] = list(CASES),  # noqa: B006
) -> None:
    """Print one line a setting, in per cent of the studies."""
    rng = np.random.default_rng(2026)
    error = 196 * math.sqrt(0.05 * 0.95 / studies)
    typer.echo(f"{studies} studies a line (5 +- {error:.1f} %)")
    typer.echo("cases  student  baseline  spread  t: PASS  bounds: PASS  bounds: FAIL")
    worst = np.zeros(3)
    for count in cases:
        for student, baseline in VALID:
            for spread in SPREADS:
                wrong = sum(_study(rng, count, student, baseline, spread) for _ in range(studies))
                shares = 100 * wrong / studies
                worst = np.maximum(worst, shares)
                line = f"{count:5}  {student:7}  {baseline:8}  {spread:6}"
                typer.echo(line + "  {:7.1f}  {:12.1f}  {:12.1f}".format(*shares))
    typer.echo("largest" + " " * 23 + "  {:7.1f}  {:12.1f}  {:12.1f}".format(*worst))


def _study(
    rng: np.random.Generator, count: int, student: float, baseline: float, spread: float
) -> np.ndarray:
    """Return whether the t-test passes, the bounds pass, the bounds fail."""
    shared = math.sqrt(_CORRELATION) * rng.normal(size=count)
    own = math.sqrt(1 - _CORRELATION)
    old = _BASELINE + spread * (shared + own * rng.normal(size=count))
    level = _MARGIN * _BASELINE * baseline / student
    new = level + spread * (shared + own * rng.normal(size=count))
    old_valid, new_valid = rng.random(count) < baseline, rng.random(count) < student
    scores = Scores(old * old_valid, new * new_valid, old_valid, new_valid)
    values, interval = scores.beyond(_MARGIN), scores.interval(_MARGIN, 0.9)
    reach = stdtrit(count - 1, 0.95) * values.std(ddof=1) / math.sqrt(count)
    passed = interval.low is not None and interval.low >= 0
    failed = interval.high is not None and interval.high < 0
    return np.array([values.mean() - reach >= 0, passed, failed], dtype=float)


if __name__ == "__main__":
    typer.run(main)
