"""The area under the ROC curve, its resamples over groups and its jackknife.

AUROC is the share of pairs (positive row, negative row) that the scores order rightly, ties
counting one half (Mann and Whitney, Annals of Mathematical Statistics 18 (1947) 50-60). Summed by
group, the pairs won are a matrix; drawing groups g and h w_g and w_h times counts their pairs
w_g w_h times, so a resample is the quadratic form w' A w / (w' n+ n-' w), and all resamples are one
matrix product. No score is sorted again.

Conventions: K: groups, P and Q: groups with positive and with negative rows, B: resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_AT_ONCE = 1000  # resamples whose data fit into the processor's cache


@dataclass(frozen=True)
class PairWins:
    """Pairs of a positive and a negative row that are ordered rightly, by group.

    Attributes:
        positive: Groups that hold positive rows, shape (P,).
        negative: Groups that hold negative rows, shape (Q,).
        wins: Pairs won between two groups, ties as one half, shape (P, Q).
        num_positive: Positive rows of the groups in `positive`, shape (P,).
        num_negative: Negative rows of the groups in `negative`, shape (Q,).
    """

    positive: IntArray
    negative: IntArray
    wins: FloatArray
    num_positive: FloatArray
    num_negative: FloatArray

    @property
    def area(self) -> float:
        """The AUROC; NaN without a row of each class."""
        pairs = self.num_positive.sum() * self.num_negative.sum()
        return float(self.wins.sum() / pairs) if pairs else float("nan")


def count_wins(
    scores: npt.ArrayLike, is_positive: npt.ArrayLike, groups: npt.ArrayLike
) -> PairWins:
    """Count the pairs won between any two groups.

    Args:
        scores: A score a row, higher for positive, shape (N,).
        is_positive: The class of each row, shape (N,).
        groups: The group of each row as a number from 0, shape (N,).

    Raises:
        ValueError: The shapes differ, or a score is NaN.
    """
    values = np.asarray(scores, dtype=np.float64)
    mask, codes = np.asarray(is_positive, dtype=bool), np.asarray(groups, dtype=np.int64)
    if values.ndim != 1 or not values.shape == mask.shape == codes.shape:
        raise ValueError(f"shapes {values.shape}, {mask.shape}, {codes.shape}: give one row each")
    if np.any(np.isnan(values)):
        raise ValueError("scores: some are NaN; AUROC needs a score for every row")
    positive, inside, num_positive = np.unique(codes[mask], return_inverse=True, return_counts=True)
    negative, num_negative = np.unique(codes[~mask], return_counts=True)
    wins = np.zeros((len(positive), len(negative)))
    order = np.argsort(values[mask], kind="stable")
    ranked, owner = values[mask][order], inside[order]
    by_group = np.argsort(codes[~mask], kind="stable")
    parts = np.split(values[~mask][by_group], np.cumsum(num_negative)[:-1])
    for column, part in enumerate(parts if len(negative) else []):
        against = np.sort(part)
        won = np.searchsorted(against, ranked, "left") + np.searchsorted(against, ranked, "right")
        wins[:, column] = np.bincount(owner, weights=won / 2, minlength=len(positive))
    return PairWins(
        positive, negative, wins, num_positive.astype(np.float64), num_negative.astype(np.float64)
    )


def resampled_areas(pairs: PairWins, weights: npt.NDArray[np.floating]) -> FloatArray:
    """Return the AUROC of resamples that draw group k weights[:, k] times, shape (B,)."""
    kind = weights.dtype
    all_pairs = np.outer(pairs.num_positive, pairs.num_negative)
    scale = all_pairs.sum() or 1.0
    # The rarer of won and lost pairs is counted: where there are none, the area is exactly 1 or 0.
    by_loss = pairs.wins.sum() > scale / 2
    rarer = all_pairs - pairs.wins if by_loss else pairs.wins
    # As a share of all pairs, so that single precision represents it to six digits.
    rarer = (rarer / scale).astype(kind)
    ups, downs = pairs.num_positive.astype(kind), pairs.num_negative.astype(kind)
    areas = np.full(len(weights), np.nan)
    for begin in range(0, len(weights), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        first, second = weights[part, pairs.positive], weights[part, pairs.negative]
        counted = np.sum(np.multiply(first @ rarer, second), axis=1, dtype=np.float64)
        count = (first @ ups).astype(np.float64) * (second @ downs) / scale
        np.divide(counted, count, out=areas[part], where=count > 0)
    np.clip(areas, 0, 1, out=areas)  # single precision rounds a share of 1 up now and then
    return 1 - areas if by_loss else areas


def pairs_of_groups(pairs: PairWins, num_groups: int) -> FloatArray:
    """Return the pairs that each of the K groups takes part in, lost and won, shape (2, K)."""
    lost = np.outer(pairs.num_positive, pairs.num_negative) - pairs.wins
    totals = np.zeros((2, num_groups))
    for row, counts in zip(totals, (lost, pairs.wins), strict=True):
        row[pairs.positive] += counts.sum(axis=1)
        row[pairs.negative] += counts.sum(axis=0)
    return totals


def jackknife_areas(pairs: PairWins, num_groups: int) -> FloatArray:
    """Return the AUROC without each of the K groups, shape (K,)."""
    size = (num_groups,)
    rows, columns, both = np.zeros(size), np.zeros(size), np.zeros(size)
    ups, downs = np.zeros(size), np.zeros(size)
    rows[pairs.positive], columns[pairs.negative] = pairs.wins.sum(axis=1), pairs.wins.sum(axis=0)
    ups[pairs.positive], downs[pairs.negative] = pairs.num_positive, pairs.num_negative
    _, at, and_at = np.intersect1d(pairs.positive, pairs.negative, return_indices=True)
    both[pairs.positive[at]] = pairs.wins[at, and_at]
    won = pairs.wins.sum() - rows - columns + both
    count = (ups.sum() - ups) * (downs.sum() - downs)
    areas = np.full(size, np.nan)
    np.divide(won, count, out=areas, where=count > 0)
    return areas
