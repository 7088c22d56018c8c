import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.prompting.search.blocks import blocks_within, deal_blocks


def plan(conditions=5, speech=7, nonspeech=9):
    labels = ["SPEECH"] * speech + ["NONSPEECH"] * nonspeech
    return pd.DataFrame(
        [
            {"clip_id": f"c{i}", "label": label, "condition": f"k{key}"}
            for i, label in enumerate(labels)
            for key in range(conditions)
        ]
    )


@settings(deadline=None, max_examples=20)
@given(
    st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.integers(2, 60), st.integers(0, 3)
)
def test_blocks_are_all_of_dev_and_hold_every_condition_and_class(
    conditions, speech, nonspeech, size, seed
):
    table = plan(conditions, speech, nonspeech)
    blocks = deal_blocks(table, size, seed)
    together = np.concatenate(blocks)
    assert sorted(together.tolist()) == list(range(len(table)))
    # Every block that was dealt in full has each condition and class equally often.
    counts = table.iloc[blocks[0]].groupby(["condition", "label"]).size()
    assert len(counts) == 2 * conditions
    if len(blocks) > 1:
        assert counts.nunique() == 1
        assert len(blocks[0]) <= max(size, 2 * conditions) + conditions


def test_a_block_of_the_standard_grid_has_44_rows_of_as_many_clips_as_there_are():
    table = plan(conditions=22, speech=30, nonspeech=30)
    blocks = deal_blocks(table, 30, seed=1)
    assert [len(block) for block in blocks] == [44] * 30
    for block in blocks:
        assert table["clip_id"].iloc[block].nunique() == 44


def test_the_seed_decides():
    first, second, other = (
        [block.tolist() for block in deal_blocks(plan(), 20, seed)] for seed in (1, 1, 2)
    )
    assert first == second != other


def test_a_race_continues_for_whole_blocks():
    blocks = deal_blocks(plan(conditions=22, speech=30, nonspeech=30), 30, seed=1)
    assert blocks_within(blocks, 44) == 1
    assert blocks_within(blocks, 131) == 2
    assert blocks_within(blocks, 132) == 3
    assert blocks_within(blocks, 10_000) == blocks_within(blocks, None) == 30


def test_a_race_of_fewer_clips_than_dev_has_a_first_block_that_fits():
    blocks = deal_blocks(plan(conditions=1, speech=5, nonspeech=5), 8, seed=1)
    assert [len(block) for block in blocks] == [8, 2]
    assert blocks_within(blocks, 8) == 1


def test_too_few_clips_and_a_missing_class_are_refused():
    with pytest.raises(ConfigurationError, match=r"clips = 9: .* has 10"):
        blocks_within(deal_blocks(plan(), 10, 1), 9)
    table = plan()
    table = table[(table["condition"] != "k3") | (table["label"] != "SPEECH")]
    with pytest.raises(DataError, match="condition k3: has no SPEECH clip"):
        deal_blocks(table, 30, 1)
