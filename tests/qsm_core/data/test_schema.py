"""The clip manifest: what a row may hold, and that every wrong row is named."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qsm_core.data.schema import COLUMNS, parse_rows, rows_to_frame
from qsm_core.errors import DataError

GOOD = {"clip_id": "a", "group_id": "g", "label": "SPEECH", "source": "s"}


def problems_of(*records):
    with pytest.raises(DataError) as caught:
        parse_rows(records, "table.csv")
    return caught.value.problems


def test_a_row_is_read_with_other_spellings():
    (row,) = parse_rows(
        [{**GOOD, "clip_id": 17, "label": "non-speech", "split": "validation", "start_ms": "250"}],
        "t",
    )
    assert (row.clip_id, row.label, row.split, row.start_ms) == ("17", "NONSPEECH", "dev", 250.0)


@pytest.mark.parametrize("null", [None, "", math.nan, np.nan])
def test_nulls_of_any_kind_are_null(null):
    (row,) = parse_rows([{**GOOD, "split": null, "licence": null, "stop_ms": null}], "t")
    assert row.split is None
    assert row.licence is None
    assert row.stop_ms is None


def test_a_condition_fills_its_columns():
    rows = parse_rows(
        [
            {**GOOD, "condition": "snr_+5dB"},
            {**GOOD, "condition": "reverb_0.6s", "t60_s": 0.63},
        ],
        "t",
    )
    assert (rows[0].condition, rows[0].snr_db, rows[0].duration_ms) == ("snr_5dB", 5.0, None)
    assert rows[1].t60_s == 0.63


def test_every_wrong_row_is_named():
    problems = problems_of(
        {**GOOD, "label": "music"},
        {"clip_id": "b", "label": "SPEECH", "source": "s"},
        {**GOOD, "split": "holdout"},
        {**GOOD, "start_ms": 500, "stop_ms": 500},
        {**GOOD, "speaker": "x"},
        {**GOOD, "snr_db": 5.0},
        {**GOOD, "condition": "snr_loud"},
        {**GOOD, "sha256": "abc"},
    )
    text = "\n".join(problems)
    assert "row 0 (a): label 'music'" in text
    assert "row 1 (b): group_id: is missing" in text
    assert "row 2 (a): split 'holdout'" in text
    assert "row 3 (a): stop_ms 500.0 must be after start_ms" in text
    assert "row 4 (a): speaker: there is no such column" in text
    assert "row 5 (a): condition: is missing although snr_db" in text
    assert "row 6 (a): 'snr_loud'" in text
    assert "row 7 (a): sha256" in text
    assert len(problems) == 8


def test_a_clip_may_stand_once_in_each_condition():
    rows = [
        {**GOOD, "condition": "snr_5dB"},
        {**GOOD, "condition": "snr_0dB"},
        GOOD,
    ]
    assert len(parse_rows(rows, "t")) == 3
    problems = problems_of(*rows, {**GOOD, "condition": "snr_0dB"}, GOOD)
    assert problems == (
        "row 3 (a): the same clip_id as row 1 under condition snr_0dB; every clip needs its own",
        "row 4 (a): the same clip_id as row 2; every clip needs its own",
    )


def test_the_frame_has_the_columns_of_the_schema():
    frame = rows_to_frame(parse_rows([GOOD], "t"))
    assert tuple(frame.columns) == COLUMNS
    assert frame["start_ms"].dtype == np.float64
    assert frame["path"].isna().all()
