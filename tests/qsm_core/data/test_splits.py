"""Group splits: nothing crosses, nothing is lost, sizes are near, the seed decides."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsm_core.data.splits import split_by_group
from qsm_core.errors import ConfigurationError, DataError

THIRDS = {"train": 0.6, "dev": 0.2, "test": 0.2}


def table(speech_sizes, nonspeech_sizes, mixed=()):
    rows = []
    for letter, label, sizes in (
        ("s", "SPEECH", speech_sizes),
        ("n", "NONSPEECH", nonspeech_sizes),
    ):
        for index, size in enumerate(sizes):
            rows += [(f"{letter}{index}", label)] * size
    for index, (speech, nonspeech) in enumerate(mixed):
        rows += [(f"m{index}", "SPEECH")] * speech + [(f"m{index}", "NONSPEECH")] * nonspeech
    return pd.DataFrame(rows, columns=["group_id", "label"])


sizes = st.lists(st.integers(1, 30), min_size=3, max_size=25)


@settings(max_examples=40, deadline=None)
@given(
    speech=sizes,
    nonspeech=sizes,
    mixed=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=6),
    dev=st.floats(0.05, 0.45),
    test=st.floats(0.05, 0.45),
    seed=st.integers(0, 2**31 - 1),
)
def test_groups_never_cross_and_every_clip_is_assigned(speech, nonspeech, mixed, dev, test, seed):
    frame = table(speech, nonspeech, mixed)
    split = split_by_group(frame, {"train": 1 - dev - test, "dev": dev, "test": test}, seed)
    assert split.index.equals(frame.index)
    assert set(split) == {"train", "dev", "test"}
    assert split.groupby(frame["group_id"]).nunique().max() == 1
    # Both classes are in every split.
    assert (pd.crosstab(split, frame["label"]) > 0).all(axis=None)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), order=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(seed, order):
    frame = table([5, 3, 8, 2, 2, 7], [1] * 20)
    places = list(frame.index)
    order.shuffle(places)
    shuffled = frame.loc[places]
    pd.testing.assert_series_equal(
        split_by_group(shuffled, THIRDS, seed).sort_index(), split_by_group(frame, THIRDS, seed)
    )


def test_many_small_groups_come_close_to_the_fractions():
    frame = table([3] * 100, [1, 2, 3, 4] * 50)
    split = split_by_group(frame, THIRDS, 7)
    shares = pd.crosstab(frame["label"], split, normalize="index")
    for name, fraction in THIRDS.items():
        np.testing.assert_allclose(shares[name], fraction, atol=0.01)


def test_seeds_differ_and_repeat():
    frame = table([1] * 30, [1] * 30)
    splits = [tuple(split_by_group(frame, THIRDS, seed)) for seed in (1, 1, 2)]
    assert splits[0] == splits[1]
    assert splits[0] != splits[2]


def test_one_large_group_does_not_starve_the_small_splits():
    frame = table([100, 1, 1], [10, 10, 10])
    split = split_by_group(frame, {"train": 0.8, "dev": 0.1, "test": 0.1}, 0)
    assert pd.crosstab(split, frame["label"]).loc["train", "SPEECH"] == 100
    assert (pd.crosstab(split, frame["label"]) > 0).all(axis=None)


def test_two_splits_are_enough_where_the_test_is_apart():
    split = split_by_group(table([4, 4], [4, 4]), {"train": 0.8, "dev": 0.2}, 0)
    assert set(split) == {"train", "dev"}


def test_too_few_groups_say_how_many_are_needed():
    with pytest.raises(DataError) as caught:
        split_by_group(table([40, 40], [5, 5, 5]), THIRDS, 0)
    assert len(caught.value.problems) == 1
    assert "class SPEECH: 2 groups (s0, s1), needed are at least 3" in caught.value.problems[0]


def test_groups_of_both_classes_count_for_both():
    with pytest.raises(DataError, match="too few groups"):
        split_by_group(table([], [], mixed=[(1, 1), (1, 1)]), THIRDS, 0)
    # As tight as can be: one group of both classes, two of each alone.
    frame = table([1, 1], [1, 1], mixed=[(1, 1)])
    for seed in range(20):
        split = split_by_group(frame, THIRDS, seed)
        assert (pd.crosstab(split, frame["label"]) == 1).all(axis=None)


@pytest.mark.parametrize(
    ("fractions", "reason"),
    [
        ({"train": 0.5, "dev": 0.2, "test": 0.2}, "sum to 0.9"),
        ({"train": 1.2, "dev": -0.2}, "fraction of dev = -0.2"),
    ],
)
def test_fractions_are_checked(fractions, reason):
    with pytest.raises(ConfigurationError, match=reason):
        split_by_group(table([1] * 5, [1] * 5), fractions, 0)
