"""Divide recordings into train, dev and test, whole groups at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from qsm_core.detection.synthetic_config import Division
from qsm_core.errors import DataError
from qsm_core.labels import SPLITS
from qsm_core.seeding import derive_rng


def divide(recordings: pd.DataFrame, events: pd.DataFrame, division: Division) -> pd.DataFrame:
    """Return the recordings with a split each; a split that all of them have stands.

    Groups are taken in a random order: into test until it has its share of the events, then into
    dev, the rest into train. Each split has a group with events.

    Args:
        recordings: A table of recordings.
        events: A table of annotations.
        division: Shares and seed.

    Raises:
        DataError: Some recordings have a split and some have none, a group lies in two splits, or
            fewer than three groups have events.
    """
    given = recordings["split"].notna()
    if given.any():
        return _checked(recordings, given)
    counted = events if division.label is None else events[events["label"] == division.label]
    group_of = recordings.set_index("recording_id")["group_id"]
    counts = counted["recording_id"].map(group_of).value_counts()
    with_events = [group for group in sorted(set(group_of)) if counts.get(group, 0)]
    if len(with_events) < len(SPLITS):
        label = "" if division.label is None else f" labelled {division.label!r}"
        raise DataError(
            "the recordings cannot be divided",
            [
                f"groups: {len(with_events)} with events{label} "
                f"({', '.join(with_events) or 'none'}), 3 are needed: one each to train, to choose "
                "thresholds and to test. Group recordings more finely, or name splits of your own"
            ],
        )
    order = list(derive_rng(division.seed, "groups").permutation(with_events))
    total = int(counts[with_events].sum())
    splits: dict[str, str] = {}
    for split, share in (("test", division.test), ("dev", division.dev)):
        others = 1 if split == "dev" else 2  # groups that the other splits need
        taken = 0
        while len(order) > others and (taken == 0 or taken < share * total * 0.9):
            group = order.pop()
            splits[group] = split
            taken += int(counts[group])
    silent = [group for group in sorted(set(group_of)) if group not in with_events]
    for number, group in enumerate(silent):  # groups without events are shared out
        splits[group] = SPLITS[number % len(SPLITS)]
    split_of = recordings["group_id"].map(splits).fillna("train")
    return recordings.assign(split=split_of.astype(recordings["split"].dtype))


def _checked(recordings: pd.DataFrame, given: pd.Series) -> pd.DataFrame:
    problems = [
        f"{name}: has no split, and other recordings have one; name one for each, or for none"
        for name in recordings.loc[~given, "recording_id"]
    ]
    unknown = ~recordings["split"].isin(SPLITS) & given
    problems += [
        f"{row.recording_id}: split = {row.split!r}; allowed are {', '.join(SPLITS)}"
        for row in recordings[unknown].itertuples()
    ]
    crossing = recordings[given].groupby("group_id")["split"].agg(lambda one: sorted(set(one)))
    problems += [
        f"group {group!r}: lies in {' and '.join(splits)}; a group belongs to one split"
        for group, splits in crossing.items()
        if len(splits) > 1
    ]
    missing = [split for split in SPLITS if split not in set(recordings["split"])]
    problems += [f"split {split}: holds no recording" for split in missing]
    if problems:
        raise DataError("the recordings cannot be divided", problems)
    return recordings


def group_sizes(recordings: pd.DataFrame) -> dict[str, int]:
    """Return how many groups each split has."""
    sizes = recordings.groupby("split")["group_id"].nunique()
    return {split: int(sizes.get(split, 0)) for split in SPLITS}


def seconds_of(recordings: pd.DataFrame) -> np.ndarray:
    """Return the length of each recording, (R,) float64 in seconds."""
    return (recordings["num_samples"] / recordings["sample_rate_hz"]).to_numpy(np.float64)
