"""Predictions from elsewhere: the documented CSV, the first system's files, and what is refused."""

import pandas as pd
import pytest

from qsm_core.conditions.grid import STANDARD_GRID
from qsm_core.errors import DataError
from qsm_core.evaluation.predictions.foreign import from_foreign, read_any
from qsm_core.evaluation.predictions.original import from_original, read_original
from qsm_core.evaluation.predictions.table import write_predictions
from tests.support.predictions import Listener, make_predictions
from tests.support.published import SYSTEMS, published_folder

ROWS = {
    "clip_id": ["a", "b", "a", "b"],
    "group_id": ["ann", "dog", "ann", "dog"],
    "condition": ["dur_20ms", "dur_20ms", "snr_+5dB", "snr_+5dB"],
    "label": ["speech", "non-speech", "SPEECH", "NONSPEECH"],
    "p_speech": [0.5, 0.2, 0.4, None],
}
SPEECH = "c:\\audio\\voxconverse_abcde_0042_1000ms_dur20ms.wav"
NOISE = "/data/esc50_1-45645-A-31_0152_1000ms_filterbandpass.wav"


def _original(**columns) -> pd.DataFrame:
    values = {
        "audio_path": [SPEECH, NOISE],
        "ground_truth": ["SPEECH", "NON-SPEECH"],
        "prediction": ["SPEECH", "UNKNOWN"],
        "condition": ["dur_20ms", "filter_bandpass"],
        "p_first_token": [0.9, 0.8],
    }
    return pd.DataFrame(values | columns)


def test_documented_columns() -> None:
    table = from_foreign(pd.DataFrame(ROWS), "other", "other.csv")
    assert table["prediction"].to_list()[:3] == ["SPEECH", "NONSPEECH", "NONSPEECH"]
    assert table["prediction"].isna().to_list() == [False, False, False, True]
    assert table["label"].to_list() == ["SPEECH", "NONSPEECH"] * 2
    assert table["condition"].to_list() == ["dur_20ms"] * 2 + ["snr_5dB"] * 2
    assert table["snr_db"].to_list()[2:] == [5.0, 5.0]
    assert set(table["system"]) == {"other"}


def test_answers_that_are_given_win_over_the_probability() -> None:
    rows = ROWS | {"prediction": ["NONSPEECH", None, "a dog", "SPEECH"]}
    table = from_foreign(pd.DataFrame(rows), "other", "other.csv")
    expected = ["NONSPEECH", "NONSPEECH", None, "SPEECH"]
    assert [None if pd.isna(one) else one for one in table["prediction"]] == expected


def test_conditions_of_other_studies_keep_their_names() -> None:
    table = from_foreign(pd.DataFrame(ROWS | {"condition": ["street"] * 2 + ["car"] * 2}), "x", "x")
    assert set(table["condition"]) == {"street", "car"}
    assert table["dimension"].isna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p_speech": None}, "give p_speech or prediction"),
        ({"group_id": None}, "missing columns: group_id"),
        ({"label": ["speech", "dog", "speech", "dog"]}, "column label: 'dog': allowed is SPEECH"),
        ({"p_speech": ["high", 0.1, 0.2, 0.3]}, "'high' is no number"),
        ({"p_speech": [1.5, 0.1, 0.2, 0.3]}, "outside 0 to 1"),
        ({"speaker": ["x"] * 4}, "unknown columns: speaker"),
        ({"condition": ["dur_20ms"] * 4}, "appears more than once"),
    ],
)
def test_refusals(change, message: str) -> None:
    rows = {k: v for k, v in (ROWS | change).items() if v is not None}
    with pytest.raises(DataError, match=message):
        from_foreign(pd.DataFrame(rows), "other", "other.csv")


def test_original_columns() -> None:
    table = from_original(_original(), "first", "predictions.csv")
    assert table["clip_id"].to_list() == [
        "voxconverse_abcde_0042_1000ms",
        "esc50_1-45645-A-31_0152_1000ms",
    ]
    assert table["group_id"].to_list() == ["voxconverse_abcde", "esc50_1-45645"]
    assert table["label"].to_list() == ["SPEECH", "NONSPEECH"]
    assert table["p_speech"].to_list()[0] == 0.9
    # An answer that was not read says nothing about speech.
    assert table["p_speech"].isna().to_list() == [False, True]
    assert table["prediction"].isna().to_list() == [False, True]
    assert table["dimension"].to_list() == ["duration", "filter"]


def test_probability_of_the_other_answer() -> None:
    table = from_original(_original(prediction=["NONSPEECH", "NON-SPEECH"]), "first", "x")
    assert table["p_speech"].to_list() == pytest.approx([0.1, 0.2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ground_truth": ["NONSPEECH", "NONSPEECH"]}, "1 row against the file name"),
        ({"ground_truth": ["SPEECH", "MUSIC"]}, "'MUSIC'"),
        ({"condition": ["dur_20ms", "rir_3"]}, "'rir_3'"),
        (
            {"prediction": ["perhaps", "maybe"]},
            "none of 2 answers can be read \\('perhaps', 'maybe'",
        ),
        (
            {"audio_path": [SPEECH, "noise.wav"]},
            "1 name of no known form, such as file name 'noise'",
        ),
    ],
)
def test_original_refusals(change, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_original(_original(**change), "first", "predictions.csv")


def test_forms_are_distinguished(tmp_path) -> None:
    pd.DataFrame(ROWS).to_csv(tmp_path / "foreign.csv", index=False)
    _original().to_csv(tmp_path / "original.csv", index=False)
    ours = make_predictions(Listener("ours"), groups_per_class=2)
    write_predictions(tmp_path / "ours.parquet", ours)
    rows = [len(read_any(tmp_path / name, "x")) for name in ("foreign.csv", "original.csv")]
    assert rows == [4, 2]
    assert set(read_any(tmp_path / "ours.parquet", "renamed")["system"]) == {"renamed"}
    with pytest.raises(DataError, match=r"nothing\.csv"):
        read_any(tmp_path / "nothing.csv", "x")


@pytest.mark.parametrize("system", SYSTEMS)
def test_published_files_hold_the_22_conditions(system: str) -> None:
    table = read_original(published_folder() / f"{system}_predictions.csv.gz", system)
    assert set(table["condition"]) == {condition.key for condition in STANDARD_GRID}
    for condition in STANDARD_GRID:
        row = table[table["condition"] == condition.key].iloc[0]
        expected = {"dimension": condition.dimension.value} | condition.columns()
        for name, value in expected.items():
            assert (pd.isna(row[name]) and value is None) or row[name] == value
    assert (table["clip_id"].nunique(), table["group_id"].nunique()) == (970, 650)


def test_older_grid_of_durations_by_snrs() -> None:
    table = read_original(published_folder() / "old_format_base_predictions.csv.gz", "older")
    assert len(table) == 24 * 8 * 6
    assert table["condition"].nunique() == 48
    assert table["dimension"].isna().all()
    row = table[table["condition"] == "dur_40_snr_10"].iloc[0]
    assert (row["duration_ms"], row["snr_db"]) == (40, 10)
    assert table["raw_text"].notna().all()


@pytest.mark.parametrize("name", ["vad.csv", "vad.csv.gz"])
def test_only_an_empty_cell_is_missing(tmp_path, name) -> None:
    rows = ROWS | {"group_id": ["None", "NA", "None", "NA"], "prediction": ["N/A", "", "null", ""]}
    pd.DataFrame(rows).to_csv(tmp_path / name, index=False, sep=";")
    table = read_any(tmp_path / name, "other")
    assert table["group_id"].to_list() == ["None", "NA"] * 2
    answers = [None if pd.isna(one) else one for one in table["prediction"]]
    assert answers == [None, "NONSPEECH", None, None]  # N/A is an answer that cannot be read


def test_rows_with_a_cell_too_many_are_reported_by_line(tmp_path) -> None:
    (tmp_path / "vad.csv").write_text(
        "clip_id,group_id,condition,label,p_speech\na,ann,clean,SPEECH,0.4,\n"
    )
    with pytest.raises(DataError, match="line 2: 6 cells, but 5 columns"):
        read_any(tmp_path / "vad.csv", "other")
