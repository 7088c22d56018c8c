"""The grid, its keys, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsm_core.conditions.grid import (
    STANDARD_GRID,
    Band,
    Condition,
    Dimension,
    cross,
    parse_condition,
    parse_conditions,
)
from qsm_core.errors import ConfigurationError


def test_the_22_conditions_by_name():
    assert [condition.key for condition in STANDARD_GRID] == [
        *(f"dur_{ms}ms" for ms in (20, 40, 60, 80, 100, 200, 500, 1000)),
        *("snr_-10dB", "snr_-5dB", "snr_0dB", "snr_5dB", "snr_10dB", "snr_20dB"),
        *("reverb_none", "reverb_0.3s", "reverb_1.0s", "reverb_2.5s"),
        *("filter_none", "filter_bandpass", "filter_lowpass", "filter_highpass"),
    ]


@pytest.mark.parametrize("condition", STANDARD_GRID, ids=lambda condition: condition.key)
def test_a_key_names_its_condition(condition):
    assert parse_condition(condition.key) == condition


CONDITIONS = st.one_of(
    st.builds(Condition, st.just(Dimension.DURATION), st.floats(1, 30_000)),
    st.builds(Condition, st.just(Dimension.SNR), st.floats(-100, 100)),
    st.builds(Condition, st.just(Dimension.REVERB), st.none() | st.floats(0.05, 20)),
    st.builds(Condition, st.just(Dimension.FILTER), st.sampled_from(Band)),
)


@given(st.lists(CONDITIONS, min_size=2, max_size=4, unique_by=lambda one: one.dimension))
def test_crossed_conditions_have_one_key_in_any_order(parts):
    crossed = cross(parts)
    assert crossed == cross(parts[::-1]) == parse_condition(crossed.key)
    assert crossed.dimension is Dimension.CROSSED
    for part in parts:
        assert crossed.part(part.dimension) == part
        assert part.columns().items() - {(n, None) for n in part.columns()} <= set(
            crossed.columns().items()
        )


@pytest.mark.parametrize(
    "written", ["dur_20_snr_-10", "dur20ms_snr-10dB", "snr_-10dB+dur_20ms", "DUR_20ms+SNR_-10.0dB"]
)
def test_spellings_of_a_duration_and_an_snr(written):
    assert parse_condition(written).key == "dur_20ms+snr_-10dB"


def test_one_dimension_is_not_crossed_with_itself():
    with pytest.raises(ConfigurationError, match="of a dimension each"):
        parse_condition("snr_5dB+snr_10dB")


@given(CONDITIONS)
def test_any_condition_can_be_read_from_its_key(condition):
    assert parse_condition(condition.key) == condition


@given(st.text())
def test_no_text_is_read_by_mistake(text):
    try:
        condition = parse_condition(text)
    except ConfigurationError:
        return
    assert parse_condition(condition.key) == condition


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("snr_+5dB", "snr_5dB"),
        ("snr_-0dB", "snr_0dB"),
        ("snr_-15dB", "snr_-15dB"),
        ("dur_20.0ms", "dur_20ms"),
        ("dur_12.5ms", "dur_12.5ms"),
        ("reverb_1s", "reverb_1.0s"),
    ],
)
def test_other_spellings_get_the_one_key(written, key):
    assert parse_condition(written).key == key


def test_a_whole_number_is_the_same_level():
    assert Condition(Dimension.SNR, 5) == Condition(Dimension.SNR, 5.0)
    assert Condition(Dimension.SNR, 5).columns()["snr_db"] == 5.0


@pytest.mark.parametrize(
    "key", ["", "dur_20", "dur_-20ms", "snr_5", "snr_nandB", "reverb_s", "filter_comb"]
)
def test_an_unknown_key_is_reported_with_the_known_ones(key):
    with pytest.raises(ConfigurationError, match=r"the standard conditions are dur_20ms, dur_40ms"):
        parse_condition(key)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("dur_0ms", "duration = 0.0: must be between 1 and 30000 ms"),
        ("dur_40000ms", "duration = 40000.0: must be between 1 and 30000 ms"),
        ("snr_-1000dB", "snr = -1000.0: must be between -100 and 100 dB"),
        ("reverb_0.0s", "reverb = 0.0: must be between 0.05 and 20 s"),
        ("dur_" + "9" * 400 + "ms", "duration = inf"),
    ],
)
def test_a_level_that_cannot_be_rendered(key, message):
    with pytest.raises(ConfigurationError, match=message):
        parse_condition(key)


@pytest.mark.parametrize(
    ("dimension", "level"),
    [
        (Dimension.DURATION, None),
        (Dimension.SNR, None),
        (Dimension.SNR, float("nan")),
        (Dimension.SNR, Band.LOWPASS),
        (Dimension.REVERB, Band.NONE),
        (Dimension.FILTER, 300.0),
        (Dimension.FILTER, None),
    ],
)
def test_a_level_of_another_dimension(dimension, level):
    with pytest.raises(ConfigurationError, match=f"{dimension} = .*must be"):
        Condition(dimension, level)


def test_columns_hold_only_what_is_changed():
    empty = {"duration_ms": None, "snr_db": None, "t60_s": None, "band": None}
    assert parse_condition("dur_20ms").columns() == empty | {"duration_ms": 20.0}
    assert parse_condition("snr_-10dB").columns() == empty | {"snr_db": -10.0}
    assert parse_condition("reverb_none").columns() == empty | {"t60_s": 0.0}
    assert parse_condition("reverb_2.5s").columns() == empty | {"t60_s": 2.5}
    assert parse_condition("filter_none").columns() == empty | {"band": "none"}


def test_all_wrong_keys_are_reported_together():
    with pytest.raises(ConfigurationError) as caught:
        parse_conditions(["dur_20ms", "wrong", "snr_5dB", "snr_+5dB", "dur_0ms"])
    assert len(caught.value.problems) == 3
    assert "'wrong'" in caught.value.problems[0]
    assert caught.value.problems[1] == "'snr_+5dB' is given twice"
    assert "duration = 0.0" in caught.value.problems[2]


def test_several_keys_keep_their_order():
    keys = ["snr_5dB", "dur_20ms"]
    assert [condition.key for condition in parse_conditions(keys)] == keys
