"""The exact McNemar test: two systems that answered the same independent rows.

For rows that come in groups, or one clip in many conditions, it finds too much; use
`sign_flip` there. Reference: Q. McNemar, Psychometrika 12 (1947) 153-157, with the exact binomial
distribution of the discordant rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special


@dataclass(frozen=True)
class McNemarResult:
    """Discordant rows and the two-sided exact p-value."""

    only_first: int
    only_second: int
    p_value: float


def mcnemar_exact(first: npt.ArrayLike, second: npt.ArrayLike) -> McNemarResult:
    """Compare two systems on the same independent rows.

    Args:
        first: Whether the first system was right on each row, shape (N,).
        second: Whether the second was, shape (N,).

    Raises:
        ValueError: The two do not have the same one-dimensional shape.
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"shapes {a.shape} and {b.shape}: give the same rows of both systems")
    only_first, only_second = int(np.sum(a & ~b)), int(np.sum(~a & b))
    discordant = only_first + only_second
    # Without a discordant row the two systems are indistinguishable: p is 1, not undefined.
    # At 1/2 the distribution is symmetric: both tails are twice the shorter one.
    tail = special.bdtr(min(only_first, only_second), discordant, 0.5) if discordant else 1.0
    p_value = min(1.0, 2 * float(tail))
    return McNemarResult(only_first, only_second, p_value)
