"""The predictions table: what is refused, and that equal tables give equal files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qsm_core.errors import DataError
from qsm_core.evaluation.predictions.table import (
    COLUMNS,
    read_predictions,
    validate,
    write_predictions,
)
from tests.support.predictions import Listener, make_predictions


@pytest.fixture
def table() -> pd.DataFrame:
    return make_predictions(
        Listener("base", unparseable=0.1), groups_per_class=2, clips_per_group=2
    )


def test_round_trip(table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    write_predictions(path, table)
    ordered = table.sort_values(["system", "clip_id", "condition"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(read_predictions(path), ordered)


def test_row_and_column_order_do_not_change_the_file(table: pd.DataFrame, tmp_path: Path) -> None:
    shuffled = table.sample(frac=1, random_state=1)[list(reversed(COLUMNS))]
    write_predictions(tmp_path / "a.parquet", table)
    write_predictions(tmp_path / "b.parquet", shuffled)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_all_problems_at_once(table: pd.DataFrame) -> None:
    table["label"] = table["label"].replace("NONSPEECH", "NON-SPEECH")
    table.loc[0, "prediction"] = "UNKNOWN"
    table.loc[1, "group_id"] = None
    table.loc[2, "p_speech"] = 1.5
    table.loc[3, "margin"] = np.inf
    table.loc[4, "dimension"] = "rir"
    table = pd.concat([table, table.iloc[[9]]])
    with pytest.raises(DataError) as caught:
        validate(table)
    text = "\n".join(caught.value.problems)
    assert "'NON-SPEECH'; allowed are SPEECH, NONSPEECH" in text
    assert "column prediction: 1 row (first: row 0) 'UNKNOWN'; allowed" in text
    assert "NONSPEECH or null" in text
    assert "column group_id: 1 row (first: row 1) empty" in text
    assert "column p_speech: 1 row (first: row 2) outside 0 to 1" in text
    assert "column margin: 1 row (first: row 3) infinite" in text
    assert "'rir'; allowed are duration, snr, reverb, filter, crossed or null" in text
    assert "repeated" in text


def test_missing_and_unknown_columns(table: pd.DataFrame) -> None:
    wrong = table.drop(columns=["margin"]).assign(seconds=1.0)
    with pytest.raises(DataError, match="missing columns: margin") as caught:
        validate(wrong, "my.parquet")
    assert "unknown columns: seconds" in str(caught.value)
    assert "my.parquet is no predictions table" in str(caught.value)


def test_no_rows(table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="no rows"):
        validate(table.iloc[:0])


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("label", "NONSPEECH", "has more than one label"),
        ("group_id", "elsewhere", "has more than one group_id"),
        ("dimension", "snr", "has more than one dimension"),
    ],
)
def test_contradictions(table: pd.DataFrame, column: str, value: str, message: str) -> None:
    table.loc[0, column] = value
    with pytest.raises(DataError, match=message):
        validate(table)


def test_text_where_a_number_belongs(table: pd.DataFrame) -> None:
    table["margin"] = table["margin"].astype(object)
    table.loc[5, "margin"] = "high"
    with pytest.raises(DataError, match=r"column margin: 1 row \(first: row 5\) no number"):
        validate(table)


def test_file_that_is_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    path.write_text("clip_id,label\n")
    with pytest.raises(DataError, match="cannot read the predictions"):
        read_predictions(path)
    with pytest.raises(DataError, match=r"missing\.parquet"):
        read_predictions(tmp_path / "missing.parquet")
