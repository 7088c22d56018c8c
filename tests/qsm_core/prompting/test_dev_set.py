import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.prompting.dev_set import choose_subset


def plan(conditions=5, speech=7, nonspeech=9):
    labels = ["SPEECH"] * speech + ["NONSPEECH"] * nonspeech
    return pd.DataFrame(
        [
            {"clip_id": f"c{i}", "label": label, "condition": f"k{key}"}
            for i, label in enumerate(labels)
            for key in range(conditions)
        ]
    )


@settings(deadline=None)
@given(st.integers(10, 100), st.integers(0, 5))
def test_conditions_and_classes_are_as_equal_as_the_size_allows(size, seed):
    table = plan()
    rows = choose_subset(table, size, seed)
    assert len(rows) == len(set(rows.tolist())) == min(size, len(table))
    assert (np.diff(rows) > 0).all()
    if size <= 70:  # 7 clips of speech in each of 5 conditions: until then no cell runs out
        counts = table.iloc[rows].groupby(["condition", "label"]).size()
        assert len(counts) == 10
        assert counts.max() - counts.min() <= 1


def test_the_seed_decides_and_all_is_all():
    table = plan()
    first, second, other = (choose_subset(table, 20, seed).tolist() for seed in (1, 1, 2))
    assert first == second != other
    assert choose_subset(table, None, 1).tolist() == list(range(len(table)))
    assert choose_subset(table, 10_000, 1).tolist() == list(range(len(table)))


def test_too_few_clips_and_a_missing_class_are_refused():
    with pytest.raises(ConfigurationError, match="clips_per_candidate = 9: 5 conditions"):
        choose_subset(plan(), 9, 1)
    table = plan()
    table = table[(table["condition"] != "k3") | (table["label"] != "SPEECH")]
    with pytest.raises(DataError, match="condition k3: has no SPEECH clip"):
        choose_subset(table, None, 1)
