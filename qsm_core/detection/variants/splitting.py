"""Which clip goes into which split.

`by_group` keeps groups together. The other strategies are those of ANIMAL-SPOT-alpaca: within each
stratum clips are shuffled, and the shares are rounded down for train and dev.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from qsm_core.detection.variants.config import VariantConfig
from qsm_core.errors import DataError
from qsm_core.labels import SPLITS
from qsm_core.plurals import counted
from qsm_core.seeding import derive_rng

_STRATA: Mapping[str, tuple[str, ...]] = {
    "random": (),
    "quality_balanced": ("quality",),
    "clipwise_balanced": ("tape",),
    "quality_and_clipwise_balanced": ("tape", "quality"),
}
_ORDERS_TRIED = 64


def split_clips(clips: pd.DataFrame, config: VariantConfig) -> pd.Series:
    """Return the split of each clip.

    Args:
        clips: Columns group_id, tape, quality (nullable); one row a clip, targets and noise.
        config: Strategy, shares and seed.

    Raises:
        DataError: There are fewer than three groups for `by_group`.
    """
    if config.strategy == "by_group":
        return _by_group(clips, config)
    split = pd.Series("train", index=clips.index, dtype="str", name="split")
    strata = _STRATA[config.strategy]
    parts = clips.groupby(list(strata), dropna=False, sort=True) if strata else [("all", clips)]
    for key, rows in parts:
        rng = derive_rng(config.seed, "split", config.strategy, str(key))
        order = rng.permutation(rows.index.to_numpy())
        train = int((1 - config.dev_fraction - config.test_fraction) * len(order) + 1e-9)
        dev = train + int(config.dev_fraction * len(order) + 1e-9)
        split[order[train:dev]] = "dev"
        split[order[dev:]] = "test"
    return split


def groups_in_several_splits(clips: pd.DataFrame) -> list[str]:
    """Return the groups whose clips are in more than one split."""
    counts = clips.groupby("group_id")["split"].nunique()
    return [str(name) for name in counts.index[counts > 1]]


def _by_group(clips: pd.DataFrame, config: VariantConfig) -> pd.Series:
    """Deal whole groups: each goes to the split that lacks most; the closest of many orders."""
    counts = clips.groupby("group_id").size().sort_index()
    if len(counts) < len(SPLITS):
        names = ", ".join(map(str, counts.index))
        problem = (
            f"{counted(len(counts), 'group')} with calls ({names}); by_group needs {len(SPLITS)}, "
            "one for each of train, dev and test. Give group_pattern or a column group_id so that "
            "recordings are grouped finer, or choose another strategy, whose own test split "
            "flatters"
        )
        raise DataError("the clips cannot be divided", [problem])
    shares = np.array(
        [1 - config.dev_fraction - config.test_fraction, config.dev_fraction, config.test_fraction]
    )
    sizes = counts.to_numpy(np.float64)
    rng = derive_rng(config.seed, "split", "by_group")
    best: tuple[float, np.ndarray] | None = None
    for _ in range(_ORDERS_TRIED):
        dealt = _deal(sizes, shares, rng.permutation(len(sizes)))
        reached = np.bincount(dealt, weights=sizes, minlength=len(SPLITS)) / sizes.sum()
        miss = float(np.abs(reached - shares).max())
        if best is None or miss < best[0]:
            best = (miss, dealt)
    places = np.zeros(len(sizes), dtype=np.int64) if best is None else best[1]
    by_group = dict(zip(counts.index, (SPLITS[place] for place in places), strict=True))
    return clips["group_id"].map(by_group).astype("str").rename("split")


def _deal(sizes: np.ndarray, shares: np.ndarray, order: np.ndarray) -> np.ndarray:
    dealt = np.empty(len(sizes), dtype=np.int64)
    have = np.zeros(len(shares))
    for number, group in enumerate(order):
        lacking = shares - have / sizes.sum()
        # The last groups go to splits that have none yet.
        empty = np.flatnonzero(have == 0)
        if len(order) - number <= len(empty):
            lacking = np.where(have == 0, lacking, -np.inf)
        place = int(np.argmax(lacking))
        dealt[group] = place
        have[place] += sizes[group]
    return dealt
