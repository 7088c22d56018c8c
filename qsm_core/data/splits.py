"""Divide clips into train, dev and test so that no group is in two of them.

Groups are dealt out one at a time in a random order, each to the split that lacks most of its share
of the group's classes; of several random orders, the one whose shares come closest is used. The
same table and seed always give the same splits, whatever the order of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.labels import SPLITS, Label, Split
from qsm_core.plurals import counted
from qsm_core.seeding import derive_rng

ORDERS_TRIED = 64
# Splits this close to the requested shares, as a part of a class, are good enough to stop.
CLOSE_ENOUGH = 0.005


def split_by_group(
    frame: pd.DataFrame, fractions: Mapping[Split, float], seed: int
) -> pd.Series[str]:
    """Give every clip a split; groups never cross, both classes are in every split.

    Args:
        frame: Clips with `group_id` and `label`.
        fractions: The share of the clips of each class that a split should get; they sum to 1.
        seed: Decides which groups go where.

    Returns:
        The split of every row, with the index of `frame`.

    Raises:
        ConfigurationError: The fractions are not positive or do not sum to 1.
        DataError: There are too few groups for the splits; the error says how many are needed.
    """
    _check_fractions(fractions)
    splits = [split for split in SPLITS if split in fractions]
    counts = _clips_by_group(frame)
    _check_enough_groups(counts, splits)
    shares = np.array([fractions[split] for split in splits])
    dealt = _best_deal(counts.to_numpy(dtype=np.int64), shares, seed)
    by_group = {group: splits[place] for group, place in zip(counts.index, dealt, strict=True)}
    return frame["group_id"].map(by_group).rename("split")


def _check_fractions(fractions: Mapping[Split, float]) -> None:
    problems = [
        f"fraction of {split} = {value}: must be above 0"
        for split, value in fractions.items()
        if not value > 0
    ]
    total = sum(fractions.values())
    if abs(total - 1) > 1e-6:
        problems.append(f"the fractions sum to {total:g}; they must sum to 1")
    if problems:
        raise ConfigurationError("the clips cannot be divided", problems)


def _clips_by_group(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of clip counts, groups x classes present, in the order of the names."""
    counts = pd.crosstab(frame["group_id"], frame["label"])
    present = [label.value for label in Label if label.value in counts]
    return counts[present].sort_index()


def _check_enough_groups(counts: pd.DataFrame, splits: Sequence[str]) -> None:
    problems = []
    for label in counts.columns:
        groups = counts.index[counts[label] > 0]
        if len(groups) < len(splits):
            names = ", ".join(map(str, groups))
            problems.append(
                f"class {label}: {counted(len(groups), 'group')} ({names}), needed "
                f"are at least {len(splits)}, one for each of {', '.join(splits)}; a group is a "
                "speaker or source recording: check group_id, or give group_pattern"
            )
    if problems:
        raise DataError("there are too few groups to divide the clips", problems)


def _best_deal(counts: np.ndarray, shares: np.ndarray, seed: int) -> np.ndarray:
    """Deal in several orders and keep the closest.

    The last order cannot fail: groups of both classes come first, each of which fills a split
    that is still without either, and after them there are enough groups of each class.

    Args:
        counts: Clips, shape (groups, classes).
        shares: Share of every split, shape (splits,).
        seed: Decides the orders.
    """
    best, least = np.zeros(len(counts), dtype=np.int64), np.inf
    totals = counts.sum(axis=0)
    for attempt in range(ORDERS_TRIED):
        order = derive_rng(seed, "splits", attempt).permutation(len(counts))
        if attempt == ORDERS_TRIED - 1:
            size, classes = counts[order].sum(axis=1), (counts[order] > 0).sum(axis=1)
            order = order[np.lexsort((-size, -classes))]
        dealt = _deal(counts, shares, order)
        if dealt is None:
            continue
        got = np.stack([counts[dealt == place].sum(axis=0) for place in range(len(shares))])
        distance = float(np.abs(got / totals - shares[:, None]).max())
        if distance < least:
            best, least = dealt, distance
        if least <= CLOSE_ENOUGH:
            break
    return best


def _deal(counts: np.ndarray, shares: np.ndarray, order: np.ndarray) -> np.ndarray | None:
    """Deal the groups out in one order: the split of every group, or None if one goes empty."""
    targets = shares[:, None] * counts.sum(axis=0)
    got = np.zeros_like(targets)
    groups_left = (counts > 0).sum(axis=0)
    dealt = np.full(len(counts), -1)
    for group in order:
        own = counts[group]
        allowed = _allowed(own, got, groups_left)
        if not allowed.any():
            return None
        # Growth of the squared distance from the target, weighed by the target.
        growth = (own * (2 * (got - targets) + own) / targets).sum(axis=1)
        place = int(np.argmin(np.where(allowed, growth, np.inf)))
        dealt[group] = place
        got[place] += own
        groups_left -= own > 0
    return dealt


def _allowed(own: np.ndarray, got: np.ndarray, groups_left: np.ndarray) -> np.ndarray:
    """Return which splits may get this group so that no split ends up without a class."""
    empty = got == 0
    scarce = (own > 0) & (groups_left <= empty.sum(axis=0))
    return np.asarray(empty[:, scarce].all(axis=1))
